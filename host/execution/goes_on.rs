//! Work that its caller waits for and that does not end with its caller.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that runs where it is polled. Dropped before its end, it goes on in a task of its own: so what is over before
/// anything is waited for costs no task, and what is not survives a caller who has gone.
///
/// To be dropped within a Tokio runtime; elsewhere it stops.
pub(super) struct GoesOn<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> GoesOn<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Lets it go on without its caller.
    pub(super) fn alone(self) {
        drop(self);
    }
}

impl<T: Send + 'static> Future for GoesOn<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for GoesOn<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_ends_at_once_needs_no_task() {
        assert_eq!(GoesOn::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_on() {
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut work = GoesOn::new(async move {
            begun.await.unwrap();
            end.send(7).unwrap();
        });
        assert!(futures_util::poll!(&mut work).is_pending());
        drop(work);
        begin.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }
}
