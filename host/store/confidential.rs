//! Content that is forgotten in the end. As long as it must be there it is sealed, so that what the disk still has of it
//! afterwards, in freed pages and in the log of writes, cannot be read.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{Error, Execution, NewDelivery, NewExecution, Result, Store};
use crate::id::DeliveryId;

impl Store {
    /// Seals the trigger of a confidential execution, body included. What stays in the end stands in its place.
    pub(super) fn seal_trigger(&self, mut new: NewExecution) -> NewExecution {
        if let Some(kept) = &new.trigger_kept {
            let length = u64::try_from(new.trigger.len()).expect("a length fits");
            let plain = Zeroizing::new([&length.to_le_bytes()[..], new.trigger.as_bytes(), &new.body].concat());
            new.body = self.0.ring.seal(new.id.as_bytes(), &plain).into();
            new.trigger.clone_from(kept);
        }
        new
    }

    /// The execution with its trigger as it was before [`Store::seal_trigger`].
    pub(super) fn open_trigger(&self, mut execution: Execution) -> Result<Execution> {
        let plain = self.0.ring.open(execution.id.as_bytes(), &execution.body)?;
        let (trigger, body) = parts(&plain).ok_or(Error::Corrupt("trigger"))?;
        (execution.trigger, execution.body) = (trigger.to_owned(), Bytes::copy_from_slice(body));
        Ok(execution)
    }

    /// Seals the bodies of confidential deliveries.
    pub(super) fn seal_bodies(&self, deliveries: &mut [NewDelivery]) {
        for one in deliveries.iter_mut().filter(|one| one.confidential) {
            one.body = self.0.ring.seal(one.id.as_bytes(), &one.body).into();
        }
    }

    /// The body of a delivery as it was before [`Store::seal_bodies`].
    pub(super) fn open_body(&self, id: DeliveryId, sealed: &[u8]) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.0.ring.open(id.as_bytes(), sealed)?))
    }
}

/// A trigger and its body; before them stands the trigger's length in eight bytes.
fn parts(plain: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = plain.split_first_chunk::<8>()?;
    let (trigger, body) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(trigger).ok()?, body))
}
