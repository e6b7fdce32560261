//! A house with a past: executions on record, through the store itself.
//!
//! They are copies of two that really ran, each with an id and times of its own, spread over the last days.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use flowgate::clock::{Clock, Timestamp};
use flowgate::id::ExecutionId;
use flowgate::store::{
    self, Execution, ExecutionFilter, Finish, NewExecution, NewMessage, Outcome, Page, Status, Store,
};
use serde_json::json;
use tempfile::TempDir;

use crate::case::{Programs, SECRET};
use crate::house::{Furniture, House};
use crate::sample;
use crate::wire::Connection;

/// How long the past is: less than executions are kept.
const DAYS: u32 = 20;

/// Of so many executions one is a turn of a conversation, and a conversation has so many turns.
const TURN_EACH: u32 = 10;

/// Executions that failed, and those whose ids are known, both spread over the past.
const FAILED: u32 = 100;
const KNOWN: u32 = 1_000;

/// Data with a past.
#[derive(Debug)]
pub(super) struct Past {
    data: TempDir,
    key: String,
    /// The paths of the hook of a flow that answers what it got, and of one that tells what its conversation remembers.
    pub(super) mirror: String,
    pub(super) chat: String,
    /// Some of the executions.
    pub(super) known: Vec<String>,
    /// Conversations.
    pub(super) sessions: Vec<String>,
}

impl Past {
    /// Makes a past of so many executions.
    pub(super) async fn of(executions: u32, programs: &Programs) -> Result<Self> {
        ensure!(executions >= KNOWN, "a past has {KNOWN} executions at least");
        let data = tempfile::tempdir_in(&programs.data)?;
        let house = House::start(&programs.flowgate, data.path(), None, None).await?;
        let [mirror, chat] = ["mirror", "chat"].map(|name| programs.guests.join(format!("{name}.wasm")));
        let mirror = hook(&house, "mirror", &Furniture::plain(&mirror, SECRET)).await?;
        let chat = hook(&house, "chat", &Furniture::plain(&chat, SECRET)).await?;
        let mut connection = Connection::open(house.server.address).await?;
        for request in [sample::request(&mirror, SECRET.as_bytes(), &[]), turn(&chat, "first")] {
            let answer = connection.call(&request).await?;
            ensure!(answer.status == 200, "the first reply is a {}", answer.status);
        }
        drop(connection);
        let key = house.server.key.clone().context("the server said no key")?;
        house.server.stop().await?;
        let store = Store::open(data.path(), &store::Options::default())?;
        let (known, sessions) = fill(&store, executions).await?;
        Ok(Self { data, key, mirror, chat, known, sessions })
    }

    /// Starts a server over it.
    pub(super) async fn start(&self, programs: &Programs, core: Option<usize>) -> Result<House> {
        House::start(&programs.flowgate, self.data.path(), core, Some(&self.key)).await
    }
}

/// A turn of a conversation.
pub(super) fn turn(chat: &str, session: &str) -> Bytes {
    let said = json!({ "session_id": session, "message": "Where is my order?", "data": { "limit": 20 } });
    sample::signed(chat, SECRET.as_bytes(), &[], said.to_string().as_bytes())
}

async fn hook(house: &House, name: &str, furniture: &Furniture) -> Result<String> {
    house.api.flow(name, furniture).await?;
    house.api.hook(name, furniture).await
}

/// Copies what is on record, and returns some ids and the names of some conversations.
async fn fill(store: &Store, executions: u32) -> Result<(Vec<String>, Vec<String>)> {
    let (plain, turn) = originals(store).await?;
    let now = Clock::system().now();
    let step = Duration::from_secs(u64::from(DAYS) * 24 * 3_600) / executions;
    let (mut known, mut sessions) = (Vec::new(), Vec::new());
    for number in 0..executions {
        let at = now.before(step * (executions - number));
        let (mut new, mut finish) = if number % TURN_EACH == 0 { copy(&turn, at) } else { copy(&plain, at) };
        if number % TURN_EACH == 0 {
            let session = format!("past-{}", number / (TURN_EACH * TURN_EACH));
            finish.messages = messages(at);
            if number % (executions / KNOWN).next_multiple_of(TURN_EACH * TURN_EACH) == 0 {
                sessions.push(session.clone());
            }
            new.session = Some(session);
        }
        if number % (executions / FAILED) == 1 {
            finish.outcome = failure();
        }
        if number % (executions / KNOWN) == 0 {
            known.push(new.id.to_string());
        }
        store.execution_record(new, finish).await?;
    }
    store.flush().await?;
    // As a server would have done long ago.
    while store.sessions_close(now, now).await? > 0 {}
    Ok((known, sessions))
}

/// The two executions on record: one without a conversation, and one with.
async fn originals(store: &Store) -> Result<(Execution, Execution)> {
    let workspace = store.workspaces().await?.first().context("there is no workspace")?.id;
    let listed = store.executions(workspace, ExecutionFilter::default(), Page { limit: 10, before: None }).await?;
    let (mut plain, mut turn) = (None, None);
    for one in listed {
        let whole = store.execution_find(workspace, one.id).await?;
        *(if one.session.is_some() { &mut turn } else { &mut plain }) = whole;
    }
    Ok((plain.context("no execution is on record")?, turn.context("no conversation is on record")?))
}

/// An execution like `one`, at another time.
fn copy(one: &Execution, at: Timestamp) -> (NewExecution, Finish) {
    let new = NewExecution {
        id: ExecutionId::at(at.unix_ms_unsigned()),
        workspace: one.workspace,
        flow: one.flow,
        hook: one.hook,
        version: one.version,
        mode: "sync",
        session: None,
        replay_of: None,
        parent: None,
        created_at: at,
        deadline_ms: one.deadline_ms,
        callback: None,
        trigger: one.trigger.clone(),
        body: one.body.clone(),
        claims: Vec::new(),
        trigger_kept: None,
    };
    let json = one.outcome.clone().unwrap_or_default();
    let outcome = Outcome::Final { status: one.status, reason: None, json };
    let (cpu_us, memory_bytes) = (one.cpu_us, one.memory_bytes);
    (new, Finish { outcome, at: at.after(Duration::from_millis(1)), cpu_us, memory_bytes, ..Finish::default() })
}

fn failure() -> Outcome {
    let json = json!({ "stopped": { "reason": "trap", "message": "the guest trapped" } }).to_string();
    Outcome::Final { status: Status::Failed, reason: Some("trap".to_owned()), json }
}

fn messages(at: Timestamp) -> Vec<NewMessage> {
    let said = |role: &str, text: &str| NewMessage { at, role: role.to_owned(), text: text.to_owned(), data: None };
    vec![said("user", "Where is my order?"), said("assistant", "It is on its way.")]
}
