//! Answers without a provider: what was said, what a script says, or what was recorded. The same every time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Error;
use super::chat::{Finish, Message, Part, Reply, Request, Role, ToolCall, Usage, text_tokens};

/// The numbers of a vector that stands for a text.
const DIMENSIONS: usize = 32;

/// A list of rules, of which the first that fits answers.
#[derive(Debug)]
pub(super) struct Script {
    rules: Vec<Rule>,
    /// Which of them have answered.
    said: Vec<AtomicBool>,
}

/// How a script is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rules: Vec<Rule>,
}

/// What a mock answers, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    #[serde(skip_serializing_if = "is_default")]
    when: When,
    /// Whether it answers only once.
    #[serde(skip_serializing_if = "is_default")]
    once: bool,
    /// Milliseconds to wait before the reply begins.
    #[serde(skip_serializing_if = "is_default")]
    delay_ms: u64,
    #[serde(skip_serializing_if = "is_default")]
    error: Option<Failure>,
    /// `{{user}}` and `{{tool_result}}` in it stand for the last of these.
    #[serde(skip_serializing_if = "is_default")]
    text: String,
    #[serde(skip_serializing_if = "is_default")]
    tool_calls: Vec<Call>,
    #[serde(skip_serializing_if = "is_default")]
    finish: Option<Finish>,
    #[serde(skip_serializing_if = "is_default")]
    input_tokens: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    output_tokens: Option<u32>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What must be so; whatever is absent may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct When {
    /// Is in the last text of the user, in any case of letters.
    #[serde(skip_serializing_if = "is_default")]
    user: Option<String>,
    /// The tool whose result is the last message; `""` when that is no tool's.
    #[serde(skip_serializing_if = "is_default")]
    tool: Option<String>,
    /// Is in that result.
    #[serde(skip_serializing_if = "is_default")]
    tool_result: Option<String>,
    /// Is in the system's text.
    #[serde(skip_serializing_if = "is_default")]
    system: Option<String>,
    /// Counts the model's replies: 1 for the first of the conversation.
    #[serde(skip_serializing_if = "is_default")]
    turn: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Value,
    /// Made up unless it is given.
    #[serde(default, skip_serializing_if = "is_default")]
    id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    RateLimited(u64),
    Invalid(String),
    Provider(String),
    Timeout,
}

/// What is the case in a conversation.
struct Facts {
    user: String,
    tool: String,
    tool_result: String,
    system: String,
    turn: usize,
}

impl Facts {
    fn of(request: &Request) -> Self {
        let messages = &request.messages;
        let user = messages.iter().rfind(|message| message.role == Role::User && !message.text().is_empty());
        let result = messages.last().and_then(|last| last.parts.iter().rev().find_map(result));
        let (id, tool_result) = result.unwrap_or_default();
        let mut calls = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        let tool = calls.find(|call| !id.is_empty() && call.id == id).map(|call| call.name.clone());
        Self {
            user: user.map(Message::text).unwrap_or_default(),
            tool: tool.unwrap_or_default(),
            tool_result: tool_result.to_owned(),
            system: request.system(),
            turn: 1 + messages.iter().filter(|message| message.role == Role::Assistant).count(),
        }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{{user}}", &self.user).replace("{{tool_result}}", &self.tool_result)
    }
}

fn result(part: &Part) -> Option<(&str, &str)> {
    match part {
        Part::ToolResult { id, content, .. } => Some((id, content)),
        _ => None,
    }
}

impl When {
    fn fits(&self, facts: &Facts) -> bool {
        let within = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
        };
        within(&self.user, &facts.user)
            && within(&self.tool_result, &facts.tool_result)
            && within(&self.system, &facts.system)
            && self.tool.as_ref().is_none_or(|tool| *tool == facts.tool)
            && self.turn.is_none_or(|turn| turn == facts.turn)
    }
}

impl Rule {
    /// The rule that says once what a model has said.
    pub fn saying(reply: &Reply) -> Self {
        let call = |call: &ToolCall| Call {
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            id: Some(call.id.clone()),
        };
        let usual = if reply.calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        Self {
            once: true,
            text: reply.text.clone(),
            tool_calls: reply.calls.iter().map(call).collect(),
            finish: Some(reply.finish).filter(|finish| *finish != usual),
            input_tokens: Some(reply.usage.input_tokens),
            output_tokens: Some(reply.usage.output_tokens),
            ..Self::default()
        }
    }

    /// The rule that fails once as a model has failed.
    pub fn failing(error: &Error) -> Self {
        let error = match error {
            Error::RateLimited(wait) => {
                let ms = wait.unwrap_or_default().as_millis();
                Failure::RateLimited(u64::try_from(ms).unwrap_or(u64::MAX))
            }
            Error::Invalid(why) => Failure::Invalid(why.clone()),
            Error::Refused(why) | Error::Provider(why) => Failure::Provider(why.clone()),
            Error::Timeout => Failure::Timeout,
        };
        Self { once: true, error: Some(error), ..Self::default() }
    }
}

