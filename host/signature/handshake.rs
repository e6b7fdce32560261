//! Requests by which a sender asks whether it may send, and their answers. No flow sees them.
//!
//! **The trap.** Zoom and X ask for an HMAC of a text of their choice, by the key that signs their deliveries: whoever gets such
//! an answer holds a signature. So Zoom is answered only when its request is itself proven genuine. X does not sign its
//! question; it is answered for texts that no delivery can be ([`is_crc_token`]), and a body of that form is never genuine.
//! An answer that only repeats a text holds no key, and is plain text that no browser takes for anything else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::algorithm::hmac_sha256;
use super::scheme::{Kind, Scheme};
use super::verify::only_header;
use super::{Message, Proof, Secret, equal, query};

/// Texts longer than this are not repeated to an unproven sender.
const ECHO_CHARS_MAX: usize = 1024;

/// How a sender asks whether it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// <https://docs.slack.dev/reference/events/url_verification>
    Slack,
    /// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>
    Meta,
    /// <https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint>
    Zoom,
    /// <https://docs.x.com/x-api/webhooks/introduction>
    X,
    /// <https://docs.discord.com/developers/interactions/overview>
    Discord,
    /// <https://dev.twitch.tv/docs/eventsub/handling-webhook-events/>
    Twitch,
    /// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md> §4
    CloudEvents,
    /// <https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks>
    MicrosoftGraph,
    /// <https://www.dropbox.com/developers/reference/webhooks>
    Dropbox,
    /// <https://developer.okta.com/docs/concepts/event-hooks/>
    Okta,
    /// <https://developers.asana.com/docs/webhooks-guide>
    Asana,
    /// <https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/>
    Trello,
}

impl Handshake {
    /// What a JSON entry may say.
    pub(super) const NAMES: [(&'static str, Self); 12] = [
        ("slack", Self::Slack),
        ("meta", Self::Meta),
        ("zoom", Self::Zoom),
        ("x", Self::X),
        ("discord", Self::Discord),
        ("twitch", Self::Twitch),
        ("cloudevents", Self::CloudEvents),
        ("microsoft-graph", Self::MicrosoftGraph),
        ("dropbox", Self::Dropbox),
        ("okta", Self::Okta),
        ("asana", Self::Asana),
        ("trello", Self::Trello),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// The method of the question.
    fn method(self) -> &'static str {
        match self {
            Self::Meta | Self::X | Self::Dropbox | Self::Okta => "GET",
            Self::CloudEvents => "OPTIONS",
            Self::Trello => "HEAD",
            _ => "POST",
        }
    }
}

/// The response to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// An HTTP status.
    pub status: u16,
    /// In order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// To the byte.
    pub body: Vec<u8>,
}

impl Scheme {
    /// The method by which its sender asks whether it may send, if it asks: `POST`, `GET`, `HEAD` or `OPTIONS`.
    pub fn handshake_method(&self) -> Option<&'static str> {
        self.handshake.map(Handshake::method)
    }
}

