//! Exports the asynchronous interface with wrong types: the function is not `async`, the reply's stream is one of bytes, and
//! the trigger has one field only.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package flowgate:flow@0.2.0;

        interface handler {
            record trigger {
                message: option<string>,
            }

            record reply {
                text: option<string>,
                %stream: option<stream<u8>>,
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
        Ok(Reply { text: trigger.message, stream: None })
    }
}

export!(Flow);
