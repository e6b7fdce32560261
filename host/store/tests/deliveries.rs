//! Deliveries, lanes, targets, dead letters.

use super::*;
use crate::id::{AttemptId, SubscriptionId};

const TARGET: Target = Target::Hook(HookId::from_bytes([7; 16]));

pub(super) fn attempt(n: u32, status: u16) -> Attempt {
    Attempt {
        id: AttemptId::from_bytes([5; 16]),
        n,
        at: later(n.into()),
        url: "https://example.com/new".into(),
        request: "[]".into(),
        status: Some(status),
        response: None,
        answer: Bytes::from_static(b"\xff"),
        error: (status != 200).then(|| format!("answered {status}")),
        blame: (status != 200).then_some(Blame::Receiver),
        duration_ms: 3,
        timings: None,
    }
}

impl House {
    /// Adds a delivery for [`TARGET`]; ids are in the order of `n`.
    async fn add(&self, n: u64, lane: Option<&str>) -> DeliveryId {
        let new = NewDelivery {
            id: DeliveryId::at(n),
            target: TARGET,
            lane: lane.map(str::to_owned),
            created_at: NOW,
            ..self.delivery(HookId::at(1))
        };
        let id = new.id;
        self.store.delivery_create(self.workspace, new).await.unwrap();
        id
    }

    /// The lease of [`TARGET`]'s job.
    async fn turn(&self, standing: Standing, now: Timestamp) -> Lease {
        let jobs = self.claim(standing.job(), now).await;
        assert_eq!(jobs.len(), 1, "one job a target");
        assert_eq!(jobs[0].subject, TARGET.to_bytes());
        jobs[0].lease
    }

    async fn due(&self, now: Timestamp) -> Vec<DeliveryId> {
        let due = self.store.target_due(TARGET, now, 100).await.unwrap();
        due.deliveries.iter().map(|delivery| delivery.id).collect()
    }

    async fn step(&self, lease: Lease, id: DeliveryId, attempt: Attempt, step: Step) {
        self.store.delivery_step(lease, &self.found(id).await, attempt, step, false).await.unwrap();
    }

    async fn end(&self, lease: Lease, id: DeliveryId, status: DeliveryStatus) {
        self.step(lease, id, attempt(1, 500), Step::End(status)).await;
    }

    async fn found(&self, id: DeliveryId) -> Delivery {
        self.store.delivery_find(self.workspace, id).await.unwrap().unwrap()
    }
}

#[test]
fn a_target_can_be_read_back_from_bytes_and_text() {
    for target in [TARGET, Target::Subscription(SubscriptionId::at(5))] {
        assert_eq!(Target::from_bytes(&target.to_bytes()), Some(target));
        assert_eq!(target.to_string().parse(), Ok(target));
        let recovery = Recovery { target, since: NOW, until: later(5) };
        assert_eq!(Recovery::from_bytes(&recovery.to_bytes()), Some(recovery));
    }
    assert_eq!(Target::from_bytes(b"x0123456789abcdef"), None);
    assert_eq!(Recovery::from_bytes(&TARGET.to_bytes()), None);
}

#[tokio::test]
async fn a_delivery_is_made_with_its_outcome_and_tried_until_it_ends() {
    let house = house().await;
    let hook = house.hook("orders").await.id;
    let (execution, id) = house.finished(hook).await;
    let job = house.claim(Standing::New.job(), NOW).await.pop().unwrap();
    let target = Target::Hook(hook);
    assert_eq!(job.subject, target.to_bytes());
    let due = house.store.target_due(target, NOW, 9).await.unwrap().deliveries.remove(0);
    assert_eq!((due.id, due.execution, due.attempts), (id, Some(execution), 0));

    house.step(job.lease, id, attempt(1, 500), Step::Again(later(10))).await;
    let due = house.store.target_due(target, later(9), 9).await.unwrap();
    assert_eq!((due.deliveries.len(), due.next_at), (0, Some(later(10))));
    assert_eq!(house.found(id).await.error.as_deref(), Some("answered 500"));
    house.step(job.lease, id, attempt(2, 200), Step::End(DeliveryStatus::Succeeded)).await;
    let delivery = house.found(id).await;
    assert_eq!((delivery.status, delivery.attempts, delivery.error), (DeliveryStatus::Succeeded, 2, None));
    assert_eq!(delivery.url, "https://example.com/new");
    let attempts = house.store.attempts(id).await.unwrap();
    assert_eq!(attempts, [attempt(1, 500), attempt(2, 200)]);
}

