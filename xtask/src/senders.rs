//! Programs of others that the tests let loose on a server: what senders sign with, from PyPI and from npm; and the reference
//! registry, from Debian.
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

/// The reference registry, as a program and as a package of Debian's.
const REGISTRY: &str = "docker-registry";

/// Installs what is pinned in `tests/senders`, and the registry.
pub(crate) fn install() -> Result<()> {
    python(&root().join("tests/senders/python"), &root().join("target/senders/python"))?;
    node(&root().join("tests/senders/node"), &root().join("target/senders/node"))?;
    registry(&root().join("target/tools/registry"))
}

/// Unpacks the registry's package, unless the system has it. That takes no privileges, but for the lists of packages.
fn registry(to: &Path) -> Result<()> {
    if fits(REGISTRY, &["--version"]) || to.join("usr/bin").join(REGISTRY).exists() {
        return Ok(());
    }
    let got = to.join("package");
    std::fs::create_dir_all(&got)?;
    let download = || {
        let mut download = Command::new("apt-get");
        download.args(["download", "--quiet", REGISTRY]).current_dir(&got);
        run(download)
    };
    let update = || {
        let mut update = Command::new("apt-get");
        update.args(["update", "--quiet"]);
        run(update)
    };
    download().or_else(|_| update().and_then(|()| download())).with_context(|| {
        format!("the tests need `{REGISTRY}`, the reference registry (Debian: apt-get install {REGISTRY})")
    })?;
    let mut packages = std::fs::read_dir(&got)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let package = packages.pop().context("apt-get has downloaded nothing")?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package).arg(to);
    run(unpack)
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
