//! The attempts of deliveries.

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use super::{Result, Store, Target, count, stored, text_enum};
use crate::clock::Timestamp;
use crate::id::{AttemptId, DeliveryId};

/// Attempts of one delivery that are kept; the oldest make room. A schedule has fewer, but a delivery can be sent again by
/// hand, and failures of this host do not count.
const KEPT_MAX: u32 = 100;

text_enum! {
    /// Who has to mend what made an attempt fail.
    Blame {
        /// Whoever runs the receiver.
        Receiver = "receiver",
        /// Whoever runs the OAuth2 token server that the receiver wants a token of.
        TokenServer = "token_server",
        /// Whoever runs the proxy between it and this host.
        Proxy = "proxy",
        /// Whoever runs this host.
        Host = "host",
        /// Whoever made the subscription's transform.
        Transform = "transform",
    }
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Counts from 1.
    pub n: u32,
    /// When it began.
    pub at: Timestamp,
    /// Where it went.
    pub url: String,
    /// The headers that were sent, without credentials, as a JSON list of pairs.
    pub request: String,
    /// The status that the receiver answered with.
    pub status: Option<u16>,
    /// The headers of its answer, likewise.
    pub response: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Bytes,
    /// Why there was no answer, or why the answer is a failure.
    pub error: Option<String>,
    /// Whose failure it is.
    pub blame: Option<Blame>,
    /// How long it took.
    pub duration_ms: u64,
    /// What the time was spent on, as a JSON object.
    pub timings: Option<String>,
}

/// How one attempt went, for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it began.
    pub at: Timestamp,
    /// The status that the receiver answered with.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
}

impl Store {
    /// The attempts of a delivery that are kept, first to last.
    pub async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT id, n, at, url, request, status, response, answer, error, blame, duration_ms, timings
                 FROM attempts WHERE delivery = ? ORDER BY n",
            )?;
            Ok(select.query_map([id], attempt)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// How the attempts for a target went since then, the newest first, at most `limit` of them.
    pub async fn attempt_samples(&self, target: Target, since: Timestamp, limit: u32) -> Result<Vec<Sample>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT at, status, duration_ms FROM attempts INDEXED BY attempts_by_target
                 WHERE target = ? AND at >= ? ORDER BY at DESC LIMIT ?",
            )?;
            let rows = select.query_map(params![target, since, limit], |row| {
                Ok(Sample { at: row.get(0)?, status: row.get(1)?, duration_ms: count(row.get(2)?) })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

pub(super) fn record(c: &Connection, delivery: DeliveryId, target: Target, attempt: &Attempt) -> Result<()> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO attempts
           (delivery, n, id, at, target, url, request, status, response, answer, error, blame, duration_ms, timings)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        delivery,
        attempt.n,
        attempt.id,
        attempt.at,
        target,
        attempt.url,
        attempt.request,
        attempt.status,
        attempt.response,
        &attempt.answer[..],
        attempt.error,
        attempt.blame,
        stored(attempt.duration_ms),
        attempt.timings
    ])?;
    if let Some(too_old) = attempt.n.checked_sub(KEPT_MAX).filter(|n| *n > 0) {
        c.prepare_cached("DELETE FROM attempts WHERE delivery = ? AND n <= ?")?.execute(params![delivery, too_old])?;
    }
    Ok(())
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let answer: Vec<u8> = row.get(7)?;
    Ok(Attempt {
        id: row.get(0)?,
        n: row.get(1)?,
        at: row.get(2)?,
        url: row.get(3)?,
        request: row.get(4)?,
        status: row.get(5)?,
        response: row.get(6)?,
        answer: answer.into(),
        error: row.get(8)?,
        blame: row.get(9)?,
        duration_ms: count(row.get(10)?),
        timings: row.get(11)?,
    })
}
