//! Executions as rows: what they are, what they said, what they logged.

use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params, params_from_iter};
use serde::Serialize;

use super::event::About;
use super::{LlmUsage, Page, Result, Store, count, text_enum};
use crate::clock::Timestamp;
use crate::id::{self, Digest, ExecutionId, FlowId, HookId, RequestId, WorkspaceId};

text_enum! {
    /// Where an execution stands.
    Status {
        /// Waits for a worker.
        Queued = "queued",
        /// A worker has it.
        Running = "running",
        /// Waits for something outside.
        Waiting = "waiting",
        /// Ended with a reply.
        Succeeded = "succeeded",
        /// Ended without one.
        Failed = "failed",
        /// Was stopped by somebody.
        Canceled = "canceled",
        /// Ran into its deadline.
        TimedOut = "timed_out",
    }
}

impl Status {
    /// True when nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::TimedOut)
    }
}

/// Something that an execution said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRow {
    /// The attempt that said it.
    pub attempt: u32,
    /// Counts from 1 in each attempt.
    pub n: u32,
    /// When.
    pub at: Timestamp,
    /// JSON, its member `kind` first.
    pub data: String,
}

impl OutputRow {
    /// How the JSON begins of a part of the reply, which is nothing of its own.
    const DELTA: &str = r#"{"kind":"delta""#;

    /// What kind of output it is.
    pub fn kind(&self) -> &'static str {
        match &self.data {
            data if data.starts_with(Self::DELTA) => "delta",
            data if data.starts_with(r#"{"kind":"progress""#) => "progress",
            _ => "say",
        }
    }
}

/// The log of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// The attempt.
    pub attempt: u32,
    /// Lines that were over the limit.
    pub dropped: u64,
    /// A JSON list.
    pub lines: String,
}

/// How long the calls of one attempt took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// The attempt.
    pub attempt: u32,
    /// Spans that were over the limit.
    pub dropped: u64,
    /// A JSON list.
    pub spans: String,
}

/// What the calls of one attempt came to, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The attempt.
    pub attempt: u32,
    /// Calls that were to be kept and were over the limit, or were not heard to their end.
    pub dropped: u64,
    /// A JSON list.
    pub calls: String,
}

/// One trigger given to one version.
#[derive(Debug, Clone)]
pub struct Execution {
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
    /// Where it stands.
    pub status: Status,
    /// The slug of the detail.
    pub reason: Option<String>,
    /// `sync`, `async` or `stream`.
    pub mode: String,
    /// Attempts begun.
    pub attempt: u32,
    /// The conversation.
    pub session: Option<String>,
    /// What it has the trigger of again.
    pub replay_of: Option<Origin>,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// How many callers stand above it.
    pub depth: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Milliseconds that an attempt may take.
    pub deadline_ms: u64,
    /// What the guest used, all attempts together.
    pub cpu_us: u64,
    /// What the guest used at its peak.
    pub memory_bytes: u64,
    /// What it spent on language models, all attempts together.
    pub llm: LlmUsage,
    /// Where the outcome is to be delivered.
    pub callback: Option<String>,
    /// The reply or failure, as JSON. None in lists.
    pub outcome: Option<String>,
    /// The trigger as JSON, without the body. Empty in lists.
    pub trigger: String,
    /// The body of the trigger's request. Empty in lists.
    pub body: Bytes,
}

/// What a replay has the trigger of. Its JSON is that of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Another execution.
    Execution(ExecutionId),
    /// A request that made none.
    Request(RequestId),
}

/// Stands before the id of a request where ids of executions are usual.
const REQUEST: u8 = b'r';

impl ToSql for Origin {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Execution(id) => id.to_sql()?,
            Self::Request(id) => [&[REQUEST], &id.as_bytes()[..]].concat().into(),
        })
    }
}

impl FromSql for Origin {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_blob()?.split_first_chunk() {
            Some(([REQUEST], id)) if id.len() == 16 => RequestId::column_result(ValueRef::Blob(id)).map(Self::Request),
            _ => ExecutionId::column_result(value).map(Self::Execution),
        }
    }
}

