//! What a flow is permitted, and its secrets.

use super::*;

async fn house() -> House {
    let house = House::new().await;
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.expect(201);
    house
}

#[tokio::test]
async fn nothing_is_granted_until_somebody_grants_it_and_all_that_is_wrong_is_named() {
    let house = house().await;
    let path = "/v1/flows/bot/grants";
    assert_eq!(house.get(path).await.expect(200), json!({}));
    let grants = json!({
        "http": [{ "host": "api.example.com", "methods": ["GET"], "paths": ["/v1/*"], "secrets": ["NOT_SET_YET"] }],
        "reveal": ["SIGNING_KEY"], "llm": { "models": ["fast"], "tokens_per_day": 5 }, "flows": ["other"],
    });
    assert_eq!(house.call("PUT", path, grants.clone()).await.expect(200), grants);

    let wrong = json!({
        "http": [{ "host": "API.example.com", "methods": ["FETCH"], "paths": ["v1"] }], "flows": ["No name"],
    });
    let refused = house.call("PUT", path, wrong).await;
    assert_eq!(refused.refused(422, "invalid-request"), "http[0].host");
    let fields =
        refused.json()["errors"].as_array().unwrap().iter().map(|one| one["field"].clone()).collect::<Vec<_>>();
    assert_eq!(fields, ["http[0].host", "http[0].methods[0]", "http[0].paths[0]", "flows[0]"]);
    for (wrong, field) in [
        (json!({ "htpp": [] }), "htpp"),
        (json!({ "http": [{}] }), "http[0].host"),
        (json!({ "http": [{ "host": "h", "scheme": "ftp" }] }), "http[0].scheme"),
        (json!({ "llm": { "tokens_per_day": -1 } }), "llm.tokens_per_day"),
    ] {
        assert_eq!(house.call("PUT", path, wrong).await.refused(422, "invalid-request"), field);
    }
    assert_eq!(house.get(path).await.expect(200), grants, "what is refused changes nothing");
    let as_reader = house.call_as(&house.reader, "PUT", path, json!({})).await;
    as_reader.refused(403, "forbidden");
    house.call_as(&house.stranger, "GET", path, Value::Null).await.refused(404, "not-found");
}

#[tokio::test]
async fn the_value_of_a_secret_goes_in_and_does_not_come_out() {
    let house = house().await;
    let (list, path) = ("/v1/flows/bot/secrets", "/v1/flows/bot/secrets/API_KEY");
    assert_eq!(house.get(list).await.expect(200)["data"], json!([]));
    let set = house.call("PUT", path, json!({ "value": "sk-hidden-42" })).await;
    assert_eq!(set.expect(200)["name"], "API_KEY");
    let shown = house.get(list).await;
    assert_eq!(shown.expect(200)["data"], json!([set.json()]));
    assert!(![&set, &shown].iter().any(|answer| answer.text.contains("hidden")));
    for file in std::fs::read_dir(house.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = if file.is_file() { std::fs::read(&file).unwrap() } else { Vec::new() };
        assert!(!bytes.windows(12).any(|part| part == b"sk-hidden-42"), "{} has it in clear", file.display());
    }

    for value in ["short", " sk-hidden-42", "sk-hidden-42\n", "sk-hidden\0-42"] {
        let refused = house.call("PUT", path, json!({ "value": value })).await;
        assert_eq!(refused.refused(422, "invalid-request"), "value");
        assert!(!refused.text.contains("hidden"));
    }
    let named = house.call("PUT", "/v1/flows/bot/secrets/key", json!({ "value": "sk-hidden-42" })).await;
    assert_eq!(named.refused(422, "invalid-request"), "name");
    house.call("DELETE", path, Value::Null).await.expect(204);
    house.call("DELETE", path, Value::Null).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_flow_has_a_hundred_secrets_and_no_more() {
    let house = house().await;
    let value = json!({ "value": "12345678" });
    for n in 0..crate::capability::SECRETS_MAX {
        house.call("PUT", &format!("/v1/flows/bot/secrets/S{n}"), value.clone()).await.expect(200);
    }
    house.call("PUT", "/v1/flows/bot/secrets/ONE_MORE", value.clone()).await.refused(409, "in-use");
    house.call("PUT", "/v1/flows/bot/secrets/S7", value).await.expect(200);
    house.call("DELETE", "/v1/flows/bot", Value::Null).await.expect(204);
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.expect(201);
    assert_eq!(house.get("/v1/flows/bot/secrets").await.expect(200)["data"], json!([]));
}
