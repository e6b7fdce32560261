//! A guest that wants to know its secret: from memory, logs, errors, hosts that tell it, redirects, names that lead elsewhere.
//! None gets it out. By `wasi:http` and by `flowgate:flow/http`.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Method;
use serde_json::{Value, json};

use crate::support::reflector::Reflector;
use crate::support::{Answer, Hook, House};

const SECRET: &str = "sk-live/Ab3+\"x\"&9fQ-zz";

struct Scene {
    house: House,
    hook: Hook,
    /// The secret may go there.
    trusted: Reflector,
    /// Requests may go there, but not the secret.
    other: Reflector,
}

impl Scene {
    async fn new() -> Self {
        // What it is answered is kept, so that it is looked for there, too.
        let house = House::start_with(&[("FLOWGATE_CAPABILITY_RECORD_ANSWERS", "true")]).await;
        let hook = house.flow("thief").await;
        let (trusted, other) = (Reflector::start().await, Reflector::start().await);
        let set = json!({ "value": SECRET });
        house.api(Method::PUT, "/v1/flows/thief/secrets/KEY", Some(set)).await.expect(200);
        let scene = Self { house, hook, trusted, other };
        scene.grant(json!([])).await;
        scene
    }

    async fn grant(&self, reveal: Value) {
        let http = json!([
            { "host": self.trusted.host, "scheme": "http", "secrets": ["KEY"] },
            { "host": self.other.host, "scheme": "http" },
        ]);
        let grants = json!({ "http": http, "reveal": reveal });
        self.house.api(Method::PUT, "/v1/flows/thief/grants", Some(grants)).await.expect(200);
    }

    /// Runs the thief by both doors, and returns what came of its requests after nobody has learned anything.
    async fn run(&self, requests: Value) -> [Vec<Value>; 2] {
        let mut results = Vec::new();
        for wasi in [false, true] {
            let execution = self.once(json!({ "requests": requests, "wasi": wasi }), Value::Null).await;
            let data = &execution["reply"]["data"];
            assert_eq!(data["in_memory"], false, "{data}");
            results.push(data["results"].as_array().unwrap_or_else(|| panic!("{execution}")).clone());
        }
        results.try_into().unwrap()
    }

    async fn once(&self, mut data: Value, message: Value) -> Value {
        data["look_for"] = json!(SECRET.bytes().map(|byte| byte ^ 0x5a).collect::<Vec<_>>());
        let session = format!("s{}", rand::random::<u32>());
        let body = json!({ "data": data, "session_id": session, "message": message });
        let answer = self.house.send(&self.hook, body).await;
        nothing_told("the answer", &answer);
        let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
        let execution = self.house.ended_execution(&id).await;
        for path in ["", "/logs", "/events", "/spans", "/calls"] {
            nothing_told(path, &self.house.get(&format!("/v1/executions/{id}{path}")).await);
        }
        in_no_file(self.house.folder.path());
        execution
    }
}

#[track_caller]
fn nothing_told(place: &str, answer: &Answer) {
    let text = answer.text();
    let json = json!(SECRET).to_string();
    for form in
        [SECRET, json.trim_matches('"'), &BASE64_STANDARD.encode(SECRET)[..20], &hex::encode(SECRET), "Ab3+", "9fQ-zz"]
    {
        assert!(!text.contains(form), "{place} tells `{form}`: {text}");
    }
}

/// The disk has it sealed only.
#[track_caller]
fn in_no_file(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            in_no_file(&entry);
        } else if let Ok(bytes) = std::fs::read(&entry) {
            assert!(memchr::memmem::find(&bytes, b"9fQ-zz").is_none(), "{} has it", entry.display());
        }
    }
}

fn bearer(url: &str) -> Value {
    json!({ "url": url, "headers": [["authorization", "Bearer $KEY"]] })
}

#[tokio::test]
async fn a_granted_host_gets_it_and_the_flow_does_not_whatever_the_host_answers() {
    let scene = Scene::new().await;
    let paths = ["/", "/headers", "/error", "/base64", "/hex", "/json", "/drops", "/name"];
    let mut requests = paths.map(|path| bearer(&scene.trusted.url(path))).to_vec();
    requests.push(json!({ "url": scene.trusted.url("/"), "headers": [["x-key", "$KEY"]] }));
    for results in scene.run(json!(requests)).await {
        for (result, path) in results.iter().zip(paths) {
            assert!(result["status"].is_number() || path == "/name", "{path}: {result}");
        }
    }
    let got = scene.trusted.got();
    assert!(got.len() >= 16, "{}", got.len());
    assert!(
        got.iter()
            .all(|got| got.header("authorization") == format!("Bearer {SECRET}") || got.header("x-key") == SECRET)
    );
}

