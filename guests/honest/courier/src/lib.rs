//! Asks a shop for an order, by its secret `KEY`, and the model `fast` for kind words; emits what it has found. `data`:
//! `{"shop": "http://…", "order": "48213"}`.

use flowgate::llm::Chat;
use flowgate::{Reply, Result, Trigger, events, http, secrets};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    shop: String,
    order: String,
}

fn handle(trigger: Trigger) -> Result {
    let Input { shop, order } = trigger.data()?;
    let answer = http::get(format!("{shop}/orders/{order}")).bearer(secrets::placeholder("KEY")?).send()?.ok()?;
    let found = answer.json::<Value>()?;
    let words = Chat::new("fast").user(format!("Say kindly: {found}")).send()?.text();
    events::emit("order.asked", &json!({ "number": order, "found": found }))?;
    Ok(Reply::json(&found)?.with_text(words))
}

flowgate::flow!(handle);