/// Which executions a list has.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only of this flow.
    pub flow: Option<FlowId>,
    /// Only of this hook.
    pub hook: Option<HookId>,
    /// Only with one of these statuses; all when empty.
    pub statuses: Vec<Status>,
    /// Only of this session.
    pub session: Option<String>,
    /// Only those that this one called.
    pub parent: Option<ExecutionId>,
}

pub(super) const SLIM: &str = "id, workspace, flow, hook, version, status, reason, mode, attempt, session, replay_of, created_at, \
                    started_at, finished_at, deadline_ms, cpu_us, memory_bytes, callback, llm_calls, llm_input_tokens, \
                    llm_output_tokens, llm_cached_tokens, llm_micro_usd, parent, depth";

/// The columns of one whole execution: what a list leaves out comes last.
pub(super) const WIDE: &str = "outcome, trigger, body";

/// The place of the first column after the slim ones.
pub(super) const AFTER_SLIM: usize = 25;

/// The place of the column `sealed` after all these.
pub(super) const SEALED: usize = AFTER_SLIM + 3;

impl Store {
    /// Cancels an execution that no worker has. `None` when there is no such execution, else where it stands now and
    /// whether this call brought it there: a running one is left to its worker. `trigger_kept` as in [`super::Finish`].
    pub async fn execution_cancel(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        at: Timestamp,
        reason: &'static str,
        outcome: String,
        trigger_kept: Option<String>,
    ) -> Result<Option<(Status, bool)>> {
        self.write(move |c| {
            let mut update = c.prepare_cached(
                "UPDATE executions SET status = 'canceled', reason = ?, finished_at = ?, outcome = ?
                 WHERE workspace = ? AND id = ? AND finished_at IS NULL AND (status IN ('queued', 'waiting')
                   OR EXISTS (SELECT 1 FROM jobs WHERE jobs.subject = executions.id AND jobs.owner IS NULL))
                 RETURNING flow, session",
            )?;
            let canceled = update
                .query_row(params![reason, at, outcome, workspace, id], |row| {
                    Ok((row.get(0)?, row.get::<_, Option<String>>(1)?))
                })
                .optional()?;
            if let Some((flow, session)) = &canceled {
                let about = About { flow: Some(*flow), execution: Some(id), session: session.as_deref() };
                super::life::ended(c, workspace, about, Status::Canceled, at)?;
                trigger_kept.iter().try_for_each(|kept| super::life::forget(c, workspace, id, kept))?;
                c.prepare_cached("DELETE FROM jobs WHERE subject = ? AND owner IS NULL")?
                    .execute([&id.as_bytes()[..]])?;
            }
            let mut select = c.prepare_cached("SELECT status FROM executions WHERE workspace = ? AND id = ?")?;
            Ok(select.query_row(params![workspace, id], |row| Ok((row.get(0)?, canceled.is_some()))).optional()?)
        })
        .await
    }

    /// One execution, whole. The trigger of a confidential one is what stays of it in the end.
    pub async fn execution_find(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Option<Execution>> {
        self.read(move |c| {
            let sql = format!("SELECT {SLIM}, {WIDE}, sealed FROM executions WHERE workspace = ? AND id = ?");
            Ok(c.prepare_cached(&sql)?.query_row(params![workspace, id], shown).optional()?)
        })
        .await
    }

    /// A part of a workspace's executions, without triggers, bodies and outcomes.
    pub async fn executions(
        &self,
        workspace: WorkspaceId,
        filter: ExecutionFilter,
        page: Page<id::Execution>,
    ) -> Result<Vec<Execution>> {
        self.read(move |c| {
            if filter.statuses.is_empty() {
                return listed(c, workspace, &filter, None, page);
            }
            let mut all = Vec::new();
            for status in Status::ALL.iter().filter(|status| filter.statuses.contains(status)) {
                all.extend(listed(c, workspace, &filter, Some(*status), page)?);
            }
            all.sort_by_key(|one| std::cmp::Reverse(one.id));
            all.truncate(page.limit as usize);
            Ok(all)
        })
        .await
    }

    /// What an execution said after the output `(attempt, n)`, at most `limit` outputs, in order.
    pub async fn outputs(&self, id: ExecutionId, after: (u32, u32), limit: u32) -> Result<Vec<OutputRow>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT attempt, n, at, data FROM outputs WHERE execution = ? AND (attempt, n) > (?, ?)
                 ORDER BY attempt, n LIMIT ?",
            )?;
            let rows = select.query_map(params![id, after.0, after.1, limit], |row| {
                Ok(OutputRow { attempt: row.get(0)?, n: row.get(1)?, at: row.get(2)?, data: row.get(3)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// How many things an attempt of an execution said, parts of its reply aside.
    pub async fn outputs_count(&self, id: ExecutionId, attempt: u32) -> Result<u32> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT count(*) FROM outputs WHERE execution = ? AND attempt = ? AND substr(data, 1, length(?)) <> ?",
            )?;
            let delta = OutputRow::DELTA;
            Ok(select.query_row(params![id, attempt, delta, delta], |row| row.get(0))?)
        })
        .await
    }

