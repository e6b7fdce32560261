//! `flowgate subscription` and `flowgate events`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::Paging;
use super::out::{Columns, Out, fields, line, table};
use super::remote::Remote;
use super::secret;
use super::subscription_pull::{Consumers, Forget, Pull};
use crate::signature::Scheme;

#[derive(Debug, Subcommand)]
pub(super) enum Subscription {
    /// Make a subscription. Its secret is shown only now.
    Create(Create),
    /// List the subscriptions, newest first.
    List(Paging),
    /// Show a subscription.
    Show(Named),
    /// Change a subscription: what is given replaces what was.
    Update(Update),
    /// Let a subscription be told of events.
    Enable(Named),
    /// Let a subscription be told of nothing.
    Disable(Named),
    /// Add a secret that signs, and let the ones before it live on for a while.
    Rotate(Rotate),
    /// Remove a secret at once.
    Revoke {
        /// The subscription, by id or name.
        subscription: String,
        /// The secret's id; `show` lists them.
        secret_id: String,
    },
    /// Read the next events of a subscription, as a receiver behind a firewall does.
    Pull(Pull),
    /// List who reads a subscription's events, and how far each has come.
    Consumers(Consumers),
    /// Forget how far a consumer has come.
    Forget(Forget),
    /// Send an example of an event to a subscription, or show the request that would.
    Test(Test),
    /// Delete a subscription.
    Delete(Named),
}

/// List the events that a subscription can be told of; with `--json`, each with its JSON Schema and an example.
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The subscription, by id or name.
    subscription: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The receiver; without one, nothing is sent, and the events are read by `flowgate subscription pull`.
    // Not called `url`, which is the server's.
    #[arg(value_name = "URL")]
    receiver: Option<Url>,
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// What signs the deliveries; one is made when there is none.
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// A file that holds it; the line's end does not belong to it.
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    spec: Spec,
}

#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// The subscription, by id or name.
    subscription: String,
    /// Another receiver.
    #[arg(long, value_name = "URL")]
    receiver: Option<Url>,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    spec: Spec,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// The subscription, by id or name.
    subscription: String,
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

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The subscription, by id or name.
    subscription: String,
    /// The event; the first one that the subscription names without.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Members of the event's data that take the place of the example's.
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Send nothing, and show the request: the exact bytes, headers and signature.
    #[arg(long)]
    dry_run: bool,
}

/// What a subscription does. Only what is given is sent.
#[derive(Debug, clap::Args)]
struct Spec {
    /// An event, or a wildcard such as `execution.*`; `flowgate events` lists them. A new subscription has `*` unless told
    /// otherwise.
    #[arg(long = "event", value_name = "NAME")]
    events: Vec<String>,
    /// What is around an event's data.
    #[arg(long, value_parser = ["native", "agenticflow"])]
    format: Option<String>,
    /// What the data must be like, for example '{"flow.name":"orders","credits":{"$gt":1}}'.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// A dotted path of what is sent of the data; all of it without.
    #[arg(long = "include-field", value_name = "PATH")]
    include_fields: Vec<String>,
    /// A component that says what is sent instead, by its flow and alias; `live` without.
    #[arg(long, value_name = "FLOW[@ALIAS]")]
    transform: Option<String>,
    /// How deliveries are signed; `flowgate signature list` shows all.
    #[arg(long, value_name = "SCHEME")]
    signature: Option<String>,
    /// What else the receiver asks for, for example '{"type":"basic","user":"me","password":"…"}'.
    #[arg(long, value_name = "JSON")]
    authentication: Option<String>,
    /// A file with a bearer token that the receiver asks for.
    #[arg(long, value_name = "FILE", conflicts_with = "authentication")]
    bearer_file: Option<PathBuf>,
    /// Further members, for example '{"batch":{"events_max":50},"order":"session"}'; null is the default.
    #[arg(long, value_name = "JSON")]
    spec: Option<String>,
}

