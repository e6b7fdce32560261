//! What a hook takes of bodies: their types, and their encodings undone.
//!
//! This comes after the proof, since signatures cover the bytes as they came, and since who proves nothing is told nothing.
//! A body is decoded piece by piece up to the hook's cap, so a small one that stands for a huge one costs no more than the
//! cap and the window of its format (32 KiB, 8 MiB for `zstd`, 16 MiB for `br`).

use std::io::{self, BufRead, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::hook::{Encoding, Spec};
use crate::problem::{Problem, kind};
use crate::trigger::Request;

/// What is decoded before others get their turn on the thread.
const PIECE_BYTES: usize = 64 << 10;

/// The window that every decoder of `zstd` in HTTP has to have, and no encoder may exceed (RFC 9659).
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 << 20;

/// The request as its hook's flow takes it: of an allowed type, and without `content-encoding`. Cancel safe.
pub(super) async fn taken(spec: &Spec, mut request: Request) -> Result<Request, Problem> {
    check_type(spec, &request)?;
    if let Some(encoding) = encoding(spec, &request)? {
        request.body = decoded(encoding, &request.body, spec.body_bytes_max).await?;
        request.headers.retain(|header| !matches!(header.name.as_str(), "content-encoding" | "content-length"));
    }
    Ok(request)
}

fn check_type(spec: &Spec, request: &Request) -> Result<(), Problem> {
    let named = request.header("content-type").map(|value| value.split(';').next().unwrap_or("").trim());
    let fits = match named {
        Some(essence) => spec.content_types.iter().any(|kind| kind.includes(essence)),
        None => request.body.is_empty(),
    };
    if fits || spec.content_types.is_empty() {
        return Ok(());
    }
    let what = named.map_or("has no `content-type`".to_owned(), |essence| format!("is `{essence}`"));
    let allowed = spec.content_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Problem::new(&kind::UNSUPPORTED_CONTENT_TYPE, format!("the body {what}; the hook takes {allowed}")))
}

/// How the body is encoded, if it is. One encoding is undone, and not one within another.
fn encoding(spec: &Spec, request: &Request) -> Result<Option<Encoding>, Problem> {
    let fields = request.headers.iter().filter(|header| header.name == "content-encoding");
    let words = fields.flat_map(|header| header.value.split(|byte| *byte == b','));
    let words = words.map(|word| String::from_utf8_lossy(word.trim_ascii()));
    let words = words.filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("identity")).collect::<Vec<_>>();
    let known = match &words[..] {
        [] => return Ok(None),
        [word] => Encoding::named(word).filter(|encoding| spec.content_encodings.contains(encoding)),
        _ => None,
    };
    known.map(Some).ok_or_else(|| {
        let allowed = spec.content_encodings.iter().map(|encoding| format!("as `{}` or ", encoding.name()));
        let detail =
            format!("the body is encoded as `{}`; send it {}as it is", words.join(", "), allowed.collect::<String>());
        Problem::new(&kind::UNSUPPORTED_ENCODING, detail)
    })
}

async fn decoded(encoding: Encoding, body: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let corrupt = |why: &dyn std::fmt::Display| {
        Problem::new(&kind::MALFORMED_BODY, format!("the body is not whole `{}`: {why}", encoding.name()))
    };
    let mut rest = body;
    let mut decoder = decoder(encoding, &mut rest).map_err(|error| corrupt(&error))?;
    let (mut plain, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    loop {
        let length = decoder.read(&mut piece).map_err(|error| corrupt(&error))?;
        if length == 0 {
            break;
        }
        if length > bytes_max - plain.len() {
            let detail = format!("the body has more than {bytes_max} bytes when it is decoded");
            return Err(Problem::new(&kind::BODY_TOO_LARGE, detail));
        }
        plain.extend_from_slice(&piece[..length]);
        tokio::task::yield_now().await;
    }
    // One of the decoders reads ahead, and tells what it has too much only when it is asked once more.
    let ended = decoder.read(&mut piece);
    drop(decoder);
    if ended.is_err() || !rest.is_empty() {
        return Err(corrupt(&"there are bytes after its end"));
    }
    Ok(plain.into())
}

fn decoder<'a>(encoding: Encoding, body: &'a mut &[u8]) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match encoding {
        Encoding::Gzip => Box::new(GzDecoder::new(body)),
        Encoding::Deflate if is_zlib(body) => Box::new(ZlibDecoder::new(body)),
        Encoding::Deflate => Box::new(DeflateDecoder::new(body)),
        Encoding::Br => {
            let mut decoder = Decompressor::new(body, 4096);
            // An extension of the format that HTTP does not have, with windows of up to a GiB.
            decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
            Box::new(decoder)
        }
        Encoding::Zstd => {
            let decoder = StreamingDecoder::new_with_max_window_size(body, ZSTD_WINDOW_BYTES_MAX);
            Box::new(Zstd(decoder.map_err(io::Error::other)?))
        }
    })
}

/// Whether there is the head of RFC 1950, which some senders of `deflate` leave out.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 15 == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

