//! A reply that comes in pieces, put together.

use std::collections::VecDeque;

use serde_json::Value;

use super::Error;
use super::chat::{Chunk, Finish, Reply, ToolCall, Usage, text_tokens};

/// Bytes of a reply, its calls of tools included.
const REPLY_BYTES_MAX: usize = 4 << 20;

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) model: Option<String>,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    text: String,
    calls: Vec<ToolCall>,
    /// The call that is coming.
    open: Option<OpenCall>,
    bytes: usize,
    ready: VecDeque<Chunk>,
}

#[derive(Debug)]
struct OpenCall {
    /// Where it is in the provider's own count.
    place: u64,
    id: String,
    name: String,
    arguments: String,
}

impl Gathered {
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.charge(text.len())?;
        self.text.push_str(text);
        self.ready.push_back(Chunk::Text(text.to_owned()));
        Ok(())
    }

    /// A part of a call of a tool. One with another place begins another call, and the one before is whole.
    pub(super) fn call(&mut self, place: u64, id: &str, name: &str, arguments: &str) -> Result<(), Error> {
        self.charge(id.len() + name.len() + arguments.len())?;
        if self.open.as_ref().is_none_or(|open| open.place != place) {
            self.close();
            let (id, name) = (String::new(), String::new());
            self.open = Some(OpenCall { place, id, name, arguments: String::new() });
        }
        if let Some(open) = &mut self.open {
            open.id.push_str(id);
            open.name.push_str(name);
            open.arguments.push_str(arguments);
        }
        Ok(())
    }

    /// Ends the call that is coming, if any.
    pub(super) fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let id = if open.id.is_empty() { format!("call_{}", self.calls.len() + 1) } else { open.id };
        // What is no JSON is given as the text that it is: the tool refuses it and the model learns why.
        let arguments = match open.arguments.trim() {
            "" => Value::Object(serde_json::Map::new()),
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        let call = ToolCall { id, name: open.name, arguments };
        self.calls.push(call.clone());
        self.ready.push_back(Chunk::ToolCall(call));
    }

    /// What can be given on.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    /// How many tokens have come, as far as can be told from outside.
    pub(super) fn tokens(&self) -> u32 {
        u32::try_from(text_tokens(self.bytes)).unwrap_or(u32::MAX)
    }

    /// The whole reply, once the provider has said that it is.
    pub(super) fn reply(&mut self, model: &str, input_tokens: u32) -> Result<Reply, Error> {
        self.close();
        let Some(finish) = self.finish else {
            return Err(Error::Provider("its reply broke off before the end".to_owned()));
        };
        // Some servers say that they are done where they wait for tools.
        let finish = if finish == Finish::Stop && !self.calls.is_empty() { Finish::ToolCalls } else { finish };
        let estimate = Usage { input_tokens, output_tokens: self.tokens(), cached_tokens: 0 };
        Ok(Reply {
            model: self.model.take().unwrap_or_else(|| model.to_owned()),
            text: std::mem::take(&mut self.text),
            calls: std::mem::take(&mut self.calls),
            finish,
            usage: self.usage.unwrap_or(estimate),
        })
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes <= REPLY_BYTES_MAX {
            return Ok(());
        }
        Err(Error::Provider(format!("its reply has more than {REPLY_BYTES_MAX} bytes")))
    }
}
