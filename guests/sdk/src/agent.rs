//! A model that calls functions of the flow until it has an answer.
//!
//! ```
//! use flowgate::{Agent, JsonSchema, Result, Trigger};
//! use serde::Deserialize;
//!
//! /// Finds an order by its number.
//! #[derive(Deserialize, JsonSchema)]
//! #[schemars(crate = "flowgate::schemars")]
//! struct FindOrder {
//!     /// Digits only.
//!     number: String,
//! }
//!
//! fn find_order(order: FindOrder) -> Result<String> {
//!     Ok(format!("order {} was shipped", order.number))
//! }
//!
//! fn handle(trigger: Trigger) -> Result {
//!     let agent = Agent::new("fast").system("You help customers.").tool("find_order", find_order).steps_max(8);
//!     Ok(agent.run(&trigger)?.into())
//! }
//! # flowgate::flow!(handle);
//! ```
//!
//! What the model reads about a tool is the doc comment of its arguments and of their fields. A failure of a tool is told to
//! the model, which may try something else; but [`Failure::Retry`] ends the run, so that the execution is tried again.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::llm::{self, Chat, Message, Part, Role, Tool, ToolCall, ToolChoice, ToolResult, Usage};
use crate::{Failure, Reply, Result, Trigger};

/// Messages of the session that the model is reminded of.
const HISTORY: u32 = 50;

/// A model, its instructions and its tools.
pub struct Agent<'a> {
    chat: Chat,
    calls: Vec<Call<'a>>,
    steps_max: u32,
    history: u32,
}

type Call<'a> = Box<dyn Fn(&serde_json::Value) -> Result<String> + 'a>;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The answer.
    pub text: String,
    /// How often the model was asked.
    pub steps: u32,
    /// What it took, all steps together.
    pub usage: Usage,
    /// What was said, from the user's message to the answer, with all calls of tools.
    pub messages: Vec<Message>,
}

impl<'a> Agent<'a> {
    /// An agent with the model behind an alias: without tools, with 8 steps at most, and with the last 50 messages of the
    /// session as its memory.
    pub fn new(model: impl Into<String>) -> Self {
        Self { chat: Chat::new(model), calls: Vec::new(), steps_max: 8, history: HISTORY }
    }

    /// Tells it what it is.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        Self { chat: self.chat.system(text), ..self }
    }

    /// Lets it call a function.
    #[must_use]
    pub fn tool<T, R>(mut self, name: &str, call: impl Fn(T) -> Result<R> + 'a) -> Self
    where
        T: DeserializeOwned + JsonSchema,
        R: Serialize,
    {
        let mut parameters = llm::schema::<T>();
        let described = parameters.as_object_mut().and_then(|members| members.remove("description"));
        let description = described.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
        self.chat.tools.push(Tool { name: name.to_owned(), description, parameters });
        self.calls.push(Box::new(move |arguments| {
            let given: T = serde_path_to_error::deserialize(arguments)
                .map_err(|error| Failure::failed(format!("the arguments are wrong: {error}")))?;
            Ok(match serde_json::to_value(call(given)?)? {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            })
        }));
        self
    }

    /// How often the model is asked at most; in the last step it can only answer.
    #[must_use]
    pub fn steps_max(self, steps: u32) -> Self {
        Self { steps_max: steps.max(1), ..self }
    }

    /// How many messages of the session it is reminded of.
    #[must_use]
    pub fn history(self, messages: u32) -> Self {
        Self { history: messages, ..self }
    }

    /// Tokens of each of its replies at most.
    #[must_use]
    pub fn max_tokens(self, tokens: u32) -> Self {
        Self { chat: self.chat.max_tokens(tokens), ..self }
    }

    /// Lets the caller read its words while it still writes them.
    #[must_use]
    pub fn forward(self) -> Self {
        Self { chat: self.chat.forward(), ..self }
    }

    /// Answers a trigger's message, within its session if it has one.
    pub fn run(&self, trigger: &Trigger) -> Result<Run> {
        let mut chat = self.chat.clone();
        if trigger.session_id.is_some() && self.history > 0 {
            chat = chat.history(self.history)?;
        }
        let begin = chat.messages.len();
        chat = chat.user(trigger.message()?);
        let mut usage = Usage::default();
        for step in 1..=self.steps_max {
            if step == self.steps_max && !chat.tools.is_empty() {
                chat.tool_choice = ToolChoice::None;
            }
            let reply = chat.send()?;
            add(&mut usage, reply.usage);
            let (text, calls) = (reply.text(), reply.tool_calls().cloned().collect::<Vec<_>>());
            chat.messages.push(reply.message);
            if calls.is_empty() {
                return Ok(Run { text, steps: step, usage, messages: chat.messages.split_off(begin) });
            }
            let results = calls.iter().map(|call| Ok(Part::ToolResult(self.call(call)?)));
            let parts = results.collect::<Result<_>>()?;
            chat.messages.push(Message { role: Role::Tool, parts });
        }
        Err(Failure::failed(format!("the agent had no answer after {} steps", self.steps_max)))
    }

    fn call(&self, wanted: &ToolCall) -> Result<ToolResult> {
        let place = self.chat.tools.iter().position(|tool| tool.name == wanted.name);
        let result = match place {
            Some(place) => self.calls[place](&wanted.arguments),
            None => Err(Failure::failed(format!("there is no tool `{}`", wanted.name))),
        };
        let (content, is_error) = match result {
            Ok(content) => (content, false),
            Err(retry @ Failure::Retry { .. }) => return Err(retry),
            Err(failure) => (failure.to_string(), true),
        };
        Ok(ToolResult { id: wanted.id.clone(), content, is_error })
    }
}

