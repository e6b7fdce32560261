//! From an execution to the answer in the hook's dialect.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode, header};
use axum::response::Response;

use super::Ingress;
use super::prefer::Answering;
use crate::clock::Timestamp;
use crate::dialect::{Answer, Dialect, View};
use crate::execution::{Done, Ended, Order};
use crate::hook::Hook;
use crate::id::ExecutionId;
use crate::problem::{Problem, kind, of_done};
use crate::sse;
use crate::store::Status;

/// The answer to a genuine request.
pub(super) enum Answered {
    /// It made an execution.
    New(Response),
    /// It came before.
    Again {
        response: Response,
        /// The execution that it made then.
        execution: ExecutionId,
        /// Which of its claims says so, counted from 0.
        claim: usize,
        /// False when the rest of it was not the same.
        same: bool,
    },
}

impl Ingress {
    pub(super) async fn execute(&self, hook: &Hook, order: Order, how: Answering) -> Result<Answered, Problem> {
        let executions = &self.0.parts.executions;
        let flow = order.target.name.clone();
        // Claims but the caller's own key are how a sender's retry is known.
        let is_retry = order.claims.iter().map(|claim| claim.until_failure).collect::<Vec<_>>();
        let ended = match how {
            Answering::Wait(patience) => executions.wait(order, patience).await?,
            Answering::Accept(Duration::ZERO) => executions.accept(order).await?,
            Answering::Accept(patience) => executions.accept_and_wait(order, patience).await?,
            Answering::Stream => match executions.stream(order).await? {
                Ok(follow) => return Ok(Answered::New(sse::response(follow))),
                Err(seen) => seen,
            },
        };
        match ended {
            Ended::Done(id, done) => of_end(hook, &flow, id, &done).map(Answered::New),
            Ended::Going(id) => Ok(Answered::New(self.going(hook, &flow, id, Status::Queued).await)),
            Ended::Seen { claim, same: false, .. } if !is_retry[claim] => {
                let detail = "this key came before, with another request";
                Err(Problem::new(&kind::KEY_REUSED, detail))
            }
            Ended::Seen { execution, claim, same } => {
                let response = self.again(hook, &flow, execution, how, is_retry[claim]).await?;
                Ok(Answered::Again { response, execution, claim, same })
            }
        }
    }

    /// The answer to a caller whose execution goes on.
    async fn going(&self, hook: &Hook, flow: &str, id: ExecutionId, status: Status) -> Response {
        let mut estimate = None;
        if hook.spec.dialect.estimates() {
            let estimated = self.0.parts.executions.estimate(hook.workspace, hook.flow).await;
            estimate = estimated.ok().map(estimate_told);
        }
        let view = View { estimated_at: estimate.as_deref(), ..view(hook, flow, id, status) };
        let mut response = response(hook.spec.dialect.accepted(&view), id);
        if hook.spec.dialect == Dialect::Native {
            response.headers_mut().insert("preference-applied", HeaderValue::from_static("respond-async"));
        }
        response
    }

    /// The answer to a request that was seen before: what the first one got or would get now. A sender that repeats
    /// itself is not told that the first one is still under way as if that were an error, since it would repeat itself again.
    async fn again(
        &self,
        hook: &Hook,
        flow: &str,
        id: ExecutionId,
        how: Answering,
        is_retry: bool,
    ) -> Result<Response, Problem> {
        let executions = &self.0.parts.executions;
        if how == Answering::Stream {
            return Ok(replayed(sse::response(executions.follow(hook.workspace, id, None).await?)));
        }
        let execution = executions.find(hook.workspace, id).await?;
        let in_dialect = |problem: Problem| problem.in_dialect(hook.spec.dialect);
        let answer = match (Done::of(&execution), how) {
            (_, Answering::Accept(_)) => self.going(hook, flow, id, execution.status).await,
            (Some(done), _) => of_end(hook, flow, id, &done).unwrap_or_else(in_dialect),
            (None, _) if is_retry => self.going(hook, flow, id, execution.status).await,
            (None, _) => {
                let detail = "the first request with this key is still being executed";
                return Ok(in_dialect(Problem::new(&kind::STILL_RUNNING, detail).about(id)));
            }
        };
        Ok(replayed(answer))
    }
}

/// When an execution that is accepted now will probably have ended, in whole seconds.
fn estimate_told(at: Timestamp) -> String {
    let whole = Timestamp::from_unix_ms(at.unix_ms().div_euclid(1_000) * 1_000).after(Duration::from_secs(1));
    whole.to_string().replace(".000Z", "Z")
}

fn of_end(hook: &Hook, flow: &str, id: ExecutionId, done: &Done) -> Result<Response, Problem> {
    if let Some(problem) = of_done(id, done) {
        return Err(problem);
    }
    let view = View { reply: done.reply(), ..view(hook, flow, id, done.status) };
    Ok(response(hook.spec.dialect.answer(&view), id))
}

fn view<'a>(hook: &Hook, flow: &'a str, execution: ExecutionId, status: Status) -> View<'a> {
    View { hook: Some(hook.id), ..View::new(execution, flow, status.as_str()) }
}

fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// Headers that belong to the connection, which a flow does not own (RFC 9110 §7.6.1).
const OF_CONNECTION: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
];

fn response(answer: Answer, id: ExecutionId) -> Response {
    let mut response = plain(answer);
    let id = HeaderValue::from_str(&id.to_string()).expect("an id is plain text");
    response.headers_mut().insert("flowgate-execution-id", id);
    response
}

/// An answer that is about no execution.
pub(super) fn plain(answer: Answer) -> Response {
    let mut response = HttpResponse::new(answer.body.into());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    for field in answer.headers {
        let pair = (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_maybe_shared(field.value));
        if let (Ok(name), Ok(value)) = pair
            && !OF_CONNECTION.contains(&name)
            && name != "keep-alive"
        {
            headers.append(name, value);
        }
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