#[tokio::test]
async fn a_target_has_one_job_whatever_waits_for_it() {
    let house = house().await;
    for n in 1..=3 {
        house.add(n, None).await;
    }
    let lease = house.turn(Standing::New, NOW).await;
    assert_eq!(house.due(NOW).await.len(), 3);
    // Added while somebody has the turn: the job is not given to another, and the release does not overlook it.
    house.add(4, None).await;
    assert!(house.claim(Standing::New.job(), NOW).await.is_empty());
    for id in house.due(NOW).await {
        house.step(lease, id, attempt(1, 500), Step::Again(later(60))).await;
    }
    house.add(5, None).await;
    assert_eq!(house.store.target_release(lease, TARGET, None, NOW).await.unwrap().ready_at, Some(NOW));
    let lease = house.turn(Standing::New, NOW).await;
    house.end(lease, house.due(NOW).await[0], DeliveryStatus::Succeeded).await;
    assert_eq!(house.store.target_release(lease, TARGET, None, NOW).await.unwrap().ready_at, Some(later(60)));
    // What comes now is not to wait for the others.
    house.add(6, None).await;
    house.turn(Standing::New, NOW).await;
}

#[tokio::test]
async fn a_release_leaves_the_job_to_those_who_serve_such_targets() {
    let house = house().await;
    let id = house.add(1, None).await;
    let lease = house.turn(Standing::New, NOW).await;
    let health = Health { failures: 1, failed_at: Some(NOW), held_until: Some(later(30)), ..Health::default() };
    house.step(lease, id, attempt(1, 500), Step::Again(later(5))).await;
    assert_eq!(house.store.target_release(lease, TARGET, Some(health), NOW).await.unwrap().ready_at, Some(later(30)));
    assert_eq!(house.store.target_health(TARGET).await.unwrap(), health);
    // A held target is held for new deliveries too.
    house.add(2, None).await;
    assert!(house.claim(Standing::Suspect.job(), later(29)).await.is_empty());

    let lease = house.turn(Standing::Suspect, later(30)).await;
    let health = Health { proven_since: Some(later(31)), ..Health::default() };
    let released = house.store.target_release(lease, TARGET, Some(health), later(33)).await.unwrap().ready_at;
    assert_eq!(released, Some(later(33)), "not before the pace allows it");
    let lease = house.turn(Standing::Proven, later(33)).await;
    for id in house.due(later(33)).await {
        house.end(lease, id, DeliveryStatus::Succeeded).await;
    }
    assert_eq!(house.store.target_release(lease, TARGET, None, NOW).await.unwrap().ready_at, None);
    house.add(3, None).await;
    house.turn(Standing::Proven, later(40)).await;
}

#[tokio::test]
async fn whoever_lost_the_turn_records_nothing() {
    let house = house().await;
    let id = house.add(1, None).await;
    let lost = house.turn(Standing::New, NOW).await;
    let held = house.claim_for(8, Standing::New.job(), later(61)).await[0].lease;
    let end = Step::End(DeliveryStatus::Succeeded);
    let store = &house.store;
    let step = store.delivery_step(lost, &house.found(id).await, attempt(1, 200), end, false).await;
    assert!(matches!(step, Err(Error::LeaseLost)));
    let health = Some(Health { failures: 9, ..Health::default() });
    assert!(matches!(store.target_release(lost, TARGET, health, NOW).await, Err(Error::LeaseLost)));
    assert_eq!(store.target_health(TARGET).await.unwrap(), Health::default());
    assert_eq!(house.found(id).await.status, DeliveryStatus::Pending);
    house.step(held, id, attempt(1, 200), end).await;
}

