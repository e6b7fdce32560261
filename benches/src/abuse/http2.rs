//! Frames of HTTP/2 (RFC 9113) as an enemy writes them: nothing keeps it to the protocol.

use bytes::{BufMut as _, BytesMut};

/// What a connection of prior knowledge begins with, and empty `SETTINGS`.
pub(super) fn preface() -> BytesMut {
    let mut bytes = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]);
    frame(&mut bytes, Kind::Settings, 0, 0, &[]);
    bytes
}

/// The kinds of frames that are written or understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Headers = 0x1,
    RstStream = 0x3,
    Settings = 0x4,
    GoAway = 0x7,
    Continuation = 0x9,
}

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// `CANCEL`.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Opens a stream by a request for `path`, and resets it at once.
pub(super) fn opened_and_reset(bytes: &mut BytesMut, stream: u32, path: &str) {
    frame(bytes, Kind::Headers, END_STREAM | END_HEADERS, stream, &request(path));
    frame(bytes, Kind::RstStream, 0, stream, &CANCEL);
}

/// Opens a stream by a header block that does not end.
pub(super) fn begun(bytes: &mut BytesMut, stream: u32, path: &str) {
    frame(bytes, Kind::Headers, END_STREAM, stream, &request(path));
}

/// Goes on with it by `fields` fields.
pub(super) fn continued(bytes: &mut BytesMut, stream: u32, fields: usize) {
    let mut block = BytesMut::new();
    for _ in 0..fields {
        // A literal field that no table keeps, with a name that no table has.
        block.put_u8(0);
        text(&mut block, "x-flood");
        text(&mut block, &"x".repeat(100));
    }
    frame(bytes, Kind::Continuation, 0, stream, &block);
}

/// A header block in HPACK (RFC 7541): `POST` by `http`, for `path`.
fn request(path: &str) -> BytesMut {
    let mut block = BytesMut::from(&[0x83, 0x86][..]);
    block.put_u8(0x04);
    text(&mut block, path);
    block.put_u8(0x01);
    text(&mut block, "localhost");
    block
}

/// A string of at most 126 bytes, not by Huffman.
fn text(block: &mut BytesMut, text: &str) {
    debug_assert!(text.len() < 127);
    block.put_u8(text.len() as u8);
    block.put_slice(text.as_bytes());
}

fn frame(bytes: &mut BytesMut, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind as u8);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
}

/// What a server said: the error of its `GOAWAY`, or that it speaks no HTTP/2.
pub(super) fn farewell(mut received: &[u8]) -> Option<String> {
    if received.starts_with(b"HTTP/1.1") {
        return Some("no HTTP/2 here".to_owned());
    }
    while let Some((head, rest)) = received.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, rest) = rest.split_at_checked(length)?;
        if head[3] == Kind::GoAway as u8 && payload.len() >= 8 {
            return Some(match payload[7] {
                11 => "`GOAWAY` `ENHANCE_YOUR_CALM`".to_owned(),
                1 => "`GOAWAY` `PROTOCOL_ERROR`".to_owned(),
                error => format!("`GOAWAY` with error {error}"),
            });
        }
        received = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farewell_is_found_after_other_frames() {
        let mut bytes = BytesMut::new();
        frame(&mut bytes, Kind::Settings, 0, 0, &[0; 6]);
        frame(&mut bytes, Kind::GoAway, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]);
        assert_eq!(farewell(&bytes).as_deref(), Some("`GOAWAY` `ENHANCE_YOUR_CALM`"));
        assert_eq!(farewell(&bytes[..20]), None);
        assert_eq!(farewell(b"HTTP/1.1 400 Bad Request\r\n").as_deref(), Some("no HTTP/2 here"));
    }

    #[test]
    fn a_frame_has_its_length_first() {
        let mut bytes = BytesMut::new();
        opened_and_reset(&mut bytes, 3, "/x");
        assert_eq!(bytes[..9], [0, 0, 17, 1, 5, 0, 0, 0, 3]);
        assert_eq!(bytes[bytes.len() - 13..], [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8]);
    }
}
