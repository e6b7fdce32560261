//! The course of an execution: accepted, begun, finished; or recorded as a whole when it is over.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

use super::event::{self, About, SessionEnd};
use super::execution::{SEALED, SLIM, WIDE, whole};
use super::{
    Calls, Execution, Lease, LlmUsage, Logs, NewDelivery, NewMessage, Origin, OutputRow, Result, Spans, Status, Store,
    Target, stored,
};
use crate::clock::Timestamp;
use crate::id::{Digest, ExecutionId, FlowId, HookId, WorkspaceId};

/// What makes a trigger one that was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// A sha-256 that the same trigger has again.
    pub key: [u8; 32],
    /// The sha-256 of what should be the same when the key is.
    pub fingerprint: [u8; 32],
    /// Whether the key is free again once the execution that had it has failed.
    pub until_failure: bool,
    /// How long it lasts; as long as keys are kept when absent.
    pub lasts: Option<Duration>,
}

/// The execution that called another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub execution: ExecutionId,
    /// How many callers stand above it.
    pub depth: u32,
}

/// An execution that begins.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What runs.
    pub flow: FlowId,
    /// Where the trigger came in.
    pub hook: Option<HookId>,
    /// Which version runs.
    pub version: Digest,
    /// `sync`, `async` or `stream`.
    pub mode: &'static str,
    /// The conversation.
    pub session: Option<String>,
    /// What it has the trigger of again.
    pub replay_of: Option<Origin>,
    /// Who called it; none when a trigger made it.
    pub parent: Option<Parent>,
    /// Now.
    pub created_at: Timestamp,
    /// Milliseconds that an attempt may take.
    pub deadline_ms: u64,
    /// Where the outcome is to be delivered.
    pub callback: Option<String>,
    /// The trigger as JSON, without the body.
    pub trigger: String,
    /// The body of the trigger's request.
    pub body: Bytes,
    /// Refuse the trigger when one of them was seen before.
    pub claims: Vec<Idempotency>,
    /// Of a confidential one: what stays of the trigger in the end, as JSON. Until then trigger and body are sealed.
    pub trigger_kept: Option<String>,
}

/// Who runs an accepted execution.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// Whoever claims the job of this kind, from this time on.
    Queued(&'static str, Timestamp),
    /// The caller, at once, as the first attempt. After a crash it is whoever claims the job of this kind.
    Here {
        /// The kind of the job.
        job: &'static str,
        /// The worker process of the caller.
        owner: i64,
        /// How long it is the caller's.
        until: Timestamp,
    },
}

/// How an execution was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable. With a lease when the caller runs it.
    New(Option<Lease>),
    /// A claim was made before.
    Seen {
        /// The execution that has it.
        execution: ExecutionId,
        /// Which of the claims, counted from 0.
        claim: usize,
        /// False when that trigger was another one.
        same: bool,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Default)]
pub struct Finish {
    /// What came of it.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// What the guest used.
    pub cpu_us: u64,
    /// What the guest used at its peak.
    pub memory_bytes: u64,
    /// What it spent on language models.
    pub llm: LlmUsage,
    /// What it said, in order.
    pub outputs: Vec<OutputRow>,
    /// Its log; none when it logged nothing.
    pub logs: Option<Logs>,
    /// How long its calls took; none when it had none that are recorded.
    pub spans: Option<Spans>,
    /// What its calls came to; none when nothing of it is kept.
    pub calls: Option<Calls>,
    /// What the session keeps.
    pub messages: Vec<NewMessage>,
    /// Who is to be told.
    pub deliveries: Vec<NewDelivery>,
    /// What the flow tells the world besides.
    pub events: Vec<NewEvent>,
    /// That the conversation ends here, where the flow says so.
    pub session_end: Option<SessionEnd>,
    /// What stays of the trigger when this is the end, as JSON; its body goes. All stays when this is absent.
    pub trigger_kept: Option<String>,
}

impl Finish {
    /// Whose deliveries are among it.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = self.deliveries.iter().map(|delivery| delivery.target).collect::<Vec<_>>();
        targets.dedup();
        targets
    }
}

