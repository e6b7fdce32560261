//! `flowgate hook`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::Paging;
use super::out::{Columns, Out, fields, line, table};
use super::remote::Remote;
use super::secret;
use crate::signature::Scheme;

#[derive(Debug, Subcommand)]
pub(super) enum Hook {
    /// Make a hook. Its secret is shown only now.
    Create(Create),
    /// List the hooks, newest first.
    List(Paging),
    /// Show a hook.
    Show(Named),
    /// Change a hook: what is given replaces what was.
    Update(Update),
    /// Let a hook take requests.
    Enable(Named),
    /// Let a hook refuse every request.
    Disable(Named),
    /// Add a secret, and let the ones before it live on for a while.
    Rotate(Rotate),
    /// Remove a secret at once.
    Revoke {
        /// The hook, by name or id.
        hook: String,
        /// The secret's id; `show` lists them.
        secret_id: String,
    },
    /// List the requests that a hook refused, each with the exact reason.
    Requests {
        /// The hook, by name or id.
        hook: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Delete a hook.
    Delete(Named),
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The hook, by name or id.
    hook: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name: 1 to 63 of a-z, 0-9, `-` and `_`.
    pub(super) name: String,
    /// The flow that it triggers.
    #[arg(long)]
    pub(super) flow: String,
    /// The secret that senders use; one is made when there is none.
    #[arg(long, value_name = "TEXT")]
    pub(super) secret: Option<String>,
    /// A file that holds it; the line's end does not belong to it.
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub(super) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) spec: Spec,
}

#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// The hook, by name or id.
    hook: String,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Another flow.
    #[arg(long)]
    flow: Option<String>,
    #[command(flatten)]
    spec: Spec,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// The hook, by name or id.
    hook: String,
    /// Which secrets.
    #[arg(long = "use", value_enum, default_value_t = Use::Auth)]
    for_use: Use,
    /// Seconds that the secrets before it live on.
    #[arg(long, default_value_t = 86_400, value_name = "N")]
    overlap_s: u64,
    /// The new secret; one is made when there is none.
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// A file that holds it.
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Use {
    /// Proves senders.
    Auth,
    /// Signs callbacks.
    Callback,
}

/// What a hook does. Only what is given is sent.
#[derive(Debug, clap::Args)]
pub(super) struct Spec {
    /// The wire format: native, autommate, uptiq, cognigy, almyty or agenticflow.
    #[arg(long, value_name = "NAME")]
    pub(super) dialect: Option<String>,
    /// How senders prove themselves; one of several is enough. `flowgate signature list` shows all; a new hook has
    /// `bearer`, or what the senders of its dialect's product use, unless told otherwise. `none` lets everybody in.
    #[arg(long, value_name = "SCHEME")]
    pub(super) auth: Vec<String>,
    /// The same in full, for example '{"scheme":"hmac-sha256","header":"x-sig","signed":"{timestamp}.{body}"}'.
    #[arg(long, value_name = "JSON")]
    pub(super) auth_json: Vec<String>,
    /// The header of the `--auth` scheme.
    #[arg(long, requires = "auth", value_name = "NAME")]
    pub(super) header: Option<String>,
    /// What stands before the signature in that header.
    #[arg(long, requires = "auth")]
    pub(super) prefix: Option<String>,
    /// How the signature is written.
    #[arg(long, requires = "auth", value_parser = ["hex", "base64"])]
    pub(super) encoding: Option<String>,
    /// The query parameter of `--auth api-key`.
    #[arg(long, requires = "auth", value_name = "NAME")]
    pub(super) query: Option<String>,
    /// The user of `--auth basic`.
    #[arg(long, requires = "auth", value_name = "NAME")]
    pub(super) user: Option<String>,
    /// How a sender gets the answer when it does not say.
    #[arg(long, value_parser = ["sync", "async", "stream"])]
    pub(super) mode: Option<String>,
    /// Where outcomes are delivered.
    #[arg(long, value_name = "URL")]
    pub(super) callback: Option<Url>,
    /// Milliseconds that a sender waits for the reply. Then it gets a 202, and the execution goes on.
    #[arg(long, value_name = "N")]
    pub(super) sync_wait_ms: Option<u64>,
    /// Bytes of a request's body.
    #[arg(long, value_name = "N")]
    pub(super) body_bytes_max: Option<u64>,
    /// Further members of the hook, for example '{"retry":{"attempts_max":1},"record":"strict"}'; null is the default.
    #[arg(long, value_name = "JSON")]
    pub(super) spec: Option<String>,
}

