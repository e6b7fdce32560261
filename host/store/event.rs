//! What happened: rows that the verbs above write in the transaction that makes them true, and that are read in order.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Finish, NewMessage, Result, Speaker, Status, Store, count, stored};
use crate::clock::Timestamp;
use crate::id::{EventId, ExecutionId, FlowId, SubscriptionId, WorkspaceId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place among all events: each has a greater one than those that became true before it.
    pub seq: u64,
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// When.
    pub at: Timestamp,
    /// What, for example `execution.succeeded`.
    pub r#type: String,
    /// The flow that it happened to.
    pub flow: Option<FlowId>,
    /// The execution that it happened to.
    pub execution: Option<ExecutionId>,
    /// The conversation that it happened in.
    pub session: Option<String>,
    /// What the rows that it speaks of do not say, as a JSON object.
    pub facts: String,
}

/// How far a reader has come that tells subscriptions of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The last event that was told.
    pub seq: u64,
    /// The subscription up to which it was told, in the order of their ids; none when it was told to all of them.
    pub subscription: Option<SubscriptionId>,
}

impl Place {
    /// The last event that was told to all subscriptions.
    pub fn complete(&self) -> u64 {
        self.seq - u64::from(self.subscription.is_some())
    }

    /// The last event that was told to this subscription.
    pub fn told_to(&self, id: SubscriptionId) -> u64 {
        self.seq - u64::from(self.subscription.is_some_and(|last| last < id))
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub(super) flow: Option<FlowId>,
    pub(super) execution: Option<ExecutionId>,
    pub(super) session: Option<&'a str>,
}

/// A conversation's end, in the words of the flow.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionEnd {
    /// `resolved`, `idle`, …
    pub status: String,
    /// What the flow says about it, a JSON object.
    pub facts: Value,
}

impl SessionEnd {
    /// What stays of a confidential one.
    pub fn without_content(self) -> Self {
        Self { facts: json!({}), ..self }
    }
}

const EVENT: &str = "seq, id, workspace, at, type, flow, execution, session, facts";

impl Store {
    /// Changes whenever events have reached the disk; the value is the place of the last one.
    pub fn events_seen(&self) -> watch::Receiver<u64> {
        self.0.writer.events()
    }