#[tokio::test]
async fn an_answer_is_neither_packed_nor_read_in_parts() {
    let scene = Scene::new().await;
    let part = |from: usize| {
        let range = format!("bytes={from}-{}", from + 2);
        json!({
            "url": scene.trusted.url("/range"),
            "headers": [["authorization", "Bearer $KEY"], ["range", range], ["accept-encoding", "gzip"]],
        })
    };
    let requests = json!([bearer(&scene.trusted.url("/gzip")), part(7), part(10), part(20)]);
    for results in scene.run(requests).await {
        assert!(results[0]["error"].is_string(), "{}", results[0]);
        assert!(results[1..].iter().all(|result| !result["body"].as_str().unwrap().contains("sk-")));
    }
    let got = scene.trusted.got();
    assert!(got.iter().all(|got| got.header("range").is_empty() && got.header("accept-encoding") == "identity"));
}

#[tokio::test]
async fn no_other_host_gets_it() {
    let scene = Scene::new().await;
    let (trusted, other) = (&scene.trusted.host, &scene.other.host);
    let port = other.rsplit(':').next().unwrap();
    let mut requests = [
        // A redirect is an answer; who follows it asks another host.
        scene.trusted.url(&format!("/redirect?{}", scene.other.url("/"))),
        scene.other.url("/"),
        format!("http://{trusted}@{other}/"),
        format!("http://{trusted}%40{other}/"),
        format!("http://{other}/{trusted}"),
        format!("http://{other}?http://{trusted}/"),
        format!("http://{other}\\@{trusted}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1.:{port}/"),
        format!("http://127.0.0.1.nip.example:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://0x7F.0.0.1:{port}/"),
        format!("http://%31%32%37.0.0.1:{port}/"),
        format!("http://１２７.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("https://{trusted}/"),
    ]
    .map(|url| bearer(&url))
    .to_vec();
    let host_header =
        json!({ "url": scene.other.url("/"), "headers": [["host", trusted], ["authorization", "Bearer $KEY"]] });
    let basic = json!({ "url": scene.other.url("/"), "headers": [["authorization", "Basic $KEY"]] });
    requests.extend([host_header, basic]);
    for some in requests.chunks(9) {
        for results in scene.run(json!(some)).await {
            for (result, asked) in results.iter().zip(some) {
                let redirect = asked["url"].as_str().unwrap().contains("/redirect?");
                assert_eq!(result["status"] == 302, redirect, "{asked}: {result}");
            }
        }
    }
    assert!(scene.other.got().is_empty(), "{:?}", scene.other.got());
}

#[tokio::test]
async fn no_error_tells_it_and_no_placeholder_goes_out_raw() {
    let scene = Scene::new().await;
    let (closed, trusted) = ("http://127.0.0.1:9/", &scene.trusted);
    let requests = json!([
        { "url": format!("{closed}?key=$KEY"), "headers": [["authorization", "Bearer $KEY"]] },
        { "url": trusted.url("/?key=$KEY") },
        { "url": trusted.url("/$KEY") },
        { "url": trusted.url("/"), "headers": [["x-key", "$KEY\nx"]] },
        { "url": trusted.url("/"), "headers": [["bad name", "$KEY"]] },
        { "method": "BAD METHOD", "url": trusted.url("/"), "headers": [["x-key", "$KEY"]] },
        { "url": "http://name.invalid/", "headers": [["x-key", "$KEY"]] },
    ]);
    for results in scene.run(requests).await {
        results.iter().for_each(|result| assert!(result["error"].is_string(), "{result}"));
    }
    assert!(trusted.got().is_empty());

    // The same in the text of a failure.
    let data = json!({ "requests": [bearer(&trusted.url("/error"))] });
    let failed = scene.once(data, json!("fail")).await;
    assert_eq!(failed["status"], "failed", "{failed}");
}

#[tokio::test]
async fn a_callers_text_is_no_placeholder() {
    let scene = Scene::new().await;
    let guesses = ["{{secret:KEY}}", "{{KEY}}", "${KEY}", "fgsecret_KEY", "fgsecret_00000000000000000000000000000000"];
    let requests = guesses.map(|guess| json!({ "url": scene.trusted.url("/"), "headers": [["x-guess", guess]] }));
    for results in scene.run(json!(requests)).await {
        assert!(results.iter().all(|result| result["status"] == 200), "{results:?}");
    }
    let got = scene.trusted.got();
    assert!(got.iter().zip(guesses.iter().cycle()).all(|(got, guess)| got.header("x-guess") == *guess));
}

#[tokio::test]
async fn a_revealed_secret_is_in_memory_and_in_no_record() {
    let scene = Scene::new().await;
    let refused = scene.once(json!({ "reveal": true }), Value::Null).await;
    assert_eq!(refused["reply"]["data"]["in_memory"], false, "{refused}");
    scene.grant(json!(["KEY"])).await;
    let revealed = scene.once(json!({ "reveal": true }), Value::Null).await;
    let data = &revealed["reply"]["data"];
    assert_eq!((&data["in_memory"], &data["revealed"]), (&json!(true), &json!("[redacted]")), "{revealed}");
    let failed = scene.once(json!({ "reveal": true }), json!("fail")).await;
    assert_eq!(failed["status"], "failed", "{failed}");
}
