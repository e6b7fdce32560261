//! One request, from its first byte to its answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::ALLOW;
use axum::http::request;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::pace::Standing;
use super::prefer::answering;
use super::prove::Verdict;
use super::refuse::Refusal;
use super::{Ingress, Peer, body, decode, peer, prove};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::execution::Order;
use crate::hook::Hook;
use crate::problem::{Problem, kind};
use crate::signature::{Answer, Proof, Scheme};
use crate::store::Idempotency;
use crate::trigger::Trigger;

/// The longest idempotency key.
const KEY_BYTES_MAX: usize = 255;

/// A request as it came, without its body.
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    /// Who sends it, in front of all trusted proxies.
    pub(super) peer: IpAddr,
    pub(super) head: request::Parts,
}

impl Arrival {
    /// The dialect of the path.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::of_path(self.head.uri.path())
    }
}

pub(super) async fn receive(
    State(ingress): State<Ingress>,
    Path(hook): Path<String>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let connected = head.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let peer = peer::caller(&ingress.0.options, connected, &head.headers);
    let arrival = Arrival { at: ingress.0.parts.clock.now(), peer, head };
    let mut standing = None;
    let mut response = match ingress.pass(&hook, &arrival, body, &mut standing).await {
        Ok(response) => {
            ingress.0.parts.metrics.request("accepted");
            response
        }
        Err(refusal) => ingress.refuse(&arrival, refusal).await,
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}

impl Ingress {
    async fn pass(
        &self,
        name: &str,
        arrival: &Arrival,
        body: Body,
        standing: &mut Option<Standing>,
    ) -> Result<Response, Refusal> {
        if self.fails_too_often(arrival) {
            let detail = "too many requests from this address fail to prove who sent them";
            return Err(Refusal { problem: Problem::new(&kind::TOO_MANY_FAILURES, detail), reason: None, hook: None });
        }
        let hook = self.hook(name, arrival).await;
        if arrival.head.method != Method::POST && !hook.as_ref().is_ok_and(|hook| is_asked_by(hook, arrival)) {
            let open = hook.ok().filter(|hook| hook.spec.auth.iter().any(Scheme::is_none));
            return Ok(wrong_method(open.map_or(arrival.dialect(), |hook| hook.spec.dialect)));
        }
        let hook = hook?;
        let refused = Refusal::of(&hook);
        let time = Duration::from_millis(self.0.options.body_ms_max);
        let body = body::read(&arrival.head.headers, body, hook.spec.body_bytes_max, time).await.map_err(&refused)?;
        let verdict = prove::judge(&hook, arrival, &body, self.0.parts.clock.now());
        if let Verdict::Unproven(reason) = verdict {
            return Err(Refusal::unproven(reason, Some(hook.clone())));
        }
        if !hook.enabled {
            return Err(refused(Problem::new(&kind::HOOK_DISABLED, "the hook is disabled")));
        }
        let proof = match verdict {
            Verdict::Genuine(proof) if arrival.head.method == Method::POST => proof,
            Verdict::Asked(answer) => return Ok(answered(answer)),
            _ => return Ok(wrong_method(hook.spec.dialect)),
        };
        *standing = self.0.paces.take(&hook, self.0.parts.clock.now());
        if let Some(Standing { limit, refused_for_s: Some(seconds), .. }) = *standing {
            let detail = format!("the hook takes {limit} requests in a minute");
            return Err(refused(Problem::new(&kind::RATE_LIMITED, detail).retry_after(seconds)));
        }
        let order = self.order(&hook, arrival, body, &proof).await.map_err(&refused)?;
        let how = answering(&hook.spec, &arrival.head.headers);
        self.execute(&hook, order, how).await.map_err(&refused)
    }

    /// The hook that a path leads to, for an address that may send to it. A product's own path leads only to hooks that speak its dialect.
    async fn hook(&self, name: &str, arrival: &Arrival) -> Result<Arc<Hook>, Refusal> {
        let unknown =
            || Refusal::unproven(format!("there is no hook `{}`", name.chars().take(80).collect::<String>()), None);
        let found = self.0.parts.hooks.at(arrival.dialect(), name).await;
        let found = found.map_err(|error| Refusal { problem: error.into(), reason: None, hook: None })?;
        let hook = found.ok_or_else(unknown)?;
        match peer::outside(&hook, arrival.peer) {
            None => Ok(hook),
            Some(reason) => Err(Refusal::unproven(reason, Some(hook))),
        }
    }

    async fn order(&self, hook: &Arc<Hook>, arrival: &Arrival, body: Bytes, proof: &Proof) -> Result<Order, Problem> {
        let request = decode::taken(&hook.spec, prove::visible(hook, arrival, body)).await?;
        let idempotency = idempotency(arrival, proof, &request)?;
        let payload = hook.spec.dialect.parse(&request)?;
        let target = self.0.parts.registry.resolve(hook.flow, &hook.spec.alias).await?;
        let trigger = Trigger {
            hook: Some(hook.id),
            dialect: hook.spec.dialect.name(),
            received_at_ms: arrival.at.unix_ms_unsigned(),
            message: payload.message,
            user_id: payload.user_id,
            session_id: payload.session_id,
            data: payload.data,
            metadata: payload.metadata,
            confidential: hook.spec.disable_sensitive_logging,
            request,
        };
        Ok(Order { target, hook: Some(hook.clone()), trigger, idempotency, replay_of: None })
    }
}

/// Whether senders of one of the hook's schemes ask by this method whether they may send.
fn is_asked_by(hook: &Hook, arrival: &Arrival) -> bool {
    let method = Some(arrival.head.method.as_str());
    hook.spec.auth.iter().any(|scheme| scheme.handshake_method() == method)
}

fn wrong_method(dialect: Dialect) -> Response {
    let mut response = Problem::new(&kind::METHOD_NOT_ALLOWED, "a hook takes POST").in_dialect(dialect);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn answered(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    response.headers_mut().extend(answer.headers);
    response
}

/// What makes the request one that was seen before: the key that the caller gives, or else the id that its signature
/// covers.
fn idempotency(
    arrival: &Arrival,
    proof: &Proof,
    request: &crate::trigger::Request,
) -> Result<Option<Idempotency>, Problem> {
    let mut given = arrival.head.headers.get_all("idempotency-key").iter();
    let key = match (given.next(), given.next()) {
        (None, _) => proof.id.as_ref().map(|id| id.as_bytes().to_vec()),
        (Some(key), None) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Some(key.as_bytes().to_vec()),
        _ => {
            let message = format!("one value of 1 to {KEY_BYTES_MAX} characters is allowed");
            return Err(Problem::field("idempotency-key", message));
        }
    };
    let fingerprint = || {
        let mut hash = Sha256::new();
        for part in [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&request.body);
        hash.finalize().into()
    };
    Ok(key.map(|key| Idempotency { key: Sha256::digest(&key).into(), fingerprint: fingerprint() }))
}
