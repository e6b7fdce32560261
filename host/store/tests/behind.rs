//! Targets that are told of events later.

use super::*;
use crate::id::SubscriptionId;

const READER: &str = "dispatch";

fn subscription(n: u8) -> SubscriptionId {
    SubscriptionId::from_bytes([n; 16])
}

fn target(n: u8) -> Target {
    Target::Subscription(subscription(n))
}

fn whole(seq: u64) -> Place {
    Place { seq, subscription: None }
}

impl House {
    fn told(&self, n: u8, seq: u64) -> Told {
        let id = DeliveryId::at(seq);
        let delivery = NewDelivery { id, target: target(n), created_at: later(seq), ..self.delivery(HookId::at(1)) };
        Told { seq, workspace: self.workspace, execution: None, delivery, batch: None }
    }

    async fn dispatch(&self, place: Place, all: Vec<Told>) -> Vec<Target> {
        self.store.dispatch(READER, place, all).await.unwrap()
    }

    /// Writes some events and returns the place of the last one.
    async fn happen(&self) -> u64 {
        self.recorded(succeeded()).await;
        self.store.events_after(0, 1_000).await.unwrap().pop().unwrap().seq
    }

    async fn waiting(&self, n: u8) -> Vec<Timestamp> {
        let due = self.store.target_due(target(n), later(1_000), 100).await.unwrap();
        due.deliveries.iter().map(|delivery| delivery.created_at).collect()
    }

    /// A turn of a target that ends so.
    async fn turn_of(&self, n: u8, kind: &'static str, health: Health, now: Timestamp) -> Released {
        let job = self.claim(kind, now).await.pop().unwrap();
        assert_eq!(job.subject, target(n).to_bytes());
        self.store.target_release(job.lease, target(n), Some(health), now).await.unwrap()
    }
}

fn failed(failures: u32) -> Health {
    Health { failures, failing_since: Some(NOW), failed_at: Some(NOW), ..Health::default() }
}

fn well() -> Health {
    Health { proven_since: Some(NOW), ..Health::default() }
}

#[tokio::test]
async fn a_target_that_is_not_proven_has_one_delivery_and_a_place_in_the_log() {
    let house = house().await;
    let behind = house.dispatch(whole(3), vec![house.told(1, 1), house.told(1, 2), house.told(1, 3)]).await;
    assert_eq!(behind, [target(1)]);
    assert_eq!(house.waiting(1).await, [later(1)]);
    assert_eq!(house.store.behind(target(1)).await.unwrap(), Some(Behind { workspace: house.workspace, seq: 1 }));
    assert_eq!(house.store.behind_all().await.unwrap(), [target(1)]);
    // Whoever is well is told of everything at once.
    house.dispatch(whole(3), vec![house.told(2, 1)]).await;
    let jobs = house.claim(Standing::New.job(), NOW.after(Duration::from_secs(9))).await;
    for job in jobs {
        let of = Target::from_bytes(&job.subject).unwrap();
        let health = if of == target(2) { well() } else { failed(1) };
        house.store.target_release(job.lease, of, Some(health), later(9)).await.unwrap();
    }
    assert!(house.dispatch(whole(5), vec![house.told(2, 4), house.told(2, 5)]).await.is_empty());
    assert_eq!(house.waiting(2).await, [1, 4, 5].map(later));
}

#[tokio::test]
async fn a_turn_leaves_the_job_that_tells_of_more_when_that_is_of_use() {
    let house = house().await;
    house.dispatch(whole(2), vec![house.told(1, 1), house.told(1, 2)]).await;
    // Something is due to it: that is the next probe.
    let released = house.turn_of(1, Standing::New.job(), failed(1), later(1)).await;
    assert_eq!(released, Released { ready_at: Some(later(1)), is_behind: false });
    let held = Health { held_until: Some(later(50)), ..failed(5) };
    let job = house.claim(Standing::Suspect.job(), later(1)).await.pop().unwrap();
    let delivery = house.store.target_due(target(1), later(1), 1).await.unwrap().deliveries.remove(0);
    let attempt = super::deliveries::attempt(1, 500);
    house.store.delivery_step(job.lease, &delivery, attempt, Step::Again(later(300)), false).await.unwrap();
    let released = house.store.target_release(job.lease, target(1), Some(held), later(1)).await.unwrap();
    assert_eq!(released, Released { ready_at: Some(later(300)), is_behind: true });
    assert!(house.claim(CATCH_UP, later(49)).await.is_empty(), "it is left alone until then");
    let job = house.claim(CATCH_UP, later(50)).await.pop().unwrap();
    assert_eq!(catch_up_target(&job.subject), Some(target(1)));
}

