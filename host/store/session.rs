//! What a conversation remembers: messages and state, both of one flow and one session id.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::event::{self, About};
use super::{Result, Store, count, stored};
use crate::clock::Timestamp;
use crate::id::{ExecutionId, FlowId, HookId};

/// Bytes of messages that one read brings into memory.
const MESSAGES_BYTES_MAX: usize = 4 << 20;

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Rises from message to message.
    pub seq: u64,
    /// When it was said.
    pub at: Timestamp,
    /// `user`, `assistant`, `system` or `tool`.
    pub role: String,
    /// The words.
    pub text: String,
    /// JSON beside the words.
    pub data: Option<String>,
}

/// A message on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// When it was said.
    pub at: Timestamp,
    /// `user`, `assistant`, `system` or `tool`.
    pub role: String,
    /// The words.
    pub text: String,
    /// JSON beside the words.
    pub data: Option<String>,
}

/// The execution in which a flow adds a message, which may be on record only when it is over.
#[derive(Debug, Clone, Serialize)]
pub struct Speaker {
    /// Its id.
    #[serde(skip)]
    pub execution: ExecutionId,
    /// Where its trigger came in.
    pub hook: Option<HookId>,
    /// Who triggered it.
    pub user_id: Option<String>,
    /// Whether nobody is told what was said.
    pub confidential: bool,
}

/// A value of a session's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Vec<u8>,
    /// 1 when first set; rises with every change.
    pub version: u64,
}

/// How a conditional write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// The value is there, with this version.
    Written(u64),
    /// Somebody else has changed it; its version is this one, 0 when it is not there.
    Conflict(u64),
}

impl Store {
    /// The last `limit` messages older than `before`, oldest first; fewer where they are more than 4 MiB together.
    pub async fn session_messages(
        &self,
        flow: FlowId,
        session: &str,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<Message>> {
        let session = session.to_owned();
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT seq, at, role, text, data FROM messages WHERE flow = ? AND session = ? AND seq < ?
                 ORDER BY seq DESC LIMIT ?",
            )?;
            let before = before.map_or(i64::MAX, stored);
            let rows = select.query_map(params![flow, session, before, limit], |row| {
                Ok(Message {
                    seq: count(row.get(0)?),
                    at: row.get(1)?,
                    role: row.get(2)?,
                    text: row.get(3)?,
                    data: row.get(4)?,
                })
            })?;
            let (mut messages, mut bytes) = (Vec::new(), 0);
            for message in rows {
                let message: Message = message?;
                bytes += message.text.len() + message.data.as_ref().map_or(0, String::len);
                if bytes > MESSAGES_BYTES_MAX && !messages.is_empty() {
                    break;
                }
                messages.push(message);
            }
            messages.reverse();
            Ok(messages)
        })
        .await
    }

    /// Adds a message that a flow says for itself or for its user, tells of it, and returns its number.
    pub async fn session_append(
        &self,
        flow: FlowId,
        session: &str,
        message: NewMessage,
        speaker: Speaker,
    ) -> Result<u64> {
        let session = session.to_owned();
        self.write(move |c| {
            let seq = append(c, flow, &session, &message)?;
            let mut select = c.prepare_cached("SELECT workspace FROM flows WHERE id = ?")?;
            if let Some(workspace) = select.query_row([flow], |row| row.get(0)).optional()? {
                let about = About { flow: Some(flow), execution: Some(speaker.execution), session: Some(&session) };
                event::session_said(c, workspace, about, (seq, &message), &speaker)?;
            }
            Ok(seq)
        })
        .await
    }

    /// A value of the state.
    pub async fn session_get(&self, flow: FlowId, session: &str, key: &str) -> Result<Option<Entry>> {
        let (session, key) = (session.to_owned(), key.to_owned());
        self.read(move |c| {
            let sql = "SELECT value, version FROM state WHERE flow = ? AND session = ? AND key = ?";
            let entry = c.prepare_cached(sql)?.query_row(params![flow, session, key], |row| {
                Ok(Entry { value: row.get(0)?, version: count(row.get(1)?) })
            });
            Ok(entry.optional()?)
        })
        .await
    }

    /// Writes a value of the state; with `expect`, only over that version (0: only when it is not there).
    pub async fn session_set(
        &self,
        flow: FlowId,
        session: &str,
        key: &str,
        value: Vec<u8>,
        expect: Option<u64>,
        at: Timestamp,
    ) -> Result<Set> {
        let (session, key) = (session.to_owned(), key.to_owned());
        self.write(move |c| {
            let now = c
                .prepare_cached("SELECT version FROM state WHERE flow = ? AND session = ? AND key = ?")?
                .query_row(params![flow, session, key], |row| row.get(0))
                .optional()?
                .map_or(0, count);
            if expect.is_some_and(|expected| expected != now) {
                return Ok(Set::Conflict(now));
            }
            c.prepare_cached(
                "INSERT OR REPLACE INTO state (flow, session, key, version, updated_at, value) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![flow, session, key, stored(now + 1), at, value])?;
            Ok(Set::Written(now + 1))
        })
        .await
    }

    /// Removes a value of the state.
    pub async fn session_delete(&self, flow: FlowId, session: &str, key: &str) -> Result<()> {
        let (session, key) = (session.to_owned(), key.to_owned());
        self.write(move |c| {
            c.prepare_cached("DELETE FROM state WHERE flow = ? AND session = ? AND key = ?")?
                .execute(params![flow, session, key])?;
            Ok(())
        })
        .await
    }
}

/// Adds a message at the end of a conversation.
pub(super) fn append(c: &Connection, flow: FlowId, session: &str, message: &NewMessage) -> Result<u64> {
    let seq: i64 = c
        .prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM messages WHERE flow = ? AND session = ?")?
        .query_row(params![flow, session], |row| row.get(0))?;
    c.prepare_cached("INSERT INTO messages (flow, session, seq, at, role, text, data) VALUES (?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![flow, session, seq, message.at, message.role, message.text, message.data])?;
    Ok(count(seq))
}
