//! Hostile uploads, by somebody who has a key for them.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use bytes::Bytes;

use super::exchange::{crowd, exchange};
use super::{Enemy, Means, Tally, Target, guests};
use crate::many::marked;

/// Functions of the component that is hard to compile, and the rounds of arithmetic in each.
const FUNCTIONS: usize = 400;
const ROUNDS: usize = 2_000;

/// The largest upload that is not refused for its size alone.
const JUNK_BYTES: usize = 64 << 20;

/// Bytes by which a component begins: the magic number, version 13, layer 1.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// Components that keep a compiler busy.
    CompileBomb,
    /// What is no component, 64 MiB of it.
    Junk,
    /// Components that are all right, from many clients at once, each of them another.
    Many,
}

/// The uploads that mean harm.
pub fn enemies() -> Vec<Enemy> {
    let enemy = |name, what, upload| Enemy { name, what, environment: &[], means: Means::Upload(upload) };
    vec![
        enemy("compile_bomb", "uploads components of 800,000 rounds of arithmetic, 4 at once", Upload::CompileBomb),
        enemy("junk_64m", "uploads 64 MiB that begin like a component, 8 at once", Upload::Junk),
        enemy("many_uploads", "uploads components that are all right, each another, 32 at once", Upload::Many),
    ]
}

impl Upload {
    pub(super) async fn attack(self, target: Target) -> Result<Tally> {
        let (clients, bytes): (_, Bytes) = match self {
            Self::CompileBomb => (4, wat::parse_str(compile_bomb(&guests::table_bomb()?))?.into()),
            Self::Junk => (8, junk().into()),
            Self::Many => (32, fs::read(target.guests.join("echo.wasm"))?.into()),
        };
        let until = target.until;
        let once = move |client, round| {
            let (target, bytes) = (target.clone(), bytes.clone());
            async move {
                let component = match self {
                    Self::Junk => bytes,
                    Self::CompileBomb | Self::Many => marked(&bytes, &format!("{client}-{round}")).into(),
                };
                let request = target.api.request("POST", "/v1/flows/hostile/versions", "application/wasm", &component);
                exchange(target.address, &request, target.until).await
            }
        };
        crowd(clients, until, once).await
    }
}

fn junk() -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = COMPONENT.to_vec();
    bytes.extend((COMPONENT.len()..JUNK_BYTES).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes
}

/// A flow with functions that are long and depend on every step before.
fn compile_bomb(flow: &str) -> String {
    let mut functions = String::new();
    for function in 0..FUNCTIONS {
        functions.push_str("(func (param i64) (result i64) (local i64 i64 i64) local.get 0 ");
        for round in 0..ROUNDS {
            let (one, other) = (1 + round % 3, 1 + (round + 1) % 3);
            let _ = write!(
                functions,
                "i64.const {} i64.mul local.tee {one} local.get {other} i64.xor i64.popcnt local.get {one} i64.add ",
                function * ROUNDS + round,
            );
        }
        functions.push_str(")\n");
    }
    flow.replacen("unreachable))", &format!("unreachable)\n{functions})"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compile_bomb_has_its_functions_in_the_module() {
        assert!(compile_bomb("(func unreachable))").ends_with(")\n)"));
    }
}
