//! What took time in an execution, to be read as a waterfall; and `flowgate:flow/spans`, by which a flow names its own parts.
//!
//! The host opens a span for each of its own calls that may take long; one that answers from memory has none. A span stands in
//! the innermost one that the guest has open. Clones share one recorder, which keeps a bounded number of spans and of bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::{HasData, Resource, ResourceTable};

use crate::bindings::v0_1::flow::spans::{Host, HostSpan, Span as GuestSpan};
use crate::bindings::v0_2::flow::spans as v0_2;
use crate::clock::Stopwatch;
use crate::trigger::Span;

use super::Options;

/// Bytes of a name and of an attribute's key; the rest is cut off.
const NAME_BYTES_MAX: usize = 128;

/// Bytes of an attribute's value and of an error; the rest is cut off.
const TEXT_BYTES_MAX: usize = 1_024;

/// Attributes of one span; further ones are not kept.
const ATTRIBUTES_MAX: usize = 32;

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
    bytes_left: usize,
    dropped: u64,
}

/// A span that is open. It ends when it is dropped.
#[derive(Debug)]
pub struct Open {
    spans: Spans,
    id: Option<u32>,
}

impl Spans {
    pub(super) fn new(options: &Options) -> Self {
        let recorder = Recorder {
            since: Stopwatch::start(),
            spans: Vec::new(),
            open: Vec::new(),
            spans_max: options.spans_max,
            bytes_left: options.span_bytes_max,
            dropped: 0,
        };
        Self(Arc::new(Mutex::new(recorder)))
    }

    /// Opens a span of the host's own, for example `llm.chat`, within the guest's innermost one.
    pub fn open(&self, name: &str) -> Open {
        Open { spans: self.clone(), id: self.with(|recorder| recorder.open(name)) }
    }

    /// Opens a span of the guest's, in which the following ones stand until it ends.
    fn enter(&self, name: &str) -> Open {
        let id = self.with(|recorder| {
            let id = recorder.open(name)?;
            recorder.open.push(id);
            Some(id)
        });
        Open { spans: self.clone(), id }
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
    #[expect(clippy::needless_pass_by_value, reason = "a number or a text is given as it stands")]
    pub fn set(&self, key: &str, value: impl ToString) {
        self.with(|recorder, id| recorder.set(id, key, &value.to_string()));
    }

    /// Says why it failed. The first reason stays.
    pub fn fail(&self, why: &str) {
        self.with(|recorder, id| recorder.fail(id, why));
    }

    fn with(&self, f: impl FnOnce(&mut Recorder, u32)) {
        let Some(id) = self.id else { return };
        self.spans.with(|recorder| f(recorder, id));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.with(Recorder::end);
    }
}

impl Recorder {
    fn open(&mut self, name: &str) -> Option<u32> {
        let name = cut(name, NAME_BYTES_MAX);
        if self.spans.len() >= self.spans_max || !self.charge(name.len()) {
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

    fn set(&mut self, id: u32, key: &str, value: &str) {
        let (key, value) = (cut(key, NAME_BYTES_MAX), cut(value, TEXT_BYTES_MAX));
        let attributes = self.spans.get(id as usize).map_or(ATTRIBUTES_MAX, |span| span.attributes.len());
        if attributes < ATTRIBUTES_MAX && self.charge(key.len() + value.len()) {
            self.spans[id as usize].attributes.insert(key.to_owned(), value.to_owned());
        }
    }

    fn fail(&mut self, id: u32, why: &str) {
        let why = cut(why, TEXT_BYTES_MAX);
        // That it failed is told even when there is no room for the reason.
        let why = if self.charge(why.len()) { why } else { "" };
        if let Some(span) = self.spans.get_mut(id as usize) {
            span.error.get_or_insert_with(|| why.to_owned());
        }
    }

    fn end(&mut self, id: u32) {
        self.open.retain(|open| *open != id);
        let now = micros(self.since.elapsed());
        if let Some(span) = self.spans.get_mut(id as usize) {
            span.duration_us.get_or_insert(now.saturating_sub(span.start_us));
        }
    }

    /// Takes the bytes from what is left; false when there are too few.
    fn charge(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or(self.bytes_left);
        left.is_some()
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The recorder, and the table that holds what the guest has opened.
pub(super) struct View<'a> {
    pub(super) spans: &'a Spans,
    pub(super) table: &'a mut ResourceTable,
}

/// Stands for [`View`] where wasmtime wants a type without a lifetime.
pub(super) struct HasSpans;

impl HasData for HasSpans {
    type Data<'a> = View<'a>;
}

/// A span of the guest's as the table holds it: none any more once it has ended.
type Held = Option<Open>;

fn held(span: &Resource<GuestSpan>) -> Resource<Held> {
    Resource::new_borrow(span.rep())
}

impl Host for View<'_> {}

impl HostSpan for View<'_> {
    fn new(&mut self, name: String) -> wasmtime::Result<Resource<GuestSpan>> {
        let held: Resource<Held> = self.table.push(Some(self.spans.enter(&name)))?;
        Ok(Resource::new_own(held.rep()))
    }

    fn set(&mut self, span: Resource<GuestSpan>, key: String, value: String) -> wasmtime::Result<()> {
        if let Some(open) = self.table.get(&held(&span))? {
            open.set(&key, value);
        }
        Ok(())
    }

    fn end(&mut self, span: Resource<GuestSpan>, error: Option<String>) -> wasmtime::Result<()> {
        let open = self.table.get_mut(&held(&span))?.take();
        if let (Some(open), Some(why)) = (open, error) {
            open.fail(&why);
        }
        Ok(())
    }

    fn drop(&mut self, span: Resource<GuestSpan>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Held>::new_own(span.rep()))?;
        Ok(())
    }
}

impl v0_2::Host for View<'_> {}

impl v0_2::HostSpan for View<'_> {
    fn new(&mut self, name: String) -> wasmtime::Result<Resource<GuestSpan>> {
        HostSpan::new(self, name)
    }

