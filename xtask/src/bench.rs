//! `cargo xtask bench` and `cargo xtask abuse`: everything built for release, then the program that measures.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::guests;
use crate::run::{cargo, root, run};

/// The release of wasmtime that the host has in it, for the comparison with `wasmtime serve`.
const WASMTIME: &str = "48.0.8";

/// Compares Flowgate with a bare server and with wasmtime, and writes `docs/benchmarks/latest.*`.
pub(crate) fn measure(args: &[&str]) -> Result<()> {
    guests::build()?;
    wasmtime()?;
    measured_by("bench", args)
}

/// Lets hostile guests, clients and uploads loose on a server, and writes `docs/abuse.*`.
pub(crate) fn abuse(args: &[&str]) -> Result<()> {
    guests::build()?;
    measured_by("abuse", args)
}

fn measured_by(program: &str, args: &[&str]) -> Result<()> {
    run(cargo(".", &["build", "--release", "--locked", "-p", "flowgate", "-p", "flowgate-benches"]))?;
    let mut measure = Command::new(root().join("target/release").join(program));
    measure.current_dir(root()).arg("--write").args(args);
    run(measure)
}

/// The program `wasmtime`, built into the target folder once.
fn wasmtime() -> Result<()> {
    let tools = root().join("target/tools/wasmtime");
    if is_right(tools.join("bin/wasmtime")) {
        return Ok(());
    }
    let features = "run,serve,component-model-async,cranelift,pooling-allocator,parallel-compilation";
    let install = ["install", "--locked", "wasmtime-cli", "--version", WASMTIME, "--no-default-features", "--features"];
    let mut install = cargo(".", &install);
    install.args([features, "--root"]).arg(&tools).env("CARGO_TARGET_DIR", tools.join("build"));
    run(install)
}

fn is_right(program: PathBuf) -> bool {
    let version = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(WASMTIME))
}
