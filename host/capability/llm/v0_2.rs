//! Calls that others do not wait for, and replies whose text is a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Destination, FutureReader, HasSelf, StreamProducer, StreamReader, StreamResult};

use crate::bindings::v0_1::flow::llm::{Chunk, Error, Reply, Request};
use crate::bindings::v0_2::flow::llm::{Embeddings, Host, HostWithStore};

use super::{Llm, Talk};

/// A reply in the guest's hands: its text, and all of it in the end.
type Opened = (StreamReader<String>, FutureReader<Result<Reply, Error>>);

impl Host for Llm {
    fn models(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok((*self).models())
    }
}

/// A copy for a call that others do not wait for.
fn copy<T: Send>(store: &Accessor<T, HasSelf<Llm>>) -> Llm {
    store.with(|mut store| store.get().clone())
}

impl<T: Send + 'static> HostWithStore<T> for HasSelf<Llm> {
    async fn chat(store: &Accessor<T, Self>, asked: Request) -> wasmtime::Result<Result<Reply, Error>> {
        Ok(copy(store).chat(asked).await)
    }

    async fn open(store: &Accessor<T, Self>, asked: Request) -> wasmtime::Result<Result<Opened, Error>> {
        let talk = match copy(store).open(asked).await {
            Ok(talk) => talk,
            Err(error) => return Ok(Err(error)),
        };
        let (end, whole) = oneshot::channel();
        let whole = async move { Ok::<_, wasmtime::Error>(whole.await.unwrap_or_else(|_| Err(let_go()))) };
        store.with(|mut store| {
            let text = StreamReader::new(&mut store, Text(pieces(talk, end)))?;
            Ok(Ok((text, FutureReader::new(&mut store, whole)?)))
        })
    }

    async fn embed(
        store: &Accessor<T, Self>,
        model: String,
        inputs: Vec<String>,
    ) -> wasmtime::Result<Result<Embeddings, Error>> {
        let embedded = copy(store).embed(&model, &inputs).await;
        Ok(embedded.map(|embedded| Embeddings { vectors: embedded.vectors, usage: embedded.usage }))
    }
}

fn let_go() -> Error {
    Error::Invalid("the text was not read to its end".to_owned())
}

/// The pieces of the text, and in the end the whole reply, or why there is none, to `end`.
fn pieces(talk: Talk, end: oneshot::Sender<Result<Reply, Error>>) -> BoxStream<'static, String> {
    let next = |(mut talk, end): (Talk, oneshot::Sender<_>)| async move {
        let ended = loop {
            match talk.next().await {
                Ok(Some(Chunk::Text(text))) => return Some((text, (talk, end))),
                Ok(Some(Chunk::ToolCall(_))) => {}
                Ok(Some(Chunk::Done(reply))) => break Ok(reply),
                Ok(None) => break Err(Error::Timeout),
                Err(error) => break Err(error),
            }
        };
        // A guest that does not want to know it has let go of the receiver.
        let _ = end.send(ended);
        None
    };
    stream::unfold((talk, end), next).boxed()
}

/// The text of a reply, which is read from the provider when the guest reads it.
struct Text(BoxStream<'static, String>);

impl<D> StreamProducer<D> for Text {
    type Item = String;
    type Buffer = Option<String>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            // The guest only asks whether it may read.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.0.poll_next_unpin(cx) {
            Poll::Ready(Some(piece)) => {
                destination.set_buffer(Some(piece));
                StreamResult::Completed
            }
            Poll::Ready(None) => StreamResult::Dropped,
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        }))
    }
}