impl Spec {
    /// As members of the API's JSON.
    pub(super) fn members(self) -> anyhow::Result<Map<String, Value>> {
        let mut members = match &self.spec {
            Some(text) => serde_json::from_str(text).context("--spec is not a JSON object")?,
            None => Map::new(),
        };
        let auth = self.schemes()?;
        if !auth.is_empty() {
            members.insert("auth".to_owned(), json!(auth));
        }
        let callback = self.callback.map(|url| json!({ "url": url }));
        let given = [
            ("dialect", self.dialect.map(Value::from)),
            ("mode", self.mode.map(Value::from)),
            ("callback", callback),
            ("sync_wait_ms", self.sync_wait_ms.map(Value::from)),
            ("body_bytes_max", self.body_bytes_max.map(Value::from)),
        ];
        members.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(members)
    }

    /// The schemes, checked here, so that a slip is told at once and in the words of the command line.
    fn schemes(&self) -> anyhow::Result<Vec<Scheme>> {
        let details = [
            ("header", &self.header),
            ("prefix", &self.prefix),
            ("encoding", &self.encoding),
            ("query", &self.query),
            ("user", &self.user),
        ];
        let details = details.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        let details: Map<String, Value> = details.collect();
        if self.auth.len() > 1 && !details.is_empty() {
            bail!("with several --auth it is not clear which one has the {}; use --auth-json", names(&details));
        }
        let named = self.auth.iter().map(|name| {
            let mut entry = details.clone();
            entry.insert("scheme".to_owned(), json!(name));
            serde_json::from_value(Value::Object(entry)).with_context(|| format!("--auth {name}"))
        });
        let whole = self.auth_json.iter().map(|text| serde_json::from_str(text).context("--auth-json"));
        named.chain(whole).collect()
    }
}

fn names(members: &Map<String, Value>) -> String {
    members.keys().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ")
}

const LIST: Columns<'_> = &[
    ("NAME", "/name"),
    ("ID", "/id"),
    ("FLOW", "/flow"),
    ("DIALECT", "/dialect"),
    ("AUTH", "/auth/0/scheme"),
    ("MODE", "/mode"),
    ("ENABLED", "/enabled"),
    ("CALLBACK", "/callback/url"),
];
const ONE: Columns<'_> = &[
    ("name", "/name"),
    ("id", "/id"),
    ("flow", "/flow"),
    ("alias", "/alias"),
    ("enabled", "/enabled"),
    ("dialect", "/dialect"),
    ("auth", "/auth"),
    ("mode", "/mode"),
    ("sync_wait_ms", "/sync_wait_ms"),
    ("body_bytes_max", "/body_bytes_max"),
    ("record", "/record"),
    ("retry", "/retry"),
    ("limits", "/limits"),
    ("callback", "/callback/url"),
    ("public_url", "/public_url"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
];
const SECRETS: Columns<'_> =
    &[("SECRET", "/id"), ("USE", "/use"), ("CREATED", "/created_at"), ("EXPIRES", "/expires_at")];
const REQUESTS: Columns<'_> =
    &[("AT", "/at"), ("STATUS", "/status"), ("CODE", "/code"), ("PEER", "/request/peer"), ("REASON", "/reason")];

impl Hook {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(remote, out).await?,
            Self::List(paging) => out.list(&remote.get(&["v1", "hooks"], &paging.query()).await?, LIST)?,
            Self::Show(Named { hook }) => {
                let hook = remote.get(&["v1", "hooks", &hook], &[]).await?;
                out.answer(&hook, |hook| told(hook, remote))?;
            }
            Self::Update(update) => update.run(remote, out).await?,
            Self::Enable(Named { hook }) => {
                change(&hook, json!({ "enabled": true }), remote, out).await?;
                out.done(format_args!("hook {hook} enabled"))?;
            }
            Self::Disable(Named { hook }) => {
                change(&hook, json!({ "enabled": false }), remote, out).await?;
                out.done(format_args!("hook {hook} disabled"))?;
            }
            Self::Rotate(rotate) => rotate.run(remote, out).await?,
            Self::Revoke { hook, secret_id } => {
                remote.act(Method::DELETE, &["v1", "hooks", &hook, "secrets", &secret_id]).await?;
                out.done(format_args!("secret {secret_id} of hook {hook} revoked"))?;
            }
            Self::Requests { hook, paging } => {
                out.list(&remote.get(&["v1", "hooks", &hook, "requests"], &paging.query()).await?, REQUESTS)?;
            }
            Self::Delete(Named { hook }) => {
                remote.act(Method::DELETE, &["v1", "hooks", &hook]).await?;
                out.done(format_args!("hook {hook} deleted"))?;
            }
        }
        Ok(())
    }
}

