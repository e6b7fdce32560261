//! A support bot that keeps a conversation: answers what it knows, collects order number, e-mail and problem over several
//! turns, opens a case when it has all three, and hands over to a person when it does not understand.

mod extract;
mod knowledge;

use flowgate::{Reply, Result, Trigger, log, session};
use serde::{Deserialize, Serialize};

use crate::knowledge::Match;

/// After so many messages in a row that it did not understand, the bot offers a person.
const MISSES_MAX: u32 = 2;

/// What the session remembers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Facts {
    order: Option<String>,
    email: Option<String>,
    problem: Option<String>,
    /// The article that the collected facts are for.
    topic: Option<String>,
    case: Option<String>,
    misses: u32,
}

/// The data of each reply.
#[derive(Debug, Serialize)]
struct Status {
    intent: Option<&'static str>,
    confidence: f64,
    facts: Facts,
    missing: Vec<&'static str>,
    handover: bool,
}

struct Answer {
    text: String,
    handover: bool,
}

impl Answer {
    fn says(text: impl Into<String>) -> Self {
        Self { text: text.into(), handover: false }
    }

    fn hands_over(text: impl Into<String>) -> Self {
        Self { text: text.into(), handover: true }
    }
}

fn handle(trigger: Trigger) -> Result {
    let message = trigger.message()?.trim();
    let found = knowledge::best(message);
    let (answer, facts) = session::update("facts", |facts: &mut Facts| {
        let answer = turn(message, found.as_ref(), facts, &trigger.execution_id);
        Ok((answer, facts.clone()))
    })?;
    log::info!("intent {:?}, case {:?}", found.as_ref().map(|found| found.article.id), facts.case);
    let status = Status {
        intent: found.as_ref().map(|found| found.article.id),
        confidence: found.as_ref().map_or(0.0, |found| found.confidence),
        missing: if facts.topic.is_some() { missing(&facts) } else { Vec::new() },
        facts,
        handover: answer.handover,
    };
    Ok(Reply::json(&status)?.with_text(answer.text))
}

/// One turn of the conversation: takes what the message tells into `facts` and says what to answer.
fn turn(message: &str, found: Option<&Match>, facts: &mut Facts, execution: &str) -> Answer {
    let lower = message.to_lowercase();
    if ["start over", "new question", "forget it"].iter().any(|phrase| lower.contains(phrase)) {
        *facts = Facts::default();
        return Answer::says("All right, from the beginning. What can I do for you?");
    }
    if ["human", "agent", "real person", "representative"].iter().any(|word| lower.contains(word)) {
        return Answer::hands_over(handover(facts));
    }
    let learned = learn(message, facts);
    match found {
        Some(found) if found.article.needs_case => {
            facts.misses = 0;
            facts.topic = Some(found.article.id.to_owned());
            facts.problem.get_or_insert_with(|| message.to_owned());
            ask(facts, Some(found.article.answer), execution)
        }
        Some(found) => {
            facts.misses = 0;
            Answer::says(found.article.answer)
        }
        None if learned || facts.topic.is_some() && facts.problem.is_none() => {
            facts.misses = 0;
            if facts.topic.is_some() {
                facts.problem.get_or_insert_with(|| message.to_owned());
            }
            ask(facts, None, execution)
        }
        None => {
            facts.misses += 1;
            match facts.misses >= MISSES_MAX {
                true => Answer::hands_over(handover(facts)),
                false => Answer::says(format!("I did not understand that. I know about {}.", knowledge::topics())),
            }
        }
    }
}

/// Whether the message told an order number or an e-mail address.
fn learn(message: &str, facts: &mut Facts) -> bool {
    let (order, email) = (extract::order(message), extract::email(message));
    let learned = order.is_some() || email.is_some();
    facts.order = order.or(facts.order.take());
    facts.email = email.or(facts.email.take());
    learned
}

fn missing(facts: &Facts) -> Vec<&'static str> {
    let fields = [("order", &facts.order), ("email", &facts.email), ("problem", &facts.problem)];
    fields.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect()
}

/// Asks for the first thing that is missing, or opens the case.
fn ask(facts: &mut Facts, advice: Option<&str>, execution: &str) -> Answer {
    let advice = advice.map_or_else(String::new, |advice| format!("{advice} "));
    let order = facts.order.as_deref().unwrap_or_default();
    let question = match missing(facts).first() {
        Some(&"order") => "What is your order number?".to_owned(),
        Some(&"email") => format!("Which e-mail address did you use for order {order}?"),
        Some(_) => format!("What is the matter with order {order}?"),
        None => return open(facts, execution),
    };
    Answer::says(format!("{advice}{question}"))
}

fn open(facts: &mut Facts, execution: &str) -> Answer {
    let case = facts.case.get_or_insert_with(|| {
        let tail: String = execution.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("CASE-{}", tail[tail.len().saturating_sub(8)..].to_uppercase())
    });
    let (order, email) = (facts.order.as_deref().unwrap_or_default(), facts.email.as_deref().unwrap_or_default());
    let problem = facts.problem.as_deref().unwrap_or_default();
    Answer::says(format!(
        "I opened {case} for order {order}: \"{problem}\". You will hear from us at {email} within one working day."
    ))
}

fn handover(facts: &Facts) -> String {
    let known: Vec<_> = [("order", &facts.order), ("e-mail", &facts.email), ("problem", &facts.problem)]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")))
        .collect();
    match known.is_empty() {
        true => "I am passing you on to a colleague.".to_owned(),
        false => format!("I am passing you on to a colleague, who already knows: {}.", known.join(", ")),
    }
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::testing;

    use super::*;

    fn say(message: &str) -> (String, serde_json::Value) {
        let trigger = testing::trigger().with_session("s").with_message(message);
        let reply = testing::run(handle, trigger).unwrap();
        (reply.text.unwrap(), serde_json::from_str(&reply.data.unwrap()).unwrap())
    }

    #[test]
    fn a_case_is_collected_over_several_turns() {
        assert!(say("Hi, my parcel arrived damaged").0.ends_with("What is your order number?"));
        assert!(say("it is #48213").0.contains("e-mail address did you use for order 48213"));
        let (text, data) = say("ada@example.com");
        assert!(text.contains("CASE-") && text.contains("\"Hi, my parcel arrived damaged\""), "{text}");
        assert_eq!(data["missing"], serde_json::json!([]));
        assert_eq!(data["facts"]["email"], "ada@example.com");
    }

    #[test]
    fn a_question_is_answered_without_a_case() {
        let (text, data) = say("What are your opening hours?");
        assert!(text.contains("Monday"));
        assert_eq!((data["intent"].as_str(), data["handover"].as_bool()), (Some("opening_hours"), Some(false)));
    }

    #[test]
    fn facts_told_early_are_not_asked_for_again() {
        let (text, _) = say("I want a refund for order A-7731, my address is bob@example.org");
        assert!(text.contains("I opened CASE-") && text.contains("A-7731"), "{text}");
    }

    #[test]
    fn two_misses_bring_a_person() {
        assert_eq!(say("lorem ipsum").1["handover"], false);
        assert_eq!(say("dolor sit amet").1["handover"], true);
    }

    #[test]
    fn starting_over_forgets_the_facts() {
        say("order #12345 is late");
        let (_, data) = say("start over please");
        assert_eq!(data["facts"]["order"], serde_json::Value::Null);
    }

    #[test]
    fn the_saved_request_is_understood() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        assert!(reply.text.unwrap().contains("order 48213"));
    }
}
