//! What came to a hook: requests that made no execution, each with the reason, and those that made one.
//!
//! A hook keeps a bounded number of rows, and of bytes, for each verdict by itself: a flood of one kind pushes out none of
//! another.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::execution::{AFTER_SLIM, SLIM, slim};
use super::{Execution, Page, Result, Store, count, stored, text_enum};
use crate::clock::Timestamp;
use crate::id::{self, ExecutionId, HookId, RequestId, WorkspaceId};

/// A longer body is not kept.
pub const BODY_KEPT_BYTES_MAX: usize = 1 << 20;

/// A longer trigger is not read for a list.
const TRIGGER_LISTED_BYTES_MAX: u32 = 16 << 10;

text_enum! {
    /// What became of a request.
    Verdict {
        /// It made an execution. Such a one is no row of its own.
        Accepted = "accepted",
        /// It was answered with a problem.
        Refused = "refused",
        /// It is genuine, and the hook's filter does not want it.
        Filtered = "filtered",
        /// It came before.
        Duplicate = "duplicate",
        /// The hook only looks at what comes.
        Captured = "captured",
    }
}

impl Verdict {
    /// How many rows a hook keeps, and how many bytes of their bodies. A tenth more may be there before the oldest go.
    fn kept(self) -> (u64, u64) {
        match self {
            Self::Captured => (100, 4 << 20),
            Self::Accepted | Self::Refused | Self::Filtered | Self::Duplicate => (1_000, 4 << 20),
        }
    }
}

/// A request that made no execution, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its id.
    pub id: RequestId,
    /// Whose hook it was for; none when there is no such hook.
    pub workspace: Option<WorkspaceId>,
    /// The hook; none when there is no such hook.
    pub hook: Option<HookId>,
    /// When it came.
    pub at: Timestamp,
    /// What became of it.
    pub verdict: Verdict,
    /// The HTTP status that it was answered with.
    pub status: u16,
    /// The slug of the problem that it was answered with, for example `unauthenticated`.
    pub code: Option<String>,
    /// The exact reason, for the operator.
    pub reason: String,
    /// The execution that a duplicate repeats.
    pub execution: Option<ExecutionId>,
    /// The request without credentials and without its body, as JSON.
    pub detail: String,
    /// How many bytes the body has, where it is kept.
    pub kept_bytes: Option<u64>,
    /// The body, where it is kept. None in lists.
    pub body: Option<Bytes>,
}

const LISTED: &str = "id, workspace, hook, at, verdict, status, code, reason, execution, kept_bytes, detail";

impl Store {
    /// Records a request, behind the answer to it.
    pub async fn request_record(&self, request: Recorded) -> Result<()> {
        self.0.writer.write_behind("a request", move |c| record(c, &request)).await
    }

    /// [`Store::request_record`], durable when it returns.
    pub async fn request_record_durably(&self, request: Recorded) -> Result<()> {
        self.write(move |c| record(c, &request)).await
    }

