//! `flowgate:flow/session`: messages and state of the conversation that an execution belongs to.

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::v0_1::flow::session::{Entry, Error, Host, Message, Role};
use crate::bindings::v0_2::flow::session as v0_2;
use crate::clock::Clock;
use crate::id::FlowId;
use crate::store::{self, Speaker, Store};
use crate::trigger::Json;

use super::{Open, Options, Redactor, Spans};

/// The most messages that one call returns, as the WIT says.
const MESSAGES_MAX: u32 = 1_000;

/// The conversation of one execution.
#[derive(Debug, Clone)]
pub struct Session {
    /// Where it is kept.
    pub store: Store,
    /// The flow that it belongs to; flows do not see each other's sessions.
    pub flow: FlowId,
    /// The trigger's session id.
    pub id: String,
    /// Who adds messages.
    pub speaker: Speaker,
}

#[derive(Clone)]
pub(super) struct Conversation {
    session: Option<Session>,
    clock: Clock,
    spans: Spans,
    redactor: Redactor,
    key_bytes_max: usize,
    value_bytes_max: usize,
    text_bytes_max: usize,
}

impl Conversation {
    pub(super) fn new(
        options: &Options,
        session: Option<Session>,
        clock: Clock,
        spans: Spans,
        redactor: Redactor,
    ) -> Self {
        Self {
            session,
            clock,
            spans,
            redactor,
            key_bytes_max: options.session_key_bytes_max,
            value_bytes_max: options.session_value_bytes_max,
            text_bytes_max: options.session_text_bytes_max,
        }
    }

    fn session(&self) -> Result<&Session, Error> {
        self.session.as_ref().ok_or(Error::NoSession)
    }

    async fn messages(&self, limit: u32, before: Option<u64>) -> Result<Vec<Message>, Error> {
        let Session { store, flow, id, .. } = self.session()?;
        let span = self.spans.open("session.messages");
        let messages = store.session_messages(*flow, id, limit.min(MESSAGES_MAX), before).await;
        let messages = recorded(&span, messages)?;
        span.set("messages", messages.len());
        Ok(messages.into_iter().map(Message::from).collect())
    }

    async fn append(&self, role: Role, mut text: String, data: Option<String>) -> Result<u64, Error> {
        let Session { store, flow, id, speaker } = self.session()?;
        within("text", text.len(), self.text_bytes_max)?;
        self.redactor.text(&mut text);
        let data = data.map(|data| self.json(data)).transpose()?;
        let message = store::NewMessage { at: self.clock.now(), role: role_name(role).to_owned(), text, data };
        let span = self.spans.open("session.append");
        recorded(&span, store.session_append(*flow, id, message, speaker.clone()).await)
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let Session { store, flow, id, .. } = self.session()?;
        within("key", key.len(), self.key_bytes_max)?;
        let span = self.spans.open("session.get");
        let entry = recorded(&span, store.session_get(*flow, id, key).await)?;
        Ok(entry.map(|entry| Entry { value: entry.value, version: entry.version }))
    }

    async fn set(&self, key: &str, value: Vec<u8>, expect: Option<u64>) -> Result<u64, Error> {
        let Session { store, flow, id, .. } = self.session()?;
        within("key", key.len(), self.key_bytes_max)?;
        within("value", value.len(), self.value_bytes_max)?;
        let span = self.spans.open("session.set");
        let set = store.session_set(*flow, id, key, value, expect, self.clock.now()).await;
        match recorded(&span, set)? {
            store::Set::Written(version) => Ok(version),
            store::Set::Conflict(version) => {
                span.fail("conflict");
                Err(Error::Conflict(version))
            }
        }
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let Session { store, flow, id, .. } = self.session()?;
        within("key", key.len(), self.key_bytes_max)?;
        let span = self.spans.open("session.delete");
        recorded(&span, store.session_delete(*flow, id, key).await)
    }

    fn json(&self, data: String) -> Result<String, Error> {
        within("data", data.len(), self.text_bytes_max)?;
        let data = Json::parse(data);
        let mut data = data.map_err(|error| Error::Invalid(format!("`data` is not one JSON text: {error}")))?;
        self.redactor.json(&mut data);
        Ok(data.into_string())
    }
}

impl Host for Conversation {
    async fn messages(&mut self, limit: u32, before: Option<u64>) -> wasmtime::Result<Result<Vec<Message>, Error>> {
        Ok((*self).messages(limit, before).await)
    }

    async fn append(&mut self, role: Role, text: String, data: Option<String>) -> wasmtime::Result<Result<u64, Error>> {
        Ok((*self).append(role, text, data).await)
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Entry>, Error>> {
        Ok((*self).get(&key).await)
    }

    async fn set(&mut self, key: String, value: Vec<u8>, expect: Option<u64>) -> wasmtime::Result<Result<u64, Error>> {
        Ok((*self).set(&key, value, expect).await)
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok((*self).delete(&key).await)
    }
}

impl v0_2::Host for Conversation {}

/// A copy for a call that others do not wait for.
fn copy<T: Send>(store: &Accessor<T, HasSelf<Conversation>>) -> Conversation {
    store.with(|mut store| store.get().clone())
}

impl<T: Send> v0_2::HostWithStore<T> for HasSelf<Conversation> {
    async fn messages(
        store: &Accessor<T, Self>,
        limit: u32,
        before: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<v0_2::Message>, v0_2::Error>> {
        let messages = copy(store).messages(limit, before).await;
        Ok(messages.map(|all| all.into_iter().map(Into::into).collect()).map_err(Into::into))
    }

    async fn append(
        store: &Accessor<T, Self>,
        role: v0_2::Role,
        text: String,
        data: Option<String>,
    ) -> wasmtime::Result<Result<u64, v0_2::Error>> {
        Ok(copy(store).append(role.into(), text, data).await.map_err(Into::into))
    }

    async fn get(store: &Accessor<T, Self>, key: String) -> wasmtime::Result<Result<Option<v0_2::Entry>, v0_2::Error>> {
        Ok(copy(store).get(&key).await.map(|entry| entry.map(Into::into)).map_err(Into::into))
    }

    async fn set(
        store: &Accessor<T, Self>,
        key: String,
        value: Vec<u8>,
        expect: Option<u64>,
    ) -> wasmtime::Result<Result<u64, v0_2::Error>> {
        Ok(copy(store).set(&key, value, expect).await.map_err(Into::into))
    }

    async fn delete(store: &Accessor<T, Self>, key: String) -> wasmtime::Result<Result<(), v0_2::Error>> {
        Ok(copy(store).delete(&key).await.map_err(Into::into))
    }
}

impl From<store::Message> for Message {
    fn from(message: store::Message) -> Self {
        Self {
            seq: message.seq,
            at_ms: message.at.unix_ms_unsigned(),
            role: role(&message.role),
            text: message.text,
            data: message.data,
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Tool => "tool",
    }
}

/// The role called `name`. The host writes the names itself, so an unknown one can only come from a later version of it.
fn role(name: &str) -> Role {
    match name {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => Role::System,
    }
}

fn within(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Error::OverLimit(format!("{what} has {bytes} bytes and may have {bytes_max}")))
}

/// The guest and the record learn that the store failed; only the operator learns how.
fn recorded<T>(span: &Open, result: Result<T, store::Error>) -> Result<T, Error> {
    result.map_err(|error| {
        tracing::warn!(%error, "session not available to a flow");
        span.fail("unavailable");
        Error::Unavailable("the host could not reach the session".to_owned())
    })
}
