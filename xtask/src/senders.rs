//! Programs of others that the tests let loose on a server: what senders sign with, from PyPI and from npm.
//!
//! They lie in the target folder, not in the sources. What is installed is written down beside it once all of it is, so
//! that it is installed again when the pins have changed, and only then.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::run::{root, run};

/// Says by its exit code whether it is recent and whole.
const PYTHON_FITS: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
const NODE_FITS: &str = "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)";

/// Installs what is pinned in `tests/senders`.
pub(crate) fn install() -> Result<()> {
    python(&root().join("tests/senders/python"), &root().join("target/senders/python"))?;
    node(&root().join("tests/senders/node"), &root().join("target/senders/node"))
}

/// Makes a Python environment of the `requirements.txt` in a folder.
pub(crate) fn python(from: &Path, to: &Path) -> Result<()> {
    let pins = from.join("requirements.txt");
    once(&pins, to, || {
        if !fits("python3", &["-c", PYTHON_FITS]) {
            bail!("the tests need `python3`, 3.11 or later, with its module `venv` (Debian: apt install python3-venv)");
        }
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(to);
        run(make)?;
        let mut fill = Command::new(to.join("bin/python"));
        fill.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&pins);
        run(fill)
    })
}

/// Installs the `package-lock.json` in a folder.
pub(crate) fn node(from: &Path, to: &Path) -> Result<()> {
    once(&from.join("package-lock.json"), to, || {
        if !fits("node", &["-e", NODE_FITS]) || !fits("npm", &["--version"]) {
            bail!("the tests need `node`, 20 or later, and its `npm` (nodejs.org, or the system's packages)");
        }
        std::fs::create_dir_all(to)?;
        for name in ["package.json", "package-lock.json", ".npmrc"] {
            std::fs::copy(from.join(name), to.join(name)).with_context(|| format!("{name} cannot be copied"))?;
        }
        let mut fill = Command::new("npm");
        fill.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(to);
        run(fill)
    })
}

/// Fills the folder `to` by `fill` unless it was filled by the same `pins`.
fn once(pins: &Path, to: &Path, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let pins = std::fs::read(pins).with_context(|| format!("{} cannot be read", pins.display()))?;
    let filled = to.join("installed");
    if std::fs::read(&filled).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    fill()?;
    std::fs::write(&filled, pins).with_context(|| format!("{} cannot be written", filled.display()))
}

fn fits(program: &str, args: &[&str]) -> bool {
    let quiet = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}
