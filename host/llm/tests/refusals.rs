//! Providers that refuse, fail, lie or never end.

use std::time::Duration;

use serde_json::json;

use super::*;

const FINE: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn fine() -> Answer {
    events(FINE, usize::MAX)
}

/// What a provider says about an error, with the key in it.
fn telling() -> String {
    json!({"error": {"message": format!("bad\nrequest with {KEY}"), "type": "x"}}).to_string()
}

#[tokio::test]
async fn the_key_is_in_no_error() {
    for (provider, code) in [("openai", 401), ("anthropic", 403), ("openai", 400), ("anthropic", 422), ("openai", 404)]
    {
        let fake = Fake::start([status(code, "", &telling())]).await;
        let error = ask(&fake.models(provider), &asking("x")).await.unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(!text.contains(KEY) && !text.contains("sk-very"), "{text}");
        assert_eq!(fake.seen().len(), 1, "{code} is not tried again");
        assert_eq!(matches!(error, Error::Invalid(_)), matches!(code, 400 | 422), "{error:?}");
        assert_eq!(matches!(error, Error::Refused(_)), !matches!(code, 400 | 422), "{error:?}");
        assert!(text.contains(&code.to_string()), "{text}");
    }
    let stream = format!("data: {}\n\n", telling());
    let fake = Fake::start([events(&stream, usize::MAX)]).await;
    let error = ask(&fake.models("openai"), &asking("x")).await.unwrap_err();
    assert_eq!(error, Error::Provider("bad request with …".to_owned()));
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let fake = Fake::start([status(500, "", "{}"), status(429, "retry-after: 0\r\n", "{}"), fine()]).await;
    assert_eq!(ask(&fake.models("openai"), &asking("x")).await.unwrap().1.text, "fine");
    assert_eq!(fake.seen().len(), 3);
    let again = || status(529, "retry-after: 0\r\n", "{\"error\": {\"message\": \"Overloaded\"}}");
    let fake = Fake::start([again(), again(), again(), fine()]).await;
    let error = ask(&fake.models("anthropic"), &asking("x")).await.unwrap_err();
    assert!(matches!(&error, Error::Provider(why) if why.contains("Overloaded")), "{error:?}");
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_long_wait_is_the_flows_to_decide() {
    for (headers, wait) in [("retry-after: 60\r\n", 60_000), ("retry-after-ms: 7500\r\nretry-after: 8\r\n", 7_500)] {
        let fake = Fake::start([status(429, headers, "{}"), fine()]).await;
        let error = ask(&fake.models("openai"), &asking("x")).await.unwrap_err();
        assert_eq!(error, Error::RateLimited(Some(Duration::from_millis(wait))));
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_no_reply() {
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{begun}");
    for answer in [events(begun, usize::MAX), Answer::Pieces(cut, usize::MAX), events("data: {\"choi", usize::MAX)] {
        let fake = Fake::start([answer, fine()]).await;
        let error = ask(&fake.models("openai"), &asking("x")).await.unwrap_err();
        assert!(matches!(error, Error::Provider(_)), "{error:?}");
        assert_eq!(fake.seen().len(), 1, "nothing is asked again once a reply has begun");
    }
}

#[tokio::test]
async fn a_reply_without_end_is_ended() {
    let quick = json!({"timeout_ms": 300});
    let pings = Answer::Endless(STREAM.to_owned(), ": ping\n\n");
    let silence = Answer::Endless(STREAM.to_owned(), "");
    for answer in [pings, silence] {
        let fake = Fake::start([answer]).await;
        let error = ask(&fake.models_with("openai", &quick), &asking("x")).await.unwrap_err();
        assert_eq!(error, Error::Timeout);
    }
    let long =
        "data: {\"choices\":[{\"delta\":{\"content\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}]}\n\n";
    let text = Answer::Endless(STREAM.to_owned(), long);
    let line = Answer::Endless(format!("{STREAM}data: "), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    for answer in [text, line] {
        let fake = Fake::start([answer]).await;
        let error = ask(&fake.models("openai"), &asking("x")).await.unwrap_err();
        assert!(matches!(error, Error::Provider(_)), "{error:?}");
    }
}

#[tokio::test]
async fn others_stand_in_for_a_model_that_fails() {
    let broken = Fake::start([status(401, "", "{}"), status(400, "", "{}")]).await;
    let models = broken.models_with("openai", &json!({"fallback": ["mock"]}));
    assert_eq!(ask(&models, &asking("hello")).await.unwrap().1.text, "hello");
    let invalid = ask(&models, &asking("hello")).await.unwrap_err();
    assert!(matches!(invalid, Error::Invalid(_)), "what is wrong with the request is wrong for all: {invalid:?}");
}

#[tokio::test]
async fn what_is_recorded_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start([fine()]).await;
    let real = json!({"provider": "openai", "url": fake.url, "model": "big-1"});
    let record = json!({"mode": "record", "of": "real", "folder": folder.path()});
    let recorded = ask(&models(json!({"real": real, "fast": record})), &asking("x")).await.unwrap();
    let replay = models(json!({"fast": {"mode": "replay", "folder": folder.path()}}));
    assert_eq!(ask(&replay, &asking("x")).await.unwrap().1, recorded.1);
    assert!(matches!(ask(&replay, &asking("y")).await, Err(Error::Invalid(why)) if why.contains("never recorded")));
}

#[test]
fn a_model_that_cannot_be_used_is_told_with_its_key() {
    let wrong = |options: Value| try_models(options).err().unwrap().to_string();
    let openai = |more: &str| json!({"a": {"provider": "openai", "model": "x", "key_env": more}});
    assert_eq!(wrong(openai("OTHER")), "`models.a.key_env`: the variable `OTHER` is not set");
    let file = json!({"a": {"provider": "openai", "model": "x", "key_file": "/nonexistent"}});
    assert!(wrong(file).starts_with("`models.a.key_file`: /nonexistent: "));
    assert!(
        wrong(json!({"a": {"mode": "script", "script": "/nonexistent"}}))
            .starts_with("`models.a.script`: /nonexistent: ")
    );
    assert!(wrong(json!({"a": {"fallback": ["b"]}})).starts_with("`models.a.fallback`: names `b`"));
    assert!(wrong(json!({"a": {"provider": "openai"}})).starts_with("`models.a.model`: is missing"));
    assert!(!format!("{:?}", serde_json::to_value(Options::default())).contains(KEY));
}