const LIST: Columns<'_> = &[
    ("NAME", "/name"),
    ("ID", "/id"),
    ("URL", "/url"),
    ("EVENTS", "/events"),
    ("FORMAT", "/format"),
    ("ENABLED", "/enabled"),
    ("WHY NOT", "/disabled_reason"),
];
const ONE: Columns<'_> = &[
    ("name", "/name"),
    ("id", "/id"),
    ("url", "/url"),
    ("enabled", "/enabled"),
    ("disabled because", "/disabled_reason"),
    ("events", "/events"),
    ("format", "/format"),
    ("filter", "/filter"),
    ("conditions", "/conditions"),
    ("include fields", "/include_fields"),
    ("transform", "/transform"),
    ("batch", "/batch"),
    ("order", "/order"),
    ("schedule", "/schedule"),
    ("signature", "/signature"),
    ("public key", "/public_key"),
    ("authentication", "/authentication"),
    ("headers", "/headers"),
    ("in flight", "/in_flight_max"),
    ("rate per second", "/rate_per_s"),
    ("created", "/created_at"),
    ("updated", "/updated_at"),
];
const SECRETS: Columns<'_> =
    &[("SECRET", "/id"), ("USE", "/use"), ("CREATED", "/created_at"), ("EXPIRES", "/expires_at")];
const EVENTS: Columns<'_> = &[("EVENT", "/name"), ("WHEN", "/description"), ("THE SAME AS", "/view_of")];

/// Where the subscriptions are.
const PATH: [&str; 2] = ["v1", "subscriptions"];

impl Subscription {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(remote, out).await?,
            Self::List(paging) => out.list(&remote.get(&PATH, &paging.query()).await?, LIST)?,
            Self::Show(Named { subscription }) => {
                out.answer(&remote.get(&at(&subscription), &[]).await?, told)?;
            }
            Self::Update(update) => update.run(remote, out).await?,
            Self::Enable(Named { subscription }) => {
                change(&subscription, json!({ "enabled": true }), remote, out).await?;
                out.done(format_args!("subscription {subscription} enabled"))?;
            }
            Self::Disable(Named { subscription }) => {
                change(&subscription, json!({ "enabled": false }), remote, out).await?;
                out.done(format_args!("subscription {subscription} disabled"))?;
            }
            Self::Rotate(rotate) => rotate.run(remote, out).await?,
            Self::Revoke { subscription, secret_id } => {
                let path = [&at(&subscription)[..], &["secrets", &secret_id]].concat();
                remote.act(Method::DELETE, &path).await?;
                out.done(format_args!("secret {secret_id} of subscription {subscription} revoked"))?;
            }
            Self::Pull(pull) => pull.run(remote, out).await?,
            Self::Consumers(consumers) => consumers.run(remote, out).await?,
            Self::Forget(forget) => forget.run(remote, out).await?,
            Self::Test(test) => test.run(remote, out).await?,
            Self::Delete(Named { subscription }) => {
                remote.act(Method::DELETE, &at(&subscription)).await?;
                out.done(format_args!("subscription {subscription} deleted"))?;
            }
        }
        Ok(())
    }
}

impl Events {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        Ok(out.list(&remote.get(&["v1", "events"], &self.paging.query()).await?, EVENTS)?)
    }
}

impl Create {
    /// The API's JSON.
    pub(super) fn body(self) -> anyhow::Result<Value> {
        let mut body = self.spec.members()?;
        body.entry("events").or_insert_with(|| json!(["*"]));
        body.extend(self.receiver.map(|url| ("url".to_owned(), json!(url))));
        body.extend(self.name.map(|name| ("name".to_owned(), json!(name))));
        body.extend(secret::given(self.secret, self.secret_file)?.map(|secret| ("secret".to_owned(), json!(secret))));
        Ok(Value::Object(body))
    }

    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let made = remote.send(Method::POST, &PATH, &self.body()?).await?;
        out.answer(&made, |made| {
            let lines =
                [("id", "/id"), ("url", "/url"), ("secret", "/secrets/0/secret"), ("public key", "/public_key")];
            format!("subscription created\n{}Secrets are shown only now.\n", fields(&lines, made))
        })?;
        Ok(())
    }
}

impl Update {
    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let mut body = self.spec.members()?;
        body.extend(self.receiver.map(|url| ("url".to_owned(), json!(url))));
        body.extend(self.name.map(|name| ("name".to_owned(), json!(name))));
        if body.is_empty() {
            bail!("nothing to change; `flowgate subscription update --help` lists what there is");
        }
        let changed = change(&self.subscription, Value::Object(body), remote, out).await?;
        out.done(format_args!("subscription {} updated", self.subscription))?;
        if let (false, Some(secret)) = (out.is_json(), changed["secrets"][0]["secret"].as_str()) {
            out.text(&format!("secret  {secret}\nSecrets are shown only now.\n"))?;
        }
        Ok(())
    }
}

