//! Access tokens, and what happens without one.

use std::sync::Mutex;

use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::server::Reply;
use super::*;
use crate::clock::{Clock, Timestamp};

/// A token server whose nth answer is what `answer` says, and what it was asked.
struct Issuer {
    server: Server,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The `authorization` header and the form.
type Asked = (Option<String>, String);

impl Issuer {
    async fn start(answer: impl Fn(usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let server = Server::start(None, move |request| {
            let proof = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
            let mut seen = seen.lock().unwrap();
            seen.push((proof, String::from_utf8(request.into_body().to_vec()).unwrap()));
            let (status, body) = answer(seen.len());
            http::Response::builder().status(status).body(body.to_string().into()).unwrap()
        })
        .await;
        Self { server, asked }
    }

    /// A server that makes `t1`, `t2`, … for an hour each.
    async fn honest() -> Self {
        Self::start(|nth| (200, token(&format!("t{nth}"), &json!(3_600)))).await
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            token_url: Url::parse(&self.server.url("http", "127.0.0.1")).unwrap(),
            client_id: "me:1".to_owned(),
            client_secret: Zeroizing::new("s3 cret".to_owned()),
            scope: Some("a b".to_owned()),
            client_auth: ClientAuth::Basic,
            parameters: vec![("audience".to_owned(), "https://receiver".to_owned())],
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn token(token: &str, expires_in: &Value) -> Value {
    json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in })
}

/// A receiver that takes what `good` says, and shows the token that it got.
async fn receiver(good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    Server::start(None, move |request| {
        let proof = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
        let status = if good(&proof) && request.body() == "hello" { 200 } else { 401 };
        http::Response::builder().status(status).body(Bytes::from(proof).into()).unwrap() as Reply
    })
    .await
}

fn tokens(clock: &Clock) -> Tokens {
    Tokens::new(Client::new(&loopback()), clock.clone())
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_ms(1_000_000))
}

async fn shown(tokens: &Tokens, credentials: &Credentials, receiver: &Server) -> String {
    let request = post(&receiver.url("http", "127.0.0.1"), 5_000);
    let answer = tokens.send(credentials, request).await.unwrap();
    format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body))
}

#[tokio::test]
async fn a_token_is_asked_for_once_until_shortly_before_its_end() {
    let (issuer, receiver, clock) = (Issuer::honest().await, receiver(|_| true).await, clock());
    let tokens = tokens(&clock);
    for (advance_s, bearer) in [(0, "t1"), (0, "t1"), (3_569, "t1"), (1, "t2"), (3_600, "t3")] {
        clock.advance(Duration::from_secs(advance_s));
        assert_eq!(shown(&tokens, &issuer.credentials(), &receiver).await, format!("200 Bearer {bearer}"));
    }
    let asked = issuer.asked.lock().unwrap();
    let (proof, form) = &asked[0];
    // `me%3A1:s3+cret`: both parts are encoded as in a form.
    assert_eq!(proof.as_deref(), Some("Basic bWUlM0ExOnMzK2NyZXQ="));
    assert_eq!(form, "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Freceiver");
}

#[tokio::test]
async fn name_and_password_may_be_in_the_body() {
    let (issuer, receiver) = (Issuer::honest().await, receiver(|_| true).await);
    let credentials =
        Credentials { client_auth: ClientAuth::Body, scope: None, parameters: Vec::new(), ..issuer.credentials() };
    shown(&tokens(&clock()), &credentials, &receiver).await;
    let form = "grant_type=client_credentials&client_id=me%3A1&client_secret=s3+cret";
    assert_eq!(issuer.asked.lock().unwrap()[0], (None, form.to_owned()));
}

