//! Counts for ever, without a call to the host.

use std::hint::black_box;

use flowgate::{Result, Trigger};

fn handle(_: Trigger) -> Result {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

flowgate::flow!(handle);
