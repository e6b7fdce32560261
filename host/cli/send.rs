//! `flowgate send`: a trigger, signed as the hook demands.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize as _;
use serde_json::Value;
use url::Url;

use super::events;
use super::out::Out;
use super::problem::Refused;
use super::remote::{LONG, Remote};
use super::secret::SecretArgs;
use crate::clock::{Clock, Timestamp};
use crate::dialect::{Dialect, Payload};
use crate::egress::{Body, Request};
use crate::id::RequestId;
use crate::signature::{Message, Scheme, Secret, sign};
use crate::trigger::Json;

/// How long an answer may take beyond what was asked for; the longest `sync_wait_ms` of a hook fits in.
const PATIENCE: Duration = Duration::from_secs(16 * 60);

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// The hook, by name or id.
    pub(super) hook: String,
    /// The body; `-` is stdin. Without it the body says the message, session, user and data in the dialect of the hook.
    #[arg(conflicts_with_all = ["message", "session", "user", "data"])]
    pub(super) file: Option<PathBuf>,
    /// Send this text as the message.
    #[arg(long, value_name = "TEXT")]
    pub(super) message: Option<String>,
    /// The conversation that it belongs to.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
    /// Who sends it.
    #[arg(long, value_name = "ID")]
    pub(super) user: Option<String>,
    /// What it is about.
    #[arg(long, value_name = "JSON", value_parser = |text: &str| Json::parse(text.to_owned()))]
    pub(super) data: Option<Json>,
    /// Ask not to wait for the reply.
    #[arg(long = "async", conflicts_with = "stream")]
    pub(super) respond_async: bool,
    /// Ask to wait that many seconds for the reply.
    #[arg(long, value_name = "S", conflicts_with = "stream")]
    pub(super) wait: Option<u32>,
    /// Show what the flow says as it says it.
    #[arg(long)]
    pub(super) stream: bool,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    /// A further header, `Name: value`.
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Print the signed request as a `curl` command instead of sending it. The command holds what proves the sender.
    #[arg(long)]
    pub(super) curl: bool,
}

/// A request that a hook accepts.
#[derive(Debug)]
pub(super) struct Signed {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Send {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let hook = remote.get(&["v1", "hooks", &self.hook], &[]).await?;
        let (curl, stream, file, wait) = (self.curl, self.stream, self.file.clone(), self.wait.unwrap_or(0));
        let path = hook["url_path"].as_str().context("the server's answer has no `url_path`")?.to_owned();
        let url = remote.at(&path.split('/').skip(1).collect::<Vec<_>>(), &[]);
        let signed = self.signed(&hook, url, Clock::system().now())?;
        if curl {
            let file = file.filter(|file| file.as_os_str() != "-");
            return Ok(out.text(&format!("{}\n", signed.curl(file.as_deref())?))?);
        }
        let deadline = if stream { LONG } else { Duration::from_secs(wait.into()) + PATIENCE };
        let Signed { url, headers, body } = signed;
        let request = Request { method: Method::POST, url, headers, body: Body::from(body), deadline, identity: None };
        if stream { streamed(request, remote, out).await } else { answered(request, remote, out).await }
    }

    /// The request for a hook, as the API shows it, at `url`.
    pub(super) fn signed(self, hook: &Value, url: Url, now: Timestamp) -> anyhow::Result<Signed> {
        let dialect = Dialect::deserialize(&hook["dialect"]).context("the hook's dialect")?;
        let body = self.body(dialect)?;
        let mut headers = self.wishes();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(&body)));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let schemes: Vec<Scheme> = serde_json::from_value(hook["auth"].clone()).context("the hook's schemes")?;
        let secret = self.secret.read()?;
        let scheme = fitting(&schemes, secret.as_ref())?;
        let message = Message {
            method: "POST",
            path: hook["url_path"].as_str().unwrap_or_default(),
            query: "",
            headers: &headers,
            body: &body,
            public_url: hook["public_url"].as_str(),
        };
        let id = RequestId::at(now.unix_ms_unsigned()).to_string();
        let credentials = sign(scheme, secret.as_slice(), &message, &id, now.unix_ms())?;
        headers.extend(credentials.headers);
        let mut url = url;
        if !credentials.query.is_empty() {
            url.query_pairs_mut().extend_pairs(credentials.query);
        }
        Ok(Signed { url, headers, body })
    }

    fn body(&self, dialect: Dialect) -> anyhow::Result<Bytes> {
        match &self.file {
            Some(path) if path.as_os_str() == "-" => {
                let mut body = Vec::new();
                std::io::stdin().lock().read_to_end(&mut body).context("cannot read stdin")?;
                Ok(body.into())
            }
            Some(path) => Ok(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.into()),
            None => Ok(dialect.request(&Payload {
                message: self.message.clone(),
                user_id: self.user.clone(),
                session_id: self.session.clone(),
                data: self.data.clone().unwrap_or_default(),
                metadata: Json::empty(),
            })),
        }
    }

    /// `Prefer` (RFC 7240) and `Accept`.
    fn wishes(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let wait = self.wait.map(|seconds| format!("wait={seconds}"));
        let wishes = self.respond_async.then(|| "respond-async".to_owned()).into_iter().chain(wait);
        let wishes = wishes.collect::<Vec<_>>().join(", ");
        if !wishes.is_empty() {
            headers.insert("prefer", HeaderValue::from_str(&wishes).expect("these are plain letters"));
        }
        if self.stream {
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        headers
    }
}