#[tokio::test]
async fn many_requests_at_once_ask_for_one_token() {
    let (issuer, receiver) = (Issuer::honest().await, receiver(|_| true).await);
    let (tokens, credentials) = (tokens(&clock()), issuer.credentials());
    let all = join_all((0..20).map(|_| shown(&tokens, &credentials, &receiver))).await;
    assert!(all.iter().all(|shown| shown == "200 Bearer t1"), "{all:?}");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_and_not_kept() {
    let issuer = Issuer::start(|nth| if nth == 1 { (500, json!({})) } else { (200, token("t2", &json!(60))) }).await;
    let (receiver, tokens, credentials) = (receiver(|_| true).await, tokens(&clock()), issuer.credentials());
    let send = || tokens.send(&credentials, post(&receiver.url("http", "127.0.0.1"), 5_000));
    for sent in join_all((0..20).map(|_| send())).await {
        let error = sent.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (Kind::Token, "no access token from 127.0.0.1: it answered 500".into())
        );
        assert!(error.unsent() && error.retryable() && !error.is_local());
    }
    assert_eq!((issuer.asked(), receiver.connected()), (1, 0));
    assert_eq!(send().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once() {
    let (issuer, receiver) = (Issuer::honest().await, receiver(|bearer| bearer != "Bearer t1").await);
    let (tokens, credentials) = (tokens(&clock()), issuer.credentials());
    // One that has only just been made is not asked for again: the receiver would not take that either.
    assert_eq!(shown(&tokens, &credentials, &receiver).await, "401 Bearer t1");
    assert_eq!(issuer.asked(), 1);
    assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t2");
}

#[tokio::test]
async fn a_kept_token_is_replaced_in_the_same_request() {
    let revoked = Arc::new(AtomicUsize::new(0));
    let seen = revoked.clone();
    let (issuer, receiver) = (
        Issuer::honest().await,
        receiver(move |bearer| bearer != format!("Bearer t{}", seen.load(Ordering::SeqCst))).await,
    );
    let (tokens, credentials) = (tokens(&clock()), issuer.credentials());
    assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t1");
    revoked.store(1, Ordering::SeqCst);
    assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t2");
    assert_eq!(issuer.asked(), 2);

    // A body that is made while it is sent is there only once.
    revoked.store(2, Ordering::SeqCst);
    let body = Body::stream(stream::iter([Ok(Bytes::from_static(b"hello"))]), Some(5));
    let streamed = Request { body, ..post(&receiver.url("http", "127.0.0.1"), 5_000) };
    assert_eq!(tokens.send(&credentials, streamed).await.unwrap().status, 401);
    assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t3");
}

#[tokio::test]
async fn a_token_is_only_for_who_knows_the_secret() {
    let (issuer, receiver, tokens) = (Issuer::honest().await, receiver(|_| true).await, tokens(&clock()));
    let one = issuer.credentials();
    let other = Credentials { client_secret: Zeroizing::new("guessed".to_owned()), ..issuer.credentials() };
    let narrow = Credentials { scope: Some("a".to_owned()), ..issuer.credentials() };
    for (credentials, bearer) in [(&one, "t1"), (&other, "t2"), (&narrow, "t3"), (&one, "t1")] {
        assert_eq!(shown(&tokens, credentials, &receiver).await, format!("200 Bearer {bearer}"));
    }
}

#[tokio::test]
async fn why_there_is_no_token_is_said_without_the_secret() {
    let echo = json!({ "error": "invalid_client", "error_description": "no `s3 cret`\nhere" });
    for (status, answer, words) in [
        (401, echo, "it answered 401, invalid_client: no `***`here"),
        (400, json!({ "error": "invalid_scope" }), "it answered 400, invalid_scope"),
        (302, json!("moved"), "it answered 302"),
        (200, json!("<html>"), "the answer is not a token in JSON"),
        (200, json!({ "access_token": 5, "token_type": "bearer" }), "the answer is not a token in JSON"),
        (200, json!({ "access_token": "x", "token_type": "mac" }), "the token is not a bearer token"),
        (200, token("a\nb", &json!(1)), "the token cannot be a header"),
        (200, token("a", &json!("soon")), "`expires_in` is not a number of seconds"),
        (200, token(&"a".repeat(2_000), &json!(1)), "the answer is too long"),
    ] {
        let issuer = Issuer::start(move |_| (status, answer.clone())).await;
        let sent = tokens(&clock()).send(&issuer.credentials(), post("http://127.0.0.1/", 5_000)).await;
        assert_eq!(sent.unwrap_err().to_string(), format!("no access token from 127.0.0.1: {words}"));
    }
    let credentials = Issuer::honest().await.credentials();
    assert_eq!(format!("{credentials:?}"), "Credentials { client_id: \"me:1\", .. }");
}

#[tokio::test]
async fn a_life_may_be_text_and_need_not_be_said() {
    let receiver = receiver(|_| true).await;
    for (expires_in, good_s) in [(json!("100"), 70), (Value::Null, 270), (json!(10), 5), (json!(0), 0)] {
        let issuer = Issuer::start(move |nth| (200, token(&format!("t{nth}"), &expires_in))).await;
        let clock = clock();
        let (tokens, credentials) = (tokens(&clock), issuer.credentials());
        shown(&tokens, &credentials, &receiver).await;
        if good_s > 0 {
            clock.advance(Duration::from_secs(good_s) - Duration::from_millis(1));
            assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t1");
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(shown(&tokens, &credentials, &receiver).await, "200 Bearer t2");
    }
}

#[tokio::test]
async fn token_servers_are_under_the_policy_and_the_deadline() {
    let inside = Credentials {
        token_url: Url::parse("http://169.254.169.254/").unwrap(),
        ..Issuer::honest().await.credentials()
    };
    let error = tokens(&clock()).send(&inside, post("http://127.0.0.1/", 5_000)).await.unwrap_err();
    assert!(
        error.to_string().contains("no access token from 169.254.169.254: the address 169.254.169.254 is link-local")
    );

    let silent = Receiver::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let slow = Credentials { token_url: Url::parse(&silent.url()).unwrap(), ..inside };
    let tokens = tokens(&clock());
    let send = || tokens.send(&slow, post("http://127.0.0.1/", 100));
    let (one, other) = tokio::join!(send(), send());
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(error.kind() == Kind::Token && error.to_string().contains("no answer within"), "{error}");
    }
}
