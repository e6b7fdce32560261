//! `flowgate execution`.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::events;
use super::execution_export;
use super::out::{Columns, Out, fields, line, lines};
use super::remote::Remote;
use super::waterfall;
use crate::clock::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Execution {
    /// List executions, newest first.
    List(List),
    /// Show an execution with its trigger, its outcome, and what its time was spent on.
    Show(Named),
    /// Print what a flow logged.
    Logs(Named),
    /// Follow what a flow says, from the beginning to the end.
    Tail(Named),
    /// Stop an execution.
    Cancel(Named),
    /// Write it, with its conversation before, as a case for `flowgate test`.
    Export(execution_export::Export),
    /// Give the same trigger to a flow again, as a new execution.
    Replay {
        /// `exe_…`
        execution: String,
        /// Another version of the flow, `sha256:…`, than the live one.
        #[arg(long, value_name = "DIGEST")]
        version: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// `exe_…`
    execution: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of a flow.
    #[arg(long)]
    flow: Option<String>,
    /// Only those of a hook.
    #[arg(long)]
    hook: Option<String>,
    /// Only those that stand so: queued, running, waiting, succeeded, failed, canceled, timed_out.
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only those of a conversation.
    #[arg(long)]
    session: Option<String>,
    /// Only those that an execution called, `exe_…`.
    #[arg(long)]
    parent: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

const LIST: Columns<'_> = &[
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("REASON", "/reason"),
    ("FLOW", "/flow"),
    ("MODE", "/mode"),
    ("ATTEMPT", "/attempt"),
    ("CPU_US", "/usage/cpu_us"),
    ("CREATED", "/created_at"),
];
const ONE: Columns<'_> = &[
    ("id", "/id"),
    ("status", "/status"),
    ("reason", "/reason"),
    ("flow", "/flow"),
    ("version", "/version"),
    ("hook", "/hook"),
    ("mode", "/mode"),
    ("attempt", "/attempt"),
    ("session", "/session_id"),
    ("user", "/trigger/user_id"),
    ("replay of", "/replay_of"),
    ("called by", "/parent_id"),
    ("callback", "/callback_url"),
    ("created", "/created_at"),
    ("started", "/started_at"),
    ("finished", "/finished_at"),
    ("cpu µs", "/usage/cpu_us"),
    ("memory bytes", "/usage/memory_bytes"),
    ("llm calls", "/usage/llm/calls"),
    ("llm tokens in", "/usage/llm/input_tokens"),
    ("llm tokens out", "/usage/llm/output_tokens"),
    ("llm micro-USD", "/usage/llm/cost_micro_usd"),
    ("message", "/trigger/message"),
    ("data", "/trigger/data"),
    ("failure", "/failure"),
    ("stopped", "/stopped/message"),
];

impl Execution {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::List(list) => out.list(&remote.get(&["v1", "executions"], &list.query()).await?, LIST)?,
            Self::Show(Named { execution }) => show(&execution, remote, out).await?,
            Self::Logs(Named { execution }) => {
                out.answer(&remote.get(&["v1", "executions", &execution, "logs"], &[]).await?, logs)?;
            }
            Self::Tail(Named { execution }) => events::show(None, &execution, remote, out).await?,
            Self::Cancel(Named { execution }) => {
                let answer = remote.act(Method::POST, &["v1", "executions", &execution, "cancel"]).await?;
                out.answer(&answer, |answer| format!("{}\n", events::status_told(answer)))?;
            }
            Self::Export(export) => export.run(remote, out).await?,
            Self::Replay { execution, version } => {
                let body = version.map_or_else(|| json!({}), |version| json!({ "version": version }));
                let answer = remote.send(Method::POST, &["v1", "executions", &execution, "replay"], &body).await?;
                let id = line(answer["execution_id"].as_str().unwrap_or_default());
                out.answer(&answer, |_| format!("{id}\n"))?;
                out.hint(format_args!("follow it: flowgate execution tail {id}"))?;
            }
        }
        Ok(())
    }
}

impl List {
    fn query(self) -> Vec<(&'static str, String)> {
        let mut query = self.paging.query();
        let statuses = Some(self.status.join(",")).filter(|statuses| !statuses.is_empty());
        let filters = [
            ("flow", self.flow),
            ("hook", self.hook),
            ("status", statuses),
            ("session", self.session),
            ("parent", self.parent),
        ];
        query.extend(filters.into_iter().filter_map(|(name, value)| Some((name, value?))));
        query
    }
}

async fn show(id: &str, remote: &Remote, out: Out) -> anyhow::Result<()> {
    let mut shown = remote.get(&["v1", "executions", id], &[]).await?;
    let mut spans = remote.get(&["v1", "executions", id, "spans"], &[]).await?;
    shown["spans"] = spans["data"].take();
    let told = |execution: &Value| {
        let waterfall = waterfall::draw(&execution["spans"], waterfall::Style::of_stdout());
        format!("{}{}{waterfall}", fields(ONE, execution), reply(&execution["reply"]))
    };
    Ok(out.answer(&shown, told)?)
}

fn reply(reply: &Value) -> String {
    if reply.is_null() { String::new() } else { format!("\n{}", events::reply_told(reply)) }
}

/// A line for each line of the log, and one for what did not fit.
fn logs(list: &Value) -> String {
    let mut told = String::new();
    for attempt in list["data"].as_array().into_iter().flatten() {
        for entry in attempt["lines"].as_array().into_iter().flatten() {
            let text = |member: &str| entry[member].as_str().map(lines).unwrap_or_default();
            let at = Timestamp::from_unix_ms(entry["at_ms"].as_i64().unwrap_or_default());
            told +=
                &format!("{at} {} {:<5} {}: {}\n", attempt["attempt"], text("level"), text("source"), text("message"));
        }
        match attempt["dropped"].as_u64() {
            None | Some(0) => {}
            Some(count) => told += &format!("… {count} further lines of attempt {} were dropped\n", attempt["attempt"]),
        }
    }
    told
}