#[tokio::test]
async fn a_lane_is_sent_in_order_and_others_beside_it() {
    let house = house().await;
    let (a1, a2) = (house.add(1, Some("a")).await, house.add(2, Some("a")).await);
    let (b1, free) = (house.add(3, Some("b")).await, house.add(4, None).await);
    let a3 = house.add(5, Some("a")).await;
    assert_eq!(house.due(NOW).await, [a1, b1, free]);
    let lease = house.turn(Standing::New, NOW).await;

    house.step(lease, a1, attempt(1, 500), Step::Again(later(60))).await;
    assert_eq!(house.due(later(59)).await, [b1, free], "the lane waits while its first fails");
    house.end(lease, a1, DeliveryStatus::Exhausted).await;
    assert_eq!(house.due(later(59)).await, [b1, free, a2]);
    assert!(house.found(a3).await.next_at.is_none());

    // Sent again by hand, it does not overtake what is under way.
    house.store.delivery_again(house.workspace, a1, later(70)).await.unwrap();
    house.store.delivery_again(house.workspace, a2, later(70)).await.unwrap();
    house.store.delivery_again(house.workspace, a3, later(70)).await.unwrap();
    assert_eq!(house.due(later(70)).await, [b1, free, a2]);
    house.end(lease, a2, DeliveryStatus::Succeeded).await;
    assert_eq!(house.due(later(70)).await, [b1, free, a1]);
    house.store.delivery_discard(house.workspace, a1, later(70)).await.unwrap();
    assert_eq!(house.due(later(70)).await, [b1, free, a3]);
}

#[tokio::test]
async fn what_an_execution_says_is_delivered_once_however_often_it_is_written() {
    let house = house().await;
    let hook = house.hook("chatty").await.id;
    let id = house.accepted().await;
    let job = house.claim(RUN, NOW).await.pop().unwrap();
    house.store.execution_begin(job.lease, id, NOW).await.unwrap().unwrap();
    let said = |n: u64| NewDelivery { id: DeliveryId::at(n), said: Some([n as u8; 32]), ..house.delivery(hook) };
    let row = OutputRow { attempt: 1, n: 1, at: NOW, data: "{}".into() };
    let tell = |attempt, one| house.store.output_deliver(house.workspace, id, attempt, vec![row.clone()], vec![one]);
    assert!(tell(1, said(1)).await.unwrap());
    let new = Standing::New.job();
    let target = Target::Hook(hook);
    let due = || async { house.store.target_due(target, NOW, 9).await.unwrap().deliveries.len() };
    assert_eq!((house.claim(new, NOW).await.len(), due().await), (1, 1), "it is sent while the execution runs");
    assert!(!tell(2, said(2)).await.unwrap(), "another attempt runs");
    assert!(tell(1, said(1)).await.unwrap());
    let finish = Finish { deliveries: vec![said(1), said(2), house.delivery(hook)], ..succeeded() };
    let finish = Finish { outputs: vec![row.clone()], ..finish };
    house.store.execution_finish(house.workspace, id, job.lease, finish).await.unwrap();
    assert_eq!(due().await, 3);
    assert!(!tell(1, said(3)).await.unwrap(), "it has ended");
}

#[tokio::test]
async fn a_removed_hook_sends_nothing_more() {
    let house = house().await;
    let hook = house.hook("orders").await.id;
    let (_, id) = house.finished(hook).await;
    assert!(house.store.hook_delete(house.workspace, hook, NOW).await.unwrap());
    let delivery = house.found(id).await;
    assert_eq!((delivery.status, delivery.body.len()), (DeliveryStatus::Abandoned, 0));
    let job = house.claim(Standing::New.job(), NOW).await.pop().unwrap();
    assert_eq!(house.store.target_release(job.lease, Target::Hook(hook), None, NOW).await.unwrap().ready_at, None);
    assert_eq!(house.store.job_next(Standing::New.job()).await.unwrap(), None);
}

