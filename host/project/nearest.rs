//! A name that is not known, with the one that was meant.

use crate::engine::nearest;

/// `told`, and what was meant when serde's `message` says that a name is unknown: "unknown field `a`, expected one of `b`,
/// `c`", which holds every name in backticks, the unknown one first.
pub(super) fn named(message: &str, told: &str) -> String {
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let mut names = message.split('`').skip(1).step_by(2);
    let meant = names.next().filter(|_| is_unknown).and_then(|name| nearest(name, names.map(|known| (known, known))));
    match meant {
        Some(meant) => format!("{told}\ndid you mean `{meant}`?"),
        None => told.to_owned(),
    }
}
