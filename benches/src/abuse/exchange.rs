//! Requests of an enemy: each over a connection of its own, from an address of its own, and with no more interest in the
//! answer than to count it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::Tally;

/// Where enemies come from: limits of an address must not be shared with the honest flow's clients.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Bytes of an answer that are kept; the rest is read and forgotten.
const KEPT_BYTES: usize = 16 << 10;

/// What an enemy waits after an answer: it shares the machine with what it attacks, and is not to be the load itself.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// Connects.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((HOME, 0)))?;
    socket.connect(address).await
}

/// Sends a request and tells what came of it, by `until` at the latest.
pub(super) async fn exchange(address: SocketAddr, request: &[u8], until: Instant) -> String {
    let mut received = Vec::new();
    let exchange = async {
        let mut stream = connect(address).await?;
        let (mut reader, mut writer) = stream.split();
        let sent = async {
            // A server that refuses closes before all is sent, and has answered by then.
            let _ = writer.write_all(request).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sent => Ok(()),
            read = read(&mut reader, &mut received) => read,
        }
    };
    let ended: Result<io::Result<()>, _> = timeout_at(until, exchange).await;
    let fate = match ended {
        Err(_) => "unanswered when the row ended",
        Ok(Err(_)) => "cut off",
        Ok(Ok(())) => "closed without an answer",
    };
    verdict(&received).unwrap_or_else(|| fate.to_owned())
}

/// Reads to the end, and keeps the beginning.
pub(super) async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin), kept: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    loop {
        let n = stream.read(&mut piece).await?;
        if n == 0 {
            return Ok(());
        }
        let room = KEPT_BYTES.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(&piece[..room]);
    }
}

/// The status of an answer, and the code of its problem if it is one.
pub(super) fn verdict(received: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(received);
    let status: u16 = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let code = text.split_once("\"code\":\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0));
    Some(match code.filter(|_| status >= 400) {
        Some(code) => format!("{status} `{code}`"),
        None => status.to_string(),
    })
}

/// So many clients at once, each of which does the same again and again until `until`; `once` is given the client's number
/// and its round, and tells what came of it.
pub(super) async fn crowd<F, Fut>(clients: usize, until: Instant, once: F) -> Result<Tally>
where
    F: Fn(usize, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = String> + Send,
{
    let mut crowd = JoinSet::new();
    for client in 0..clients {
        let once = once.clone();
        crowd.spawn(async move {
            let mut tally = Tally::default();
            for round in 0.. {
                tally.note(once(client, round).await);
                if Instant::now() + PAUSE >= until {
                    break;
                }
                sleep(PAUSE).await;
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = crowd.join_next().await {
        all.merge(tally?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_the_status_and_the_problem() {
        let problem = b"HTTP/1.1 502 Bad Gateway\r\n\r\n{\"type\":\"x\",\"code\":\"flow-cpu-budget\"}";
        assert_eq!(verdict(problem).as_deref(), Some("502 `flow-cpu-budget`"));
        assert_eq!(verdict(b"HTTP/1.1 200 OK\r\n\r\n{\"code\":\"x\"}").as_deref(), Some("200"));
        assert_eq!(verdict(b"HTTP/1.1 2"), None);
    }
}
