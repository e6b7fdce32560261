//! One execution: a fresh instance, called once, within its budgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::UpdateDeadline;

use crate::bindings::v0_1::Flow;
use crate::bindings::{About, v0_1};
use crate::capability::flows::{Budgets, Caller};
use crate::capability::{Answered, Ctx, Given, Grants, Secrets, Session};
use crate::clock::{Clock, Timestamp};
use crate::id::{Digest, ExecutionId, FlowId};
use crate::llm::Account;
use crate::share::Shares;
use crate::store::{LlmUsage, Speaker};
use crate::trigger::{Emitted, Failure, LogLine, Output, Reply, Span, Trigger};

use super::load::{Loaded, Program};
use super::meter::Meter;
use super::warm::{Instance, Live};
use super::{Engine, Kind, asynchronous, http, redact, reply, service};

/// What one execution is given.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id.
    pub execution: ExecutionId,
    /// The flow.
    pub flow: FlowId,
    /// The flow's name.
    pub flow_name: Arc<str>,
    /// The running version.
    pub version: Digest,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// When it is stopped.
    pub deadline: Timestamp,
    /// What happened.
    pub trigger: Arc<Trigger>,
    /// The flow's configuration.
    pub config: Arc<BTreeMap<String, String>>,
    /// What the operator permits the flow.
    pub grants: Arc<Grants>,
    /// Tokens that its attempts before spent on language models, with those of the executions that they called.
    pub llm_tokens_before: u64,
    /// The secrets that the flow may use.
    pub secrets: Secrets,
    /// Decides when the deadline has come, and tells the time of log lines.
    pub clock: Clock,
    /// The flow's own limits.
    pub limits: Limits,
    /// How many callers stand above it: 0 when a trigger made it.
    pub depth: u32,
    /// Those of the caller, which what it uses is taken from; none when a trigger made it.
    pub budgets: Option<Budgets>,
    /// Executions that one instance may run, one after the other. With 1 each gets a fresh one.
    pub reuse_max: u32,
}

/// Limits of one flow. They can only tighten those of [`super::Options`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all memories and tables together.
    pub memory_bytes_max: Option<usize>,
    /// Milliseconds that it may really run.
    pub cpu_ms_max: Option<u64>,
    /// Bytes of its reply.
    pub reply_bytes_max: Option<usize>,
}

/// How an execution went.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<E = End> {
    /// How it ended.
    pub end: E,
    /// What it emitted, also when it was stopped.
    pub events: Vec<Emitted>,
    /// What it logged, also when it was stopped.
    pub logs: Vec<LogLine>,
    /// Lines that were logged and not kept.
    pub logs_dropped: u64,
    /// How long its calls took, also when it was stopped.
    pub spans: Vec<Span>,
    /// Spans that were not kept.
    pub spans_dropped: u64,
    /// What its requests and models answered, where that is kept.
    pub answers: Vec<Answered>,
    /// Answers that were to be kept and were not.
    pub answers_dropped: u64,
    /// What it used.
    pub usage: Usage,
}

/// What an execution used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Microseconds that it really ran.
    pub cpu_us: u64,
    /// Microseconds from its start to its end.
    pub wall_us: u64,
    /// The most bytes that its memories and tables had at one time.
    pub peak_memory_bytes: u64,
    /// Outputs that it gave.
    pub outputs: u32,
    /// What it spent on language models.
    pub llm: LlmUsage,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With a reply.
    Reply(Reply),
    /// With a failure that the flow itself reported.
    Failure(Failure),
    /// The host stopped it.
    Stopped(Stop),
}

/// Why the host stopped an execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The guest panicked, or did what WebAssembly forbids. Its own words are in the log.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// The guest wanted more memory than it may have.
    #[error("the guest wanted more memory than it may have")]
    OutOfMemory,
    /// The guest wanted more memory than the host has left for it. Alone it might have had it.
    #[error("of the memory that the host has for all executions together, too little was left")]
    OutOfStock,
    /// The guest ran longer than it may.
    #[error("the guest used up its cpu budget")]
    CpuBudget,
    /// The deadline came.
    #[error("the deadline came before the reply")]
    Deadline,
    /// Somebody canceled it.
    #[error("the execution was canceled")]
    Canceled,
    /// What the guest gave breaks a limit or the contract.
    #[error("{0}")]
    OverLimit(String),
    /// Every slot is taken; nothing was run.
    #[error("all places for executions are taken")]
    Busy,
    /// The host failed.
    #[error("the host failed: {0}")]
    Host(String),
}

