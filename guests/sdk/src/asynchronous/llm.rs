//! Models, beside other calls.

use wit_bindgen::{FutureReader, StreamReader};

use super::Streaming;
use super::bindings::flowgate::flow::llm as wire;
use crate::bindings::flowgate::flow::llm as types;
use crate::llm::{Chat, Error, Reply, Usage};
use crate::{Result, reply};

/// As [`Chat::send`], beside other calls.
pub async fn chat(chat: &Chat) -> Result<Reply, Error> {
    Ok(wire::chat(chat.into()).await?.into())
}

/// Asks, and gives the reply's text as it comes.
pub async fn open(chat: &Chat) -> Result<Words, Error> {
    let (text, whole) = wire::open(chat.into()).await?;
    Ok(Words { text: Some(text), whole })
}

/// As [`llm::embed`](crate::llm::embed), beside other calls.
pub async fn embed(model: &str, inputs: &[String]) -> Result<(Vec<Vec<f32>>, Usage), Error> {
    let embedded = wire::embed(model.to_owned(), inputs.to_vec()).await?;
    Ok((embedded.vectors, embedded.usage.into()))
}

/// A model's reply whose text comes piece by piece. Dropping it stops the model.
pub struct Words {
    /// None when it has ended: whoever reads on then is stopped.
    text: Option<StreamReader<String>>,
    whole: FutureReader<std::result::Result<types::Reply, types::Error>>,
}

impl Words {
    /// Some more of the text; none at its end.
    pub async fn next(&mut self) -> Option<String> {
        let next = self.text.as_mut()?.next().await;
        if next.is_none() {
            self.text = None;
        }
        next
    }

    /// Reads what is left of the text, and gives all of the reply, with the tools that the model wants to be called.
    pub async fn whole(mut self) -> Result<Reply, Error> {
        while self.next().await.is_some() {}
        Ok(self.whole.await?.into())
    }

    /// The flow's own reply: the text goes on to the caller as the model says it, after what was read of it here.
    pub fn into_reply(self) -> Streaming {
        Streaming { reply: reply::Reply::default(), stream: self.text }
    }
}
