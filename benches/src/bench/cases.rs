//! The cases in which requests are sent as fast as they are answered, and then at half of that rate.

use serde_json::json;

use crate::case::{Case, Flow, Subject, Topic, Until};
use crate::sample;

/// Connections that wait for replies, and for durable accepts. Each fsync serves all that arrived meanwhile, so there are
/// more of these.
pub(super) const CONNECTIONS: u32 = 32;
pub(super) const ACCEPTING: u32 = 128;

/// Executions that a warm instance may run.
const REUSE: u32 = 10_000;

/// Guests that the authors' tools have made, from the repository's top.
const JS: &str = "target/projects/js/build/flow.wasm";
const PYTHON: &str = "target/projects/python/build/flow.wasm";

/// What makes fresh instances of `wasmtime serve` fastest.
const FAST: &[&str] = &[
    "-O",
    "pooling-allocator=y",
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=1048576",
    "-O",
    "pooling-pagemap-scan=y",
];

/// The same, and no instance is fresh for long.
const REUSED: &[&str] = &[
    "-O",
    "pooling-allocator=y",
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=1048576",
    "-O",
    "pooling-pagemap-scan=y",
    "--max-instance-reuse-count",
    "128",
];

const ASYNC: &[(&str, &str)] = &[("prefer", "respond-async")];

/// All of them; the bare server comes first.
pub(super) fn all() -> Vec<Case> {
    [ceilings(), dialects(), languages(), durable(), flows()].concat()
}

fn fresh() -> Flow {
    Flow::default()
}

fn warm() -> Flow {
    Flow { reuse_max: REUSE, ..Flow::default() }
}

/// A case of Flowgate whose caller waits for the reply.
fn sync(topic: Topic, name: &'static str, what: &'static str, flow: Flow) -> Case {
    Case { name, what, topic, connections: CONNECTIONS, subject: Subject::Flowgate(flow) }
}

/// A case of Flowgate whose caller gets a 202.
fn accept(topic: Topic, name: &'static str, what: &'static str, flow: Flow) -> Case {
    Case { connections: ACCEPTING, ..sync(topic, name, what, flow) }
}

fn ceilings() -> Vec<Case> {
    let beside = |name, what, subject| Case { name, what, topic: Topic::Ceilings, connections: CONNECTIONS, subject };
    let ours = |name, what, flow| sync(Topic::Ceilings, name, what, flow);
    vec![
        beside("bare", "axum with HMAC", Subject::Bare),
        beside("wasmtime_fresh", "the same, and a fresh instance of a flow", Subject::BareWasm),
        beside("wasmtime_serve", "`wasmtime serve`, as it comes", Subject::WasmtimeServe(&[])),
        beside(
            "wasmtime_serve_fast",
            "`wasmtime serve`, fresh instances, its fastest setting",
            Subject::WasmtimeServe(FAST),
        ),
        beside("wasmtime_serve_reused", "`wasmtime serve`, instances used 128 times", Subject::WasmtimeServe(REUSED)),
        ours("sync_fresh", "**Flowgate**, a fresh instance, with proof and record", fresh()),
        ours("sync_warm", "**Flowgate**, an instance that is used again", warm()),
    ]
}

fn dialects() -> Vec<Case> {
    let ours = |name, what, flow| sync(Topic::Dialects, name, what, flow);
    let later = |name, what, flow| accept(Topic::Dialects, name, what, flow);
    let autommate = || sample::filled(json!({ "message": "Where is my order?", "userId": "usr_20871" }));
    vec![
        ours("sync_unproven", "`native`, without proof", Flow { proof: false, ..fresh() }),
        ours("sync_autommate", "`autommate`", Flow { dialect: "autommate", body: autommate, ..fresh() }),
        ours("sync_uptiq", "`uptiq`", Flow { dialect: "uptiq", ..fresh() }),
        later("accept_almyty", "`almyty`, durable", Flow { dialect: "almyty", ..fresh() }),
        later("accept_agenticflow", "`agenticflow`, durable", Flow { dialect: "agenticflow", ..fresh() }),
    ]
}

fn languages() -> Vec<Case> {
    let ours = |name, what, flow| sync(Topic::Languages, name, what, flow);
    vec![
        ours("sync_js", "JavaScript, fresh", Flow { component: JS, ..fresh() }),
        ours("sync_js_warm", "JavaScript, used again", Flow { component: JS, ..warm() }),
        ours("sync_python", "Python, fresh", Flow { component: PYTHON, ..fresh() }),
        ours("sync_python_warm", "Python, used again", Flow { component: PYTHON, ..warm() }),
    ]
}

fn durable() -> Vec<Case> {
    let says = || sample::filled(json!({ "data": { "say": ["one", "two", "three", "four", "five"] } }));
    let stream = Flow {
        component: "speaker.wasm",
        body: says,
        headers: &[("accept", "text/event-stream")],
        until: Until::First,
        ..fresh()
    };
    let callback = Flow { headers: ASYNC, until: Until::Callback, ..fresh() };
    vec![
        accept(Topic::Durable, "async_accept", "until the 202", Flow { headers: ASYNC, ..fresh() }),
        sync(Topic::Durable, "async_callback", "until the callback of the execution is there", callback),
        sync(Topic::Durable, "stream", "until the first of eleven events is there", stream),
    ]
}

fn flows() -> Vec<Case> {
    let ours = |name, what, registered| sync(Topic::Flows, name, what, Flow { registered, ..fresh() });
    vec![ours("flows_1", "1 flow", 1), ours("flows_100", "100 flows", 100), ours("flows_10000", "10,000 flows", 10_000)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_bare_server_comes_first_and_no_name_twice() {
        let names: Vec<_> = all().iter().map(|case| case.name).collect();
        assert_eq!(names[0], "bare");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
