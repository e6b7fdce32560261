//! What a delivered event costs in rows, and a list in looks at rows.

use rusqlite::StatementStatus;

use super::super::execution::{list, listed};
use super::*;
use crate::id::SubscriptionId;

const EVENTS: u64 = 200;

/// An event's own row is not among them: it is one however many are told.
#[tokio::test]
async fn a_delivered_event_costs_three_rows() {
    let house = house().await;
    let target = Target::Subscription(SubscriptionId::at(1));
    let written = async || house.store.write(|c| Ok(c.total_changes())).await.unwrap();
    let told = |seq: u64| {
        let delivery = NewDelivery { id: DeliveryId::at(seq), target, ..house.delivery(HookId::at(1)) };
        Told { seq, workspace: house.workspace, execution: None, delivery, batch: None }
    };
    let well = Health { proven_since: Some(NOW), ..Health::default() };
    house.store.dispatch("dispatch", Place { seq: 1, subscription: None }, vec![told(1)]).await.unwrap();
    let job = house.claim(Standing::New.job(), NOW).await.pop().unwrap();
    house.store.target_release(job.lease, target, Some(well), NOW).await.unwrap();

    let before = written().await;
    for seq in 2..=EVENTS {
        house.store.dispatch("dispatch", Place { seq, subscription: None }, vec![told(seq)]).await.unwrap();
    }
    let job = house.claim(Standing::Proven.job(), NOW).await.pop().unwrap();
    for delivery in house.store.target_due(target, NOW, 1_000).await.unwrap().deliveries {
        let (attempt, end) = (super::deliveries::attempt(1, 200), Step::End(DeliveryStatus::Succeeded));
        house.store.delivery_step(job.lease, &delivery, attempt, end, false).await.unwrap();
    }
    house.store.target_release(job.lease, target, None, NOW).await.unwrap();
    // The delivery, its attempt, its end. The reader's place is one more for what is told in one transaction, here for each.
    let places = EVENTS - 1;
    let rows = (written().await - before - places) as f64 / EVENTS as f64;
    assert!((2.9..=3.05).contains(&rows), "{rows}");
}

/// The steps of the query for the two newest of a filter and a status.
async fn steps(house: &House, filter: ExecutionFilter, status: Option<Status>) -> i32 {
    let workspace = house.workspace;
    let page = Page { limit: 2, before: None };
    let count = move |c: &rusqlite::Connection| {
        listed(c, workspace, &filter, status, page)?;
        Ok(c.prepare_cached(&list(&filter, status))?.reset_status(StatementStatus::VmStep))
    };
    house.store.write(count).await.unwrap()
}

async fn record(house: &House, count: u64, status: Status, session: &str) {
    for _ in 0..count {
        let outcome = Outcome::Final { status, reason: None, json: "{}".into() };
        let session = Some(session.to_owned());
        let new = NewExecution { id: ExecutionId::at(NOW.unix_ms_unsigned()), session, ..house.execution() };
        let finish = Finish { outcome, at: NOW, ..Finish::default() };
        house.store.execution_record_durably(new, finish).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_looks_at_no_more_when_more_is_on_record() {
    let house = house().await;
    let any = ExecutionFilter::default;
    let asked = [
        (any(), None),
        (any(), Some(Status::Queued)),
        (any(), Some(Status::Failed)),
        (any(), Some(Status::TimedOut)),
        (ExecutionFilter { flow: Some(house.flow), ..any() }, None),
        (ExecutionFilter { flow: Some(house.flow), ..any() }, Some(Status::Failed)),
        (ExecutionFilter { hook: house.execution().hook, ..any() }, Some(Status::Running)),
        (ExecutionFilter { session: Some("rare".into()), ..any() }, None),
        (ExecutionFilter { session: Some("rare".into()), flow: Some(house.flow), ..any() }, Some(Status::Failed)),
    ];
    record(&house, 3, Status::Failed, "rare").await;
    record(&house, 3, Status::Succeeded, "usual").await;
    let mut before = Vec::new();
    for (filter, status) in &asked {
        before.push(steps(&house, filter.clone(), *status).await);
    }
    record(&house, 300, Status::Succeeded, "usual").await;
    for ((filter, status), before) in asked.into_iter().zip(before) {
        let after = steps(&house, filter.clone(), status).await;
        assert_eq!(after, before, "{filter:?} {status:?}");
    }
}