#[tokio::test]
async fn what_waits_is_given_up_in_steps_that_leave_every_lane_a_beginning() {
    let house = house().await;
    let first = house.add(1, Some("a")).await;
    for n in 2..=600 {
        house.add(n, Some("a")).await;
    }
    let lease = house.turn(Standing::New, NOW).await;
    let (status, error) = (DeliveryStatus::Abandoned, "gone".to_owned());
    let give_up = GiveUp { status, error, at: later(1), began_before: None, forget: false };
    assert_eq!(house.store.target_give_up(lease, TARGET, give_up.clone()).await.unwrap(), 500);
    assert_eq!(house.due(NOW).await, [first]);
    assert_eq!(house.store.target_give_up(lease, TARGET, give_up.clone()).await.unwrap(), 100);
    assert_eq!(house.store.target_give_up(lease, TARGET, give_up).await.unwrap(), 0);
    assert_eq!(house.store.target_release(lease, TARGET, None, NOW).await.unwrap().ready_at, None);
}

#[tokio::test]
async fn what_has_waited_too_long_is_given_up_and_the_rest_is_not() {
    let house = house().await;
    let (a1, a2, b1) = (house.add(1, Some("a")).await, house.add(2, Some("a")).await, house.add(3, None).await);
    house.store.delivery_again(house.workspace, b1, later(100)).await.unwrap();
    let lease = house.turn(Standing::New, later(200)).await;
    let (status, error) = (DeliveryStatus::Exhausted, "too late".to_owned());
    let give_up = GiveUp { status, error, at: later(200), began_before: Some(later(50)), forget: true };
    let mut steps = Vec::new();
    while steps.last() != Some(&0) {
        steps.push(house.store.target_give_up(lease, TARGET, give_up.clone()).await.unwrap());
    }
    assert_eq!(steps, [1, 1, 0], "the lane moves on");
    for (id, status) in [(a1, status), (a2, status), (b1, DeliveryStatus::Pending)] {
        assert_eq!(house.found(id).await.status, status);
    }
    assert_eq!(house.found(a1).await.error.as_deref(), Some("too late"));
}

#[tokio::test]
async fn dead_letters_are_sent_again_in_their_order_and_only_once() {
    let house = house().await;
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(house.add(n, Some("a")).await);
    }
    let lease = house.turn(Standing::New, NOW).await;
    for (id, status) in ids.iter().zip([
        DeliveryStatus::Exhausted,
        DeliveryStatus::Succeeded,
        DeliveryStatus::Abandoned,
        DeliveryStatus::Exhausted,
    ]) {
        house.end(lease, *id, status).await;
    }
    let health = Health { failures: 9, held_until: Some(later(900)), ..Health::default() };
    house.store.target_release(lease, TARGET, Some(health), NOW).await.unwrap();

    let recovery = Recovery { target: TARGET, since: NOW, until: later(60) };
    let count = |recovery| house.store.recovery_count(house.workspace, recovery);
    assert_eq!(count(recovery).await.unwrap(), 3);
    assert_eq!(count(Recovery { since: later(2), ..recovery }).await.unwrap(), 0);
    assert_eq!(house.store.recovery_count(WorkspaceId::at(9), recovery).await.unwrap(), 0);
    house.store.recovery_create(house.workspace, recovery, "recover").await.unwrap();
    let job = house.claim("recover", later(60)).await.pop().unwrap();
    assert!(house.store.recovery_step(job.lease, house.workspace, recovery, later(60)).await.unwrap());
    assert!(!house.store.recovery_step(job.lease, house.workspace, recovery, later(61)).await.unwrap());
    assert_eq!(house.store.job_next("recover").await.unwrap(), None);

    assert_eq!(house.due(later(61)).await, [ids[0]], "in the order of the lane");
    let delivery = house.found(ids[0]).await;
    assert_eq!((delivery.began_at, delivery.began_after), (later(60), 1), "the schedule begins anew");
    // An operator does not have to wait until the breaker closes by itself.
    house.turn(Standing::Suspect, later(61)).await;
}

