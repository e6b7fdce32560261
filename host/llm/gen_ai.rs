//! What a span tells of a call, in the names of the OpenTelemetry GenAI conventions (semantic conventions 1.41, status
//! "Development", read 2026-11). Never what was asked or answered.

use super::{Bound, Finish, Model, Reply, Request, Usage};

/// What is known before the answer.
pub fn asked(operation: &'static str, model: &Model) -> Vec<(&'static str, String)> {
    vec![
        ("gen_ai.operation.name", operation.to_owned()),
        ("gen_ai.provider.name", model.provider().name().to_owned()),
        ("gen_ai.request.model", model.name().to_owned()),
        ("flowgate.llm.alias", model.alias().to_owned()),
    ]
}

/// How it is asked.
pub fn chat(model: &Model, request: &Request, bound: Bound) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("gen_ai.request.max_tokens", model.max_tokens(request).to_string()),
        ("flowgate.llm.reserved_tokens", bound.tokens.to_string()),
    ];
    all.extend(request.temperature.map(|temperature| ("gen_ai.request.temperature", temperature.to_string())));
    all.extend(request.seed.map(|seed| ("gen_ai.request.seed", seed.to_string())));
    all
}

/// What it took.
pub fn used(usage: Usage, cost: Option<u64>) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("gen_ai.usage.input_tokens", usage.input_tokens.to_string()),
        ("gen_ai.usage.output_tokens", usage.output_tokens.to_string()),
    ];
    if usage.cached_tokens > 0 {
        all.push(("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens.to_string()));
    }
    all.extend(cost.map(|cost| ("flowgate.llm.cost_micro_usd", cost.to_string())));
    all
}

/// What is known after the answer.
pub fn answered(reply: &Reply) -> Vec<(&'static str, String)> {
    let finish = match reply.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other => "other",
    };
    vec![("gen_ai.response.model", reply.model.clone()), ("gen_ai.response.finish_reasons", finish.to_owned())]
}
