//! Deliveries that have ended: sent again one by one or many at once, or discarded.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{DeliveryStatus, Lease, Result, Store, Target, count};
use crate::clock::Timestamp;
use crate::id::{DeliveryId, WorkspaceId};

/// Deliveries that one step of a recovery starts again.
const ROWS_PER_STEP: u32 = 500;

/// Which dead letters are sent again: those of a target that ended from `since` on and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Whose.
    pub target: Target,
    /// The first moment.
    pub since: Timestamp,
    /// The moment after the last, so that what fails again meanwhile is not taken up again.
    pub until: Timestamp,
}

impl Recovery {
    /// The subject of the job that does it.
    pub fn to_bytes(self) -> Vec<u8> {
        let times = [self.since, self.until].map(|moment| moment.unix_ms().to_be_bytes());
        [&self.target.to_bytes()[..], &times[0], &times[1]].concat()
    }

    /// What [`Recovery::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (target, times) = bytes.split_at_checked(17)?;
        let (since, until) = times.split_at_checked(8)?;
        let moment = |bytes: &[u8]| Some(Timestamp::from_unix_ms(i64::from_be_bytes(bytes.try_into().ok()?)));
        Some(Self { target: Target::from_bytes(target)?, since: moment(since)?, until: moment(until)? })
    }
}

/// What became of a wish about one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wished<T> {
    /// It is done.
    Done(T),
    /// The delivery stands where this cannot be done.
    Not(DeliveryStatus),
}

impl Store {
    /// Makes a delivery due now, at the beginning of its schedule, whether it has ended or waits; one in a lane waits for
    /// what is pending there. Whom it is for. None when there is no such delivery, or its body was forgotten.
    pub async fn delivery_again(
        &self,
        workspace: WorkspaceId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Target>> {
        self.write(move |c| {
            let mut select = c.prepare_cached(
                "SELECT seq, target, lane FROM deliveries WHERE workspace = ? AND id = ? AND length(body) > 0",
            )?;
            let Some(row) = select.query_row(params![workspace, id], Place::read).optional()? else { return Ok(None) };
            begin_again(c, &row, at)?;
            super::target::unhold(c, row.target)?;
            super::target::ensure_job(c, workspace, row.target, at)?;
            Ok(Some(row.target))
        })
        .await
    }

    /// Ends a pending delivery or a dead letter for good, without its body. None when there is no such delivery.
    pub async fn delivery_discard(
        &self,
        workspace: WorkspaceId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Wished<Target>>> {
        self.write(move |c| {
            let mut select = c.prepare_cached(
                "SELECT status, next_at IS NOT NULL, seq, target, lane FROM deliveries WHERE workspace = ? AND id = ?",
            )?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
            let found: Option<(DeliveryStatus, bool, i64, Target, Option<String>)> =
                select.query_row(params![workspace, id], row).optional()?;
            let Some((status, has_turn, seq, target, lane)) = found else { return Ok(None) };
            if status != DeliveryStatus::Pending && !status.is_dead() {
                return Ok(Some(Wished::Not(status)));
            }
            c.prepare_cached(
                "UPDATE deliveries SET status = 'discarded', next_at = NULL, finished_at = ?, body = x'', transform = NULL
                 WHERE seq = ?",
            )?
            .execute(params![at, seq])?;
            if has_turn {
                super::lane::advance(c, target, lane, at)?;
            }
            Ok(Some(Wished::Done(target)))
        })
        .await
    }

    /// How many dead letters a recovery would send again.
    pub async fn recovery_count(&self, workspace: WorkspaceId, recovery: Recovery) -> Result<u64> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead
                 WHERE target = ? AND finished_at >= ? AND finished_at < ? AND status IN ('exhausted', 'abandoned')
                   AND workspace = ? AND length(body) > 0",
            )?;
            let Recovery { target, since, until } = recovery;
            Ok(select.query_row(params![target, since, until, workspace], |row| Ok(count(row.get(0)?)))?)
        })
        .await
    }

    /// Adds the job that does a recovery.
    pub async fn recovery_create(&self, workspace: WorkspaceId, recovery: Recovery, job: &'static str) -> Result<()> {
        self.write(move |c| super::job::put(c, job, workspace, &recovery.to_bytes(), recovery.until)).await
    }

    /// One step of a recovery. False at the end of it; the job is then done too.
    pub async fn recovery_step(
        &self,
        lease: Lease,
        workspace: WorkspaceId,
        recovery: Recovery,
        at: Timestamp,
    ) -> Result<bool> {
        self.write(move |c| {
            super::job::check(c, &lease)?;
            let rows = dead(c, workspace, &recovery)?;
            rows.iter().try_for_each(|row| begin_again(c, row, at))?;
            if rows.is_empty() {
                super::job::done(c, &lease)?;
                return Ok(false);
            }
            super::target::unhold(c, recovery.target)?;
            super::target::ensure_job(c, workspace, recovery.target, at)?;
            Ok(true)
        })
        .await
    }
}

/// Where a delivery stands: what starting it again needs to know.
struct Place {
    seq: i64,
    target: Target,
    lane: Option<String>,
}

impl Place {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { seq: row.get(0)?, target: row.get(1)?, lane: row.get(2)? })
    }
}

/// Some of the dead letters, those that were made first before the others.
fn dead(c: &Connection, workspace: WorkspaceId, recovery: &Recovery) -> Result<Vec<Place>> {
    let mut select = c.prepare_cached(
        "SELECT seq, target, lane FROM deliveries INDEXED BY deliveries_dead
         WHERE target = ? AND finished_at >= ? AND finished_at < ? AND status IN ('exhausted', 'abandoned')
           AND workspace = ? AND length(body) > 0 ORDER BY finished_at, seq LIMIT ?",
    )?;
    let Recovery { target, since, until } = *recovery;
    let rows = select.query_map(params![target, since, until, workspace, ROWS_PER_STEP], Place::read)?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.sort_by_key(|row| row.seq);
    Ok(rows)
}

/// Makes a delivery due at the beginning of its schedule. A pending one keeps its turn, or goes on waiting for it; one that
/// has ended waits for what is pending in its lane.
fn begin_again(c: &Connection, place: &Place, at: Timestamp) -> Result<()> {
    let waits = super::lane::is_busy(c, place.target, place.lane.as_deref())?;
    c.prepare_cached(
        "UPDATE deliveries SET status = 'pending', finished_at = NULL, began_at = ?1, began_after = attempts, next_at =
           CASE WHEN status <> 'pending' THEN ?2 WHEN next_at IS NULL THEN NULL ELSE ?1 END
         WHERE seq = ?3",
    )?
    .execute(params![at, (!waits).then_some(at), place.seq])?;
    Ok(())
}
