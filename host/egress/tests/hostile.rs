//! Receivers that mean no good, or are no receivers.

use super::*;

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
    assert!(matches!(error.cause(), Cause::Timeout { phase: Phase::Body, .. }), "{error}");
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
    assert!(matches!(error.cause(), Cause::Timeout { phase: Phase::Answer, .. }), "{error}");
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
    let chunks = Receiver::saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&loopback());
    for (url, kind, unsent) in [
        (hang_up.url(), Kind::Closed, false),
        (half.url(), Kind::Body, false),
        (noise.url(), Kind::Protocol, false),
        (chunks.url(), Kind::Body, false),
        (format!("http://{nobody}/"), Kind::Connect, true),
    ] {
        let error = client.send(post(&url, 5_000)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert_eq!((error.retryable(), error.unsent(), error.is_local()), (true, unsent, false), "{error}");
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let lost = resolving(&loopback(), |_| vec![]);
    let error = lost.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "`receiver.example` does not resolve: it has no address");
    assert_eq!((error.kind(), error.remote()), (Kind::Dns, None));
}

#[tokio::test]
async fn a_head_is_bounded() {
    let endless = Receiver::start(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(b"x-more: and more and more and more and more\r\n").await.is_ok() {}
    })
    .await;
    let error = Client::new(&loopback()).send(post(&endless.url(), 20_000)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error}");

    let ca = Ca::new();
    let tls = Some(ca.server("receiver.example", &["h2"], None));
    let server = Server::start(tls, |_| {
        let long = "x".repeat(HEAD_BYTES_MAX);
        http::Response::builder().header("x-long", long).body(Bytes::new().into()).unwrap()
    })
    .await;
    let client = resolving(&ca.trusted(), |_| vec!["127.0.0.1"]);
    let error = client.send(post(&server.url("https", "receiver.example"), 20_000)).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Protocol | Kind::Closed), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_final_are_passed_over() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let receiver = Receiver::saying(early).await;
    let answer = Client::new(&loopback()).send(post(&receiver.url(), 5_000)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));

    let never_final = Receiver::start(|mut stream| async move {
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let error = Client::new(&loopback()).send(post(&never_final.url(), 200)).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 200 ms");

    let switching = Receiver::saying("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n\r\n").await;
    let answered = Client::new(&loopback()).send(post(&switching.url(), 5_000)).await;
    assert!(answered.is_err() || answered.is_ok_and(|answer| answer.status == 101));
}

#[tokio::test]
async fn a_huge_answer_of_http2_is_cut_and_leaves_the_connection() {
    let ca = Ca::new();
    let tls = Some(ca.server("receiver.example", &["h2"], None));
    let server = Server::start(tls, |_| server::Reply::new(vec![b'x'; 100 << 20].into())).await;
    let client = resolving(&ca.trusted(), |_| vec!["127.0.0.1"]);
    let url = server.url("https", "receiver.example");
    for nth in 0..3 {
        let answer = client.send(post(&url, 20_000)).await.unwrap();
        assert_eq!((answer.body.len(), answer.truncated, answer.timings.reused), (1_000, true, nth > 0));
    }
    assert_eq!(server.connected(), 1);
}
