//! `flowgate flow grant` and `flowgate flow revoke`: what a flow is permitted.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::out::{Out, line};
use super::remote::Remote;

#[derive(Debug, Subcommand)]
pub(super) enum Grant {
    /// Show what is granted; the default.
    Show,
    /// Requests to a host, by wasi:http and by flowgate:flow/http.
    Http(Http),
    /// Secrets in clear. Without it the flow can use them in requests, and does not see them.
    Reveal {
        /// The secret.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Language models.
    Llm(Llm),
    /// Calls of other flows.
    Call {
        /// The other flow.
        #[arg(required = true, value_name = "OTHER")]
        flows: Vec<String>,
    },
    /// Replace everything that is granted.
    Set {
        /// A file with the JSON that `show --json` prints, or `-` for stdin.
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Http {
    /// A name, `*.` and a name, an address, or `*`, each also with `:port`; or a URL, such as 'https://api.example.com/v1/*'.
    #[arg(value_name = "HOST")]
    host: String,
    /// A method; all unless one is given. May be repeated.
    #[arg(long)]
    method: Vec<String>,
    /// A path, where a `*` at the end stands for any rest; all unless one is given. May be repeated.
    #[arg(long)]
    path: Vec<String>,
    /// A secret that may go there. May be repeated.
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// https unless told otherwise.
    #[arg(long, value_parser = ["https", "http"])]
    scheme: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Llm {
    /// An alias of the server's configuration.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
    /// Tokens of one execution, in and out.
    #[arg(long, value_name = "N")]
    tokens_per_execution: Option<u64>,
    /// Tokens of one UTC day.
    #[arg(long, value_name = "N")]
    tokens_per_day: Option<u64>,
    /// Millionths of a US dollar of one UTC day.
    #[arg(long, value_name = "N")]
    micro_usd_per_day: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Revoke {
    /// All requests to a host.
    Http {
        /// As it is granted.
        host: String,
    },
    /// Secrets in clear.
    Reveal {
        /// The secret.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Language models; all, and their budgets, unless one is given.
    Llm {
        /// The alias.
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
    },
    /// Calls of other flows.
    Call {
        /// The other flow.
        #[arg(required = true, value_name = "OTHER")]
        flows: Vec<String>,
    },
    /// Everything.
    All,
}

impl Grant {
    pub(super) async fn run(self, flow: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "flows", flow, "grants"];
        let mut grants = remote.get(&path, &[]).await?;
        match self {
            Self::Show => return Ok(out.answer(&grants, told)?),
            Self::Set { file } => grants = document(&file)?,
            Self::Http(http) => add(&mut grants["http"], [http.entry()?]),
            Self::Reveal { names } => add(&mut grants["reveal"], names),
            Self::Llm(llm) => llm.add_to(&mut grants["llm"]),
            Self::Call { flows } => add(&mut grants["flows"], flows),
        }
        let grants = remote.send(Method::PUT, &path, &grants).await?;
        out.answer(&grants, told)?;
        for name in unset(flow, &grants, remote).await? {
            out.hint(format_args!("{name} is not set yet: flowgate flow secret {flow} set {name}"))?;
        }
        Ok(())
    }
}

impl Revoke {
    pub(super) async fn run(self, flow: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "flows", flow, "grants"];
        let mut grants = remote.get(&path, &[]).await?;
        match self {
            Self::Http { host } => take(&mut grants["http"], &[host], |entry| &entry["host"])?,
            Self::Reveal { names } => take(&mut grants["reveal"], &names, |name| name)?,
            Self::Llm { models } if models.is_empty() => grants["llm"] = Value::Null,
            Self::Llm { models } => take(&mut grants["llm"]["models"], &models, |model| model)?,
            Self::Call { flows } => take(&mut grants["flows"], &flows, |flow| flow)?,
            Self::All => grants = json!({}),
        }
        if let Value::Object(members) = &mut grants {
            members.retain(|_, list| !list.is_null());
        }
        Ok(out.answer(&remote.send(Method::PUT, &path, &grants).await?, told)?)
    }
}

impl Http {
    /// One line of the grants, as the API has it.
    pub(super) fn entry(self) -> anyhow::Result<Value> {
        let (mut host, mut scheme, mut paths) = (self.host, self.scheme, self.path);
        if host.contains("://") {
            let url = Url::parse(&host).with_context(|| format!("`{host}` is not a URL"))?;
            if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
                bail!("`{url}` has more than scheme, host, port and path, which is all that a grant looks at");
            }
            if url.path() != "/" {
                paths.push(url.path().to_owned());
            }
            scheme.get_or_insert(url.scheme().to_owned());
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            host = format!("{}{port}", url.host_str().unwrap_or_default());
        }
        let methods = self.method.iter().map(|method| method.to_ascii_uppercase()).collect::<Vec<_>>();
        let mut entry = json!({ "host": host, "methods": methods, "paths": paths, "secrets": self.secret });
        if let Some(scheme) = scheme {
            entry["scheme"] = scheme.into();
        }
        Ok(entry)
    }
}

impl Llm {
    fn add_to(self, llm: &mut Value) {
        add(&mut llm["models"], self.models);
        let budgets = [
            ("tokens_per_execution", self.tokens_per_execution),
            ("tokens_per_day", self.tokens_per_day),
            ("micro_usd_per_day", self.micro_usd_per_day),
        ];
        for (name, budget) in budgets {
            if let Some(budget) = budget {
                llm[name] = budget.into();
            }
        }
    }
}

/// Adds what is not there yet to a list, which is made when there is none.
fn add<V: Into<Value>>(list: &mut Value, more: impl IntoIterator<Item = V>) {
    if list.is_null() {
        *list = json!([]);
    }
    for one in more.into_iter().map(Into::into) {
        if let Value::Array(list) = list
            && !list.contains(&one)
        {
            list.push(one);
        }
    }
}

/// Takes entries out of a list, each of which must be there.
fn take(list: &mut Value, names: &[String], name_of: impl Fn(&Value) -> &Value) -> anyhow::Result<()> {
    for name in names {
        let entries = list.as_array_mut().filter(|entries| entries.iter().any(|one| name_of(one) == name));
        let Some(entries) = entries else { bail!("`{name}` is not granted") };
        entries.retain(|one| name_of(one) != name);
    }
    Ok(())
}

fn document(file: &PathBuf) -> anyhow::Result<Value> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read stdin")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Secrets that are granted and have no value yet.
async fn unset(flow: &str, grants: &Value, remote: &Remote) -> anyhow::Result<Vec<String>> {
    let each = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let of_hosts = each(&grants["http"]).into_iter().flat_map(|entry| each(&entry["secrets"]));
    let mut names = of_hosts.chain(each(&grants["reveal"])).collect::<Vec<_>>();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let set = remote.get(&["v1", "flows", flow, "secrets"], &[("limit", "200".to_owned())]).await?;
    names.sort_by_key(Value::to_string);
    names.dedup();
    names.retain(|name| !each(&set["data"]).iter().any(|secret| secret["name"] == *name));
    Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// One line for each grant, in the words that grant it.
fn told(grants: &Value) -> String {
    let list = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(line).unwrap_or_default().into_owned();
    let mut lines = Vec::new();
    for entry in list(&grants["http"]) {
        let mut told = format!("http {}", text(&entry["host"]));
        for (option, member) in [("--method", "methods"), ("--path", "paths"), ("--secret", "secrets")] {
            told.extend(list(&entry[member]).iter().map(|value| format!(" {option} {}", text(value))));
        }
        if entry["scheme"] == "http" {
            told.push_str(" --scheme http");
        }
        lines.push(told);
    }
    lines.extend(list(&grants["reveal"]).iter().map(|name| format!("reveal {}", text(name))));
    if grants["llm"].is_object() {
        let mut told = "llm".to_owned();
        told.extend(list(&grants["llm"]["models"]).iter().map(|model| format!(" {}", text(model))));
        for budget in ["tokens_per_execution", "tokens_per_day", "micro_usd_per_day"] {
            if let Some(limit) = grants["llm"][budget].as_u64() {
                told.push_str(&format!(" --{} {limit}", budget.replace('_', "-")));
            }
        }
        lines.push(told);
    }
    lines.extend(list(&grants["flows"]).iter().map(|flow| format!("call {}", text(flow))));
    if lines.is_empty() {
        return "nothing is granted\n".to_owned();
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(host: &str) -> Http {
        Http { host: host.to_owned(), method: vec!["get".to_owned()], path: vec![], secret: vec![], scheme: None }
    }

    #[test]
    fn a_url_stands_for_host_scheme_and_path() {
        let entry = |host| http(host).entry().unwrap();
        let plain = json!({ "host": "api.example.com", "methods": ["GET"], "paths": [], "secrets": [] });
        assert_eq!(entry("api.example.com"), plain);
        let url = entry("http://API.example.com:8080/v1/*");
        assert_eq!((&url["host"], &url["scheme"]), (&json!("api.example.com:8080"), &json!("http")));
        assert_eq!(url["paths"], json!(["/v1/*"]));
        assert_eq!(entry("https://*.example.com")["host"], "*.example.com");
        assert!(http("https://h/?a=b").entry().is_err() && http("https://u@h/").entry().is_err());
    }

    #[test]
    fn what_is_granted_reads_like_the_words_that_grant_it() {
        let grants = json!({
            "http": [{ "host": "h:81", "scheme": "http", "methods": ["GET"], "paths": ["/a/*"], "secrets": ["KEY"] }],
            "reveal": ["KEY"], "llm": { "models": ["fast"], "tokens_per_day": 5 }, "flows": ["other"],
        });
        let text = "http h:81 --method GET --path /a/* --secret KEY --scheme http\nreveal KEY\n\
                    llm fast --tokens-per-day 5\ncall other\n";
        assert_eq!(told(&grants), text);
        assert_eq!(told(&json!({})), "nothing is granted\n");
    }

    #[test]
    fn what_is_granted_twice_is_there_once_and_what_is_not_there_cannot_be_revoked() {
        let mut list = Value::Null;
        add(&mut list, ["a".to_owned(), "a".to_owned(), "b".to_owned()]);
        assert_eq!(list, json!(["a", "b"]));
        take(&mut list, &["a".to_owned()], |one| one).unwrap();
        assert!(take(&mut list, &["a".to_owned()], |one| one).is_err());
        assert_eq!(list, json!(["b"]));
    }
}
