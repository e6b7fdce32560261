//! Dead letters: sent again, one or many, or discarded.

use crate::clock::Timestamp;
use crate::id::{DeliveryId, WorkspaceId};
use crate::store::{self, Job, Recovery, Target, Wished};

use super::{Deliveries, Error};

/// The kind of the job that sends dead letters again.
pub(super) const RECOVER: &str = "recover";

impl Deliveries {
    /// Sends a delivery again now, whether it waits, has succeeded or has failed. Its schedule begins anew.
    pub async fn redeliver(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<(), Error> {
        let target = self.0.parts.store.delivery_again(workspace, id, self.now()).await?;
        self.wake([target.ok_or(Error::Unknown(id))?]);
        Ok(())
    }

    /// Ends a delivery that waits or has failed, and forgets its body.
    pub async fn discard(&self, workspace: WorkspaceId, id: DeliveryId) -> Result<(), Error> {
        match self.0.parts.store.delivery_discard(workspace, id, self.now()).await? {
            None => Err(Error::Unknown(id)),
            Some(Wished::Not(status)) => Err(Error::Ended { id, status }),
            Some(Wished::Done(target)) => {
                self.wake([target]);
                Ok(())
            }
        }
    }

    /// How many deliveries for `target` have failed since then and can be sent again.
    pub async fn recoverable(&self, workspace: WorkspaceId, target: Target, since: Timestamp) -> Result<u64, Error> {
        self.check_owner(workspace, target).await?;
        let recovery = Recovery { target, since, until: self.now() };
        Ok(self.0.parts.store.recovery_count(workspace, recovery).await?)
    }

    /// Sends what has failed for `target` since then again, in the background. Durable when it returns; says how many
    /// deliveries it will be.
    pub async fn recover(&self, workspace: WorkspaceId, target: Target, since: Timestamp) -> Result<u64, Error> {
        self.check_owner(workspace, target).await?;
        let recovery = Recovery { target, since, until: self.now() };
        let count = self.0.parts.store.recovery_count(workspace, recovery).await?;
        if count > 0 {
            self.0.parts.store.recovery_create(workspace, recovery, RECOVER).await?;
            self.0.parts.queue.wake(RECOVER);
        }
        Ok(count)
    }

    pub(super) async fn work_on_recovery(&self, job: Job) -> Result<(), store::Error> {
        let recovery = Recovery::from_bytes(&job.subject).ok_or(store::Error::Corrupt("job"))?;
        let store = &self.0.parts.store;
        while store.recovery_step(job.lease, job.workspace, recovery, self.now()).await? {
            self.wake([recovery.target]);
        }
        Ok(())
    }
}
