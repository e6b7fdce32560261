//! Names for what takes time, to be read with the execution as a waterfall: `flowgate execution show`.
//!
//! The host records its own calls by itself; they stand in the span that is open. A span ends when it is dropped, so one that
//! stands in a variable covers the rest of its block.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, session, spans};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let turn = spans::open("turn");
//!     turn.set("language", "en");
//!     let before = spans::within("read history", || session::messages(20))?;
//!     Ok(Reply::text(format!("{} after {} messages", trigger.message()?, before.len())))
//! }
//! # flowgate::flow!(handle);
//! ```

use std::fmt::Display;

use crate::host;

/// A span that is open.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span(host::Span);

/// Opens a span within the one that is open.
pub fn open(name: &str) -> Span {
    Span(host::Span::open(name))
}

/// Runs `work` in a span, which fails when the work does.
pub fn within<T, E: Display>(name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let span = open(name);
    let result = work();
    match &result {
        Ok(_) => span.end(),
        Err(error) => span.fail(&error.to_string()),
    }
    result
}

impl Span {
    /// Adds a detail.
    pub fn set(&self, key: &str, value: &str) {
        self.0.set(key, value);
    }

    /// Ends it.
    pub fn end(self) {
        self.0.end(None);
    }

    /// Ends it and says why it failed.
    pub fn fail(self, why: &str) {
        self.0.end(Some(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Output, take_outputs};

    #[test]
    fn a_test_sees_the_spans_in_the_order_of_their_ends() {
        let outer = open("outer");
        outer.set("key", "value");
        let failed: Result<(), &str> = within("inner", || Err("no"));
        assert_eq!(failed, Err("no"));
        drop(outer);
        let spanned = |name: &str, attributes: &[(&str, &str)], error: Option<&str>| Output::Spanned {
            name: name.to_owned(),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            error: error.map(str::to_owned),
        };
        assert_eq!(
            take_outputs(),
            [spanned("inner", &[], Some("no")), spanned("outer", &[("key", "value")], None)]
        );
    }
}
