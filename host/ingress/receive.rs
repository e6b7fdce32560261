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

use super::pace::Standing;
use super::prefer::answering;
use super::prove::Judged;
use super::record::{Entry, Shows};
use super::refuse::Refusal;
use super::respond::{Answered, plain};
use super::{Ingress, Peer, body, claims, decode, peer, prove, sift};
use crate::clock::{Stopwatch, Timestamp};
use crate::dialect::Dialect;
use crate::execution::{Order, Timings, trigger_of};
use crate::hook::Hook;
use crate::problem::{Problem, kind};
use crate::signature::{Answer, Proof, Scheme};
use crate::store::Verdict;
use crate::trigger;

/// A request as it came, without its body.
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    /// Who sends it, in front of all trusted proxies.
    pub(super) peer: IpAddr,
    pub(super) head: request::Parts,
    pub(super) watch: Stopwatch,
    /// What has been measured so far.
    pub(super) timings: Timings,
    /// Bytes of the body, once it was read.
    pub(super) body_bytes: Option<u64>,
    /// Where its hook stands after it.
    standing: Option<Standing>,
}

impl Arrival {
    /// The dialect of the path.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::of_path(self.head.uri.path())
    }

    /// Microseconds since it came.
    pub(super) fn elapsed_us(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_micros()).unwrap_or(u64::MAX)
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
    let (at, watch) = (ingress.0.parts.clock.now(), Stopwatch::start());
    let mut arrival = Arrival { at, peer, head, watch, timings: Timings::default(), body_bytes: None, standing: None };
    let mut response = match ingress.pass(&hook, &mut arrival, body).await {
        Ok((verdict, response)) => {
            ingress.0.parts.metrics.request(verdict.as_str());
            response
        }
        Err(refusal) => ingress.refuse(&arrival, refusal).await,
    };
    if let Some(standing) = arrival.standing {
        standing.tell(response.headers_mut());
    }
    response
}

impl Ingress {
    async fn pass(&self, name: &str, arrival: &mut Arrival, body: Body) -> Result<(Verdict, Response), Refusal> {
        if self.fails_too_often(arrival) {
            let detail = "too many requests from this address fail to prove who sent them";
            return Err(Refusal { problem: Problem::new(&kind::TOO_MANY_FAILURES, detail), reason: None, hook: None });
        }
        let hook = self.hook(name, arrival).await;
        if arrival.head.method != Method::POST && !hook.as_ref().is_ok_and(|hook| is_asked_by(hook, arrival)) {
            let open = hook.ok().filter(|hook| hook.spec.auth.iter().any(Scheme::is_none));
            let dialect = open.map_or(arrival.dialect(), |hook| hook.spec.dialect);
            return Ok((Verdict::Accepted, wrong_method(dialect)));
        }
        let hook = hook?;
        let refused = Refusal::of(&hook);
        let body = self.body(&hook, arrival, body).await.map_err(&refused)?;
        let (judged, captures) = (self.judge(&hook, arrival, &body), hook.spec.capture && hook.enabled);
        if let Judged::Unproven(reason) = judged {
            if captures {
                return self.capture(&hook, arrival, body, Some(reason)).await.map_err(&refused);
            }
            return Err(Refusal::unproven(reason, Some(hook.clone())));
        }
        if !hook.enabled {
            return Err(refused(Problem::new(&kind::HOOK_DISABLED, "the hook is disabled")));
        }
        let (scheme, proof) = match judged {
            Judged::Genuine(scheme, proof) if arrival.head.method == Method::POST => (scheme, proof),
            Judged::Asked(answer) => return Ok((Verdict::Accepted, answered(answer))),
            _ => return Ok((Verdict::Accepted, wrong_method(hook.spec.dialect))),
        };
        if captures {
            return self.capture(&hook, arrival, body, None).await.map_err(&refused);
        }
        arrival.standing = self.0.paces.take(&hook, self.0.parts.clock.now());
        if let Some(Standing { limit, refused_for_s: Some(seconds), .. }) = arrival.standing {
            let detail = format!("the hook takes {limit} requests in a minute");
            return Err(refused(Problem::new(&kind::RATE_LIMITED, detail).retry_after(seconds)));
        }
        self.trigger(&hook, arrival, (scheme, &proof), body).await.map_err(&refused)
    }

    async fn body(&self, hook: &Hook, arrival: &mut Arrival, body: Body) -> Result<Bytes, Problem> {
        let time = Duration::from_millis(self.0.options.body_ms_max);
        let body = body::read(&arrival.head.headers, body, hook.spec.body_bytes_max, time).await?;
        arrival.timings.body_us = Some(arrival.elapsed_us());
        arrival.body_bytes = Some(body.len() as u64);
        Ok(body)
    }

    fn judge<'a>(&self, hook: &'a Hook, arrival: &mut Arrival, body: &[u8]) -> Judged<'a> {
        let began_us = arrival.elapsed_us();
        let judged = prove::judge(hook, arrival, body, self.0.parts.clock.now());
        arrival.timings.proof_us = Some(arrival.elapsed_us() - began_us);
        judged
    }

    /// What becomes of a genuine request.
    async fn trigger(
        &self,
        hook: &Arc<Hook>,
        arrival: &Arrival,
        proof: (&Scheme, &Proof),
        body: Bytes,
    ) -> Result<(Verdict, Response), Problem> {
        let headers = &arrival.head.headers;
        let request = decode::taken(&hook.spec, prove::visible(hook, arrival, body)).await?;
        let (by, claims): (Vec<_>, Vec<_>) = claims::claims(hook, proof, headers, &request)?.into_iter().unzip();
        let trigger = trigger_of(hook, request, arrival.at)?;
        let unfit = hook.spec.filter.as_ref().and_then(|filter| filter.check(&sift::seen(&trigger)).err());
        if let Some(why) = unfit {
            let why = if trigger.confidential { why.without_content() } else { why };
            return Ok((Verdict::Filtered, self.filtered(hook, arrival, trigger.request, why.to_string()).await));
        }
        let target = self.0.parts.registry.resolve(hook.flow, &hook.spec.alias, trigger.session_id.as_deref()).await?;
        let order = Order { target, hook: Some(hook.clone()), trigger, claims, replay_of: None, parent: None };
        match self.execute(hook, order, answering(&hook.spec, headers)).await? {
            Answered::New(response) => Ok((Verdict::Accepted, response)),
            Answered::Again { response, execution, claim, same } => {
                let other = if same { "" } else { "; the rest of the request is not the same" };
                let entry = Entry {
                    verdict: Verdict::Duplicate,
                    status: response.status().as_u16(),
                    code: None,
                    reason: format!("{} came before, with {execution}{other}", by[claim].told()),
                    execution: Some(execution),
                    shows: Shows::Little,
                };
                self.record(arrival, Some(hook), entry).await;
                Ok((Verdict::Duplicate, response))
            }
        }
    }

    /// The answer to a request that the hook's filter does not want: its sender need not send it again.
    async fn filtered(&self, hook: &Hook, arrival: &Arrival, request: trigger::Request, why: String) -> Response {
        let response = plain(hook.spec.dialect.filtered());
        let entry = Entry {
            verdict: Verdict::Filtered,
            status: response.status().as_u16(),
            code: None,
            reason: why,
            execution: None,
            shows: Shows::Genuine(request),
        };
        self.record(arrival, Some(hook), entry).await;
        response
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