#[tokio::test]
async fn a_dead_letter_can_be_discarded_and_a_success_cannot() {
    let house = house().await;
    let (dead, done) = (house.add(1, None).await, house.add(2, None).await);
    let lease = house.turn(Standing::New, NOW).await;
    house.end(lease, dead, DeliveryStatus::Exhausted).await;
    house.end(lease, done, DeliveryStatus::Succeeded).await;
    let discard = |id| house.store.delivery_discard(house.workspace, id, later(5));
    assert_eq!(discard(dead).await.unwrap(), Some(Wished::Done(TARGET)));
    assert_eq!(discard(dead).await.unwrap(), Some(Wished::Not(DeliveryStatus::Discarded)));
    assert_eq!(discard(done).await.unwrap(), Some(Wished::Not(DeliveryStatus::Succeeded)));
    assert_eq!(discard(DeliveryId::at(99)).await.unwrap(), None);
    assert_eq!(house.found(dead).await.body.len(), 0);
    let again = house.store.delivery_again(house.workspace, dead, later(6)).await.unwrap();
    assert_eq!(again, None, "there is nothing left to send");
}

#[tokio::test]
async fn a_list_has_what_it_is_asked_for() {
    let house = house().await;
    let (one, two) = (house.add(1, None).await, house.add(2, None).await);
    let hook = house.hook("orders").await.id;
    let (execution, three) = house.finished(hook).await;
    let jobs = house.claim(Standing::New.job(), NOW).await;
    let lease = jobs.iter().find(|job| job.subject == TARGET.to_bytes()).unwrap().lease;
    house.end(lease, one, DeliveryStatus::Exhausted).await;
    let all = DeliveryFilter::default;
    for (filter, wanted) in [
        (all(), vec![three, two, one]),
        (DeliveryFilter { execution: Some(execution), ..all() }, vec![three]),
        (DeliveryFilter { target: Some(TARGET), ..all() }, vec![two, one]),
        (DeliveryFilter { statuses: vec![DeliveryStatus::Exhausted, DeliveryStatus::Abandoned], ..all() }, vec![one]),
        (DeliveryFilter { statuses: vec![DeliveryStatus::Pending], target: Some(TARGET), ..all() }, vec![two]),
        (DeliveryFilter { event: Some("other".into()), ..all() }, vec![]),
        (DeliveryFilter { since: Some(later(1)), ..all() }, vec![]),
        (DeliveryFilter { until: Some(later(1)), ..all() }, vec![three, two, one]),
    ] {
        let page = Page { limit: 9, before: None };
        let rows = house.store.deliveries(house.workspace, filter.clone(), page).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn the_newest_attempts_are_kept_and_counted() {
    let house = house().await;
    let id = house.add(1, None).await;
    let lease = house.turn(Standing::New, NOW).await;
    for n in 1..=105 {
        house.step(lease, id, attempt(n, if n < 100 { 500 } else { 200 }), Step::AgainUncounted(NOW)).await;
    }
    let attempts = house.store.attempts(id).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].n), (100, 6));
    let delivery = house.found(id).await;
    assert_eq!((delivery.attempts, delivery.began_after), (105, 105), "none of them counts");
    let samples = house.store.attempt_samples(TARGET, later(101), 4).await.unwrap();
    let told = samples.iter().map(|sample| (sample.at, sample.status)).collect::<Vec<_>>();
    assert_eq!(told, [105, 104, 103, 102].map(|n| (later(n), Some(200))));
}
