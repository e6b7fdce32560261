//! `flowgate:flow/events`: events of a flow's own making.
//!
//! They are kept until the execution has ended, and become true with its end.

use crate::bindings::v0_1::flow::events::{Error, Host};
use crate::bindings::v0_2;
use crate::clock::Clock;
use crate::event::CustomName;
use crate::trigger::{Emitted, Json};

use super::Options;

pub(super) struct Events {
    clock: Clock,
    count_max: usize,
    bytes_max: usize,
    bytes: usize,
    emitted: Vec<Emitted>,
}

impl Events {
    pub(super) fn new(options: &Options, clock: Clock) -> Self {
        let (count_max, bytes_max) = (options.events_max, options.event_bytes_max);
        Self { clock, count_max, bytes_max, bytes: 0, emitted: Vec::new() }
    }

    pub(super) fn take(&mut self) -> Vec<Emitted> {
        std::mem::take(&mut self.emitted)
    }

    fn emit(&mut self, name: &str, data: String) -> Result<(), Error> {
        if CustomName::parse(name).is_err() {
            let rule = "a name is 1 to 64 of `a-z 0-9 _ -` and dots between them";
            return Err(Error::Invalid(rule.to_owned()));
        }
        if self.emitted.len() >= self.count_max {
            return Err(Error::OverLimit(format!("an execution may emit {} events", self.count_max)));
        }
        if self.bytes + data.len() > self.bytes_max {
            return Err(Error::OverLimit(format!("the events of an execution may take {} bytes", self.bytes_max)));
        }
        self.bytes += data.len();
        let data = Json::parse(data);
        let data = data.map_err(|error| Error::Invalid(format!("`data` is not one JSON text: {error}")))?;
        self.emitted.push(Emitted { at_ms: self.clock.now().unix_ms_unsigned(), name: name.to_owned(), data });
        Ok(())
    }
}

impl Host for Events {
    fn emit(&mut self, name: String, data: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.emit(&name, data))
    }
}

impl v0_2::flow::events::Host for Events {
    fn emit(&mut self, name: String, data: String) -> wasmtime::Result<Result<(), v0_2::flow::events::Error>> {
        Ok(self.emit(&name, data).map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(events_max: usize, event_bytes_max: usize) -> Events {
        Events::new(&Options { events_max, event_bytes_max, ..Options::default() }, Clock::system())
    }

    #[test]
    fn an_event_has_a_plain_name_and_json() {
        let mut events = events(10, 100);
        for name in ["", ".a", "a.", "A", "a b", "ä", &"a".repeat(65)] {
            assert!(matches!(events.emit(name, "{}".to_owned()), Err(Error::Invalid(_))), "{name}");
        }
        assert!(matches!(events.emit("a", "{".to_owned()), Err(Error::Invalid(_))));
        events.emit("ticket.opened", r#"{"id":1}"#.to_owned()).unwrap();
        let emitted = events.take();
        assert_eq!((emitted[0].name.as_str(), emitted[0].data.as_str()), ("ticket.opened", r#"{"id":1}"#));
        assert!(events.take().is_empty());
    }

    #[test]
    fn events_are_counted_and_weighed() {
        let mut few = events(1, 100);
        few.emit("a", "1".to_owned()).unwrap();
        assert!(matches!(few.emit("a", "1".to_owned()), Err(Error::OverLimit(_))));
        let mut short = events(10, 3);
        short.emit("a", "123".to_owned()).unwrap();
        assert!(matches!(short.emit("a", "1".to_owned()), Err(Error::OverLimit(_))));
    }
}
