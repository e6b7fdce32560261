//! Names what it does: spans within spans, one that fails, and one that is left open. `data`: `{"many": 0}` opens as many more.

use flowgate::{Reply, Result, Trigger, session, spans};
use serde::Deserialize;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    many: u32,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let turn = spans::open("turn");
    turn.set("user", &trigger.user_id.clone().unwrap_or_default());
    let visits = spans::within("remember", || {
        session::update("visits", |visits: &mut u32| {
            *visits += 1;
            Ok(*visits)
        })
    })?;
    spans::open("lookup").fail("nothing found");
    turn.end();
    for n in 0..input.many {
        spans::open(&format!("step {n}")).end();
    }
    // Not dropped, so that it is still open when the flow has ended.
    std::mem::forget(spans::open("left open"));
    Ok(Reply::text(format!("visit {visits}")))
}

flowgate::flow!(handle);
