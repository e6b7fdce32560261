//! Where requests of a flow may go: one line of its grants, and whether it covers a request.
//!
//! What is compared is what is sent: the URL as the `url` crate writes it, with its one spelling of a host, without dot
//! segments. Whatever could be read in two ways is not covered.

use http::Method;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use super::grants::{BadGrant, long, names};
use super::secrets::check_secret_name;

/// Methods that a grant may name.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Bytes of a host, and of a path.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// How often what is sent could be decoded on its way, each time into something else, by somebody who means well.
const DECODINGS_MAX: u32 = 4;

/// Where requests may go, how, and what they may carry. The operator's egress policy holds besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A name, `*.` and a name for all below it, an address, or `*` for all; with `:port` where it is not the scheme's own.
    pub host: String,
    /// `https` unless it says `http`.
    #[serde(default, skip_serializing_if = "Scheme::is_https")]
    pub scheme: Scheme,
    /// `GET`, …; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths, where a `*` at the end stands for any rest; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Names of the secrets whose placeholders are filled in on the way there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// In clear.
    Http,
    /// By TLS.
    #[default]
    Https,
}

impl Scheme {
    fn is_https(&self) -> bool {
        *self == Self::Https
    }

    /// As a URL has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl HttpGrant {
    /// Whether it covers a request. The URL has a host, and neither user nor password.
    pub fn covers(&self, method: &Method, url: &Url) -> bool {
        url.scheme() == self.scheme.as_str()
            && host_of(url).is_some_and(|(host, port)| self.covers_host(host, port))
            && (self.methods.is_empty() || self.methods.iter().any(|one| one == method.as_str()))
            && (self.paths.is_empty() || self.covers_path(url.path()))
    }

    /// Whether a secret may go to the host of a URL, by whatever method and path.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        !self.secrets.is_empty() && host_of(url).is_some_and(|(host, port)| self.covers_host(host, port))
    }

    fn covers_host(&self, host: &str, port: Option<u16>) -> bool {
        let (pattern, own_port) = split_port(&self.host);
        let same = match pattern.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == pattern,
        };
        same && own_port.map(str::parse) == port.map(Ok)
    }

    fn covers_path(&self, path: &str) -> bool {
        let one = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == pattern,
        };
        self.paths.iter().any(one) && !climbs(path)
    }

    /// Adds what cannot be as it is to `faults`.
    pub(super) fn check(&self, at: &str, faults: &mut Vec<BadGrant>) {
        if let Err(message) = check_host(&self.host, self.scheme) {
            faults.push(BadGrant::new(format!("{at}.host"), message));
        } else if self.host.starts_with('*') && !self.host.starts_with("*.") && !self.secrets.is_empty() {
            let message = "are granted to every host; name the host that needs them";
            faults.push(BadGrant::new(format!("{at}.secrets"), message));
        }
        let method = |name: &str| match METHODS.contains(&name) {
            true => Ok(()),
            false => Err(format!("allowed: {}", METHODS.join(", "))),
        };
        names(&format!("{at}.methods"), &self.methods, method, faults);
        long(&format!("{at}.paths"), &self.paths, faults);
        for (place, path) in self.paths.iter().enumerate() {
            if let Err(message) = check_path(path) {
                faults.push(BadGrant::new(format!("{at}.paths[{place}]"), message));
            }
        }
        names(&format!("{at}.secrets"), &self.secrets, check_secret_name, faults);
    }
}

/// The host of a URL as it is compared, and its port where that is not the scheme's own.
fn host_of(url: &Url) -> Option<(&str, Option<u16>)> {
    Some((url.host_str()?, url.port()))
}

