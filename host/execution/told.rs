//! Who is told of an execution: of its end, and in some dialects of each thing that it says, as soon as it says it.
//!
//! A callback of something said is durable before the next output is heard, and then it is on its way, whatever comes of the
//! attempt. The end of the attempt writes all of them again, which changes nothing where they are written already.

use sha2::{Digest as _, Sha256};

use super::attempt::Attempt;
use super::{Done, Executions};
use crate::clock::Timestamp;
use crate::dialect::{Callback, View};
use crate::hook::Hook;
use crate::id::DeliveryId;
use crate::store::{NewDelivery, OutputRow, Target};
use crate::trigger::Output;

/// The callbacks of one attempt, in the order in which they are to arrive.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) deliveries: Vec<NewDelivery>,
    /// How many of them are with the store.
    written: usize,
    /// The time in the last one's id. Ids are in the order of the callbacks, which is the order in which they are sent.
    last_ms: u64,
    /// Set when the store did not take one: those after it wait for the end, so that they do not overtake it.
    stuck: bool,
}

impl Told {
    /// Callbacks that are with the store, or soon will be.
    pub(super) fn of(deliveries: Vec<NewDelivery>) -> Self {
        let last = deliveries.last().map_or(0, |last| last.created_at.unix_ms_unsigned());
        Self { written: deliveries.len(), last_ms: last + deliveries.len() as u64, deliveries, stuck: false }
    }

    /// Adds the callback of an output, where the dialect has one. To be written by [`Executions::tell`].
    pub(super) fn hear(&mut self, attempt: &Attempt, row: &OutputRow, output: &Output) {
        let Some((hook, _)) = attempt.receiver() else { return };
        let view = View { output: Some(output), ..attempt.view(hook, "running") };
        if let Some(told) = hook.spec.dialect.said(&view) {
            let said = digest(attempt, row.n, &told);
            self.add(attempt, told, row.at, Some(said));
        }
    }

    /// Adds the callback of the end, where there is one.
    pub(super) fn end(&mut self, attempt: &Attempt, done: &Done) {
        let Some((hook, _)) = attempt.receiver() else { return };
        let finished_at = done.at.to_string();
        let view = View {
            reason: done.reason.as_deref(),
            finished_at: Some(&finished_at),
            reply: done.reply(),
            failure: done.failure(),
            ..attempt.view(hook, done.status.as_str())
        };
        if let Some(told) = hook.spec.dialect.callback(&view) {
            self.add(attempt, told, done.at, None);
        }
    }

    fn add(&mut self, attempt: &Attempt, told: Callback, at: Timestamp, said: Option<[u8; 32]>) {
        let Some((hook, url)) = attempt.receiver() else { return };
        self.last_ms = at.unix_ms_unsigned().max(self.last_ms + 1);
        self.deliveries.push(NewDelivery {
            id: DeliveryId::at(self.last_ms),
            target: Target::Hook(hook.id),
            lane: Some(attempt.id.to_string()),
            created_at: at,
            url: url.to_string(),
            event: told.event,
            body: told.body,
            said,
            confidential: attempt.trigger.confidential,
        });
    }
}

impl Executions {
    /// Makes what was heard durable, and lets it be sent. Cancel safe: what is not written now is written at the end.
    pub(super) async fn tell(&self, attempt: &Attempt, told: &mut Told, outputs: Vec<OutputRow>) {
        let new = told.deliveries[told.written..].to_vec();
        if new.is_empty() || told.stuck {
            return;
        }
        told.stuck = true;
        let outputs = if attempt.trigger.confidential { Vec::new() } else { outputs };
        let (workspace, count, target) = (attempt.target.workspace, new.len(), new[0].target);
        match self.0.parts.store.output_deliver(workspace, attempt.id, attempt.n, outputs, new).await {
            Ok(true) => {
                told.written += count;
                told.stuck = false;
                self.0.parts.deliveries.wake([target]);
            }
            Ok(false) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(execution = %attempt.id, error, "what the flow said is sent when it has ended");
            }
        }
    }
}

impl Attempt {
    /// The hook and its receiver, if it has one.
    fn receiver(&self) -> Option<(&Hook, &url::Url)> {
        let hook = self.hook.as_deref()?;
        Some((hook, &hook.spec.callback.as_ref()?.url))
    }

    fn view<'a>(&'a self, hook: &Hook, status: &'a str) -> View<'a> {
        View {
            hook: Some(hook.id),
            session_id: self.trigger.session_id.as_deref(),
            user_id: self.trigger.user_id.as_deref(),
            confidential: self.trigger.confidential,
            ..View::new(self.id, &self.target.name, status)
        }
    }
}

/// The same in another attempt that says the same in the same place.
fn digest(attempt: &Attempt, n: u32, told: &Callback) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(attempt.id.as_bytes());
    hash.update(n.to_le_bytes());
    hash.update(&told.body);
    hash.finalize().into()
}