impl Stop {
    /// The reason as a word for records.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::OutOfMemory => "out_of_memory",
            Self::OutOfStock => "host_memory",
            Self::CpuBudget => "cpu_budget",
            Self::Deadline => "deadline",
            Self::Canceled => "canceled",
            Self::OverLimit(_) => "over_limit",
            Self::Busy => "busy",
            Self::Host(_) => "host_error",
        }
    }
}

impl Engine {
    /// Runs `loaded` once. Never waits for a slot: a full pool answers [`Stop::Busy`] at once.
    ///
    /// `stop` ends it from outside. What the guest says before its reply goes to `output`, and a slow reader suspends the
    /// guest. Cancel safe, but then the logs are lost; prefer `stop`.
    pub async fn run(&self, loaded: &Loaded, call: Call, output: mpsc::Sender<Output>, stop: CancellationToken) -> Run {
        let Ok(_slot) = self.0.slots.try_acquire() else { return Run::busy() };
        let options = &self.0.options;
        let session = call.trigger.session_id.clone().map(|id| {
            let Trigger { hook, user_id, confidential, .. } = &*call.trigger;
            let (execution, confidential) = (call.execution, *confidential);
            let speaker = Speaker { execution, hook: *hook, user_id: user_id.clone(), confidential };
            Session { store: self.0.services.store.clone(), flow: call.flow, id, speaker }
        });
        let cpu_max = Duration::from_millis(tighter(options.cpu_ms_max, call.limits.cpu_ms_max));
        let (cpu, llm) = call.budgets.map(|Budgets { cpu, llm }| (cpu, llm)).unzip();
        let meter = Arc::new(Meter::new(cpu_max, cpu));
        let account = Account::new(call.flow, call.grants.llm_limits(), call.llm_tokens_before, llm);
        let caller = Caller {
            execution: call.execution,
            flow: call.flow,
            depth: call.depth,
            deadline: call.deadline,
            user_id: call.trigger.user_id.clone(),
            confidential: call.trigger.confidential,
            budgets: Budgets { cpu: meter.clone(), llm: account.clone() },
        };
        let given = Given {
            caller: Some(caller),
            clock: call.clock.clone(),
            flow: Some(call.flow),
            config: call.config,
            grants: call.grants,
            account: Some(account),
            secrets: call.secrets,
            session,
            output,
            memory_bytes_max: tighter(options.memory_bytes_max, call.limits.memory_bytes_max),
            memory_stock: self.0.memory.clone(),
        };
        let about = Told {
            execution: call.execution.to_string(),
            flow: call.flow_name,
            version: call.version.to_string(),
            attempt: call.attempt,
            deadline: call.deadline,
        };
        let reply_bytes_max = tighter(options.reply_bytes_max, call.limits.reply_bytes_max);

        let owner = (call.flow, call.version);
        let waiting = if call.reuse_max > 1 { self.0.warm.take(owner) } else { None };
        let (mut guest, mut live) = match waiting {
            Some(waiting) if waiting.store.data().fits(&given) => {
                let mut store = waiting.store;
                store.data_mut().renew(&self.0.capability, &self.0.services, given);
                (self.within(loaded.kind(), Some(call.flow), store, meter.clone()), Some(waiting.live))
            }
            _ => (self.guest(loaded.kind(), given, meter.clone()), None),
        };
        let received_at = Timestamp::from_unix_ms(i64::try_from(call.trigger.received_at_ms).unwrap_or(i64::MAX));
        let is_late = call.clock.now().since(received_at) > LATE;
        let work = meter.measure(async {
            if is_late {
                // The workers have more to do than they can, so the flows take turns from the start.
                next_turn(self.0.turns.get_or_init(turns).clone(), Some(call.flow), meter.clone()).await;
            }
            let (store, trigger) = (&mut guest.store, &*call.trigger);
            match &loaded.program {
                Program::Flow01(flow) => {
                    let live = match &mut live {
                        Some(live) => live,
                        none => none.insert(Live::new(flow.instantiate_async(&mut *store).await?, call.reuse_max)),
                    };
                    call_flow(store, live.begin(), trigger, about.about(), reply_bytes_max).await
                }
                // Boxed, so that what they need does not make every execution larger.
                Program::Flow02(flow) => {
                    Box::pin(asynchronous::call(store, flow, trigger, about.about(), reply_bytes_max)).await
                }
                Program::Http02(proxy) => Box::pin(http::call(store, proxy, trigger, reply_bytes_max)).await,
                Program::Http03(service) => Box::pin(service::call(store, service, trigger, reply_bytes_max)).await,
                Program::Transform(_) => Err(Stop::OverLimit("a transform handles no triggers".to_owned())),
            }
        });
        let mut end = tokio::select! {
            biased;
            end = work => end.unwrap_or_else(End::Stopped),
            () = stop.cancelled() => End::Stopped(Stop::Canceled),
            () = call.clock.sleep_until(call.deadline) => End::Stopped(Stop::Deadline),
        };
        redact::end(guest.store.data().redactor(), &mut end);
        let run = guest.report(end);
        if call.reuse_max > 1
            && self.0.memory.is_plenty()
            && let (Some(live), End::Reply(_) | End::Failure(_)) = (live, &run.end)
        {
            self.0.warm.put(owner, Instance { store: guest.store, live });
        }
        run
    }

