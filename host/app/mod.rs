//! Wiring and life cycle: opens the store, starts the rooms in order, and stops them in order.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api};
use crate::capability::{self, flows::Door};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config};
use crate::delivery::{self, Deliveries};
use crate::dispatch::{self, Dispatch};
use crate::egress::Client;
use crate::engine::{self, Compiler, Engine, Setup};
use crate::execution::{self, Executions};
use crate::hook::Hooks;
use crate::id::{KeyId, WorkspaceId};
use crate::ingress::{self, Ingress};
use crate::llm::{self, Ledger, Models};
use crate::metrics::Metrics;
use crate::notice::{self, Notices};
use crate::queue::Queue;
use crate::registry::Registry;
use crate::signature::Secret;
use crate::store::{self, Key, Store, Workspace};
use crate::subscription::Subscriptions;
use crate::transform::Transforms;
use crate::{server, sweep, telemetry};

/// The workspace that the first start makes.
const FIRST_WORKSPACE: &str = "main";

/// How long the end of a drain waits for what was interrupted to be handed back.
const HAND_BACK: Duration = Duration::from_secs(5);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logging cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", folder.display())]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// Why not.
        source: store::Error,
    },
    /// What is in the data folder cannot be read or changed.
    #[error("the store fails")]
    Store(#[from] store::Error),
    /// The engine cannot start.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A language model cannot be used as configured.
    #[error(transparent)]
    Model(#[from] llm::Unusable),
    /// Notices cannot be sent as configured.
    #[error(transparent)]
    Notice(#[from] notice::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system refuses something else.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// The runtime that the configuration asks for. With one worker there is one thread, which saves the cost of sharing.
pub fn runtime(config: &Config) -> std::io::Result<Runtime> {
    let per_core = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if config.server.workers == 0 { per_core() } else { config.server.workers };
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(workers).enable_all().thread_name("flowgate").build()
}

/// Runs the server over the data in `folder` until SIGTERM or SIGINT, and then drains: takes nothing new, lets requests
/// and executions end, and hands back what does not end in time. A second signal ends it at once.
pub async fn serve(config: Config, folder: &Path) -> Result<(), Error> {
    telemetry::start(&config.telemetry)?;
    // The usual soft limit is less than the connections that the defaults allow.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(error = &error as &dyn std::error::Error, "the limit on open files stays as it is");
    }
    let server = Server::open(config, folder).await?;
    let mut signals = Signals::new().map_err(|source| Error::System { what: "wait for signals", source })?;
    server.say_hello()?;

    let stop = CancellationToken::new();
    let mut running = pin!(server.run(stop.clone()));
    tokio::select! {
        () = &mut running => return Ok(()),
        () = signals.next() => stop.cancel(),
    }
    tracing::info!("draining");
    tokio::select! {
        () = running => tracing::info!("drained"),
        () = signals.next() => tracing::warn!("stopped at once, by a second signal"),
    }
    Ok(())
}

/// A server that is about to run, in this process and over one data folder.
pub struct Server {
    config: Config,
    house: House,
    listener: TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server on {}", self.address)
    }
}

impl Server {
    /// Opens the data folder, which is made if need be, and listens. Requests wait until it runs.
    pub async fn open(config: Config, folder: &Path) -> Result<Self, Error> {
        let client = Client::new(&config.egress);
        Self::sending_by(client, config, folder).await
    }

    /// The same with a client of one's own.
    pub async fn sending_by(client: Client, config: Config, folder: &Path) -> Result<Self, Error> {
        let address = config.server.listen;
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let house = House::build(&config, folder, client).await?;
        Ok(Self { config, house, listener, address })
    }

    /// Where it listens, with the port that it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes an admin key that ends by itself.
    pub async fn key(&self, name: &str, lifetime: Duration) -> Result<Secret, Error> {
        let now = self.house.clock.now();
        let workspaces = self.house.store.workspaces().await?;
        let workspace = workspaces.first().ok_or(store::Error::Corrupt("workspaces"))?.id;
        Ok(key(&self.house.store, workspace, name, now, Some(now.after(lifetime))).await?)
    }

    /// Serves until `stop`, and then drains: takes nothing new, lets requests and executions end, and hands back what does
    /// not end in time.
    pub async fn run(self, stop: CancellationToken) {
        let workers = self.house.start_workers(&self.config, &stop);
        let router = self.house.router(stop.clone());
        let serving = tokio::spawn(server::run(self.listener, router, self.config.server.clone(), stop.clone()));
        stop.cancelled().await;
        // Connections and executions end side by side, within the same time.
        let (_, ()) = tokio::join!(serving, self.house.drain(&self.config, workers));
    }

    /// What whoever started the server has to know, on stdout.
    fn say_hello(&self) -> Result<(), Error> {
        let said = || {
            let mut out = std::io::stdout().lock();
            if let Some(key) = &self.house.first_key {
                writeln!(out, "admin key (shown once): {}", key.expose())?;
            }
            writeln!(out, "listening on http://{}", self.address)?;
            out.flush()
        };
        said().map_err(|source| Error::System { what: "write to stdout", source })
    }
}

struct House {
    store: Store,
    clock: Clock,
    queue: Queue,
    registry: Registry,
    hooks: Hooks,
    subscriptions: Subscriptions,
    executions: Executions,
    deliveries: Deliveries,
    dispatch: Dispatch,
    notices: Notices,
    ingress: Ingress,
    metrics: Metrics,
    quota: store::Quota,
    first_key: Option<Secret>,
}

impl House {
    async fn build(config: &Config, folder: &Path, client: Client) -> Result<Self, Error> {
        let (clock, options, own) = (Clock::system(), config.store.clone(), folder.to_owned());
        let opened = tokio::task::spawn_blocking(move || Store::open(&own, &options)).await;
        let unusable = |source| Error::Folder { folder: folder.to_owned(), source };
        let store = opened.unwrap_or(Err(store::Error::Closed)).map_err(unusable)?;
        let door = Door::default();
        let compiler = Compiler::this_program();
        let engine = Engine::new(Setup {
            options: config.engine.clone(),
            capability: config.capability.clone(),
            services: capability::Services {
                store: store.clone(),
                client: client.clone(),
                models: Models::new(&config.models, &config.egress, clock.clone(), config::variable)?,
                ledger: Ledger::new(store.clone(), clock.clone()),
                flows: door.clone(),
            },
            cache_dir: folder.join("compiled"),
            cache_key: store.ring().derive("compiled components"),
            compiler: compiler.map_err(|source| Error::System { what: "find the compiler", source })?,
        })?;
        let queue = Queue::new(store.clone(), clock.clone(), config.queue.clone());
        let given_back = queue.recover().await?;
        if given_back > 0 {
            tracing::info!(jobs = given_back, "took over the work of the process before");
        }
        let registry = Registry::new(store.clone(), engine.clone(), queue.clone(), clock.clone());
        let hooks = Hooks::new(store.clone(), clock.clone());
        let subscriptions = Subscriptions::new(store.clone(), clock.clone());
        let metrics = Metrics::default();
        let parts = delivery::Parts {
            store: store.clone(),
            clock: clock.clone(),
            queue: queue.clone(),
            hooks: hooks.clone(),
            subscriptions: subscriptions.clone(),
            transforms: Transforms::new(registry.clone(), engine.clone(), clock.clone(), config.transform.clone()),
            client: client.clone(),
            metrics: metrics.clone(),
        };
        let deliveries = Deliveries::new(parts, config.delivery.clone());
        let parts = dispatch::Parts {
            store: store.clone(),
            clock: clock.clone(),
            queue: queue.clone(),
            subscriptions: subscriptions.clone(),
            deliveries: deliveries.clone(),
        };
        let dispatch = Dispatch::new(parts, config.dispatch.clone());
        let notices = Notices::new(store.clone(), clock.clone(), client, &config.notice)?;
        let parts = execution::Parts {
            store: store.clone(),
            clock: clock.clone(),
            engine,
            registry: registry.clone(),
            hooks: hooks.clone(),
            queue: queue.clone(),
            deliveries: deliveries.clone(),
            metrics: metrics.clone(),
        };
        let executions = Executions::new(parts, config.execution.clone());
        executions.recover().await?;
        door.open(executions.port());
        let parts = ingress::Parts {
            store: store.clone(),
            clock: clock.clone(),
            hooks: hooks.clone(),
            registry: registry.clone(),
            executions: executions.clone(),
            metrics: metrics.clone(),
        };
        let ingress = Ingress::new(parts, config.ingress.clone());
        // Last, when nothing can fail any more: a key that was made and not shown would lock everybody out.
        let first_key = first_key(&store, &clock).await?;
        Ok(Self {
            store,
            clock,
            queue,
            registry,
            hooks,
            subscriptions,
            executions,
            deliveries,
            dispatch,
            notices,
            ingress,
            metrics,
            quota: config.capability.keyvalue_quota(),
            first_key,
        })
    }

    fn router(&self, stopping: CancellationToken) -> axum::Router {
        let api = Api {
            store: self.store.clone(),
            clock: self.clock.clone(),
            registry: self.registry.clone(),
            hooks: self.hooks.clone(),
            subscriptions: self.subscriptions.clone(),
            dispatch: self.dispatch.clone(),
            executions: self.executions.clone(),
            deliveries: self.deliveries.clone(),
            quota: self.quota,
            metrics: self.metrics.clone(),
            stopping,
        };
        api::router(api, self.ingress.router())
    }

    fn start_workers(&self, config: &Config, stop: &CancellationToken) -> JoinSet<()> {
        let mut workers = JoinSet::new();
        let (registry, executions, deliveries) =
            (self.registry.clone(), self.executions.clone(), self.deliveries.clone());
        let stop = || stop.clone();
        workers.spawn({
            let stop = stop();
            async move { registry.run(stop).await }
        });
        workers.spawn({
            let stop = stop();
            async move { executions.run(stop).await }
        });
        workers.spawn({
            let stop = stop();
            async move { deliveries.run(stop).await }
        });
        workers.spawn({
            let (dispatch, stop) = (self.dispatch.clone(), stop());
            async move { dispatch.run(stop).await }
        });
        workers.spawn({
            let (notices, stop) = (self.notices.clone(), stop());
            async move { notices.run(stop).await }
        });
        workers.spawn(sweep::run(self.store.clone(), self.clock.clone(), config.retention.clone(), stop()));
        // Leases are kept until the process ends: the other workers need them while they finish.
        let queue = self.queue.clone();
        tokio::spawn(async move { queue.keep_leases(CancellationToken::new()).await });
        workers
    }

    /// Lets what runs come to its end, then hands back the rest.
    async fn drain(&self, config: &Config, mut workers: JoinSet<()>) {
        let patience = Duration::from_millis(config.server.drain_ms_max);
        let ended = async {
            while workers.join_next().await.is_some() {}
            self.executions.idle().await;
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(executions = self.executions.running(), "handing back what has not ended");
            self.executions.interrupt();
            let ended = async {
                while workers.join_next().await.is_some() {}
                self.executions.idle().await;
            };
            let _ = tokio::time::timeout(HAND_BACK, ended).await;
        }
        if let Err(error) = self.store.flush().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the last records were not written");
        }
    }
}