/// An event of a flow's own making.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When it was emitted.
    pub at: Timestamp,
    /// Its type, for example `custom.ticket.opened`.
    pub r#type: String,
    /// What the flow says about it.
    pub data: serde_json::Value,
}

/// What came of an attempt.
#[derive(Debug, Clone, Default)]
pub enum Outcome {
    /// Nothing; another attempt follows. Only for executions that have a job.
    #[default]
    Again,
    /// Nothing; another attempt follows at this time.
    AgainAt(Timestamp, String),
    /// The end.
    Final {
        /// A final status.
        status: Status,
        /// The slug of the detail.
        reason: Option<String>,
        /// The reply or failure, as JSON.
        json: String,
    },
}

impl Store {
    /// Makes an execution and its job durable, unless one of its claims was made before. [`super::Error::Busy`] when the writer is behind.
    pub async fn execution_accept(&self, new: NewExecution, start: Start) -> Result<Accepted> {
        let new = self.seal_trigger(new);
        let accept = move |c: &Connection| {
            if let Some(seen) = claim(c, &new)? {
                return Ok(seen);
            }
            let subject = new.id.as_bytes();
            match start {
                Start::Queued(job, ready_at) => {
                    insert(c, &new, Status::Queued, 0, None, None)?;
                    super::job::put(c, job, new.workspace, subject, ready_at)?;
                    Ok(Accepted::New(None))
                }
                Start::Here { job, owner, until } => {
                    insert(c, &new, Status::Running, 1, Some(new.created_at), None)?;
                    started(c, new.workspace, new.flow, new.id, new.session.as_deref(), new.created_at)?;
                    let lease = super::job::put_leased(c, job, new.workspace, subject, owner, until)?;
                    Ok(Accepted::New(Some(lease)))
                }
            }
        };
        self.0.writer.write_or_busy(accept).await
    }

    /// Changes the trigger of an execution that has not begun, and makes the claims of the request that wants it, which `new`
    /// has beside the execution's id. None when it has begun, is sealed, or `change` does not want to.
    pub async fn execution_merge(
        &self,
        new: NewExecution,
        change: impl FnOnce(&str) -> Option<String> + Send + 'static,
    ) -> Result<Option<Accepted>> {
        self.write(move |c| {
            let mut select = c.prepare_cached(
                "SELECT trigger FROM executions
                 WHERE workspace = ? AND id = ? AND status = 'queued' AND attempt = 0 AND sealed = 0",
            )?;
            let trigger: Option<String> =
                select.query_row(params![new.workspace, new.id], |row| row.get(0)).optional()?;
            let Some(changed) = trigger.and_then(|trigger| change(&trigger)) else { return Ok(None) };
            if let Some(seen) = claim(c, &new)? {
                return Ok(Some(seen));
            }
            let mut update = c.prepare_cached("UPDATE executions SET trigger = ? WHERE workspace = ? AND id = ?")?;
            update.execute(params![changed, new.workspace, new.id])?;
            Ok(Some(Accepted::New(None)))
        })
        .await
    }

    /// Records an execution that has begun and ended without being accepted first. Returns before it is durable; waits
    /// only while the writer is behind.
    pub async fn execution_record(&self, new: NewExecution, mut finish: Finish) -> Result<()> {
        let new = self.seal_trigger(new);
        self.seal_bodies(&mut finish.deliveries);
        self.0.writer.write_behind("an execution", move |c| record(c, &new, &finish)).await
    }

    /// [`Store::execution_record`], durable when it returns.
    pub async fn execution_record_durably(&self, new: NewExecution, mut finish: Finish) -> Result<()> {
        let new = self.seal_trigger(new);
        self.seal_bodies(&mut finish.deliveries);
        self.write(move |c| record(c, &new, &finish)).await
    }

