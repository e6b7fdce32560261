//! Where requests may go.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::{Options, address};

/// Which URLs may be called and which addresses dialled. The same policy is asked when a URL is saved and when it is used.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    anywhere: bool,
    allow: Vec<IpNet>,
    allow_hosts: Vec<String>,
    ports: Vec<u16>,
}

/// Why a URL or an address may not be called. The text names the option that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a public address.
    #[error(
        "the address {address} is {what}; an operator can allow it by `egress.allow` (address ranges) or \
         `egress.allow_hosts` (names)"
    )]
    Address {
        /// In canonical form.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
    },
    /// Only web URLs.
    #[error("the scheme of a URL is `http` or `https`, not `{0}`")]
    Scheme(String),
    /// Credentials belong in a header, where they are not logged.
    #[error("a URL with a user name or password is refused; put them into an `authorization` header")]
    UserInfo,
    /// A fragment is never sent, so whoever wrote it meant something else.
    #[error("a URL with a fragment (`#…`) is refused, since a fragment is never sent")]
    Fragment,
    /// There is nothing to dial.
    #[error("the URL has no host")]
    NoHost,
    /// Not one of the ports that the operator chose.
    #[error("port {port} is refused; `egress.ports` allows {}", ports(.allowed))]
    Port {
        /// The URL's port, or its scheme's.
        port: u16,
        /// Those that are allowed.
        allowed: Vec<u16>,
    },
}

impl Policy {
    /// The operator's policy.
    pub fn new(options: &Options) -> Self {
        Self {
            anywhere: false,
            allow: options.allow.clone(),
            allow_hosts: options.allow_hosts.iter().map(|host| plain(host)).collect(),
            ports: options.ports.clone(),
        }
    }

    /// Anywhere at all, for a client that a person runs on their own machine.
    pub fn anywhere() -> Self {
        Self { anywhere: true, ..Self::default() }
    }

    /// The same policy for requests that go only to URLs which the operator wrote down: these hosts and ports are allowed.
    #[must_use]
    pub fn vouching(mut self, urls: &[Url]) -> Self {
        for url in urls {
            match url.host() {
                Some(Host::Domain(name)) => self.allow_hosts.push(plain(name)),
                Some(Host::Ipv4(address)) => self.allow.push(IpNet::from(IpAddr::from(address))),
                Some(Host::Ipv6(address)) => self.allow.push(IpNet::from(IpAddr::from(address).to_canonical())),
                None => {}
            }
            let port = url.port_or_known_default().filter(|_| !self.ports.is_empty());
            self.ports.extend(port);
        }
        self
    }

    /// Whether `address` may be dialled. It is judged in canonical form: `::ffff:127.0.0.1` is `127.0.0.1`.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        if self.anywhere || self.allow.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        address::special(address).map_or(Ok(()), |what| Err(Refusal::Address { address, what }))
    }

    /// Whether `url` may be called, as far as can be known without resolving its name.
    ///
    /// `url` has turned every spelling of an address (`0x7f.1`, `2130706433`, `[::ffff:7f00:1]`) into the address.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        self.check_port(url.port_or_known_default().unwrap_or(0))?;
        match url.host().ok_or(Refusal::NoHost)? {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.judge(address.into()),
            Host::Ipv6(address) => self.judge(address.into()),
        }
    }

    /// Whether the operator vouches for this name, whatever its addresses.
    pub(super) fn trusts(&self, host: &str) -> bool {
        let host = plain(host);
        self.anywhere || self.allow_hosts.iter().any(|pattern| named(pattern, &host))
    }

    fn check_port(&self, port: u16) -> Result<(), Refusal> {
        if self.anywhere || self.ports.is_empty() || self.ports.contains(&port) {
            return Ok(());
        }
        Err(Refusal::Port { port, allowed: self.ports.clone() })
    }
}

/// Whether a name is meant by `name` or `*.name`, both in their one spelling.
pub(super) fn named(pattern: &str, host: &str) -> bool {
    pattern.strip_prefix('*').map_or(host == pattern, |suffix| host.ends_with(suffix))
}

