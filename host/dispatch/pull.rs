//! The same events for those who come and ask: a receiver behind a firewall reads them as its subscription would be told of
//! them, does its work, and commits how far it has come.
//!
//! A read moves nothing, so whoever dies between a read and a commit reads the same again: each event at least once, under
//! the same id.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::id::{EventId, WorkspaceId};
use crate::store::{self, Consumer, Forgotten};
use crate::subscription::Subscription;

use super::{BYTES_MAX, Dispatch, message};

/// Consumers of one subscription.
const CONSUMERS_MAX: u32 = 100;

/// Events that one read looks at, and those that are read from the log at one time.
const LOOKS_MAX: u32 = 4_096;
const LOOKS_AT_ONCE: u32 = 256;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The subscription has no such consumer.
    #[error("the subscription has no consumer `{0}`; one is made when it reads first")]
    UnknownConsumer(String),
    /// It has as many as it may have.
    #[error("a subscription has at most {CONSUMERS_MAX} consumers; remove one")]
    Full,
    /// The cursor was not given out for this log.
    #[error("the cursor is not one of these events; send the `cursor` of an answer as it is")]
    BadCursor,
    /// The store fails.
    #[error("the store fails")]
    Store(#[from] store::Error),
}

/// Where a consumer begins that reads for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beginning {
    /// After what has happened until now.
    #[default]
    Now,
    /// With the oldest event that is kept.
    Oldest,
    /// With the first event at this moment or later.
    Time(Timestamp),
}

/// How far a consumer has come. Its text is opaque, and good for the events of one workspace only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    fn new(workspace: WorkspaceId, seq: u64) -> Self {
        Self(hex::encode([&seq.to_be_bytes()[..], &proof(workspace, seq)].concat()))
    }

    /// The place that a text names; none when it was not given out for this workspace.
    fn read(workspace: WorkspaceId, text: &str) -> Option<u64> {
        let bytes = hex::decode(text).ok()?;
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let seq = u64::from_be_bytes(*seq);
        (rest == proof(workspace, seq)).then_some(seq)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ties a place to its log. It keeps slips out and protects nothing: a cursor moves only the reader's own place.
fn proof(workspace: WorkspaceId, seq: u64) -> [u8; 8] {
    let hash = Sha256::digest([workspace.as_bytes(), &seq.to_be_bytes()[..]].concat());
    hash.first_chunk().copied().expect("a hash has more than eight bytes")
}

/// Some events, as a subscription would be told of them.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// In the order in which they became true.
    pub events: Vec<PulledEvent>,
    /// What to commit when all of them are done with. It goes on even where none of the events that were looked at is for
    /// the subscription.
    pub cursor: Cursor,
    /// Whether more has happened.
    pub has_more: bool,
    /// Events up to this moment were too old to be kept before the consumer has come to them.
    pub gap_until: Option<Timestamp>,
}

/// One event.
#[derive(Debug, Clone)]
pub struct PulledEvent {
    /// Its id, the same at every read.
    pub id: EventId,
    /// The name under which it is told.
    pub name: String,
    /// When it happened.
    pub at: Timestamp,
    /// What to commit when it is done with.
    pub cursor: Cursor,
    /// The payload, as it would be sent.
    pub payload: Bytes,
}

/// Where a consumer is.
#[derive(Debug, Clone)]
pub struct Stand {
    /// Who.
    pub consumer: Consumer,
    /// How far it has come.
    pub cursor: Cursor,
    /// As in [`Pulled`].
    pub gap_until: Option<Timestamp>,
}