fn add(all: &mut Usage, one: Usage) {
    all.input_tokens += one.input_tokens;
    all.output_tokens += one.output_tokens;
    all.cached_tokens += one.cached_tokens;
    if let Some(cost) = one.cost_micro_usd {
        *all.cost_micro_usd.get_or_insert_default() += cost;
    }
}

impl From<Run> for Reply {
    fn from(run: Run) -> Self {
        Self::text(run.text)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;
    use crate::{session, testing};

    /// Adds numbers.
    #[derive(Deserialize, JsonSchema)]
    struct Add {
        /// The first one.
        a: i64,
        b: Option<i64>,
    }

    fn adding(add: Add) -> Result<i64> {
        add.b.map(|b| add.a + b).ok_or_else(|| Failure::failed("b is missing"))
    }

    fn trigger() -> Trigger {
        testing::trigger().with_message("How much?").with_session("s")
    }

    #[test]
    fn tools_are_called_until_there_is_an_answer() {
        testing::set_replies(
            "fast",
            [
                llm::Reply::calls("add", json!({"a": 1, "b": 2})),
                llm::Reply::calls("add", json!({"a": "x"})),
                llm::Reply::calls("subtract", json!({})),
                llm::Reply::calls("add", json!({"a": 1})),
                llm::Reply::says("3"),
            ],
        );
        let run = Agent::new("fast").tool("add", adding).run(&trigger()).unwrap();
        assert_eq!((run.text.as_str(), run.steps, run.messages.len()), ("3", 5, 10));
        let results = run.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ToolResult(result) => Some((result.content.as_str(), result.is_error)),
            _ => None,
        });
        let results: Vec<_> = results.collect();
        assert_eq!(results[0], ("3", false));
        assert!(results[1].0.contains("a: invalid type") && results[1].1, "{results:?}");
        assert_eq!(results[2..], [("there is no tool `subtract`", true), ("b is missing", true)]);
    }

    #[test]
    fn a_tool_is_described_by_its_arguments() {
        let seen = RefCell::new(Vec::new());
        let agent = Agent::new("fast").tool("add", adding);
        let tool = agent.chat.tools[0].clone();
        seen.borrow_mut().push(tool.description.clone());
        assert_eq!(seen.borrow()[0], "Adds numbers.");
        assert_eq!(tool.parameters["properties"]["a"]["description"], "The first one.");
        assert_eq!((&tool.parameters["type"], &tool.parameters["required"]), (&json!("object"), &json!(["a"])));
    }

    #[test]
    fn the_last_step_can_only_answer() {
        testing::set_model("fast", |chat| {
            if chat.tool_choice == ToolChoice::None {
                return Ok(llm::Reply::says("enough"));
            }
            Ok(llm::Reply::calls("add", json!({"a": 1, "b": 1})))
        });
        let agent = Agent::new("fast").tool("add", adding).steps_max(3);
        let run = agent.run(&trigger()).unwrap();
        assert_eq!((run.text.as_str(), run.steps), ("enough", 3));
        testing::set_model("fast", |_| Ok(llm::Reply::calls("add", json!({"a": 1, "b": 1}))));
        assert_eq!(agent.run(&trigger()), Err(Failure::failed("the agent had no answer after 3 steps")));
    }

    #[test]
    fn it_remembers_the_session() {
        testing::set_model("fast", |chat| {
            let said = chat.messages.iter().map(Message::text).collect::<Vec<_>>().join("|");
            Ok(llm::Reply::says(said))
        });
        let handle = |trigger: Trigger| Agent::new("fast").system("Be kind.").history(2).run(&trigger);
        assert_eq!(testing::run(handle, trigger()).unwrap().text.unwrap(), "Be kind.|How much?");
        session::append(Role::Tool, "not for the model").unwrap();
        let again = testing::run(handle, trigger()).unwrap().text.unwrap();
        assert_eq!(again, "Be kind.|Be kind.|How much?|How much?");
    }

    #[test]
    fn what_a_model_writes_is_a_type() {
        #[derive(Deserialize, JsonSchema, PartialEq, Debug)]
        struct Mood {
            happy: bool,
            why: Option<String>,
        }
        testing::set_model("fast", |chat| {
            let llm::Format::Schema { name, schema } = &chat.format else { panic!("no schema") };
            assert_eq!((name.as_str(), &schema["required"]), ("Mood", &json!(["happy", "why"])));
            assert_eq!(schema["additionalProperties"], Value::Bool(false));
            Ok(llm::Reply::says(r#"{"happy": true, "why": null}"#))
        });
        let mood: Mood = Chat::new("fast").user("?").json::<Mood>().send().unwrap().json().unwrap();
        assert_eq!(mood, Mood { happy: true, why: None });
    }

    #[test]
    fn a_busy_provider_is_asked_again_later() {
        testing::set_model("fast", |_| Err(llm::Error::RateLimited(Some(std::time::Duration::from_secs(7)))));
        let failure = Agent::new("fast").run(&trigger()).unwrap_err();
        assert!(matches!(failure, Failure::Retry { after: Some(after), .. } if after.as_secs() == 7));
        let failure = Agent::new("slow").run(&trigger()).unwrap_err();
        assert!(matches!(failure, Failure::Failed(why) if why.contains("`slow`")));
    }

    #[test]
    fn a_stream_has_the_words_one_by_one() {
        testing::set_replies("fast", [llm::Reply::says("one two three")]);
        let chunks: Vec<_> =
            Chat::new("fast").user("?").forward().stream().unwrap().map(|chunk| chunk.unwrap()).collect();
        assert_eq!(chunks.len(), 4);
        assert!(matches!(&chunks[3], llm::Chunk::Done(reply) if reply.text() == "one two three"));
        assert_eq!(testing::take_outputs().len(), 1, "the caller has heard it");
    }
}
