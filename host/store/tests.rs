//! The contract of the store. Every backend runs every test: a new one adds its opener to `open`.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::id::{DeliveryId, ExecutionId, FlowId, HookId, RequestId, WorkspaceId};

mod behind;
mod cost;
mod deliveries;
mod events;
mod keyvalue;

const NOW: Timestamp = Timestamp::from_unix_ms(1_763_654_400_000);
const RUN: &str = "run";

fn open(folder: &Path) -> Store {
    Store::open(folder, &Options::default()).unwrap()
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

struct House {
    store: Store,
    folder: TempDir,
    workspace: WorkspaceId,
    flow: FlowId,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (workspace, flow) = (WorkspaceId::at(1), FlowId::at(1));
    store.workspace_create(Workspace { id: workspace, name: "main".into(), created_at: NOW }).await.unwrap();
    let row = Flow {
        id: flow,
        workspace,
        name: "bot".into(),
        config: "{}".into(),
        grants: "{}".into(),
        reuse_max: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    store.flow_create(row).await.unwrap();
    House { store, folder, workspace, flow }
}

impl House {
    fn speaker(&self) -> Speaker {
        let new = self.execution();
        Speaker { execution: new.id, hook: new.hook, user_id: None, confidential: false }
    }

    fn execution(&self) -> NewExecution {
        NewExecution {
            id: ExecutionId::at(NOW.unix_ms_unsigned()),
            workspace: self.workspace,
            flow: self.flow,
            hook: Some(HookId::from_bytes([1; 16])),
            version: Digest::from_bytes([1; 32]),
            mode: "async",
            session: Some("s1".into()),
            replay_of: None,
            parent: None,
            created_at: NOW,
            deadline_ms: 30_000,
            callback: None,
            trigger: "{}".into(),
            body: Bytes::from_static(b"\x00raw"),
            claims: Vec::new(),
            trigger_kept: None,
        }
    }

    async fn accepted(&self) -> ExecutionId {
        let new = self.execution();
        let id = new.id;
        assert_eq!(self.store.execution_accept(new, Start::Queued(RUN, NOW)).await.unwrap(), Accepted::New(None));
        id
    }

    async fn claim(&self, kind: &'static str, now: Timestamp) -> Vec<Job> {
        self.claim_for(7, kind, now).await
    }

    async fn claim_for(&self, owner: i64, kind: &'static str, now: Timestamp) -> Vec<Job> {
        let claim = Claim { kind, owner, now, until: now.after(Duration::from_secs(60)), limit: 10 };
        self.store.jobs_claim(claim).await.unwrap()
    }

    async fn version(&self, flow: FlowId, bytes: &[u8]) -> Digest {
        let mut upload = self.store.upload().unwrap();
        upload.push(bytes).unwrap();
        let digest = upload.digest();
        let new = NewVersion { flow, workspace: self.workspace, detail: "{}".into(), created_at: NOW, job: "compile" };
        if self.store.version_create(upload, new).await.unwrap().1 {
            let job = self.claim("compile", NOW).await.pop().unwrap();
            let settle = self.store.version_settle(job.lease, flow, digest, VersionState::Ready, "{}".into(), NOW);
            settle.await.unwrap();
        }
        digest
    }

    async fn hook(&self, name: &str) -> Hook {
        let hook = Hook {
            id: HookId::at(NOW.unix_ms_unsigned()),
            workspace: self.workspace,
            flow: self.flow,
            name: name.into(),
            path_dialect: "native".into(),
            path_id: None,
            enabled: true,
            spec: "{}".into(),
            secrets: b"whsec_hidden".to_vec().into(),
            created_at: NOW,
            updated_at: NOW,
        };
        self.store.hook_create(hook.clone()).await.unwrap();
        hook
    }

    fn delivery(&self, hook: HookId) -> NewDelivery {
        NewDelivery {
            id: DeliveryId::at(NOW.unix_ms_unsigned()),
            target: Target::Hook(hook),
            lane: None,
            created_at: NOW,
            url: "https://example.com/".into(),
            event: "execution.succeeded".into(),
            body: Bytes::from_static(b"{}"),
            said: None,
            confidential: false,
        }
    }

    /// Runs an execution to its end with one delivery for `hook`.
    async fn finished(&self, hook: HookId) -> (ExecutionId, DeliveryId) {
        let id = self.accepted().await;
        let job = self.claim(RUN, NOW).await.pop().unwrap();
        self.store.execution_begin(job.lease, id, NOW).await.unwrap().unwrap();
        let delivery = self.delivery(hook);
        let delivered = delivery.id;
        let finish = Finish { deliveries: vec![delivery], ..succeeded() };
        self.store.execution_finish(self.workspace, id, job.lease, finish).await.unwrap();
        (id, delivered)
    }
}

fn succeeded() -> Finish {
    Finish {
        outcome: Outcome::Final { status: Status::Succeeded, reason: None, json: r#"{"text":"hi"}"#.into() },
        at: later(1),
        cpu_us: 5,
        memory_bytes: 6,
        spans: Some(Spans { attempt: 1, dropped: 3, spans: "[]".into() }),
        calls: Some(Calls { attempt: 1, dropped: 4, calls: "[]".into() }),
        ..Finish::default()
    }
}

#[tokio::test]
async fn an_accepted_execution_survives_and_runs_once() {
    let house = house().await;
    let id = house.accepted().await;
    let House { store, folder, workspace, flow } = house;
    drop(store);
    let house = House { store: reopened(folder.path()).await, folder, workspace, flow };

    let job = house.claim(RUN, NOW).await.pop().unwrap();
    assert_eq!(job.subject, id.as_bytes());
    assert!(house.claim(RUN, NOW).await.is_empty(), "a claimed job is not claimed again");
    let begun = house.store.execution_begin(job.lease, id, later(1)).await.unwrap().unwrap();
    assert_eq!((begun.status, begun.attempt, &begun.body[..]), (Status::Running, 1, &b"\x00raw"[..]));

    let finish = Finish {
        outputs: vec![OutputRow { attempt: 1, n: 1, at: NOW, data: "{}".into() }],
        logs: Some(Logs { attempt: 1, dropped: 2, lines: "[]".into() }),
        messages: vec![NewMessage { at: NOW, role: "user".into(), text: "hello".into(), data: None }],
        ..succeeded()
    };
    house.store.execution_finish(workspace, id, job.lease, finish).await.unwrap();
    let execution = house.store.execution_find(workspace, id).await.unwrap().unwrap();
    assert_eq!((execution.status, execution.cpu_us), (Status::Succeeded, 5));
    assert_eq!(house.store.outputs(id, (0, 0), 10).await.unwrap().len(), 1);
    assert_eq!(house.store.outputs(id, (1, 1), 10).await.unwrap().len(), 0);
    assert_eq!(house.store.logs(id).await.unwrap()[0].dropped, 2);
    assert_eq!(house.store.spans(id).await.unwrap()[0].dropped, 3);
    assert_eq!(house.store.calls(id).await.unwrap()[0].dropped, 4);
    assert_eq!(house.store.session_messages(flow, "s1", 10, None).await.unwrap()[0].text, "hello");
    assert_eq!(house.store.job_next(RUN).await.unwrap(), None);
    assert!(house.store.executions_unfinished().await.unwrap().is_empty());
}

/// The writer's thread ends shortly after the last handle is gone, and the lock with the handle.
async fn reopened(folder: &Path) -> Store {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || open(&folder)).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_records_nothing() {
    let house = house().await;
    let id = house.accepted().await;
    let lost = house.claim(RUN, NOW).await.pop().unwrap().lease;
    house.store.execution_begin(lost, id, NOW).await.unwrap().unwrap();
    assert!(house.claim(RUN, later(61)).await.is_empty(), "its owner lives");
    let held = house.claim_for(8, RUN, later(61)).await.pop().unwrap().lease;
    let second = house.store.execution_begin(held, id, later(61)).await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);

    let finish = Finish { deliveries: vec![house.delivery(HookId::from_bytes([1; 16]))], ..succeeded() };
    let refused = house.store.execution_finish(house.workspace, id, lost, finish).await;
    assert!(matches!(refused, Err(Error::LeaseLost)));
    let execution = house.store.execution_find(house.workspace, id).await.unwrap().unwrap();
    assert_eq!(execution.status, Status::Running);
    assert!(house.claim(Standing::New.job(), later(999)).await.is_empty());
    house.store.execution_finish(house.workspace, id, held, succeeded()).await.unwrap();
}

#[tokio::test]
async fn leases_are_prolonged_and_given_back_after_a_crash() {
    let house = house().await;
    house.accepted().await;
    assert_eq!(house.claim(RUN, NOW).await.len(), 1);
    house.store.jobs_extend(7, later(300)).await.unwrap();
    assert!(house.claim(RUN, later(61)).await.is_empty());
    assert_eq!(house.store.job_next(RUN).await.unwrap(), Some(later(300)));
    assert_eq!(house.store.jobs_recover(later(62)).await.unwrap(), 1);
    assert_eq!(house.claim(RUN, later(62)).await.len(), 1);
}

#[tokio::test]
async fn an_execution_that_runs_where_it_was_accepted_is_claimed_by_others_only_after_a_crash() {
    let house = house().await;
    let start = Start::Here { job: RUN, owner: 7, until: later(60) };
    let accepted = house.store.execution_accept(house.execution(), start).await.unwrap();
    assert!(matches!(accepted, Accepted::New(Some(_))));
    assert!(house.claim(RUN, NOW).await.is_empty());
    house.store.jobs_recover(later(1)).await.unwrap();
    assert_eq!(house.claim(RUN, later(1)).await.len(), 1);
}

fn claim(key: u8) -> Idempotency {
    Idempotency { key: [key; 32], fingerprint: [2; 32], until_failure: false, lasts: None }
}

#[tokio::test]
async fn a_key_names_one_execution() {
    let house = house().await;
    let with = |claims: &[Idempotency]| NewExecution { claims: claims.to_vec(), ..house.execution() };
    let first = with(&[claim(1)]);
    house.store.execution_accept(first.clone(), Start::Queued(RUN, NOW)).await.unwrap();
    for (fingerprint, same) in [([2; 32], true), ([3; 32], false)] {
        let again = with(&[Idempotency { fingerprint, ..claim(1) }]);
        let accepted = house.store.execution_accept(again.clone(), Start::Queued(RUN, NOW)).await.unwrap();
        assert_eq!(accepted, Accepted::Seen { execution: first.id, claim: 0, same });
        assert!(house.store.execution_find(house.workspace, again.id).await.unwrap().is_none());
    }
    let elsewhere = NewExecution { hook: Some(HookId::from_bytes([2; 16])), ..with(&[claim(1)]) };
    let accepted = house.store.execution_accept(elsewhere, Start::Queued(RUN, NOW)).await.unwrap();
    assert_eq!(accepted, Accepted::New(None), "a key belongs to its hook");
}

#[tokio::test]
async fn claims_are_made_all_together_or_not_at_all() {
    let house = house().await;
    let accept = |claims: &[Idempotency]| {
        let new = NewExecution { claims: claims.to_vec(), ..house.execution() };
        let id = new.id;
        let accepted = house.store.execution_accept(new, Start::Queued(RUN, NOW));
        async move { (id, accepted.await.unwrap()) }
    };
    let (first, _) = accept(&[claim(1), claim(2)]).await;
    let seen = |claim| Accepted::Seen { execution: first, claim, same: true };
    assert_eq!(accept(&[claim(3), claim(2)]).await.1, seen(1));
    assert_eq!(accept(&[claim(3)]).await.1, Accepted::New(None), "a refused trigger has claimed nothing");
    assert_eq!(accept(&[claim(1)]).await.1, seen(0));
}

#[tokio::test]
async fn a_claim_may_end_with_the_failure_of_its_execution() {
    let house = house().await;
    let retried = |claim: Idempotency| NewExecution {
        claims: vec![Idempotency { until_failure: true, ..claim }],
        ..house.execution()
    };
    let accept = async |new: NewExecution| house.store.execution_accept(new, Start::Queued(RUN, NOW)).await.unwrap();
    for status in [Status::Failed, Status::TimedOut, Status::Canceled, Status::Succeeded] {
        let key = claim(status as u8);
        let first = retried(key.clone());
        let id = first.id;
        accept(first).await;
        assert!(matches!(accept(retried(key.clone())).await, Accepted::Seen { .. }), "it goes on");
        let job = house.claim(RUN, NOW).await.pop().unwrap();
        house.store.execution_begin(job.lease, id, NOW).await.unwrap().unwrap();
        let outcome = Outcome::Final { status, reason: None, json: "{}".into() };
        let finish = Finish { outcome, ..succeeded() };
        house.store.execution_finish(house.workspace, id, job.lease, finish).await.unwrap();
        let strict = NewExecution { claims: vec![key.clone()], ..house.execution() };
        assert!(matches!(accept(strict).await, Accepted::Seen { .. }), "a key of its caller stays");
        let failed = matches!(status, Status::Failed | Status::TimedOut);
        assert_eq!(accept(retried(key.clone())).await == Accepted::New(None), failed, "{status:?}");
        let taken_over = accept(retried(key)).await;
        assert!(matches!(taken_over, Accepted::Seen { execution, .. } if (execution != id) == failed));
        house.claim(RUN, NOW).await;
    }
}

#[tokio::test]
async fn a_key_lasts_as_long_as_it_says_and_others_as_keys_do() {
    let house = house().await;
    let lasting = Idempotency { lasts: Some(Duration::from_secs(600)), ..claim(1) };
    let first = NewExecution { claims: vec![lasting.clone(), claim(2)], ..house.execution() };
    house.store.execution_accept(first, Start::Queued(RUN, NOW)).await.unwrap();
    let swept = |keys_before, now| {
        let retention =
            Retention { executions_before: NOW, keys_before, requests_before: NOW, events_before: NOW, now };
        house.store.sweep(retention)
    };
    assert_eq!(swept(NOW, later(599)).await.unwrap().keys, 0);
    assert_eq!(swept(later(1), later(599)).await.unwrap().keys, 1, "the one without an end of its own");
    assert_eq!(swept(later(1), later(601)).await.unwrap().keys, 1);
}

#[tokio::test]
async fn a_recorded_execution_is_whole() {
    let house = house().await;
    let new = house.execution();
    let id = new.id;
    house.store.execution_record(new, succeeded()).await.unwrap();
    house.store.flush().await.unwrap();
    let found = house.store.execution_find(house.workspace, id).await.unwrap().unwrap();
    assert_eq!((found.status, found.attempt, found.finished_at), (Status::Succeeded, 1, Some(later(1))));
    assert!(
        house.store.execution_find(WorkspaceId::at(2), id).await.unwrap().is_none(),
        "tenants do not see each other"
    );
}

#[tokio::test]
async fn what_was_spent_for_an_execution_is_found_below_it() {
    let house = house().await;
    let record = async |parent: Option<ExecutionId>, mode, input_tokens| {
        let parent = parent.map(|execution| Parent { execution, depth: 0 });
        let new = NewExecution { parent, mode, ..house.execution() };
        let llm = LlmUsage { calls: 1, input_tokens, output_tokens: 1, ..LlmUsage::default() };
        let id = new.id;
        house.store.execution_record(new, Finish { llm, ..succeeded() }).await.unwrap();
        id
    };
    let top = record(None, "sync", 1_000).await;
    let one = record(Some(top), "sync", 10).await;
    record(Some(one), "sync", 20).await;
    record(Some(top), "sync", 40).await;
    let alone = record(Some(top), "async", 100).await;
    record(Some(alone), "sync", 200).await;
    house.store.flush().await.unwrap();
    assert_eq!(house.store.llm_called(top).await.unwrap(), 73);
    assert_eq!(house.store.llm_called(one).await.unwrap(), 21);
}

#[tokio::test]
async fn another_attempt_waits_for_its_time() {
    let house = house().await;
    let id = house.accepted().await;
    let job = house.claim(RUN, NOW).await.pop().unwrap();
    house.store.execution_begin(job.lease, id, NOW).await.unwrap().unwrap();
    let finish = Finish { outcome: Outcome::AgainAt(later(30), "retry".into()), at: later(1), ..Finish::default() };
    house.store.execution_finish(house.workspace, id, job.lease, finish).await.unwrap();
    assert!(house.claim(RUN, later(29)).await.is_empty());
    assert_eq!(house.claim(RUN, later(30)).await.len(), 1);
}

#[tokio::test]
async fn only_what_nobody_runs_is_canceled_in_the_store() {
    let house = house().await;
    let cancel = |id| house.store.execution_cancel(house.workspace, id, later(1), "canceled", "{}".into(), None);
    let queued = house.accepted().await;
    assert_eq!(cancel(queued).await.unwrap(), Some((Status::Canceled, true)));
    assert_eq!(cancel(queued).await.unwrap(), Some((Status::Canceled, false)));
    assert!(house.claim(RUN, later(1)).await.is_empty());
    let running = house.accepted().await;
    let job = house.claim(RUN, NOW).await.pop().unwrap();
    house.store.execution_begin(job.lease, running, NOW).await.unwrap();
    assert_eq!(cancel(running).await.unwrap(), Some((Status::Running, false)));
    assert_eq!(cancel(ExecutionId::at(0)).await.unwrap(), None);
    // Whoever ran it is gone, and nobody has taken it over yet who could be told.
    house.store.jobs_recover(NOW).await.unwrap();
    assert_eq!(cancel(running).await.unwrap(), Some((Status::Canceled, true)));
    assert!(house.claim(RUN, later(1)).await.is_empty());
}

#[tokio::test]
async fn lists_go_by_pages_and_filters() {
    let house = house().await;
    let mut ids = Vec::new();
    for ms in 0..5 {
        let id = ExecutionId::at(ms);
        let session = (ms == 3).then(|| "three".to_owned());
        house.store.execution_record(NewExecution { id, session, ..house.execution() }, succeeded()).await.unwrap();
        ids.insert(0, id);
    }
    house.store.flush().await.unwrap();
    let list = |filter, page| house.store.executions(house.workspace, filter, page);
    let first = list(ExecutionFilter::default(), Page { limit: 3, before: None }).await.unwrap();
    assert_eq!(first.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..3]);
    let rest = list(ExecutionFilter::default(), Page { limit: 3, before: Some(ids[2]) }).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.id).collect::<Vec<_>>(), ids[3..]);

    let all = Page { limit: 10, before: None };
    let session = ExecutionFilter { flow: Some(house.flow), session: Some("three".into()), ..Default::default() };
    assert_eq!(list(session, all).await.unwrap().len(), 1);
    let session = ExecutionFilter { session: Some("three".into()), ..Default::default() };
    assert_eq!(list(session, all).await.unwrap().len(), 1);
    let failed = ExecutionFilter { statuses: vec![Status::Failed, Status::Queued], ..Default::default() };
    assert!(list(failed, all).await.unwrap().is_empty());
}

