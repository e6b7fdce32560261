//! What a delivered event costs in rows.

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
