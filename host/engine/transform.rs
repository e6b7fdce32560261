//! One delivery reshaped: a fresh instance of a transform, called once, within its budgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bindings::transform_v0_1::{self, Event};
use crate::capability;
use crate::clock::{Clock, Timestamp};

use super::load::{Loaded, Program};
use super::meter::Meter;
use super::{Engine, Run, Stop, reply};

pub use crate::bindings::transform_v0_1::{Made, Message};

/// What a run of a transform is given.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// What is about to be delivered.
    pub event: Event<'a>,
    /// The configuration of the transform's flow.
    pub config: Arc<BTreeMap<String, String>>,
    /// Decides when the deadline has come, and tells the time of log lines.
    pub clock: Clock,
    /// When it is stopped.
    pub deadline: Timestamp,
    /// Milliseconds that it may really run.
    pub cpu_ms_max: u64,
    /// Bytes of all memories and tables together, if the engine does not allow fewer.
    pub memory_bytes_max: usize,
    /// Bytes of what it makes.
    pub message_bytes_max: usize,
}

impl Engine {
    /// Runs a transform once. Never waits for a slot: a full pool answers [`Stop::Busy`] at once. Cancel safe.
    pub async fn transform(&self, loaded: &Loaded, given: Given<'_>) -> Run<Result<Made, Stop>> {
        let Ok(_slot) = self.0.slots.try_acquire() else { return Run::without(Err(Stop::Busy)) };
        let Program::Transform(transform) = &loaded.program else {
            return Run::without(Err(Stop::OverLimit("the component handles triggers and is no transform".to_owned())));
        };
        let Given { event, config, clock, deadline, .. } = given;
        let lent = capability::Given {
            clock: clock.clone(),
            flow: None,
            caller: None,
            config,
            grants: Arc::default(),
            account: None,
            secrets: capability::Secrets::default(),
            session: None,
            output: mpsc::channel(1).0,
            memory_bytes_max: given.memory_bytes_max.min(self.0.options.memory_bytes_max),
            memory_stock: self.0.memory.clone(),
        };
        let meter = Arc::new(Meter::new(Duration::from_millis(given.cpu_ms_max), None));
        let mut guest = self.guest(loaded.kind(), lent, meter.clone());
        let work = meter.measure(async {
            let transform = transform.instantiate_async(&mut guest.store).await?;
            let made = transform_v0_1::transform(&transform, &mut guest.store, event).await??;
            weigh(&made, given.message_bytes_max).map(|()| made)
        });
        let end = tokio::select! {
            biased;
            end = work => end,
            () = clock.sleep_until(deadline) => Err(Stop::Deadline),
        };
        guest.report(end)
    }
}

fn weigh(made: &Made, bytes_max: usize) -> Result<(), Stop> {
    let (what, bytes) = match made {
        Ok(None) => return Ok(()),
        Ok(Some(message)) => {
            let headers = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            ("message", message.body.len() + message.content_type.len() + headers)
        }
        Err(words) => ("error", words.len()),
    };
    reply::weigh(what, bytes, bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{House, component, digest};
    use crate::engine::{Compiler, Kind};

    const TRANSFORM: &str = "package a:b; world w { include flowgate:transform/transform@0.1.0; }";

    async fn run(wit: &str) -> Run<Result<Made, Stop>> {
        let (house, clock) = (House::new(), Clock::system());
        std::fs::write(house.component(), component(wit)).unwrap();
        let engine = house.engine(Compiler::InProcess, 1);
        let loaded = engine.load(digest(), &house.component()).await.unwrap();
        let event = Event { id: "dlv", kind: "execution.succeeded", at_ms: 1, subscription: "sub", payload: "{}" };
        let given = Given {
            event,
            config: Arc::default(),
            deadline: clock.now().after(Duration::from_secs(60)),
            clock,
            cpu_ms_max: 1_000,
            memory_bytes_max: usize::MAX,
            message_bytes_max: 100,
        };
        let run = engine.transform(&loaded, given).await;
        assert_eq!(engine.free_slots(), 2);
        run
    }

    #[tokio::test]
    async fn a_trap_ends_the_run_and_gives_its_slot_back() {
        let ended = run(TRANSFORM).await;
        assert!(matches!(&ended.end, Err(Stop::Trap(words)) if words.contains("unreachable")), "{ended:?}");
        assert!(ended.usage.cpu_us > 0);
    }

    #[tokio::test]
    async fn what_handles_triggers_is_not_called() {
        let ended = run("package a:b; world w { include flowgate:flow/flow@0.1.0; }").await;
        assert!(matches!(&ended.end, Err(Stop::OverLimit(words)) if words.contains("no transform")), "{ended:?}");
        assert!(Kind::ALL.iter().filter(|kind| kind.is_transform()).count() == 1);
    }

    #[test]
    fn every_part_of_a_message_counts() {
        let headers = vec![("a".to_owned(), "b".to_owned())];
        let message = Message { body: "123".into(), content_type: "c".to_owned(), headers };
        assert_eq!(weigh(&Ok(Some(message.clone())), 6), Ok(()));
        assert!(weigh(&Ok(Some(message)), 5).is_err());
        assert!(weigh(&Err("123456".to_owned()), 5).is_err());
    }
}
