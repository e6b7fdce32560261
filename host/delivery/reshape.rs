//! What a subscription's transform makes of a delivery: once, before anything of it is sent, and kept.

use super::Deliveries;
use super::answer::Verdict;
use super::receivers::Receiver;
use crate::store::{Delivery, DeliveryStatus, Error, Lease};
use crate::transform::{Event, Made, Record};

/// What is to be done with a delivery.
pub(super) enum Shape {
    /// Send it as it now is.
    Ready,
    /// Nothing; it has ended.
    Filtered,
    /// It could not be made ready.
    Not(Verdict),
}

impl Deliveries {
    /// Has a delivery reshaped, if its subscription wants that and nothing of it has been sent yet.
    pub(super) async fn reshape(
        &self,
        lease: Lease,
        delivery: &mut Delivery,
        receiver: &Receiver,
    ) -> Result<Shape, Error> {
        if !may_change(delivery) {
            return Ok(Shape::Ready);
        }
        let store = &self.0.parts.store;
        let Some((subscription, transform)) = receiver.transform() else {
            // What is sent as it is stays as it is, whatever the subscription wants later.
            if delivery.transform.take().is_some() {
                store.delivery_reshape(lease, delivery, None, None).await?;
            }
            return Ok(Shape::Ready);
        };
        let id = delivery.id.to_string();
        let event = Event { id: &id, kind: &delivery.event, at: delivery.created_at, payload: &delivery.body };
        let (made, record) = self.0.parts.transforms.run(subscription, transform, event).await;
        let json = record.to_json();
        match made {
            Made::Body(body) => {
                (delivery.body, delivery.transform) = (body.clone(), Some(json.clone()));
                store.delivery_reshape(lease, delivery, Some(body), Some(json)).await?;
                Ok(Shape::Ready)
            }
            Made::Nothing => {
                store.delivery_filter(lease, delivery, json, self.now()).await?;
                self.0.parts.metrics.delivery(DeliveryStatus::Filtered.as_str());
                Ok(Shape::Filtered)
            }
            Made::Failed(words) => {
                store.delivery_reshape(lease, delivery, None, Some(json)).await?;
                Ok(Shape::Not(Verdict::untransformed(words)))
            }
            Made::NotNow(words) => {
                store.delivery_reshape(lease, delivery, None, Some(json)).await?;
                Ok(Shape::Not(Verdict::not_now(words)))
            }
        }
    }
}

/// Whether nothing of a delivery has been sent. Attempts at which the transform failed have left a record of that.
fn may_change(delivery: &Delivery) -> bool {
    match delivery.transform.as_deref().and_then(Record::parse) {
        Some(record) => record.message.is_none(),
        None => delivery.attempts == 0,
    }
}
