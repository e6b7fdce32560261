//! Calls that hold up the guest, and replies as resources that it holds.

use wasmtime::component::{HasData, Resource, ResourceTable};

use crate::bindings::v0_1::flow::llm::{ChatStream, Chunk, Embeddings, Error, Host, HostChatStream, Reply, Request};

use super::{Llm, Talk};

/// The models, and the table that holds the replies that are read as they come.
pub(in crate::capability) struct View<'a> {
    pub(in crate::capability) llm: &'a Llm,
    pub(in crate::capability) talks: &'a mut OpenTalks,
    pub(in crate::capability) table: &'a mut ResourceTable,
}

/// [`View`] as `add_to_linker` wants it.
pub(in crate::capability) struct HasLlm;

impl HasData for HasLlm {
    type Data<'a> = View<'a>;
}

/// What the table holds for a `chat-stream`: nothing when the execution that opened it has ended.
type Held = Option<Talk>;

/// The replies that the guest holds, by their places in the table.
#[derive(Default)]
pub(in crate::capability) struct OpenTalks(Vec<u32>);

impl OpenTalks {
    /// Ends what an execution has left open. An instance that runs another one may hold it still, and finds it at its end.
    pub(in crate::capability) fn end(&mut self, table: &mut ResourceTable) {
        for place in self.0.drain(..) {
            if let Ok(held) = table.get_mut(&Resource::<Held>::new_borrow(place)) {
                *held = None;
            }
        }
    }
}

impl Host for View<'_> {
    async fn chat(&mut self, asked: Request) -> wasmtime::Result<Result<Reply, Error>> {
        Ok(self.llm.chat(asked).await)
    }

    async fn open(&mut self, asked: Request) -> wasmtime::Result<Result<Resource<ChatStream>, Error>> {
        Ok(match self.llm.open(asked).await {
            Ok(talk) => {
                let held: Resource<Held> = self.table.push(Some(talk))?;
                self.talks.0.push(held.rep());
                Ok(Resource::new_own(held.rep()))
            }
            Err(error) => Err(error),
        })
    }

    async fn embed(&mut self, model: String, inputs: Vec<String>) -> wasmtime::Result<Result<Embeddings, Error>> {
        Ok(self.llm.embed(&model, &inputs).await)
    }

    async fn models(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.llm.models())
    }
}

impl HostChatStream for View<'_> {
    async fn next(&mut self, stream: Resource<ChatStream>) -> wasmtime::Result<Result<Option<Chunk>, Error>> {
        let held = self.table.get_mut(&Resource::<Held>::new_borrow(stream.rep()))?;
        Ok(match held {
            Some(talk) => talk.next().await,
            None => Ok(None),
        })
    }

    async fn drop(&mut self, stream: Resource<ChatStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Held>::new_own(stream.rep()))?;
        self.talks.0.retain(|place| *place != stream.rep());
        Ok(())
    }
}
