//! Runs flows on your own machine, against a small host in memory. Not there in a component.
//!
//! Each thread has a host of its own, and `cargo test` gives each test a thread, so tests do not disturb each other.
//!
//! ```
//! use flowgate::{Reply, Result, Trigger, session, testing};
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let before = session::messages(10)?.len();
//!     Ok(Reply::text(format!("{} after {before} messages", trigger.message()?)))
//! }
//!
//! let hello = testing::trigger().with_session("s1").with_message("hello");
//! assert_eq!(testing::run(handle, hello.clone()).unwrap().text.unwrap(), "hello after 0 messages");
//! assert_eq!(testing::run(handle, hello).unwrap().text.unwrap(), "hello after 2 messages");
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

mod client;

pub use client::{Sent, set_answer, set_secret, take_requests};

use crate::llm;
use crate::log::Level;
use crate::session::{Entry, Message, Role};
use crate::{Failure, Reply, Request, Result, Trigger, flows};

/// A trigger with nothing in it: attempt 1 of a `native` hook, without message, user and session, with `{}` as data.
pub fn trigger() -> Trigger {
    Trigger {
        execution_id: "exe_test".to_owned(),
        flow: "test".to_owned(),
        version: format!("sha256:{}", "0".repeat(64)),
        hook: "hok_test".to_owned(),
        dialect: "native".to_owned(),
        attempt: 1,
        received_at_ms: 1_735_689_600_000,
        deadline_ms: 1_735_689_630_000,
        message: None,
        user_id: None,
        session_id: None,
        data: "{}".to_owned(),
        metadata: "{}".to_owned(),
        request: Request { method: "POST".to_owned(), path: "/hooks/test".to_owned(), ..Request::default() },
    }
}

impl Trigger {
    /// The same trigger with a message.
    #[must_use]
    pub fn with_message(self, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..self }
    }

    /// The same trigger in a session.
    #[must_use]
    pub fn with_session(self, id: &str) -> Self {
        Self { session_id: Some(id.to_owned()), ..self }
    }

    /// The same trigger with a payload, given as JSON.
    #[must_use]
    pub fn with_data(self, json: &str) -> Self {
        Self { data: json.to_owned(), ..self }
    }

    /// The trigger that a body makes on a native hook: `message`, `user_id`, `session_id`, `data` and `metadata`.
    ///
    /// # Panics
    /// When the body is no JSON object.
    #[must_use]
    pub fn with_body(self, json: &str) -> Self {
        let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).expect("a JSON object");
        let text = |name: &str| body.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let part = |name: &str| body.get(name).map_or_else(|| "{}".to_owned(), ToString::to_string);
        Self {
            message: text("message"),
            user_id: text("user_id"),
            session_id: text("session_id"),
            data: part("data"),
            metadata: part("metadata"),
            request: Request { body: json.as_bytes().to_vec(), ..self.request },
            ..self
        }
    }
}

/// Runs a flow as the host does: in the trigger's session, whose messages are kept when it succeeds.
pub fn run<R: Into<Reply>>(handle: impl Fn(Trigger) -> Result<R, Failure>, trigger: Trigger) -> Result {
    let message = trigger.message.clone();
    HOST.with_borrow_mut(|host| host.enter(trigger.session_id.as_deref(), trigger.received_at_ms));
    let reply: Reply = handle(trigger)?.into();
    HOST.with_borrow_mut(|host| host.keep(message, reply.text.clone()));
    Ok(reply)
}

/// Sets a value of the configuration.
pub fn set_config(key: &str, value: &str) {
    HOST.with_borrow_mut(|host| host.config.insert(key.to_owned(), value.to_owned()));
}

/// Lets a function answer for the model behind an alias.
///
/// ```
/// use flowgate::llm::{Chat, Reply};
/// use flowgate::testing;
///
/// testing::set_model("fast", |chat| Ok(Reply::says(chat.messages[0].text().to_uppercase())));
/// assert_eq!(Chat::new("fast").user("hello").send().unwrap().text(), "HELLO");
/// ```
pub fn set_model(alias: &str, model: impl FnMut(&llm::Chat) -> Result<llm::Reply, llm::Error> + 'static) {
    HOST.with_borrow_mut(|host| host.models.insert(alias.to_owned(), Box::new(model)));
}