#[tokio::test]
async fn a_target_is_told_of_one_event_or_of_all() {
    for (enough, told) in [(Some(NOW), 2), (Some(later(4)), 4), (None, 5)] {
        let house = house().await;
        house.dispatch(whole(5), vec![house.told(1, 1), house.told(1, 2)]).await;
        let job = house.claim(Standing::New.job(), later(1)).await.pop().unwrap();
        let delivery = house.store.target_due(target(1), later(1), 1).await.unwrap().deliveries.remove(0);
        let (attempt, end) = (super::deliveries::attempt(1, 200), Step::End(DeliveryStatus::Succeeded));
        house.store.delivery_step(job.lease, &delivery, attempt, end, false).await.unwrap();
        house.store.target_release(job.lease, target(1), None, later(1)).await.unwrap();
        let job = house.claim(CATCH_UP, later(9)).await.pop().unwrap();
        let all = (2..=5).map(|seq| house.told(1, seq)).collect();
        let step = CatchUp { target: target(1), all, seq: 5, enough, at: later(9) };
        assert_eq!(house.store.catch_up(job.lease, step).await.unwrap(), enough.is_some());
        assert_eq!(house.waiting(1).await, (2..=told).map(later).collect::<Vec<_>>());
        assert_eq!(house.store.behind(target(1)).await.unwrap().unwrap().seq, told);
        // The delivery's own job goes on where that one has ended.
        assert_eq!(house.claim(Standing::New.job(), later(9)).await.len(), 1);
        assert_eq!(house.store.job_done(job.lease).await.is_err(), enough.is_some());
    }
}

#[tokio::test]
async fn a_target_is_late_until_it_was_told_of_what_the_others_were() {
    let house = house().await;
    house.listen().await;
    let last = house.happen().await;
    house.dispatch(whole(1), vec![house.told(3, 1)]).await;
    assert_eq!(house.dispatch(whole(last - 1), vec![house.told(3, 2)]).await, [target(3)]);
    let job = house.claim(Standing::New.job(), later(9)).await.pop().unwrap();
    house.store.target_release(job.lease, target(3), Some(well()), later(9)).await.unwrap();
    let job = house.claim(CATCH_UP, later(9)).await.pop().unwrap();
    let catch_up = async |seq| {
        let step = CatchUp { target: target(3), all: Vec::new(), seq, enough: None, at: later(9) };
        house.store.catch_up(job.lease, step).await.unwrap();
        house.store.behind_end(job.lease, READER, subscription(3)).await.unwrap()
    };
    assert!(!catch_up(last - 2).await);
    // The last event was told to some, and this target was passed over meanwhile, or comes later.
    house.dispatch(Place { seq: last, subscription: Some(subscription(4)) }, Vec::new()).await;
    assert!(!catch_up(last - 1).await);
    house.dispatch(Place { seq: last, subscription: Some(subscription(2)) }, Vec::new()).await;
    assert!(catch_up(last - 1).await);
    assert_eq!(house.store.behind(target(3)).await.unwrap(), None);
    assert!(house.claim(CATCH_UP, later(99)).await.is_empty());
}

#[tokio::test]
async fn what_somebody_is_to_be_told_of_is_kept() {
    let house = house().await;
    house.listen().await;
    let last = house.happen().await;
    house.dispatch(whole(1), vec![house.told(1, 1)]).await;
    house.dispatch(Place { seq: last, subscription: Some(subscription(1)) }, vec![house.told(1, 2)]).await;
    let job = house.claim(Standing::New.job(), later(9)).await.pop().unwrap();
    house.store.target_release(job.lease, target(1), Some(well()), later(9)).await.unwrap();
    let job = house.claim(CATCH_UP, later(9)).await.pop().unwrap();
    let at = later(1_000);
    let retention =
        Retention { executions_before: at, keys_before: at, requests_before: at, events_before: at, now: at };
    let sweep = async || {
        let swept = house.store.sweep(retention).await.unwrap();
        (swept.events as u64, swept.executions)
    };
    assert_eq!(sweep().await, (1, 0), "only the first event is told to all");
    let step = CatchUp { target: target(1), all: Vec::new(), seq: last, enough: None, at };
    house.store.catch_up(job.lease, step).await.unwrap();
    assert_eq!(sweep().await, (last - 2, 0), "the last one is not told to all");
    house.dispatch(whole(last), Vec::new()).await;
    assert_eq!(sweep().await, (0, 1), "and stays, for its place");
    assert!(house.store.behind_end(job.lease, READER, subscription(1)).await.unwrap());
}
