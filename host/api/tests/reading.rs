//! Bodies, paths and query parameters that cannot be read, and lists in pages.

use super::*;

async fn post(house: &House, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let request = Request::builder().method("POST").uri("/v1/flows");
    let request = request.header("authorization", format!("Bearer {}", house.admin));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    house.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_what_is_wrong() {
    let house = House::new().await;
    for (body, status, code, field) in [
        ("{", 400, "malformed-body", ""),
        ("nonsense", 400, "malformed-body", ""),
        (r#"{"name":"a"} x"#, 400, "malformed-body", ""),
        ("\u{0}", 400, "malformed-body", ""),
        (r#"["a"]"#, 422, "invalid-request", ""),
        ("null", 422, "invalid-request", ""),
        ("", 422, "invalid-request", "name"),
        (r#"{"name":5}"#, 422, "invalid-request", "name"),
        (r#"{"name":"a","colour":"red"}"#, 422, "invalid-request", "colour"),
        (r#"{"name":"a","name":"b"}"#, 422, "invalid-request", "name"),
        (r#"{"name":"No Name"}"#, 422, "invalid-request", "name"),
    ] {
        let answer = post(&house, &[("content-type", "application/json")], body).await;
        assert_eq!(answer.refused(status, code), field, "{body}: {}", answer.text);
        assert!(status == 400 || !answer.text.contains("line 1"), "{}", answer.text);
    }
    let deep = "[".repeat(50_000);
    post(&house, &[], deep).await.refused(400, "malformed-body");
    post(&house, &[], vec![b' '; (64 << 10) + 1]).await.refused(413, "body-too-large");
    assert_eq!(house.get("/v1/flows").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_body_of_another_type_or_encoding_is_refused() {
    let house = House::new().await;
    let body = r#"{"name":"a"}"#;
    let form = post(&house, &[("content-type", "application/x-www-form-urlencoded")], body).await;
    assert_eq!(form.refused(422, "invalid-request"), "content-type");
    post(&house, &[("content-encoding", "gzip")], body).await.refused(415, "unsupported-encoding");
    post(&house, &[("content-type", "application/json; charset=utf-8")], body).await.expect(201);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let house = House::new().await;
    for path in ["/nowhere", "/v1", "/v1/executions/nonsense", "/v1/deliveries/exe_1", "/v1/flows/a/versions/b/c"] {
        house.get(path).await.refused(404, "not-found");
    }
    let answer = house.call("PUT", "/v1/flows", json!({})).await;
    answer.refused(405, "method-not-allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
}

#[tokio::test]
async fn query_parameters_are_checked_by_name() {
    let house = House::new().await;
    for (path, field) in [
        ("/v1/flows?limit=0", "limit"),
        ("/v1/flows?limit=201", "limit"),
        ("/v1/flows?limit=many", "limit"),
        ("/v1/flows?cursor=hok_1", "cursor"),
        ("/v1/keys?cursor=nonsense", "cursor"),
        ("/v1/flows?limt=5", "limt"),
        ("/v1/flows?limit=1&limit=2", "limit"),
        ("/v1/executions?status=queued,odd", "status"),
        ("/v1/executions?cursor=1", "cursor"),
        ("/v1/deliveries?execution=1", "execution"),
        ("/v1/deliveries?target=exe_1", "target"),
        ("/v1/deliveries?status=dead", "status"),
        ("/v1/deliveries?since=yesterday", "since"),
        ("/v1/deliveries/stats?hours=1", "target"),
        ("/v1/deliveries/stats?target=hok_00000000000000000000000000000000&hours=721", "hours"),
    ] {
        assert_eq!(house.get(path).await.refused(422, "invalid-request"), field, "{path}");
    }
}

#[tokio::test]
async fn a_list_comes_in_pages_newest_first() {
    let house = House::new().await;
    for n in 0..4 {
        // Ids of one millisecond have no order among themselves.
        house.api.clock.advance(std::time::Duration::from_millis(1));
        house.call("POST", "/v1/flows", json!({ "name": format!("flow-{n}") })).await.expect(201);
        house.call("POST", "/v1/keys", json!({ "name": format!("key-{n}"), "role": "reader" })).await.expect(201);
    }
    for (list, of_all) in [("flows", 4), ("keys", 6)] {
        let (mut names, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = house.get(&format!("/v1/{list}?limit=2{cursor}")).await.expect(200);
            let rows = page["data"].as_array().unwrap();
            sizes.push(rows.len());
            names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(sizes.iter().sum::<usize>(), of_all);
        assert_eq!(sizes.len(), usize::div_ceil(of_all, 2));
        let first = names.iter().take(4).map(|name| &name[name.len() - 1..]).collect::<Vec<_>>();
        assert_eq!(first, ["3", "2", "1", "0"]);
    }
}