/// The first scheme that goes with the secret.
fn fitting<'a>(schemes: &'a [Scheme], secret: Option<&Secret>) -> anyhow::Result<&'a Scheme> {
    let fits = |scheme: &&Scheme| scheme.is_none() || secret.is_some_and(|secret| scheme.check_secret(secret).is_ok());
    if let Some(scheme) = schemes.iter().find(fits) {
        return Ok(scheme);
    }
    match (schemes.first(), secret) {
        (None, _) => bail!("the hook has no scheme"),
        (Some(scheme), Some(secret)) => Err(scheme.check_secret(secret).expect_err("it did not fit").into()),
        (Some(scheme), None) => bail!(
            "the hook wants its secret, by scheme `{}`\nhint: give it by FLOWGATE_SECRET, `--secret-file` or `--secret`; \
             if it is lost, `flowgate hook rotate HOOK` makes another one",
            scheme.name()
        ),
    }
}

pub(super) fn media_type(body: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "application/json"
    } else if std::str::from_utf8(body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

/// Reads `Name: value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("allowed: `Name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| "the value has characters that no header can hold")?;
    Ok((name, value))
}

async fn answered(request: Request, remote: &Remote, out: Out) -> anyhow::Result<()> {
    let answer = remote.answer(request).await?;
    let status = answer.status;
    let id = answer.headers.get("flowgate-execution-id").and_then(|value| value.to_str().ok());
    let body = serde_json::from_slice::<Value>(&answer.body).ok();
    let is_problem = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if is_problem {
        bail!(Refused::new(status.as_u16(), &answer.body));
    }
    match &body {
        Some(body) if out.is_json() => out.data(body)?,
        // Native answers begin with the execution; whatever else comes is the flow's own.
        Some(body) if body["execution_id"].is_string() => {
            out.text(&events::reply_told(&body["reply"]))?;
            out.hint(events::status_told(body))?;
            if status == 202 {
                out.hint(format_args!(
                    "follow it: flowgate execution tail {}",
                    body["execution_id"].as_str().unwrap_or("")
                ))?;
            }
        }
        _ => {
            out.bytes(&answer.body)?;
            out.hint(format_args!("status {status}, execution {}", id.unwrap_or("unknown")))?;
        }
    }
    if status.is_success() || status.is_redirection() {
        Ok(())
    } else {
        bail!("the flow answered with status {status}")
    }
}

async fn streamed(request: Request, remote: &Remote, out: Out) -> anyhow::Result<()> {
    let stream = remote.stream(request).await?;
    let id = stream.headers.get("flowgate-execution-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let id = id.context("the answer names no execution")?;
    events::show(Some(stream), &id, remote, out).await
}

impl Signed {
    /// The same request as a command for a shell.
    pub(super) fn curl(&self, file: Option<&std::path::Path>) -> anyhow::Result<String> {
        let mut parts = vec![format!("curl --request POST {}", quoted(self.url.as_str()))];
        for (name, value) in &self.headers {
            let value = value.to_str().context("a header is not plain text")?;
            parts.push(format!("--header {}", quoted(&format!("{name}: {value}"))));
        }
        let text = std::str::from_utf8(&self.body).ok().filter(|text| !text.contains('\0'));
        parts.push(match (text, file) {
            (Some(text), _) => format!("--data-raw {}", quoted(text)),
            (None, Some(file)) => format!("--data-binary {}", quoted(&format!("@{}", file.display()))),
            (None, None) => bail!("the body is not text; put it into a file, so that the command can name it"),
        });
        Ok(parts.join(" \\\n  "))
    }
}

/// A word for a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
