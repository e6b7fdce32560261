//! The service level: how long a ticket of each priority may take.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{Input, Priority};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Service {
    due_at: Timestamp,
    pub(crate) breached: bool,
    /// Negative when it is late.
    minutes_left: i64,
}

/// Where the ticket stood when its status changed.
pub(crate) fn service(input: &Input) -> Service {
    let due_at = input.ticket.created_at.saturating_add(allowed(input.ticket.priority)).unwrap_or(Timestamp::MAX);
    let left = due_at.duration_since(input.changed_at);
    Service { due_at, breached: left.is_negative(), minutes_left: left.as_mins() }
}

fn allowed(priority: Priority) -> SignedDuration {
    SignedDuration::from_hours(match priority {
        Priority::Urgent => 4,
        Priority::High => 24,
        Priority::Normal => 72,
        Priority::Low => 7 * 24,
    })
}
