//! One attempt of an execution: from the trigger to what is to be recorded.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::live::Live;
use super::outcome::{HOST_BUSY, Verdict, verdict};
use super::told::Told;
use super::work::stored_trigger;
use super::{Done, Executions, Outcome};
use crate::capability::flows::Budgets;
use crate::clock::Timestamp;
use crate::engine::{self, Call, Run, Stop};
use crate::hook::Hook;
use crate::id::ExecutionId;
use crate::registry::Target;
use crate::store::{self, Calls, Finish, Logs, NewEvent, NewMessage, OutputRow, SessionEnd, Spans};
use crate::trigger::{Emitted, Output, Reply, Trigger};

/// Outputs between the guest and the host.
const OUTPUTS_WAITING_MAX: usize = 8;

/// Milliseconds until an execution that found no place tries again.
const NO_PLACE_MS: u64 = 250;

/// What an attempt needs to know.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) id: ExecutionId,
    pub(super) n: u32,
    pub(super) target: Arc<Target>,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) trigger: Arc<Trigger>,
    pub(super) wall: Duration,
    /// Tokens that the attempts before it spent on language models, with those of the executions that they called.
    pub(super) llm_tokens_before: u64,
    /// How many callers stand above it.
    pub(super) depth: u32,
    /// Those of the caller who waits for it, who gets whatever this one attempt comes to; none for all others.
    pub(super) budgets: Option<Budgets>,
}

/// What an attempt comes to: the record, and the end where it is one.
pub(super) struct Ending {
    pub(super) finish: Finish,
    pub(super) done: Option<Arc<Done>>,
}

impl Executions {
    pub(super) async fn attempt(&self, attempt: &Attempt, live: &Live) -> Ending {
        let mut ending = self.attempted(attempt, live).await;
        if attempt.trigger.confidential {
            ending.finish.outputs.clear();
            ending.finish.logs = None;
            ending.finish.spans = None;
            ending.finish.calls = None;
            ending.finish.events.clear();
            ending.finish.session_end = ending.finish.session_end.map(SessionEnd::without_content);
        }
        ending
    }

    async fn attempted(&self, attempt: &Attempt, live: &Live) -> Ending {
        let (run, mut told) = self.call(attempt, live).await;
        let took = Duration::from_micros(run.usage.wall_us);
        let interrupted = self.0.interrupted.load(std::sync::atomic::Ordering::Relaxed);
        let now = self.now();
        let mut finish = Finish {
            at: now,
            cpu_us: run.usage.cpu_us,
            memory_bytes: run.usage.peak_memory_bytes,
            llm: run.usage.llm,
            outputs: live.said(),
            logs: logs(attempt.n, &run),
            spans: spans(attempt.n, &run),
            calls: calls(attempt.n, &run),
            events: run.events.iter().map(emitted).collect(),
            ..Finish::default()
        };
        let mut ending = match verdict(run.end, interrupted) {
            Verdict::NotNow if attempt.budgets.is_some() => attempt.turned_away(finish),
            Verdict::NotNow => {
                let soon = now.after(Duration::from_millis(NO_PLACE_MS));
                finish.outcome = store::Outcome::AgainAt(soon, HOST_BUSY.to_owned());
                Ending { finish, done: None }
            }
            Verdict::Retry { failure, .. } if attempt.budgets.is_some() => {
                attempt.ending(finish, store::Status::Failed, Some("flow_error"), Outcome::Failure(failure))
            }
            Verdict::Retry { after_ms, failure } => match attempt.next_at(now, after_ms) {
                Some(at) => {
                    finish.outcome = store::Outcome::AgainAt(at, "retry".to_owned());
                    Ending { finish, done: None }
                }
                None => {
                    let outcome = Outcome::Failure(failure);
                    attempt.ending(finish, store::Status::Failed, Some("retries_exhausted"), outcome)
                }
            },
            Verdict::Final { status: store::Status::Canceled, reason, outcome } => {
                let told = live.reason.get().copied();
                let outcome = told.map_or(outcome, |told| Outcome::stopped(told, Stop::Canceled.to_string()));
                attempt.ending(finish, store::Status::Canceled, told.or(reason), outcome)
            }
            Verdict::Final { status, reason, outcome } => attempt.ending(finish, status, reason, outcome),
        };
        if let Some(done) = &ending.done {
            told.end(attempt, done);
            self.0.parts.metrics.execution(done.status.as_str(), done.reason.as_deref(), took);
        }
        ending.finish.deliveries = told.deliveries;
        ending
    }

