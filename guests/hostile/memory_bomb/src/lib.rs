//! Takes memory, and writes to all of it, until there is no more.

use std::hint::black_box;

use flowgate::{Result, Trigger};

fn handle(_: Trigger) -> Result {
    loop {
        std::mem::forget(black_box(vec![1_u8; 1 << 20]));
    }
}

flowgate::flow!(handle);
