//! Receivers that take requests and never come to an end with an answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::PATIENCE;

/// A receiver that keeps its senders waiting.
pub(crate) struct Mute {
    pub(crate) url: String,
    requests: watch::Receiver<(usize, usize)>,
}

impl Mute {
    /// One that says nothing at all.
    pub(crate) async fn start() -> Self {
        Self::saying(None).await
    }

    /// One that begins an answer, and goes on with a byte of it now and then.
    pub(crate) async fn dripping() -> Self {
        Self::saying(Some(Duration::from_millis(50))).await
    }

    async fn saying(drip: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mute", listener.local_addr().unwrap());
        let (count, requests) = watch::channel((0, 0));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    count.send_modify(|(all, open)| (*all, *open) = (*all + 1, *open + 1));
                    keep_waiting(stream, drip).await;
                    count.send_modify(|(_, open)| *open -= 1);
                });
            }
        });
        Self { url, requests }
    }

    /// Requests so far.
    pub(crate) fn got(&self) -> usize {
        self.requests.borrow().0
    }

    /// Requests that wait for an answer.
    pub(crate) fn open(&self) -> usize {
        self.requests.borrow().1
    }

    /// Waits until so many requests wait for an answer.
    pub(crate) async fn wait_for_open(&self, n: usize) {
        let mut requests = self.requests.clone();
        let enough = tokio::time::timeout(PATIENCE, requests.wait_for(|(_, open)| *open >= n)).await;
        assert!(enough.is_ok(), "{} of {n} requests wait", self.open());
    }
}

/// Ends when the sender goes away.
async fn keep_waiting(mut stream: TcpStream, drip: Option<Duration>) {
    let mut read = [0; 4096];
    let Some(drip) = drip else {
        while stream.read(&mut read).await.is_ok_and(|read| read > 0) {}
        return;
    };
    let _ = stream.read(&mut read).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
    while stream.write_all(b".").await.is_ok() {
        tokio::time::sleep(drip).await;
    }
}