    async fn call(&self, attempt: &Attempt, live: &Live) -> (Run, Told) {
        let parts = &self.0.parts;
        let loaded = match parts.registry.load(attempt.target.version).await {
            Ok(loaded) => loaded,
            Err(error) => return (Run::not(Stop::Host(error.to_string())), Told::default()),
        };
        let own = attempt.hook.as_ref().map(|hook| &hook.spec.limits);
        let call = Call {
            execution: attempt.id,
            flow: attempt.target.flow,
            flow_name: attempt.target.name.clone(),
            version: attempt.target.version,
            attempt: attempt.n,
            deadline: self.now().after(attempt.wall),
            trigger: attempt.trigger.clone(),
            config: attempt.target.config.clone(),
            grants: attempt.target.grants.clone(),
            llm_tokens_before: attempt.llm_tokens_before,
            secrets: attempt.target.secrets.clone(),
            reuse_max: attempt.target.reuse_max,
            clock: parts.clock.clone(),
            limits: engine::Limits {
                memory_bytes_max: own.and_then(|own| own.memory_bytes_max),
                cpu_ms_max: own.and_then(|own| own.cpu_ms_max),
                reply_bytes_max: None,
            },
            depth: attempt.depth,
            budgets: attempt.budgets.clone(),
        };
        let (said, mut outputs) = mpsc::channel(OUTPUTS_WAITING_MAX);
        let mut run = std::pin::pin!(parts.engine.run(&loaded, call, said, live.stop.clone()));
        let (mut n, mut told, mut heard) = (0, Told::default(), Vec::new());
        let mut hear = |told: &mut Told, output: &Output| {
            n += 1;
            let row = self.row(attempt.n, n, output);
            told.hear(attempt, &row, output);
            live.push(row.clone());
            row
        };
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut run => break ended,
                1.. = outputs.recv_many(&mut heard, OUTPUTS_WAITING_MAX) => {
                    let rows = heard.drain(..).map(|output| hear(&mut told, &output)).collect();
                    // A slow disk or reader holds the guest up, but neither its deadline nor its cancellation.
                    let ready = async {
                        self.tell(attempt, &mut told, rows).await;
                        live.keep_pace().await;
                    };
                    tokio::select! {
                        () = ready => {}
                        ended = &mut run => break ended,
                    }
                }
            }
        };
        while let Ok(output) = outputs.try_recv() {
            hear(&mut told, &output);
        }
        (ended, told)
    }

    fn row(&self, attempt: u32, n: u32, output: &Output) -> OutputRow {
        let data = serde_json::to_string(output).expect("an output has a JSON form");
        OutputRow { attempt, n, at: self.now(), data }
    }
}

impl Attempt {
    /// When the flow that asks for another attempt gets it.
    fn next_at(&self, now: Timestamp, after_ms: Option<u64>) -> Option<Timestamp> {
        let retry = self.hook.as_ref().map(|hook| hook.spec.retry.clone()).unwrap_or_default();
        if self.n >= retry.attempts_max {
            return None;
        }
        let place = (self.n as usize).min(retry.schedule_s.len()).saturating_sub(1);
        let planned = retry.schedule_s.get(place).copied().unwrap_or(1);
        Some(now.after(after_ms.map_or(Duration::from_secs(planned), Duration::from_millis)))
    }

    /// The end of an attempt that should have had a further one, which the host could not promise.
    pub(super) fn turned_away(&self, finish: Finish) -> Ending {
        let outcome = Outcome::stopped(HOST_BUSY, "the host could not keep the execution for another attempt");
        let mut ending = self.ending(finish, store::Status::Failed, Some(HOST_BUSY), outcome);
        if let Some(done) = &ending.done {
            let mut told = Told::of(std::mem::take(&mut ending.finish.deliveries));
            told.end(self, done);
            ending.finish.deliveries = told.deliveries;
        }
        ending
    }

    /// The end of an execution that cannot be prepared.
    pub(super) fn broken(execution: &store::Execution, at: Timestamp, why: &str) -> Ending {
        let (id, n) = (execution.id, execution.attempt);
        let outcome = Outcome::stopped("host_error", why);
        let (status, reason) = (store::Status::Failed, Some("host_error".to_owned()));
        tracing::error!(execution = %id, why, "an execution cannot be run");
        let finish = Finish {
            at,
            outcome: store::Outcome::Final { status, reason: reason.clone(), json: outcome.json() },
            trigger_kept: stored_trigger(execution).ok().as_ref().and_then(kept),
            ..Finish::default()
        };
        Ending { finish, done: Some(Arc::new(Done { status, reason, outcome, at, attempt: n })) }
    }