/// A reader of one frame that compares the checksum, which the decoder only computes.
struct Zstd<R: Read>(StreamingDecoder<R, FrameDecoder>);

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(piece)?;
        let told = self.0.decoder.get_checksum_from_data();
        if length == 0 && told.is_some() && told != self.0.decoder.get_calculated_checksum() {
            return Err(io::Error::other("its checksum differs"));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;
    use crate::hook::ENCODINGS;
    use crate::trigger::Header;

    const TEXT: &[u8] = b"{\"message\":\"hi\"}";

    fn spec(members: &str) -> Spec {
        serde_json::from_str(&format!("{{\"auth\":[],\"body_bytes_max\":100000,{members}}}")).unwrap()
    }

    fn request(headers: &[(&str, &str)], body: &[u8]) -> Request {
        let headers =
            headers.iter().map(|(name, value)| Header { name: (*name).into(), value: (*value).to_owned().into() });
        Request { headers: headers.collect(), body: Bytes::copy_from_slice(body), ..Request::default() }
    }

    fn encoded(name: &str, plain: &[u8]) -> Vec<u8> {
        match name {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "zstd" => compress_to_vec(plain, CompressionLevel::Fastest),
            // There is no encoder here; these are the text and the zeros of the tests, by Node's.
            "br" if plain == TEXT => hex::decode("1b0f00f8a545d2f6fa64219568521aa45490edcb").unwrap(),
            _ => hex::decode("9bffff3ff82700e2b14020f7fe07").unwrap(),
        }
    }

    async fn take(name: &str, body: &[u8]) -> Result<Request, Problem> {
        let spec = spec(&format!("\"content_encodings\":[\"{name}\"]"));
        taken(&spec, request(&[("content-encoding", name), ("content-length", "9"), ("x", "y")], body)).await
    }

    #[tokio::test]
    async fn an_allowed_encoding_is_undone_and_its_header_gone() {
        for (name, _) in ENCODINGS {
            let request = take(name, &encoded(name, TEXT)).await.unwrap();
            assert_eq!((&request.body[..], request.headers.len()), (TEXT, 1), "{name}");
        }
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(TEXT).unwrap();
        assert_eq!(take("deflate", &bare.finish().unwrap()).await.unwrap().body, TEXT);
    }

    #[tokio::test]
    async fn a_bomb_goes_off_at_the_cap() {
        for (name, _) in ENCODINGS {
            let bomb = encoded(name, &vec![0; 4 << 20]);
            assert!(bomb.len() < 8192, "{name} {}", bomb.len());
            let problem = take(name, &bomb).await.unwrap_err();
            assert_eq!(problem.detail(), "the body has more than 100000 bytes when it is decoded", "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_changed_or_too_much_is_corrupt() {
        for (name, _) in ENCODINGS {
            let whole = encoded(name, TEXT);
            for cut in 0..whole.len() {
                assert_eq!(take(name, &whole[..cut]).await.unwrap_err().kind().slug, "malformed-body", "{name} {cut}");
            }
            for more in [&b"\0"[..], &whole] {
                let longer = [&whole, more].concat();
                let problem = take(name, &longer).await.unwrap_err();
                assert!(problem.detail().ends_with("there are bytes after its end"), "{}", problem.detail());
            }
        }
        for name in ["gzip", "deflate", "zstd"] {
            let mut changed = encoded(name, TEXT);
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(take(name, &changed).await.unwrap_err().kind().slug, "malformed-body", "{name}");
        }
    }

    #[tokio::test]
    async fn windows_larger_than_http_has_are_refused() {
        // The text by Node's and by Zstandard's own encoder, told to use 2^28, 2^25 and 2^23 bytes.
        for (name, encoded, slug) in [
            ("br", "111c1e00027b226d657373616765223a226869227d03", Some("malformed-body")),
            ("zstd", "28b52ffd04788100007b226d657373616765223a226869227d93080743", Some("malformed-body")),
            ("zstd", "28b52ffd04688100007b226d657373616765223a226869227d93080743", None),
        ] {
            let taken = take(name, &hex::decode(encoded).unwrap()).await;
            assert_eq!(taken.err().map(|problem| problem.kind().slug), slug, "{encoded}");
        }
    }

    #[tokio::test]
    async fn other_encodings_are_refused_with_those_that_are_not() {
        let own = spec("\"content_encodings\":[\"gzip\",\"br\"]");
        for (spec, value, detail) in [
            (&own, "zstd", "the body is encoded as `zstd`; send it as `gzip` or as `br` or as it is"),
            (&own, "gzip, br", "the body is encoded as `gzip, br`; send it as `gzip` or as `br` or as it is"),
            (&spec("\"mode\":\"sync\""), "GZIP", "the body is encoded as `GZIP`; send it as it is"),
        ] {
            let problem = taken(spec, request(&[("content-encoding", value)], TEXT)).await.unwrap_err();
            assert_eq!((problem.kind().slug, problem.detail()), ("unsupported-encoding", detail));
        }
        let twice = request(&[("content-encoding", "gzip"), ("content-encoding", "br")], TEXT);
        assert!(taken(&own, twice).await.is_err());
        assert_eq!(taken(&own, request(&[("content-encoding", "identity")], TEXT)).await.unwrap().body, TEXT);
    }

    #[tokio::test]
    async fn other_types_are_refused_with_those_that_are_not() {
        let spec = spec("\"content_types\":[\"application/json\",\"text/*\"]");
        for allowed in ["application/json; charset=utf-8", "Text/CSV"] {
            assert!(taken(&spec, request(&[("content-type", allowed)], TEXT)).await.is_ok(), "{allowed}");
        }
        assert!(taken(&spec, request(&[], b"")).await.is_ok(), "nothing has no type");
        for (headers, what) in
            [(&[("content-type", "application/xml")][..], "is `application/xml`"), (&[], "has no `content-type`")]
        {
            let problem = taken(&spec, request(headers, TEXT)).await.unwrap_err();
            let detail = format!("the body {what}; the hook takes application/json, text/*");
            assert_eq!((problem.kind().slug, problem.detail()), ("unsupported-content-type", &detail[..]));
        }
    }
}