    /// The logs of an execution, one entry an attempt that logged.
    pub async fn logs(&self, id: ExecutionId) -> Result<Vec<Logs>> {
        self.read(move |c| {
            let sql = "SELECT attempt, dropped, lines FROM logs WHERE execution = ? ORDER BY attempt";
            let mut select = c.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                Ok(Logs { attempt: row.get(0)?, dropped: count(row.get(1)?), lines: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The spans of an execution, one entry an attempt that had any.
    pub async fn spans(&self, id: ExecutionId) -> Result<Vec<Spans>> {
        self.read(move |c| {
            let sql = "SELECT attempt, dropped, spans FROM spans WHERE execution = ? ORDER BY attempt";
            let mut select = c.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                Ok(Spans { attempt: row.get(0)?, dropped: count(row.get(1)?), spans: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// What the calls of an execution came to, one entry an attempt of which something is kept.
    pub async fn calls(&self, id: ExecutionId) -> Result<Vec<Calls>> {
        self.read(move |c| {
            let sql = "SELECT attempt, dropped, calls FROM calls WHERE execution = ? ORDER BY attempt";
            let mut select = c.prepare_cached(sql)?;
            let rows = select.query_map([id], |row| {
                Ok(Calls { attempt: row.get(0)?, dropped: count(row.get(1)?), calls: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// How many milliseconds those of a flow's last executions that succeeded took, from acceptance to end. Looks at
    /// `last` executions at most.
    pub async fn execution_times(&self, workspace: WorkspaceId, flow: FlowId, last: u32) -> Result<Vec<u64>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT finished_at - created_at FROM
                   (SELECT * FROM executions INDEXED BY executions_by_flow
                    WHERE flow = ? AND workspace = ? ORDER BY id DESC LIMIT ?)
                 WHERE status = 'succeeded'",
            )?;
            let rows = select.query_map(params![flow, workspace, last], |row| Ok(count(row.get(0)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The executions that are not final, of all hooks.
    pub async fn executions_open(&self) -> Result<Vec<(ExecutionId, HookId)>> {
        self.read(|c| {
            let mut select = c.prepare_cached(
                "SELECT id, hook FROM executions INDEXED BY executions_unfinished
                 WHERE finished_at IS NULL AND hook IS NOT NULL",
            )?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The executions of sessions that are not final and came in by a hook, in order: flow, session, and whether they have begun.
    pub async fn sessions_unfinished(&self) -> Result<Vec<(FlowId, String, ExecutionId, bool)>> {
        self.read(|c| {
            let mut select = c.prepare_cached(
                "SELECT flow, session, id, attempt > 0 FROM executions INDEXED BY executions_unfinished
                 WHERE finished_at IS NULL AND session IS NOT NULL AND hook IS NOT NULL ORDER BY id",
            )?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// How many executions are not final, by status.
    pub async fn executions_unfinished(&self) -> Result<Vec<(Status, u64)>> {
        self.read(|c| {
            let mut select = c.prepare_cached(
                "SELECT status, count(*) FROM executions INDEXED BY executions_unfinished
                 WHERE finished_at IS NULL GROUP BY status",
            )?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, count(row.get(1)?))))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// A part of the executions with one status, or with any. Each status has its own index, so that one that is rare does not
/// cost a look at all others.
pub(super) fn listed(
    c: &Connection,
    workspace: WorkspaceId,
    filter: &ExecutionFilter,
    status: Option<Status>,
    page: Page<id::Execution>,
) -> Result<Vec<Execution>> {
    let bound = page.bound();
    let mut values: Vec<&dyn ToSql> = vec![&workspace, &bound];
    values.extend(filter.flow.as_ref().map(|flow| flow as &dyn ToSql));
    values.extend(filter.hook.as_ref().map(|hook| hook as &dyn ToSql));
    values.extend(filter.parent.as_ref().map(|parent| parent as &dyn ToSql));
    values.extend(filter.session.as_ref().map(|session| session as &dyn ToSql));
    values.extend(status.as_ref().map(|status| status as &dyn ToSql));
    values.push(&page.limit);
    let mut select = c.prepare_cached(&list(filter, status))?;
    let rows = select.query_map(params_from_iter(values), slim)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The query of [`listed`].
pub(super) fn list(filter: &ExecutionFilter, status: Option<Status>) -> String {
    let (by, few) = match (filter, status) {
        (ExecutionFilter { parent: Some(_), .. }, _) => ("INDEXED BY executions_by_parent", ""),
        (ExecutionFilter { session: Some(_), .. }, _) => ("INDEXED BY executions_by_session", ""),
        (_, Some(Status::Queued | Status::Running | Status::Waiting)) => {
            ("INDEXED BY executions_unfinished", " AND finished_at IS NULL")
        }
        (_, Some(Status::Failed | Status::Canceled | Status::TimedOut)) => {
            ("INDEXED BY executions_unlucky", " AND status IN ('failed', 'canceled', 'timed_out')")
        }
        (ExecutionFilter { hook: Some(_), .. }, _) => ("INDEXED BY executions_by_hook", ""),
        (ExecutionFilter { flow: Some(_), .. }, _) => ("INDEXED BY executions_by_flow", ""),
        _ => ("", ""),
    };
    let wanted = [
        (filter.flow.is_some(), " AND flow = ?"),
        (filter.hook.is_some(), " AND hook = ?"),
        (filter.parent.is_some(), " AND parent = ?"),
        (filter.session.is_some(), " AND session = ?"),
        (status.is_some(), " AND status = ?"),
    ];
    let wanted: String = wanted.into_iter().filter_map(|(is, condition)| is.then_some(condition)).collect();
    format!("SELECT {SLIM} FROM executions {by} WHERE workspace = ? AND id < ?{wanted}{few} ORDER BY id DESC LIMIT ?")
}

pub(super) fn slim(row: &Row<'_>) -> rusqlite::Result<Execution> {
    Ok(Execution {
        id: row.get(0)?,
        workspace: row.get(1)?,
        flow: row.get(2)?,
        hook: row.get(3)?,
        version: row.get(4)?,
        status: row.get(5)?,
        reason: row.get(6)?,
        mode: row.get(7)?,
        attempt: row.get(8)?,
        session: row.get(9)?,
        replay_of: row.get(10)?,
        created_at: row.get(11)?,
        started_at: row.get(12)?,
        finished_at: row.get(13)?,
        deadline_ms: count(row.get(14)?),
        cpu_us: count(row.get(15)?),
        memory_bytes: count(row.get(16)?),
        callback: row.get(17)?,
        llm: LlmUsage {
            calls: count(row.get(18)?),
            input_tokens: count(row.get(19)?),
            output_tokens: count(row.get(20)?),
            cached_tokens: count(row.get(21)?),
            micro_usd: count(row.get(22)?),
        },
        parent: row.get(23)?,
        depth: row.get(24)?,
        outcome: None,
        trigger: String::new(),
        body: Bytes::new(),
    })
}

pub(super) fn whole(row: &Row<'_>) -> rusqlite::Result<Execution> {
    let body: Vec<u8> = row.get(AFTER_SLIM + 2)?;
    Ok(Execution { outcome: row.get(AFTER_SLIM)?, trigger: row.get(AFTER_SLIM + 1)?, body: body.into(), ..slim(row)? })
}

/// A whole execution without what is sealed.
fn shown(row: &Row<'_>) -> rusqlite::Result<Execution> {
    let execution = whole(row)?;
    Ok(if row.get(SEALED)? { Execution { body: Bytes::new(), ..execution } } else { execution })
}
