//! The requests of a hook: those that made an execution and those that made none.

use serde::{Deserialize, Serialize};

use super::work::stored_trigger;
use super::{Error, Executions};
use crate::clock::Timestamp;
use crate::dialect::Malformed;
use crate::hook::Hook;
use crate::id::{self, ExecutionId, HookId, RequestId, WorkspaceId};
use crate::store::{Execution, Page, Recorded, Verdict};
use crate::trigger::{Request, Trigger};

/// What came to a hook.
#[derive(Debug, Clone)]
pub enum Came {
    /// It made this execution.
    Accepted(Box<Execution>),
    /// It made none.
    Recorded(Box<Recorded>),
}

impl Came {
    /// Its id. A request has the bytes of the id of the execution that it made.
    pub fn id(&self) -> RequestId {
        match self {
            Self::Accepted(execution) => RequestId::from_bytes(*execution.id.as_bytes()),
            Self::Recorded(recorded) => recorded.id,
        }
    }
}

/// What is on record of a request, beside its body. Its JSON is [`Recorded::detail`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The request, without credentials.
    pub request: Request,
    /// The names of all headers, those of credentials too.
    pub header_names: Vec<String>,
    /// Bytes of the body; none when it was not read.
    pub body_bytes: Option<u64>,
    /// Whether it was proven genuine.
    pub genuine: bool,
    /// How long it took.
    pub timings: Timings,
}

/// Where the time went, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Until the body was there.
    pub body_us: Option<u64>,
    /// To hold it against the hook's schemes.
    pub proof_us: Option<u64>,
    /// From its arrival to its answer.
    pub answered_us: u64,
}

/// What happened, as a request to a hook tells it in the hook's dialect.
pub fn trigger_of(hook: &Hook, request: Request, received_at: Timestamp) -> Result<Trigger, Malformed> {
    let payload = hook.spec.dialect.parse(&request)?;
    Ok(Trigger {
        hook: Some(hook.id),
        dialect: hook.spec.dialect.name(),
        received_at_ms: received_at.unix_ms_unsigned(),
        message: payload.message,
        user_id: payload.user_id,
        session_id: payload.session_id,
        data: payload.data,
        metadata: payload.metadata,
        confidential: hook.spec.disable_sensitive_logging,
        request,
    })
}

impl Executions {
    /// A part of what came to a hook and had one of these verdicts, newest first, without bodies; without a hook, of what
    /// was for none that there is.
    pub async fn requests(
        &self,
        hook: Option<HookId>,
        verdicts: &[Verdict],
        page: Page<id::Request>,
    ) -> Result<Vec<Came>, Error> {
        let store = &self.0.parts.store;
        // Those that have just been answered are in it too.
        store.flush().await?;
        let accepted = match hook.filter(|_| verdicts.contains(&Verdict::Accepted)) {
            Some(hook) => store.requests_accepted(hook, page).await?,
            None => Vec::new(),
        };
        let others = verdicts.iter().copied().filter(|verdict| *verdict != Verdict::Accepted).collect();
        let others = store.requests(hook, others, page).await?;
        let others = others.into_iter().map(|one| Came::Recorded(Box::new(one)));
        let mut all = accepted.into_iter().map(|one| Came::Accepted(Box::new(one))).chain(others).collect::<Vec<_>>();
        all.sort_by(|a, b| b.id().as_bytes().cmp(a.id().as_bytes()));
        all.truncate(page.limit as usize);
        Ok(all)
    }

    /// One request of a workspace, whole.
    pub async fn request(&self, workspace: WorkspaceId, id: RequestId) -> Result<Came, Error> {
        self.0.parts.store.flush().await?;
        if let Some(recorded) = self.0.parts.store.request_find(Some(workspace), id).await? {
            return Ok(Came::Recorded(Box::new(recorded)));
        }
        let execution = ExecutionId::from_bytes(*id.as_bytes());
        let found = self.0.parts.store.execution_find(workspace, execution).await?;
        // A replay has come to no hook.
        let found = found.filter(|found| found.hook.is_some() && found.replay_of.is_none());
        found.map(|found| Came::Accepted(Box::new(found))).ok_or(Error::UnknownRequest(id))
    }

    /// One request that was for no hook that there is, whole.
    pub async fn stray_request(&self, id: RequestId) -> Result<Came, Error> {
        let found = self.0.parts.store.request_find(None, id).await?;
        found.map(|found| Came::Recorded(Box::new(found))).ok_or(Error::UnknownRequest(id))
    }
}

impl Came {
    /// Whether its body was kept, so that it can be replayed.
    pub fn keeps_body(&self) -> bool {
        match self {
            Self::Recorded(recorded) => recorded.kept_bytes.is_some(),
            // What is shown of a confidential trigger is never too long for a list.
            Self::Accepted(execution) => !stored_trigger(execution).is_ok_and(|trigger| trigger.confidential),
        }
    }

    /// The request itself, without its body; none when nothing of it was kept or read.
    pub fn detail(&self) -> Option<Detail> {
        match self {
            Self::Recorded(recorded) => serde_json::from_str(&recorded.detail).ok(),
            Self::Accepted(execution) => {
                let Trigger { request, .. } = stored_trigger(execution).ok()?;
                let body_bytes = Some(request.body.len() as u64).filter(|bytes| *bytes > 0);
                Some(Detail { request, body_bytes, genuine: true, ..Detail::default() })
            }
        }
    }
}
