//! Lanes: deliveries of one target that are sent strictly in order.
//!
//! The one whose turn it is has a `next_at`, and the others of the lane have none. So a lane can be of any length, and
//! finding what is due looks at its first delivery only.

use rusqlite::{Connection, params};

use super::{Result, Target};
use crate::clock::Timestamp;

/// Whether something is pending in the lane, so that one more has to wait.
pub(super) fn is_busy(c: &Connection, target: Target, lane: Option<&str>) -> Result<bool> {
    let Some(lane) = lane else { return Ok(false) };
    let mut select = c.prepare_cached(
        "SELECT 1 FROM deliveries INDEXED BY deliveries_in_lanes
         WHERE target = ? AND status = 'pending' AND lane = ? LIMIT 1",
    )?;
    Ok(select.exists(params![target, lane])?)
}

/// Gives the turn to the next in the lane. To be called when the one whose turn it was has ended.
pub(super) fn advance(c: &Connection, target: Target, lane: Option<String>, at: Timestamp) -> Result<()> {
    let Some(lane) = lane else { return Ok(()) };
    c.prepare_cached(
        "UPDATE deliveries SET next_at = ?1 WHERE seq =
           (SELECT seq FROM deliveries INDEXED BY deliveries_in_lanes
            WHERE target = ?2 AND status = 'pending' AND lane = ?3 ORDER BY seq LIMIT 1)",
    )?
    .execute(params![at, target, lane])?;
    Ok(())
}
