//! Calls itself until the stack is used up.

use std::hint::black_box;

use flowgate::{Result, Trigger};

fn handle(_: Trigger) -> Result<String> {
    Ok(deeper(black_box(1)).to_string())
}

/// Works after the call returns, so that the compiler cannot make a loop of it.
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    match depth {
        0 => 0,
        _ => deeper(frame[0] + 1) + black_box(frame)[15],
    }
}

flowgate::flow!(handle);