    fn ending(
        &self,
        mut finish: Finish,
        status: store::Status,
        reason: Option<&'static str>,
        outcome: Outcome,
    ) -> Ending {
        let done = Done { status, reason: reason.map(str::to_owned), outcome, at: finish.at, attempt: self.n };
        finish.messages = self.messages(&done);
        finish.session_end = self.session_end(&done);
        let json = if self.trigger.confidential {
            finish.trigger_kept = kept(&self.trigger);
            done.outcome.without_content().json()
        } else {
            done.outcome.json()
        };
        finish.outcome = store::Outcome::Final { status, reason: done.reason.clone(), json };
        Ending { finish, done: Some(Arc::new(done)) }
    }

    /// How the conversation ended, if it did: as the reply says, or with the execution whose own it is.
    fn session_end(&self, done: &Done) -> Option<SessionEnd> {
        let session = self.trigger.session_id.as_ref()?;
        done.reply().and_then(session_end).or_else(|| {
            let status = if done.reply().is_some() { "resolved" } else { "failed" };
            let end = SessionEnd { status: status.to_owned(), facts: json!({}) };
            (*session == self.id.to_string()).then_some(end)
        })
    }

    /// What the conversation keeps of an execution that succeeded. Of a confidential one it is what the flow itself appends.
    fn messages(&self, done: &Done) -> Vec<NewMessage> {
        let recorded = self.trigger.session_id.is_some() && !self.trigger.confidential;
        let (Some(reply), true) = (done.reply(), recorded) else { return Vec::new() };
        let message = |role: &str, at, text: &Option<String>| {
            text.clone().map(|text| NewMessage { at, role: role.to_owned(), text, data: None })
        };
        let received_at = Timestamp::from_unix_ms(i64::try_from(self.trigger.received_at_ms).unwrap_or(i64::MAX));
        let asked = message("user", received_at, &self.trigger.message);
        let answered = message("assistant", done.at, &reply.text);
        asked.into_iter().chain(answered).collect()
    }
}

/// What stays of a confidential trigger in the store; none of another, which stays whole.
pub(super) fn kept(trigger: &Trigger) -> Option<String> {
    let json = |trigger| serde_json::to_string(&trigger).expect("a trigger has a JSON form");
    trigger.confidential.then(|| json(trigger.without_content()))
}

fn emitted(one: &Emitted) -> NewEvent {
    let at = Timestamp::from_unix_ms(i64::try_from(one.at_ms).unwrap_or(i64::MAX));
    let data = serde_json::from_str(one.data.as_str()).expect("what was emitted is JSON");
    NewEvent { at, r#type: format!("custom.{}", one.name), data }
}

/// How the conversation ended, where the reply says that it did: by a member `resolution` of its data.
fn session_end(reply: &Reply) -> Option<SessionEnd> {
    let data = reply.data.as_ref()?.as_str();
    // Most replies have no such member, and need not be parsed for it.
    let data: serde_json::Value = data.contains("\"resolution\"").then(|| serde_json::from_str(data).ok())??;
    let resolution = data.get("resolution").filter(|resolution| resolution.is_object())?;
    let status = data.get("status").and_then(|status| status.as_str()).unwrap_or("resolved");
    let mut facts = json!({"resolution": resolution});
    if let Some(score) = data.get("satisfaction_score").filter(|score| score.is_number()) {
        facts["satisfaction_score"] = score.clone();
    }
    Some(SessionEnd { status: status.to_owned(), facts })
}

fn logs(attempt: u32, run: &Run) -> Option<Logs> {
    if run.logs.is_empty() && run.logs_dropped == 0 {
        return None;
    }
    let lines = serde_json::to_string(&run.logs).expect("log lines have a JSON form");
    Some(Logs { attempt, dropped: run.logs_dropped, lines })
}

fn spans(attempt: u32, run: &Run) -> Option<Spans> {
    if run.spans.is_empty() && run.spans_dropped == 0 {
        return None;
    }
    let spans = serde_json::to_string(&run.spans).expect("spans have a JSON form");
    Some(Spans { attempt, dropped: run.spans_dropped, spans })
}

/// What it emitted, and what it was answered where that is kept.
fn calls(attempt: u32, run: &Run) -> Option<Calls> {
    if run.events.is_empty() && run.answers.is_empty() && run.answers_dropped == 0 {
        return None;
    }
    let events = run.events.iter().map(|one| json!({"kind": "event", "name": one.name, "data": one.data}));
    let calls = Value::from_iter(events.chain(run.answers.iter().map(|answer| json!(answer))));
    Some(Calls { attempt, dropped: run.answers_dropped, calls: calls.to_string() })
}
