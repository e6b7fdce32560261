//! The table of all names, with what is in `data` under each.

use serde_json::{Map, Value, json};

use super::{Event, Format, Type, example};

/// One name of events.
#[derive(Debug)]
pub struct Row {
    /// The name; `custom.*` stands for all that begin so.
    pub name: &'static str,
    /// When it is told of.
    pub doc: &'static str,
    /// The native types that it is another name for; none for a native name.
    pub view_of: &'static [Type],
    /// What is in `data`.
    fields: &'static [Field],
}

/// A member of `data`.
#[derive(Debug)]
struct Field {
    name: &'static str,
    holds: Holds,
    doc: &'static str,
    /// Whether it is always there.
    always: bool,
}

/// What a member holds.
#[derive(Debug, Clone, Copy)]
enum Holds {
    Text,
    Time,
    Whole,
    Number,
    Object(&'static [Field]),
    Any,
}

const fn always(name: &'static str, holds: Holds, doc: &'static str) -> Field {
    Field { name, holds, doc, always: true }
}

const fn maybe(name: &'static str, holds: Holds, doc: &'static str) -> Field {
    Field { name, holds, doc, always: false }
}

const fn native(name: &'static str, doc: &'static str, fields: &'static [Field]) -> Row {
    Row { name, doc, view_of: &[], fields }
}

const fn view(name: &'static str, view_of: &'static [Type], doc: &'static str, fields: &'static [Field]) -> Row {
    Row { name, doc, view_of, fields }
}

use Holds::{Any, Number, Object, Text, Time, Whole};

const FLOW: Field = always(
    "flow",
    Object(&[
        always("id", Text, "the flow's id"),
        always("name", Text, "the flow's name"),
        maybe("hook_id", Text, "the hook by which it was triggered"),
        maybe("path_id", Text, "the id in the hook's URL, where that is not the hook's own"),
    ]),
    "the flow",
);
const EXECUTION_ID: Field = always("execution_id", Text, "the execution");
const SESSION: Field = maybe("session_id", Text, "the conversation");
const USER: Field = maybe("user_id", Text, "who triggered it, in the caller's own terms");
const SAID: Holds = Object(&[maybe("text", Text, "for a person"), maybe("data", Any, "for a program")]);
const ERROR: Field = maybe(
    "error",
    Object(&[always("reason", Text, "a slug"), always("message", Text, "one sentence")]),
    "why it failed",
);

const EXECUTION: &[Field] = &[
    EXECUTION_ID,
    FLOW,
    always("version", Text, "the digest of the version that runs"),
    SESSION,
    USER,
    always("attempt", Whole, "counts from 1"),
    always("status", Text, "running, succeeded, failed, canceled or timed_out"),
    always("started_at", Time, "when the first attempt began"),
    maybe("finished_at", Time, "when it ended"),
    maybe("cpu_ms", Number, "milliseconds that the guest really ran"),
    maybe("memory_bytes", Whole, "bytes of the guest's memory at its largest"),
    always("credits", Number, "what it has cost so far, by the server's prices"),
    always("steps", Whole, "what the flow has said so far, the reply included"),
    maybe(
        "input",
        Object(&[maybe("message", Text, "the text that was sent"), maybe("data", Any, "the payload")]),
        "what the flow was given; absent when content is not recorded",
    ),
    maybe("output", SAID, "what it replied; absent when it did not, or content is not recorded"),
    ERROR,
];
const OUTPUT: &[Field] = &[
    EXECUTION_ID,
    FLOW,
    SESSION,
    always("attempt", Whole, "the attempt that says it"),
    always("step", Whole, "which of its outputs, counted from 1"),
    always("output", SAID, "what it says"),
];
const CONVERSATION: &[Field] = &[
    always("session_id", Text, "the conversation"),
    FLOW,
    USER,
    always("status", Text, "active, or how it ended"),
    always("started_at", Time, "when it began"),
    maybe("finished_at", Time, "when it ended"),
    always("message_count", Whole, "messages of both sides"),
    always("credits", Number, "what its executions have cost"),
    maybe("satisfaction_score", Number, "where the flow has set it"),
    maybe("resolution", Any, "where the flow has set it"),
];
const MESSAGE: &[Field] = &[
    always("session_id", Text, "the conversation"),
    always("number", Whole, "which of its messages, counted from 1"),
    EXECUTION_ID,
    FLOW,
    USER,
    always("role", Text, "user or assistant"),
    always("message", SAID, "what was said; empty when content is not recorded"),
];
const VERSION: &[Field] =
    &[FLOW, always("version", Text, "the digest"), always("size_bytes", Whole, "bytes of the component"), ERROR];
const PROMOTION: &[Field] = &[
    FLOW,
    always("alias", Text, "what moved"),
    always("version", Text, "the digest that it points to now"),
    maybe("previous", Text, "the digest that it pointed to before"),
];
const DELIVERY: &[Field] = &[
    always("delivery_id", Text, "the delivery"),
    maybe("subscription_id", Text, "the subscription that it is for"),
    maybe("hook_id", Text, "the hook that it is a callback of"),
    always("url", Text, "the receiver"),
    always("event", Text, "the event that it tells of"),
    always("attempts", Whole, "attempts made"),
    always("failures", Whole, "failures of the receiver in a row"),
    maybe("failing_since", Time, "since when it fails"),
    maybe("status", Whole, "the status of the last answer"),
    maybe("error", Text, "why the last attempt failed"),
];
const SUBSCRIPTION: &[Field] = &[
    always("subscription_id", Text, "the subscription"),
    always("name", Text, "its name"),
    always("url", Text, "its receiver"),
    always("reason", Text, "why"),
];
const CUSTOM: &[Field] = &[EXECUTION_ID, FLOW, SESSION, always("data", Any, "what the flow says")];

const WORKFLOW_ID: Field = always("workflow_id", Text, "the id in the workflow's webhook URL");
const AGENT_ID: Field = always("agent_id", Text, "the id in the agent's webhook URL");
const WORKFLOW_STARTED: &[Field] = &[
    WORKFLOW_ID,
    EXECUTION_ID,
    always("status", Text, "running"),
    always("started_at", Time, "when it began"),
    always("input_data", Any, "what the workflow was given"),
];
const WORKFLOW_ENDED: &[Field] = &[
    WORKFLOW_ID,
    EXECUTION_ID,
    always("status", Text, "success, failed, canceled or timed_out"),
    always("started_at", Time, "when it began"),
    always("completed_at", Time, "when it ended"),
    always("duration_seconds", Number, "from the one to the other"),
    always("input_data", Any, "what the workflow was given"),
    always("output_data", Any, "what it replied; `{}` when it did not"),
    always("credits_used", Number, "what it has cost, by the server's prices"),
    always("steps_completed", Whole, "what it has said, the reply included"),
    maybe("error", Object(&[always("code", Text, "a word"), always("message", Text, "one sentence")]), "why it failed"),
];
const STEP: &[Field] = &[
    WORKFLOW_ID,
    EXECUTION_ID,
    always("step", Whole, "counted from 1"),
    always("status", Text, "success"),
    always("completed_at", Time, "when"),
    always("output_data", Any, "what the step says"),
];
const AGENT_STARTED: &[Field] = &[
    AGENT_ID,
    always("conversation_id", Text, "the conversation"),
    maybe("user_id", Text, "with whom"),
    always("status", Text, "active"),
    always("started_at", Time, "when it began"),
];
const AGENT_COMPLETED: &[Field] = &[
    AGENT_ID,
    always("conversation_id", Text, "the conversation"),
    maybe("user_id", Text, "with whom"),
    always("status", Text, "resolved, where the flow does not say otherwise"),
    always("started_at", Time, "when it began"),
    always("completed_at", Time, "when it ended"),
    always("message_count", Whole, "messages of both sides"),
    maybe("satisfaction_score", Number, "where the flow has set it"),
    always("credits_used", Number, "what its executions have cost"),
    maybe("resolution", Any, "where the flow has set it"),
];
const AGENT_MESSAGE: &[Field] = &[
    AGENT_ID,
    always("conversation_id", Text, "the conversation"),
    maybe("user_id", Text, "with whom"),
    EXECUTION_ID,
    always("role", Text, "user or assistant"),
    maybe("message", Text, "the text"),
    maybe("data", Any, "what was said for a program"),
    always("created_at", Time, "when"),
];

/// All names: the native ones, then AgenticFlow's.
pub const CATALOGUE: &[Row] = &[
    native("execution.started", "A flow begins to run.", EXECUTION),
    native("execution.succeeded", "A flow has answered.", EXECUTION),
    native("execution.failed", "A flow has failed, or was stopped for breaking a limit.", EXECUTION),
    native("execution.canceled", "An execution was canceled.", EXECUTION),
    native("execution.timed_out", "An execution was not done in time.", EXECUTION),
    native("execution.output", "A flow says something before its reply.", OUTPUT),
    native("session.started", "A conversation begins.", CONVERSATION),
    native("session.message.received", "A person or a system says something in a conversation.", MESSAGE),
    native("session.message.sent", "A flow answers in a conversation.", MESSAGE),
    native("session.completed", "A conversation has ended.", CONVERSATION),
    native("flow.version.created", "A component was uploaded.", VERSION),
    native("flow.version.ready", "A version is compiled and can run.", VERSION),
    native("flow.version.failed", "A version cannot run.", VERSION),
    native("flow.promoted", "An alias points to another version.", PROMOTION),
    native("delivery.failing", "A receiver has failed several times in a row.", DELIVERY),
    native("delivery.recovered", "A receiver that failed answers again.", DELIVERY),
    native("delivery.exhausted", "A delivery was given up.", DELIVERY),
    native(
        "subscription.disabled",
        "A subscription was disabled by its receiver, or for failing too long.",
        SUBSCRIPTION,
    ),
    native("custom.*", "A flow tells something in its own words.", CUSTOM),
    view("workflow.execution.started", &[Type::ExecutionStarted], "A workflow begins to run.", WORKFLOW_STARTED),
    view("workflow.execution.completed", &[Type::ExecutionSucceeded], "A workflow has answered.", WORKFLOW_ENDED),
    view(
        "workflow.execution.failed",
        &[Type::ExecutionFailed, Type::ExecutionTimedOut, Type::ExecutionCanceled],
        "A workflow has ended without an answer.",
        WORKFLOW_ENDED,
    ),
    view("workflow.step.completed", &[Type::ExecutionOutput], "A workflow says something before its answer.", STEP),
    view("agent.conversation.started", &[Type::SessionStarted], "A conversation begins.", AGENT_STARTED),
    view("agent.conversation.completed", &[Type::SessionCompleted], "A conversation has ended.", AGENT_COMPLETED),
    view(
        "agent.message.received",
        &[Type::SessionMessageReceived],
        "Somebody says something to an agent.",
        AGENT_MESSAGE,
    ),
    view("agent.message.sent", &[Type::SessionMessageSent], "An agent answers.", AGENT_MESSAGE),
];

/// The other name of a native type.
pub(super) fn view_of(kind: &Type) -> Option<&'static Row> {
    CATALOGUE.iter().find(|row| row.view_of.contains(kind))
}