    /// Begins the next attempt of a claimed execution. None when it is final or gone; the job is then done too.
    pub async fn execution_begin(&self, lease: Lease, id: ExecutionId, at: Timestamp) -> Result<Option<Execution>> {
        let begun = self.write(move |c| {
            let sql = format!(
                "UPDATE executions SET status = 'running', attempt = attempt + 1, started_at = ?
                 WHERE workspace = (SELECT workspace FROM jobs WHERE seq = ?) AND id = ? AND finished_at IS NULL
                 RETURNING {SLIM}, {WIDE}, sealed"
            );
            let begun = |row: &Row<'_>| Ok((whole(row)?, row.get(SEALED)?));
            let begun = c.prepare_cached(&sql)?.query_row(params![at, lease.seq(), id], begun).optional()?;
            match &begun {
                Some((one, _)) if one.attempt == 1 => {
                    started(c, one.workspace, one.flow, id, one.session.as_deref(), at)?;
                }
                Some(_) => {}
                None => super::job::done(c, &lease)?,
            }
            Ok(begun)
        });
        match begun.await? {
            Some((execution, true)) => self.open_trigger(execution).map(Some),
            begun => Ok(begun.map(|(execution, _)| execution)),
        }
    }

    /// Ends an attempt: the outcome, what it said and logged, what the session keeps, the deliveries and the job, all
    /// in one transaction. [`super::Error::LeaseLost`] when another worker has taken over: then nothing is written.
    pub async fn execution_finish(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        lease: Lease,
        mut finish: Finish,
    ) -> Result<()> {
        self.seal_bodies(&mut finish.deliveries);
        self.write(move |c| {
            match &finish.outcome {
                Outcome::Again => super::job::again(c, &lease, finish.at)?,
                Outcome::AgainAt(at, _) => super::job::again(c, &lease, *at)?,
                Outcome::Final { .. } => super::job::done(c, &lease)?,
            }
            finish_row(c, workspace, id, &finish)?;
            let (flow, session): (FlowId, Option<String>) = c
                .prepare_cached("SELECT flow, session FROM executions WHERE workspace = ? AND id = ?")?
                .query_row(params![workspace, id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let about = About { flow: Some(flow), execution: Some(id), session: session.as_deref() };
            attach(c, workspace, id, about, &finish)
        })
        .await
    }
}

/// Makes a trigger's claims, all of them or none; then it tells who has made one before.
fn claim(c: &Connection, new: &NewExecution) -> Result<Option<Accepted>> {
    let Some(hook) = new.hook else { return Ok(None) };
    for (place, claim) in new.claims.iter().enumerate() {
        let holder = c
            .prepare_cached(
                "SELECT idempotency.execution, fingerprint, executions.status
                 FROM idempotency LEFT JOIN executions ON executions.workspace = ? AND executions.id = execution
                 WHERE idempotency.hook = ? AND key = ?",
            )?
            .query_row(params![new.workspace, hook, claim.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((execution, fingerprint, status)): Option<(_, [u8; 32], Option<Status>)> = holder else { continue };
        let failed = matches!(status, Some(Status::Failed | Status::TimedOut));
        if !(failed && claim.until_failure) {
            let same = fingerprint == claim.fingerprint;
            return Ok(Some(Accepted::Seen { execution, claim: place, same }));
        }
    }
    for claim in &new.claims {
        let end = claim.lasts.map(|lasts| new.created_at.after(lasts));
        c.prepare_cached(
            "INSERT INTO idempotency (hook, key, fingerprint, execution, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (hook, key) DO UPDATE SET fingerprint = excluded.fingerprint,
               execution = excluded.execution, created_at = excluded.created_at, expires_at = excluded.expires_at",
        )?
        .execute(params![hook, claim.key, claim.fingerprint, new.id, new.created_at, end])?;
    }
    Ok(None)
}

fn insert(
    c: &Connection,
    new: &NewExecution,
    status: Status,
    attempt: u32,
    started_at: Option<Timestamp>,
    finish: Option<&Finish>,
) -> Result<()> {
    let kept = finish.and_then(|finish| finish.trigger_kept.as_deref());
    let llm = finish.map(|finish| finish.llm).unwrap_or_default();
    let (mut status, mut reason, mut outcome) = (status, None, None);
    if let Some(Finish { outcome: Outcome::Final { status: last, reason: why, json }, .. }) = finish {
        (status, reason, outcome) = (*last, why.as_deref(), Some(json.as_str()));
    }
    c.prepare_cached(
        "INSERT INTO executions (id, workspace, flow, hook, version, status, reason, mode, attempt, session, replay_of,
           created_at, started_at, finished_at, deadline_ms, cpu_us, memory_bytes, callback, outcome, trigger, body, sealed,
           llm_calls, llm_input_tokens, llm_output_tokens, llm_cached_tokens, llm_micro_usd, parent, depth)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        new.id,
        new.workspace,
        new.flow,
        new.hook,
        new.version,
        status,
        reason,
        new.mode,
        attempt,
        new.session,
        new.replay_of,
        new.created_at,
        started_at,
        finish.map(|finish| finish.at),
        stored(new.deadline_ms),
        finish.map_or(0, |finish| stored(finish.cpu_us)),
        finish.map_or(0, |finish| stored(finish.memory_bytes)),
        new.callback,
        outcome,
        kept.unwrap_or(&new.trigger),
        kept.map_or(&new.body[..], |_| b""),
        kept.is_none() && new.trigger_kept.is_some(),
        stored(llm.calls),
        stored(llm.input_tokens),
        stored(llm.output_tokens),
        stored(llm.cached_tokens),
        stored(llm.micro_usd),
        new.parent.map(|parent| parent.execution),
        new.parent.map_or(0, |parent| parent.depth + 1),
    ])?;
    Ok(())
}

fn record(c: &Connection, new: &NewExecution, finish: &Finish) -> Result<()> {
    insert(c, new, Status::Running, 1, Some(new.created_at), Some(finish))?;
    started(c, new.workspace, new.flow, new.id, new.session.as_deref(), new.created_at)?;
    let about = About { flow: Some(new.flow), execution: Some(new.id), session: new.session.as_deref() };
    attach(c, new.workspace, new.id, about, finish)
}

fn started(
    c: &Connection,
    workspace: WorkspaceId,
    flow: FlowId,
    id: ExecutionId,
    session: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    let about = About { flow: Some(flow), execution: Some(id), session };
    event::put(c, workspace, at, "execution.started", about, &json!({}))
}

fn finish_row(c: &Connection, workspace: WorkspaceId, id: ExecutionId, finish: &Finish) -> Result<()> {
    let (status, reason, finished_at, json) = match &finish.outcome {
        Outcome::Again => (Status::Queued, None, None, None),
        Outcome::AgainAt(_, why) => (Status::Queued, Some(why.as_str()), None, None),
        Outcome::Final { status, reason, json } => (*status, reason.as_deref(), Some(finish.at), Some(json.as_str())),
    };
    c.prepare_cached(
        "UPDATE executions SET status = ?, reason = ?, finished_at = ?, outcome = ?, cpu_us = cpu_us + ?,
           memory_bytes = max(memory_bytes, ?), llm_calls = llm_calls + ?, llm_input_tokens = llm_input_tokens + ?,
           llm_output_tokens = llm_output_tokens + ?, llm_cached_tokens = llm_cached_tokens + ?,
           llm_micro_usd = llm_micro_usd + ? WHERE workspace = ? AND id = ?",
    )?
    .execute(params![
        status,
        reason,
        finished_at,
        json,
        stored(finish.cpu_us),
        stored(finish.memory_bytes),
        stored(finish.llm.calls),
        stored(finish.llm.input_tokens),
        stored(finish.llm.output_tokens),
        stored(finish.llm.cached_tokens),
        stored(finish.llm.micro_usd),
        workspace,
        id
    ])?;
    if let (Some(kept), Outcome::Final { .. }) = (&finish.trigger_kept, &finish.outcome) {
        forget(c, workspace, id, kept)?;
    }
    Ok(())
}

/// Leaves of a trigger what `kept` says, and nothing of its body.
pub(super) fn forget(c: &Connection, workspace: WorkspaceId, id: ExecutionId, kept: &str) -> Result<()> {
    let mut update =
        c.prepare_cached("UPDATE executions SET trigger = ?, body = x'', sealed = 0 WHERE workspace = ? AND id = ?")?;
    update.execute(params![kept, workspace, id])?;
    Ok(())
}

/// Writes what belongs to the end of an attempt beside the execution's own row.
fn attach(c: &Connection, workspace: WorkspaceId, id: ExecutionId, about: About<'_>, finish: &Finish) -> Result<()> {
    add_outputs(c, workspace, id, &finish.outputs)?;
    if let Some(logs) = &finish.logs {
        c.prepare_cached("INSERT OR REPLACE INTO logs (execution, attempt, dropped, lines) VALUES (?, ?, ?, ?)")?
            .execute(params![id, logs.attempt, stored(logs.dropped), logs.lines])?;
    }
    if let Some(spans) = &finish.spans {
        c.prepare_cached("INSERT OR REPLACE INTO spans (execution, attempt, dropped, spans) VALUES (?, ?, ?, ?)")?
            .execute(params![id, spans.attempt, stored(spans.dropped), spans.spans])?;
    }
    if let Some(calls) = &finish.calls {
        c.prepare_cached("INSERT OR REPLACE INTO calls (execution, attempt, dropped, calls) VALUES (?, ?, ?, ?)")?
            .execute(params![id, calls.attempt, stored(calls.dropped), calls.calls])?;
    }
    for delivery in &finish.deliveries {
        super::delivery::insert(c, workspace, Some(id), delivery)?;
    }
    if let (Some(_), Outcome::Final { .. }) = (&finish.trigger_kept, &finish.outcome) {
        super::delivery::forget_said(c, id)?;
    }
    match finish.outcome {
        Outcome::Final { status, .. } => end(c, workspace, about, status, finish),
        Outcome::Again | Outcome::AgainAt(..) => Ok(()),
    }
}

/// Adds what an execution said, but for what is there already.
pub(super) fn add_outputs(
    c: &Connection,
    workspace: WorkspaceId,
    id: ExecutionId,
    outputs: &[OutputRow],
) -> Result<()> {
    let mut add =
        c.prepare_cached("INSERT OR IGNORE INTO outputs (execution, attempt, n, at, data) VALUES (?, ?, ?, ?, ?)")?;
    for output in outputs {
        let new = add.execute(params![id, output.attempt, output.n, output.at, output.data])? == 1;
        if new && output.kind() != "delta" {
            let about = About { execution: Some(id), ..About::default() };
            let place = json!({"attempt": output.attempt, "n": output.n});
            event::put(c, workspace, output.at, "execution.output", about, &place)?;
        }
    }
    Ok(())
}

/// Tells of the end of an execution, and of what it means for its conversation.
fn end(c: &Connection, workspace: WorkspaceId, about: About<'_>, status: Status, finish: &Finish) -> Result<()> {
    for emitted in &finish.events {
        event::put(c, workspace, emitted.at, &emitted.r#type, about, &json!({"data": emitted.data}))?;
    }
    let (Some(flow), Some(session)) = (about.flow, about.session) else {
        return ended(c, workspace, about, status, finish.at);
    };
    let mut said = Vec::with_capacity(finish.messages.len());
    for message in &finish.messages {
        said.push((super::session::append(c, flow, session, message)?, message));
    }
    event::session_turn(c, workspace, about, finish, &said)?;
    ended(c, workspace, about, status, finish.at)?;
    match &finish.session_end {
        Some(end) => event::session_end(c, flow, session, about.execution, finish.at, end.clone()),
        None => Ok(()),
    }
}

/// Tells that an execution has ended.
pub(super) fn ended(
    c: &Connection,
    workspace: WorkspaceId,
    about: About<'_>,
    status: Status,
    at: Timestamp,
) -> Result<()> {
    event::of_end(status).map_or(Ok(()), |kind| event::put(c, workspace, at, kind, about, &json!({})))
}
