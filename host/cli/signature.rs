//! `flowgate signature`: why a saved request passes or not, without a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use super::out::{Out, fields, table};
use super::secret::SecretArgs;
use super::send;
use crate::clock::Clock;
use crate::id::RequestId;
use crate::signature::{Message, Proof, SCHEMES, Scheme, Secret, sign, verify};

/// The exit code of arguments that say nothing about a request.
const BAD_ARGUMENTS: u8 = 2;

#[derive(Debug, Subcommand)]
pub(super) enum Signature {
    /// List the schemes.
    List,
    /// Say whether a saved request is genuine, and exactly why not. Exit code 0 genuine, 1 not, 2 bad arguments.
    Check {
        #[command(flatten)]
        saved: Saved,
        /// The request's headers: a line `Name: value` each.
        #[arg(long, value_name = "FILE")]
        headers_file: PathBuf,
        /// Seconds that the timestamp may be off, instead of the scheme's.
        #[arg(long, value_name = "S")]
        tolerance: Option<u32>,
    },
    /// Print the headers and parameters that make a request genuine.
    Sign {
        #[command(flatten)]
        saved: Saved,
        /// The message id, for the schemes that have one; one is made when there is none.
        #[arg(long)]
        id: Option<String>,
    },
}

/// What checking and signing need.
#[derive(Debug, clap::Args)]
pub(super) struct Saved {
    /// The scheme; `list` shows all.
    #[arg(long, required_unless_present = "scheme_json")]
    scheme: Option<String>,
    /// The scheme with its details, as a hook's `auth` has it.
    #[arg(long, value_name = "JSON", conflicts_with = "scheme")]
    scheme_json: Option<String>,
    #[command(flatten)]
    secret: SecretArgs,
    /// The request's body, to the byte.
    #[arg(long, value_name = "FILE")]
    body_file: PathBuf,
    /// The request's method.
    #[arg(long, default_value = "POST")]
    method: Method,
    /// The URL that the sender was told, with the query it sent.
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// The time to check or sign at, in Unix seconds; now, unless given.
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
}

impl Signature {
    pub(super) fn run(self, out: Out) -> anyhow::Result<ExitCode> {
        match self {
            Self::List => list(out).map(|()| ExitCode::SUCCESS),
            Self::Check { saved, headers_file, tolerance } => {
                match Checkable::read(saved, Some(&headers_file), tolerance) {
                    Ok(request) => request.check(out),
                    Err(error) => {
                        out.complain(&error)?;
                        Ok(ExitCode::from(BAD_ARGUMENTS))
                    }
                }
            }
            Self::Sign { saved, id } => Checkable::read(saved, None, None)?.sign(id, out).map(|()| ExitCode::SUCCESS),
        }
    }
}

fn list(out: Out) -> anyhow::Result<()> {
    let rows = SCHEMES.iter().map(|row| json!(row.facts())).collect::<Vec<_>>();
    let told = |list: &Value| {
        let rows = list["data"].as_array().map_or(&[][..], Vec::as_slice);
        let columns = [
            ("SCHEME", "/name"),
            ("WHERE", "/place"),
            ("ALGORITHM", "/algorithm"),
            ("TOLERANCE S", "/tolerance_s"),
            ("HANDSHAKE", "/handshake"),
            ("SOURCE", "/source"),
        ];
        table(&columns, rows)
    };
    Ok(out.answer(&json!({ "data": rows }), told)?)
}

/// A request that was saved, and what to hold it against.
struct Checkable {
    scheme: Scheme,
    secrets: Vec<Secret>,
    headers: HeaderMap,
    body: Vec<u8>,
    method: Method,
    public_url: Option<Url>,
    at_unix_ms: i64,
}

