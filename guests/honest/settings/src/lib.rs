//! Reads its configuration. `data`: `{"keys": ["greeting"], "require": "greeting"}`.

use std::collections::BTreeMap;

use flowgate::{Reply, Result, Trigger, config};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    keys: Vec<String>,
    require: Option<String>,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let mut values = BTreeMap::new();
    for key in input.keys {
        let value = config::get(&key)?;
        values.insert(key, value);
    }
    let reply = Reply::json(&values)?;
    Ok(match input.require {
        Some(key) => reply.with_text(config::require(&key)?),
        None => reply,
    })
}

flowgate::flow!(handle);