    /// A store for a fresh instance of this kind.
    pub(super) fn guest(&self, kind: Kind, given: Given, meter: Arc<Meter>) -> Guest<'_> {
        let inner = &self.0;
        let wasmtime = &inner.runtimes.of(kind).wasmtime;
        let owner = given.flow;
        let mut store = wasmtime::Store::new(wasmtime, Ctx::new(&inner.capability, &inner.services, given));
        store.limiter(|ctx| ctx.memory());
        store.set_hostcall_fuel(inner.options.hostcall_bytes_max);
        self.within(kind, owner, store, meter)
    }

    /// A store with the budget of one execution.
    fn within(
        &self,
        kind: Kind,
        owner: Option<FlowId>,
        mut store: wasmtime::Store<Ctx>,
        meter: Arc<Meter>,
    ) -> Guest<'_> {
        let resources_max = self.0.capability.resources_max;
        let pending_max = kind.is_async().then(|| resources_max.saturating_mul(PENDING_PER_RESOURCE));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback({
            let (meter, turns) = (meter.clone(), self.0.turns.get_or_init(turns).clone());
            move |mut store| {
                meter.check()?;
                if let Some(pending_max) = pending_max {
                    TooMuchAtOnce::check(store.concurrent_state_table_size(), pending_max)?;
                }
                Ok(UpdateDeadline::YieldCustom(1, Box::pin(next_turn(turns.clone(), owner, meter.clone()))))
            }
        });
        Guest { store, meter, _ticking: self.0.ticker.running() }
    }
}

/// How long after its request an execution usually begins at the latest.
const LATE: Duration = Duration::from_millis(5);

/// One turn for each worker.
fn turns() -> Shares<Option<FlowId>> {
    Shares::new(tokio::runtime::Handle::current().metrics().num_workers())
}

/// Waits until a guest that has run for a tick may run for another one. Turns go round among the flows, so however many
/// executions of one flow want to run, those of another wait for no more than a tick or two.
async fn next_turn(turns: Shares<Option<FlowId>>, owner: Option<FlowId>, meter: Arc<Meter>) {
    // Ends the guest's last turn, which the meter held. Tokio's own yield lets its worker look at sockets and timers, even
    // when all that runs are such guests.
    tokio::task::yield_now().await;
    let turn = turns.take(owner).await;
    // A turn that comes from another guest wakes its next holder at once, before the worker has looked.
    tokio::task::yield_now().await;
    meter.hold(turn);
}

/// A store, and what watches over it.
pub(super) struct Guest<'a> {
    pub(super) store: wasmtime::Store<Ctx>,
    pub(super) meter: Arc<Meter>,
    _ticking: super::ticker::Ticking<'a>,
}

impl Guest<'_> {
    pub(super) fn report<E>(&mut self, end: E) -> Run<E> {
        let ctx = self.store.data_mut();
        // First, so that what they have taken is in the report.
        ctx.end_chats();
        let (logs, logs_dropped) = ctx.logs().take();
        let usage = Usage {
            cpu_us: micros(self.meter.used()),
            wall_us: micros(self.meter.wall()),
            peak_memory_bytes: ctx.memory().peak_bytes() as u64,
            outputs: ctx.outputs(),
            llm: ctx.llm_usage(),
        };
        let (spans, spans_dropped) = ctx.take_spans();
        let (answers, answers_dropped) = ctx.take_answers();
        let redactor = ctx.redactor().clone();
        let mut run = Run {
            end,
            events: ctx.take_events(),
            logs,
            logs_dropped,
            spans,
            spans_dropped,
            answers,
            answers_dropped,
            usage,
        };
        redact::said(&redactor, &mut run);
        run
    }
}

impl Run {
    /// One that did not take place.
    pub fn not(why: Stop) -> Self {
        Self::without(End::Stopped(why))
    }

    fn busy() -> Self {
        Self::not(Stop::Busy)
    }
}

impl<E> Run<E> {
    /// One without a guest.
    pub(super) fn without(end: E) -> Self {
        Self {
            end,
            events: Vec::new(),
            logs: Vec::new(),
            logs_dropped: 0,
            spans: Vec::new(),
            spans_dropped: 0,
            answers: Vec::new(),
            answers_dropped: 0,
            usage: Usage::default(),
        }
    }
}

