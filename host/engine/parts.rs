//! The text of a reply that comes in parts: each goes on to the caller as it is written, and all of them are the text.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::PollSender;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamReader, StreamResult};

use crate::capability::{Ctx, Scrubber};
use crate::trigger::Output;

/// Parts that are taken from the guest at one time.
const TAKEN_MAX: usize = 64;

/// The trap of a guest whose reply grows beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply has more than {bytes_max} bytes")]
pub(super) struct ReplyTooLong {
    bytes_max: usize,
}

/// What reads the stream. The end of the stream drops it, which tells the text.
struct Parts {
    outputs: PollSender<Output>,
    /// Parts that may still be told one by one.
    left: u32,
    /// The one that waits for its reader.
    waiting: Option<Output>,
    /// Whether the parts of this write are taken already.
    taken: bool,
    scrubber: Scrubber,
    /// Without the secrets of the flow, as it is told.
    text: String,
    bytes_max: usize,
    whole: Option<oneshot::Sender<String>>,
}

/// Lets the stream flow, within the event loop of its store, after the `first` part. The receiver gets the whole text when
/// the stream has ended.
pub(super) fn collect(
    store: StoreContextMut<'_, Ctx>,
    first: Option<String>,
    stream: StreamReader<String>,
    bytes_max: usize,
) -> wasmtime::Result<oneshot::Receiver<String>> {
    let (whole, text) = oneshot::channel();
    let mut parts = Parts {
        outputs: PollSender::new(store.data().output().clone()),
        left: store.data().outputs_left(),
        waiting: None,
        taken: false,
        scrubber: store.data().redactor().stream(),
        text: String::new(),
        bytes_max,
        whole: Some(whole),
    };
    parts.add(first.unwrap_or_default())?;
    stream.pipe(store, parts)?;
    Ok(text)
}

impl StreamConsumer<Ctx> for Parts {
    type Item = String;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, Ctx>,
        mut source: Source<'_, String>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        if !this.taken {
            // A part that a canceled write left behind goes first.
            if this.poll_tell(cx).is_pending() {
                return if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending };
            }
            let count = source.remaining(&mut store).min(TAKEN_MAX);
            let mut taken = Vec::with_capacity(count);
            if count > 0 {
                source.read(&mut store, &mut taken)?;
            }
            this.add(taken.concat())?;
            this.taken = true;
        }
        // A writer that does not want to wait any longer leaves the part here.
        if this.poll_tell(cx).is_pending() && !finish {
            return Poll::Pending;
        }
        this.taken = false;
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Parts {
    fn add(&mut self, part: String) -> Result<(), ReplyTooLong> {
        if self.text.len() + part.len() > self.bytes_max {
            return Err(ReplyTooLong { bytes_max: self.bytes_max });
        }
        let part = text(self.scrubber.push(part.into()));
        self.text.push_str(&part);
        if !part.is_empty() && self.left > 0 {
            self.left -= 1;
            self.waiting = Some(Output::Delta { text: part });
        }
        Ok(())
    }

    /// Waits while the reader is slow. When nobody reads any more, the reply is for the record alone.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            return Poll::Ready(());
        }
        let room = ready!(self.outputs.poll_reserve(cx)).is_ok();
        if let Some(output) = self.waiting.take().filter(|_| room) {
            // There is room, so it is taken.
            let _ = self.outputs.send_item(output);
        }
        Poll::Ready(())
    }
}

/// Covering a secret leaves whole characters.
fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.into()).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl Drop for Parts {
    fn drop(&mut self) {
        let last = text(self.scrubber.end());
        self.text.push_str(&last);
        let told = !last.is_empty() && self.left > 0 && self.waiting.is_none();
        if let Some(outputs) = self.outputs.get_ref().filter(|_| told) {
            // With no room for it, the reader finds it in the reply.
            let _ = outputs.try_send(Output::Delta { text: last });
        }
        if let Some(whole) = self.whole.take() {
            // An execution that was stopped meanwhile does not wait for it.
            let _ = whole.send(std::mem::take(&mut self.text));
        }
    }
}