impl Script {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let said = rules.iter().map(|_| AtomicBool::new(false)).collect();
        Self { rules, said }
    }

    /// Reads a script. The text of the error names the place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let written: Written = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
        Ok(Self::new(written.rules))
    }

    /// What it answers, and after how many milliseconds.
    pub(super) fn answer(&self, request: &Request) -> Result<(Reply, u64), (Error, u64)> {
        let facts = Facts::of(request);
        let mut rules = self.rules.iter().zip(&self.said);
        let fits = |(rule, said): &(&Rule, &AtomicBool)| {
            rule.when.fits(&facts) && !(rule.once && said.swap(true, Ordering::Relaxed))
        };
        let Some((rule, _)) = rules.find(fits) else {
            let last = if facts.tool.is_empty() { "the user's text" } else { "the result of a tool" };
            let why = format!("no rule of the script is for turn {}, which follows {last}", facts.turn);
            return Err((Error::Invalid(why), 0));
        };
        if let Some(error) = &rule.error {
            return Err((error.clone().into(), rule.delay_ms));
        }
        let calls = rule.tool_calls.iter().enumerate().map(|(n, call)| ToolCall {
            id: call.id.clone().unwrap_or_else(|| format!("call_{}_{}", facts.turn, n + 1)),
            name: call.name.clone(),
            arguments: if call.arguments.is_null() { json!({}) } else { call.arguments.clone() },
        });
        let calls: Vec<_> = calls.collect();
        let mut reply = reply(request, facts.fill(&rule.text), calls);
        reply.finish = rule.finish.unwrap_or(reply.finish);
        reply.usage.input_tokens = rule.input_tokens.unwrap_or(reply.usage.input_tokens);
        reply.usage.output_tokens = rule.output_tokens.unwrap_or(reply.usage.output_tokens);
        Ok((reply, rule.delay_ms))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::RateLimited(ms) => Self::RateLimited(Some(std::time::Duration::from_millis(ms))),
            Failure::Invalid(why) => Self::Invalid(why),
            Failure::Provider(why) => Self::Provider(why),
            Failure::Timeout => Self::Timeout,
        }
    }
}

/// What the user said, or a tool after that; no more than the tokens of a reply.
pub(super) fn echo(request: &Request, max_tokens: u32) -> Reply {
    let facts = Facts::of(request);
    let mut text = if facts.tool_result.is_empty() { facts.user } else { facts.tool_result };
    let end = text.floor_char_boundary(usize::try_from(max_tokens).unwrap_or(usize::MAX).saturating_mul(3));
    let cut = end < text.len();
    text.truncate(end);
    let reply = reply(request, text, Vec::new());
    Reply { finish: if cut { Finish::Length } else { reply.finish }, ..reply }
}

fn reply(request: &Request, text: String, calls: Vec<ToolCall>) -> Reply {
    let bytes = text.len() + calls.iter().map(|call| call.name.len() + call.arguments.to_string().len()).sum::<usize>();
    let tokens = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    let usage =
        Usage { input_tokens: tokens(request.tokens()), output_tokens: tokens(text_tokens(bytes)), cached_tokens: 0 };
    let finish = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
    Reply { model: "mock".to_owned(), text, calls, finish, usage }
}

