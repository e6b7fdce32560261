//! What took time in an execution, to be read as a waterfall.
//!
//! The host opens a span for each of its own calls that may take long. Clones share one recorder.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::trigger::Span;

/// Records the spans of one execution, and counts those that are too many.
#[derive(Debug, Clone)]
pub struct Spans(Arc<Mutex<Recorder>>);

#[derive(Debug)]
struct Recorder {
    since: Stopwatch,
    spans: Vec<Span>,
    /// Those that the guest itself has opened and not ended, outermost first.
    open: Vec<u32>,
    spans_max: usize,
    dropped: u64,
}

/// A span that is open. It ends when it is dropped, or with [`Open::fail`].
#[derive(Debug)]
pub struct Open {
    spans: Spans,
    id: Option<u32>,
}

impl Spans {
    pub(super) fn new(spans_max: usize) -> Self {
        let recorder =
            Recorder { since: Stopwatch::start(), spans: Vec::new(), open: Vec::new(), spans_max, dropped: 0 };
        Self(Arc::new(Mutex::new(recorder)))
    }

    /// Opens a span of the host's own, for example `llm.chat`, within the guest's innermost one.
    pub fn open(&self, name: &str) -> Open {
        Open { spans: self.clone(), id: self.with(|recorder| recorder.open(name)) }
    }

    /// Takes what was recorded, and how many more there were. What is open stays without an end.
    pub fn take(&self) -> (Vec<Span>, u64) {
        self.with(|recorder| (std::mem::take(&mut recorder.spans), recorder.dropped))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Recorder) -> T) -> T {
        // A recorder is never left half changed.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Open {
    /// Adds a detail. Never a secret, and never content of the conversation.
    pub fn set(&self, key: &str, value: impl ToString) {
        self.change(|span| {
            span.attributes.insert(key.to_owned(), value.to_string());
        });
    }

    /// Ends it as failed.
    pub fn fail(self, why: &str) {
        self.change(|span| span.error = Some(why.to_owned()));
    }

    fn change(&self, f: impl FnOnce(&mut Span)) {
        let Some(id) = self.id else { return };
        self.spans.with(|recorder| recorder.spans.get_mut(id as usize).map(f));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        self.spans.with(|recorder| recorder.end(id));
    }
}

impl Recorder {
    fn open(&mut self, name: &str) -> Option<u32> {
        if self.spans.len() >= self.spans_max {
            self.dropped += 1;
            return None;
        }
        let id = u32::try_from(self.spans.len()).ok()?;
        self.spans.push(Span {
            parent: self.open.last().copied(),
            name: name.to_owned(),
            start_us: micros(self.since.elapsed()),
            duration_us: None,
            error: None,
            attributes: BTreeMap::new(),
        });
        Some(id)
    }

    fn end(&mut self, id: u32) {
        let now = micros(self.since.elapsed());
        if let Some(span) = self.spans.get_mut(id as usize) {
            span.duration_us.get_or_insert(now.saturating_sub(span.start_us));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_once_and_say_why_they_failed() {
        let spans = Spans::new(2);
        let first = spans.open("http.fetch");
        first.set("status", 200);
        spans.open("llm.chat").fail("timeout");
        drop(spans.open("one too many"));
        drop(first);
        let (recorded, dropped) = spans.take();
        assert_eq!((recorded.len(), dropped), (2, 1));
        assert_eq!(recorded[0].attributes["status"], "200");
        assert_eq!(recorded[1].error.as_deref(), Some("timeout"));
        assert!(recorded.iter().all(|span| span.duration_us.is_some()));
    }
}
