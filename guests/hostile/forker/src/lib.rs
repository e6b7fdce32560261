//! Starts itself again and again, and so does everyone that it starts, as long as the host lets it.

use flowgate::{Reply, Result, Trigger, flows};
use serde_json::json;

fn handle(trigger: Trigger) -> Result {
    let own = flows::Call::to(&trigger.flow);
    let mut started = 0_u64;
    loop {
        match own.start() {
            Ok(_) => started += 1,
            Err(why) => return Reply::json(&json!({ "started": started, "why": why.to_string() })),
        }
    }
}

flowgate::flow!(handle);