    fn set(&mut self, span: Resource<GuestSpan>, key: String, value: String) -> wasmtime::Result<()> {
        HostSpan::set(self, span, key, value)
    }

    fn end(&mut self, span: Resource<GuestSpan>, error: Option<String>) -> wasmtime::Result<()> {
        HostSpan::end(self, span, error)
    }

    fn drop(&mut self, span: Resource<GuestSpan>) -> wasmtime::Result<()> {
        HostSpan::drop(self, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans_max: usize, span_bytes_max: usize) -> Spans {
        Spans::new(&Options { spans_max, span_bytes_max, ..Options::default() })
    }

    #[test]
    fn spans_end_once_and_say_why_they_failed() {
        let spans = spans(2, 1_000);
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

    #[test]
    fn a_span_stands_in_the_innermost_open_one_of_the_guest() {
        let (spans, mut table) = (spans(10, 1_000), ResourceTable::new());
        let mut view = View { spans: &spans, table: &mut table };
        let outer = view.new("turn".to_owned()).unwrap();
        let inner = view.new("think".to_owned()).unwrap();
        let again = || Resource::new_borrow(inner.rep());
        drop(spans.open("llm.chat"));
        view.end(again(), Some("no idea".to_owned())).unwrap();
        view.end(again(), None).unwrap();
        view.set(again(), "too".to_owned(), "late".to_owned()).unwrap();
        drop(spans.open("session.get"));
        view.drop(outer).unwrap();
        drop(spans.open("session.set"));
        let (recorded, _) = spans.take();
        let shown = recorded.iter().map(|span| (span.name.as_str(), span.parent)).collect::<Vec<_>>();
        let wanted = [("turn", None), ("think", Some(0)), ("llm.chat", Some(1)), ("session.get", Some(0))];
        assert_eq!(shown, [&wanted[..], &[("session.set", None)]].concat());
        assert_eq!(recorded[1].error.as_deref(), Some("no idea"));
        assert!(recorded[1].attributes.is_empty());
        view.drop(Resource::new_own(inner.rep())).unwrap();
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let spans = spans(10, 300);
        let long = "ä".repeat(1_000);
        let first = spans.open(&long);
        (0..100).for_each(|n| first.set(&format!("{n}"), "x"));
        first.set("late", &long);
        drop(spans.open(&long));
        spans.open(&long).fail(&long);
        let (recorded, dropped) = spans.take();
        assert_eq!((recorded.len(), dropped), (2, 1));
        assert_eq!(recorded[0].name.len(), NAME_BYTES_MAX);
        assert_eq!(recorded[0].attributes.len(), ATTRIBUTES_MAX);
    }
}
