//! What a hook does, as the command line says it.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use url::Url;

use crate::signature::Scheme;

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
    /// What happens to a trigger whose session has an execution under way: it waits, is refused, cancels that one, or is merged
    /// with others that wait.
    #[arg(long, value_parser = ["queue", "reject", "interrupt", "merge"])]
    pub(super) on_busy: Option<String>,
    /// Milliseconds that the first message waits for others with `--on-busy merge`.
    #[arg(long, value_name = "N")]
    pub(super) merge_ms: Option<u64>,
    /// Where outcomes are delivered.
    #[arg(long, value_name = "URL")]
    pub(super) callback: Option<Url>,
    /// What a request must be for its flow to run, for example '{"body.action":"opened"}'.
    #[arg(long, value_name = "JSON")]
    pub(super) filter: Option<String>,
    /// How a request is known that came before: auto, off, `header:NAME` or `pointer:/PATH`.
    #[arg(long, value_name = "HOW", value_parser = deduplicate)]
    pub(super) deduplicate: Option<Value>,
    /// Only record what comes, genuine or not, and run nothing; `--capture=false` ends it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) capture: Option<bool>,
    /// Milliseconds that a sender waits for the reply. Then it gets a 202, and the execution goes on.
    #[arg(long, value_name = "N")]
    pub(super) sync_wait_ms: Option<u64>,
    /// Bytes of a request's body.
    #[arg(long, value_name = "N")]
    pub(super) body_bytes_max: Option<u64>,
    /// An address, or a range of addresses, that may send; all may unless one is given. May be repeated.
    #[arg(long, value_name = "CIDR")]
    pub(super) allow_from: Vec<String>,
    /// A type of bodies that is taken, such as application/json or 'text/*'; all are unless one is given. May be repeated.
    #[arg(long, value_name = "TYPE")]
    pub(super) content_type: Vec<String>,
    /// An encoding of bodies that is undone; others are refused. May be repeated.
    #[arg(long, value_parser = ["gzip", "deflate", "br", "zstd"], value_name = "NAME")]
    pub(super) content_encoding: Vec<String>,
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
        let filter = self.filter.as_deref().map(serde_json::from_str::<Value>).transpose();
        let list = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
        let callback = self.callback.map(|url| json!({ "url": url }));
        let given = [
            ("dialect", self.dialect.map(Value::from)),
            ("mode", self.mode.map(Value::from)),
            ("on_busy", self.on_busy.map(Value::from)),
            ("merge_ms", self.merge_ms.map(Value::from)),
            ("callback", callback),
            ("filter", filter.context("--filter is not JSON")?),
            ("deduplicate", self.deduplicate),
            ("capture", self.capture.map(Value::from)),
            ("sync_wait_ms", self.sync_wait_ms.map(Value::from)),
            ("body_bytes_max", self.body_bytes_max.map(Value::from)),
            ("allow_from", list(self.allow_from)),
            ("content_types", list(self.content_type)),
            ("content_encodings", list(self.content_encoding)),
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

fn deduplicate(text: &str) -> Result<Value, String> {
    match text.split_once(':') {
        None if matches!(text, "auto" | "off") => Ok(json!(text)),
        Some((place @ ("header" | "pointer"), at)) => Ok(json!({ place: at })),
        _ => Err("allowed: auto, off, `header:NAME`, `pointer:/PATH`".to_owned()),
    }
}

fn names(members: &Map<String, Value>) -> String {
    members.keys().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ")
}