impl Row {
    /// The row of a name; that of `custom.*` for each name that begins so.
    pub fn find(name: &str) -> Option<&'static Self> {
        let fits = |row: &&Self| row.name == name || (row.name == "custom.*" && name.starts_with("custom."));
        CATALOGUE.iter().find(fits)
    }

    /// The format in which its payload is shown.
    pub fn format(&self) -> Format {
        if self.view_of.is_empty() { Format::Native } else { Format::AgenticFlow }
    }

    /// The JSON Schema (2020-12) of its payload.
    pub fn schema(&self) -> Value {
        let data = object(self.fields);
        let name = if self.name == "custom.*" {
            json!({ "type": "string", "pattern": "^custom\\." })
        } else {
            json!({ "const": self.name })
        };
        let time = json!({ "type": "string", "format": "date-time" });
        let (required, properties) = match self.format() {
            Format::Native => {
                (json!(["type", "timestamp", "data"]), json!({ "type": name, "timestamp": time, "data": data }))
            }
            Format::AgenticFlow => {
                let id = json!({ "type": "string" });
                let properties = json!({ "event": name, "timestamp": time, "webhook_id": id, "data": data });
                (json!(["event", "timestamp", "webhook_id", "data"]), properties)
            }
        };
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.doc,
            "type": "object",
            "required": required,
            "properties": properties,
        })
    }

    /// An event that has this name.
    pub fn example(&self) -> Event {
        let kind = match self.view_of.first() {
            Some(kind) => kind.clone(),
            None => self.name.replace('*', "order.shipped").parse().expect("the table has the names of types"),
        };
        example(&kind)
    }
}

fn object(fields: &[Field]) -> Value {
    let required = fields.iter().filter(|field| field.always).map(|field| field.name).collect::<Vec<_>>();
    let properties = fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect::<Map<_, _>>();
    json!({ "type": "object", "required": required, "properties": properties })
}

impl Field {
    fn schema(&self) -> Value {
        let mut schema = match self.holds {
            Text => json!({ "type": "string" }),
            Time => json!({ "type": "string", "format": "date-time" }),
            Whole => json!({ "type": "integer", "minimum": 0 }),
            Number => json!({ "type": "number" }),
            Object(fields) => object(fields),
            Any => json!({}),
        };
        schema["description"] = json!(self.doc);
        schema
    }
}