impl Rotate {
    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let mut body = json!({ "overlap_s": self.overlap_s });
        if let Some(secret) = secret::given(self.secret, self.secret_file)? {
            body["secret"] = json!(secret);
        }
        let path = [&at(&self.subscription)[..], &["secrets"]].concat();
        let secret = remote.send(Method::POST, &path, &body).await?;
        out.answer(&secret, |secret| fields(&[("secret", "/secret"), ("id", "/id")], secret))?;
        out.hint(format_args!("shown only now; the secrets before it live for {} s", self.overlap_s))?;
        Ok(())
    }
}

impl Test {
    async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let mut body = json!({ "dry_run": self.dry_run });
        if let Some(event) = self.event {
            body["event"] = json!(event);
        }
        if let Some(data) = &self.data {
            body["data"] = serde_json::from_str(data).context("--data is not JSON")?;
        }
        let path = [&at(&self.subscription)[..], &["test"]].concat();
        let answer = remote.send(Method::POST, &path, &body).await?;
        out.answer(&answer, if self.dry_run { request } else { sent })?;
        if let Some(why) = answer["filtered"].as_str() {
            out.hint(format_args!("the filter would keep a real event like this one back: {}", line(why)))?;
        }
        Ok(())
    }
}

fn sent(answer: &Value) -> String {
    fields(&[("event", "/event"), ("delivery", "/delivery_id")], answer)
}

/// The request as it would be on the wire, but for what the connection adds.
fn request(answer: &Value) -> String {
    let text = |at: &Value| line(at.as_str().unwrap_or_default()).into_owned();
    let headers = answer["headers"].as_array().into_iter().flatten();
    let headers = headers.map(|header| format!("{}: {}\n", text(&header["name"]), text(&header["value"])));
    let (method, url, body) = (text(&answer["method"]), text(&answer["url"]), text(&answer["body"]));
    format!("{method} {url}\n{}\n{body}\n", headers.collect::<String>())
}

impl Spec {
    /// As members of the API's JSON.
    fn members(self) -> anyhow::Result<Map<String, Value>> {
        let parsed = |option: &'static str, text: &Option<String>| -> anyhow::Result<Option<Value>> {
            let parse = |text: &String| serde_json::from_str(text).with_context(|| format!("{option} is not JSON"));
            text.as_ref().map(parse).transpose()
        };
        let mut members = match &self.spec {
            Some(text) => serde_json::from_str(text).context("--spec is not a JSON object")?,
            None => Map::new(),
        };
        let bearer = match &self.bearer_file {
            Some(path) => Some(json!({ "type": "bearer", "token": secret::from_file(path)?.expose() })),
            None => None,
        };
        // Checked here, so that a slip is told at once.
        let signature = self.signature.map(|name| Scheme::named(&name)).transpose().context("--signature")?;
        let given = [
            ("events", (!self.events.is_empty()).then(|| json!(self.events))),
            ("format", self.format.map(Value::from)),
            ("filter", parsed("--filter", &self.filter)?),
            ("include_fields", (!self.include_fields.is_empty()).then(|| json!(self.include_fields))),
            ("transform", self.transform.as_deref().map(transform)),
            ("signature", signature.map(|scheme| json!(scheme))),
            ("authentication", parsed("--authentication", &self.authentication)?.or(bearer)),
        ];
        members.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(members)
    }
}

/// `FLOW[@ALIAS]` as the API has it.
fn transform(text: &str) -> Value {
    match text.split_once('@') {
        Some((flow, alias)) => json!({ "flow": flow, "alias": alias }),
        None => json!({ "flow": text }),
    }
}

fn at(subscription: &str) -> [&str; 3] {
    [PATH[0], PATH[1], subscription]
}

/// Changes a subscription; with `--json` the answer is written.
async fn change(subscription: &str, body: Value, remote: &Remote, out: Out) -> anyhow::Result<Value> {
    let changed = remote.send(Method::PATCH, &at(subscription), &body).await?;
    if out.is_json() {
        out.data(&changed)?;
    }
    Ok(changed)
}

fn told(subscription: &Value) -> String {
    let secrets = subscription["secrets"].as_array().map_or(&[][..], Vec::as_slice);
    format!("{}\n{}", fields(ONE, subscription), table(SECRETS, secrets))
}
