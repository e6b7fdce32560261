//! Targets that are told of events later, from the log.
//!
//! Of a target that is not proven one delivery at a time is enough: it gets one attempt a turn. So the events that come
//! while one waits stay in the log, which all such targets share, and each of them has but a place in it. However many do
//! not answer, an event costs no more rows than there are targets that do. At the end of a turn the job [`CATCH_UP`] tells
//! the target of what comes next: of one event when it has failed, of all of them when it is well.
//!
//! A target that is behind has a job: its own, at whose end comes the other one, or the other one.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::batch::tell;
use super::{Lease, Result, Standing, Store, Target, Told, count, stored};
use crate::clock::Timestamp;
use crate::id::{SubscriptionId, WorkspaceId};

/// The kind of the job that tells a target of what it was not told yet.
pub const CATCH_UP: &str = "catch_up";

/// Where a target is that is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The last event that it was told of.
    pub seq: u64,
}

/// Some of what a target was not told yet.
#[derive(Debug, Clone)]
pub struct CatchUp {
    /// Who is told.
    pub target: Target,
    /// What, in the order of the events.
    pub all: Vec<Told>,
    /// The last event that was looked at.
    pub seq: u64,
    /// Ends it as soon as an attempt is due, after the events that are older than this; none tells of everything.
    pub enough: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

impl Store {
    /// All targets that are behind.
    pub async fn behind_all(&self) -> Result<Vec<Target>> {
        self.read(|c| {
            let mut select = c.prepare_cached("SELECT target FROM behind")?;
            Ok(select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Where a target is; none when it is not behind.
    pub async fn behind(&self, target: Target) -> Result<Option<Behind>> {
        self.read(move |c| find(c, target)).await
    }

    /// Tells a target of something. True when that was enough: then the job is done.
    pub async fn catch_up(&self, lease: Lease, step: CatchUp) -> Result<bool> {
        self.write(move |c| {
            super::job::check(c, &lease)?;
            let (mut seq, mut enough) = (step.seq, false);
            for told in &step.all {
                tell(c, told)?;
                let counts = step.enough.is_some_and(|since| told.delivery.created_at >= since);
                if counts && super::target::next_at(c, step.target)?.is_some_and(|next| next <= step.at) {
                    (seq, enough) = (told.seq, true);
                    break;
                }
            }
            c.prepare_cached("UPDATE behind SET seq = ? WHERE target = ?")?
                .execute(params![stored(seq), step.target])?;
            if enough {
                super::job::done(c, &lease)?;
            }
            Ok(enough)
        })
        .await
    }

    /// Makes a subscription one of those that `reader` tells, if it was told of all that the reader has told of, and ends
    /// the job; otherwise false. The reader must not be telling anybody of anything meanwhile.
    pub async fn behind_end(&self, lease: Lease, reader: &'static str, id: SubscriptionId) -> Result<bool> {
        self.write(move |c| {
            let target = Target::Subscription(id);
            if let Some(behind) = find(c, target)? {
                let told = super::event::place(c, reader)?.told_to(id);
                let mut select =
                    c.prepare_cached("SELECT 1 FROM events WHERE workspace = ? AND seq > ? AND seq <= ? LIMIT 1")?;
                if select.exists(params![behind.workspace, stored(behind.seq), stored(told)])? {
                    return Ok(false);
                }
            }
            forget(c, target)?;
            super::job::done(c, &lease)?;
            Ok(true)
        })
        .await
    }

    /// Tells a target of nothing more that happened until now, and ends the job.
    pub async fn behind_drop(&self, lease: Lease, target: Target) -> Result<()> {
        self.write(move |c| {
            forget(c, target)?;
            super::job::done(c, &lease)
        })
        .await
    }
}

/// The target, behind a letter: a job whose subject is the target itself is the one that sends to it.
fn subject(target: Target) -> Vec<u8> {
    [b"c", &target.to_bytes()[..]].concat()
}

/// Who a claimed job of the kind [`CATCH_UP`] is about.
pub fn catch_up_target(subject: &[u8]) -> Option<Target> {
    subject.strip_prefix(b"c").and_then(Target::from_bytes)
}

/// Whether a target is to be told later: it is not proven, and something waits for it.
pub(super) fn is_due(c: &Connection, target: Target) -> Result<bool> {
    Ok(super::target::health(c, target)?.standing() != Standing::Proven && super::job::is_there(c, &target.to_bytes())?)
}

/// From this event on, its target is told later.
pub(super) fn begin(c: &Connection, told: &Told) -> Result<()> {
    c.prepare_cached("INSERT INTO behind (target, workspace, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")?
        .execute(params![told.delivery.target, told.workspace, stored(told.seq) - 1])?;
    Ok(())
}

/// At the end of a turn: a target that is behind is told of more, unless something is due to it before it may be sent to
/// again, at `free_at`. Whether it is.
pub(super) fn resume(
    c: &Connection,
    target: Target,
    standing: Standing,
    next_at: Option<Timestamp>,
    free_at: Timestamp,
) -> Result<bool> {
    let has_probe = standing != Standing::Proven && next_at.is_some_and(|next| next <= free_at);
    let Some(behind) = find(c, target)?.filter(|_| !has_probe) else { return Ok(false) };
    super::job::put(c, CATCH_UP, behind.workspace, &subject(target), free_at)?;
    Ok(true)
}

/// A target that is gone, or has been told of everything, is not behind.
pub(super) fn forget(c: &Connection, target: Target) -> Result<()> {
    c.prepare_cached("DELETE FROM behind WHERE target = ?")?.execute([target])?;
    Ok(())
}

fn find(c: &Connection, target: Target) -> Result<Option<Behind>> {
    let mut select = c.prepare_cached("SELECT workspace, seq FROM behind WHERE target = ?")?;
    let row = |row: &Row<'_>| Ok(Behind { workspace: row.get(0)?, seq: count(row.get(1)?) });
    Ok(select.query_row([target], row).optional()?)
}
