//! Dialling: resolve a name, judge every address, connect to one that was judged.
//!
//! The policy sits here, in the connector, because only here is the address known that the socket will really go to. A name
//! that resolves to a public address when it is checked and to a private one when it is used gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{Error, Phase, Policy};

/// Finds the addresses of a name.
pub(super) type Resolve = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// More addresses than this of one name are not tried.
const ADDRESSES_MAX: usize = 8;

/// Opens connections that the policy allows.
#[derive(Clone)]
pub(super) struct Connector {
    policy: Arc<Policy>,
    resolve: Resolve,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(policy: Arc<Policy>, resolve: Resolve, timeout: Duration) -> Self {
        Self { policy, resolve, timeout }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, Error> {
        let dialling = async {
            let addresses = self.addresses(&uri).await?;
            self.dial(&addresses).await
        };
        let late = |_| Error::Timeout { phase: Phase::Connect, after: self.timeout };
        tokio::time::timeout(self.timeout, dialling).await.map_err(late)?
    }

    /// The addresses behind a URI, all of them allowed. One that is not spoils the others: a name that points inside is no
    /// name of a receiver.
    async fn addresses(&self, uri: &Uri) -> Result<Vec<SocketAddr>, Error> {
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.policy.judge(address)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let failed = |reason: String| Error::Resolve { host: host.to_owned(), reason };
        let found = (self.resolve)(host.to_owned(), port).await.map_err(|error| failed(error.to_string()))?;
        if found.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        if !self.policy.trusts(host) {
            found.iter().try_for_each(|address| self.policy.judge(address.ip()))?;
        }
        Ok(found.into_iter().take(ADDRESSES_MAX).collect())
    }

    /// Connects to the first address that answers. Each gets an equal share of the time, so that a dead one does not use up
    /// what a live one needs.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TokioIo<TcpStream>, Error> {
        let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let mut failure = None;
        for address in addresses {
            let reason = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small requests are not to wait for an acknowledgement. Failing to say so harms nothing.
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            failure = Some(Error::Connect { address: *address, reason });
        }
        Err(failure.expect("there is at least one address"))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// The operating system's resolver.
pub(super) fn system() -> Resolve {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect::<Vec<_>>()) }))
}
