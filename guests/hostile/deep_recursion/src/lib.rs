//! Calls itself until the call stack is used up.

use std::hint::black_box;

use flowgate::{Result, Trigger};

fn handle(_: Trigger) -> Result<String> {
    Ok(deeper(black_box(1)).to_string())
}

/// Works on after the call returns, so that the compiler cannot make a loop of it, and keeps nothing in linear memory, where
/// the guest's own stack would be full before the host's.
fn deeper(depth: u64) -> u64 {
    match depth {
        0 => 0,
        _ => deeper(depth.wrapping_add(1)).wrapping_mul(31) ^ depth,
    }
}

flowgate::flow!(handle);
