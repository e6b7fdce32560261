//! `flowgate:flow/output`: what a flow says before its reply.
//!
//! Each output goes through a bounded channel; while the channel is full the guest is suspended, and no thread waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::v0_1::flow::output::{Error, Host};
use crate::bindings::v0_2;
use crate::trigger::{Json, Output};

use super::{Options, Redactor, Spans};

/// What one execution says. Clones share its counters.
#[derive(Clone)]
pub(super) struct Outputs {
    sender: mpsc::Sender<Output>,
    spans: Spans,
    redactor: Redactor,
    count_max: u32,
    bytes_max: u64,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    count: u32,
    bytes: u64,
}

impl Outputs {
    pub(super) fn new(options: &Options, sender: mpsc::Sender<Output>, spans: Spans, redactor: Redactor) -> Self {
        let (count_max, bytes_max) = (options.outputs_max, options.output_bytes_max);
        Self { sender, spans, redactor, count_max, bytes_max, said: Arc::default() }
    }

    pub(super) fn sender(&self) -> &mpsc::Sender<Output> {
        &self.sender
    }

    pub(super) fn left(&self) -> u32 {
        self.count_max - self.count()
    }

    pub(super) fn count(&self) -> u32 {
        self.counted().count
    }

    fn counted(&self) -> MutexGuard<'_, Said> {
        // It is never left half changed.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges one output of `bytes` bytes.
    fn charge(&self, bytes: usize) -> Result<(), Error> {
        let mut said = self.counted();
        if said.count >= self.count_max {
            return Err(Error::OverLimit(format!("an execution may give {} outputs", self.count_max)));
        }
        let total = said.bytes.saturating_add(bytes as u64);
        if total > self.bytes_max {
            return Err(Error::OverLimit(format!("the outputs of an execution may take {} bytes", self.bytes_max)));
        }
        said.count += 1;
        said.bytes = total;
        Ok(())
    }

    /// Admitted when it is called for, it then waits for its reader beside others.
    pub(super) async fn say(&self, text: Option<String>, data: Option<String>) -> Result<(), Error> {
        let said = self.made(text, data)?;
        send(&self.sender, &self.spans, said).await
    }

    async fn progress(&self, percent: Option<u8>, message: String) -> Result<(), Error> {
        let progress = self.measured(percent, message)?;
        send(&self.sender, &self.spans, progress).await
    }

    fn made(&self, mut text: Option<String>, data: Option<String>) -> Result<Output, Error> {
        if text.is_none() && data.is_none() {
            return Err(Error::Invalid("give `text`, `data` or both".to_owned()));
        }
        let bytes = text.as_ref().map_or(0, String::len) + data.as_ref().map_or(0, String::len);
        let data = data.map(Json::parse).transpose();
        let mut data = data.map_err(|error| Error::Invalid(format!("`data` is not one JSON text: {error}")))?;
        self.charge(bytes)?;
        text.iter_mut().for_each(|text| self.redactor.text(text));
        data.iter_mut().for_each(|data| self.redactor.json(data));
        Ok(Output::Say { text, data })
    }

    fn measured(&self, percent: Option<u8>, mut message: String) -> Result<Output, Error> {
        if let Some(percent) = percent.filter(|percent| *percent > 100) {
            return Err(Error::Invalid(format!("`percent` is 0 to 100, and not {percent}")));
        }
        self.charge(message.len())?;
        self.redactor.text(&mut message);
        Ok(Output::Progress { percent, message })
    }
}

/// Waits while the reader is slow. Cancel safe: what was not sent is lost.
async fn send(sender: &mpsc::Sender<Output>, spans: &Spans, output: Output) -> Result<(), Error> {
    match sender.try_send(output) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(Error::Gone),
        Err(TrySendError::Full(output)) => {
            // Only waiting for the reader takes time that is worth a line.
            let span = spans.open("output.wait");
            let sent = sender.send(output).await;
            sent.inspect_err(|_| span.fail("gone")).map_err(|_| Error::Gone)
        }
    }
}

impl Host for Outputs {
    async fn say(&mut self, text: Option<String>, data: Option<String>) -> wasmtime::Result<Result<(), Error>> {
        Ok((*self).say(text, data).await)
    }

    async fn progress(&mut self, percent: Option<u8>, message: String) -> wasmtime::Result<Result<(), Error>> {
        Ok((*self).progress(percent, message).await)
    }
}

impl v0_2::flow::output::Host for Outputs {}

impl<T: Send> v0_2::flow::output::HostWithStore<T> for HasSelf<Outputs> {
    async fn say(
        store: &Accessor<T, Self>,
        text: Option<String>,
        data: Option<String>,
    ) -> wasmtime::Result<Result<(), v0_2::flow::output::Error>> {
        let outputs = store.with(|mut store| store.get().clone());
        Ok(outputs.say(text, data).await.map_err(Into::into))
    }

    async fn progress(
        store: &Accessor<T, Self>,
        percent: Option<u8>,
        message: String,
    ) -> wasmtime::Result<Result<(), v0_2::flow::output::Error>> {
        let outputs = store.with(|mut store| store.get().clone());
        Ok(outputs.progress(percent, message).await.map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(outputs_max: u32, output_bytes_max: u64) -> (Outputs, mpsc::Receiver<Output>) {
        let (sender, receiver) = mpsc::channel(4);
        let options = Options { outputs_max, output_bytes_max, ..Options::default() };
        let spans = Spans::new(&options);
        (Outputs::new(&options, sender, spans, Redactor::default()), receiver)
    }

    #[tokio::test]
    async fn an_output_is_validated() {
        let (outputs, mut receiver) = outputs(10, 100);
        assert!(matches!(outputs.say(None, None).await, Err(Error::Invalid(_))));
        assert!(matches!(outputs.say(None, Some("{".to_owned())).await, Err(Error::Invalid(_))));
        assert!(matches!(outputs.progress(Some(101), String::new()).await, Err(Error::Invalid(_))));
        outputs.say(None, Some("[1]".to_owned())).await.unwrap();
        let data = Some(Json::parse("[1]".to_owned()).unwrap());
        assert_eq!(receiver.recv().await, Some(Output::Say { text: None, data }));
        assert_eq!(outputs.count(), 1);
    }

    #[tokio::test]
    async fn outputs_are_counted_and_weighed() {
        let (few, _receiver) = outputs(1, 100);
        few.progress(None, "a".to_owned()).await.unwrap();
        assert!(matches!(few.progress(None, "b".to_owned()).await, Err(Error::OverLimit(_))));
        let (short, _receiver) = outputs(10, 3);
        short.say(Some("abc".to_owned()), None).await.unwrap();
        assert!(matches!(short.say(Some("d".to_owned()), None).await, Err(Error::OverLimit(_))));
        assert_eq!(short.count(), 1);
    }

    #[tokio::test]
    async fn a_reader_that_left_is_reported() {
        let (outputs, receiver) = outputs(10, 100);
        drop(receiver);
        assert!(matches!(outputs.say(Some("x".to_owned()), None).await, Err(Error::Gone)));
    }
}
