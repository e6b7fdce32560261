//! The table of problems. Each has a page `docs/errors/<slug>.md`.

use serde::Serialize;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Whoever sent the request.
    Caller,
    /// The flow's author.
    Flow,
    /// Somebody whom the flow depends on.
    Provider,
    /// Whoever runs this server.
    Host,
}

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Names it, in `code`, in `type` and as a page.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Who has to act.
    pub fault: Fault,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

macro_rules! kinds {
    ($($name:ident: $status:literal $slug:literal $title:literal $fault:ident $retryable:literal;)*) => {
        $(#[doc = concat!("`", $slug, "`: ", $title, ".")]
        pub static $name: Kind =
            Kind { slug: $slug, status: $status, title: $title, fault: Fault::$fault, retryable: $retryable };)*

        /// All of them.
        pub static KINDS: &[&Kind] = &[$(&$name,)*];
    };
}

kinds! {
    MALFORMED_BODY: 400 "malformed-body" "The body cannot be read" Caller false;
    UNAUTHENTICATED: 401 "unauthenticated" "The request does not prove who sent it" Caller false;
    FORBIDDEN: 403 "forbidden" "The key may not do this" Caller false;
    HOOK_DISABLED: 403 "hook-disabled" "The hook is disabled" Caller true;
    NOT_FOUND: 404 "not-found" "There is no such thing" Caller false;
    METHOD_NOT_ALLOWED: 405 "method-not-allowed" "This path does not take this method" Caller false;
    BODY_TIMEOUT: 408 "body-timeout" "The body did not arrive in time" Caller true;
    NAME_TAKEN: 409 "name-taken" "The name is taken" Caller false;
    IN_USE: 409 "in-use" "Something else needs this" Caller false;
    CHANGED: 409 "changed" "Somebody else has changed this" Caller true;
    VERSION_NOT_READY: 409 "version-not-ready" "The version cannot run" Caller false;
    NOTHING_TO_ROLL_BACK: 409 "nothing-to-roll-back" "There is no earlier version" Caller false;
    NOT_REPLAYABLE: 409 "not-replayable" "The request cannot be replayed" Caller false;
    STILL_RUNNING: 409 "still-running" "The execution with this key is still running" Caller true;
    SESSION_BUSY: 409 "session-busy" "The session has an execution under way" Caller true;
    EXECUTION_CANCELED: 409 "execution-canceled" "The execution was canceled" Caller false;
    DELIVERY_ENDED: 409 "delivery-ended" "The delivery has ended" Caller false;
    BODY_TOO_LARGE: 413 "body-too-large" "The body is too large" Caller false;
    UNSUPPORTED_CONTENT_TYPE: 415 "unsupported-content-type" "The hook does not take bodies of this type" Caller false;
    UNSUPPORTED_ENCODING: 415 "unsupported-encoding" "The body is encoded" Caller false;
    INVALID_REQUEST: 422 "invalid-request" "A value cannot be as it is" Caller false;
    INVALID_COMPONENT: 422 "invalid-component" "This is not a component that can run here" Caller false;
    DIGEST_MISMATCH: 422 "digest-mismatch" "The upload was changed on its way" Caller true;
    KEY_REUSED: 422 "key-reused" "The idempotency key belongs to another request" Caller false;
    INVALID_INPUT: 422 "invalid-input" "The flow cannot use this input" Caller false;
    RATE_LIMITED: 429 "rate-limited" "The hook has as many requests as it takes" Caller true;
    TOO_MANY_FAILURES: 429 "too-many-failures" "Too many requests of this address fail" Caller true;
    NO_LIVE_VERSION: 503 "no-live-version" "The flow has no version to run" Host true;
    FLOW_FAILED: 502 "flow-failed" "The flow failed" Flow false;
    FLOW_TRAPPED: 502 "flow-trapped" "The flow crashed" Flow false;
    FLOW_OUT_OF_MEMORY: 502 "flow-out-of-memory" "The flow wanted more memory than it may have" Flow false;
    FLOW_CPU_BUDGET: 502 "flow-cpu-budget" "The flow used up its CPU budget" Flow false;
    FLOW_OVER_LIMIT: 502 "flow-over-limit" "The flow broke a limit" Flow false;
    FLOW_TIMED_OUT: 502 "flow-timed-out" "The flow did not end in time" Flow true;
    INTERNAL: 500 "internal" "The server failed" Host true;
    HOST_OUT_OF_MEMORY: 503 "host-out-of-memory" "The server has too little memory left for the flow" Host true;
    OVERLOADED: 503 "overloaded" "The server has as much to do as it can" Host true;
    STOPPING: 503 "stopping" "The server is stopping" Host true;
    STORE_UNAVAILABLE: 503 "store-unavailable" "The server cannot write now" Host true;
}
