//! Connections that are used again, and those that are not.

use std::io::{Read as _, Write as _};
use std::sync::mpsc::sync_channel;

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::telling_its_version(None).await;
    let client = Client::new(&loopback());
    let url = server.url("http", "127.0.0.1");
    let first = client.send(post(&url, 5_000)).await.unwrap();
    assert!(!first.timings.reused);
    let second = until(&client, &url, |answer| answer.timings.reused).await;
    let Timings { dns_ms, connect_ms, tls_ms, .. } = second.timings;
    assert_eq!((dns_ms, connect_ms, tls_ms, second.remote), (0, 0, 0, Some(server.address)));
}

#[tokio::test]
async fn requests_share_a_connection_in_http2() {
    let ca = Ca::new();
    let server = Server::telling_its_version(Some(ca.server("receiver.example", &["h2"], None))).await;
    let client = resolving(&ca.trusted(), |_| vec!["127.0.0.1"]);
    let url = server.url("https", "receiver.example");
    assert!(!client.send(post(&url, 5_000)).await.unwrap().timings.reused);
    let answers = join_all((0..50).map(|_| client.send(post(&url, 5_000)))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().timings.reused));
    assert_eq!(server.connected(), 1);
}

#[tokio::test]
async fn of_connections_that_can_be_shared_one_is_kept() {
    let ca = Ca::new();
    let server = Server::telling_its_version(Some(ca.server("receiver.example", &["h2"], None))).await;
    let client = resolving(&ca.trusted(), |_| vec!["127.0.0.1"]);
    let url = server.url("https", "receiver.example");
    for answer in join_all((0..5).map(|_| client.send(post(&url, 5_000)))).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(server.connected(), 5);
    server.until_open(1).await;
    assert!(client.send(post(&url, 5_000)).await.unwrap().timings.reused);
}

#[tokio::test]
async fn another_port_or_host_is_another_connection() {
    let (one, other) = (Server::telling_its_version(None).await, Server::telling_its_version(None).await);
    let client = resolving(&loopback(), |_| vec!["127.0.0.1"]);
    for (server, host) in [(&one, "a.example"), (&other, "a.example"), (&one, "b.example")] {
        assert!(!client.send(post(&server.url("http", host), 5_000)).await.unwrap().timings.reused);
    }
    assert_eq!((one.connected(), other.connected()), (2, 1));
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let server = Server::telling_its_version(None).await;
    let client = Client::new(&Options { idle_ms_max: 50, ..loopback() });
    client.send(post(&server.url("http", "127.0.0.1"), 5_000)).await.unwrap();
    server.until_open(0).await;
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let server = Server::telling_its_version(None).await;
    let client = Client::new(&Options { connection_ms_max: 0, ..loopback() });
    for nth in 1..=3 {
        client.send(post(&server.url("http", "127.0.0.1"), 5_000)).await.unwrap();
        assert_eq!(server.connected(), nth);
    }
}

#[tokio::test]
async fn idle_connections_are_bounded_for_a_target_and_in_all() {
    let server = Server::telling_its_version(None).await;
    for (options, open) in [
        (Options { idle_connections_max: 2, ..loopback() }, 2),
        (Options { idle_total_max: 3, ..loopback() }, 3),
        (Options { idle_connections_max: 0, ..loopback() }, 0),
    ] {
        let client = resolving(&options, |_| vec!["127.0.0.1"]);
        let urls: Vec<_> = ["a", "a", "a", "a", "b", "c"].map(|host| server.url("http", host)).into();
        let urls = if open == 2 { &urls[..4] } else { &urls[..] };
        for answer in join_all(urls.iter().map(|url| client.send(post(url, 5_000)))).await {
            answer.unwrap();
        }
        server.until_open(open).await;
        drop(client);
        server.until_open(0).await;
    }
}

/// The server is a thread of its own, so that the client cannot notice the end of its connection before it uses it.
#[tokio::test]
async fn a_connection_that_has_ended_unnoticed_is_not_used() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, close) = sync_channel(0);
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"hello") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            closed.send(()).unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let client = Client::new(&loopback());
    let url = format!("http://{address}/");
    client.send(post(&url, 5_000)).await.unwrap();
    close.recv().unwrap();
    close.recv().unwrap();
    let answer = client.send(post(&url, 5_000)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.timings.reused), (200, false));
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again() {
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = heads.clone();
    let receiver = Receiver::start(move |mut stream| {
        let counted = counted.clone();
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            read_until(&mut stream, "hello").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            // The second request is read and not answered.
            read_until(&mut stream, "hello").await;
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let client = Client::new(&loopback());
    client.send(post(&receiver.url(), 5_000)).await.unwrap();
    let error = client.send(post(&receiver.url(), 5_000)).await.unwrap_err();
    assert_eq!((error.kind(), error.unsent(), error.timings().reused), (Kind::Closed, false, true), "{error}");
    assert_eq!(heads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_that_a_connection_did_not_take_comes_back() {
    let (ours, theirs) = tokio::io::duplex(1_024);
    let target = Target::of(&Url::parse("http://receiver.example/").unwrap(), None).unwrap();
    let mut connection = Connection::http1(&target, ours, Arc::default(), None).await.unwrap();
    assert!(connection.ready().await);
    drop(theirs);
    while connection.is_ready() {
        tokio::task::yield_now().await;
    }
    let outgoing = prepare(post("http://receiver.example/", 5_000)).unwrap();
    let unanswered = connection.send(outgoing).await.unwrap_err();
    let again = unanswered.unsent.expect("nothing was sent");
    assert!(matches!(unanswered.cause, Cause::Closed(_)), "{:?}", unanswered.cause);
    assert_eq!(again.request.method(), Method::POST);
}
