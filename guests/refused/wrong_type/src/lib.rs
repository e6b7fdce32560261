//! Exports the right interface with the wrong types: the trigger has two fields only, one of them of another type, the reply
//! lacks `raw` and the failure is a string.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package flowgate:flow@0.1.0;

        interface handler {
            record trigger {
                message: option<string>,
                attempt: u64,
            }

            record reply {
                text: option<string>,
                data: option<string>,
            }

            handle: func(t: trigger) -> result<reply, string>;
        }

        world flow {
            export handler;
        }
    ",
});

use exports::flowgate::flow::handler::{Guest, Reply, Trigger};

struct Flow;

impl Guest for Flow {
    fn handle(trigger: Trigger) -> Result<Reply, String> {
        Ok(Reply { text: trigger.message, data: None })
    }
}

export!(Flow);