/// A vector of length one for a text: the same for the same text, and for no other one.
pub(super) fn embed(text: &str) -> Vec<f32> {
    let digest = Sha256::digest(text);
    let numbers: Vec<_> = digest[..DIMENSIONS].iter().map(|byte| f32::from(*byte) - 127.5).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

/// A call as it was recorded, in a file named by the hash of its request.
#[derive(Serialize, Deserialize)]
struct Recorded<Q, A> {
    request: Q,
    reply: A,
}

/// What was recorded, in a folder.
#[derive(Debug, Clone)]
pub(super) struct Tape(pub(super) PathBuf);

impl Tape {
    /// Keeps a reply; one that was kept for the same request before is replaced.
    pub(super) async fn keep(&self, hash: &str, request: &impl Serialize, reply: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(&Recorded { request, reply });
        let text = text.map_err(|error| Error::Provider(error.to_string()))?;
        let (path, unfinished) = (self.path(hash), self.0.join(format!("{hash}.{:x}", rand::random::<u64>())));
        let written = async {
            tokio::fs::create_dir_all(&self.0).await?;
            tokio::fs::write(&unfinished, text + "\n").await?;
            tokio::fs::rename(&unfinished, &path).await
        };
        written.await.map_err(|error| Error::Provider(format!("the call cannot be recorded: {error}")))
    }

    /// The reply to a request.
    pub(super) async fn find<A: for<'a> Deserialize<'a>>(&self, hash: &str) -> Result<A, Error> {
        let path = self.path(hash);
        let text = tokio::fs::read_to_string(&path).await;
        let text =
            text.map_err(|_| Error::Invalid(format!("this request was never recorded: there is no {hash}.json")))?;
        let recorded: Recorded<Value, A> = serde_json::from_str(&text)
            .map_err(|error| Error::Provider(format!("{hash}.json is not a recorded call: {error}")))?;
        Ok(recorded.reply)
    }

    fn path(&self, hash: &str) -> PathBuf {
        Path::new(&self.0).join(format!("{hash}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, part: Part) -> Message {
        Message { role, parts: vec![part] }
    }

    fn text(role: Role, text: &str) -> Message {
        message(role, Part::Text(text.to_owned()))
    }

    #[test]
    fn the_first_rule_that_fits_answers() {
        let script = Script::parse(
            r#"{"rules": [
                {"when": {"tool": "find", "tool_result": "none"}, "text": "There is none."},
                {"when": {"tool": "find"}, "text": "It is {{tool_result}}.", "input_tokens": 7, "output_tokens": 9},
                {"when": {"user": "WHERE", "turn": 1}, "tool_calls": [{"name": "find", "arguments": {"id": 1}}]},
                {"when": {"user": "slow"}, "error": {"rate_limited": 40}, "delay_ms": 3}
            ]}"#,
        )
        .unwrap();
        let mut messages = vec![text(Role::System, "Help."), text(Role::User, "Where is it?")];
        let request = |messages: &[Message]| Request { messages: messages.to_vec(), ..Request::default() };
        let (first, _) = script.answer(&request(&messages)).unwrap();
        assert_eq!((first.calls[0].id.as_str(), first.finish), ("call_1_1", Finish::ToolCalls));
        messages.push(message(Role::Assistant, Part::ToolCall(first.calls[0].clone())));
        let result = |content: &str| {
            message(Role::Tool, Part::ToolResult { id: "call_1_1".into(), content: content.into(), is_error: false })
        };
        let (second, _) = script.answer(&request(&[&messages[..], &[result("in Rome")]].concat())).unwrap();
        assert_eq!((second.text.as_str(), second.usage.input_tokens), ("It is in Rome.", 7));
        let (none, _) = script.answer(&request(&[&messages[..], &[result("none")]].concat())).unwrap();
        assert_eq!(none.text, "There is none.");
        let slow = script.answer(&request(&[text(Role::User, "slow")]));
        assert!(matches!(slow, Err((Error::RateLimited(Some(_)), 3))));
        let unknown = script.answer(&request(&[text(Role::User, "who?")]));
        assert!(matches!(unknown, Err((Error::Invalid(why), 0)) if why.contains("turn 1")));
    }

    #[test]
    fn what_a_model_said_is_said_again_once_and_in_order() {
        let call = ToolCall { id: "toolu_1".into(), name: "find".into(), arguments: json!({"id": 1}) };
        let request = Request { messages: vec![text(Role::User, "hello")], ..Request::default() };
        let replies = [reply(&request, String::new(), vec![call]), reply(&request, "There.".to_owned(), Vec::new())];
        let mut rules = replies.iter().map(Rule::saying).collect::<Vec<_>>();
        rules.push(Rule::failing(&Error::Refused("no such model".to_owned())));
        let rules = serde_json::to_value(&rules).unwrap();
        assert_eq!(rules[2], json!({"once": true, "error": {"provider": "no such model"}}));
        let script = Script::new(serde_json::from_value(rules).unwrap());
        for expected in replies {
            assert_eq!(script.answer(&request).unwrap().0, expected);
        }
        assert!(matches!(script.answer(&request), Err((Error::Provider(_), 0))));
        assert!(matches!(script.answer(&request), Err((Error::Invalid(_), 0))), "all was said");
    }

    #[test]
    fn a_wrong_script_is_told_with_its_place() {
        let error = Script::parse(r#"{"rules": [{"text": "a"}, {"when": {"usr": "x"}}]}"#).err().unwrap();
        assert!(error.contains("rules[1].when") && error.contains("usr"), "{error}");
    }

    #[test]
    fn an_echo_keeps_to_the_tokens_of_a_reply() {
        let request = Request { messages: vec![text(Role::User, "äääääää")], ..Request::default() };
        assert_eq!(echo(&request, 100).text, "äääääää");
        let short = echo(&request, 1);
        assert_eq!((short.text.as_str(), short.finish, short.usage.output_tokens), ("ä", Finish::Length, 1));
    }

    #[test]
    fn vectors_differ_and_have_length_one() {
        let one = embed("one");
        assert_eq!(one, embed("one"));
        assert_ne!(one, embed("two"));
        assert!((one.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[tokio::test]
    async fn what_was_recorded_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let tape = Tape(folder.path().join("tape"));
        let request = Request { messages: vec![text(Role::User, "hello")], ..Request::default() };
        tape.keep(&request.hash(), &request, &echo(&request, 9)).await.unwrap();
        assert_eq!(tape.find::<Reply>(&request.hash()).await.unwrap(), echo(&request, 9));
        let other = Request { seed: Some(1), ..request };
        assert!(matches!(tape.find::<Reply>(&other.hash()).await, Err(Error::Invalid(_))));
    }
}
