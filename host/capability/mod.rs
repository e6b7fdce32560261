//! What a guest may call, one file for each capability.
//!
//! A capability is linked once for the whole host ([`add_to_linker`]), configured for all executions by [`Options`], and
//! prepared for each execution by [`Ctx::new`]. A further one is a file with its state, its `Host` implementation and one
//! line in each of these three places. None of them may block a thread, and each bounds what it keeps for a guest.

mod config;
mod events;
pub mod flows;
mod grants;
mod http;
mod http_grant;
mod keyvalue;
mod llm;
mod logging;
mod memory;
mod outgoing;
mod output;
mod recorder;
mod redact;
mod secrets;
mod session;
mod spans;
mod wasi;
mod wasi_http;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wasmtime::component::{HasSelf, Linker, ResourceTable};

use crate::bindings::{v0_1, v0_2};
use crate::clock::Clock;
use crate::egress::Client;
use crate::id::FlowId;
use crate::llm::{Account, Ledger, Models};
use crate::store::{LlmUsage, Quota, Store};
use crate::trigger::{Emitted, Output, Span};

pub use self::grants::{BadGrant, GRANTS_MAX, Grants, LlmGrant, MODEL_CHARS_MAX};
pub use self::http_grant::{HttpGrant, METHODS, PATTERN_BYTES_MAX, Scheme};
pub use self::keyvalue::is_bucket;
pub use self::logging::Logs;
pub use self::memory::{Memory, OutOfMemory, OutOfStock, Stock};
pub use self::recorder::{Answered, HttpAnswer, LlmAnswer};
pub use self::redact::{Redactor, Scrubber};
pub use self::secrets::{SECRET_CHARS_MAX, SECRET_CHARS_MIN, SECRETS_MAX, Secrets, check_secret_name};
pub use self::session::Session;
pub use self::spans::{Open, Spans};

/// Bounds on what one execution may ask of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Log lines kept for one execution; further ones are counted. Default 1,000.
    pub log_lines_max: usize,
    /// Bytes of one log line; the rest of the line is cut off. Default 4,096.
    pub log_line_bytes_max: usize,
    /// Outputs (`say` and `progress`) of one execution. Default 10,000.
    pub outputs_max: u32,
    /// Bytes of all outputs of one execution. Default 4 MiB.
    pub output_bytes_max: u64,
    /// Events of its own making that an execution may emit. Default 100.
    pub events_max: usize,
    /// Bytes of the data of all of them. Default 256 KiB.
    pub event_bytes_max: usize,
    /// Spans kept for one execution; further ones are counted. Default 1,000.
    pub spans_max: usize,
    /// Calls of language models of one execution. Default 100.
    pub llm_calls_max: u32,
    /// Replies of language models that it reads as they come, at one time. Default 8.
    pub llm_streams_max: usize,
    /// Bytes of their names, attributes and errors together. Default 256 KiB.
    pub span_bytes_max: usize,
    /// Calls of other flows that one execution may make. Default 100.
    pub calls_max: u32,
    /// Levels that flows may call flows deep. Default 5.
    pub call_depth_max: u32,
    /// Bytes of message and data of one call together. Default 1 MiB.
    pub call_bytes_max: usize,
    /// Keys that a flow may keep by `wasi:keyvalue`, in all its buckets. Default 10,000.
    pub keyvalue_keys_max: u64,
    /// Bytes of these keys and their values together. Default 64 MiB.
    pub keyvalue_bytes_max: u64,
    /// Bytes of one of these keys. Default 512.
    pub keyvalue_key_bytes_max: usize,
    /// Bytes of one of these values. Default 256 KiB.
    pub keyvalue_value_bytes_max: usize,
    /// Bytes of a key of the session's state. Default 256.
    pub session_key_bytes_max: usize,
    /// Bytes of a value of the session's state. Default 64 KiB.
    pub session_value_bytes_max: usize,
    /// Bytes of the text, and of the data, of one message of a session. Default 64 KiB.
    pub session_text_bytes_max: usize,
    /// Bytes of one request for random numbers. Default 64 KiB.
    pub random_bytes_max: u64,
    /// Requests that an execution may send by HTTP. Default 100.
    pub http_requests_max: u32,
    /// Requests of an execution under way at one time; further ones wait. Default 32.
    pub http_concurrent_max: usize,
    /// Milliseconds for a request with its whole answer. Default 30,000.
    pub http_ms_max: u64,
    /// Bytes of a request's body. Default 1 MiB.
    pub http_request_bytes_max: usize,
    /// Bytes of an answer's body. Default 1 MiB.
    pub http_answer_bytes_max: usize,
    /// Streams, pollables, HTTP bodies and the like held at one time. Default 1,000.
    pub resources_max: usize,
    /// Bytes of one set of HTTP header fields as it lies in the host's memory. Default 64 KiB.
    pub header_bytes_max: usize,
    /// Elements of one table. Default 20,000.
    pub table_elements_max: usize,
    /// Whether what requests and language models answered is kept with the execution, so that it can be exported as a case.
    /// Default false: answers are content.
    pub record_answers: bool,
    /// Bytes of that for one execution; further answers are counted. Default 1 MiB.
    pub record_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_lines_max: 1_000,
            log_line_bytes_max: 4_096,
            outputs_max: 10_000,
            output_bytes_max: 4 << 20,
            events_max: 100,
            event_bytes_max: 256 << 10,
            spans_max: 1_000,
            llm_calls_max: 100,
            llm_streams_max: 8,
            span_bytes_max: 256 << 10,
            calls_max: 100,
            call_depth_max: 5,
            call_bytes_max: 1 << 20,
            keyvalue_keys_max: 10_000,
            keyvalue_bytes_max: 64 << 20,
            keyvalue_key_bytes_max: 512,
            keyvalue_value_bytes_max: 256 << 10,
            session_key_bytes_max: 256,
            session_value_bytes_max: 64 << 10,
            session_text_bytes_max: 64 << 10,
            random_bytes_max: 64 << 10,
            http_requests_max: 100,
            http_concurrent_max: 32,
            http_ms_max: 30_000,
            http_request_bytes_max: 1 << 20,
            http_answer_bytes_max: 1 << 20,
            resources_max: 1_000,
            header_bytes_max: 64 << 10,
            table_elements_max: 20_000,
            record_answers: false,
            record_bytes_max: 1 << 20,
        }
    }
}

