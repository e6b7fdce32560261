//! What a version asks for, what of it is granted, and how it differs from the one that is live.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::out::line;
use super::super::remote::Remote;
use crate::capability::Grants;

/// What each import needs beyond being offered: a part of the name, and the member of the grants. Others need nothing.
const ASKING: [(&str, &str); 5] = [
    ("flowgate:flow/http@", "http"),
    ("wasi:http/outgoing-handler@", "http"),
    ("wasi:http/client@", "http"),
    ("flowgate:flow/llm@", "llm"),
    ("flowgate:flow/flows@", "flows"),
];

/// As JSON for machines, by `told` for people.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    imports: Vec<Import>,
    /// What the project asks for and the operator has not granted, as JSON by the grants' members.
    missing: Vec<Value>,
    /// Against the live version; none when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
    #[serde(skip)]
    flow: String,
}

#[derive(Debug, Serialize)]
struct Import {
    name: String,
    /// The member of the grants that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<&'static str>,
    granted: bool,
}

#[derive(Debug, Serialize)]
struct Live {
    version: String,
    same: bool,
    size_bytes_more: i64,
    imports_more: Vec<String>,
    imports_less: Vec<String>,
    describes_itself_otherwise: bool,
}

/// Compares `version` with what the alias stands for.
pub(super) async fn of(
    version: &Value,
    flow: &str,
    alias: &str,
    wanted: Option<&Grants>,
    remote: &Remote,
) -> anyhow::Result<Changes> {
    let granted = remote.get(&["v1", "flows", flow, "grants"], &[]).await?;
    let aliases = remote.get(&["v1", "flows", flow, "aliases"], &[("limit", "200".to_owned())]).await?;
    let known = aliases["data"].as_array().into_iter().flatten().find(|one| one["name"] == alias);
    let live = match known.and_then(|alias| alias["version"].as_str()) {
        Some(digest) => Some(remote.get(&["v1", "flows", flow, "versions", digest], &[]).await?),
        None => None,
    };
    let wanted = wanted.map(|wanted| json!(wanted)).unwrap_or_default();
    Ok(compare(version, live.as_ref(), &granted, &wanted, flow))
}

fn compare(version: &Value, live: Option<&Value>, granted: &Value, wanted: &Value, flow: &str) -> Changes {
    let needs = |name: &str| ASKING.iter().find(|(part, _)| name.starts_with(part)).map(|(_, member)| *member);
    let has =
        |member: &str| granted[member].as_array().is_some_and(|list| !list.is_empty()) || granted[member].is_object();
    let import = |name: String| {
        let needs = needs(&name);
        Import { granted: needs.is_none_or(has), needs, name }
    };
    let own = imports(version);
    let live = live.map(|live| {
        let theirs = imports(live);
        let bytes = |version: &Value| version["size_bytes"].as_i64().unwrap_or_default();
        let only = |a: &[String], b: &[String]| a.iter().filter(|name| !b.contains(name)).cloned().collect();
        Live {
            version: live["digest"].as_str().unwrap_or_default().to_owned(),
            same: live["digest"] == version["digest"],
            size_bytes_more: bytes(version) - bytes(live),
            imports_more: only(&own, &theirs),
            imports_less: only(&theirs, &own),
            describes_itself_otherwise: live["describe"] != version["describe"],
        }
    });
    let missing = missing(wanted, granted);
    Changes { imports: own.into_iter().map(import).collect(), missing, live, flow: flow.to_owned() }
}

fn imports(version: &Value) -> Vec<String> {
    let names = version["inspection"]["imports"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// What is wanted and not granted: of lists each element, of the models each one.
fn missing(wanted: &Value, granted: &Value) -> Vec<Value> {
    let mut missing = Vec::new();
    for (member, wanted) in wanted.as_object().into_iter().flatten() {
        let (wanted, granted) = match member.as_str() {
            "llm" => (&wanted["models"], &granted["llm"]["models"]),
            _ => (wanted, &granted[member]),
        };
        let granted = granted.as_array().map(Vec::as_slice).unwrap_or_default();
        let not = wanted.as_array().into_iter().flatten().filter(|one| !granted.contains(one));
        missing.extend(not.map(|one| json!({ member: one })));
    }
    missing
}

impl Changes {
    pub(super) fn told(&self) -> String {
        let mut told = String::from("asks for\n");
        let width = self.imports.iter().map(|import| import.name.chars().count()).max().unwrap_or_default();
        for Import { name, needs, granted } in &self.imports {
            let state = match (needs, granted) {
                (None, _) => "needs no grant",
                (Some(_), true) => "granted",
                (Some(_), false) => "NOT GRANTED",
            };
            let _ = writeln!(told, "  {:<width$}  {state}", line(name));
        }
        if self.imports.is_empty() {
            told += "  nothing\n";
        }
        for one in &self.missing {
            let _ = writeln!(told, "  flow.toml wants, and nobody granted: {one}");
        }
        if !self.missing.is_empty() || self.imports.iter().any(|import| !import.granted) {
            let _ = writeln!(told, "  grant it: flowgate flow grant {} --help", self.flow);
        }
        match &self.live {
            None => {}
            Some(live) if live.same => told += "nothing changes: it is the live version\n",
            Some(live) => {
                let _ = writeln!(told, "against the live version {}", line(&live.version));
                let _ = writeln!(told, "  {:+} bytes", live.size_bytes_more);
                for (sign, names) in [('+', &live.imports_more), ('-', &live.imports_less)] {
                    for name in names {
                        let _ = writeln!(told, "  {sign} {}", line(name));
                    }
                }
                if live.describes_itself_otherwise {
                    told += "  describes itself in other words\n";
                }
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(digest: &str, size: u64, imports: &[&str]) -> Value {
        json!({ "digest": digest, "size_bytes": size, "inspection": { "imports": imports } })
    }

    #[test]
    fn what_is_asked_granted_missing_and_changed_is_told() {
        let new =
            version("sha256:b", 1_000, &["flowgate:flow/http@0.1.0", "flowgate:flow/llm@0.1.0", "wasi:io/poll@0.2.6"]);
        let old = version("sha256:a", 1_200, &["flowgate:flow/session@0.1.0", "wasi:io/poll@0.2.6"]);
        let granted = json!({ "http": [{ "host": "a.example" }] });
        let wanted =
            json!({ "http": [{ "host": "a.example" }, { "host": "b.example" }], "llm": { "models": ["fast"] } });
        let changes = compare(&new, Some(&old), &granted, &wanted, "bot");
        let told = "\
asks for
  flowgate:flow/http@0.1.0  granted
  flowgate:flow/llm@0.1.0   NOT GRANTED
  wasi:io/poll@0.2.6        needs no grant
  flow.toml wants, and nobody granted: {\"http\":{\"host\":\"b.example\"}}
  flow.toml wants, and nobody granted: {\"llm\":\"fast\"}
  grant it: flowgate flow grant bot --help
against the live version sha256:a
  -200 bytes
  + flowgate:flow/http@0.1.0
  + flowgate:flow/llm@0.1.0
  - flowgate:flow/session@0.1.0
";
        assert_eq!(changes.told(), told);
        let same = compare(&old, Some(&old), &json!({}), &Value::Null, "bot").told();
        assert!(same.ends_with("nothing changes: it is the live version\n") && !same.contains("grant it"), "{same}");
    }
}
