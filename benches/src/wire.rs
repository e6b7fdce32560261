//! As much of an HTTP/1.1 client as a measurement needs: a request is bytes that were made before, and an answer is its
//! status and where its body stands.
//!
//! A real client would take as much of its core as the server takes of its own, and then it is the client that is measured.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The bytes of a request. `host` and `content-length` are added to `headers`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat().into()
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Where the body stands in [`Connection::received`].
    body: Range<usize>,
}

/// A connection that is kept open, with one request on its way at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Goes on over a stream that is connected.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream, received: Vec::with_capacity(16 << 10) }
    }

    /// Sends the bytes of one request and reads its answer to the end. Not cancel safe: the connection is then of no use.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let answer = loop {
            self.read().await?;
            if let Some(head) = head(&self.received)? {
                break head.answer()?;
            }
        };
        while self.received.len() < answer.body.end {
            self.read().await?;
        }
        Ok(answer)
    }

    /// Sends the bytes of one request whose answer is a stream, and reads it to the end. Returns the status, and when the
    /// first of the body came. Not cancel safe, as [`Connection::call`].
    pub async fn follow(&mut self, request: &[u8]) -> io::Result<(u16, Instant)> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let mut first = None;
        loop {
            self.read().await?;
            let Some(head) = head(&self.received)? else { continue };
            let body = &self.received[head.begin..];
            if !body.is_empty() {
                first.get_or_insert_with(Instant::now);
            }
            let whole = head.length.map_or(body.ends_with(LAST_CHUNK), |length| body.len() >= length);
            if whole {
                return Ok((head.status, first.unwrap_or_else(Instant::now)));
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }

    /// Whether the answer that came last has a header of this name, which is in lowercase.
    pub fn has_header(&self, name: &str, answer: &Answer) -> bool {
        let head = String::from_utf8_lossy(&self.received[..answer.body.start]).to_ascii_lowercase();
        head.lines().any(|line| line.split_once(':').is_some_and(|(own, _)| own == name))
    }

    /// The body of the answer that came last.
    pub fn body(&self, answer: &Answer) -> &[u8] {
        &self.received[answer.body.clone()]
    }
}

/// How a body ends whose length was not known at its beginning: no text event has these lines in it.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// What stands before a body.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    begin: usize,
    /// How long it is; none where it comes in chunks.
    length: Option<usize>,
}

impl Head {
    fn answer(self) -> io::Result<Answer> {
        let length = self.length.ok_or_else(|| foreign("an answer without a content-length"))?;
        Ok(Answer { status: self.status, body: self.begin..self.begin + length })
    }
}

fn foreign(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the head of an answer; none while it is not whole.
fn head(received: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&received[..end]).map_err(|_| foreign("a head that is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| foreign("an answer without a status"))?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some(Head { status, begin: end + 4, length: length.or((status == 204).then_some(0)) }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello";
        let answer = head(whole).unwrap().unwrap().answer().unwrap();
        assert_eq!((answer.status, &whole[answer.body]), (202, &b"hello"[..]));
        assert_eq!(head(&whole[..30]).unwrap(), None);
    }

    #[test]
    fn an_answer_of_unknown_length_is_not_guessed() {
        let answer = |received| head(received).unwrap().unwrap().answer();
        assert!(answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, 204);
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_last_chunk() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for part in ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "3\r\none\r\n", "0\r\n", "\r\n"] {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
        };
        let read = async {
            let mut connection = Connection::open(address).await.unwrap();
            assert_eq!(connection.follow(b"").await.unwrap().0, 200);
            assert_eq!(connection.follow(b"").await.unwrap().0, 429);
        };
        tokio::join!(serve, read);
    }
}
