//! From names to addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Finds the addresses of a name, for a port.
pub(super) type Resolve = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Names looked up at one time. Each holds a thread for as long as the system's resolver likes, also when nobody waits for
/// it any more.
const LOOKUPS_MAX: usize = 128;

/// How long a lookup waits for one of these threads.
const PLACE_WAIT: Duration = Duration::from_secs(2);

/// The operating system's resolver.
pub(super) fn system() -> Resolve {
    let places = Arc::new(Semaphore::new(LOOKUPS_MAX));
    Arc::new(move |host, port| Box::pin(look_up(places.clone(), host, port)))
}

async fn look_up(places: Arc<Semaphore>, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let place = tokio::time::timeout(PLACE_WAIT, places.acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        let reason = format!("{LOOKUPS_MAX} names are being resolved already");
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, reason));
    };
    let found = tokio::task::spawn_blocking(move || blocking(&place, &host, port)).await;
    found.map_err(io::Error::other)?
}

/// Asks the system. The place is held until it answers.
fn blocking(_: &OwnedSemaphorePermit, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match (host, port).to_socket_addrs() {
        Ok(found) => Ok(found.collect()),
        Err(_) if !has_network() => Err(io::Error::new(io::ErrorKind::NetworkUnreachable, "there is no network")),
        Err(error) => Err(error),
    }
}

/// Whether there is a way out of this machine. The resolver does not tell a name that is unknown from a network that is
/// down, but only the first is the receiver's fault. Connecting a UDP socket asks the routing table and sends nothing.
fn has_network() -> bool {
    let v4 = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 9));
    let v6 = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9));
    let routed = |from: SocketAddr, to: SocketAddr| UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok();
    routed((Ipv4Addr::UNSPECIFIED, 0).into(), v4) || routed((Ipv6Addr::UNSPECIFIED, 0).into(), v6)
}