/// The one spelling of a host name: lowercase, without the dot of the root.
pub(super) fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn ports(allowed: &[u16]) -> String {
    allowed.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &Policy, url: &str) -> Result<(), String> {
        policy.check_url(&Url::parse(url).unwrap()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        for (url, address) in [
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://127.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://0x7f000001/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://017700000001/", "127.0.0.1"),
            ("http://1%32%37.0.0.1/", "127.0.0.1"),
            ("http://①②⑦.0.0.1/", "127.0.0.1"),
            ("http://127。0。0。1/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://[::1]/", "::1"),
            ("http://[::]:8080/", "::"),
            ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
            ("http://[::ffff:7f00:1]/", "127.0.0.1"),
            ("http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1"),
            ("http://[2002:7f00:1::]/", "2002:7f00:1::"),
            ("http://[fe80::1]/", "fe80::1"),
            ("https://169.254.169.254/latest/meta-data", "169.254.169.254"),
            ("https://[fd00:ec2::254]/", "fd00:ec2::254"),
        ] {
            let refusal = Policy::default().check_url(&Url::parse(url).unwrap()).unwrap_err();
            assert!(
                matches!(refusal, Refusal::Address { address: found, .. } if found.to_string() == address),
                "{url}"
            );
        }
        assert!(Url::parse("http://[fe80::1%25eth0]/").is_err());
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        let policy = Policy { ports: vec![443, 8443], ..Policy::default() };
        for (url, message) in [
            ("ftp://example.com/", "the scheme of a URL is `http` or `https`, not `ftp`"),
            ("file:///etc/passwd", "the scheme of a URL is `http` or `https`, not `file`"),
            ("https://me:pass@example.com/", "put them into an `authorization` header"),
            ("https://me@example.com/", "put them into an `authorization` header"),
            ("https://example.com/#top", "a URL with a fragment"),
            ("http://example.com/", "port 80 is refused; `egress.ports` allows 443, 8443"),
            ("https://10.0.0.1/", "the address 10.0.0.1 is private; an operator can allow it by `egress.allow`"),
        ] {
            let error = check(&policy, url).unwrap_err();
            assert!(error.contains(message), "{url}: {error}");
        }
        assert_eq!(check(&policy, "https://example.com:8443/x?y"), Ok(()));
    }

    #[test]
    fn what_the_operator_allows_is_allowed() {
        let options = Options {
            allow: vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()],
            allow_hosts: vec!["Receiver.internal".to_owned(), "*.svc.local".to_owned()],
            ..Options::default()
        };
        let policy = Policy::new(&options);
        assert_eq!(check(&policy, "http://10.1.2.3/"), Ok(()));
        assert_eq!(check(&policy, "http://[::ffff:10.1.2.3]/"), Ok(()));
        assert_eq!(check(&policy, "http://[::1]/"), Ok(()));
        assert!(check(&policy, "http://10.2.0.1/").is_err());
        for (host, trusted) in [
            ("receiver.internal", true),
            ("receiver.internal.", true),
            ("a.svc.local", true),
            ("svc.local", false),
            ("evilsvc.local", false),
            ("receiver.internal.evil.com", false),
        ] {
            assert_eq!(policy.trusts(host), trusted, "{host}");
        }
        assert_eq!(check(&Policy::anywhere(), "http://127.0.0.1/"), Ok(()));
    }

    #[test]
    fn what_is_vouched_for_is_allowed_and_its_neighbours_are_not() {
        let urls = ["http://127.0.0.1:11434/v1", "http://[fd00::1]:81/", "https://models.internal/v1"];
        let urls = urls.map(|url| Url::parse(url).unwrap());
        let policy = Policy { ports: vec![443], ..Policy::default() }.vouching(&urls);
        assert!(urls.iter().all(|url| policy.check_url(url).is_ok()));
        assert!(policy.trusts("models.internal") && !policy.trusts("other.internal"));
        for refused in ["http://127.0.0.2:11434/", "http://[fd00::2]:81/", "http://127.0.0.1:80/"] {
            assert!(check(&policy, refused).is_err(), "{refused}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use flowgate_fuzz::fuzz;

    use super::*;

    const URLS: &[&str] = &[
        "https://example.com/a?b=c",
        "http://127.0.0.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]:8080/",
        "http://169.254.169.254/",
        "http://[fd00:ec2::254]/",
        "http://localhost./",
        "http://u:p@10.0.0.1#x",
    ];

    #[test]
    fn no_spelling_of_a_private_address_passes() {
        fuzz!(|grow| {
            let Ok(url) = Url::parse(&grow.text(URLS)) else { return };
            let passes = Policy::default().check_url(&url).is_ok();
            let private = match url.host() {
                Some(Host::Ipv4(address)) => address.is_private() || address.is_loopback() || address.is_link_local(),
                Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
                _ => false,
            };
            assert!(!(passes && private), "{url}");
            assert!(!passes || (url.password().is_none() && matches!(url.scheme(), "http" | "https")), "{url}");
        });
    }
}
