//! By way of a proxy, and who is to blame there.

use super::*;

/// A proxy that answers `CONNECT` as it is told to, and goes where it is asked to if that is good.
struct Gate {
    address: SocketAddr,
    heads: mpsc::Receiver<String>,
}

impl Gate {
    async fn answering(answer: &'static str) -> Self {
        Self::leading(answer, None).await
    }

    /// A proxy that knows one address, whatever it is asked for.
    async fn leading(answer: &'static str, to: Option<SocketAddr>) -> Self {
        let receiver = Receiver::start(move |mut stream| async move {
            stream.write_all(answer.as_bytes()).await.unwrap();
            let Some(to) = to else { return };
            let mut target = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
        })
        .await;
        Self { address: receiver.address, heads: receiver.heads }
    }

    fn options(&self, base: Options) -> Options {
        Options { proxy_url: proxy(&format!("http://user:p%40ss@{}", self.address)), ..base }
    }

    async fn head(&mut self) -> String {
        self.heads.recv().await.unwrap()
    }
}

fn proxy(url: &str) -> ProxyUrl {
    ProxyUrl::try_from(url.to_owned()).unwrap()
}

const GO: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn a_proxy_is_asked_for_the_judged_address_and_the_receiver_for_its_name() {
    let ca = Ca::new();
    let server = Server::telling_its_version(Some(ca.server("receiver.example", &["h2"], None))).await;
    let mut gate = Gate::leading(GO, Some(server.address)).await;
    let client = resolving(&gate.options(ca.trusted()), |_| vec!["127.0.0.1"]);
    let answer = client.send(post(&server.url("https", "receiver.example"), 5_000)).await.unwrap();
    assert_eq!((answer.version, answer.remote), (Version::HTTP_2, Some(server.address)));
    let head = gate.head().await.to_lowercase();
    assert!(head.starts_with(&format!("connect {} http/1.1\r\n", server.address)), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", server.address)), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic dxnlcjpwqhnz\r\n"), "{head}");
}

#[tokio::test]
async fn plain_http_goes_through_a_tunnel_too() {
    let mut receiver = Receiver::saying(OK).await;
    let mut gate = Gate::leading(GO, Some(receiver.address)).await;
    let client = resolving(&gate.options(loopback()), |_| vec!["127.0.0.1"]);
    assert_eq!(client.send(post(&named(&receiver), 5_000)).await.unwrap().status, 200);
    assert!(gate.head().await.starts_with(&format!("CONNECT {} ", receiver.address)));
    let head = receiver.heads.recv().await.unwrap();
    assert!(head.starts_with("POST / HTTP/1.1\r\n") && !head.contains("proxy-"), "{head}");
}

#[tokio::test]
async fn the_policy_holds_behind_a_proxy() {
    let mut gate = Gate::answering(GO).await;
    let client = resolving(&gate.options(Options::default()), |_| vec!["169.254.169.254"]);
    for url in ["http://metadata.example/", "http://169.254.169.254/", "https://[::ffff:10.0.0.1]/"] {
        assert_eq!(client.send(post(url, 5_000)).await.unwrap_err().kind(), Kind::Refused);
    }
    assert!(gate.heads.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_that_resolves_is_asked_for_names_but_not_for_addresses_inside() {
    let receiver = Receiver::saying(OK).await;
    let mut gate = Gate::leading(GO, Some(receiver.address)).await;
    let options = Options { proxy_resolves: true, ..gate.options(Options::default()) };
    let client = resolving(&options, |_| unreachable!("the proxy resolves"));
    let answer = client.send(post("http://receiver.example/", 5_000)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.remote), (200, None));
    assert!(gate.head().await.starts_with("CONNECT receiver.example:80 "));
    assert_eq!(client.send(post("http://10.0.0.1/", 5_000)).await.unwrap_err().kind(), Kind::Refused);
}

#[tokio::test]
async fn some_are_called_directly() {
    let receiver = Receiver::saying(OK).await;
    let mut gate = Gate::answering("HTTP/1.1 403 No\r\n\r\n").await;
    for (host, no_proxy, direct) in [
        ("receiver.example", &["receiver.example"][..], true),
        ("Receiver.Example.", &["RECEIVER.example"], true),
        ("a.internal", &["*.internal"], true),
        ("internal", &["*.internal"], false),
        ("a.internal", &["10.0.0.0/8", "internal"], false),
        ("127.0.0.1", &["127.0.0.0/8"], true),
        ("127.0.0.1", &["127.0.0.1"], true),
        ("127.0.0.1", &["127.0.0.2", "*.1"], false),
        ("a.internal", &["*"], true),
        ("127.0.0.1", &["*"], true),
        ("a.internal", &[], false),
    ] {
        let no_proxy = no_proxy.iter().map(|item| (*item).to_owned()).collect();
        let client = resolving(&Options { no_proxy, ..gate.options(loopback()) }, |_| vec!["127.0.0.1"]);
        let sent = client.send(post(&format!("http://{host}:{}/", receiver.address.port()), 5_000)).await;
        assert_eq!(sent.is_ok(), direct, "{host}");
        assert_eq!(gate.heads.try_recv().is_err(), direct, "{host}");
    }
}

#[tokio::test]
async fn a_proxys_failure_is_not_the_receivers() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (answer, fault) in [
        ("HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n", ProxyFault::Credentials),
        ("HTTP/1.1 403 No\r\n\r\n", ProxyFault::Status(StatusCode::FORBIDDEN)),
        ("HTTP/1.1 302 There\r\nlocation: http://10.0.0.1/\r\n\r\n", ProxyFault::Status(StatusCode::FOUND)),
        ("SSH-2.0-OpenSSH_9.6\r\n", ProxyFault::Broken("invalid HTTP version parsed".to_owned())),
        ("", ProxyFault::Broken("connection closed before message completed".to_owned())),
    ] {
        let gate = Gate::answering(answer).await;
        let client = Client::new(&gate.options(loopback()));
        let error = client.send(post(&format!("http://{nobody}/"), 5_000)).await.unwrap_err();
        assert_eq!(*error.cause(), Cause::Proxy { proxy: gate.address.to_string(), fault });
        assert_eq!((error.kind(), error.retryable(), error.unsent()), (Kind::Proxy, true, true));
        assert!(!error.to_string().contains("p%40ss") && !error.to_string().contains("p@ss"), "{error}");
    }

    let options = Options { proxy_url: proxy(&format!("http://{nobody}")), ..loopback() };
    let error = Client::new(&options).send(post("http://127.0.0.1/", 5_000)).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("the proxy {nobody} cannot be reached: ")), "{error}");
    assert_eq!((error.kind(), error.phase()), (Kind::Proxy, Phase::Proxy));
}

