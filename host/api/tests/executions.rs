//! Executions and deliveries.

use super::*;

#[tokio::test]
async fn an_execution_is_seen_while_it_waits_canceled_and_replayed() {
    let house = House::new().await;
    house.flow("bot").await;
    let id = house.accept("bot", None).await;
    let path = format!("/v1/executions/{id}");
    let waiting = house.get(&path).await;
    assert_eq!(waiting.headers["retry-after"], "1");
    let waiting = waiting.expect(200);
    assert_eq!((&waiting["status"], &waiting["flow"]), (&json!("queued"), &json!("bot")));
    assert_eq!(waiting["trigger"]["message"], "hi");
    assert_eq!(waiting["trigger"]["request"]["body_text"], "hello");
    assert_eq!(house.get(&format!("{path}/events")).await.expect(200)["data"], json!([]));

    let canceled = house.call("POST", &format!("{path}/cancel"), Value::Null).await.expect(200);
    assert_eq!(canceled, json!({ "execution_id": id, "status": "canceled" }));
    let ended = house.get(&path).await;
    assert!(!ended.headers.contains_key("retry-after"));
    assert_eq!(ended.expect(200)["stopped"]["reason"], "canceled");
    let events = house.get(&format!("{path}/events")).await.expect(200);
    assert_eq!(
        (&events["data"][0]["event"], &events["data"][0]["data"]["status"]),
        (&json!("end"), &json!("canceled"))
    );

    let replayed = house.call("POST", &format!("{path}/replay"), Value::Null).await;
    let location = replayed.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/executions/{}", replayed.expect(202)["execution_id"].as_str().unwrap()));
    assert_eq!(house.get(&location).await.expect(200)["replay_of"], json!(id));
    let version = json!({ "version": format!("sha256:{}", "0".repeat(64)) });
    house.call("POST", &format!("{path}/replay"), version).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_stream_ends_with_the_execution_and_tells_what_the_list_tells() {
    let house = House::new().await;
    house.flow("bot").await;
    let id = house.accept("bot", None).await;
    let path = format!("/v1/executions/{id}/events");
    let request = Request::builder().uri(&path).header("authorization", format!("Bearer {}", house.admin));
    let request = request.header("accept", "text/event-stream").body(Body::empty()).unwrap();
    house.work();
    let stream = house.send(request).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let list = house.get(&path).await.expect(200);
    let end = list["data"].as_array().unwrap().last().unwrap();
    assert_eq!((&end["data"]["status"], &end["data"]["reason"]), (&json!("failed"), &json!("trap")));
    let told = stream.text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    assert_eq!(serde_json::from_str::<Value>(told).unwrap(), end["data"]);
    assert_eq!(house.get(&format!("{path}?after=end")).await.expect(200)["data"], json!([]));
    house.get(&format!("/v1/executions/{id}/logs")).await.expect(200);
}

#[tokio::test]
async fn executions_are_listed_by_flow_hook_status_and_session() {
    let house = House::new().await;
    house.flow("bot").await;
    house.flow("other").await;
    let hook = house.hook("in", "bot").await;
    let by_hook = house.accept("bot", Some(&hook)).await;
    let canceled = house.accept("other", None).await;
    house.call("POST", &format!("/v1/executions/{canceled}/cancel"), Value::Null).await.expect(200);
    for (query, wanted) in [
        ("flow=bot", Some(by_hook)),
        ("hook=in", Some(by_hook)),
        ("status=queued,running", Some(by_hook)),
        ("status=canceled", Some(canceled)),
        ("flow=bot&status=canceled", None),
        ("session=none", None),
    ] {
        let page = house.get(&format!("/v1/executions?{query}")).await.expect(200);
        let ids = page["data"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids, wanted.map(|id| json!(id)).into_iter().collect::<Vec<_>>(), "{query}");
        assert!(page["data"].as_array().unwrap().iter().all(|row| row.get("trigger").is_none()));
    }
    house.get("/v1/executions?flow=none").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_delivery_is_found_by_its_execution_and_sent_again() {
    let house = House::new().await;
    house.flow("bot").await;
    let body = json!({
        "name": "in", "flow": "bot", "auth": [{ "scheme": "none" }], "callback": { "url": "https://example.com/in" },
    });
    let hook = house.call("POST", "/v1/hooks", body).await.expect(201);
    let id = house.accept("bot", Some(&hook)).await;
    house.work();
    let mut follow = house.api.executions.follow(house.workspace, id, None).await.unwrap();
    while follow.next().await.unwrap().is_some() {}

    let list = house.get(&format!("/v1/deliveries?execution={id}")).await.expect(200);
    assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["status"]), (1, &json!("pending")));
    let path = format!("/v1/deliveries/{}", list["data"][0]["id"].as_str().unwrap());
    let one = house.get(&path).await.expect(200);
    assert_eq!((&one["attempts"], &one["url"]), (&json!([]), &json!("https://example.com/in")));
    assert!(one["body"].as_str().unwrap().contains(&id.to_string()));
    house.call("POST", &format!("{path}/redeliver"), Value::Null).await.expect(202);
    house.call_as(&house.stranger, "POST", &format!("{path}/redeliver"), Value::Null).await.refused(404, "not-found");

    let target = &list["data"][0]["target"];
    assert_eq!(target, &hook["id"]);
    let of_target = house.get(&format!("/v1/deliveries?target={}&status=pending", target.as_str().unwrap())).await;
    assert_eq!(of_target.expect(200)["data"][0]["id"], one["id"]);
    house.call_as(&house.stranger, "POST", &format!("{path}/discard"), Value::Null).await.refused(404, "not-found");
    let discarded = house.call("POST", &format!("{path}/discard"), Value::Null).await.expect(200);
    assert_eq!(discarded["status"], "discarded");
    house.call("POST", &format!("{path}/discard"), Value::Null).await.refused(409, "delivery-ended");
}

#[tokio::test]
async fn numbers_and_recoveries_are_those_of_ones_own_targets() {
    let house = House::new().await;
    house.flow("bot").await;
    let body = json!({ "name": "in", "flow": "bot", "auth": [{ "scheme": "none" }] });
    let hook = house.call("POST", "/v1/hooks", body).await.expect(201);
    let path = format!("/v1/deliveries/stats?target={}", hook["id"].as_str().unwrap());
    let stats = house.get(&path).await.expect(200);
    assert_eq!((&stats["standing"], &stats["attempts"], &stats["p99_ms"]), (&json!("new"), &json!(0), &Value::Null));
    house.call_as(&house.stranger, "GET", &path, Value::Null).await.refused(404, "not-found");

    let recover = json!({ "target": hook["id"], "since": "2025-01-01T00:00:00Z", "dry_run": true });
    let counted = house.call("POST", "/v1/deliveries/recover", recover.clone()).await.expect(200);
    assert_eq!(counted["deliveries"], 0);
    let other = house.call_as(&house.stranger, "POST", "/v1/deliveries/recover", recover).await;
    other.refused(404, "not-found");
}
