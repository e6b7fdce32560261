//! Turns on a real store and a real receiver, with a clock that stands still: whatever happens here without moving it was
//! told, and nobody has just looked again after a while.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::engine::{self, Compiler, Engine};
use crate::hook::{Callback, NewHook, Spec};
use crate::id::FlowId;
use crate::registry::Registry;
use crate::signature::{Scheme, Secret};
use crate::store::{NewDelivery, Wished};
use crate::subscription::{self, Authentication, NewSubscription};
use crate::{capability, queue};

const NOW: Timestamp = Timestamp::from_unix_ms(1_763_654_400_000);

/// A receiver that answers what was planned, then 204; a plan of 0 is no answer at all.
struct Receiver {
    url: Url,
    plan: Arc<Mutex<VecDeque<u16>>>,
    got: watch::Receiver<usize>,
}

impl Receiver {
    async fn start(plan: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap()).parse().unwrap();
        let plan = Arc::new(Mutex::new(VecDeque::from(plan.to_vec())));
        let (count, got) = watch::channel(0);
        let planned = plan.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, planned.clone(), count.clone()));
            }
        });
        Self { url, plan, got }
    }

    fn plan(&self, plan: &[u16]) {
        self.plan.lock().unwrap().extend(plan);
    }

    fn got(&self) -> usize {
        *self.got.borrow()
    }

    /// Waits until so many requests have come.
    async fn wait_for(&self, n: usize) {
        let mut got = self.got.clone();
        let enough = tokio::time::timeout(Duration::from_secs(60), got.wait_for(|got| *got >= n)).await;
        assert!(enough.is_ok(), "{} of {n} requests came", self.got());
    }
}

