//! Growth with history: the same asked of a server with little on record and of one with much, by turns.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;

use super::past::{Past, turn};
use super::{Bench, cases, measure};
use crate::case::SECRET;
use crate::errand::Errand;
use crate::house::Api;
use crate::load::Plan;
use crate::report::{Asked, Growth, Work};
use crate::{many, sample};

/// How long requests are sent before they count.
const WARM_UP: Duration = Duration::from_millis(500);

/// Executions on record before the growth: as many as a page of each list needs.
const FEW: u32 = 1_000;

/// Connections of those who look at what is on record.
const LOOKING: u32 = 8;

/// What is asked.
struct Question {
    name: &'static str,
    what: &'static str,
    connections: u32,
    errand: fn(&Past, &Api) -> Errand,
}

/// What writes much comes last, so that little is on record for as long as can be.
fn questions() -> Vec<Question> {
    let ask = |name, what, connections, errand| Question { name, what, connections, errand };
    vec![
        ask("list", "the newest 50 executions", LOOKING, |_, api| list(api, "")),
        ask("list_flow", "the newest 50 of a flow", LOOKING, |_, api| list(api, "&flow=mirror")),
        ask("list_failed", "the newest 50 that failed, one of 10,000", LOOKING, |_, api| list(api, "&status=failed")),
        ask("list_unfinished", "what is queued or runs: nothing", LOOKING, |_, api| {
            list(api, "&status=queued,running")
        }),
        ask("list_session", "the executions of a conversation", LOOKING, |past, api| {
            each(api, past.sessions.iter().map(|session| format!("/v1/executions?session={session}")))
        }),
        ask("show", "any one execution, whole", LOOKING, |past, api| {
            each(api, past.known.iter().map(|id| format!("/v1/executions/{id}")))
        }),
        ask("turn", "a turn of a conversation, durable", cases::CONNECTIONS, |past, _| {
            let turns: Vec<Bytes> = (0..cases::CONNECTIONS).map(|n| turn(&past.chat, &format!("now-{n}"))).collect();
            Errand::Own(turns.into())
        }),
        ask("reply", "a trigger, until its reply", cases::CONNECTIONS, |past, _| {
            Errand::Request(sample::request(&past.mirror, SECRET.as_bytes(), &[]))
        }),
        ask("durable", "a trigger, until it is durable", cases::ACCEPTING, |past, _| {
            Errand::Request(sample::request(&past.mirror, SECRET.as_bytes(), &[("prefer", "respond-async")]))
        }),
    ]
}

fn list(api: &Api, filter: &str) -> Errand {
    Errand::Request(api.get(&format!("/v1/executions?limit=50{filter}")))
}

/// Requests for all of these, in an order that leaps.
fn each(api: &Api, paths: impl Iterator<Item = String>) -> Errand {
    let requests: Vec<Bytes> = paths.map(|path| api.get(&path)).collect();
    let order = many::shuffled(requests.len());
    Errand::Mix(requests.into(), order.into())
}

/// Measures all that is wanted; nothing when none is.
pub(super) async fn measure(bench: &Bench) -> Result<Option<Growth>> {
    let named = |question: &Question| {
        let names = Asked::names(question.name);
        names.iter().any(|name| bench.wants(name))
    };
    let questions: Vec<Question> = questions().into_iter().filter(named).collect();
    if questions.is_empty() {
        return Ok(None);
    }
    bench.tell(&format!("{} executions go on record", bench.executions))?;
    let grown = Past::of(bench.executions, &bench.programs).await?;
    let mut asked: Vec<Asked> = questions.iter().map(|one| Asked::of(one.name, one.what)).collect();
    for repeat in 1..=bench.repeats {
        let young = Past::of(FEW, &bench.programs).await?;
        for (question, asked) in questions.iter().zip(&mut asked) {
            bench.tell(&format!("{repeat} of {}: growth, {}", bench.repeats, question.name))?;
            asked.young.push(ask(bench, question, &young).await?);
            asked.grown.push(ask(bench, question, &grown).await?);
        }
    }
    Ok(Some(Growth { few: FEW, many: bench.executions, asked }))
}

async fn ask(bench: &Bench, question: &Question, past: &Past) -> Result<Work> {
    let house = past.start(&bench.programs, bench.core).await?;
    let plan = Plan {
        address: house.server.address,
        request: (question.errand)(past, &house.api),
        connections: question.connections,
        rate: None,
        warm_up: WARM_UP,
        duration: bench.duration,
    };
    let full = measure::saturate(&house.server, Some(&house.api), plan).await?;
    house.server.stop().await?;
    let outcome = full.outcome;
    Ok(Work {
        rate: outcome.rate,
        server_us: full.server_us,
        p50: outcome.p50,
        p99: outcome.p99,
        refused: outcome.refused,
    })
}