/// What a flow is told about its execution.
struct Told {
    execution: String,
    flow: Arc<str>,
    version: String,
    attempt: u32,
    deadline: Timestamp,
}

impl Told {
    fn about(&self) -> About<'_> {
        About {
            execution: &self.execution,
            flow: &self.flow,
            version: &self.version,
            attempt: self.attempt,
            deadline_ms: self.deadline.unix_ms_unsigned(),
        }
    }
}

/// The trap of an asynchronous guest that has too many calls, tasks and streams under way at one time. wasmtime itself
/// allows a million, and each takes some of the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest has {pending} calls, tasks and ends of streams under way and may have {pending_max}")]
pub(super) struct TooMuchAtOnce {
    pending: usize,
    pending_max: usize,
}

/// What wasmtime counts for one call or stream: the task, its waitable, the two ends and what is between them.
const PENDING_PER_RESOURCE: usize = 4;

impl TooMuchAtOnce {
    fn check(pending: usize, pending_max: usize) -> Result<(), Self> {
        if pending > pending_max { Err(Self { pending, pending_max }) } else { Ok(()) }
    }
}

async fn call_flow(
    store: &mut wasmtime::Store<Ctx>,
    flow: &Flow,
    trigger: &Trigger,
    about: About<'_>,
    reply_bytes_max: usize,
) -> Result<End, Stop> {
    match v0_1::handle(flow, &mut *store, trigger, about).await?? {
        Ok(reply) => reply::check(&reply, reply_bytes_max).map(|()| End::Reply(reply)),
        Err(failure) => reply::check_failure(&failure, reply_bytes_max).map(|()| End::Failure(failure)),
    }
}

fn tighter<T: Ord>(limit: T, own: Option<T>) -> T {
    match own {
        Some(own) => limit.min(own),
        None => limit,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{House, digest};
    use crate::engine::{Compiler, Error};

    fn call(clock: Clock) -> Call {
        Call {
            execution: ExecutionId::at(1),
            flow: FlowId::at(1),
            flow_name: Arc::from("bot"),
            version: digest(),
            attempt: 1,
            deadline: clock.now().after(Duration::from_secs(60)),
            trigger: Arc::default(),
            config: Arc::default(),
            grants: Arc::default(),
            llm_tokens_before: 0,
            secrets: Secrets::default(),
            clock,
            limits: Limits::default(),
            depth: 0,
            budgets: None,
            reuse_max: 1,
        }
    }

    async fn run(engine: &Engine, loaded: &Loaded, call: Call) -> Run {
        engine.run(loaded, call, mpsc::channel(1).0, CancellationToken::new()).await
    }

    #[tokio::test]
    async fn a_trap_ends_the_execution_and_gives_its_slot_back() {
        let house = House::new();
        let engine = house.engine(Compiler::InProcess, 1);
        let loaded = engine.load(digest(), &house.component()).await.unwrap();
        let ended = run(&engine, &loaded, call(Clock::system())).await;
        let End::Stopped(Stop::Trap(message)) = &ended.end else { panic!("{ended:?}") };
        assert!(message.contains("unreachable") && !message.contains(".wasm"), "{message}");
        assert!(ended.usage.cpu_us > 0 && ended.usage.cpu_us <= ended.usage.wall_us);
        assert_eq!(engine.free_slots(), 2);
        assert!(matches!(engine.probe(&loaded).await, Err(Error::Probe(Stop::Trap(_)))));
    }

    #[tokio::test]
    async fn a_full_pool_answers_at_once() {
        let house = House::new();
        let engine = house.engine(Compiler::InProcess, 1);
        let loaded = engine.load(digest(), &house.component()).await.unwrap();
        let _all = engine.0.slots.acquire_many(2).await.unwrap();
        assert_eq!(run(&engine, &loaded, call(Clock::system())).await, Run::busy());
    }

    #[tokio::test]
    async fn a_flow_can_only_tighten_its_limits() {
        let house = House::new();
        let engine = house.engine(Compiler::InProcess, 1);
        let loaded = engine.load(digest(), &house.component()).await.unwrap();
        let limits = Limits { memory_bytes_max: Some(0), ..Limits::default() };
        let ended = run(&engine, &loaded, Call { limits, ..call(Clock::system()) }).await;
        assert_eq!(ended.end, End::Stopped(Stop::OutOfMemory));
        assert_eq!((tighter(5, Some(9)), tighter(5, Some(3)), tighter(5, None)), (5, 3, 5));
    }
}
