//! `flowgate hook`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::Paging;
use super::hook_request::{self, Replay, Requests};
use super::out::{Columns, Out, fields, table};
use super::remote::Remote;
use super::secret;
use super::spec::Spec;

#[derive(Debug, Subcommand)]
pub(super) enum Hook {
    /// Make a hook. Its secret is shown only now.
    Create(Box<Create>),
    /// List the hooks, newest first.
    List(Paging),
    /// Show a hook.
    Show(Named),
    /// Change a hook: what is given replaces what was.
    Update(Box<Update>),
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
    /// Show the private key of a hook of the dialect uptiq, as JSON.
    PrivateKey(Named),
    /// List the requests that came to a hook, each with what became of it and why.
    Requests(Requests),
    /// Show a request.
    Request(hook_request::Named),
    /// Give a request that was filtered, captured or accepted to a flow, as a new execution.
    Replay(Replay),
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
    /// The id by which senders know it in the paths of its dialect, such as that of the agent it stands in for.
    #[arg(long, value_name = "ID")]
    pub(super) path_id: Option<String>,
    /// The secret that senders use; one is made when there is none.
    #[arg(long, value_name = "TEXT")]
    pub(super) secret: Option<String>,
    /// A file that holds it; the line's end does not belong to it.
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub(super) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) spec: Box<Spec>,
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
    /// Another id for the paths of its dialect; an empty one takes it away.
    #[arg(long, value_name = "ID")]
    path_id: Option<String>,
    #[command(flatten)]
    spec: Box<Spec>,
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
    ("path_id", "/path_id"),
    ("url", "/url"),
    ("flow", "/flow"),
    ("alias", "/alias"),
    ("enabled", "/enabled"),
    ("dialect", "/dialect"),
    ("auth", "/auth"),
    ("mode", "/mode"),
    ("on_busy", "/on_busy"),
    ("sync_wait_ms", "/sync_wait_ms"),
    ("body_bytes_max", "/body_bytes_max"),
    ("allow_from", "/allow_from"),
    ("content_types", "/content_types"),
    ("content_encodings", "/content_encodings"),
    ("record", "/record"),
    ("retry", "/retry"),
    ("limits", "/limits"),
    ("filter", "/filter"),
    ("deduplicate", "/deduplicate"),
    ("capture", "/capture"),
    ("callback", "/callback/url"),
    ("public_url", "/public_url"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
];
const SECRETS: Columns<'_> =
    &[("SECRET", "/id"), ("USE", "/use"), ("CREATED", "/created_at"), ("EXPIRES", "/expires_at")];

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
            Self::PrivateKey(Named { hook }) => {
                out.data(&remote.get(&["v1", "hooks", &hook, "private-key"], &[]).await?)?;
            }
            Self::Requests(requests) => requests.run(remote, out).await?,
            Self::Request(request) => request.run(remote, out).await?,
            Self::Replay(replay) => replay.run(remote, out).await?,
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
        body.extend(self.path_id.map(|id| ("path_id".to_owned(), json!(id))));
        if let Some(secret) = secret::given(self.secret, self.secret_file)? {
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
        out.text(&format!("hook {name} created\n{}", shown(&hook, remote)))?;
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
        body.extend(self.path_id.map(|id| ("path_id".to_owned(), json!(Some(id).filter(|id| !id.is_empty())))));
        if body.is_empty() {
            bail!("nothing to change; `flowgate hook update --help` lists what there is");
        }
        let hook = change(&self.hook, Value::Object(body), remote, out).await?;
        out.done(format_args!("hook {} updated", self.hook))?;
        if !out.is_json() {
            out.text(&shown(&hook, remote))?;
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
        if let Some(secret) = secret::given(self.secret, self.secret_file)? {
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

fn told(hook: &Value, remote: &Remote) -> String {
    let mut hook = hook.clone();
    hook["url"] = json!(url(&hook, remote));
    let secrets = hook["secrets"].as_array().map_or(&[][..], Vec::as_slice);
    format!("{}\n{}", fields(ONE, &hook), table(SECRETS, secrets))
}

/// What a sender has to know; the secrets are there only when the answer holds their text.
fn shown(hook: &Value, remote: &Remote) -> String {
    let secrets = json!({
        "url": url(hook, remote),
        "auth": secret_of(hook, "auth"),
        "callback": secret_of(hook, "callback"),
    });
    let told = fields(&[("url", "/url"), ("secret", "/auth"), ("callback secret", "/callback")], &secrets);
    let new = ["auth", "callback"].iter().any(|for_use| secret_of(hook, for_use).is_some());
    if new { told + "Secrets are shown only now.\n" } else { told }
}

fn secret_of<'a>(hook: &'a Value, for_use: &str) -> Option<&'a str> {
    let mut secrets = hook["secrets"].as_array()?.iter().filter(|secret| secret["use"] == for_use);
    secrets.find_map(|secret| secret["secret"].as_str())
}

fn url(hook: &Value, remote: &Remote) -> Url {
    let path = hook["url_path"].as_str().unwrap_or_default();
    remote.at(&path.split('/').skip(1).collect::<Vec<_>>(), &[])
}
