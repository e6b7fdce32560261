//! Those who are told later: targets that are not proven get what they were not told yet from the log, one event at a time
//! as long as they fail, and all of it once they are well.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::id::SubscriptionId;
use crate::store::{self, CatchUp, Job, Standing, Target, catch_up_target};
use crate::subscription::Subscription;

use super::{Dispatch, Part, READER};

/// Targets that catch up at one time.
pub(super) const AT_ONCE: usize = 8;

/// Events that are read for one of them at one time.
const EVENTS_AT_ONCE: u32 = 64;

type Result<T> = std::result::Result<T, store::Error>;

impl Dispatch {
    /// Tells a target of what comes next, until that is enough for now.
    pub(super) async fn catch_up(&self, job: Job) -> Result<()> {
        let parts = &self.0.parts;
        let Some(Target::Subscription(id)) = catch_up_target(&job.subject) else {
            return Err(store::Error::Corrupt("job"));
        };
        let target = Target::Subscription(id);
        loop {
            let (found, behind) = (self.subscription(id).await?, parts.store.behind(target).await?);
            let (Some(subscription), Some(behind)) = (found, behind) else {
                return parts.store.behind_drop(job.lease, target).await;
            };
            let until = parts.store.place(READER).await?.told_to(id);
            let rows = parts.store.events_of(behind.workspace, behind.seq, until, EVENTS_AT_ONCE).await?;
            if rows.is_empty() {
                if self.end(&job, id).await? {
                    return Ok(());
                }
                continue;
            }
            let (mut seq, mut part, mut known) = (behind.seq, Part::default(), HashMap::new());
            for row in rows {
                seq = row.seq;
                // Whoever is disabled misses what happens from then on.
                let misses = !subscription.enabled && row.at > subscription.updated_at;
                if !misses && let Some(event) = self.event(&row, &mut known).await? {
                    self.told(&subscription, &row, &event).into_iter().for_each(|told| part.push(told));
                }
                if part.is_full() {
                    break;
                }
            }
            let (at, enough) = (parts.clock.now(), self.enough(target, &subscription).await?);
            let enough = parts.store.catch_up(job.lease, CatchUp { target, all: part.all, seq, enough, at }).await?;
            parts.queue.wake(store::BATCH);
            parts.deliveries.wake([target]);
            if enough {
                return Ok(());
            }
        }
    }

    /// From when on a single event is enough; none when the target gets all of them.
    async fn enough(&self, target: Target, subscription: &Subscription) -> Result<Option<Timestamp>> {
        let health = self.0.parts.store.target_health(target).await?;
        if health.standing() == Standing::Proven || !subscription.enabled {
            return Ok(None);
        }
        // What has waited for longer than it may is given up, as a delivery that can be sent again.
        let given_up = self.0.parts.deliveries.given_up_before(subscription, &health);
        Ok(Some(given_up.unwrap_or(Timestamp::from_unix_ms(0))))
    }

    /// Ends a target's being late. False when there is more to tell.
    async fn end(&self, job: &Job, id: SubscriptionId) -> Result<bool> {
        // Held until the end is on record, since whoever tells passes over those who are late.
        let mut all = self.0.behind.lock().await;
        let ended = self.0.parts.store.behind_end(job.lease, READER, id).await?;
        if let (true, Some(all)) = (ended, &mut *all) {
            all.remove(&Target::Subscription(id));
        }
        Ok(ended)
    }
}