    /// One request of a workspace that made no execution, whole; without a workspace, one that was for no hook.
    pub async fn request_find(&self, workspace: Option<WorkspaceId>, id: RequestId) -> Result<Option<Recorded>> {
        self.read(move |c| {
            let sql = format!("SELECT {LISTED}, body FROM requests WHERE workspace IS ? AND id = ?");
            let whole = |row: &Row<'_>| {
                let body: Option<Vec<u8>> = row.get(11)?;
                Ok(Recorded { body: body.map(Bytes::from), ..listed(row)? })
            };
            Ok(c.prepare_cached(&sql)?.query_row(params![workspace, id], whole).optional()?)
        })
        .await
    }

    /// A part of the requests of a hook that made no execution, with one of these verdicts, without bodies; without a
    /// hook, of those that were for none that there is.
    pub async fn requests(
        &self,
        hook: Option<HookId>,
        verdicts: Vec<Verdict>,
        page: Page<id::Request>,
    ) -> Result<Vec<Recorded>> {
        self.read(move |c| {
            let sql = format!(
                "SELECT {LISTED} FROM requests WHERE hook IS ? AND verdict = ? AND id < ? ORDER BY id DESC LIMIT ?"
            );
            let mut select = c.prepare_cached(&sql)?;
            let mut all = Vec::new();
            for verdict in verdicts {
                let rows = select.query_map(params![hook, verdict, page.bound(), page.limit], listed)?;
                all.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            all.sort_by_key(|one| std::cmp::Reverse(one.id));
            all.truncate(page.limit as usize);
            Ok(all)
        })
        .await
    }

    /// A part of the requests of a hook that made an execution: that execution, without body and outcome, and without a
    /// trigger that is long. A request has the bytes of its execution's id. Replays are no requests.
    pub async fn requests_accepted(&self, hook: HookId, page: Page<id::Request>) -> Result<Vec<Execution>> {
        self.read(move |c| {
            let sql = format!(
                "SELECT {SLIM}, CASE WHEN octet_length(trigger) <= {TRIGGER_LISTED_BYTES_MAX} THEN trigger ELSE '' END
                 FROM executions INDEXED BY executions_by_hook
                 WHERE hook = ? AND id < ? AND replay_of IS NULL ORDER BY id DESC LIMIT ?"
            );
            let with_trigger = |row: &Row<'_>| Ok(Execution { trigger: row.get(AFTER_SLIM)?, ..slim(row)? });
            let mut select = c.prepare_cached(&sql)?;
            let rows = select.query_map(params![hook, page.bound(), page.limit], with_trigger)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

fn record(c: &Connection, request: &Recorded) -> Result<()> {
    let sql = format!("INSERT INTO requests ({LISTED}, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    c.prepare_cached(&sql)?.execute(params![
        request.id,
        request.workspace,
        request.hook,
        request.at,
        request.verdict,
        request.status,
        request.code,
        request.reason,
        request.execution,
        request.body.as_ref().map(|body| stored(body.len() as u64)),
        request.detail,
        request.body.as_deref(),
    ])?;
    forget_oldest(c, request.hook, request.verdict)
}

/// Removes what is more than a hook keeps of a verdict, many rows at a time, since that looks at all of them.
fn forget_oldest(c: &Connection, hook: Option<HookId>, verdict: Verdict) -> Result<()> {
    let (rows_max, bytes_max) = verdict.kept();
    let of_hook = "FROM requests INDEXED BY requests_by_hook WHERE hook IS ? AND verdict = ?";
    let mut sum = c.prepare_cached(&format!("SELECT count(*), ifnull(sum(kept_bytes), 0) {of_hook}"))?;
    let (rows, bytes) = sum.query_row(params![hook, verdict], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?;
    if rows <= rows_max + rows_max / 10 && bytes <= bytes_max + bytes_max / 10 {
        return Ok(());
    }
    let mut newest_first = c.prepare_cached(&format!("SELECT seq, kept_bytes {of_hook} ORDER BY id DESC"))?;
    let rows = newest_first.query_map(params![hook, verdict], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut n, mut bytes, mut gone) = (0, 0, Vec::<i64>::new());
    for row in rows {
        let (seq, kept): (i64, Option<i64>) = row?;
        n += 1;
        bytes += kept.map_or(0, count);
        if n > rows_max || bytes > bytes_max {
            gone.push(seq);
        }
    }
    for seq in gone {
        c.prepare_cached("DELETE FROM requests WHERE seq = ?")?.execute([seq])?;
    }
    Ok(())
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let kept: Option<i64> = row.get(9)?;
    Ok(Recorded {
        id: row.get(0)?,
        workspace: row.get(1)?,
        hook: row.get(2)?,
        at: row.get(3)?,
        verdict: row.get(4)?,
        status: row.get(5)?,
        code: row.get(6)?,
        reason: row.get(7)?,
        execution: row.get(8)?,
        kept_bytes: kept.map(count),
        detail: row.get(10)?,
        body: None,
    })
}
