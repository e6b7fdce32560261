//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// A cargo command in a folder of the repository.
pub(crate) fn cargo(folder: &str, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root().join(folder)).args(args);
    // Cargo tells its children about the package it runs; other workspaces must not hear of it.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

/// A cargo command in a workspace of guests, which keeps its own target folder.
pub(crate) fn guest_cargo(folder: &str, args: &[&str]) -> Command {
    let mut command = cargo(folder, args);
    command.env_remove("CARGO_TARGET_DIR");
    command
}

/// Shows a command, runs it, and fails if it does.
#[expect(clippy::print_stderr, reason = "a command line tool says what it does")]
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = shown.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let folder = command.get_current_dir().and_then(|folder| folder.strip_prefix(root()).ok());
    let folder = folder.map(|folder| folder.display().to_string()).filter(|folder| !folder.is_empty());
    eprintln!("\n$ {}{shown}", folder.map(|folder| format!("cd {folder} && ")).unwrap_or_default());
    let status = command.status().with_context(|| format!("`{shown}` cannot be started"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}
