//! By way of an HTTP proxy: who goes through it, and what it does wrong.
//!
//! Every connection is a tunnel (`CONNECT`, RFC 9110 §9.3.6), for `http` as for `https`. So a proxy sees neither headers nor
//! bodies of `https`, and its answers are never taken for a receiver's. It is asked for the *address* that we have resolved
//! and judged, so that the policy holds behind it too; TLS and `host` keep the name. Only where `egress.proxy_resolves`
//! says that the proxy knows the names, and judges them, is it asked for a name.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::connect::Stream;
use super::policy::{named, plain};
use super::{Cause, Options};

/// The URL of a proxy, such as `http://name:password@proxy.internal:3128`; an empty text is none. Name and password
/// are written out nowhere: their place is taken by `***`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyUrl(Option<Url>);

impl TryFrom<String> for ProxyUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url = Url::parse(&text).map_err(|_| "not a URL")?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        match url.scheme() {
            "http" if url.has_host() && bare => Ok(Self(Some(url))),
            "http" => Err("a proxy has a host and a port, and no path"),
            _ => Err("only proxies at `http://` are supported"),
        }
    }
}

impl From<ProxyUrl> for String {
    fn from(ProxyUrl(url): ProxyUrl) -> Self {
        let Some(mut url) = url else { return Self::new() };
        if !url.username().is_empty() || url.password().is_some() {
            // Neither fails for a URL with a host. A token is often written as a name without a password.
            let _ = url.set_password(None).and_then(|()| url.set_username("***"));
        }
        url.into()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

/// What a proxy does wrong. A receiver that it cannot reach is not among it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// Nobody listens there, or its name is unknown.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Its time was over before it was connected to.
    #[error("does not answer")]
    Silent,
    /// 407: it wants other credentials than those in `egress.proxy_url`, or any at all.
    #[error("refuses the credentials of `egress.proxy_url` (407)")]
    Credentials,
    /// It does not want to go there, or has a trouble of its own.
    #[error("refuses with status {0}")]
    Status(StatusCode),
    /// It hung up or does not speak HTTP.
    #[error("is broken: {0}")]
    Broken(String),
}

/// A proxy in use.
pub(super) struct Proxy {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// Whether it is asked for names.
    pub(super) resolves: bool,
    authorization: Option<HeaderValue>,
    except: Vec<String>,
}

impl Proxy {
    pub(super) fn new(options: &Options) -> Option<Self> {
        let url = options.proxy_url.0.as_ref()?;
        let port = url.port_or_known_default()?;
        Some(Self {
            host: url.host()?.to_owned(),
            port,
            resolves: options.proxy_resolves,
            authorization: authorization(url),
            except: options.no_proxy.iter().map(|item| plain(item)).collect(),
        })
    }

    /// Whether requests to this host go through it.
    pub(super) fn serves(&self, host: &Host<String>) -> bool {
        let address: IpAddr = match host {
            Host::Domain(name) => return !self.except.iter().any(|pattern| named(pattern, &plain(name))),
            Host::Ipv4(address) => (*address).into(),
            Host::Ipv6(address) => (*address).into(),
        };
        let within = |item: &String| {
            item == "*"
                || item.parse::<IpNet>().is_ok_and(|net| net.contains(&address))
                || item.trim_matches(['[', ']']).parse() == Ok(address)
        };
        !self.except.iter().any(within)
    }

    /// Asks for a tunnel to `authority`, over a connection to the proxy.
    pub(super) async fn tunnel(
        &self,
        stream: impl Stream + 'static,
        authority: &str,
    ) -> Result<Box<dyn Stream>, Cause> {
        let broken = |error: &hyper::Error| self.at_fault(ProxyFault::Broken(error.to_string()));
        let opened = http1::Builder::new().max_buf_size(super::HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| broken(&error))?;
        tokio::spawn(connection.with_upgrades());
        let request = self.connect(authority)?;
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        match answer.status() {
            status if status.is_success() => {
                let upgraded = hyper::upgrade::on(answer).await.map_err(|error| broken(&error))?;
                Ok(Box::new(TokioIo::new(upgraded)))
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(self.at_fault(ProxyFault::Credentials)),
            // So say proxies whose own connection to the receiver failed. Some of them say 503 (Squid, Envoy).
            status @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                let reason = format!("the proxy cannot reach it ({})", status.as_u16());
                Err(Cause::Connect { address: authority.to_owned(), reason })
            }
            status => Err(self.at_fault(ProxyFault::Status(status))),
        }
    }

    pub(super) fn at_fault(&self, fault: ProxyFault) -> Cause {
        Cause::Proxy { proxy: format!("{}:{}", self.host, self.port), fault }
    }

    fn connect(&self, authority: &str) -> Result<http::Request<Empty<Bytes>>, Cause> {
        let unsendable = |error: &dyn fmt::Display| Cause::Request(error.to_string());
        let uri = authority.parse::<Uri>().map_err(|error| unsendable(&error))?;
        let host = HeaderValue::from_str(authority).map_err(|error| unsendable(&error))?;
        let mut request = http::Request::connect(uri).body(Empty::new()).map_err(|error| unsendable(&error))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(self.authorization.clone().map(|value| (PROXY_AUTHORIZATION, value)));
        Ok(request)
    }
}

/// The credentials in the URL, by RFC 7617.
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
