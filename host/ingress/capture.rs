//! A hook that only looks at what comes, while its owner finds out what a sender sends.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Serialize;

use super::receive::Arrival;
use super::record::{Entry, Shows};
use super::{Ingress, decode, prove};
use crate::hook::Hook;
use crate::id::RequestId;
use crate::problem::{Problem, kind};
use crate::store::Verdict;

/// The answer, whatever the dialect: nothing has run.
#[derive(Serialize)]
struct Captured {
    captured: bool,
    request_id: RequestId,
}

impl Ingress {
    /// Records a request and runs nothing. `unproven` is why it is not genuine, if it is not.
    pub(super) async fn capture(
        &self,
        hook: &Hook,
        arrival: &Arrival,
        body: Bytes,
        unproven: Option<String>,
    ) -> Result<(Verdict, Response), Problem> {
        if unproven.is_some() {
            self.failed(arrival);
        }
        if !self.may_record(Some(hook), Verdict::Captured) {
            let detail = format!("the hook captures {} requests in a second", self.0.options.recorded_per_s_max);
            return Err(Problem::new(&kind::RATE_LIMITED, detail));
        }
        let request = prove::visible(hook, arrival, body);
        // As the flow would take it; what it could not take is shown as it came.
        let request = decode::taken(&hook.spec, request.clone()).await.unwrap_or(request);
        let (reason, shows) = match unproven {
            None => ("genuine".to_owned(), Shows::Genuine(request)),
            Some(why) => (format!("not genuine: {why}"), Shows::Unproven(request)),
        };
        let status = StatusCode::ACCEPTED;
        let (verdict, status_told) = (Verdict::Captured, status.as_u16());
        let entry = Entry { verdict, status: status_told, code: None, reason, execution: None, shows };
        let request_id = self.record_durably(arrival, hook, entry).await?;
        Ok((verdict, (status, Json(Captured { captured: true, request_id })).into_response()))
    }
}