    /// The events after a place, at most `limit`, of all workspaces.
    pub async fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Event>> {
        self.read(move |c| {
            let sql = format!("SELECT {EVENT} FROM events WHERE seq > ? ORDER BY seq LIMIT ?");
            let mut select = c.prepare_cached(&sql)?;
            Ok(select.query_map(params![stored(seq), limit], event)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The events of a workspace after a place and up to another, at most `limit`.
    pub async fn events_of(&self, workspace: WorkspaceId, after: u64, until: u64, limit: u32) -> Result<Vec<Event>> {
        self.read(move |c| {
            let sql = format!(
                "SELECT {EVENT} FROM events INDEXED BY events_by_workspace
                 WHERE workspace = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
            );
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![workspace, stored(after), stored(until), limit], event)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// How far a reader has come that tells subscriptions.
    pub async fn place(&self, reader: &'static str) -> Result<Place> {
        self.read(move |c| place(c, reader)).await
    }

    /// How far a reader has come; 0 when it has read nothing.
    pub async fn cursor(&self, name: &str) -> Result<u64> {
        let name = name.to_owned();
        self.read(move |c| {
            let seq = c
                .prepare_cached("SELECT seq FROM cursors WHERE name = ?")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(seq.map_or(0, count))
        })
        .await
    }

    /// Says how far a reader has come.
    pub async fn cursor_move(&self, name: &str, seq: u64) -> Result<()> {
        let name = name.to_owned();
        self.write(move |c| move_to(c, &name, Place { seq, subscription: None })).await
    }

    /// Ends the conversations in which nothing was said since `before`. Returns how many there were, at most 256.
    pub async fn sessions_close(&self, before: Timestamp, at: Timestamp) -> Result<usize> {
        self.write(move |c| {
            let idle = c
                .prepare_cached(
                    "SELECT flow, session FROM sessions WHERE ended_at IS NULL AND last_at < ? ORDER BY last_at LIMIT 256",
                )?
                .query_map([before], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(FlowId, String)>>>()?;
            for (flow, session) in &idle {
                let end = SessionEnd { status: "idle".to_owned(), facts: json!({}) };
                session_end(c, *flow, session, None, at, end)?;
            }
            Ok(idle.len())
        })
        .await
    }
}

/// Writes an event, if its workspace has anybody to tell. What concerns the operator is always written.
pub(super) fn put(
    c: &Connection,
    workspace: WorkspaceId,
    at: Timestamp,
    kind: &str,
    about: About<'_>,
    facts: &Value,
) -> Result<()> {
    let operators = kind.starts_with("delivery.") || kind == "subscription.disabled";
    if !operators && !listens(c, workspace)? {
        return Ok(());
    }
    c.prepare_cached(
        "INSERT INTO events (id, workspace, at, type, flow, execution, session, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        EventId::at(at.unix_ms_unsigned()),
        workspace,
        at,
        kind,
        about.flow,
        about.execution,
        about.session,
        facts.to_string()
    ])?;
    Ok(())
}

/// Whether events of a workspace are written at all.
pub(super) fn listens(c: &Connection, workspace: WorkspaceId) -> Result<bool> {
    Ok(c.prepare_cached("SELECT 1 FROM subscriptions WHERE workspace = ? LIMIT 1")?.exists([workspace])?)
}

/// The last event's place.
pub(super) fn last(c: &Connection) -> Result<u64> {
    let last = c.prepare_cached("SELECT max(seq) FROM events")?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
    Ok(last.map_or(0, count))
}

/// How far a reader has come that tells subscriptions.
pub(super) fn place(c: &Connection, name: &str) -> Result<Place> {
    let mut select = c.prepare_cached("SELECT seq, subscription FROM cursors WHERE name = ?")?;
    let row = |row: &Row<'_>| Ok(Place { seq: count(row.get(0)?), subscription: row.get(1)? });
    Ok(select.query_row([name], row).optional()?.unwrap_or_default())
}

pub(super) fn move_to(c: &Connection, name: &str, place: Place) -> Result<()> {
    c.prepare_cached("INSERT OR REPLACE INTO cursors (name, seq, subscription) VALUES (?, ?, ?)")?.execute(params![
        name,
        stored(place.seq),
        place.subscription
    ])?;
    Ok(())
}

/// The type of the event that an execution's end makes.
pub(super) fn of_end(status: Status) -> Option<&'static str> {
    match status {
        Status::Succeeded => Some("execution.succeeded"),
        Status::Failed => Some("execution.failed"),
        Status::Canceled => Some("execution.canceled"),
        Status::TimedOut => Some("execution.timed_out"),
        Status::Queued | Status::Running | Status::Waiting => None,
    }
}

/// Counts an ended execution in its conversation, and tells of what was said in it.
pub(super) fn session_turn(
    c: &Connection,
    workspace: WorkspaceId,
    about: About<'_>,
    finish: &Finish,
    messages: &[(u64, &NewMessage)],
) -> Result<()> {
    let at = finish.at;
    let (Some(flow), Some(session)) = (about.flow, about.session) else { return Ok(()) };
    let first_at = messages.first().map_or(at, |(_, first)| first.at.min(at));
    session_begin(c, workspace, about, first_at, &json!({}))?;
    c.prepare_cached(
        "UPDATE sessions SET last_at = max(last_at, ?), executions = executions + 1, cpu_us = cpu_us + ?,
           llm_calls = llm_calls + ?, llm_tokens = llm_tokens + ? WHERE flow = ? AND session = ?",
    )?
    .execute(params![
        at,
        stored(finish.cpu_us),
        stored(finish.llm.calls),
        stored(finish.llm.tokens()),
        flow,
        session
    ])?;
    messages.iter().try_for_each(|(seq, message)| put_message(c, workspace, about, message, &json!({"seq": seq})))
}

/// Tells of what a flow says in a conversation while it runs.
pub(super) fn session_said(
    c: &Connection,
    workspace: WorkspaceId,
    about: About<'_>,
    (seq, message): (u64, &NewMessage),
    speaker: &Speaker,
) -> Result<()> {
    let mut facts = json!(speaker);
    session_begin(c, workspace, about, message.at, &facts)?;
    c.prepare_cached("UPDATE sessions SET last_at = max(last_at, ?) WHERE flow = ? AND session = ?")?
        .execute(params![message.at, about.flow, about.session])?;
    facts["seq"] = seq.into();
    put_message(c, workspace, about, message, &facts)
}

fn put_message(
    c: &Connection,
    workspace: WorkspaceId,
    about: About<'_>,
    message: &NewMessage,
    facts: &Value,
) -> Result<()> {
    let kind = match &*message.role {
        "user" => "session.message.received",
        "assistant" => "session.message.sent",
        // What a flow notes for itself is said to nobody.
        _ => return Ok(()),
    };
    put(c, workspace, message.at, kind, about, facts)
}

/// Begins a conversation that has not begun: with the first message there is, or with the first one after the end of the
/// one before.
fn session_begin(c: &Connection, workspace: WorkspaceId, about: About<'_>, at: Timestamp, facts: &Value) -> Result<()> {
    let About { flow, session, .. } = about;
    let begun = c
        .prepare_cached("SELECT 1 FROM sessions WHERE flow = ? AND session = ? AND ended_at IS NULL")?
        .exists(params![flow, session])?;
    if begun {
        return Ok(());
    }
    c.prepare_cached(
        "INSERT INTO sessions (flow, session, workspace, started_at, last_at, first_message, executions, cpu_us)
         VALUES (?1, ?2, ?3, ?4, ?4, 1, 0, 0)
         ON CONFLICT DO UPDATE SET started_at = ?4, last_at = ?4, ended_at = NULL, executions = 0, cpu_us = 0,
           llm_calls = 0, llm_tokens = 0",
    )?
    .execute(params![flow, session, workspace, at])?;
    put(c, workspace, at, "session.started", about, facts)
}

/// Ends a conversation that has not ended.
pub(super) fn session_end(
    c: &Connection,
    flow: FlowId,
    session: &str,
    execution: Option<ExecutionId>,
    at: Timestamp,
    end: SessionEnd,
) -> Result<()> {
    let last: i64 = c
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM messages WHERE flow = ? AND session = ?")?
        .query_row(params![flow, session], |row| row.get(0))?;
    let first: i64 = c
        .prepare_cached("SELECT coalesce(max(first_message), 1) FROM sessions WHERE flow = ? AND session = ?")?
        .query_row(params![flow, session], |row| row.get(0))?;
    let ended = c
        .prepare_cached(
            "UPDATE sessions SET ended_at = ?1, first_message = ?4 + 1
             WHERE flow = ?2 AND session = ?3 AND ended_at IS NULL
             RETURNING workspace, started_at, executions, cpu_us, llm_calls, llm_tokens",
        )?
        .query_row(params![at, flow, session, last], |row| {
            let counts = json!({
                "started_at_ms": row.get::<_, i64>(1)?,
                "message_count": last + 1 - first,
                "execution_count": row.get::<_, i64>(2)?,
                "cpu_us": row.get::<_, i64>(3)?,
                "llm_calls": row.get::<_, i64>(4)?,
                "llm_tokens": row.get::<_, i64>(5)?,
            });
            Ok((row.get::<_, WorkspaceId>(0)?, counts))
        })
        .optional()?;
    let Some((workspace, mut facts)) = ended else { return Ok(()) };
    facts["status"] = end.status.into();
    if let (Value::Object(facts), Value::Object(said)) = (&mut facts, end.facts) {
        facts.extend(said);
    }
    put(c, workspace, at, "session.completed", About { flow: Some(flow), execution, session: Some(session) }, &facts)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: count(row.get(0)?),
        id: row.get(1)?,
        workspace: row.get(2)?,
        at: row.get(3)?,
        r#type: row.get(4)?,
        flow: row.get(5)?,
        execution: row.get(6)?,
        session: row.get(7)?,
        facts: row.get(8)?,
    })
}