#[tokio::test]
async fn aliases_move_and_roll_back() {
    let house = house().await;
    let one = house.version(house.flow, b"one").await;
    let two = house.version(house.flow, b"two").await;
    let promote = |digest| house.store.alias_promote(house.flow, "live", digest, NOW);
    assert!(promote(Digest::from_bytes([9; 32])).await.unwrap().is_none(), "only a ready version");
    promote(one).await.unwrap().unwrap();
    promote(two).await.unwrap().unwrap();
    promote(two).await.unwrap().unwrap();
    let back = house.store.alias_rollback(house.flow, "live", NOW).await.unwrap().unwrap();
    assert_eq!((back.digest, back.history.len()), (one, 0));
    assert!(house.store.alias_rollback(house.flow, "live", NOW).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_in_use_is_not_removed() {
    let house = house().await;
    let digest = house.version(house.flow, b"bytes").await;
    house.store.alias_promote(house.flow, "live", digest, NOW).await.unwrap();
    let refused = house.store.version_delete(house.flow, digest).await;
    assert!(matches!(refused, Err(Error::InUse(why)) if why.contains("`live`")));
    let hook = house.hook("orders").await;
    let refused = house.store.flow_delete(house.flow, NOW).await;
    assert!(matches!(refused, Err(Error::InUse(why)) if why.contains("orders")));
    house.store.hook_delete(house.workspace, hook.id, NOW).await.unwrap();
    house.store.flow_delete(house.flow, NOW).await.unwrap();
    assert!(!house.store.component_path(&digest).exists());
}

#[tokio::test]
async fn bytes_stay_while_one_flow_has_them() {
    let house = house().await;
    let other = FlowId::at(2);
    let row = Flow {
        id: other,
        workspace: house.workspace,
        name: "other".into(),
        config: "{}".into(),
        grants: "{}".into(),
        reuse_max: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    house.store.flow_create(row.clone()).await.unwrap();
    assert!(matches!(house.store.flow_create(Flow { id: FlowId::at(3), ..row }).await, Err(Error::Taken)));
    let digest = house.version(house.flow, b"shared").await;
    assert_eq!(house.version(other, b"shared").await, digest);
    assert!(house.store.version_delete(other, digest).await.unwrap());
    assert!(house.store.component_path(&digest).exists());
    assert!(house.store.version_delete(house.flow, digest).await.unwrap());
    assert!(!house.store.component_path(&digest).exists());
}

#[tokio::test]
async fn a_hook_keeps_its_secret_off_the_disk() {
    let house = house().await;
    let hook = house.hook("orders").await;
    let found = house.store.hook_find(hook.id).await.unwrap().unwrap();
    assert_eq!(&*found.secrets, b"whsec_hidden");
    for file in ["flowgate.db", "flowgate.db-wal"] {
        let bytes = std::fs::read(house.folder.path().join(file)).unwrap();
        assert!(!bytes.windows(12).any(|part| part == b"whsec_hidden"), "{file}");
    }
    let changed = Hook { enabled: false, updated_at: later(1), ..found };
    assert!(house.store.hook_update(changed.clone(), NOW).await.unwrap());
    assert!(!house.store.hook_update(changed, NOW).await.unwrap(), "changed by somebody else meanwhile");
}

fn recorded(house: &House, ms: u64, verdict: Verdict, body: Option<Bytes>) -> Recorded {
    Recorded {
        id: RequestId::at(ms),
        workspace: Some(house.workspace),
        hook: Some(HookId::from_bytes([1; 16])),
        at: NOW,
        verdict,
        status: 401,
        code: None,
        reason: "no signature".into(),
        execution: None,
        detail: "{}".into(),
        kept_bytes: None,
        body,
    }
}

#[tokio::test]
async fn a_path_id_is_unique_in_its_dialect_and_no_id_is_no_clash() {
    let house = house().await;
    let (one, other) = (house.hook("one").await, house.hook("other").await);
    let named = |hook: &Hook, dialect: &str| Hook {
        path_dialect: dialect.into(),
        path_id: Some("abc".into()),
        updated_at: later(1),
        ..hook.clone()
    };
    assert!(house.store.hook_update(named(&one, "almyty"), NOW).await.unwrap());
    let clash = house.store.hook_update(named(&other, "almyty"), NOW).await;
    assert!(matches!(clash, Err(Error::Taken)), "{clash:?}");
    assert!(house.store.hook_update(named(&other, "autommate"), NOW).await.unwrap());
    let found = |dialect: &str| house.store.hook_by_path(dialect.into(), "abc".into());
    assert_eq!(found("almyty").await.unwrap(), Some(one.id));
    assert_eq!(found("autommate").await.unwrap(), Some(other.id));
    assert_eq!(found("native").await.unwrap(), None);
}

#[tokio::test]
async fn of_a_hooks_requests_the_newest_of_each_verdict_are_kept() {
    let house = house().await;
    let hook = HookId::from_bytes([1; 16]);
    let page = Page { limit: 2_000, before: None };
    let list = |verdicts: &[Verdict]| house.store.requests(Some(hook), verdicts.to_vec(), page);
    let record = |one| house.store.request_record(one);
    record(recorded(&house, 0, Verdict::Refused, None)).await.unwrap();
    for ms in 1..=1_101 {
        record(recorded(&house, ms, Verdict::Duplicate, None)).await.unwrap();
    }
    house.store.flush().await.unwrap();
    let kept = list(&[Verdict::Duplicate]).await.unwrap();
    assert_eq!(kept.len(), 1_000);
    assert!(kept[0].id > kept[999].id);
    assert_eq!(list(&[Verdict::Refused]).await.unwrap().len(), 1, "one kind pushes out none of another");
    assert_eq!(list(Verdict::ALL).await.unwrap().len(), 1_001);

    let half = || Some(Bytes::from(vec![b'x'; 1 << 19]));
    for ms in 1..=8 {
        record(recorded(&house, ms, Verdict::Captured, half())).await.unwrap();
    }
    let last = recorded(&house, 9, Verdict::Captured, half());
    house.store.request_record_durably(last.clone()).await.unwrap();
    let kept = list(&[Verdict::Captured]).await.unwrap();
    assert_eq!((kept.len(), kept[0].kept_bytes, &kept[0].body), (8, Some(1 << 19), &None));
    let whole = house.store.request_find(last.workspace, last.id).await.unwrap().unwrap();
    assert_eq!(whole.body, last.body);
    assert!(house.store.request_find(None, last.id).await.unwrap().is_none(), "it is somebody's");
}

#[tokio::test]
async fn a_hooks_accepted_requests_are_its_executions_without_replays() {
    let house = house().await;
    let (hook, origin) = (HookId::from_bytes([1; 16]), Origin::Request(RequestId::at(7)));
    let long = format!("{{\"data\":\"{}\"}}", "x".repeat(20_000));
    let rows = [
        NewExecution { id: ExecutionId::at(1), ..house.execution() },
        NewExecution { id: ExecutionId::at(2), trigger: long, ..house.execution() },
        NewExecution { id: ExecutionId::at(3), replay_of: Some(origin), ..house.execution() },
        NewExecution { id: ExecutionId::at(4), hook: Some(HookId::from_bytes([2; 16])), ..house.execution() },
    ];
    for row in rows.clone() {
        house.store.execution_record(row, succeeded()).await.unwrap();
    }
    house.store.flush().await.unwrap();
    let page = |limit, before| house.store.requests_accepted(hook, Page { limit, before });
    let found = page(9, None).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [rows[1].id, rows[0].id]);
    assert_eq!(found.iter().map(|row| row.trigger.as_str()).collect::<Vec<_>>(), ["", "{}"]);
    let next = page(9, Some(RequestId::from_bytes(*rows[1].id.as_bytes()))).await.unwrap();
    assert_eq!(next.len(), 1);
    let replay = house.store.execution_find(house.workspace, rows[2].id).await.unwrap().unwrap();
    assert_eq!(replay.replay_of, Some(origin));
}

#[tokio::test]
async fn a_session_keeps_messages_in_order_and_state_by_version() {
    let house = house().await;
    let (store, flow) = (&house.store, house.flow);
    for n in 1..=5 {
        let message = NewMessage { at: NOW, role: "user".into(), text: n.to_string(), data: None };
        assert_eq!(store.session_append(flow, "s", message, house.speaker()).await.unwrap(), n);
    }
    let texts = |messages: Vec<Message>| messages.into_iter().map(|m| m.text).collect::<String>();
    assert_eq!(texts(store.session_messages(flow, "s", 2, None).await.unwrap()), "45");
    assert_eq!(texts(store.session_messages(flow, "s", 2, Some(4)).await.unwrap()), "23");
    assert_eq!(texts(store.session_messages(flow, "other", 2, None).await.unwrap()), "");

    let set = |expect| store.session_set(flow, "s", "k", b"v".to_vec(), expect, NOW);
    assert_eq!(set(Some(1)).await.unwrap(), Set::Conflict(0));
    assert_eq!(set(Some(0)).await.unwrap(), Set::Written(1));
    assert_eq!(set(Some(0)).await.unwrap(), Set::Conflict(1));
    assert_eq!(set(None).await.unwrap(), Set::Written(2));
    assert_eq!(store.session_get(flow, "s", "k").await.unwrap().unwrap().version, 2);
    store.session_delete(flow, "s", "k").await.unwrap();
    assert!(store.session_get(flow, "s", "k").await.unwrap().is_none());
}

#[tokio::test]
async fn a_sweep_takes_what_is_old_and_all_that_belongs_to_it() {
    let house = house().await;
    let hook = house.hook("orders").await.id;
    let (old, _) = house.finished(hook).await;
    let unfinished = house.accepted().await;
    let sweep = |before| {
        let retention = Retention {
            executions_before: before,
            keys_before: before,
            requests_before: before,
            events_before: before,
            now: NOW,
        };
        house.store.sweep(retention)
    };
    assert_eq!(sweep(NOW).await.unwrap().executions, 0);
    assert_eq!(house.store.spans(old).await.unwrap().len(), 1);
    assert_eq!(house.store.calls(old).await.unwrap().len(), 1);
    assert_eq!(sweep(later(100)).await.unwrap().executions, 1);
    assert!(house.store.execution_find(house.workspace, old).await.unwrap().is_none());
    assert!(house.store.spans(old).await.unwrap().is_empty());
    assert!(house.store.calls(old).await.unwrap().is_empty());
    assert!(house.store.execution_find(house.workspace, unfinished).await.unwrap().is_some());
}

#[tokio::test]
async fn a_verb_that_fails_takes_nothing_of_its_neighbours_with_it() {
    let house = house().await;
    let row = |id: u64, name: &str| Workspace { id: WorkspaceId::at(id), name: name.into(), created_at: NOW };
    let store = &house.store;
    let (good, bad, also_good) = tokio::join!(
        store.workspace_create(row(10, "a")),
        store.workspace_create(row(11, "main")),
        store.workspace_create(row(12, "b")),
    );
    assert!(good.is_ok() && also_good.is_ok() && matches!(bad, Err(Error::Taken)));
    assert_eq!(store.workspaces().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_folder_has_one_owner() {
    let house = house().await;
    let second = Store::open(house.folder.path(), &Options::default());
    assert!(matches!(second, Err(Error::Locked(_))));
}

#[test]
fn a_database_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let database = rusqlite::Connection::open(folder.path().join("flowgate.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    let refused = Store::open(folder.path(), &Options::default());
    assert!(matches!(refused, Err(Error::TooNew { found: 999, .. })));
}
