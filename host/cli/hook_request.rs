//! `flowgate hook requests`, `request` and `replay`: what came to a hook.

use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::out::{Columns, Out, fields, line, lines};
use super::remote::Remote;

#[derive(Debug, clap::Args)]
pub(super) struct Requests {
    /// The hook, by name or id. Without it, the requests that were for no hook that there is.
    hook: Option<String>,
    /// Only with these verdicts: accepted, refused, filtered, duplicate, captured.
    #[arg(long, value_delimiter = ',', requires = "hook")]
    verdict: Vec<String>,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// `trg_…`
    request: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// `trg_…`
    request: String,
    /// Another version of the flow, `sha256:…`, than the hook's alias stands for.
    #[arg(long, value_name = "DIGEST")]
    version: Option<String>,
    /// The version that this alias of the flow stands for.
    #[arg(long, conflicts_with = "version")]
    alias: Option<String>,
}

const LIST: Columns<'_> = &[
    ("ID", "/id"),
    ("AT", "/at"),
    ("VERDICT", "/verdict"),
    ("STATUS", "/status"),
    ("CODE", "/code"),
    ("US", "/timings/answered_us"),
    ("PEER", "/request/peer"),
    ("REASON", "/reason"),
];
const ONE: Columns<'_> = &[
    ("id", "/id"),
    ("at", "/at"),
    ("hook", "/hook"),
    ("verdict", "/verdict"),
    ("status", "/status"),
    ("code", "/code"),
    ("reason", "/reason"),
    ("execution", "/execution_id"),
    ("genuine", "/genuine"),
    ("method", "/request/method"),
    ("path", "/request/path"),
    ("query", "/request/query"),
    ("peer", "/request/peer"),
    ("all headers", "/header_names"),
    ("body bytes", "/body_bytes"),
    ("body kept", "/body_kept"),
    ("body read, µs", "/timings/body_us"),
    ("proof, µs", "/timings/proof_us"),
    ("answered, µs", "/timings/answered_us"),
    ("started", "/timings/started_at"),
    ("finished", "/timings/finished_at"),
];

impl Requests {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path: &[&str] = match &self.hook {
            Some(hook) => &["v1", "hooks", hook, "requests"],
            None => &["v1", "requests"],
        };
        let mut query = self.paging.query();
        if !self.verdict.is_empty() {
            query.push(("verdict", self.verdict.join(",")));
        }
        Ok(out.list(&remote.get(path, &query).await?, LIST)?)
    }
}

impl Named {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        Ok(out.answer(&remote.get(&["v1", "requests", &self.request], &[]).await?, told)?)
    }
}

impl Replay {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let which = [("version", self.version), ("alias", self.alias)];
        let body = which.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
        let path = ["v1", "requests", &self.request, "replay"];
        let answer = remote.send(Method::POST, &path, &Value::Object(body.collect())).await?;
        let id = line(answer["execution_id"].as_str().unwrap_or_default());
        out.answer(&answer, |_| format!("{id}\n"))?;
        if answer["genuine"] == false {
            out.hint("nobody has proven who sent this request")?;
        }
        out.hint(format_args!("follow it: flowgate execution tail {id}"))?;
        Ok(())
    }
}

/// The members, then the headers as they came, then the body.
fn told(request: &Value) -> String {
    let mut told = fields(ONE, request) + "\n";
    for header in request["request"]["headers"].as_array().into_iter().flatten() {
        let text = |member: &str| line(header[member].as_str().unwrap_or_default());
        told += &format!("{}: {}\n", text("name"), text("value"));
    }
    let body = ["body_text", "body_base64"].iter().find_map(|member| request["request"][*member].as_str());
    match body {
        Some(body) => told + "\n" + &lines(body) + "\n",
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_with_its_headers_and_body() {
        let request = json!({
            "id": "trg_1", "verdict": "filtered", "reason": "`body.action` is \"closed\", not \"opened\"",
            "request": {
                "method": "POST", "headers": [{ "name": "x-event", "value": "push\u{1b}" }], "body_text": "{\n}",
            },
        });
        assert_eq!(
            told(&request),
            "id       trg_1\nverdict  filtered\nreason   `body.action` is \"closed\", not \"opened\"\n\
             method   POST\n\nx-event: push\\u{1b}\n\n{\n}\n"
        );
    }
}
