//! Writes to stderr without measure, then replies. `data`: `{"bytes": 67108864, "newlines": true}`; without newlines it is
//! all one line.

use std::io::{self, Write};

use flowgate::{Result, Trigger};
use serde::Deserialize;

const CHUNK_BYTES: usize = 4096;

#[derive(Deserialize)]
#[serde(default)]
struct Input {
    bytes: usize,
    newlines: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { bytes: 64 << 20, newlines: true }
    }
}

fn handle(trigger: Trigger) -> Result<String> {
    let input: Input = trigger.data()?;
    let mut chunk = [b'x'; CHUNK_BYTES];
    if input.newlines {
        chunk.iter_mut().skip(99).step_by(100).for_each(|byte| *byte = b'\n');
    }
    let mut written = 0;
    while written < input.bytes && io::stderr().write_all(&chunk).is_ok() {
        written += CHUNK_BYTES;
    }
    Ok(format!("wrote {written}"))
}

flowgate::flow!(handle);
