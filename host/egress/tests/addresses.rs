//! Where a request may go, and to which of several addresses it does.

use tokio::net::TcpSocket;

use super::*;

#[tokio::test]
async fn loopback_is_refused_by_default() {
    let mut receiver = Receiver::saying(OK).await;
    let error = Client::new(&Options::default()).send(post(&receiver.url(), 5_000)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Refused(Refusal::Address { .. })), "{error}");
    assert!(!error.retryable() && error.unsent());
    let localhost = format!("http://localhost:{}/", receiver.address.port());
    let error = Client::new(&Options::default()).send(post(&localhost, 5_000)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Refused(Refusal::Address { what: "loopback", .. })), "{error}");
    assert_eq!(receiver.requests(), 0);
}

#[tokio::test]
async fn one_bad_address_of_a_name_spoils_the_others() {
    let client = resolving(&Options::default(), |_| vec!["93.184.215.14", "::ffff:127.0.0.1"]);
    let error = client.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Refused(Refusal::Address { what: "loopback", .. })), "{error}");
}

#[tokio::test]
async fn a_name_that_moves_inside_is_refused_at_the_second_connection() {
    let mut receiver = Receiver::saying(OK).await;
    let options = Options { allow: vec!["127.0.0.1/32".parse().unwrap()], ..loopback() };
    let client = resolving(&options, |nth| vec![if nth == 0 { "127.0.0.1" } else { "127.0.0.2" }]);
    assert_eq!(client.send(post(&named(&receiver), 5_000)).await.unwrap().status, 200);
    let error = client.send(post(&named(&receiver), 5_000)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Refused(Refusal::Address { .. })), "{error}");
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

/// An address at `port` whose connections are neither taken nor refused: so many wait already that the system drops more.
async fn hanging(ip: &str, port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse().unwrap(), port)).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    let connect = || TcpStream::connect(listener.local_addr().unwrap());
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), connect()).await {
        waiting.push(connected.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn an_address_that_hangs_costs_only_its_head_start() {
    let receiver = Receiver::saying(OK).await;
    let _hanging = hanging("127.0.0.2", receiver.address.port()).await;
    let client = resolving(&loopback(), |_| vec!["127.0.0.2", "127.0.0.1"]);
    let answer = client.send(post(&named(&receiver), 5_000)).await.unwrap();
    assert_eq!(answer.remote, Some(receiver.address));
    assert!((200..2_000).contains(&answer.timings.connect_ms), "{:?}", answer.timings);
}

#[tokio::test]
async fn a_connection_that_is_not_answered_is_over_in_time() {
    let (listener, _waiting) = hanging("127.0.0.1", 0).await;
    let options = Options { connect_ms_max: 100, ..loopback() };
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = Client::new(&options).send(post(&url, 5_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection within 100 ms");
    assert_eq!((error.kind(), error.phase(), error.is_local()), (Kind::Timeout, Phase::Connect, false));
    assert!(error.unsent() && error.retryable() && error.timings().connect_ms >= 50);
}

#[tokio::test]
async fn a_resolver_that_is_silent_is_told_from_a_receiver_that_is() {
    let options = Options { connect_ms_max: 50, ..loopback() };
    let silent: Resolve = Arc::new(|_, _| std::future::pending().boxed());
    let client = Client::resolving(Policy::new(&options), &options, silent);
    let error = client.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
    assert_eq!((error.to_string(), error.phase()), ("no address of the name within 50 ms".to_owned(), Phase::Resolve));
    assert!(error.timings().dns_ms >= 25);
}

#[tokio::test]
async fn families_take_turns() {
    let addresses = ["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[1::]:1"].map(|address| address.parse().unwrap());
    let turns = dial::interleaved(addresses.to_vec()).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(turns, ["1.1.1.1:1", "[1::]:1", "2.2.2.2:1", "3.3.3.3:1"]);
    assert_eq!(dial::interleaved(Vec::new()), []);
}

#[tokio::test]
async fn connections_come_from_the_addresses_that_are_bound_in_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let bind = ["127.0.0.2", "::1", "127.0.0.3"].map(|ip| ip.parse().unwrap()).to_vec();
    let client = Client::new(&Options { bind, ..loopback() });
    let mut from = Vec::new();
    for _ in 0..3 {
        let (_, (mut stream, peer)) = tokio::join!(async { client.send(post(&url, 5_000)).await.map(|_| ()) }, async {
            let (mut stream, peer) = listener.accept().await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            (stream, peer)
        });
        stream.shutdown().await.unwrap_or_default();
        from.push(peer.ip().to_string());
    }
    assert_eq!(from, ["127.0.0.2", "127.0.0.3", "127.0.0.2"]);
}

#[tokio::test]
async fn what_this_host_lacks_is_not_the_receivers_fault() {
    let receiver = Receiver::saying(OK).await;
    for (bind, words) in [
        ("::1", "this host cannot send: `egress.bind` has no IPv4 address"),
        ("203.0.113.7", "this host cannot send: "),
    ] {
        let client = Client::new(&Options { bind: vec![bind.parse().unwrap()], ..loopback() });
        let error = client.send(post(&receiver.url(), 5_000)).await.unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(
            (error.kind(), error.is_local(), error.unsent(), error.retryable()),
            (Kind::Local, true, true, true)
        );
    }
    for (errno, local) in [(24, true), (23, true), (101, true), (99, true), (13, true), (111, false), (113, false)] {
        let error = std::io::Error::from_raw_os_error(errno);
        assert_eq!(Cause::of_this_host(&error).is_some(), local, "{error}");
    }
}

#[tokio::test]
async fn what_the_receiver_does_outweighs_what_this_host_lacks() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let bind = vec!["127.0.0.1".parse().unwrap()];
    let options =
        Options { allow: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], bind, ..loopback() };
    for addresses in [(|_| vec!["127.0.0.1", "::1"]) as fn(usize) -> Vec<&'static str>, |_| vec!["::1", "127.0.0.1"]] {
        let client = resolving(&options, addresses);
        let error = client.send(post(&format!("http://receiver.example:{}/", nobody.port()), 5_000)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_local()), (Kind::Connect, false), "{error}");
    }
}

#[tokio::test]
async fn names_that_are_addresses_in_disguise_are_refused() {
    let client = resolving(&Options::default(), |_| vec!["127.0.0.1"]);
    for url in ["http://127.0.0.1.nip.io/", "http://localtest.me/", "https://receiver.example./"] {
        let error = client.send(post(url, 5_000)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{url}: {error}");
    }
}