/// Whether a server could take a path for one outside of the folder that it seems to be in: by what it decodes further,
/// and by what it drops.
fn climbs(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..DECODINGS_MAX {
        let up = |part: &str| matches!(part.split(';').next(), Some("." | ".."));
        if text.split(['/', '\\']).any(up) || text.contains('\0') {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    true
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn check_host(host: &str, scheme: Scheme) -> Result<(), String> {
    const RULE: &str = "allowed: a name, `*.` and a name, an address, or `*`, each also with `:port`";
    if host.len() > PATTERN_BYTES_MAX {
        return Err(format!("has {} bytes; allowed: {PATTERN_BYTES_MAX}", host.len()));
    }
    let (pattern, port) = split_port(host);
    let name = match pattern.strip_prefix('*') {
        // Any name will do to try the port.
        Some("") => "any",
        Some(suffix) => suffix.strip_prefix('.').ok_or_else(|| format!("is `{host}`; {RULE}"))?,
        None => pattern,
    };
    let address = |text: &str| matches!(url::Host::parse(text), Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)));
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    let odd = name != pattern && address(name);
    let url =
        Url::parse(&format!("{}://{name}{}/", scheme.as_str(), port.map(|p| format!(":{p}")).unwrap_or_default()));
    let url = url.ok().filter(|url| !odd && url.path() == "/" && url.username().is_empty() && url.query().is_none());
    let Some((canonical, own_port)) = url.as_ref().and_then(host_of) else {
        return Err(format!("is `{host}`; {RULE}"));
    };
    if !canonical.bytes().all(plain) || canonical.ends_with('.') {
        return Err(format!("is `{host}`; {RULE}"));
    }
    let written = pattern.replacen(name, canonical, 1);
    let written = own_port.map_or(written.clone(), |port| format!("{written}:{port}"));
    if written == host { Ok(()) } else { Err(format!("is `{host}`; write `{written}`")) }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.len() > PATTERN_BYTES_MAX {
        return Err(format!("has {} bytes; allowed: {PATTERN_BYTES_MAX}", path.len()));
    }
    if !path.starts_with('/') {
        return Err(format!("is `{path}`; a path begins with `/`"));
    }
    let prefix = path.strip_suffix('*').unwrap_or(path);
    if prefix.contains('*') {
        return Err(format!("is `{path}`; a `*` may only be the last character"));
    }
    let Ok(mut url) = Url::parse("https://host/") else { return Err("cannot be read".to_owned()) };
    url.set_path(prefix);
    if url.path() != prefix || climbs(prefix) {
        return Err(format!("is `{path}`; write it as it is sent: `{}`", url.path()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(host: &str, paths: &[&str]) -> HttpGrant {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        HttpGrant { host: host.to_owned(), scheme: Scheme::Https, methods: Vec::new(), paths, secrets: Vec::new() }
    }

    fn covers(grant: &HttpGrant, url: &str) -> bool {
        grant.covers(&Method::GET, &Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_itself_in_whatever_spelling_and_no_other() {
        let grant = grant("api.example.com", &[]);
        let same = ["https://api.example.com/x", "https://API.Example.COM:443/", "https://api%2eexample.com/"];
        assert!(same.iter().all(|url| covers(&grant, url)));
        for other in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com./",
            "https://example.com/",
            "https://xapi.example.com/",
            "https://api.example.com.evil.example/",
            "https://evil.example/api.example.com",
            "https://api.example.com@evil.example/",
            "https://evil.example/?https://api.example.com/",
            "https://аpi.example.com/",
            "https://93.184.216.34/",
        ] {
            assert!(!covers(&grant, other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_names_below_and_not_for_the_name() {
        let below = grant("*.example.com", &[]);
        assert!(covers(&below, "https://a.example.com/") && covers(&below, "https://a.b.example.com/"));
        for other in
            ["https://example.com/", "https://.example.com/", "https://badexample.com/", "https://a.example.com./"]
        {
            assert!(!covers(&below, other), "{other}");
        }
        assert!(covers(&grant("*", &[]), "https://any.example/"));
        assert!(!covers(&grant("*", &[]), "https://any.example:8443/"));
        assert!(covers(&grant("*:8443", &[]), "https://any.example:8443/"));
        assert!(covers(&grant("[::1]:8443", &[]), "https://[0:0::1]:8443/"));
    }

    #[test]
    fn a_path_cannot_be_climbed_out_of() {
        let grant = grant("h", &["/v1/*", "/exact"]);
        assert!(
            ["/v1/", "/v1/a/b", "/exact", "/x/../v1/a", "/v1/a%20b"]
                .iter()
                .all(|at| covers(&grant, &format!("https://h{at}")))
        );
        for other in [
            "/",
            "/v2",
            "/v1",
            "/exact/",
            "/Exact",
            "//v1/a",
            "//exact",
            "/v1/../admin",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/v1\\..\\admin",
            "/v1/..%2fadmin",
            "/v1/..%5cadmin",
            "/v1/%252e%252e%252fadmin",
            "/v1/..;/admin",
            "/v1/..;a=b/admin",
            "/v1/%2e%2e;/admin",
            "/v1/a%00",
            "/%76%31/",
        ] {
            assert!(!covers(&grant, &format!("https://h{other}")), "{other}");
        }
    }

    #[test]
    fn only_the_methods_that_it_names() {
        let grant = HttpGrant { methods: vec!["GET".to_owned()], ..grant("h", &[]) };
        let url = Url::parse("https://h/").unwrap();
        assert!(grant.covers(&Method::GET, &url) && !grant.covers(&Method::POST, &url));
        assert!(!grant.covers(&Method::from_bytes(b"get").unwrap(), &url));
    }

    #[test]
    fn a_pattern_has_one_spelling() {
        let good = [
            "example.com",
            "*.example.com",
            "a_b.example",
            "127.0.0.1:8080",
            "[::1]",
            "*",
            "*:8080",
            "xn--bcher-kva.example",
        ];
        for host in good {
            assert_eq!(check_host(host, Scheme::Https), Ok(()), "{host}");
        }
        for (host, told) in [
            ("Example.com", "write `example.com`"),
            ("bücher.example", "write `xn--bcher-kva.example`"),
            ("example.com:443", "write `example.com`"),
            ("127.1", "write `127.0.0.1`"),
            ("", "allowed"),
            ("example.com.", "allowed"),
            ("*example.com", "allowed"),
            ("*.127.0.0.1", "allowed"),
            ("a.*.com", "allowed"),
            ("u@h", "allowed"),
            ("h/p", "allowed"),
            ("h:99999", "allowed"),
            ("https://h", "allowed"),
        ] {
            assert!(
                check_host(host, Scheme::Https).unwrap_err().contains(told),
                "{host}: {:?}",
                check_host(host, Scheme::Https)
            );
        }
        for (path, good) in [
            ("/", true),
            ("/*", true),
            ("/v1/*", true),
            ("v1", false),
            ("/a*b", false),
            ("/a/../b", false),
            ("/a b", false),
            ("/a?b", false),
            ("", false),
        ] {
            assert_eq!(check_path(path).is_ok(), good, "{path}");
        }
    }
}