/// The answer to `message`, if it is the question that senders of this scheme ask; none when it is something else, and
/// must be handled as such.
///
/// `proof` is what [`verify`](super::verify()) made of the same message by the same scheme and secrets, and none when that
/// refused it. The handshakes of Slack, Zoom, Discord and Twitch are answered only with a proof.
pub fn handshake(scheme: &Scheme, secrets: &[Secret], message: &Message<'_>, proof: Option<&Proof>) -> Option<Answer> {
    let handshake = scheme.handshake?;
    if message.method != handshake.method() {
        return None;
    }
    let parameter = |name| query::only(message.query, name).ok();
    let header = |name: &'static str| only_header(message, &HeaderName::from_static(name)).ok();
    match handshake {
        Handshake::Slack => {
            let body = asked(message, proof, "/type", "url_verification")?;
            text(body.get("challenge")?.as_str()?)
        }
        Handshake::Discord => {
            proof?;
            let body = serde_json::from_slice::<Value>(message.body).ok()?;
            (body.get("type")?.as_u64()? == 1).then(|| json(&json!({ "type": 1 })))
        }
        Handshake::Twitch => {
            let body = asked(message, proof, "/subscription/status", "webhook_callback_verification_pending")?;
            text(body.get("challenge")?.as_str()?)
        }
        Handshake::Zoom => {
            let body = asked(message, proof, "/event", "endpoint.url_validation")?;
            let plain = body.pointer("/payload/plainToken")?.as_str()?;
            let digest = hmac_sha256(&key(scheme, secrets.get(proof?.secret?)?)?, plain);
            Some(json(&json!({ "plainToken": plain, "encryptedToken": hex::encode(digest) })))
        }
        Handshake::X => {
            let token = parameter("crc_token").filter(|token| is_crc_token(token.as_bytes()))?;
            let key = secrets.iter().find_map(|secret| key(scheme, secret))?;
            let digest = BASE64_STANDARD.encode(hmac_sha256(&key, &token));
            Some(json(&json!({ "response_token": format!("sha256={digest}") })))
        }
        Handshake::Meta => {
            let known = equal(parameter("hub.verify_token")?, scheme.entry.verify_token()?);
            (known && parameter("hub.mode")? == "subscribe").then(|| text(&parameter("hub.challenge")?))?
        }
        Handshake::MicrosoftGraph => text(&parameter("validationToken")?),
        Handshake::Dropbox => text(&parameter("challenge")?),
        Handshake::Okta => {
            let challenge = header("x-okta-verification-challenge")?;
            (challenge.len() <= ECHO_CHARS_MAX).then(|| json(&json!({ "verification": challenge })))
        }
        Handshake::Asana => repeated("x-hook-secret", header("x-hook-secret")?),
        Handshake::CloudEvents => {
            let mut answer = repeated("webhook-allowed-origin", header("webhook-request-origin")?)?;
            let rate = header("webhook-request-rate").filter(|rate| rate.bytes().all(|byte| byte.is_ascii_digit()));
            let rate = HeaderValue::from_str(rate.unwrap_or("*")).ok()?;
            answer.headers.push((HeaderName::from_static("webhook-allowed-rate"), rate));
            answer.headers.push((ALLOW, HeaderValue::from_static("POST")));
            Some(answer)
        }
        Handshake::Trello => Some(Answer { status: 200, headers: Vec::new(), body: Vec::new() }),
    }
}

/// Whether a text may be signed for whoever asks: 1 to 128 of `A-Z a-z 0-9 _ -`, which is no JSON object, array or form.
pub(super) fn is_crc_token(text: &[u8]) -> bool {
    (1..=128).contains(&text.len()) && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}

/// The body of a proven question, which is JSON with `value` at `pointer`.
fn asked(message: &Message<'_>, proof: Option<&Proof>, pointer: &str, value: &str) -> Option<Value> {
    proof?;
    let body = serde_json::from_slice::<Value>(message.body).ok()?;
    (body.pointer(pointer)?.as_str()? == value).then_some(body)
}

fn key(scheme: &Scheme, secret: &Secret) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    match &scheme.kind {
        Kind::Signing(signing) => signing.keying.key(secret),
        _ => None,
    }
}

