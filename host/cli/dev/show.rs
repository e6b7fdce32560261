//! What happens on the server, as it happens.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::out::{Out, line, lines};
use super::super::remote::Remote;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(200);

/// Executions that are looked at, and those told each time; whoever sends a thousand a second does not read them.
const LOOKED_AT: usize = 100;
const TOLD_MAX: usize = 10;

/// Shows each execution of a flow when it has ended.
pub(super) struct Shown<'a> {
    remote: &'a Remote,
    flow: String,
    out: Out,
    /// The newest that was there at the last look.
    newest: String,
    /// Those that had not ended then.
    open: HashSet<String>,
}

impl<'a> Shown<'a> {
    /// Shows what comes from now on.
    pub(super) async fn new(remote: &'a Remote, flow: &str, out: Out) -> anyhow::Result<Self> {
        let mut shown = Self { remote, flow: flow.to_owned(), out, newest: String::new(), open: HashSet::new() };
        let list = shown.list().await?;
        shown.newest = list.first().map(|one| id(one).to_owned()).unwrap_or_default();
        Ok(shown)
    }

    /// Shows until something fails. Not cancel safe: what was seen may not have been told.
    pub(super) async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(PERIOD).await;
            self.look().await?;
        }
    }

    async fn list(&self) -> anyhow::Result<Vec<Value>> {
        let query = [("flow", self.flow.clone()), ("limit", LOOKED_AT.to_string())];
        let mut list = self.remote.get(&["v1", "executions"], &query).await?;
        Ok(list["data"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let list = self.list().await?;
        let (mut ended, before) = (Vec::new(), self.newest.clone());
        // Ids rise with time, so what is new is greater.
        for one in list.iter().rev() {
            let looked_for = id(one) > before.as_str() || self.open.contains(id(one));
            if looked_for && one["finished_at"].is_null() {
                self.open.insert(id(one).to_owned());
            } else if looked_for {
                ended.push(id(one));
            }
        }
        self.newest = list.first().map(|one| id(one).to_owned()).unwrap_or(before);
        let surplus = ended.len().saturating_sub(TOLD_MAX);
        for id in &ended[surplus..] {
            self.tell(id).await?;
        }
        for id in ended {
            self.open.remove(id);
        }
        if surplus > 0 {
            self.out.done(format_args!("… and {surplus} more: flowgate execution list"))?;
        }
        // What fell out of the list is not waited for for ever.
        self.open.retain(|open| list.iter().any(|one| id(one) == open));
        Ok(())
    }

    async fn tell(&self, id: &str) -> anyhow::Result<()> {
        let execution = self.remote.get(&["v1", "executions", id], &[]).await?;
        let logs = self.remote.get(&["v1", "executions", id, "logs"], &[]).await?;
        if self.out.is_json() {
            return Ok(self
                .out
                .data_line(&json!({ "event": "execution", "execution": execution, "logs": logs["data"] }))?);
        }
        Ok(self.out.text(&told(&execution, &logs))?)
    }
}

fn id(execution: &Value) -> &str {
    execution["id"].as_str().unwrap_or_default()
}

/// A line of when, what, how it ended and what it cost; then, indented, what was logged and what came of it.
fn told(execution: &Value, logs: &Value) -> String {
    let text = |at: &str| execution.pointer(at).and_then(Value::as_str);
    let at = text("/created_at").and_then(|at| at.get(11..19)).unwrap_or_default();
    let trigger = match (text("/trigger/message"), execution.pointer("/trigger/data")) {
        (Some(message), _) => message.to_owned(),
        (None, Some(data)) => data.to_string(),
        (None, None) => String::new(),
    };
    let reason = text("/reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
    let cpu_us = execution.pointer("/usage/cpu_us").and_then(Value::as_u64).unwrap_or_default();
    let milliseconds = cpu_us / 1_000;
    let tenths = cpu_us / 100 % 10;
    let mut told = format!(
        "{at}  {}  ← {}\n  {}{reason}, {milliseconds}.{tenths} ms cpu\n",
        id(execution),
        line(&shortened(&trigger)),
        text("/status").unwrap_or_default()
    );
    for attempt in logs["data"].as_array().into_iter().flatten() {
        for entry in attempt["lines"].as_array().into_iter().flatten() {
            let text = |member: &str| entry[member].as_str().map(lines).unwrap_or_default();
            told += &indented(&format!("{}: {}", text("level"), text("message")), "  │ ");
        }
    }
    let reply = &execution["reply"];
    told += &indented(&lines(reply["text"].as_str().unwrap_or_default()), "  → ");
    if !reply["data"].is_null() {
        told += &format!("  → {}\n", shortened(&reply["data"].to_string()));
    }
    for failed in [execution.pointer("/failure"), execution.pointer("/stopped/message")].into_iter().flatten() {
        told += &indented(&lines(failed.as_str().unwrap_or(&failed.to_string())), "  ✗ ");
    }
    told
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_told_in_a_few_lines() {
        let execution = json!({
            "id": "exe_1", "created_at": "2026-01-02T03:04:05.678Z", "status": "failed", "reason": "flow_error",
            "usage": {"cpu_us": 1_234}, "trigger": {"message": null, "data": {"n": 1}},
            "failure": {"kind": "failed", "message": "no order"}, "reply": null,
        });
        let logs = json!({"data": [{"lines": [{"level": "info", "message": "a\nb"}]}]});
        assert_eq!(
            told(&execution, &logs),
            "03:04:05  exe_1  ← {\"n\":1}\n  failed (flow_error), 1.2 ms cpu\n  │ info: a\n  │ b\n  \
             ✗ {\"kind\":\"failed\",\"message\":\"no order\"}\n"
        );
        assert_eq!(shortened(&"ä".repeat(101)), format!("{}…", "ä".repeat(100)));
    }
}