impl Options {
    /// How much a flow may keep by `wasi:keyvalue`.
    pub fn keyvalue_quota(&self) -> Quota {
        Quota {
            keys_max: self.keyvalue_keys_max,
            bytes_max: self.keyvalue_bytes_max,
            key_bytes_max: self.keyvalue_key_bytes_max,
            value_bytes_max: self.keyvalue_value_bytes_max,
        }
    }
}

/// What the capabilities of all executions stand on.
#[derive(Clone)]
pub struct Services {
    /// Where flows keep what they keep.
    pub store: Store,
    /// Sends what flows send.
    pub client: Client,
    /// The language models.
    pub models: Models,
    /// What flows spend on them.
    pub ledger: Ledger,
    /// Where flows that are called come to run.
    pub flows: flows::Door,
}

#[cfg(test)]
impl Services {
    /// Those of a house whose configuration says nothing.
    pub(crate) fn of(store: Store) -> Self {
        let (egress, clock) = (crate::egress::Options::default(), Clock::system());
        let models = Models::new(&Default::default(), &egress, clock.clone(), |_| None).expect("the default is usable");
        let ledger = Ledger::new(store.clone(), clock);
        Self { client: Client::new(&egress), models, ledger, store, flows: Default::default() }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

/// What one execution is given.
#[derive(Debug)]
pub struct Given {
    /// Tells the time of log lines and messages.
    pub clock: Clock,
    /// The flow; none when it is only tried.
    pub flow: Option<FlowId>,
    /// The execution as other flows see it; none when it is only tried.
    pub caller: Option<flows::Caller>,
    /// The flow's configuration.
    pub config: Arc<BTreeMap<String, String>>,
    /// What the operator permits the flow.
    pub grants: Arc<Grants>,
    /// Who pays for what it spends on language models; none when it is only tried.
    pub account: Option<Account>,
    /// The secrets that the flow may use.
    pub secrets: Secrets,
    /// The conversation, where the trigger names one.
    pub session: Option<Session>,
    /// Takes what the flow says; its bound is how far the flow may run ahead of its reader.
    pub output: mpsc::Sender<Output>,
    /// Bytes of all memories and tables together.
    pub memory_bytes_max: usize,
    /// What all executions share of memory.
    pub memory_stock: Arc<Stock>,
}

/// The state of every capability for one execution: the data of its `wasmtime::Store`.
pub struct Ctx {
    config: config::Config,
    events: events::Events,
    flows: flows::Flows,
    http: http::Http,
    keyvalue: keyvalue::KeyValue,
    llm: llm::Llm,
    talks: llm::OpenTalks,
    logs: Logs,
    memory: Memory,
    output: output::Outputs,
    recorder: recorder::Recorder,
    session: session::Conversation,
    spans: Spans,
    table: ResourceTable,
    vault: secrets::Vault,
    wasi: wasi::Wasi,
}

impl Ctx {
    /// Prepares the capabilities for one execution.
    pub fn new(options: &Options, services: &Services, given: Given) -> Self {
        let logs = Logs::new(options, given.clock.clone());
        Self::logging(options, services, given, logs)
    }

    fn logging(options: &Options, services: &Services, given: Given, logs: Logs) -> Self {
        let (spans, recorder) = (Spans::new(options), recorder::Recorder::new(options));
        let redactor = given.secrets.redactor().clone();
        let vault = secrets::Vault::new(given.secrets, given.grants.clone(), spans.clone());
        let outgoing = outgoing::Outgoing::new(
            options,
            services.client.clone(),
            given.grants.clone(),
            vault.clone(),
            logs.clone(),
            spans.clone(),
            recorder.clone(),
        );
        let mut table = ResourceTable::new();
        table.set_max_capacity(options.resources_max);
        let store = services.store.clone();
        let output = output::Outputs::new(options, given.output, spans.clone(), redactor.clone());
        Self {
            keyvalue: keyvalue::KeyValue::new(options, store, given.flow, given.clock.clone(), spans.clone()),
            flows: flows::Flows::new(options, services, given.caller, given.grants.clone(), spans.clone()),
            config: config::Config::new(given.config),
            events: events::Events::new(options, given.clock.clone()),
            http: http::Http::new(outgoing.clone()),
            llm: llm::Llm::new(
                options,
                services,
                given.account,
                given.grants,
                output.clone(),
                spans.clone(),
                recorder.clone(),
            ),
            talks: llm::OpenTalks::default(),
            memory: Memory::new(given.memory_bytes_max, options.table_elements_max, given.memory_stock),
            output,
            recorder,
            session: session::Conversation::new(options, given.session, given.clock, spans.clone(), redactor),
            spans,
            table,
            vault,
            wasi: wasi::Wasi::new(options, &logs, outgoing),
            logs,
        }
    }

    /// Makes the capabilities of an instance that has run before ready for its next execution. What the guest still holds
    /// of the host, such as its standard streams, stays its own.
    pub fn renew(&mut self, options: &Options, services: &Services, given: Given) {
        let bytes_max = given.memory_bytes_max;
        let renewed = Self::logging(options, services, given, self.logs.clone());
        let old = std::mem::replace(self, renewed);
        self.memory = old.memory;
        self.table = old.table;
        self.keyvalue.inherit(&old.keyvalue);
        self.wasi.inherit(old.wasi);
        self.memory.renew(bytes_max);
    }

    /// Whether an instance that has run before may have another execution: it is within that one's limit of memory, and
    /// has seen no secret that is not looked for any more in what leaves.
    pub fn fits(&self, given: &Given) -> bool {
        self.memory.bytes() <= given.memory_bytes_max && self.vault.has_those_of(&given.secrets)
    }

    /// The log, which outlives this value: clones share their lines.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// The counter of memory, as `Store::limiter` wants it.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// How many outputs were accepted so far.
    pub fn outputs(&self) -> u32 {
        self.output.count()
    }

    /// What the flow emitted.
    pub fn take_events(&mut self) -> Vec<Emitted> {
        self.events.take()
    }

    /// What it spent on language models so far.
    pub fn llm_usage(&self) -> LlmUsage {
        self.llm.usage()
    }

    /// Ends the replies of language models that are still on their way.
    pub fn end_chats(&mut self) {
        self.talks.end(&mut self.table);
    }

    /// What takes outputs, for a reply whose text comes in parts.
    pub fn output(&self) -> &mpsc::Sender<Output> {
        self.output.sender()
    }

    /// How many outputs may still be given.
    pub fn outputs_left(&self) -> u32 {
        self.output.left()
    }

    /// How long its calls took, and how many more there were than are kept.
    pub fn take_spans(&self) -> (Vec<Span>, u64) {
        self.spans.take()
    }

    /// What requests and models answered, as far as it is kept, and how many answers were not.
    pub fn take_answers(&self) -> (Vec<Answered>, u64) {
        self.recorder.take()
    }

    /// Finds the flow's secrets in what leaves.
    pub fn redactor(&self) -> &Redactor {
        self.vault.redactor()
    }

    /// Drops all that the guest holds of the host: its streams end, its bodies are closed.
    pub fn release(&mut self) {
        self.table = ResourceTable::new();
    }
}

/// Makes every capability callable. Done once for an engine; what an execution may really use is decided by its [`Ctx`].
pub fn add_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    wasi::add_to_linker(linker)?;
    v0_1::flow::output::add_to_linker::<Ctx, HasSelf<output::Outputs>>(linker, |ctx| &mut ctx.output)?;
    v0_1::flow::events::add_to_linker::<Ctx, HasSelf<events::Events>>(linker, |ctx| &mut ctx.events)?;
    v0_1::flow::http::add_to_linker::<Ctx, HasSelf<http::Http>>(linker, |ctx| &mut ctx.http)?;
    v0_1::flow::secrets::add_to_linker::<Ctx, HasSelf<secrets::Vault>>(linker, |ctx| &mut ctx.vault)?;
    v0_1::flow::secrets_reveal::add_to_linker::<Ctx, HasSelf<secrets::Vault>>(linker, |ctx| &mut ctx.vault)?;
    v0_1::flow::session::add_to_linker::<Ctx, HasSelf<session::Conversation>>(linker, |ctx| &mut ctx.session)?;
    v0_1::flow::llm::add_to_linker::<Ctx, llm::HasLlm>(linker, |ctx| {
        let Ctx { llm, talks, table, .. } = ctx;
        llm::View { llm, talks, table }
    })?;
    v0_1::flow::flows::add_to_linker::<Ctx, HasSelf<flows::Flows>>(linker, |ctx| &mut ctx.flows)?;
    keyvalue::add_to_linker(linker)?;
    v0_1::flow::spans::add_to_linker::<Ctx, spans::HasSpans>(linker, |ctx| spans::View {
        spans: &ctx.spans,
        table: &mut ctx.table,
    })?;
    v0_1::wasi::logging::logging::add_to_linker::<Ctx, HasSelf<Logs>>(linker, |ctx| &mut ctx.logs)?;
    v0_1::wasi::config::store::add_to_linker::<Ctx, HasSelf<config::Config>>(linker, |ctx| &mut ctx.config)
}

/// Adds to these what only asynchronous guests can call, in an engine that supports concurrency.
pub fn add_concurrent_to_linker(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    wasi::add_concurrent_to_linker(linker)?;
    v0_2::flow::output::add_to_linker::<Ctx, HasSelf<output::Outputs>>(linker, |ctx| &mut ctx.output)?;
    v0_2::flow::events::add_to_linker::<Ctx, HasSelf<events::Events>>(linker, |ctx| &mut ctx.events)?;
    v0_2::flow::http::add_to_linker::<Ctx, HasSelf<http::Http>>(linker, |ctx| &mut ctx.http)?;
    v0_2::flow::secrets::add_to_linker::<Ctx, HasSelf<secrets::Vault>>(linker, |ctx| &mut ctx.vault)?;
    v0_2::flow::secrets_reveal::add_to_linker::<Ctx, HasSelf<secrets::Vault>>(linker, |ctx| &mut ctx.vault)?;
    v0_2::flow::session::add_to_linker::<Ctx, HasSelf<session::Conversation>>(linker, |ctx| &mut ctx.session)?;
    v0_2::flow::llm::add_to_linker::<Ctx, HasSelf<llm::Llm>>(linker, |ctx| &mut ctx.llm)?;
    v0_2::flow::flows::add_to_linker::<Ctx, HasSelf<flows::Flows>>(linker, |ctx| &mut ctx.flows)?;
    keyvalue::add_concurrent_to_linker(linker)?;
    v0_2::flow::spans::add_to_linker::<Ctx, spans::HasSpans>(linker, |ctx| spans::View {
        spans: &ctx.spans,
        table: &mut ctx.table,
    })
}