async fn serve(mut stream: TcpStream, plan: Arc<Mutex<VecDeque<u16>>>, count: watch::Sender<usize>) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            stream.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
        };
        let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let end = end + length.parse::<usize>().ok()?;
        while read.len() < end {
            stream.read_buf(&mut read).await.ok().filter(|read| *read > 0)?;
        }
        read.drain(..end);
        let status = plan.lock().unwrap().pop_front().unwrap_or(204);
        count.send_modify(|got| *got += 1);
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let reason = StatusCode::from_u16(status).ok()?;
        let answer = format!("HTTP/1.1 {reason}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

struct House {
    deliveries: Deliveries,
    clock: Clock,
    workspace: WorkspaceId,
    target: Target,
    made: u64,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    async fn new(receiver: &Receiver, schedule_s: &[u64]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &store::Options::default()).unwrap();
        let clock = Clock::manual(NOW);
        let queue = Queue::new(store.clone(), clock.clone(), queue::Options::default());
        let hooks = Hooks::new(store.clone(), clock.clone());
        // However slow the machine is, what hangs goes on hanging.
        let egress = egress::Options {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            connect_ms_max: 600_000,
            total_ms_max: 600_000,
            ..Default::default()
        };
        let client = Client::new(&egress);
        let workspace = WorkspaceId::at(1);
        let url = receiver.url.clone();
        let mut spec = Spec::new(vec![Scheme::named("none").unwrap()]);
        spec.callback = Some(Callback { url, schedule_s: Some(schedule_s.to_vec()), basic: None });
        let new = NewHook {
            workspace,
            flow: FlowId::at(1),
            name: "in".to_owned(),
            spec,
            secret: None,
            callback_password: None,
            path_id: None,
        };
        let target = Target::Hook(hooks.create(new).await.unwrap().id);
        let subscriptions = Subscriptions::new(store.clone(), clock.clone());
        let metrics = Metrics::default();
        let engine = Engine::new(engine::Setup {
            options: engine::Options { instances_max: 2, ..Default::default() },
            capability: Default::default(),
            services: capability::Services::of(store.clone()),
            cache_dir: folder.path().join("cache"),
            cache_key: [1; 32],
            compiler: Compiler::InProcess,
        });
        let engine = engine.unwrap();
        let registry = Registry::new(store.clone(), engine.clone(), queue.clone(), clock.clone());
        let transforms = Transforms::new(registry, engine, clock.clone(), Default::default());
        let parts = Parts { store, clock: clock.clone(), queue, hooks, subscriptions, transforms, client, metrics };
        let deliveries = Deliveries::new(parts, Options { attempt_ms_max: 600_000, ..Options::default() });
        let (stop, worker) = (CancellationToken::new(), None);
        let mut house = Self { deliveries, clock, workspace, target, made: 0, stop, worker, _folder: folder };
        house.begin();
        house
    }

    /// The same with a subscription for the target.
    async fn subscribed(receiver: &Receiver, change: impl FnOnce(&mut subscription::Spec)) -> Self {
        let mut house = Self::new(receiver, &[]).await;
        let events = serde_json::from_value(serde_json::json!(["*"])).unwrap();
        let mut spec = subscription::Spec::new(Some(receiver.url.clone()), events);
        change(&mut spec);
        let credential = spec.authentication.is_some().then(|| Secret::new("a token"));
        let new = NewSubscription { workspace: house.workspace, name: None, spec, secret: None, credential };
        let made = house.deliveries.0.parts.subscriptions.create(new).await.unwrap();
        house.target = Target::Subscription(made.id);
        house
    }

    fn begin(&mut self) {
        let (deliveries, stop) = (self.deliveries.clone(), self.stop.clone());
        self.worker = Some(tokio::spawn(async move { deliveries.run(stop).await }));
    }

    /// Adds deliveries, and says so.
    async fn add(&mut self, n: u64) -> Vec<DeliveryId> {
        let mut ids = Vec::new();
        for _ in 0..n {
            self.made += 1;
            let new = NewDelivery {
                id: DeliveryId::at(self.made),
                target: self.target,
                lane: None,
                created_at: self.clock.now(),
                url: String::new(),
                event: "test".to_owned(),
                body: "{}".into(),
                said: None,
                confidential: false,
            };
            ids.push(new.id);
            self.store().delivery_create(self.workspace, new).await.unwrap();
        }
        self.deliveries.wake([self.target]);
        ids
    }

    fn store(&self) -> &Store {
        &self.deliveries.0.parts.store
    }

    /// Moves the clock on a step at a time, each when all that can be done by then is done, until so many deliveries stand
    /// so.
    async fn advance_until(&self, step: Duration, status: DeliveryStatus, n: usize) {
        let watch = crate::clock::Stopwatch::start();
        while self.count(status).await < n {
            assert!(watch.elapsed() < Duration::from_secs(60), "{} of {n} are {status:?}", self.count(status).await);
            if step != STILL && self.is_quiet().await {
                self.clock.advance(step);
            }
        }
    }

    /// Waits until all is done that can be done by now.
    async fn settle(&self) {
        let watch = crate::clock::Stopwatch::start();
        while !self.is_quiet().await {
            assert!(watch.elapsed() < Duration::from_secs(60), "a turn does not end");
        }
    }

    /// Whether nobody has a turn, and none is to be had now.
    async fn is_quiet(&self) -> bool {
        for standing in STANDINGS {
            let next = self.store().job_next(standing.job()).await.unwrap();
            if next.is_some_and(|next| next <= self.clock.now()) {
                return false;
            }
        }
        self.deliveries.0.turns.is_empty()
    }

    async fn count(&self, status: DeliveryStatus) -> usize {
        let filter = DeliveryFilter { statuses: vec![status], ..DeliveryFilter::default() };
        self.deliveries.list(self.workspace, filter, Page { limit: 1_000, before: None }).await.unwrap().len()
    }

    async fn health(&self) -> store::Health {
        self.store().target_health(self.target).await.unwrap()
    }
}

const STILL: Duration = Duration::ZERO;

