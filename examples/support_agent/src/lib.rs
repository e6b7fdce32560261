//! A support agent: a language model that looks orders up and opens cases, and remembers the conversation.
//!
//! The model is the one behind the alias in the flow's configuration value `model`, `mock` unless set.

use flowgate::llm::Message;
use flowgate::{Agent, Failure, Reply, Result, Trigger, config, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const INSTRUCTIONS: &str = "You answer customers of a shop for lamps and chairs, kindly and in few words. Look an order up \
                            before you say anything about it. Open a case for whatever a person must do. Never invent \
                            numbers or dates.";

/// The shop's orders, which a real flow would ask for over HTTP.
const ORDERS: &[(&str, &str)] = &[
    ("48213", "lamp, 49.90 EUR, delivered on 2026-11-18"),
    ("48214", "chair, 129.00 EUR, leaves the warehouse on 2026-11-25"),
];

/// Tells what is known of an order: what it is, what it cost, and where it is.
#[derive(Deserialize, JsonSchema)]
struct FindOrder {
    /// The order's number, five digits.
    number: String,
}

/// Opens a case for the shop's staff and returns its number.
#[derive(Deserialize, JsonSchema)]
struct OpenCase {
    /// The number of the order that it is about.
    order: String,
    wish: Wish,
}

/// What the customer wants.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wish {
    Replacement,
    Refund,
    Other,
}

/// The data of each reply.
#[derive(Debug, Serialize)]
struct Told {
    /// How often the model was asked.
    steps: u32,
    /// What was said in this turn, with all calls of tools.
    transcript: Vec<Message>,
}

fn find_order(wanted: FindOrder) -> Result<&'static str> {
    let found = ORDERS.iter().find(|(number, _)| *number == wanted.number);
    found.map(|(_, order)| *order).ok_or_else(|| Failure::failed(format!("there is no order {}", wanted.number)))
}

fn open_case(case: OpenCase) -> Result<String> {
    let number = format!("CASE-{}", case.order);
    events::emit("case.opened", &json!({ "case": number, "order": case.order, "wish": case.wish }))?;
    Ok(number)
}

fn handle(trigger: Trigger) -> Result {
    let model = config::get("model")?.unwrap_or_else(|| "mock".to_owned());
    let agent = Agent::new(model)
        .system(INSTRUCTIONS)
        .tool("find_order", find_order)
        .tool("open_case", open_case)
        .max_tokens(400)
        .steps_max(6)
        .forward();
    let run = agent.run(&trigger)?;
    Ok(Reply::json(&Told { steps: run.steps, transcript: run.messages })?.with_text(run.text))
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::llm::Reply as Said;
    use flowgate::testing::{self, Output};
    use serde_json::Value;

    use super::*;

    fn ask(message: &str) -> (String, Value) {
        let reply = testing::run(handle, testing::trigger().with_session("s").with_message(message)).unwrap();
        (reply.text.unwrap(), serde_json::from_str(&reply.data.unwrap()).unwrap())
    }

    #[test]
    fn an_order_is_looked_up_and_a_case_opened() {
        testing::set_replies(
            "mock",
            [
                Said::calls("find_order", json!({ "number": "48213" })),
                Said::calls("open_case", json!({ "order": "48213", "wish": "refund" })),
                Said::says("You get your money back."),
            ],
        );
        let (text, data) = ask("My lamp is broken.");
        assert_eq!((text.as_str(), &data["steps"]), ("You get your money back.", &json!(3)));
        assert_eq!(data["transcript"][2]["parts"][0]["tool_result"]["content"], ORDERS[0].1);
        let emitted = testing::take_outputs().into_iter().find_map(|output| match output {
            Output::Emitted { name, data } => Some((name, data)),
            _ => None,
        });
        let (name, data) = emitted.unwrap();
        assert_eq!(name, "case.opened");
        assert!(data.contains(r#""wish":"refund""#), "{data}");
    }

    #[test]
    fn an_order_that_is_not_there_is_told_to_the_model() {
        testing::set_replies("mock", [Said::calls("find_order", json!({ "number": "1" })), Said::says("Sorry?")]);
        let result = ask("Where is order 1?").1["transcript"][2]["parts"][0]["tool_result"].take();
        assert_eq!(result, json!({ "id": "call_find_order", "content": "there is no order 1", "is_error": true }));
    }

    #[test]
    fn another_model_is_a_matter_of_configuration() {
        testing::set_config("model", "fast");
        testing::set_replies("fast", [Said::says("Hello.")]);
        assert_eq!(ask("Hello?").0, "Hello.");
    }
}
