//! `flowgate flow secret`: secrets that a flow uses. Their values are never on a command line, where others could see them.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::Command;

use anyhow::Context as _;
use clap::Subcommand;
use http::Method;
use serde_json::json;
use zeroize::Zeroizing;

use super::Paging;
use super::out::{Columns, Out};
use super::remote::Remote;

#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// List the secrets, without their values.
    List(Paging),
    /// Set a secret. Its value is asked for, or read from stdin: flowgate flow secret bot set KEY <key.txt
    Set {
        /// 1 to 64 of A-Z, 0-9 and `_`, the first a letter.
        name: String,
    },
    /// Remove a secret.
    Remove {
        /// The secret.
        name: String,
    },
}

const LIST: Columns<'_> = &[("NAME", "/name"), ("UPDATED", "/updated_at")];

impl Secret {
    pub(super) async fn run(self, flow: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::List(paging) => {
                out.list(&remote.get(&["v1", "flows", flow, "secrets"], &paging.query()).await?, LIST)?;
            }
            Self::Set { name } => {
                let value = value_of(&name).context("cannot read the value")?;
                let path = ["v1", "flows", flow, "secrets", &name];
                let set = remote.send(Method::PUT, &path, &json!({ "value": *value })).await?;
                out.answer(&set, |_| format!("secret {name} of {flow} is set\n"))?;
                out.hint(format_args!("say where it may go: flowgate flow grant {flow} http HOST --secret {name}"))?;
            }
            Self::Remove { name } => {
                remote.act(Method::DELETE, &["v1", "flows", flow, "secrets", &name]).await?;
                out.done(format_args!("secret {name} of {flow} removed"))?;
            }
        }
        Ok(())
    }
}

/// The value without the end of its line, from whoever types or from a file.
fn value_of(name: &str) -> io::Result<Zeroizing<String>> {
    let mut value = Zeroizing::new(String::new());
    if io::stdin().is_terminal() {
        write!(io::stderr(), "value of {name}: ")?;
        let _unseen = Unseen::new();
        io::stdin().read_line(&mut value)?;
    } else {
        io::Read::read_to_string(&mut io::stdin(), &mut value)?;
    }
    let end = value.trim_end_matches(['\r', '\n']).len();
    value.truncate(end);
    Ok(value)
}

/// A terminal that does not show what is typed. Where there is no `stty` it does show it.
struct Unseen;

impl Unseen {
    fn new() -> Self {
        // Without it the value is seen by whoever types it, and nobody else.
        let _ = Command::new("stty").arg("-echo").status();
        Self
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = Command::new("stty").arg("echo").status();
        let _ = writeln!(io::stderr());
    }
}