fn text(text: &str) -> Option<Answer> {
    let good = (1..=ECHO_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then(|| answer("text/plain; charset=utf-8", text.as_bytes().to_vec()))
}

fn json(value: &Value) -> Answer {
    answer("application/json", value.to_string().into_bytes())
}

fn answer(kind: &'static str, body: Vec<u8>) -> Answer {
    let headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Answer { status: 200, headers, body }
}

/// An empty answer with one header, which repeats what came.
fn repeated(name: &'static str, value: &str) -> Option<Answer> {
    let value = (value.len() <= ECHO_CHARS_MAX).then(|| HeaderValue::from_str(value).ok())??;
    Some(Answer { status: 200, headers: vec![(HeaderName::from_static(name), value)], body: Vec::new() })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::signature::{sign, verify};

    const NOW_MS: i64 = 1_763_654_400_000;

    /// A request of one method, with a query, headers and a body.
    struct Asks<'a>(&'a str, &'a str, &'a [(&'static str, &'a str)], &'a str);

    impl Asks<'_> {
        fn headers(&self) -> HeaderMap {
            let field = |(name, value): &(&'static str, &str)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            };
            self.2.iter().map(field).collect()
        }

        fn message<'a>(&'a self, headers: &'a HeaderMap) -> Message<'a> {
            Message { method: self.0, path: "/", query: self.1, headers, body: self.3.as_bytes(), public_url: None }
        }
    }

    fn scheme(auth: Value) -> Scheme {
        serde_json::from_value(auth).unwrap()
    }

    fn secrets() -> [Secret; 2] {
        ["old secret", "hush hush"].map(Secret::new)
    }

    /// The status and body of the answer, or of none, to a request that its sender has or has not signed.
    fn answered(auth: Value, asks: &Asks<'_>, signed: bool) -> Option<(u16, String)> {
        let (scheme, secrets) = (scheme(auth), secrets());
        let mut headers = asks.headers();
        if signed {
            let made = sign(&scheme, &secrets[1..], &asks.message(&headers.clone()), "msg-1", NOW_MS).unwrap();
            headers.extend(made.headers);
        }
        let message = asks.message(&headers);
        let proof = verify(&scheme, &secrets, &message, NOW_MS).ok();
        assert_eq!(proof.is_some(), signed);
        let answer = handshake(&scheme, &secrets, &message, proof.as_ref())?;
        Some((answer.status, String::from_utf8(answer.body).unwrap()))
    }

    fn ok(body: &str) -> Option<(u16, String)> {
        Some((200, body.to_owned()))
    }

    #[test]
    fn proven_questions_are_answered_and_unproven_ones_are_not() {
        for (name, body, answer) in [
            ("slack", r#"{"type":"url_verification","token":"t","challenge":"3eZbrw1a"}"#, "3eZbrw1a"),
            (
                "zoom",
                r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#,
                r#"{"encryptedToken":"ZOOM","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}"#,
            ),
            (
                "twitch",
                r#"{"challenge":"pogchamp-kappa","subscription":{"status":"webhook_callback_verification_pending"}}"#,
                "pogchamp-kappa",
            ),
        ] {
            let digest = hex::encode(hmac_sha256(b"hush hush", "qgg8vlvZRS6UYooatFL8Aw"));
            let asks = Asks("POST", "", &[], body);
            assert_eq!(answered(json!({"scheme": name}), &asks, true), ok(&answer.replace("ZOOM", &digest)), "{name}");
            assert_eq!(answered(json!({"scheme": name}), &asks, false), None, "{name}");
            let event = Asks("POST", "", &[], r#"{"type":"event_callback","event":"meeting.started"}"#);
            assert_eq!(answered(json!({"scheme": name}), &event, true), None, "{name}");
        }
    }

    #[test]
    fn discord_gets_its_pong_only_when_it_has_signed_the_ping() {
        let scheme = Scheme::named("discord").unwrap();
        let headers = HeaderMap::new();
        let ask = |body, proof| handshake(&scheme, &[], &Asks("POST", "", &[], body).message(&headers), proof);
        let proof = Proof::default();
        assert_eq!(ask(r#"{"type":1}"#, Some(&proof)).unwrap().body, br#"{"type":1}"#);
        assert_eq!(ask(r#"{"type":2}"#, Some(&proof)), None);
        assert_eq!(ask(r#"{"type":1}"#, None), None);
    }

    #[test]
    fn open_questions_are_answered_with_what_they_ask_for() {
        let meta = json!({"scheme": "meta", "verify_token": "meatyhamhock"});
        let graph = json!({"scheme": "bearer", "handshake": "microsoft-graph"});
        let events = json!({"scheme": "bearer", "handshake": "cloudevents"});
        let digest = BASE64_STANDARD.encode(hmac_sha256(b"old secret", "Crc_1-a"));
        let crc = format!(r#"{{"response_token":"sha256={digest}"}}"#);
        let okta: &[(&str, &str)] = &[("x-okta-verification-challenge", "a\"b")];
        let long = format!("challenge={}", "x".repeat(1025));
        for (auth, asks, answer) in [
            (
                meta.clone(),
                Asks("GET", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock", &[], ""),
                ok("1158201444"),
            ),
            (
                meta.clone(),
                Asks("GET", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=other", &[], ""),
                None,
            ),
            (
                meta.clone(),
                Asks("GET", "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock", &[], ""),
                None,
            ),
            (meta, Asks("POST", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock", &[], ""), None),
            (
                json!({"scheme": "meta"}),
                Asks("GET", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", &[], ""),
                None,
            ),
            (json!({"scheme": "x"}), Asks("GET", "crc_token=Crc_1-a&nonce=b", &[], ""), ok(&crc)),
            (json!({"scheme": "dropbox"}), Asks("GET", "challenge=a%3Cb%3E", &[], ""), ok("a<b>")),
            (json!({"scheme": "dropbox"}), Asks("GET", &long, &[], ""), None),
            (json!({"scheme": "dropbox"}), Asks("GET", "challenge=a%0Ab", &[], ""), None),
            (graph.clone(), Asks("POST", "validationToken=Validation%3a+Testing", &[], ""), ok("Validation: Testing")),
            (graph, Asks("POST", "", &[], "{}"), None),
            (json!({"scheme": "okta"}), Asks("GET", "", okta, ""), ok(r#"{"verification":"a\"b"}"#)),
            (
                json!({"scheme": "asana"}),
                Asks("POST", "", &[("x-hook-secret", "b537207f20cbfa02357cf448134da559")], ""),
                ok(""),
            ),
            (json!({"scheme": "trello"}), Asks("HEAD", "", &[], ""), ok("")),
            (json!({"scheme": "trello"}), Asks("POST", "", &[], ""), None),
            (events, Asks("OPTIONS", "", &[("webhook-request-origin", "eventemitter.example.com")], ""), ok("")),
            (json!({"scheme": "github"}), Asks("GET", "challenge=a", &[], ""), None),
        ] {
            assert_eq!(answered(auth.clone(), &asks, false), answer, "{auth} {} {}", asks.0, asks.1);
        }
    }

    #[test]
    fn what_is_repeated_in_headers_is_what_came() {
        let fields: &[(&str, &str)] = &[("webhook-request-origin", "a.example"), ("webhook-request-rate", "120")];
        let asks = Asks("OPTIONS", "", fields, "");
        let headers = asks.headers();
        let scheme = scheme(json!({"scheme": "bearer", "handshake": "cloudevents"}));
        let answer = handshake(&scheme, &[], &asks.message(&headers), None).unwrap();
        let told = answer.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let expected = ["webhook-allowed-origin: a.example", "webhook-allowed-rate: 120", "allow: POST"];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    /// Somebody without a secret sends a body to be signed as Zoom's challenge, and would use the answer as a signature.
    #[test]
    fn zoom_signs_nothing_for_strangers() {
        let wanted = format!("v0:{}:{{\"event\":\"meeting.deleted\"}}", NOW_MS / 1_000);
        let body = json!({"event": "endpoint.url_validation", "payload": {"plainToken": wanted}}).to_string();
        let stamp: &[(&str, &str)] = &[("x-zm-request-timestamp", "1763654400"), ("x-zm-signature", "v0=00")];
        assert_eq!(answered(json!({"scheme": "zoom"}), &Asks("POST", "", stamp, &body), false), None);
        // Nor does a proof by another scheme of the same hook help, since it names no secret.
        let (scheme, headers) = (Scheme::named("zoom").unwrap(), HeaderMap::new());
        let asks = Asks("POST", "", &[], &body);
        assert_eq!(handshake(&scheme, &secrets(), &asks.message(&headers), Some(&Proof::default())), None);
    }

    /// The same by X's challenge, which is answered to strangers: whatever it signs must be no body that passes.
    #[test]
    fn what_x_has_signed_for_strangers_passes_as_no_delivery() {
        let auth = || json!({"scheme": "x"});
        for token in ["{}", "[1]", "a=1", "\"a\"", "1.5", "a b", "", "%7B%7D"] {
            let query =
                format!("crc_token={}", url::form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>());
            assert_eq!(answered(auth(), &Asks("GET", &query, &[], ""), false), None, "{token}");
        }
        assert_eq!(answered(auth(), &Asks("GET", &format!("crc_token={}", "1".repeat(129)), &[], ""), false), None);
        for token in ["12345", "true", "null", "-1", "1e5", "event"] {
            let (_, told) = answered(auth(), &Asks("GET", &format!("crc_token={token}"), &[], ""), false).unwrap();
            let told: Value = serde_json::from_str(&told).unwrap();
            let signature = [("x-twitter-webhooks-signature", told["response_token"].as_str().unwrap())];
            let asks = Asks("POST", "", &signature, token);
            let headers = asks.headers();
            let refused = verify(&scheme(auth()), &secrets(), &asks.message(&headers), NOW_MS).unwrap_err();
            assert_eq!(refused, crate::signature::Refusal::BodyIsChallenge, "{token}");
        }
    }
}
