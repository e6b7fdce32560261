//! Server-Sent Events, from bytes that may be cut anywhere.
//!
//! The format is WHATWG HTML §9.2.6 (read 2026-11). Only `data` counts here: both providers repeat the event's name in it.

use bytes::BytesMut;

/// Bytes of one event; more is no chunk of a reply.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Cuts a stream of bytes into the data of events.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: BytesMut,
    /// The lines of `data` of the event that is coming.
    data: String,
}

/// An event that is too long, or not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Events {
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The data of the next whole event.
    pub(super) fn next(&mut self) -> Result<Option<String>, Malformed> {
        while let Some(line) = self.line() {
            let line = str::from_utf8(&line).map_err(|_| Malformed)?;
            if line.is_empty() {
                if !self.data.is_empty() {
                    return Ok(Some(std::mem::take(&mut self.data)));
                }
                continue;
            }
            let Some(data) = line.strip_prefix("data:") else { continue };
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            if self.data.len() > EVENT_BYTES_MAX {
                return Err(Malformed);
            }
        }
        if self.bytes.len() > EVENT_BYTES_MAX { Err(Malformed) } else { Ok(None) }
    }

    /// What stands at the end without the blank line that should follow it, as some servers leave it.
    pub(super) fn rest(&mut self) -> Result<Option<String>, Malformed> {
        self.push(b"\n\n");
        self.next()
    }

    /// A line without its end, which is LF, CR LF or CR.
    fn line(&mut self) -> Option<BytesMut> {
        let end = memchr::memchr2(b'\n', b'\r', &self.bytes)?;
        let long = match self.bytes[end..] {
            [b'\r', b'\n', ..] => 2,
            // An LF may follow in the next piece; until then it is not known where the line ends.
            [b'\r'] => return None,
            _ => 1,
        };
        let line = self.bytes.split_to(end);
        let _ = self.bytes.split_to(long);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        "\u{feff}: hello\r\n\r\nevent: a\ndata: {\"x\":\ndata:1}\n\n\n\ndata: ä🦀\r\rid: 3\ndata\n\ndata: [DONE]";
    const DATA: [&str; 3] = ["{\"x\":\n1}", "ä🦀", "[DONE]"];

    fn all(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for piece in pieces {
            events.push(&piece);
            while let Some(data) = events.next().unwrap() {
                found.push(data);
            }
        }
        found.extend(events.rest().unwrap());
        found
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let bytes = STREAM.as_bytes();
        for size in 1..bytes.len() {
            assert_eq!(all(bytes.chunks(size).map(<[u8]>::to_vec)), DATA, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_has_an_end() {
        let mut events = Events::default();
        events.push(&vec![b'x'; EVENT_BYTES_MAX + 1]);
        assert_eq!(events.next(), Err(Malformed));
        let mut events = Events::default();
        events.push(b"data: \xff\n\n");
        assert_eq!(events.next(), Err(Malformed));
    }
}
