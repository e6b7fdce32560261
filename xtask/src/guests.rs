//! Building guests, examples and templates, with whatever that needs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::languages;
use crate::run::{cargo, guest_cargo, root, run};

/// The last release of cargo component; it is no longer developed, and authors still use it.
const CARGO_COMPONENT: &str = "0.21.1";

const TARGET: &str = "wasm32-wasip2";
const RELEASE: &[&str] = &["build", "--release", "--locked", "--target", TARGET];

/// Builds all of them.
pub(crate) fn build() -> Result<()> {
    target()?;
    for folder in ["guests", "examples"] {
        run(guest_cargo(folder, RELEASE))?;
    }
    let component = cargo_component()?;
    let mut build = Command::new(component);
    build.current_dir(root().join("guests/templates/cargo-component")).args(["component"]).args(RELEASE);
    build.env_remove("CARGO_TARGET_DIR");
    run(build)?;
    foreign()?;
    languages::build()
}

/// Builds a component that was not written for this host: an example of the crate `wasip2`, unchanged, where cargo keeps it.
fn foreign() -> Result<()> {
    let mut metadata = cargo("guests/foreign", &["metadata", "--locked", "--format-version", "1"]);
    let metadata = metadata.output().context("`cargo metadata` cannot be started")?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).context("`cargo metadata` failed")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found = packages.iter().find(|package| package["name"] == "wasip2").context("no package `wasip2`")?;
    let manifest = found["manifest_path"].as_str().context("no manifest")?;
    let mut build = guest_cargo("guests/foreign", RELEASE);
    build.args(["--manifest-path", manifest, "--example", "http-proxy", "--target-dir"]);
    build.arg(root().join("target/foreign"));
    run(build)
}

/// Builds the examples only.
pub(crate) fn examples() -> Result<()> {
    target()?;
    run(guest_cargo("examples", RELEASE))?;
    languages::examples()
}

/// Installs the target where rustup has not.
fn target() -> Result<()> {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).current_dir(root()).output();
    let installed = installed.context("`rustup` cannot be started")?;
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line.trim() == TARGET) {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]).current_dir(root());
    run(add)
}

/// The program `cargo-component`: the one on the path if it is the right release, else one that is built into the target
/// folder once.
fn cargo_component() -> Result<PathBuf> {
    if is_right("cargo-component".into()) {
        return Ok("cargo-component".into());
    }
    let tools = root().join("target/tools");
    let program = tools.join("bin/cargo-component");
    if !is_right(program.clone()) {
        let mut install =
            cargo(".", &["install", "--locked", "--version", CARGO_COMPONENT, "cargo-component", "--root"]);
        install.arg(&tools).env("CARGO_TARGET_DIR", tools.join("build"));
        run(install)?;
    }
    Ok(program)
}

fn is_right(program: PathBuf) -> bool {
    let version = Command::new(program).args(["component", "--version"]).stderr(Stdio::null()).output();
    version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(CARGO_COMPONENT))
}
