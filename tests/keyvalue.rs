//! `wasi:keyvalue`: what a flow keeps for all its executions.

use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use crate::support::{Hook, House, hmac};

/// What came of each act of the guest `keeper` in a bucket.
async fn acts(house: &House, hook: &Hook, bucket: &str, acts: Value) -> Vec<Value> {
    let answer = house.send(hook, json!({ "data": { "bucket": bucket, "do": acts } })).await.expect(200);
    answer["reply"]["data"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

async fn raw(house: &House, method: Method, path: &str, body: impl Into<Bytes>) -> crate::support::Answer {
    let bearer = HeaderValue::from_str(&format!("Bearer {}", house.key)).unwrap();
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
    house.request(method, path, headers, body.into()).await
}

#[tokio::test]
async fn both_drafts_are_views_of_the_same_values() {
    let house = House::start().await;
    let hook = house.flow("keeper").await;
    let told = acts(
        &house,
        &hook,
        "",
        json!([
            ["set", "a", "one"],
            ["get2", "a"],
            ["exists2", "a"],
            ["exists", "b"],
            ["get", "b"],
            ["add", "n", 41],
            ["add2", "n", 1],
            ["add2", "n", -50],
            ["add", "n", 1],
            ["get", "n"],
            ["add", "a", 1],
            ["set_many2", "x", "1", "y", "2"],
            ["get_many", "y", "no", "x"],
            ["delete_many", "x", "no"],
            ["get_many2", "x", "y"],
            ["swap2", "a", "two"],
            ["get", "a"],
            ["swap2", "new", "first"],
            ["delete2", "n"],
            ["keys2"],
            ["keys"],
        ]),
    )
    .await;
    let null = Value::Null;
    let (no_number, out_of_range) =
        ("the value under `a` is not a whole number", "the number under `n` leaves its range");
    assert_eq!(told[..5], [null.clone(), json!("one"), json!(true), json!(false), null.clone()]);
    assert_eq!(told[5..8], [json!(41), json!(42), json!(-8)]);
    assert!(
        told[8].to_string().contains(out_of_range),
        "a negative number is out of the first draft's range: {}",
        told[8]
    );
    assert_eq!(told[9], "-8");
    assert!(told[10].to_string().contains(no_number), "{}", told[10]);
    assert_eq!(told[12], json!([["y", "2"], null, ["x", "1"]]));
    assert_eq!(told[14], json!([null, ["y", "2"]]));
    assert_eq!(
        (&told[15], &told[16], &told[17]),
        (&json!(["one", "in between"]), &json!("two"), &json!([null, "in between"]))
    );
    assert_eq!((&told[19], &told[20]), (&json!(["a", "new", "y"]), &json!(["a", "y", "new"])), "each in its own order");
}

#[tokio::test]
async fn buckets_and_flows_are_apart() {
    let house = House::start().await;
    let hook = house.flow("keeper").await;
    acts(&house, &hook, "", json!([["set", "k", "default"]])).await;
    acts(&house, &hook, "other", json!([["set", "k", "other"]])).await;
    assert_eq!(acts(&house, &hook, "default", json!([["get2", "k"]])).await, ["default"]);
    let told = acts(&house, &hook, "no/bucket", json!([["get", "k"], ["get2", "k"]])).await;
    assert!(told.iter().all(|one| one.to_string().contains("NoSuchStore")), "{told:?}");

    house.deploy("second", "keeper").await;
    let second = house.hook("second", json!({ "auth": [hmac()] })).await;
    assert_eq!(acts(&house, &second, "", json!([["get", "k"], ["keys"]])).await, [Value::Null, json!([])]);
}

#[tokio::test]
async fn a_flow_keeps_no_more_than_it_may() {
    let quota = [
        ("FLOWGATE_CAPABILITY_KEYVALUE_KEYS_MAX", "2"),
        ("FLOWGATE_CAPABILITY_KEYVALUE_BYTES_MAX", "40"),
        ("FLOWGATE_CAPABILITY_KEYVALUE_KEY_BYTES_MAX", "5"),
        ("FLOWGATE_CAPABILITY_KEYVALUE_VALUE_BYTES_MAX", "30"),
    ];
    let house = House::start_with(&quota).await;
    let hook = house.flow("keeper").await;
    let long = "x".repeat(30);
    let told = acts(
        &house,
        &hook,
        "",
        json!([
            ["set", "", "v"],
            ["set", "abcdef", "v"],
            ["set", "a", long.clone() + "x"],
            ["set", "a", long],
            ["set2", "b", long],
            ["set_many2", "b", "v", "c", "v"],
            ["set", "b", "v"],
            ["add", "c", 1],
            ["keys"],
        ]),
    )
    .await;
    let refused = |place: usize, why: &str| assert!(told[place].to_string().contains(why), "{place}: {}", told[place]);
    refused(0, "a key has 1 to 5 bytes");
    refused(1, "a key has 1 to 5 bytes");
    refused(2, "a value has at most 30 bytes");
    refused(4, "at most 40 bytes");
    refused(5, "at most 2 keys");
    refused(7, "at most 2 keys");
    assert_eq!(told[8], json!(["a", "b"]));
    let path = "/v1/flows/keeper/keyvalue/default";
    assert_eq!(raw(&house, Method::PUT, &format!("{path}/c"), "v").await.problem(422), "invalid-request");
    assert_eq!(raw(&house, Method::PUT, &format!("{path}/abcdef"), "v").await.expect(422)["errors"][0]["field"], "key");
    assert_eq!(raw(&house, Method::PUT, &format!("{path}/a"), "x".repeat(31)).await.problem(413), "body-too-large");
    assert_eq!(raw(&house, Method::DELETE, &format!("{path}/a"), "").await.status.as_u16(), 204);
    assert_eq!(raw(&house, Method::PUT, &format!("{path}/c"), "v").await.status.as_u16(), 204);
}

#[tokio::test]
async fn executions_that_count_at_the_same_time_lose_nothing() {
    let house = House::start().await;
    let hook = house.flow("keeper").await;
    let count = (0..24).map(|n| {
        let add = if n % 2 == 0 { "add" } else { "add2" };
        acts(&house, &hook, "", json!([[add, "n", 1], [add, "n", 1], [add, "n", 1]]))
    });
    let told = futures_util::future::join_all(count).await;
    let mut sums = told.iter().flatten().map(|sum| sum.as_i64().unwrap()).collect::<Vec<_>>();
    sums.sort_unstable();
    assert_eq!(sums, (1..=72).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_set_survives_a_power_cut() {
    let mut house = House::start().await;
    let hook = house.flow("keeper").await;
    for n in 1..=5 {
        let sum = acts(&house, &hook, "", json!([["add2", "n", 1], ["set", format!("k{n}"), "v"]])).await;
        assert_eq!(sum[0], n);
        house.kill();
        house.restart().await;
    }
    let told = acts(&house, &hook, "", json!([["get", "n"], ["keys2"]])).await;
    assert_eq!(told, [json!("5"), json!(["k1", "k2", "k3", "k4", "k5", "n"])]);
}

#[tokio::test]
async fn a_long_list_comes_in_parts_and_a_batch_has_an_end() {
    let house = House::start().await;
    let hook = house.flow("keeper").await;
    let batch = |range: std::ops::Range<u32>| {
        let words = range.flat_map(|n| [format!("key-{n:05}"), n.to_string()]).map(Value::from);
        std::iter::once(json!("set_many")).chain(words).collect::<Value>()
    };
    let told = acts(&house, &hook, "", json!([batch(0..1_000), batch(1_000..1_200), batch(0..1_001)])).await;
    assert!(told[2].to_string().contains("at most 1000 keys"), "{}", told[2]);
    let told = acts(&house, &hook, "", json!([["keys"], ["keys2"]])).await;
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].as_array().unwrap().len(), 1_200);
}

#[tokio::test]
async fn an_operator_looks_and_mends() {
    let house = House::start().await;
    let hook = house.flow("keeper").await;
    acts(&house, &hook, "", json!([["set", "a/b ü", "one"], ["set", "c", "two"]])).await;
    let cli = async |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.args(["flow", "keyvalue", "keeper"]).args(words);
        command.env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    };
    assert_eq!(cli(&["list"]).await.unwrap(), "BUCKET   KEYS\ndefault  2\n");
    assert!(cli(&["list", "default", "--limit", "1"]).await.unwrap().contains("a/b ü"));
    assert_eq!(cli(&["get", "a/b ü"]).await.unwrap(), "one");
    cli(&["set", "a/b ü", "mended"]).await.unwrap();
    cli(&["set", "new", "--bucket", "side", "1"]).await.unwrap();
    assert_eq!(acts(&house, &hook, "", json!([["get", "a/b ü"]])).await, ["mended"]);
    assert_eq!(acts(&house, &hook, "side", json!([["add", "new", 1]])).await, [2]);
    cli(&["delete", "c"]).await.unwrap();
    assert!(cli(&["delete", "c"]).await.unwrap_err().contains("no key `c`"));
    assert!(cli(&["get", "c"]).await.unwrap_err().contains("no key `c`"));

    let list = house.get("/v1/flows/keeper/keyvalue?limit=1").await.expect(200);
    assert_eq!((&list["data"][0]["name"], &list["next_cursor"]), (&json!("default"), &json!("default")));
    let rest = house.get("/v1/flows/keeper/keyvalue?limit=1&cursor=default").await.expect(200);
    assert_eq!((&rest["data"], &rest["next_cursor"]), (&json!([{ "name": "side", "keys": 1 }]), &Value::Null));
    assert_eq!(house.get("/v1/flows/keeper/keyvalue/no%20bucket").await.problem(404), "not-found");
}
