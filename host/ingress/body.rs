//! The raw body, as it is encoded, up to a cap, within a time.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::problem::{Problem, kind};

/// A body of at most so many bytes is copied out of its connection's buffer. It is kept until its execution is recorded, and
/// until then the connection could not use the buffer again, which is many times as large.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// Reads a body. Too long a one is refused as soon as that is known: by its `content-length`, or at the first byte too
/// many.
pub(super) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, time: Duration) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(&kind::BODY_TOO_LARGE, format!("the body has more than {bytes_max} bytes"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(time, Limited::new(body, bytes_max).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(owned(body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(Problem::new(&kind::MALFORMED_BODY, format!("the body ended early{cause}")))
        }
        Err(_) => {
            Err(Problem::new(&kind::BODY_TIMEOUT, format!("the body did not arrive within {} ms", time.as_millis())))
        }
    }
}

fn owned(body: Bytes) -> Bytes {
    if body.len() <= COPIED_BYTES_MAX { Bytes::copy_from_slice(&body) } else { body }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn slug(headers: &[(&'static str, &'static str)], body: Body) -> &'static str {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        read(&headers, body, 10, Duration::from_millis(50)).await.unwrap_err().kind().slug
    }

    #[tokio::test]
    async fn a_body_is_refused_for_its_length_as_soon_as_that_is_known() {
        let endless = || Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"x"))));
        assert_eq!(slug(&[("content-length", "11")], Body::empty()).await, "body-too-large");
        assert_eq!(slug(&[], endless()).await, "body-too-large");
    }

    #[tokio::test]
    async fn a_small_body_keeps_no_buffer() {
        let buffer = Bytes::from(vec![b'x'; 1 << 10]);
        let body = Body::from(buffer.slice(..7));
        let read = read(&HeaderMap::new(), body, 10, Duration::from_secs(5)).await.unwrap();
        assert_eq!(read, "xxxxxxx");
        assert!(buffer.is_unique(), "nothing else holds the buffer");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(slug(&[], silent).await, "body-timeout");
        let cut = Body::from_stream(stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("reset"))]));
        assert_eq!(slug(&[], cut).await, "malformed-body");
    }
}
