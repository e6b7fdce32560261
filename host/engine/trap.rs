//! Why a guest was stopped, from the error that wasmtime gives.

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::BadReply;
use crate::bindings::transform_v0_1::BadMessage;
use crate::capability::{OutOfMemory, OutOfStock};

use super::Stop;
use super::meter::OutOfTime;
use super::parts::ReplyTooLong;
use super::run::TooMuchAtOnce;

/// Frames of the guest's call stack in a message, and bytes of one frame.
const FRAMES_MAX: usize = 8;
const FRAME_BYTES_MAX: usize = 160;

/// How the names of functions start that lie between a panic and its trap.
const LIBRARIES: [&str; 6] = ["abort", "__rust", "rust_panic", "std", "core", "alloc"];

/// How wasmtime says that a host call or a result moved more bytes than `Store::set_hostcall_fuel` allows; the error's type
/// is private.
const HOSTCALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";

/// Bytes of a message that is not a trap's.
const MESSAGE_BYTES_MAX: usize = 500;

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        if error.is::<OutOfMemory>() {
            return Self::OutOfMemory;
        }
        if error.is::<OutOfStock>() {
            return Self::OutOfStock;
        }
        if error.is::<OutOfTime>() {
            return Self::CpuBudget;
        }
        if let Some(too_long) = error.downcast_ref::<ReplyTooLong>() {
            return Self::OverLimit(too_long.to_string());
        }
        if let Some(too_much) = error.downcast_ref::<TooMuchAtOnce>() {
            return Self::OverLimit(too_much.to_string());
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
        if error.root_cause().to_string().contains(HOSTCALL_FUEL) {
            return Self::OverLimit("the guest gave the host more bytes at once than it may".to_owned());
        }
        let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::Trap(format!("{}{frames}", trap.to_string().trim_start_matches("wasm trap: "))),
            None => Self::Trap(format!("{}{frames}", short(error.root_cause().to_string(), MESSAGE_BYTES_MAX))),
        }
    }
}

impl From<BadReply> for Stop {
    fn from(bad: BadReply) -> Self {
        Self::OverLimit(bad.to_string())
    }
}

impl From<BadMessage> for Stop {
    fn from(bad: BadMessage) -> Self {
        Self::OverLimit(bad.to_string())
    }
}

/// The guest's call stack by function names. Addresses and paths of source files say nothing to the reader of a log, and the
/// paths are those of somebody's machine.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    let mut names: Vec<_> = text.lines().filter_map(name).collect();
    // The way from a panic to its trap is the same in every program.
    let own = names.iter().position(|name| !LIBRARIES.iter().any(|library| name.starts_with(library)));
    names.drain(..own.unwrap_or(0));
    names.dedup();
    names.truncate(FRAMES_MAX);
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

/// The function of one line such as `0: 0x1a2b - module.wasm!crate::function::h0123456789abcdef`, if it has a name.
fn name(line: &str) -> Option<String> {
    let (_, name) = line.split_once(" - ")?;
    let name = name.split_once('!').map_or(name, |(_, name)| name).trim();
    // A program that was stripped has numbers instead, which tell nobody anything.
    if name.starts_with('<') {
        return None;
    }
    let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
    Some(short(name.to_owned(), FRAME_BYTES_MAX))
}

fn short(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_shown_by_its_function() {
        let shown = |line| name(line).unwrap();
        assert_eq!(shown("    0: 0x1a2b - bot.wasm!bot::answer::h0123456789abcdef"), "bot::answer");
        assert_eq!(name("    1:  0x2b - <unknown>!<wasm function 12>"), None);
        assert_eq!(name("                   at /build/bot.rs:3:1"), None);
    }

    #[test]
    fn typed_errors_keep_their_reason() {
        let over = wasmtime::Error::from(OutOfMemory { wanted: 2, allowed: 1 }).context("while starting");
        assert_eq!(Stop::from(over), Stop::OutOfMemory);
        let late = wasmtime::Error::from(OutOfStock { wanted: 2, stock: 1 }).context("while starting");
        assert_eq!(Stop::from(late), Stop::OutOfStock);
        assert_eq!(Stop::from(wasmtime::Error::from(Trap::StackOverflow)).reason(), "trap");
        assert_eq!(Stop::from(wasmtime::Error::from(ResourceTableError::Full)).reason(), "over_limit");
    }
}
