//! Requests to real receivers on the loopback interface, which the tests' policy allows unless they are about the policy.

mod addresses;
mod hostile;
mod oauth;
mod plain;
mod proxy;
mod reuse;
mod server;
mod tls;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use server::{Ca, Server};

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
        identity: None,
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

/// Sends until `done` says so of an answer.
async fn until(client: &Client, url: &str, done: impl Fn(&Answer) -> bool) -> Answer {
    let trying = async {
        loop {
            let answer = client.send(post(url, 5_000)).await.unwrap();
            if done(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), trying).await.expect("it happens in time")
}
