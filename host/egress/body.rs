//! What is sent and what comes back, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::connection::Connection;
use super::pool::Pool;
use super::trace::Trace;
use super::{Cause, Error, Phase, Timings};

/// The body of a request: bytes that are all there, or a stream.
pub struct Body(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream { pieces: BoxStream<'static, std::io::Result<Bytes>>, length: Option<u64> },
}

impl Body {
    /// A body that is made while it is sent. `length` is how long it will be in bytes, if that is known.
    pub fn stream(pieces: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, length: Option<u64>) -> Self {
        Self(Content::Stream { pieces: pieces.boxed(), length })
    }

    /// The same body once more; none if it is made while it is sent.
    pub(super) fn again(&self) -> Option<Self> {
        match &self.0 {
            Content::Whole(bytes) => Some(Self(Content::Whole(bytes.clone()))),
            Content::Stream { .. } => None,
        }
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self(Content::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let piece = match &mut self.0 {
            Content::Whole(bytes) => bytes.take().map(Ok),
            Content::Stream { pieces, .. } => ready!(pieces.poll_next_unpin(cx)),
        };
        let broken = |error: std::io::Error| Cause::Request(format!("its body broke off: {error}"));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Stream { length: Some(length), .. } => SizeHint::with_exact(*length),
            Content::Stream { length: None, .. } => SizeHint::default(),
        }
    }
}

/// The body of an answer as it comes, until its end or the deadline of the request. Dropping it before its end drops the
/// connection, or in HTTP/2 the stream.
pub struct Pieces {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
    after: Duration,
    /// None when the body is at its end and the connection has gone back.
    connection: Option<Connection>,
    pool: Pool,
    trace: Trace,
}

impl Pieces {
    pub(super) fn new(
        body: Incoming,
        deadline: (Pin<Box<Sleep>>, Duration),
        connection: Connection,
        pool: Pool,
        trace: Trace,
    ) -> Self {
        let (deadline, after) = deadline;
        Self { body, deadline, after, connection: Some(connection), pool, trace }
    }

    /// How long it has taken so far.
    pub fn timings(&self) -> Timings {
        self.trace.timings()
    }

    fn end(&mut self) {
        // Others have a shared connection already.
        if let Some(connection) = self.connection.take().filter(|connection| connection.share().is_none()) {
            self.pool.put_when_ready(connection);
        }
    }

    fn broken(&mut self, error: &hyper::Error) -> Error {
        let cause = self.connection.take().map_or_else(|| Cause::of_hyper(error), |open| open.told(error));
        Error::new(cause, &self.trace)
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The deadline comes first: a body that always has one more byte ready must end too.
        if self.deadline.as_mut().poll(cx).is_ready() {
            let late = Cause::Timeout { phase: Phase::Body, after: self.after };
            return Poll::Ready(Some(Err(Error::new(late, &self.trace))));
        }
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => {
                    self.end();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(&error)))),
                // Trailers are of no use to anybody here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
