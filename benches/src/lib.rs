//! Measures Flowgate from outside: as the built program, over HTTP, beside a bare server that does only what no server can
//! leave out.
//!
//! `docs/benchmarks/README.md` says what is measured and how to run it, `cargo xtask abuse` writes what its enemies get.

pub mod abuse;

pub mod arrivals;
pub mod awake;

pub mod bench;

pub mod case;

pub mod errand;

pub mod house;

pub mod load;

pub mod machine;

pub mod many;

pub mod overload;

pub mod process;

pub mod report;

pub mod sample;

pub mod wire;
