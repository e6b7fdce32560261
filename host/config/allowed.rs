//! What each key may be. A value of the right type can still be one that no server survives.

use std::fmt;

use toml::Value;

/// The values that a key may have, beyond what its type says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Allowed {
    /// Whole numbers, both ends included.
    Whole(i64, i64),
    /// Lists of whole numbers, both ends included.
    Wholes(i64, i64),
    /// Whatever the type reads, in words.
    Words(&'static str),
}

use Allowed::{Whole, Wholes, Words};

const DAY_MS: i64 = 24 * 3_600 * 1_000;
const MANY: i64 = 1_000_000;
const GIB: i64 = 1 << 30;

/// Every key with what it may be.
pub(super) static KEYS: &[(&str, Allowed)] = &[
    ("server.listen", Words("an address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"")),
    ("server.connections_max", Whole(1, MANY)),
    ("server.workers", Whole(0, 1_024)),
    ("server.head_ms_max", Whole(1, DAY_MS)),
    // What the HTTP implementation needs at least to read a request.
    ("server.head_bytes_max", Whole(8_192, 1 << 20)),
    ("server.streams_max", Whole(1, 100_000)),
    ("server.unread_ms_max", Whole(1, DAY_MS)),
    ("server.drain_ms_max", Whole(0, DAY_MS)),
    ("ingress.body_ms_max", Whole(1, DAY_MS)),
    ("ingress.failures_per_s_max", Whole(1, MANY)),
    ("ingress.recorded_per_s_max", Whole(0, MANY)),
    ("ingress.trusted_proxies", Words("a list of addresses and address ranges, such as [\"10.0.0.0/8\", \"::1\"]")),
    ("ingress.forwarded_by", Words("\"x-forwarded-for\", \"forwarded\"")),
    (
        "telemetry.log",
        Words("levels by comma, each `level` or `part=level`, from off, error, warn, info, debug, trace"),
    ),
    ("telemetry.format", Words("\"text\", \"json\"")),
    ("store.writes_waiting_max", Whole(1, MANY)),
    ("store.writes_per_commit_max", Whole(1, MANY)),
    ("store.readers", Whole(1, 256)),
    ("store.cache_kib", Whole(64, 16 << 20)),
    ("engine.component_bytes_max", Whole(1_024, GIB)),
    ("engine.memory_bytes_max", Whole(64 << 10, 4 * GIB)),
    ("engine.memory_total_bytes_max", Whole(0, 1_024 * GIB)),
    ("engine.cpu_ms_max", Whole(1, DAY_MS)),
    ("engine.reply_bytes_max", Whole(1, GIB)),
    ("engine.hostcall_bytes_max", Whole(1_024, GIB)),
    ("engine.instances_max", Whole(1, 100_000)),
    ("engine.warm_max", Whole(0, 100_000)),
    ("engine.warm_idle_ms", Whole(1, DAY_MS)),
    ("engine.keep_resident_bytes", Whole(0, GIB)),
    ("engine.epoch_tick_ms", Whole(1, 1_000)),
    ("engine.loaded_max", Whole(1, MANY)),
    ("engine.compiles_at_once", Whole(1, 256)),
    ("engine.compile_ms_max", Whole(1_000, DAY_MS)),
    ("engine.compile_memory_bytes_max", Whole(256 << 20, 1_024 * GIB)),
    ("capability.log_lines_max", Whole(0, MANY)),
    ("capability.log_line_bytes_max", Whole(1, MANY)),
    ("capability.outputs_max", Whole(0, MANY)),
    ("capability.output_bytes_max", Whole(0, GIB)),
    ("capability.events_max", Whole(0, MANY)),
    ("capability.event_bytes_max", Whole(0, GIB)),
    ("capability.spans_max", Whole(0, MANY)),
    ("capability.llm_calls_max", Whole(0, MANY)),
    ("capability.llm_streams_max", Whole(0, 1_000)),
    ("capability.span_bytes_max", Whole(0, GIB)),
    ("capability.calls_max", Whole(0, MANY)),
    // Each level holds a place while it waits for the next one.
    ("capability.call_depth_max", Whole(0, 100)),
    ("capability.call_bytes_max", Whole(1, GIB)),
    ("capability.keyvalue_keys_max", Whole(0, 1_000 * MANY)),
    ("capability.keyvalue_bytes_max", Whole(0, 1_024 * GIB)),
    // An index entry of SQLite's is short.
    ("capability.keyvalue_key_bytes_max", Whole(1, 64 << 10)),
    ("capability.keyvalue_value_bytes_max", Whole(1, 256 << 20)),
    ("capability.session_key_bytes_max", Whole(1, 64 << 10)),
    ("capability.session_value_bytes_max", Whole(0, GIB)),
    ("capability.session_text_bytes_max", Whole(0, GIB)),
    ("capability.random_bytes_max", Whole(0, GIB)),
    ("capability.http_requests_max", Whole(0, MANY)),
    ("capability.http_concurrent_max", Whole(1, 10_000)),
    ("capability.http_ms_max", Whole(1, DAY_MS)),
    ("capability.http_request_bytes_max", Whole(0, GIB)),
    ("capability.http_answer_bytes_max", Whole(0, GIB)),
    ("capability.resources_max", Whole(1, MANY)),
    ("capability.header_bytes_max", Whole(1_024, 16 << 20)),
    ("capability.table_elements_max", Whole(1, 100 * MANY)),
    ("capability.record_answers", Words("true, false")),
    ("capability.record_bytes_max", Whole(0, GIB)),
    // Below a second a busy worker loses its claims, and its work is done twice.
    ("queue.lease_ms", Whole(1_000, DAY_MS)),
    ("queue.period_ms", Whole(1, DAY_MS)),
    ("queue.setback_ms", Whole(0, DAY_MS)),
    ("execution.sync_at_once", Whole(1, 100_000)),
    ("execution.place_wait_ms", Whole(0, DAY_MS)),
    ("execution.async_at_once", Whole(1, 100_000)),
    ("execution.queued_max", Whole(1, 100 * MANY)),
    ("execution.sync_wall_ms", Whole(1, DAY_MS)),
    ("execution.session_waiting_max", Whole(0, MANY)),
    ("execution.async_wall_ms", Whole(1, DAY_MS)),
    ("transform.cpu_ms_max", Whole(1, DAY_MS)),
    ("transform.wall_ms_max", Whole(1, DAY_MS)),
    ("transform.memory_bytes_max", Whole(64 << 10, 4 * GIB)),
    ("transform.message_bytes_max", Whole(1, GIB)),
    ("transform.log_lines_max", Whole(0, MANY)),
    ("transform.at_once", Whole(1, 100_000)),
    // Below four, targets that do not answer have no quarter of it.
    ("delivery.at_once", Whole(4, 100_000)),
    ("delivery.in_flight_max", Whole(1, 1_000)),
    ("delivery.attempt_ms_max", Whole(1, DAY_MS)),
    ("delivery.schedule_s", Wholes(0, 30 * 24 * 3_600)),
    ("delivery.retry_after_s_max", Whole(0, 30 * 24 * 3_600)),
    ("delivery.failures_max", Whole(1, MANY)),
    ("delivery.open_s", Whole(0, 24 * 3_600)),
    ("delivery.open_s_max", Whole(0, 24 * 3_600)),
    ("delivery.answer_bytes_max", Whole(0, 16 << 20)),
    ("dispatch.events_at_once", Whole(1, 10_000)),
    ("dispatch.millicredits_per_cpu_s", Whole(0, 1_000_000_000)),
    ("dispatch.millicredits_per_execution", Whole(0, 1_000_000_000)),
    ("dispatch.millicredits_per_llm_call", Whole(0, 1_000_000_000)),
    ("dispatch.millicredits_per_1000_tokens", Whole(0, 1_000_000_000)),
    ("notice.smtp_url", Words("a URL such as \"smtps://user:password@mail.example\", or \"\"")),
    ("notice.mail_from", Words("an address, such as \"flowgate@example.com\" or \"Flowgate <flowgate@example.com>\"")),
    ("notice.mail_to", Words("a list of addresses")),
    ("notice.webhook_url", Words("a URL, or \"\"")),
    ("notice.webhook_secret", Words("`whsec_` and base64, or \"\"")),
    ("notice.period_s", Whole(0, 7 * 24 * 3_600)),
    ("egress.allow", Words("a list of address ranges, such as [\"10.0.0.0/8\", \"fd00::/8\"]")),
    ("egress.allow_hosts", Words("a list of names, such as [\"receiver.internal\", \"*.internal\"]")),
    ("egress.ports", Wholes(1, 65_535)),
    ("egress.bind", Words("a list of addresses of this machine, such as [\"203.0.113.7\", \"2001:db8::7\"]")),
    ("egress.ca_file", Words("the path of a file of PEM certificates that can be read, or \"\" for none")),
    ("egress.proxy_url", Words("a URL such as \"http://name:password@proxy.internal:3128\", or \"\" for none")),
    ("egress.proxy_resolves", Words("true, false")),
    ("egress.no_proxy", Words("a list of names, addresses and ranges, such as [\"*.internal\", \"10.0.0.0/8\"]")),
    ("egress.connect_ms_max", Whole(1, DAY_MS)),
    ("egress.total_ms_max", Whole(1, DAY_MS)),
    ("egress.answer_bytes_max", Whole(0, GIB)),
    ("egress.idle_connections_max", Whole(0, MANY)),
    ("egress.idle_total_max", Whole(0, MANY)),
    ("egress.idle_ms_max", Whole(0, DAY_MS)),
    ("egress.connection_ms_max", Whole(0, DAY_MS)),
    ("models.mock", Words("a section of what an alias stands for, such as `{ provider = \"mock\" }`")),
    ("retention.executions_days", Whole(1, 36_500)),
    ("retention.keys_hours", Whole(1, 24 * 366)),
    ("retention.requests_days", Whole(1, 36_500)),
    ("retention.events_days", Whole(1, 36_500)),
    ("retention.sessions_idle_min", Whole(1, 1_000_000)),
    ("retention.period_s", Whole(1, 24 * 3_600)),
];

/// What the key at a dotted path may be.
pub(super) fn allowed(path: &str) -> Allowed {
    KEYS.iter().find(|(key, _)| *key == path).map_or(Words("what its type reads"), |(_, allowed)| *allowed)
}

impl Allowed {
    /// Whether the value is in the range. Its type is judged by whoever reads it.
    pub(super) fn admits(self, value: &Value) -> bool {
        let within = |value: &Value, from, to| value.as_integer().is_some_and(|number| (from..=to).contains(&number));
        match self {
            Whole(from, to) => within(value, from, to),
            Wholes(from, to) => value.as_array().is_some_and(|list| list.iter().all(|item| within(item, from, to))),
            Words(_) => true,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole(from, to) => write!(f, "a whole number from {from} to {to}"),
            Wholes(from, to) => write!(f, "a list of whole numbers from {from} to {to}"),
            Words(words) => f.write_str(words),
        }
    }
}
