//! Certificates, theirs and ours.

use rcgen::date_time_ymd;

use super::server::{pem, serving};
use super::*;

/// A client for which every name is on the loopback interface.
fn trusting(ca: &Ca) -> Client {
    resolving(&ca.trusted(), |_| vec!["127.0.0.1"])
}

#[tokio::test]
async fn the_other_side_chooses_the_version() {
    let ca = Ca::new();
    let client = trusting(&ca);
    for (alpn, version) in
        [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11), (&[], Version::HTTP_11)]
    {
        let server = Server::telling_its_version(Some(ca.server("receiver.example", alpn, None))).await;
        let answer = client.send(post(&server.url("https", "receiver.example"), 5_000)).await.unwrap();
        assert_eq!((answer.version, &answer.body[..]), (version, format!("{version:?}").as_bytes()));
        assert_eq!(answer.remote, Some(server.address));
    }
}

#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let ca = Ca::new();
    let server = Server::telling_its_version(Some(ca.server("127.0.0.1", &["h2"], None))).await;
    let answer = Client::new(&ca.trusted()).send(post(&server.url("https", "127.0.0.1"), 5_000)).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let (ca, other) = (Ca::new(), Ca::new());
    let expired = ca.issue("receiver.example", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = ca.issue("receiver.example", |params| params.not_before = date_time_ymd(4000, 1, 1));
    let elsewhere = ca.issue("elsewhere.example", |_| {});
    let foreign = other.issue("receiver.example", |_| {});
    for (pair, words) in [
        (expired, "the certificate has expired"),
        (early, "the certificate is not valid yet"),
        (elsewhere, "the certificate is not for `receiver.example` but for DnsName(\"elsewhere.example\")"),
        (foreign, "of an authority that is not trusted; an operator can add one by `egress.ca_file`"),
    ] {
        let server = Server::telling_its_version(Some(serving(pair, &["h2"], None))).await;
        let error = trusting(&ca).send(post(&server.url("https", "receiver.example"), 5_000)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(
            (error.kind(), error.phase(), error.unsent(), error.is_local()),
            (Kind::Tls, Phase::Tls, true, false)
        );
        assert_eq!(error.remote(), Some(server.address));
    }
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let (ca, clients, strangers) = (Ca::new(), Ca::new(), Ca::new());
    let client = trusting(&ca);
    for alpn in ["h2", "http/1.1"] {
        let server = Server::telling_its_version(Some(ca.server("receiver.example", &[alpn], Some(&clients)))).await;
        let url = server.url("https", "receiver.example");
        let known = Request { identity: Some(clients.identity()), ..post(&url, 5_000) };
        assert_eq!(client.send(known).await.unwrap().status, 200);

        // The connection of the one who is known is no use to one who is not.
        let error = client.send(post(&url, 5_000)).await.unwrap_err();
        assert_eq!(error.to_string(), "no secure connection: the other side demands a client certificate", "{alpn}");
        assert_eq!((error.kind(), error.is_local()), (Kind::Tls, false));
        let stranger = Request { identity: Some(strangers.identity()), ..post(&url, 5_000) };
        let error = client.send(stranger).await.unwrap_err();
        assert!(error.to_string().contains("does not accept our client certificate (UnknownCA)"), "{alpn}: {error}");
        assert_eq!(error.kind(), Kind::Tls);
    }
}

#[tokio::test]
async fn connections_are_shared_by_one_identity_only() {
    let ca = Ca::new();
    let server = Server::telling_its_version(Some(ca.server("receiver.example", &["h2"], Some(&ca)))).await;
    let client = trusting(&ca);
    let (one, other) = (ca.identity(), ca.identity());
    for (identity, connections) in [(&one, 1), (&one, 1), (&other, 2), (&one, 2)] {
        let url = server.url("https", "receiver.example");
        let request = Request { identity: Some(identity.clone()), ..post(&url, 5_000) };
        assert_eq!(client.send(request).await.unwrap().status, 200);
        assert_eq!(server.connected(), connections);
    }
}

#[tokio::test]
async fn what_is_no_tls_is_said() {
    let plain = Receiver::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone_address = gone.local_addr().unwrap();
    tokio::spawn(async move { while gone.accept().await.is_ok() {} });
    for (address, words) in [(plain.address, "does not speak TLS"), (gone_address, "")] {
        // The plain one waits for the end of a head, which in what a TLS client says does not come.
        let speaks_first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = if words.is_empty() { address } else { speaks_first.local_addr().unwrap() };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = speaks_first.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                let _ = stream.read_u8().await;
            }
        });
        let error = Client::new(&loopback()).send(post(&format!("https://{target}/"), 5_000)).await.unwrap_err();
        assert!(error.kind() == Kind::Tls && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_is_over_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let options = Options { connect_ms_max: 100, ..loopback() };
    let error = Client::new(&options).send(post(&url, 5_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "no secure connection within 100 ms");
    assert_eq!((error.kind(), error.phase(), error.unsent()), (Kind::Timeout, Phase::Tls, true));
    let timings = error.timings();
    assert!(timings.tls_ms >= 50 && timings.total_ms >= 100 && timings.first_byte_ms == 0, "{timings:?}");
}

#[test]
fn what_is_wrong_with_an_identity_is_said() {
    let ca = Ca::new();
    let ((certificate, key), (_, other)) = (ca.issue("a.example", |_| {}), ca.issue("b.example", |_| {}));
    let chain = pem("CERTIFICATE", &certificate);
    let key = pem("PRIVATE KEY", key.secret_der());
    let other = pem("PRIVATE KEY", other.secret_der());
    for (chain, key, words) in [
        ("", &key[..], "the certificate chain has no `-----BEGIN CERTIFICATE-----`"),
        (&key, &key, "the certificate chain has no `-----BEGIN CERTIFICATE-----`"),
        (&chain, &chain, "the private key is not PEM, or of another kind"),
        (&chain, &other, "the private key does not belong to the first certificate of the chain"),
        (&chain, &pem("ENCRYPTED PRIVATE KEY", b"x"), "the private key is encrypted; give it without a passphrase"),
        (&chain, &pem("PRIVATE KEY", b"x"), "the private key is of a kind that is not supported; allowed: ECDSA, "),
        (&pem("CERTIFICATE", b"x"), &key, "the certificate chain is not valid: "),
    ] {
        let error = Identity::from_pem(chain, key).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    let (one, same) = (Identity::from_pem(&chain, &key).unwrap(), Identity::from_pem(&chain, &key).unwrap());
    assert!(one == same && one != ca.identity());
    assert_eq!(format!("{one:?}"), "Identity");
}
