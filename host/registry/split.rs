//! What an alias stands for: a version, or two of them side by side.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Target;
use crate::id::FlowId;

/// The version of an alias, and the one that is tried beside it with so many of a hundred sessions.
pub(super) struct Split {
    pub(super) main: Arc<Target>,
    pub(super) canary: Option<(u8, Arc<Target>)>,
}

impl Split {
    /// The version for a conversation; by chance where there is none.
    pub(super) fn choose(&self, flow: FlowId, session: Option<&str>) -> &Arc<Target> {
        match &self.canary {
            Some((percent, canary)) if place(flow, session) < *percent => canary,
            _ => &self.main,
        }
    }
}

/// Where a session stands among a hundred: always at the same place, whoever asks.
fn place(flow: FlowId, session: Option<&str>) -> u8 {
    let number = match session {
        Some(session) => {
            let hash = Sha256::new().chain_update(flow.as_bytes()).chain_update(session).finalize();
            u64::from_le_bytes(hash[..8].try_into().expect("a hash is longer"))
        }
        None => rand::random(),
    };
    u8::try_from(number % 100).expect("it is less than a hundred")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_place_and_places_are_even() {
        let flow = FlowId::at(1);
        let places = (0..10_000).map(|n| place(flow, Some(&format!("session {n}")))).collect::<Vec<_>>();
        assert_eq!(places[7], place(flow, Some("session 7")));
        for percent in [1, 10, 50, 99] {
            let part = places.iter().filter(|place| **place < percent).count();
            let expected = usize::from(percent) * 100;
            assert!(part.abs_diff(expected) < 50 + expected / 10, "{part} of 10,000 at {percent} %");
        }
        let chance = (0..10_000).filter(|_| place(flow, None) < 50).count();
        assert!((4_500..5_500).contains(&chance), "{chance}");
    }
}
