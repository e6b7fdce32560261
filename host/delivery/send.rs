//! One attempt: the request, and the record of it.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method};

use super::answer::Verdict;
use super::receivers::Receiver;
use super::reshape::Shape;
use super::{Deliveries, Error, Options};
use url::Url;

use crate::clock::{Stopwatch, Timestamp};
use crate::egress;
use crate::id::{AttemptId, DeliveryId};
use crate::signature;
use crate::store::{self, Attempt, Delivery, Lease, NewDelivery, Target};
use crate::subscription::{Message, Signed, Subscription};
use crate::transform::{Event, Made, Record};

/// Bytes of all headers of an answer that are recorded.
const HEADER_BYTES_MAX: usize = 8 << 10;

/// What would be sent.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The request; none where the transform made nothing of it.
    pub request: Option<(Signed, Bytes)>,
    /// What the transform did, where the subscription has one.
    pub transform: Option<Record>,
}

/// What an attempt came to.
pub(super) struct Sent {
    pub(super) attempt: Attempt,
    pub(super) verdict: Verdict,
}

impl Deliveries {
    /// What would be sent to the receiver of a subscription now. Only what the connection adds is not in it, and an access
    /// token that would have to be fetched.
    pub async fn preview(
        &self,
        subscription: &Subscription,
        receiver: &Url,
        id: DeliveryId,
        message: &Message,
    ) -> Result<Preview, signature::Error> {
        let (id, now) = (id.to_string(), self.0.parts.clock.now());
        let (mut body, mut record) = (message.body.clone(), None);
        if let Some(transform) = &subscription.spec.transform {
            let event = Event { id: &id, kind: &message.name, at: now, payload: &body };
            let (made, ran) = self.0.parts.transforms.run(subscription, transform, event).await;
            match made {
                Made::Body(made) => (body, record) = (made, Some(ran)),
                _ => return Ok(Preview { request: None, transform: Some(ran) }),
            }
        }
        let reshaped = record.as_ref().and_then(|record| record.message.as_ref());
        let signed = subscription.request(receiver, &id, &body, reshaped, 1, now).map(with_agent)?;
        Ok(Preview { request: Some((signed, body)), transform: record })
    }

    /// Sends something to a subscription that tells of no event. What comes of it is on record like any delivery.
    pub async fn send_trial(
        &self,
        subscription: &Subscription,
        receiver: &Url,
        id: DeliveryId,
        message: Message,
    ) -> Result<(), Error> {
        let target = Target::Subscription(subscription.id);
        let new = NewDelivery {
            id,
            target,
            // A trial does not wait for others, nor do others wait for it.
            lane: None,
            created_at: self.0.parts.clock.now(),
            url: receiver.to_string(),
            event: message.name,
            body: message.body,
            said: None,
            confidential: false,
        };
        self.0.parts.store.delivery_create(subscription.workspace, new).await?;
        self.wake([target]);
        Ok(())
    }

    /// Sends a delivery once, reshaped before. None when it has ended without that; an error when it may have been taken
    /// over, so that nothing was sent.
    pub(super) async fn attempt(
        &self,
        lease: Lease,
        delivery: &mut Delivery,
        receiver: &Receiver,
    ) -> Result<Option<Sent>, store::Error> {
        let (parts, options) = (&self.0.parts, &self.0.options);
        let (at, watch) = (parts.clock.now(), Stopwatch::start());
        let mut attempt = Attempt {
            id: AttemptId::at(at.unix_ms_unsigned()),
            n: delivery.attempts + 1,
            at,
            url: receiver.url.to_string(),
            request: "[]".to_owned(),
            status: None,
            response: None,
            answer: Bytes::new(),
            error: None,
            blame: None,
            duration_ms: 0,
            timings: None,
        };
        let verdict = match self.reshape(lease, delivery, receiver).await? {
            Shape::Filtered => return Ok(None),
            Shape::Not(verdict) => verdict,
            Shape::Ready => match request(delivery, receiver, at, options) {
                Ok(request) => {
                    attempt.request = pairs(&request.headers, usize::MAX);
                    let sent = match &receiver.credentials {
                        Some(credentials) => self.0.tokens.send(credentials, request).await,
                        None => parts.client.send(request).await,
                    };
                    note(&mut attempt, &sent, options);
                    Verdict::of(&sent, parts.clock.now(), Duration::from_secs(options.retry_after_s_max))
                }
                Err(error) => Verdict::unsendable(error),
            },
        };
        attempt.duration_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        attempt.error = verdict.failure.as_ref().map(|failure| failure.error.clone());
        attempt.blame = verdict.failure.as_ref().map(|failure| failure.blame);
        if receiver.confidential {
            forget(&mut attempt);
        }
        Ok(Some(Sent { attempt, verdict }))
    }
}

/// Says who sends, for the receivers that ask.
fn with_agent(mut signed: Signed) -> Signed {
    let agent = HeaderValue::from_static(concat!("flowgate/", env!("CARGO_PKG_VERSION")));
    signed.headers.entry(USER_AGENT).or_insert(agent);
    signed
}

/// The request, or why there can be none.
fn request(
    delivery: &Delivery,
    receiver: &Receiver,
    at: Timestamp,
    options: &Options,
) -> Result<egress::Request, String> {
    let identity = receiver.identity.clone().transpose().map_err(|error| error.to_string())?;
    let Signed { url, headers } = with_agent(receiver.request(delivery, at).map_err(|error| error.to_string())?);
    Ok(egress::Request {
        method: Method::POST,
        url,
        headers,
        body: delivery.body.clone().into(),
        deadline: Duration::from_millis(options.attempt_ms_max),
        identity,
    })
}

/// Puts what came back on record.
fn note(attempt: &mut Attempt, sent: &Result<egress::Answer, egress::Error>, options: &Options) {
    let timings = match sent {
        Ok(answer) => answer.timings,
        Err(error) => error.timings(),
    };
    attempt.timings = serde_json::to_string(&timings).ok();
    let Ok(answer) = sent else { return };
    attempt.status = Some(answer.status.as_u16());
    attempt.response = Some(pairs(&answer.headers, HEADER_BYTES_MAX));
    attempt.answer = answer.body.slice(..answer.body.len().min(options.answer_bytes_max));
}

/// Leaves nothing that the receiver may have repeated.
fn forget(attempt: &mut Attempt) {
    attempt.answer = Bytes::new();
    attempt.response = None;
    let refused = attempt.status.filter(|_| attempt.error.is_some());
    attempt.error = refused.map(|status| format!("the receiver answered {status}")).or(attempt.error.take());
}

/// Headers as a JSON list of pairs, credentials blanked out, until they have more bytes than `bytes_max`.
fn pairs(headers: &HeaderMap, bytes_max: usize) -> String {
    let mut left = bytes_max;
    let kept = headers.iter().map_while(|(name, value)| {
        let shown = if value.is_sensitive() { "[redacted]".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        left = left.checked_sub(name.as_str().len() + shown.len())?;
        Some((name.as_str(), shown))
    });
    serde_json::to_string(&kept.collect::<Vec<_>>()).expect("pairs of texts have a JSON form")
}