#[tokio::test]
async fn a_proxy_whose_name_leads_nowhere_is_to_blame() {
    let options = Options { proxy_url: proxy("http://proxy.example"), connect_ms_max: 50, ..loopback() };
    let client = resolving(&options, |_| vec![]);
    let error = client.send(post("http://127.0.0.1/", 5_000)).await.unwrap_err();
    assert_eq!(error.to_string(), "the proxy proxy.example:80 cannot be reached: its name has no address");

    let silent: Resolve = Arc::new(|_, _| std::future::pending().boxed());
    let client = Client::resolving(Policy::new(&options), &options, silent);
    let error = client.send(post("http://127.0.0.1/", 5_000)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::Proxy, "the proxy proxy.example:80 does not answer".to_owned())
    );
    let error = client.send(post("http://127.0.0.1/", 20)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Proxy, "a total deadline is judged in the same way");
}

#[tokio::test]
async fn a_receivers_failure_is_not_the_proxys() {
    for status in [502, 503, 504] {
        let answer = format!("HTTP/1.1 {status} Sorry\r\ncontent-length: 0\r\n\r\n");
        let mut gate = Gate::answering(answer.leak()).await;
        let client = resolving(&gate.options(loopback()), |_| vec!["127.0.0.1", "127.0.0.2"]);
        let error = client.send(post("http://receiver.example/", 5_000)).await.unwrap_err();
        let text = format!("cannot connect to 127.0.0.2:80: the proxy cannot reach it ({status})");
        assert_eq!((error.kind(), error.to_string()), (Kind::Connect, text));
        assert!(gate.head().await.starts_with("CONNECT 127.0.0.1:80 "));
        assert!(gate.head().await.starts_with("CONNECT 127.0.0.2:80 "));
    }

    // A proxy that has been asked and says nothing is waiting for the receiver.
    let waiting = Receiver::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let gate = Gate { address: waiting.address, heads: waiting.heads };
    let options = Options { connect_ms_max: 50, ..gate.options(loopback()) };
    let error = Client::new(&options).send(post("http://127.0.0.1/", 5_000)).await.unwrap_err();
    assert_eq!((error.kind(), error.phase(), error.is_local()), (Kind::Timeout, Phase::Connect, false));

    let hang_up = Receiver::start(|stream| async move { drop(stream) }).await;
    let gate = Gate::leading(GO, Some(hang_up.address)).await;
    let error = Client::new(&gate.options(loopback())).send(post(&hang_up.url(), 5_000)).await.unwrap_err();
    assert_eq!((error.kind(), error.unsent()), (Kind::Closed, false));
}

#[test]
fn what_is_no_proxy_is_refused_and_passwords_are_hidden() {
    for url in ["socks5://proxy:1080", "https://proxy", "proxy:3128", "http://proxy/path", "http://proxy/?q", "x"] {
        assert!(ProxyUrl::try_from(url.to_owned()).is_err(), "{url}");
    }
    for (url, shown) in [
        ("", ""),
        ("http://proxy:3128", "http://proxy:3128/"),
        ("http://me:hunter2@proxy:3128", "http://***@proxy:3128/"),
        ("http://token@proxy:3128", "http://***@proxy:3128/"),
    ] {
        assert_eq!((String::from(proxy(url)), format!("{:?}", proxy(url))), (shown.to_owned(), shown.to_owned()));
    }
}
