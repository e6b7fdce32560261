//! Why a guest was stopped, from the error that wasmtime gives.

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::v0_1::BadReply;
use crate::capability::OutOfMemory;

use super::Stop;
use super::meter::OutOfTime;

/// Frames of the guest's call stack in a message, and bytes of one frame.
const FRAMES_MAX: usize = 8;
const FRAME_BYTES_MAX: usize = 160;

/// Bytes of a message that is not a trap's.
const MESSAGE_BYTES_MAX: usize = 500;

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        if error.is::<OutOfMemory>() {
            return Self::OutOfMemory;
        }
        if error.is::<OutOfTime>() {
            return Self::CpuBudget;
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Self::OverLimit("the guest holds more resources than it may".to_owned());
        }
        if let Some(I32Exit(status)) = error.downcast_ref() {
            return Self::Trap(format!("the guest called exit({status})"));
        }
        let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::Trap(format!("{trap}{frames}")),
            None => Self::Trap(format!("{}{frames}", short(error.root_cause().to_string(), MESSAGE_BYTES_MAX))),
        }
    }
}

impl From<BadReply> for Stop {
    fn from(bad: BadReply) -> Self {
        Self::OverLimit(bad.to_string())
    }
}

/// The guest's call stack by function names. Addresses and paths of source files say nothing to the reader of a log, and the
/// paths are those of somebody's machine.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    let names = text.lines().filter_map(|line| line.split_once(" - ").map(|(_, name)| name.trim()));
    let names: Vec<_> = names.take(FRAMES_MAX).map(|name| short(name.to_owned(), FRAME_BYTES_MAX)).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

fn short(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