impl Dispatch {
    /// The next events of a consumer, at most `limit`; a new one begins at `from`, unless it may not `begin`.
    pub async fn pull(
        &self,
        subscription: &Subscription,
        consumer: &str,
        limit: usize,
        from: Beginning,
        begin: bool,
    ) -> Result<Pulled, Error> {
        let (store, workspace) = (&self.0.parts.store, subscription.workspace);
        let found = match store.consumer_find(subscription.id, consumer).await? {
            None if begin => self.begin(subscription, consumer, from).await?,
            None => return Err(Error::UnknownConsumer(consumer.to_string())),
            Some(found) => found,
        };
        let last = *store.events_seen().borrow();
        let forgotten = store.forgotten(workspace).await?;
        let (mut seq, mut looks, mut bytes) = (found.seq.max(forgotten.seq), 0, 0);
        let (mut events, mut known) = (Vec::new(), HashMap::new());
        let is_full = |events: &Vec<_>, bytes| events.len() >= limit || bytes >= BYTES_MAX;
        while !is_full(&events, bytes) && looks < LOOKS_MAX {
            let rows = store.events_of(workspace, seq, last, LOOKS_AT_ONCE).await?;
            if rows.is_empty() {
                seq = seq.max(last);
                break;
            }
            for row in &rows {
                if is_full(&events, bytes) {
                    break;
                }
                (seq, looks) = (row.seq, looks + 1);
                let Some(event) = self.event(row, &mut known).await? else { continue };
                let Some(message) = message(subscription, &event) else { continue };
                bytes += message.body.len();
                events.push(PulledEvent {
                    id: event.id,
                    name: message.name,
                    at: event.at,
                    cursor: Cursor::new(workspace, seq),
                    payload: message.body,
                });
            }
        }
        let cursor = Cursor::new(workspace, seq);
        Ok(Pulled { events, cursor, has_more: seq < last, gap_until: gap(&found, forgotten) })
    }

    async fn begin(&self, subscription: &Subscription, consumer: &str, from: Beginning) -> Result<Consumer, Error> {
        let (store, workspace) = (&self.0.parts.store, subscription.workspace);
        let forgotten = store.forgotten(workspace).await?;
        let seq = match from {
            Beginning::Now => *store.events_seen().borrow(),
            Beginning::Oldest => forgotten.seq,
            Beginning::Time(at) if forgotten.at < at => store.event_before(workspace, at).await?.max(forgotten.seq),
            Beginning::Time(_) => 0,
        };
        let now = self.0.parts.clock.now();
        let new = Consumer { name: consumer.to_string(), seq, created_at: now, committed_at: None };
        store.consumer_create(subscription.id, new, CONSUMERS_MAX).await?.ok_or(Error::Full)
    }

    /// A consumer has done with the events up to `cursor`. It never goes back: an older one changes nothing.
    pub async fn commit(&self, subscription: &Subscription, consumer: &str, cursor: &str) -> Result<Stand, Error> {
        let (store, workspace) = (&self.0.parts.store, subscription.workspace);
        let last = *store.events_seen().borrow();
        let seq = Cursor::read(workspace, cursor).filter(|seq| *seq <= last).ok_or(Error::BadCursor)?;
        let moved = store.consumer_commit(subscription.id, consumer, seq, self.0.parts.clock.now()).await?;
        let moved = moved.ok_or_else(|| Error::UnknownConsumer(consumer.to_string()))?;
        Ok(stand(workspace, moved, store.forgotten(workspace).await?))
    }

    /// A subscription's consumers, by name.
    pub async fn consumers(&self, subscription: &Subscription) -> Result<Vec<Stand>, Error> {
        let (store, workspace) = (&self.0.parts.store, subscription.workspace);
        let forgotten = store.forgotten(workspace).await?;
        let all = store.consumers(subscription.id).await?;
        Ok(all.into_iter().map(|one| stand(workspace, one, forgotten)).collect())
    }

    /// Forgets a consumer. Whoever reads under its name begins anew.
    pub async fn forget_consumer(&self, subscription: &Subscription, consumer: &str) -> Result<(), Error> {
        let found = self.0.parts.store.consumer_delete(subscription.id, consumer).await?;
        if found { Ok(()) } else { Err(Error::UnknownConsumer(consumer.to_owned())) }
    }
}

fn stand(workspace: WorkspaceId, consumer: Consumer, forgotten: Forgotten) -> Stand {
    Stand { cursor: Cursor::new(workspace, consumer.seq), gap_until: gap(&consumer, forgotten), consumer }
}

fn gap(consumer: &Consumer, forgotten: Forgotten) -> Option<Timestamp> {
    (consumer.seq < forgotten.seq).then_some(forgotten.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_log_only() {
        let (mine, other) = (WorkspaceId::at(1), WorkspaceId::at(2));
        let text = Cursor::new(mine, 77).to_string();
        assert_eq!(Cursor::read(mine, &text), Some(77));
        assert_eq!(Cursor::read(other, &text), None);
        for slip in ["", "77", "zz", &text[1..], &text.replacen('0', "1", 1), &format!("{text}00")] {
            assert_eq!(Cursor::read(mine, slip), None, "{slip}");
        }
    }
}
