//! Connecting to one of several addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};

/// How long an address may keep the next one waiting (RFC 8305 §5 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// More addresses than this of one name are not tried.
pub(super) const ADDRESSES_MAX: usize = 8;

/// Opens TCP connections, from the addresses that the operator chose.
pub(super) struct Dialer {
    from: Vec<IpAddr>,
    turn: AtomicUsize,
}

/// An address that could not be connected to.
pub(super) struct Unreached {
    pub(super) address: SocketAddr,
    pub(super) error: io::Error,
}

impl Dialer {
    /// Connections come from one of `from`, in turn; from whatever the system chooses if there is none.
    pub(super) fn new(from: Vec<IpAddr>) -> Self {
        Self { from, turn: AtomicUsize::new(0) }
    }

    /// Connects to whichever address answers first. Each has a head start before the next, so that a dead one costs little,
    /// and a live one behind it is found before the caller's time is over.
    pub(super) async fn dial(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Unreached> {
        let mut waiting = addresses.iter().take(ADDRESSES_MAX);
        let mut racing = FuturesUnordered::new();
        let mut failure: Option<Unreached> = None;
        loop {
            racing.extend(waiting.next().map(|address| self.connect(*address)));
            tokio::select! {
                Some(tried) = racing.next() => match tried {
                    Ok(connected) => return Ok(connected),
                    // What the other side did says more than what this machine lacks, such as a way to IPv6 addresses.
                    Err(unreached) if failure.is_none() || !is_local(&unreached) => failure = Some(unreached),
                    Err(_) => {}
                },
                () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => {}
                else => return Err(failure.expect("there is at least one address")),
            }
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<(TcpStream, SocketAddr), Unreached> {
        let connected = async {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            if let Some(from) = self.source(address)? {
                socket.bind(SocketAddr::new(from, 0))?;
            }
            socket.connect(address).await
        };
        let stream = connected.await.map_err(|error| Unreached { address, error })?;
        // Small requests are not to wait for an acknowledgement. Failing to say so harms nothing.
        let _ = stream.set_nodelay(true);
        Ok((stream, address))
    }

    /// The address to come from. Who lists the addresses that we come from must never see another one, so a family without
    /// one is an error.
    fn source(&self, address: SocketAddr) -> io::Result<Option<IpAddr>> {
        if self.from.is_empty() {
            return Ok(None);
        }
        let fitting: Vec<_> = self.from.iter().filter(|from| from.is_ipv4() == address.is_ipv4()).collect();
        if fitting.is_empty() {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let reason = format!("`egress.bind` has no {family} address");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, reason));
        }
        Ok(Some(*fitting[self.turn.fetch_add(1, Ordering::Relaxed) % fitting.len()]))
    }
}

fn is_local(unreached: &Unreached) -> bool {
    super::Cause::of_this_host(&unreached.error).is_some()
}

/// The addresses with the families in turn, beginning with the first one's (RFC 8305 §4).
pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let longer = one.len().max(other.len());
    (0..longer).flat_map(|n| [one.get(n).copied(), other.get(n).copied()]).flatten().collect()
}
