//! Requests to real receivers on the loopback interface, which the tests' policy allows unless they are about the policy.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A receiver that answers every connection by `answer`, after it has read the head of the request.
struct Receiver {
    address: SocketAddr,
    /// The heads, in order of arrival.
    heads: mpsc::Receiver<String>,
}

impl Receiver {
    async fn start<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, heads) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = read_until(&mut stream, "\r\n\r\n").await;
                if seen.send(head).await.is_err() {
                    return;
                }
                tokio::spawn(answer(stream));
            }
        });
        Self { address, heads }
    }

    async fn saying(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move { stream.write_all(answer.as_bytes()).await.unwrap() }).await
    }

    fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    fn requests(&mut self) -> usize {
        std::iter::from_fn(|| self.heads.try_recv().ok()).count()
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        match stream.read_u8().await {
            Ok(byte) => text.push(char::from(byte)),
            Err(_) => break,
        }
    }
    text
}

fn loopback() -> Options {
    Options { allow: vec!["127.0.0.0/8".parse().unwrap()], answer_bytes_max: 1_000, ..Options::default() }
}

fn post(url: &str, deadline_ms: u64) -> Request {
    Request {
        method: Method::POST,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: "hello".into(),
        deadline: Duration::from_millis(deadline_ms),
    }
}

/// A client for which every name has the addresses that `addresses` gives at the nth asking.
fn resolving(options: &Options, addresses: fn(usize) -> Vec<&'static str>) -> Client {
    let asked = AtomicUsize::new(0);
    let resolve: Resolve = Arc::new(move |_, port| {
        let found = addresses(asked.fetch_add(1, Ordering::SeqCst));
        let found = found.into_iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        async move { Ok(found) }.boxed()
    });
    Client::resolving(Policy::new(options), options, resolve)
}

fn named(receiver: &Receiver) -> String {
    format!("http://receiver.example:{}/", receiver.address.port())
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let mut receiver = Receiver::saying(
        "HTTP/1.1 418 Teapot\r\ncontent-encoding: gzip\r\nx-a: 1\r\ncontent-length: 8\r\nconnection: close\r\n\r\nnot gzip",
    )
    .await;
    let mut request = post(&receiver.url(), 5_000);
    request.headers.insert("x-b", "2".parse().unwrap());
    request.headers.insert(HOST, "other.example".parse().unwrap());
    request.headers.insert(CONTENT_LENGTH, "1".parse().unwrap());
    let answer = Client::new(&loopback()).send(request).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..], answer.truncated), (418, &b"not gzip"[..], false));
    assert_eq!(answer.headers["x-a"], "1");
    assert!(answer.timings.first_byte_ms <= answer.timings.total_ms);
    let head = receiver.heads.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", receiver.address)), "{head}");
    assert!(head.contains("\r\nx-b: 2\r\n") && head.contains("\r\ncontent-length: 5\r\n"), "{head}");
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn loopback_is_refused_by_default() {
    let mut receiver = Receiver::saying(OK).await;
    let error = Client::new(&Options::default()).send(post(&receiver.url(), 5_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Address { .. })), "{error}");
    assert!(!error.retryable() && error.unsent());
    let localhost = format!("http://localhost:{}/", receiver.address.port());
    let error = Client::new(&Options::default()).send(post(&localhost, 5_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Address { what: "loopback", .. })), "{error}");
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test]
async fn one_bad_address_of_a_name_spoils_the_others() {
    let client = resolving(&Options::default(), |_| vec!["93.184.215.14", "::ffff:127.0.0.1"]);
    let error = client.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Address { what: "loopback", .. })), "{error}");
}

