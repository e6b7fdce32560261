//! Panics with the trigger's message.

use flowgate::{Result, Trigger};

fn handle(trigger: Trigger) -> Result {
    panic!("{}", trigger.message.as_deref().unwrap_or("no message"))
}

flowgate::flow!(handle);