impl Checkable {
    fn read(saved: Saved, headers_file: Option<&Path>, tolerance: Option<u32>) -> anyhow::Result<Self> {
        let scheme = scheme(saved.scheme.as_deref(), saved.scheme_json.as_deref(), tolerance)?;
        let secret = saved.secret.read()?;
        if secret.is_none() && !scheme.is_none() {
            bail!("there is no secret: give it by FLOWGATE_SECRET, `--secret-file` or `--secret`");
        }
        secret.iter().try_for_each(|secret| scheme.check_secret(secret))?;
        let headers = headers_file.map(headers).transpose()?.unwrap_or_default();
        let body = std::fs::read(&saved.body_file);
        let body = body.with_context(|| format!("cannot read {}", saved.body_file.display()))?;
        let now = || Clock::system().now().unix_ms();
        let at_unix_ms = saved.at.map_or_else(now, |seconds| seconds.saturating_mul(1_000));
        let (method, public_url) = (saved.method, saved.public_url);
        Ok(Self { scheme, secrets: secret.into_iter().collect(), headers, body, method, public_url, at_unix_ms })
    }

    fn message(&self) -> Message<'_> {
        let url = self.public_url.as_ref();
        Message {
            method: self.method.as_str(),
            path: url.map_or("/", Url::path),
            query: url.and_then(Url::query).unwrap_or_default(),
            headers: &self.headers,
            body: &self.body,
            public_url: url.map(Url::as_str),
        }
    }

    fn check(&self, out: Out) -> anyhow::Result<ExitCode> {
        match verify(&self.scheme, &self.secrets, &self.message(), self.at_unix_ms) {
            Ok(Proof { id, timestamp_s, .. }) => {
                let answer = json!({ "genuine": true, "id": id, "timestamp_s": timestamp_s });
                let told = |answer: &Value| {
                    format!("genuine\n{}", fields(&[("id", "/id"), ("timestamp", "/timestamp_s")], answer))
                };
                out.answer(&answer, told)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(refusal) => {
                let answer = json!({ "genuine": false, "reason": refusal.to_string() });
                out.answer(&answer, |_| format!("not genuine: {refusal}\n"))?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn sign(&self, id: Option<String>, out: Out) -> anyhow::Result<()> {
        let new = || RequestId::at(u64::try_from(self.at_unix_ms).unwrap_or_default()).to_string();
        let id = id.unwrap_or_else(new);
        let credentials = sign(&self.scheme, &self.secrets, &self.message(), &id, self.at_unix_ms)?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = credentials.headers.iter().map(|(name, value)| json!([name.as_str(), text(value)]));
        let query = credentials.query.iter().map(|(name, value)| json!([name, value]));
        let answer = json!({ "headers": headers.collect::<Vec<_>>(), "query": query.collect::<Vec<_>>() });
        let told = |_: &Value| {
            let headers = credentials.headers.iter().map(|(name, value)| format!("{name}: {}\n", text(value)));
            let encoded =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&credentials.query).finish();
            let query = Some(encoded).filter(|query| !query.is_empty()).map(|query| format!("?{query}\n"));
            headers.chain(query).collect()
        };
        Ok(out.answer(&answer, told)?)
    }
}

fn scheme(name: Option<&str>, whole: Option<&str>, tolerance: Option<u32>) -> anyhow::Result<Scheme> {
    let mut entry: Value = match whole {
        Some(text) => serde_json::from_str(text).context("--scheme-json is not JSON")?,
        None => json!({ "scheme": name }),
    };
    if let (Some(seconds), Some(entry)) = (tolerance, entry.as_object_mut()) {
        entry.insert("tolerance_s".to_owned(), json!(seconds));
    }
    serde_json::from_value(entry).context("the scheme cannot be used")
}

/// Reads headers, one a line; a request line before them and the empty line after them are passed over.
fn headers(path: &Path) -> anyhow::Result<HeaderMap> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut headers = HeaderMap::new();
    for (n, line) in text.lines().enumerate() {
        let is_request_line = n == 0 && line.trim_end().ends_with("HTTP/1.1");
        if line.trim().is_empty() || is_request_line {
            continue;
        }
        let (name, value) =
            send::header(line).map_err(|error| anyhow!("{}, line {}: {error}", path.display(), n + 1))?;
        headers.append(name, value);
    }
    Ok(headers)
}
