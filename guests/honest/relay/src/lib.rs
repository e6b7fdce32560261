//! Says the message back word by word as a reply that streams, by the SDK's asynchronous side; before it, how many messages
//! the session has, by its synchronous one.
#![cfg(target_family = "wasm")]

use std::time::Duration;

use flowgate::asynchronous::{self, Streaming};
use flowgate::{Result, Trigger, session};

async fn handle(trigger: Trigger) -> Result<Streaming> {
    let words = trigger.message()?.to_owned();
    let before = session::messages(10)?.len();
    asynchronous::say(&format!("{before} before")).await?;
    let (reply, mut parts) = asynchronous::streaming("You said: ");
    asynchronous::spawn(async move {
        for word in words.split_inclusive(' ') {
            asynchronous::sleep(Duration::from_millis(1)).await;
            parts.write(word).await;
        }
    });
    Ok(reply)
}

flowgate::flow_async!(handle);