#[tokio::test]
async fn what_comes_during_a_turn_and_after_it_is_sent_at_once() {
    let receiver = Receiver::start(&[]).await;
    let mut house = House::new(&receiver, &[]).await;
    for n in 1..=20 {
        house.add(1).await;
        receiver.wait_for(n).await;
        if n % 5 == 0 {
            house.advance_until(STILL, DeliveryStatus::Succeeded, n).await;
            // The turn does not linger for longer.
            house.clock.advance(Duration::from_millis(1_500));
        }
    }
    assert_eq!(house.health().await.standing(), Standing::Proven);
}

#[tokio::test]
async fn a_target_that_is_well_has_its_full_number_of_attempts_and_one_that_has_just_become_so_has_not() {
    let receiver = Receiver::start(&[204, 0]).await;
    let mut house = House::new(&receiver, &[]).await;
    house.add(1).await;
    house.advance_until(STILL, DeliveryStatus::Succeeded, 1).await;
    house.add(20).await;
    receiver.wait_for(2).await;
    house.stop.cancel();
    assert_eq!(receiver.got(), 2, "one, and no more before that one has ended");

    let receiver = Receiver::start(&[204]).await;
    let mut house = House::new(&receiver, &[]).await;
    house.add(1).await;
    house.advance_until(STILL, DeliveryStatus::Succeeded, 1).await;
    // The first turn has one attempt and is over; what comes while it ends is another matter.
    house.settle().await;
    house.clock.advance(Duration::from_secs(120));
    receiver.plan(&[0; 100]);
    house.add(20).await;
    receiver.wait_for(1 + 8).await;
    assert_eq!(house.count(DeliveryStatus::Pending).await, 20);
    assert_eq!(receiver.got(), 9);
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_by_the_schedule_and_not_before() {
    let receiver = Receiver::start(&[500, 500]).await;
    let mut house = House::new(&receiver, &[100, 200]).await;
    let id = house.add(1).await[0];
    house.advance_until(Duration::from_secs(1), DeliveryStatus::Succeeded, 1).await;
    let (_, attempts) = house.deliveries.find(house.workspace, id).await.unwrap();
    let waits = attempts.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect::<Vec<_>>();
    assert!((80..=130).contains(&waits[0]) && (160..=250).contains(&waits[1]), "{waits:?}");
    assert_eq!(attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(), [Some(500), Some(500), Some(204)]);
}

#[tokio::test]
async fn what_waits_for_a_dead_target_loses_no_attempts_and_waits_not_for_ever() {
    let receiver = Receiver::start(&[500; 1_000]).await;
    let mut house = House::new(&receiver, &[60, 60]).await;
    house.add(40).await;
    // A day and two minutes later all of them are dead letters.
    house.advance_until(Duration::from_secs(20), DeliveryStatus::Exhausted, 40).await;
    let filter = DeliveryFilter { target: Some(house.target), ..DeliveryFilter::default() };
    let rows = house.deliveries.list(house.workspace, filter, Page { limit: 100, before: None }).await.unwrap();
    assert!(rows.iter().all(|row| row.attempts <= 3 && row.error.is_some()));
    assert!(house.health().await.failures > 5);
    let span = house.clock.now().since(NOW);
    assert!(receiver.got() as u64 <= 10 + span.as_secs() / 200, "{} requests in {span:?}", receiver.got());
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_turn_loses_nothing() {
    let receiver = Receiver::start(&[]).await;
    let mut house = House::new(&receiver, &[]).await;
    house.add(30).await;
    receiver.wait_for(3).await;
    house.stop.cancel();
    house.worker.take().unwrap().await.unwrap();
    let (sent, done) = (receiver.got(), house.count(DeliveryStatus::Succeeded).await);
    assert_eq!(sent, done, "every attempt that was begun has ended and is on record");
    house.stop = CancellationToken::new();
    house.begin();
    house.advance_until(STILL, DeliveryStatus::Succeeded, 30).await;
    assert_eq!(receiver.got(), 30, "none was sent twice");
}

#[tokio::test]
async fn a_hook_without_a_callback_gets_nothing_more() {
    let receiver = Receiver::start(&[500]).await;
    let mut house = House::new(&receiver, &[3_600]).await;
    house.add(2).await;
    receiver.wait_for(2).await;
    house.advance_until(STILL, DeliveryStatus::Succeeded, 1).await;
    let hooks = &house.deliveries.0.parts.hooks;
    let mut hook = hooks.get(house.workspace, "in").await.unwrap();
    hook.spec.callback = None;
    hooks.update(hook).await.unwrap();
    house.advance_until(Duration::from_secs(60), DeliveryStatus::Abandoned, 1).await;
    assert_eq!(receiver.got(), 2);
}

#[tokio::test]
async fn a_discarded_delivery_is_not_sent() {
    let receiver = Receiver::start(&[500]).await;
    let mut house = House::new(&receiver, &[60]).await;
    let id = house.add(1).await[0];
    receiver.wait_for(1).await;
    house.deliveries.discard(house.workspace, id).await.unwrap();
    let again = house.store().delivery_discard(house.workspace, id, NOW).await.unwrap();
    assert_eq!(again, Some(Wished::Not(DeliveryStatus::Discarded)));
    house.clock.advance(Duration::from_secs(120));
    house.add(1).await;
    house.advance_until(Duration::from_secs(1), DeliveryStatus::Succeeded, 1).await;
    assert_eq!(receiver.got(), 2);
}

#[tokio::test]
async fn a_target_gets_no_more_in_a_second_than_it_wants() {
    let receiver = Receiver::start(&[]).await;
    let mut house = House::subscribed(&receiver, |spec| spec.rate_per_s = Some(2)).await;
    house.add(5).await;
    for n in 1..=5 {
        house.advance_until(STILL, DeliveryStatus::Succeeded, n).await;
        house.clock.advance(Duration::from_millis(499));
        assert_eq!((receiver.got(), house.count(DeliveryStatus::Succeeded).await), (n, n));
        house.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_disabled() {
    let receiver = Receiver::start(&[500, 500, 410]).await;
    let mut house = House::subscribed(&receiver, |spec| {
        spec.authentication = Some(Authentication::Bearer {});
        spec.schedule = serde_json::from_value(serde_json::json!([3_600])).unwrap();
    })
    .await;
    let id = house.add(3).await[0];
    house.advance_until(STILL, DeliveryStatus::Abandoned, 3).await;
    let (_, attempts) = house.deliveries.find(house.workspace, id).await.unwrap();
    assert!(attempts[0].request.contains(r#"["authorization","[redacted]"]"#), "{}", attempts[0].request);
    let subscriptions = &house.deliveries.0.parts.subscriptions;
    let watch = crate::clock::Stopwatch::start();
    loop {
        let found = subscriptions.get(house.workspace, &house.target.to_string()).await.unwrap();
        if !found.enabled {
            assert_eq!(found.disabled_reason.as_deref(), Some("the receiver wants no more"));
            break;
        }
        assert!(watch.elapsed() < Duration::from_secs(60), "it is not disabled");
    }
    house.add(1).await;
    house.advance_until(STILL, DeliveryStatus::Abandoned, 4).await;
    assert_eq!(receiver.got(), 3);
}

#[test]
fn the_places_are_shared_out_so_that_nobody_has_none() {
    for at_once in [4, 5, 16, 512] {
        let options = Options { at_once, ..Options::default() };
        let places = STANDINGS.map(|standing| options.places(standing));
        assert!(places.iter().all(|places| *places > 0) && places.iter().sum::<usize>() == at_once, "{places:?}");
    }
    assert_eq!(STANDINGS.map(|standing| Options::default().places(standing)), [128, 256, 128]);
}
