//! A load that does not sleep.
//!
//! On one machine the sender of a packet also wakes its receiver, and waking a core that sleeps costs a server more than
//! its own answer does. A load that is always busy is never woken; one that a slow server leaves idle would be at each answer,
//! so that server would be charged for what is no work of its own.

use tokio::task::{AbortHandle, yield_now};

/// Keeps the runtime's thread awake until it is dropped. For a load that has a core of its own.
#[derive(Debug)]
pub struct Awake(AbortHandle);

impl Awake {
    /// From now on. Must be called within a Tokio runtime.
    pub fn now() -> Self {
        let awake = tokio::spawn(async {
            loop {
                yield_now().await;
            }
        });
        Self(awake.abort_handle())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.abort();
    }
}
