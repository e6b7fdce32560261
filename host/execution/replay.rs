//! The same trigger again, for another version of its flow if that is wanted.

use std::sync::Arc;

use super::request::{Came, Detail, trigger_of};
use super::work::stored_trigger;
use super::{Ended, Error, Executions, Order};
use crate::hook::Hook;
use crate::id::{Digest, ExecutionId, FlowId, RequestId, WorkspaceId};
use crate::registry::{self, Target};
use crate::store::{self, Origin, Recorded, Verdict};

/// Which version a trigger is given to again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// What the hook's alias stands for now, or the alias `live` where there is no hook.
    Current,
    /// What this alias stands for now.
    Alias(String),
    /// This one.
    Version(Digest),
}

impl Executions {
    /// Gives the trigger of an execution to a version again. Durable when it returns.
    pub async fn replay(&self, workspace: WorkspaceId, id: ExecutionId, which: &Which) -> Result<ExecutionId, Error> {
        let old = self.find(workspace, id).await?;
        let hook = match old.hook {
            Some(hook) => self.0.parts.hooks.find(hook).await.ok().flatten(),
            None => None,
        };
        let target = self.target(old.flow, hook.as_deref(), old.session.as_deref(), which).await?;
        let trigger = stored_trigger(&old)?;
        if trigger.confidential {
            return Err(Error::Forgotten(id));
        }
        let replay_of = Some(Origin::Execution(id));
        self.accept(Order { target, hook, trigger, claims: Vec::new(), replay_of, parent: None }).await.map(Ended::id)
    }

    /// Gives a request that is on record to a version, past the hook's filter. Durable when it returns; true when the
    /// request was proven genuine.
    pub async fn replay_request(
        &self,
        workspace: WorkspaceId,
        id: RequestId,
        which: &Which,
    ) -> Result<(ExecutionId, bool), Error> {
        let recorded = match self.request(workspace, id).await? {
            Came::Accepted(execution) => return Ok((self.replay(workspace, execution.id, which).await?, true)),
            Came::Recorded(recorded) => recorded,
        };
        let (detail, hook) = self.replayable(&recorded).await?;
        let trigger = trigger_of(&hook, detail.request, recorded.at)?;
        let target = self.target(hook.flow, Some(&hook), trigger.session_id.as_deref(), which).await?;
        let replay_of = Some(Origin::Request(id));
        let order = Order { target, hook: Some(hook), trigger, claims: Vec::new(), replay_of, parent: None };
        Ok((self.accept(order).await?.id(), detail.genuine))
    }

    /// The request, body included, and its hook; or why it cannot be replayed.
    async fn replayable(&self, recorded: &Recorded) -> Result<(Detail, Arc<Hook>), Error> {
        let not = |why: String| Error::NotReplayable(recorded.id, why);
        match (recorded.verdict, recorded.execution) {
            (Verdict::Duplicate, Some(execution)) => return Err(not(format!("it is a duplicate; replay {execution}"))),
            (Verdict::Filtered | Verdict::Captured, _) => {}
            (verdict, _) => return Err(not(format!("it was {}", verdict.as_str()))),
        }
        let body = recorded.body.clone().ok_or_else(|| not("its body was not kept".to_owned()))?;
        let found = match recorded.hook {
            Some(hook) => self.0.parts.hooks.find(hook).await.ok().flatten(),
            None => None,
        };
        let hook = found.ok_or_else(|| not("its hook is gone".to_owned()))?;
        let mut detail: Detail =
            serde_json::from_str(&recorded.detail).map_err(|_| Error::Store(store::Error::Corrupt("request")))?;
        detail.request.body = body;
        Ok((detail, hook))
    }

    async fn target(
        &self,
        flow: FlowId,
        hook: Option<&Hook>,
        session: Option<&str>,
        which: &Which,
    ) -> Result<Arc<Target>, Error> {
        let registry = &self.0.parts.registry;
        Ok(match which {
            Which::Version(version) => registry.resolve_version(flow, *version).await?,
            Which::Alias(alias) => {
                let found = registry.resolve(flow, &alias.as_str().into(), session).await;
                found.map_err(|error| match error {
                    registry::Error::UnknownAlias(alias) => Error::UnknownAlias(alias.to_string()),
                    other => other.into(),
                })?
            }
            Which::Current => {
                let alias = hook.map_or_else(|| registry::LIVE.into(), |hook| hook.spec.alias.clone());
                registry.resolve(flow, &alias, session).await?
            }
        })
    }
}
