//! Inspects, compiles, loads and runs components, each within limits.
//!
//! Uploaded bytes pass [`inspect`], which compiles nothing, then [`Engine::compile`], which works in a child process, then
//! [`Engine::probe`], which starts the component once. [`Engine::load`] keeps what is ready to run, and [`Engine::run`]
//! gives every execution a fresh instance, a CPU budget, a memory budget and a deadline. Whatever a guest does ends its own
//! execution only.

mod asynchronous;
mod compare;
mod compile;
mod contract;
mod http;
mod inspect;
mod load;
mod meter;
mod parts;
mod probe;
mod redact;
mod reply;
mod run;
mod runtime;
mod service;
mod settings;
#[cfg(test)]
mod testing;
mod ticker;
mod total;
mod transform;
mod trap;
mod warm;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::capability;
use crate::id::{Digest, FlowId};
use crate::share::Shares;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use self::runtime::Runtimes;
use self::ticker::Ticker;

pub use self::compile::{Compiler, compile_child};
pub use self::contract::Kind;
pub(crate) use self::contract::nearest;
pub use self::inspect::{Inspection, Mismatch, MismatchKind, Refusal, inspect};
pub use self::load::Loaded;
pub use self::probe::Probe;
pub use self::run::{Call, End, Limits, Run, Stop, Usage};
pub use self::transform::{Given as TransformGiven, Made, Message};
pub use crate::bindings::transform_v0_1::Event as TransformEvent;

/// Limits on components and on their executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bytes of a component. Default 64 MiB.
    pub component_bytes_max: usize,
    /// Bytes of all memories and tables of an execution together. Default 128 MiB.
    pub memory_bytes_max: usize,
    /// Bytes of all memories and tables of all executions together, beyond 4 MiB of each; 0 for half of the memory of the
    /// machine, or of the process's control group where that has less. Default 0.
    pub memory_total_bytes_max: usize,
    /// Milliseconds that an execution may really run; waiting does not count. Default 5,000.
    pub cpu_ms_max: u64,
    /// Bytes of a reply: text, data, headers and body together. Default 1 MiB.
    pub reply_bytes_max: usize,
    /// Bytes that one host call may move from the guest to the host. Default 8 MiB.
    pub hostcall_bytes_max: usize,
    /// Executions at one time. Each reserves address space, and takes memory only as it runs. Default 256.
    pub instances_max: u32,
    /// Instances that wait for a further execution, of flows that ask for it; they take memory while they wait. Default 64.
    pub warm_max: u32,
    /// Milliseconds that an instance waits for a further execution. Default 60,000.
    pub warm_idle_ms: u64,
    /// Bytes of each memory and table that stay with the process between two executions. Default 1 MiB.
    pub keep_resident_bytes: usize,
    /// Milliseconds between two looks at a running guest, and so the longest that it holds a thread while others wait.
    /// Default 2.
    pub epoch_tick_ms: u64,
    /// Versions that are kept ready to run. Default 1,000.
    pub loaded_max: u64,
    /// Components compiled at one time. Default 1.
    pub compiles_at_once: usize,
    /// Milliseconds that one compilation may take. Default 120,000.
    pub compile_ms_max: u64,
    /// Bytes of address space that one compilation may take. Default 4 GiB.
    pub compile_memory_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            component_bytes_max: 64 << 20,
            memory_bytes_max: 128 << 20,
            memory_total_bytes_max: 0,
            cpu_ms_max: 5_000,
            reply_bytes_max: 1 << 20,
            hostcall_bytes_max: 8 << 20,
            instances_max: 256,
            warm_max: 64,
            warm_idle_ms: 60_000,
            keep_resident_bytes: 1 << 20,
            epoch_tick_ms: 2,
            loaded_max: 1_000,
            compiles_at_once: 1,
            compile_ms_max: 120_000,
            compile_memory_bytes_max: 4 << 30,
        }
    }
}

/// Why a component could not be made ready. Whatever happens inside an execution is a [`Stop`] instead.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The WebAssembly runtime cannot start on this machine.
    #[error("the webassembly runtime cannot start: {0}")]
    Start(String),
    /// The component cannot be compiled, or not linked: the flow's fault.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// Compilation took longer than `compile_ms_max`.
    #[error("the component takes longer than {limit_ms} ms to compile")]
    CompileTime {
        /// The limit.
        limit_ms: u64,
    },
    /// Compilation ran out of memory, or the compiler fell over.
    #[error("the compiler stopped before it was done ({0}); the component may be too large for the compile limits")]
    CompileCrash(String),
    /// The component starts with an error.
    #[error("the component does not start: {0}")]
    Probe(Stop),
    /// The component or the cache of compiled components cannot be read or written: the host's fault.
    #[error("{what}: {reason}")]
    Files {
        /// What was tried.
        what: &'static str,
        /// What the operating system said.
        reason: String,
    },
}

impl Error {
    fn files(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Files { what, reason: error.to_string() }
    }
}

/// What an engine is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its limits.
    pub options: Options,
    /// The limits of what guests call.
    pub capability: capability::Options,
    /// What these calls stand on.
    pub services: capability::Services,
    /// Where compiled components are kept. Whoever can write there runs code in the host, so only the host may.
    pub cache_dir: PathBuf,
    /// Authenticates what is kept there.
    pub cache_key: [u8; 32],
    /// What compiles.
    pub compiler: Compiler,
}

/// A handle of the engine. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    options: Options,
    capability: capability::Options,
    services: capability::Services,
    compiler: Compiler,
    runtimes: Runtimes,
    loaded: Cache<Digest, Arc<Loaded>>,
    compiles: Semaphore,
    slots: Semaphore,
    warm: warm::Pool,
    memory: Arc<capability::Stock>,
    /// Of guests that run longer than a tick; made by the first, which knows how many workers there are.
    turns: OnceLock<Shares<Option<FlowId>>>,
    ticker: Ticker,
}

impl Engine {
    /// Starts the engine, and the thread that ticks for it.
    pub fn new(setup: Setup) -> Result<Self, Error> {
        let Setup { options, capability, services, cache_dir, cache_key, compiler } = setup;
        let runtimes = Runtimes::start(&options, &capability, &cache_dir, cache_key)?;
        let tick = Duration::from_millis(options.epoch_tick_ms.max(1));
        let engines = runtimes.all().map(|runtime| runtime.wasmtime.weak()).into();
        let ticker = Ticker::start(engines, tick).map_err(|error| Error::Start(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            loaded: Cache::new(options.loaded_max),
            compiles: Semaphore::new(options.compiles_at_once.max(1)),
            slots: Semaphore::new(options.instances_max as usize),
            warm: warm::Pool::new(options.warm_max as usize, Duration::from_millis(options.warm_idle_ms)),
            memory: Arc::new(capability::Stock::new(total::bytes(&options))),
            turns: OnceLock::new(),
            ticker,
            runtimes,
            compiler,
            capability,
            services,
            options,
        })))
    }

    /// The limits that the engine was started with.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// How many executions could start now.
    pub fn free_slots(&self) -> usize {
        self.0.slots.available_permits()
    }
}
