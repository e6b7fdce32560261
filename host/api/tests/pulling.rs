//! Events for those who come and ask: what they are told when they may not, or came too late.

use std::time::Duration;

use super::*;
use crate::store::{Place, Retention};

const DAY: Duration = Duration::from_secs(86_400);

async fn asks(house: &House) -> &'static str {
    house.call("POST", "/v1/subscriptions", json!({ "name": "asks", "events": ["*"] })).await.expect(201);
    "/v1/subscriptions/asks/events"
}

#[tokio::test]
async fn a_reader_reads_as_a_consumer_that_is_there_and_is_told_how_to_get_one() {
    let house = House::new().await;
    let path = asks(&house).await;
    let read = || house.call_as(&house.reader, "GET", path, Value::Null);
    let refused = read().await;
    refused.refused(403, "forbidden");
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("`default`") && detail.contains("`admin`"), "{detail}");
    let cursor = house.get(path).await.expect(200)["cursor"].clone();
    assert_eq!(read().await.expect(200)["cursor"], cursor);
    let commit = json!({ "cursor": cursor });
    house.call_as(&house.reader, "POST", &format!("{path}/commit"), commit).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_consumer_that_comes_too_late_is_told_how_much_it_has_missed() {
    let house = House::new().await;
    let path = asks(&house).await;
    assert_eq!(house.get(path).await.expect(200)["gap_until"], Value::Null);
    house.flow("old").await;
    let (store, clock) = (&house.api.store, &house.api.clock);
    let missed = clock.now();
    clock.advance(8 * DAY);
    house.flow("new").await;
    let seq = *store.events_seen().borrow();
    store.dispatch("dispatch", Place { seq, subscription: None }, Vec::new()).await.unwrap();
    let (now, before) = (clock.now(), clock.now().before(7 * DAY));
    let [executions_before, keys_before, requests_before, events_before] = [before; 4];
    let retention = Retention { executions_before, keys_before, requests_before, events_before, now };
    assert!(store.sweep(retention).await.unwrap().events > 0);
    let read = house.get(path).await.expect(200);
    assert_eq!(read["gap_until"], json!(missed));
    let flows: Vec<_> =
        read["data"].as_array().unwrap().iter().map(|one| &one["payload"]["data"]["flow"]["name"]).collect();
    assert!(!flows.is_empty() && flows.iter().all(|name| *name == "new"), "{read}");
    let moved = house.call("POST", &format!("{path}/commit"), json!({ "cursor": read["cursor"] })).await.expect(200);
    assert_eq!((&moved["gap_until"], &house.get(path).await.expect(200)["gap_until"]), (&Value::Null, &Value::Null));
}
