//! A flow that wants two things which no host offers: an interface of its own making, and a version of `output` that does not
//! exist.
#![cfg(target_family = "wasm")]

use ::flowgate::{Result, Trigger};

wit_bindgen::generate!({
    inline: "
        package flowgate:guests;

        world unknown-import {
            import example:billing/invoices@1.0.0;
            import flowgate:flow/output@9.0.0;
        }

        package example:billing@1.0.0 {
            interface invoices {
                count: func(customer: string) -> u32;
            }
        }

        package flowgate:flow@9.0.0 {
            interface output {
                say: func(text: string);
            }
        }
    ",
    generate_all,
});

fn handle(trigger: Trigger) -> Result<String> {
    let count = example::billing::invoices::count(trigger.message()?);
    flowgate::flow::output::say("counted");
    Ok(format!("{count} invoices"))
}

::flowgate::flow!(handle);