impl Create {
    /// The API's JSON.
    pub(super) fn body(self) -> anyhow::Result<Value> {
        let mut body = self.spec.members()?;
        let is_native = body.get("dialect").is_none_or(|dialect| dialect == "native");
        if is_native {
            body.entry("auth").or_insert_with(|| json!([{ "scheme": "bearer" }]));
        }
        body.insert("name".to_owned(), json!(self.name));
        body.insert("flow".to_owned(), json!(self.flow));
        if let Some(secret) = given(self.secret, self.secret_file)? {
            body.insert("secret".to_owned(), json!(secret));
        }
        Ok(Value::Object(body))
    }

    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let name = self.name.clone();
        let hook = remote.send(Method::POST, &["v1", "hooks"], &self.body()?).await?;
        if out.is_json() {
            return Ok(out.data(&hook)?);
        }
        out.text(&format!("hook {name} created\nurl     {}\n{}", url(&hook, remote), shown(&hook)))?;
        let secret = secret_of(&hook, "auth").map(|secret| format!("FLOWGATE_SECRET={} ", super::send::quoted(secret)));
        out.hint(format_args!("\n{}flowgate send {name} --message Hello", secret.unwrap_or_default()))?;
        Ok(())
    }
}

impl Update {
    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let mut body = self.spec.members()?;
        body.extend(self.name.map(|name| ("name".to_owned(), json!(name))));
        body.extend(self.flow.map(|flow| ("flow".to_owned(), json!(flow))));
        if body.is_empty() {
            bail!("nothing to change; `flowgate hook update --help` lists what there is");
        }
        let hook = change(&self.hook, Value::Object(body), remote, out).await?;
        out.done(format_args!("hook {} updated", self.hook))?;
        if !out.is_json() {
            out.text(&shown(&hook))?;
        }
        Ok(())
    }
}

impl Rotate {
    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let for_use = match self.for_use {
            Use::Auth => "auth",
            Use::Callback => "callback",
        };
        let mut body = json!({ "use": for_use, "overlap_s": self.overlap_s });
        if let Some(secret) = given(self.secret, self.secret_file)? {
            body["secret"] = json!(secret);
        }
        let secret = remote.send(Method::POST, &["v1", "hooks", &self.hook, "secrets"], &body).await?;
        out.answer(&secret, |secret| fields(&[("secret", "/secret"), ("id", "/id")], secret))?;
        out.hint(format_args!("shown only now; the secrets before it live for {} s", self.overlap_s))?;
        Ok(())
    }
}

/// Changes a hook; with `--json` the answer is written.
async fn change(hook: &str, body: Value, remote: &Remote, out: Out) -> anyhow::Result<Value> {
    let hook = remote.send(Method::PATCH, &["v1", "hooks", hook], &body).await?;
    if out.is_json() {
        out.data(&hook)?;
    }
    Ok(hook)
}

fn given(text: Option<String>, file: Option<PathBuf>) -> anyhow::Result<Option<String>> {
    match file {
        Some(path) => Ok(Some(secret::from_file(&path)?.expose().to_owned())),
        None => Ok(text),
    }
}

fn told(hook: &Value, remote: &Remote) -> String {
    let secrets = hook["secrets"].as_array().map_or(&[][..], Vec::as_slice);
    format!("url  {}\n{}\n{}", url(hook, remote), fields(ONE, hook), table(SECRETS, secrets))
}

/// The secrets whose text the answer holds.
fn shown(hook: &Value) -> String {
    let secrets = [("auth", "secret "), ("callback", "callback secret")];
    let shown = secrets.into_iter().filter_map(|(for_use, title)| Some((title, secret_of(hook, for_use)?)));
    shown.map(|(title, secret)| format!("{title} {}  (shown only now)\n", line(secret))).collect()
}

fn secret_of<'a>(hook: &'a Value, for_use: &str) -> Option<&'a str> {
    let mut secrets = hook["secrets"].as_array()?.iter().filter(|secret| secret["use"] == for_use);
    secrets.find_map(|secret| secret["secret"].as_str())
}

fn url(hook: &Value, remote: &Remote) -> Url {
    let path = hook["url_path"].as_str().unwrap_or_default();
    remote.at(&path.split('/').skip(1).collect::<Vec<_>>(), &[])
}
