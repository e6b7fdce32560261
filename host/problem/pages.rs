//! The pages that explain the problems, served where `type` points to.

macro_rules! pages {
    ($($slug:literal)*) => {
        &[$(($slug, include_str!(concat!("../../docs/errors/", $slug, ".md"))),)*]
    };
}

static PAGES: &[(&str, &str)] = pages! {
    "body-timeout" "body-too-large" "changed" "delivery-ended" "digest-mismatch" "execution-canceled" "flow-cpu-budget" "flow-failed"
    "flow-out-of-memory" "flow-over-limit" "flow-timed-out" "flow-trapped" "forbidden" "hook-disabled" "host-out-of-memory" "in-use"
    "internal" "invalid-component" "invalid-input" "invalid-request" "key-reused" "malformed-body"
    "method-not-allowed" "name-taken" "no-live-version" "not-found" "not-replayable" "nothing-to-roll-back" "overloaded" "rate-limited"
    "session-busy" "still-running" "stopping" "too-many-failures" "store-unavailable" "unauthenticated" "unsupported-content-type"
    "unsupported-encoding" "version-not-ready"
};

/// The page of a problem, as Markdown.
pub fn page(slug: &str) -> Option<&'static str> {
    PAGES.iter().find(|(own, _)| *own == slug).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::super::KINDS;
    use super::*;

    #[test]
    fn every_problem_has_a_page_and_every_page_a_problem() {
        for kind in KINDS {
            assert!(page(kind.slug).is_some_and(|text| text.starts_with("# ")), "{}", kind.slug);
        }
        assert_eq!(PAGES.len(), KINDS.len());
    }
}
