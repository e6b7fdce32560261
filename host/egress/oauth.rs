//! Access tokens by OAuth2 client credentials (RFC 6749 §4.4), for receivers that want one.
//!
//! Tokens are asked for by the same guarded client, kept until shortly before they expire, and asked for once when many
//! requests need one at the same time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::trace::Trace;
use super::{Answer, Cause, Client, Error, Kind, Request};
use crate::clock::{Clock, Stopwatch, Timestamp};

/// What a token server knows us by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where tokens are to be had.
    pub token_url: Url,
    /// Our name there.
    pub client_id: String,
    /// Our password there.
    pub client_secret: Zeroizing<String>,
    /// What the token is to allow, words with spaces between; none for what the server gives anyway.
    pub scope: Option<String>,
    /// How name and password are sent.
    pub client_auth: ClientAuth,
    /// Further parameters that some servers want, such as `audience`.
    pub parameters: Vec<(String, String)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How a client proves itself to a token server (RFC 6749 §2.3.1). In JSON `basic` or `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// By an `authorization: Basic` header, which every server must know.
    #[default]
    Basic,
    /// By `client_id` and `client_secret` in the body.
    Body,
}

/// Tokens for which there is a place. One more, and the one that was used least is asked for again when it is needed.
const TOKENS_MAX: u64 = 10_000;

/// How long a token is good for that does not say it.
const EXPIRES_S: u64 = 300;

/// How long before its end a token is not used any more, if it is good for twice as long.
const LEEWAY: Duration = Duration::from_secs(30);

/// Sends requests with access tokens. Clones share the tokens.
#[derive(Clone)]
pub struct Tokens {
    client: Client,
    clock: Clock,
    slots: Cache<[u8; 32], Arc<Mutex<Slot>>>,
}

/// The place of a token. Whoever holds the lock asks for it, and the others wait.
#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// The last failure, for those who have waited for it.
    failed: Option<(Stopwatch, Cause)>,
}

#[derive(Clone)]
struct Token {
    bearer: HeaderValue,
    good_until: Timestamp,
    /// Tells tokens apart without comparing them.
    made: Uuid,
    /// Whether it was there before it was needed.
    kept: bool,
}

impl Tokens {
    /// Without any token yet.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, slots: Cache::new(TOKENS_MAX) }
    }

    /// Sends a request as [`Client::send`] does, with an access token in `authorization`. Asking for a token counts against
    /// its deadline. If the receiver answers 401 to a token that was kept, a new one is asked for and the request sent once
    /// more, unless its body is a stream.
    ///
    /// Without a token nothing is sent, and the error is [`Cause::Token`].
    pub async fn send(&self, credentials: &Credentials, mut request: Request) -> Result<Answer, Error> {
        let (watch, trace, deadline) = (Stopwatch::start(), Trace::start(), request.deadline);
        let left = || deadline.saturating_sub(watch.elapsed());
        let token = self.token(credentials, deadline).await.map_err(|cause| Error::new(cause, &trace))?;
        let again = request.again();
        request.bear(&token, left());
        let answer = self.client.send(request).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.forget(credentials, &token).await;
        // A receiver that refuses a token which was only just made will refuse the next one too.
        let Some(mut again) = again.filter(|_| token.kept) else { return Ok(answer) };
        let Ok(token) = self.token(credentials, left()).await else { return Ok(answer) };
        again.bear(&token, left());
        self.client.send(again).await
    }

    /// The token that is kept, or a new one.
    async fn token(&self, credentials: &Credentials, deadline: Duration) -> Result<Token, Cause> {
        let watch = Stopwatch::start();
        let slot = self.slot(credentials);
        let failed = |reason: String| Cause::Token { host: host(&credentials.token_url), reason };
        let waited = tokio::time::timeout(deadline, slot.lock()).await;
        let mut slot = waited.map_err(|_| failed(format!("no answer within {} ms", deadline.as_millis())))?;
        if let Some(token) = slot.token.as_ref().filter(|token| self.clock.now() < token.good_until) {
            return Ok(Token { kept: true, ..token.clone() });
        }
        if let Some((_, cause)) = slot.failed.as_ref().filter(|(since, _)| since.elapsed() < watch.elapsed()) {
            return Err(cause.clone());
        }
        let asked = self.ask(credentials, deadline.saturating_sub(watch.elapsed())).await;
        let asked = asked.map_err(|refused| match refused {
            NoToken::Unasked(error) if error.is_local() || error.kind() == Kind::Proxy => error.cause().clone(),
            NoToken::Unasked(error) => failed(error.to_string()),
            NoToken::Answered(reason) => failed(reason),
        });
        slot.token = asked.as_ref().ok().cloned();
        slot.failed = asked.as_ref().err().map(|cause| (Stopwatch::start(), cause.clone()));
        asked
    }

    /// Forgets a token that was refused, if it is still the one that is kept.
    async fn forget(&self, credentials: &Credentials, refused: &Token) {
        let slot = self.slot(credentials);
        let mut slot = slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| token.made == refused.made) {
            slot.token = None;
        }
    }

    fn slot(&self, credentials: &Credentials) -> Arc<Mutex<Slot>> {
        self.slots.get_with(credentials.digest(), Arc::default)
    }

    async fn ask(&self, credentials: &Credentials, deadline: Duration) -> Result<Token, NoToken> {
        let now = self.clock.now();
        let answer = self.client.send(credentials.request(deadline)).await.map_err(NoToken::Unasked)?;
        if answer.truncated {
            return Err(NoToken::Answered("the answer is too long".to_owned()));
        }
        if !answer.status.is_success() {
            return Err(NoToken::Answered(refusal(&answer, &credentials.client_secret)));
        }
        granted(&answer.body, now).map_err(|reason| NoToken::Answered(reason.to_owned()))
    }
}

enum NoToken {
    Unasked(Error),
    Answered(String),
}

impl Credentials {
    /// Tells whose tokens are whose. The secret is in it: who does not know it must not get a token that another got by it.
    fn digest(&self) -> [u8; 32] {
        let parts = (self.token_url.as_str(), &self.client_id, &*self.client_secret, &self.scope, self.client_auth);
        let parts = Zeroizing::new(serde_json::to_vec(&(parts, &self.parameters)).expect("texts have a JSON form"));
        Sha256::digest(&*parts).into()
    }

    fn request(&self, deadline: Duration) -> Request {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(self.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(&self.parameters);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        match self.client_auth {
            ClientAuth::Basic => headers.extend(self.basic().map(|value| (AUTHORIZATION, value))),
            ClientAuth::Body => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", &self.client_secret);
            }
        }
        let (method, url, body) = (Method::POST, self.token_url.clone(), form.finish().into());
        Request { method, url, headers, body, deadline, identity: None }
    }

    /// Name and password are encoded as in a form before they are joined, which is particular to OAuth2.
    fn basic(&self) -> Option<HeaderValue> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Zeroizing::new(format!("{}:{}", encoded(&self.client_id), encoded(&self.client_secret)));
        sensitive(&format!("Basic {}", BASE64_STANDARD.encode(&*pair)))
    }
}

impl Request {
    /// The same request once more; none if its body is made while it is sent.
    fn again(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.again()?,
            deadline: self.deadline,
            identity: self.identity.clone(),
        })
    }

    fn bear(&mut self, token: &Token, deadline: Duration) {
        self.headers.insert(AUTHORIZATION, token.bearer.clone());
        self.deadline = deadline;
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A token server's good answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    /// Seconds; some servers write them as text.
    expires_in: Option<Value>,
}

/// The token in an answer. The reasons do not quote it, since half a token may be in it.
fn granted(body: &[u8], now: Timestamp) -> Result<Token, &'static str> {
    let granted: Granted = serde_json::from_slice(body).map_err(|_| "the answer is not a token in JSON")?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err("the token is not a bearer token");
    }
    let seconds = match &granted.expires_in {
        None | Some(Value::Null) => Some(EXPIRES_S),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    let life = Duration::from_secs(seconds.ok_or("`expires_in` is not a number of seconds")?);
    let bearer = sensitive(&format!("Bearer {}", granted.access_token)).ok_or("the token cannot be a header")?;
    Ok(Token { bearer, good_until: now.after(life - LEEWAY.min(life / 2)), made: Uuid::now_v7(), kept: false })
}

/// A token server's bad answer (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

/// What a token server says about a request that it refuses, without our secret if it says that too.
fn refusal(answer: &Answer, secret: &str) -> String {
    let status = answer.status.as_u16();
    let Ok(Refused { error, error_description }) = serde_json::from_slice(&answer.body) else {
        return format!("it answered {status}");
    };
    let words = error_description.map_or(error.clone(), |description| format!("{error}: {description}"));
    let words = if secret.is_empty() { words } else { words.replace(secret, "***") };
    let words: String = words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    format!("it answered {status}, {words}")
}

/// Characters of a token server's words that are shown.
const WORDS_MAX: usize = 300;

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}
