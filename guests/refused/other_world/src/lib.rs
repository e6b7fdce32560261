//! A good component, but of a world that has nothing to do with flows.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    inline: "
        package example:calculator@1.0.0;

        interface calculate {
            add: func(a: s32, b: s32) -> s32;
        }

        world calculator {
            export calculate;
        }
    ",
});

struct Calculator;

impl exports::example::calculator::calculate::Guest for Calculator {
    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
}

export!(Calculator);
