//! Guests in JavaScript and Python: their tools, their components, their templates as an author has them.
//!
//! Whatever is made has beside it a digest of what it was made of, and is made again when that has changed.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{root, run};
use crate::senders::{node, python};

/// Sources and the names of their components, which land in `target/components`.
const GUESTS: &[(&str, &str)] = &[
    ("guests/tour/tour.ts", "tour_js"),
    ("guests/tour/tour.py", "tour_py"),
    ("guests/tour/agent.ts", "agent_js"),
    ("guests/tour/agent.py", "agent_py"),
];
const EXAMPLES: &[(&str, &str)] =
    &[("examples/slack-command/flow.ts", "slack-command"), ("examples/push-summary/flow.py", "push-summary")];

/// The contract, which every guest is built from.
const WIT: &str = "wit";

/// Builds all of them.
pub(crate) fn build() -> Result<()> {
    let tools = Tools::install()?;
    for (source, name) in GUESTS.iter().chain(EXAMPLES) {
        tools.component(source, name)?;
    }
    tools.template_js()?;
    tools.template_python()
}

/// Builds the examples only.
pub(crate) fn examples() -> Result<()> {
    let tools = Tools::install()?;
    EXAMPLES.iter().try_for_each(|(source, name)| tools.component(source, name))
}

/// Runs the tests of the SDKs, of the examples and of the tour's types.
pub(crate) fn test() -> Result<()> {
    let tools = Tools::install()?;
    let mut js = Command::new("npm");
    js.arg("test").current_dir(root().join("guests/js"));
    run(js)?;
    let mut types = Command::new("node");
    types
        .arg(tools.node.join("node_modules/typescript/bin/tsc"))
        .args(["--project", "guests/tour"])
        .current_dir(root());
    run(types)?;
    let mut python = tools.python();
    python.args(["-m", "unittest", "discover", "-s", "tests", "-t", "."]).current_dir(root().join("guests/python"));
    run(python)
}

/// Where the tools are, which are pinned by the SDK's lock and the template's requirements.
struct Tools {
    node: PathBuf,
    python: PathBuf,
}

impl Tools {
    fn install() -> Result<Self> {
        let tools = root().join("target/tools");
        let tools = Self { node: tools.join("node"), python: tools.join("python") };
        // The SDK lies where its tools are found, as it does in a project.
        copy(&root().join("guests/js"), &tools.node.join("flowgate"))?;
        node(&root().join("guests/tour"), &tools.node)?;
        python(&root().join("guests/templates/python"), &tools.python)?;
        Ok(tools)
    }

    fn python(&self) -> Command {
        let mut python = Command::new(self.python.join("bin/python"));
        python.env("VIRTUAL_ENV", &self.python).env("PYTHONDONTWRITEBYTECODE", "1");
        python
    }

    /// A component of one source file.
    fn component(&self, source: &str, name: &str) -> Result<()> {
        let out = root().join(format!("target/components/{name}.wasm"));
        let work = out.with_extension("work");
        let sdk = if source.ends_with(".py") { "guests/python/flowgate" } else { "guests/js" };
        let folder = Path::new(source).parent().context("a source lies in a folder")?;
        let made_of = [folder.to_owned(), sdk.into(), WIT.into()].map(|folder| root().join(folder));
        once(&made_of, &out, || {
            fs::create_dir_all(&work)?;
            let mut build = if source.ends_with(".py") {
                let mut build = self.python();
                build.args(["-m", "flowgate.build"]).env("PYTHONPATH", root().join("guests/python"));
                build
            } else {
                let mut build = Command::new("node");
                build.arg(self.node.join("flowgate/build.js"));
                build
            };
            let made = work.join("flow.wasm");
            build.arg(root().join(source)).arg("-o").arg(&made).arg("--wit").arg(root().join(WIT)).current_dir(&work);
            run(build)?;
            fs::rename(made, &out)?;
            Ok(fs::remove_dir_all(&work)?)
        })
    }

    /// The template as it is in an author's hands: tested and built by the commands of its README.
    fn template_js(&self) -> Result<()> {
        let project = project("js", "guests/js", "")?;
        let Some((folder, made_of)) = project else { return Ok(()) };
        for words in [&["ci", "--ignore-scripts", "--no-audit", "--no-fund"][..], &["test"], &["run", "build"]] {
            let mut npm = Command::new("npm");
            npm.args(words).current_dir(root().join(&folder));
            run(npm)?;
        }
        Ok(fs::write(root().join(folder).join("made-of"), made_of)?)
    }

    fn template_python(&self) -> Result<()> {
        let project = project("python", "guests/python", "flowgate")?;
        let Some((folder, made_of)) = project else { return Ok(()) };
        for words in [["-m", "unittest"], ["-m", "flowgate.build"]] {
            let mut python = self.python();
            python.args(words).current_dir(root().join(&folder));
            run(python)?;
        }
        Ok(fs::write(root().join(folder).join("made-of"), made_of)?)
    }
}

/// Lays out a template in `target/projects`, with the SDK and the contract in it. `None` when it has been built of the same.
fn project(language: &str, sdk: &str, part: &str) -> Result<Option<(String, String)>> {
    let folder = format!("target/projects/{language}");
    let to = root().join(&folder);
    let (template, sdk, wit) =
        (root().join("guests/templates").join(language), root().join(sdk).join(part), root().join(WIT));
    let made_of = digest(&[template.clone(), sdk.clone(), wit.clone()])?;
    if fs::read_to_string(to.join("made-of")).is_ok_and(|old| old == made_of) {
        return Ok(None);
    }
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    copy(&template, &to)?;
    copy(&sdk, &to.join("flowgate"))?;
    copy(&wit, &to.join("wit"))?;
    for path in files(&to)? {
        let text = fs::read_to_string(&path)?;
        if text.contains("__NAME__") {
            fs::write(&path, text.replace("__NAME__", "greeter"))?;
        }
    }
    Ok(Some((folder, made_of)))
}

/// Makes `out` unless it was made of the same.
fn once(made_of: &[PathBuf], out: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let (made_of, stamp) = (digest(made_of)?, out.with_extension("made-of"));
    if out.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == made_of) {
        return Ok(());
    }
    make()?;
    Ok(fs::write(stamp, made_of)?)
}

/// A digest of all files in these folders.
fn digest(folders: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for path in folders.iter().map(|folder| files(folder)).collect::<Result<Vec<_>>>()?.concat() {
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write(&fs::read(&path)?);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// All files below a folder, sorted, without what is hidden or made.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for path in entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() {
            found.push(path);
        } else if !name.starts_with('.') && !matches!(&*name, "build" | "node_modules" | "__pycache__") {
            found.extend(files(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for path in files(from)? {
        let to = to.join(path.strip_prefix(from)?);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::copy(&path, &to)?;
    }
    Ok(())
}
