//! What is sent and what comes back.

use super::*;

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
    request.headers.insert(EXPECT, "100-continue".parse().unwrap());
    let answer = Client::new(&loopback()).send(request).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.body[..], answer.truncated), (418, &b"not gzip"[..], false));
    assert_eq!(answer.headers["x-a"], "1");
    assert!(answer.timings.first_byte_ms <= answer.timings.total_ms);
    let head = receiver.heads.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", receiver.address)), "{head}");
    assert!(head.contains("\r\nx-b: 2\r\n") && head.contains("\r\ncontent-length: 5\r\n"), "{head}");
    assert!(!head.contains("accept-encoding") && !head.contains("expect"), "{head}");
    assert_eq!((answer.version, answer.remote), (Version::HTTP_11, Some(receiver.address)));
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
