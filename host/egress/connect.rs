//! From a target to a connection: resolve its name, judge every address, connect to one that was judged, make it secure.
//!
//! The policy sits here because only here is the address known that the socket will really go to. A name that resolves to a
//! public address when it is checked and to a private one when it is used gains nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

use super::connection::{Connection, Target};
use super::dial::{Dialer, Unreached, interleaved};
use super::proxy::Proxy;
use super::resolve::Resolve;
use super::tls::{Fault, Tls};
use super::trace::Trace;
use super::{Cause, Options, Phase, Policy, ProxyFault};

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens connections that the policy allows.
pub(super) struct Connector {
    policy: Arc<Policy>,
    resolve: Resolve,
    dialer: Dialer,
    tls: Tls,
    proxy: Option<Proxy>,
}

impl Connector {
    pub(super) fn new(policy: Arc<Policy>, options: &Options, resolve: Resolve) -> Self {
        let (dialer, tls) = (Dialer::new(options.bind.clone()), Tls::new(&options.ca_file));
        Self { policy, resolve, dialer, tls, proxy: Proxy::new(options) }
    }

    /// Opens a connection. Without a deadline: the caller has one, and learns from the trace what it cut off.
    pub(super) async fn connect(&self, target: &Target, trace: &Trace) -> Result<Connection, Cause> {
        let stream = match self.proxy_of(target) {
            Some(proxy) => self.through(proxy, target, trace).await?,
            None => self.directly(target, trace).await?,
        };
        if !target.https {
            return Connection::http1(target, stream, Fault::default(), trace.remote()).await;
        }
        trace.enter(Phase::Tls);
        let secure = self.tls.secure(stream, &target.host, target.identity.as_ref()).await?;
        let fault = secure.fault();
        if secure.speaks_http2() {
            Connection::http2(target, secure, fault, trace.remote()).await
        } else {
            Connection::http1(target, secure, fault, trace.remote()).await
        }
    }

    /// What it means that the time was over in this phase. Behind a proxy that was reached, it is the receiver's silence.
    pub(super) fn late(&self, phase: Phase, after: Duration) -> Cause {
        match &self.proxy {
            Some(proxy) if phase == Phase::Proxy => proxy.at_fault(ProxyFault::Silent),
            _ => Cause::Timeout { phase, after },
        }
    }

    fn proxy_of(&self, target: &Target) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| proxy.serves(&target.host))
    }

    async fn directly(&self, target: &Target, trace: &Trace) -> Result<Box<dyn Stream>, Cause> {
        let addresses = self.judged(target).await?;
        trace.enter(Phase::Connect);
        trace.set_remote(addresses.first().copied());
        match self.dialer.dial(&addresses).await {
            Ok((stream, address)) => {
                trace.set_remote(Some(address));
                Ok(Box::new(stream))
            }
            Err(Unreached { address, error }) => {
                trace.set_remote(Some(address));
                let refused = || Cause::Connect { address: address.to_string(), reason: error.to_string() };
                Err(Cause::of_this_host(&error).unwrap_or_else(refused))
            }
        }
    }

    /// Opens a tunnel to the first address that the proxy can reach.
    async fn through(&self, proxy: &Proxy, target: &Target, trace: &Trace) -> Result<Box<dyn Stream>, Cause> {
        let named = proxy.resolves && matches!(target.host, Host::Domain(_));
        let places = if named {
            vec![(None, target.authority())]
        } else {
            self.judged(target).await?.into_iter().map(|address| (Some(address), address.to_string())).collect()
        };
        let mut failure = None;
        for (address, authority) in places {
            trace.enter(Phase::Proxy);
            let stream = self.reach(proxy).await?;
            trace.enter(Phase::Connect);
            trace.set_remote(address);
            match proxy.tunnel(stream, &authority).await {
                Err(unreached @ Cause::Connect { .. }) => failure = Some(unreached),
                opened => return opened,
            }
        }
        Err(failure.expect("there is at least one address"))
    }

    /// Connects to the proxy. The operator vouches for it, so its address is not judged.
    async fn reach(&self, proxy: &Proxy) -> Result<TcpStream, Cause> {
        let unreachable = |error: &std::io::Error| {
            let reason = ProxyFault::Unreachable(error.to_string());
            Cause::of_this_host(error).unwrap_or_else(|| proxy.at_fault(reason))
        };
        let addresses = match &proxy.host {
            Host::Ipv4(address) => vec![SocketAddr::new((*address).into(), proxy.port)],
            Host::Ipv6(address) => vec![SocketAddr::new((*address).into(), proxy.port)],
            Host::Domain(name) => {
                interleaved((self.resolve)(name.clone(), proxy.port).await.map_err(|error| unreachable(&error))?)
            }
        };
        if addresses.is_empty() {
            return Err(proxy.at_fault(ProxyFault::Unreachable("its name has no address".to_owned())));
        }
        let dialled = self.dialer.dial(&addresses).await;
        dialled.map(|(stream, _)| stream).map_err(|unreached| unreachable(&unreached.error))
    }

    /// The addresses of a target, all of them allowed. One that is not spoils the others: a name that points inside is no
    /// name of a receiver.
    async fn judged(&self, target: &Target) -> Result<Vec<SocketAddr>, Cause> {
        let literal = |address: IpAddr| {
            self.policy.judge(address)?;
            Ok(vec![SocketAddr::new(address.to_canonical(), target.port)])
        };
        let host = match &target.host {
            Host::Ipv4(address) => return literal((*address).into()),
            Host::Ipv6(address) => return literal((*address).into()),
            Host::Domain(name) => name,
        };
        let failed = |reason: String| Cause::Resolve { host: host.clone(), reason };
        let found = (self.resolve)(host.clone(), target.port).await;
        let found = found.map_err(|error| Cause::of_this_host(&error).unwrap_or_else(|| failed(error.to_string())))?;
        if found.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        if !self.policy.trusts(host) {
            found.iter().try_for_each(|address| self.policy.judge(address.ip()))?;
        }
        Ok(interleaved(found))
    }
}
