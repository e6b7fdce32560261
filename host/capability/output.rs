//! `flowgate:flow/output`: what a flow says before its reply.
//!
//! Each output goes through a bounded channel; while the channel is full the guest is suspended, and no thread waits.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::bindings::v0_1::flow::output::{Error, Host};
use crate::trigger::{Json, Output};

use super::{Options, Spans};

pub(super) struct Outputs {
    sender: mpsc::Sender<Output>,
    spans: Spans,
    count_max: u32,
    bytes_max: u64,
    count: u32,
    bytes: u64,
}

impl Outputs {
    pub(super) fn new(options: &Options, sender: mpsc::Sender<Output>, spans: Spans) -> Self {
        Self { sender, spans, count_max: options.outputs_max, bytes_max: options.output_bytes_max, count: 0, bytes: 0 }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Charges one output of `bytes` bytes.
    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        if self.count >= self.count_max {
            return Err(Error::OverLimit(format!("an execution may give {} outputs", self.count_max)));
        }
        let total = self.bytes.saturating_add(bytes as u64);
        if total > self.bytes_max {
            return Err(Error::OverLimit(format!("the outputs of an execution may take {} bytes", self.bytes_max)));
        }
        self.count += 1;
        self.bytes = total;
        Ok(())
    }

    async fn send(&mut self, output: Output) -> Result<(), Error> {
        match self.sender.try_send(output) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Error::Gone),
            Err(TrySendError::Full(output)) => {
                // Only waiting for the reader takes time that is worth a line.
                let span = self.spans.open("output.wait");
                let sent = self.sender.send(output).await;
                sent.inspect_err(|_| span.fail("gone")).map_err(|_| Error::Gone)
            }
        }
    }

    pub(super) async fn say(&mut self, text: Option<String>, data: Option<String>) -> Result<(), Error> {
        if text.is_none() && data.is_none() {
            return Err(Error::Invalid("give `text`, `data` or both".to_owned()));
        }
        let bytes = text.as_ref().map_or(0, String::len) + data.as_ref().map_or(0, String::len);
        let data = data.map(Json::parse).transpose();
        let data = data.map_err(|error| Error::Invalid(format!("`data` is not one JSON text: {error}")))?;
        self.charge(bytes)?;
        self.send(Output::Say { text, data }).await
    }

    async fn progress(&mut self, percent: Option<u8>, message: String) -> Result<(), Error> {
        if let Some(percent) = percent.filter(|percent| *percent > 100) {
            return Err(Error::Invalid(format!("`percent` is 0 to 100, and not {percent}")));
        }
        self.charge(message.len())?;
        self.send(Output::Progress { percent, message }).await
    }
}

impl Host for Outputs {
    async fn say(&mut self, text: Option<String>, data: Option<String>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.say(text, data).await)
    }

    async fn progress(&mut self, percent: Option<u8>, message: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.progress(percent, message).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(outputs_max: u32, output_bytes_max: u64) -> (Outputs, mpsc::Receiver<Output>) {
        let (sender, receiver) = mpsc::channel(4);
        let options = Options { outputs_max, output_bytes_max, ..Options::default() };
        let spans = Spans::new(&options);
        (Outputs::new(&options, sender, spans), receiver)
    }

    #[tokio::test]
    async fn an_output_is_validated() {
        let (mut outputs, mut receiver) = outputs(10, 100);
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
        let (mut few, _receiver) = outputs(1, 100);
        few.progress(None, "a".to_owned()).await.unwrap();
        assert!(matches!(few.progress(None, "b".to_owned()).await, Err(Error::OverLimit(_))));
        let (mut short, _receiver) = outputs(10, 3);
        short.say(Some("abc".to_owned()), None).await.unwrap();
        assert!(matches!(short.say(Some("d".to_owned()), None).await, Err(Error::OverLimit(_))));
        assert_eq!(short.count(), 1);
    }

    #[tokio::test]
    async fn a_reader_that_left_is_reported() {
        let (mut outputs, receiver) = outputs(10, 100);
        drop(receiver);
        assert!(matches!(outputs.say(Some("x".to_owned()), None).await, Err(Error::Gone)));
    }
}
