//! What a person reads.

use std::fmt::Write as _;

use serde_json::Value;

use crate::store::Event;

/// Events that one notice spells out; of more it says how many.
const SPELLED_MAX: usize = 50;

/// One line that says the most.
pub(super) fn subject(events: &[Event]) -> String {
    let of = |kind: &str| events.iter().filter(|event| event.r#type == kind).count();
    let counts = [
        (of("subscription.disabled"), "disabled"),
        (of("delivery.exhausted"), "given up"),
        (of("delivery.failing"), "failing"),
        (of("delivery.recovered"), "recovered"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    format!("[flowgate] deliveries: {}", counts.collect::<Vec<_>>().join(", "))
}

/// A paragraph for each event.
pub(super) fn body(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events.iter().take(SPELLED_MAX) {
        let _ = writeln!(text, "{} {}", event.at, event.r#type);
        if let Ok(Value::Object(facts)) = serde_json::from_str(&event.facts) {
            for (name, value) in facts {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = writeln!(text, "  {}: {value}", name.replace('_', " "));
            }
        }
        text.push('\n');
    }
    if let Some(more) = events.len().checked_sub(SPELLED_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more");
    }
    text
}