/// Makes the first workspace and its admin key when there is none, and returns the key, to be shown once.
async fn first_key(store: &Store, clock: &Clock) -> Result<Option<Secret>, store::Error> {
    if !store.workspaces().await?.is_empty() {
        return Ok(None);
    }
    let now = clock.now();
    let workspace = WorkspaceId::at(now.unix_ms_unsigned());
    // The key first: a crash in between leaves a key without a workspace, and the next start makes both anew.
    let text = key(store, workspace, "first", now, None).await?;
    let row = Workspace { id: workspace, name: FIRST_WORKSPACE.to_owned(), created_at: now };
    store.workspace_create(row).await?;
    Ok(Some(text))
}

/// Makes an admin key.
async fn key(
    store: &Store,
    workspace: WorkspaceId,
    name: &str,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<Secret, store::Error> {
    let (text, hash) = api::mint(&rand::random());
    let (id, name, role) = (KeyId::at(now.unix_ms_unsigned()), name.to_owned(), "admin".to_owned());
    store.key_create(Key { id, workspace, name, role, created_at: now, expires_at, revoked_at: None }, hash).await?;
    Ok(text)
}

/// The signals that ask the server to stop.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// Taken, so that a limit on the size of files fails a write, as a full disk does, and does not end the process.
    _too_large: tokio::signal::unix::Signal,
}

/// `SIGXFSZ`, the same on all systems that this runs on.
const FILE_TOO_LARGE: i32 = 25;

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