#[tokio::test]
async fn a_name_that_moves_inside_is_refused_at_the_second_connection() {
    let mut receiver = Receiver::saying(OK).await;
    let options = Options { allow: vec!["127.0.0.1/32".parse().unwrap()], ..loopback() };
    let client = resolving(&options, |nth| vec![if nth == 0 { "127.0.0.1" } else { "127.0.0.2" }]);
    assert_eq!(client.send(post(&named(&receiver), 5_000)).await.unwrap().status, 200);
    let error = client.send(post(&named(&receiver), 5_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Address { .. })), "{error}");
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn an_allowed_name_may_be_inside() {
    let receiver = Receiver::saying(OK).await;
    let options = Options { allow_hosts: vec!["*.example".to_owned()], ..Options::default() };
    let client = resolving(&options, |_| vec!["127.0.0.1"]);
    assert_eq!(client.send(post(&named(&receiver), 5_000)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_dead_address_leaves_time_for_a_live_one() {
    let receiver = Receiver::saying(OK).await;
    let client = resolving(&loopback(), |_| vec!["127.255.255.254", "127.0.0.1"]);
    assert_eq!(client.send(post(&named(&receiver), 5_000)).await.unwrap().status, 200);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mut receiver =
        Receiver::saying("HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    let answer = Client::new(&loopback()).send(post(&receiver.url(), 5_000)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (307, "/elsewhere"));
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn a_dripping_answer_meets_the_total_deadline() {
    let receiver = Receiver::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = Client::new(&loopback()).send(post(&receiver.url(), 300)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: Phase::Body, .. }), "{error}");
    assert_eq!(error.to_string(), "no complete answer within 300 ms");

    let hurried = Options { total_ms_max: 200, ..loopback() };
    let error = Client::new(&hurried).send(post(&receiver.url(), 60_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "no complete answer within 200 ms");
}

#[tokio::test]
async fn silence_meets_the_total_deadline() {
    let receiver = Receiver::start(|mut stream| async move {
        let _ = stream.read_u8().await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = Client::new(&loopback()).send(post(&receiver.url(), 200)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { phase: Phase::Answer, .. }), "{error}");
    assert!(error.retryable() && !error.unsent());
}

#[tokio::test]
async fn a_huge_answer_is_cut_and_its_connection_closed() {
    let (closed, mut hung_up) = mpsc::channel(1);
    let receiver = Receiver::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let answer = Client::new(&loopback()).send(post(&receiver.url(), 20_000)).await.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (1_000, true));
    hung_up.recv().await.unwrap();
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_not_cut() {
    let receiver = Receiver::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        stream.write_all(&[b'x'; 1000]).await.unwrap();
    })
    .await;
    let answer = Client::new(&loopback()).send(post(&receiver.url(), 5_000)).await.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (1_000, false));
}

#[tokio::test]
async fn every_way_to_fail_has_its_name() {
    let hang_up = Receiver::start(|stream| async move { drop(stream) }).await;
    let half = Receiver::saying("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let noise = Receiver::saying("SSH-2.0-OpenSSH_9.6\r\n").await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_address = plain.local_addr().unwrap();
    tokio::spawn(async move { plain.accept().await.unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await });
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&loopback());
    for (url, variant, unsent) in [
        (hang_up.url(), "Closed", false),
        (half.url(), "Closed", false),
        (noise.url(), "Protocol", false),
        (format!("http://{nobody}/"), "Connect", true),
        (format!("https://{plain_address}/"), "Tls", true),
    ] {
        let error = client.send(post(&url, 5_000)).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(variant), "{url}: {error:?}");
        assert_eq!((error.retryable(), error.unsent()), (true, unsent), "{error}");
    }
    let lost = resolving(&loopback(), |_| vec![]);
    let error = lost.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "`receiver.example` does not resolve: it has no address");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let receiver = Receiver::start(|mut stream| async move {
        let sent = read_until(&mut stream, "0\r\n\r\n").await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", sent.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
    })
    .await;
    let pieces = ["one", "two"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
    let body = Body::stream(stream::iter(pieces), None);
    let client = Client::under(Policy::anywhere(), &Options::default());
    let answer = client.send_streaming(Request { body, ..post(&receiver.url(), 5_000) }).await.unwrap();
    let echoed = answer.body.map(Result::unwrap).collect::<Vec<_>>().await.concat();
    assert_eq!(String::from_utf8(echoed).unwrap(), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_callers_error() {
    let receiver = Receiver::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pieces = [Ok(Bytes::from_static(b"one")), Err(std::io::Error::other("the disk is gone"))];
    let body = Body::stream(stream::iter(pieces), Some(10));
    let error = Client::new(&loopback()).send(Request { body, ..post(&receiver.url(), 5_000) }).await.unwrap_err();
    assert_eq!(error.to_string(), "the request cannot be sent: its body broke off: the disk is gone");
}

#[test]
fn options_are_read_from_text() {
    let options: Options = serde_json::from_str(r#"{"allow":["10.0.0.0/8","fd00::/8"],"connect_ms_max":1}"#).unwrap();
    assert_eq!((options.allow.len(), options.connect_ms_max, options.answer_bytes_max), (2, 1, 65_536));
    assert!(
        serde_json::from_str::<Options>(r#"{"alow":[]}"#).unwrap_err().to_string().contains("unknown field `alow`")
    );
}
