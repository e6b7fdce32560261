//! Flows, uploads and aliases.

use super::*;
use crate::id::Digest;

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn an_upload_that_is_refused_leaves_nothing() {
    let house = House::new().await;
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.expect(201);
    let (path, good) = ("/v1/flows/bot/versions", component(""));
    let core = b"\0asm\x01\0\0\0".to_vec();
    for bytes in [Vec::new(), b"not wasm".to_vec(), core, good[..good.len() / 2].to_vec()] {
        house.upload(path, bytes).await.refused(422, "invalid-component");
    }
    let other = Digest::from_bytes([0; 32]);
    house.upload(&format!("{path}?digest={other}"), good.clone()).await.refused(422, "digest-mismatch");
    assert_eq!(
        house.upload(&format!("{path}?digest=md5"), good.clone()).await.refused(422, "invalid-request"),
        "digest"
    );
    assert_eq!(house.upload(&format!("{path}?wait=301"), good.clone()).await.refused(422, "invalid-request"), "wait");
    house.upload("/v1/flows/none/versions", good).await.refused(404, "not-found");
    assert_eq!(house.get(path).await.expect(200)["data"], json!([]));
    assert!(is_empty(&house.folder.path().join("uploads")) && is_empty(&house.folder.path().join("components")));
}

#[tokio::test]
async fn a_version_is_uploaded_promoted_rolled_back_and_removed() {
    let house = House::new().await;
    house.flow("bot").await;
    let path = "/v1/flows/bot/versions";
    let first = house.get(path).await.expect(200)["data"][0]["digest"].clone();
    let known = house.upload(path, component("")).await.expect(200);
    assert_eq!(known["digest"], first);

    let second = house.upload(&format!("{path}?wait=60"), component("export more: func();")).await;
    let (location, second) = (second.headers["location"].to_str().unwrap().to_owned(), second.expect(201));
    assert_eq!((&second["state"], &second["inspection"]["kind"]), (&json!("ready"), &json!("flow01")));
    assert_eq!(house.get(&format!("{location}?wait=1")).await.expect(200), second);
    let promoted = house.call("PUT", "/v1/flows/bot/aliases/live", json!({ "version": second["digest"] })).await;
    assert_eq!(promoted.expect(200)["history"], json!([first]));
    house.call("DELETE", &location, Value::Null).await.refused(409, "in-use");

    let back = house.call("POST", "/v1/flows/bot/aliases/live/rollback", Value::Null).await.expect(200);
    assert_eq!((&back["version"], &back["history"]), (&first, &json!([])));
    house.call("POST", "/v1/flows/bot/aliases/live/rollback", Value::Null).await.refused(409, "nothing-to-roll-back");
    assert_eq!(house.get("/v1/flows/bot/aliases").await.expect(200)["data"], json!([back]));
    house.call("DELETE", &location, Value::Null).await.expect(204);
    house.get(&location).await.refused(404, "not-found");
    house
        .call("PUT", "/v1/flows/bot/aliases/live", json!({ "version": second["digest"] }))
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_flows_config_is_an_object_of_strings() {
    let house = House::new().await;
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.expect(201);
    house.call("POST", "/v1/flows", json!({ "name": "bot" })).await.refused(409, "name-taken");
    let (path, config) = ("/v1/flows/bot/config", json!({ "tone": "kind" }));
    assert_eq!(house.get(path).await.expect(200), json!({}));
    assert_eq!(house.call("PUT", path, config.clone()).await.expect(200), config);
    assert_eq!(house.call("PUT", path, json!({ "tone": 5 })).await.refused(422, "invalid-request"), "tone");
    assert_eq!(house.get(path).await.expect(200), config);
}