/// Lets the model behind an alias give these replies, one after the other.
pub fn set_replies(alias: &str, replies: impl IntoIterator<Item = llm::Reply>) {
    let mut replies = replies.into_iter().collect::<VecDeque<_>>();
    let none = || llm::Error::Invalid("the test has no more replies".to_owned());
    set_model(alias, move |_| replies.pop_front().ok_or_else(none));
}

/// Answers the calls of other flows that are made on this thread. Without it there are no other flows.
pub fn answer_calls(answer: impl Fn(&flows::Call) -> Result<Reply, flows::Error> + 'static) {
    HOST.with_borrow_mut(|host| host.answer = Some(Rc::new(answer)));
}

/// What was said, emitted, timed and logged on this thread since the last call.
pub fn take_outputs() -> Vec<Output> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.outputs))
}

/// Something that a flow sent beside its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// By [`output::say`](crate::output::say) and its siblings.
    Said {
        /// For a person.
        text: Option<String>,
        /// One JSON text.
        data: Option<String>,
    },
    /// By [`output::progress`](crate::output::progress).
    Progress {
        /// 0 to 100.
        percent: Option<u8>,
        /// What is being done.
        message: String,
    },
    /// By [`events::emit`](crate::events::emit).
    Emitted {
        /// Without the `custom.` before it.
        name: String,
        /// One JSON text.
        data: String,
    },
    /// By [`spans`](crate::spans), when one has ended.
    Spanned {
        /// What was done.
        name: String,
        /// Its details.
        attributes: BTreeMap<String, String>,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// By [`log`](crate::log).
    Logged {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

type Model = Box<dyn FnMut(&llm::Chat) -> Result<llm::Reply, llm::Error>>;
type Answer = Rc<dyn Fn(&flows::Call) -> Result<Reply, flows::Error>>;

struct Host {
    answer: Option<Answer>,
    models: HashMap<String, Model>,
    outputs: Vec<Output>,
    config: BTreeMap<String, String>,
    sessions: HashMap<String, Session>,
    buckets: HashMap<String, BTreeMap<String, Vec<u8>>>,
    /// The session of the running flow. A test that calls the modules directly is in one as well.
    current: Option<String>,
    now_ms: u64,
}

impl Default for Host {
    fn default() -> Self {
        let (models, outputs, config, sessions, buckets) = Default::default();
        Self { answer: None, models, outputs, config, sessions, buckets, current: Some(String::new()), now_ms: 0 }
    }
}

#[derive(Default)]
struct Session {
    messages: Vec<Message>,
    state: BTreeMap<String, Entry>,
}

impl Host {
    fn enter(&mut self, session: Option<&str>, now_ms: u64) {
        self.current = session.map(str::to_owned);
        self.now_ms = now_ms;
    }

    fn session(&mut self) -> Option<&mut Session> {
        Some(self.sessions.entry(self.current.clone()?).or_default())
    }

    fn append(&mut self, role: Role, text: String, data: Option<String>) -> Option<u64> {
        let at_ms = self.now_ms;
        let messages = &mut self.session()?.messages;
        let seq = messages.len() as u64 + 1;
        messages.push(Message { seq, at_ms, role, text, data });
        Some(seq)
    }

    fn keep(&mut self, message: Option<String>, text: Option<String>) {
        for (role, text) in [(Role::User, message), (Role::Assistant, text)] {
            if let Some(text) = text {
                self.append(role, text, None);
            }
        }
    }
}

/// What `crate::host` is in a component.
pub(crate) mod host {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::Mutex;

    pub(crate) use super::client::{fetch, secret_exists, secret_placeholder, secret_reveal};
    use super::{HOST, Output};
    use crate::llm::{self, Chunk};
    use crate::log::Level;
    use crate::session::{Entry, Message, Role};
    use crate::{Reply, config, events, flows, keyvalue, output, session};

    /// A reply that is there already.
    pub(crate) struct ChatStream(RefCell<VecDeque<Chunk>>);

    impl ChatStream {
        pub(crate) fn next(&self) -> Result<Option<Chunk>, llm::Error> {
            Ok(self.0.borrow_mut().pop_front())
        }
    }

    pub(crate) fn chat(chat: &llm::Chat) -> Result<llm::Reply, llm::Error> {
        // The model may ask other models, or the session.
        let model = HOST.with_borrow_mut(|host| host.models.remove(&chat.model));
        let unknown = || llm::Error::NotGranted(format!("`{}` was not granted to the flow", chat.model));
        let mut model = model.ok_or_else(unknown)?;
        let reply = model(chat);
        HOST.with_borrow_mut(|host| host.models.insert(chat.model.clone(), model));
        let reply = reply?;
        if chat.forward && !reply.text().is_empty() {
            HOST.with_borrow_mut(|host| host.outputs.push(Output::Said { text: Some(reply.text()), data: None }));
        }
        Ok(reply)
    }

    pub(crate) fn open(request: &llm::Chat) -> Result<ChatStream, llm::Error> {
        let reply = chat(request)?;
        let words = reply.text().split_inclusive(' ').map(|word| Chunk::Text(word.to_owned())).collect::<Vec<_>>();
        let calls = reply.tool_calls().cloned().map(Chunk::ToolCall).collect::<Vec<_>>();
        let chunks = words.into_iter().chain(calls).chain([Chunk::Done(reply)]);
        Ok(ChatStream(RefCell::new(chunks.collect())))
    }

    /// Each text is its length.
    pub(crate) fn embed(_model: &str, inputs: &[String]) -> Result<(Vec<Vec<f32>>, llm::Usage), llm::Error> {
        Ok((inputs.iter().map(|input| vec![input.len() as f32]).collect(), llm::Usage::default()))
    }

    pub(crate) fn models() -> Vec<String> {
        let mut models: Vec<_> = HOST.with_borrow(|host| host.models.keys().cloned().collect());
        models.sort();
        models
    }

    pub(crate) fn say(text: Option<&str>, data: Option<&str>) -> Result<(), output::Error> {
        let said = Output::Said { text: text.map(str::to_owned), data: data.map(str::to_owned) };
        HOST.with_borrow_mut(|host| host.outputs.push(said));
        Ok(())
    }

    pub(crate) fn progress(percent: Option<u8>, message: &str) -> Result<(), output::Error> {
        if percent.is_some_and(|percent| percent > 100) {
            return Err(output::Error::Invalid("percent is over 100".to_owned()));
        }
        HOST.with_borrow_mut(|host| host.outputs.push(Output::Progress { percent, message: message.to_owned() }));
        Ok(())
    }

    pub(crate) fn emit(name: &str, data: &str) -> Result<(), events::Error> {
        let (name, data) = (name.to_owned(), data.to_owned());
        HOST.with_borrow_mut(|host| host.outputs.push(Output::Emitted { name, data }));
        Ok(())
    }

    #[derive(Debug)]
    pub(crate) struct Span {
        name: String,
        attributes: Mutex<BTreeMap<String, String>>,
        error: Option<String>,
    }

    impl Span {
        pub(crate) fn open(name: &str) -> Self {
            Self { name: name.to_owned(), attributes: Mutex::default(), error: None }
        }

        pub(crate) fn set(&self, key: &str, value: &str) {
            let mut attributes = self.attributes.lock().expect("no test panics while it adds a detail");
            attributes.insert(key.to_owned(), value.to_owned());
        }

        pub(crate) fn end(mut self, error: Option<&str>) {
            self.error = error.map(str::to_owned);
        }
    }

    impl Drop for Span {
        fn drop(&mut self) {
            let attributes = std::mem::take(self.attributes.get_mut().unwrap_or_else(|broken| broken.into_inner()));
            let (name, error) = (std::mem::take(&mut self.name), self.error.take());
            HOST.with_borrow_mut(|host| host.outputs.push(Output::Spanned { name, attributes, error }));
        }
    }

    pub(crate) fn call(call: &flows::Call) -> Result<Reply, flows::Error> {
        let answer = HOST.with_borrow(|host| host.answer.clone());
        let unknown = || flows::Error::Unknown(format!("there is no flow `{}`", call.flow));
        answer.ok_or_else(unknown)?(call)
    }

    pub(crate) fn start(call: &flows::Call) -> Result<String, flows::Error> {
        self::call(call).map(|_| "exe_test".to_owned())
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Bucket(String);

    impl Bucket {
        pub(crate) fn open(name: &str) -> Result<Self, keyvalue::Error> {
            Ok(Self(if name.is_empty() { "default" } else { name }.to_owned()))
        }

        fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
            HOST.with_borrow_mut(|host| f(host.buckets.entry(self.0.clone()).or_default()))
        }

        pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, keyvalue::Error> {
            Ok(self.with(|values| values.get(key).cloned()))
        }

        pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), keyvalue::Error> {
            self.with(|values| values.insert(key.to_owned(), value.to_vec()));
            Ok(())
        }

        pub(crate) fn delete(&self, key: &str) -> Result<(), keyvalue::Error> {
            self.with(|values| values.remove(key));
            Ok(())
        }

        pub(crate) fn keys(&self, _: Option<&str>) -> Result<(Vec<String>, Option<String>), keyvalue::Error> {
            Ok((self.with(|values| values.keys().cloned().collect()), None))
        }

        pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, keyvalue::Error> {
            let refused = || keyvalue::Error::Other(format!("the value under `{key}` is not a whole number"));
            let text = self.get(key)?.map(String::from_utf8).transpose().map_err(|_| refused())?;
            let before = text.map_or(Ok(0), |text| text.parse::<i64>()).map_err(|_| refused())?;
            let sum = before.checked_add(delta).ok_or_else(refused)?;
            self.set(key, sum.to_string().as_bytes())?;
            Ok(sum)
        }

        pub(crate) fn begin(&self, key: &str) -> Result<Cas, keyvalue::Error> {
            Ok(Cas { bucket: self.clone(), key: key.to_owned(), current: self.get(key)? })
        }
    }

    pub(crate) struct Cas {
        bucket: Bucket,
        key: String,
        current: Option<Vec<u8>>,
    }

    impl Cas {
        pub(crate) fn current(&self) -> Result<Option<Vec<u8>>, keyvalue::Error> {
            Ok(self.current.clone())
        }

        pub(crate) fn swap(self, value: &[u8]) -> Result<Option<Self>, keyvalue::Error> {
            let newer = self.bucket.get(&self.key)?;
            if newer != self.current {
                return Ok(Some(Self { current: newer, ..self }));
            }
            self.bucket.set(&self.key, value)?;
            Ok(None)
        }
    }

    pub(crate) fn log(level: Level, _context: &str, message: &str) {
        HOST.with_borrow_mut(|host| host.outputs.push(Output::Logged { level, message: message.to_owned() }));
    }

    pub(crate) fn config(key: &str) -> Result<Option<String>, config::Error> {
        Ok(HOST.with_borrow(|host| host.config.get(key).cloned()))
    }

    pub(crate) fn messages(limit: u32, before: Option<u64>) -> Result<Vec<Message>, session::Error> {
        HOST.with_borrow_mut(|host| {
            let messages = &host.session().ok_or(session::Error::NoSession)?.messages;
            let older = |message: &&Message| before.is_none_or(|before| message.seq < before);
            let mut last: Vec<_> =
                messages.iter().rev().filter(older).take(limit.min(1000) as usize).cloned().collect();
            last.reverse();
            Ok(last)
        })
    }

    pub(crate) fn append(role: Role, text: &str, data: Option<&str>) -> Result<u64, session::Error> {
        let (text, data) = (text.to_owned(), data.map(str::to_owned));
        HOST.with_borrow_mut(|host| host.append(role, text, data)).ok_or(session::Error::NoSession)
    }

    pub(crate) fn get(key: &str) -> Result<Option<Entry>, session::Error> {
        HOST.with_borrow_mut(|host| Ok(host.session().ok_or(session::Error::NoSession)?.state.get(key).cloned()))
    }

    pub(crate) fn set(key: &str, value: &[u8], expect: Option<u64>) -> Result<u64, session::Error> {
        HOST.with_borrow_mut(|host| {
            let state = &mut host.session().ok_or(session::Error::NoSession)?.state;
            let now = state.get(key).map_or(0, |entry| entry.version);
            if expect.is_some_and(|expect| expect != now) {
                return Err(session::Error::Conflict(now));
            }
            state.insert(key.to_owned(), Entry { value: value.to_vec(), version: now + 1 });
            Ok(now + 1)
        })
    }

    pub(crate) fn delete(key: &str) -> Result<(), session::Error> {
        HOST.with_borrow_mut(|host| {
            host.session().ok_or(session::Error::NoSession)?.state.remove(key);
            Ok(())
        })
    }
}
