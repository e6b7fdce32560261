//! A component that exports the right interface with the wrong types: its trigger has another number where the text of the
//! contract stands, and its reply lacks `raw`.
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
