//! Measures how long an author waits for the first reply of a new flow, in each language, by the commands of
//! `docs/first-flow.md`; prints or writes the page.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use flowgate_benches::machine;
use flowgate_benches::process::Server;
use serde_json::Value;
use tokio::time::Instant;

const PAGE: &str = "docs/benchmarks/first_reply.md";

const FLOW: &str = "greeter";

/// What cargo tells its children about the package that it runs is none of an author's business.
const NOT_THEIRS: [&str; 6] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_PKG_NAME",
    "CARGO_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "FLOWGATE_SECRET",
];

/// Measures how long an author waits for the first reply of a new flow.
#[derive(Parser)]
struct Arguments {
    /// The release build of Flowgate.
    #[arg(long, default_value = "target/release/flowgate")]
    flowgate: PathBuf,
    /// Only this language: `rust`, `js` or `python`.
    #[arg(long)]
    only: Option<String>,
    /// Measures the build of Flowgate itself, too: from the sources here, into an empty folder.
    #[arg(long)]
    build: bool,
    /// Writes the page instead of printing it only.
    #[arg(long)]
    write: bool,
}

/// A language, and how its author makes a project ready and changes it.
struct Language {
    lang: &'static str,
    name: &'static str,
    /// Once in a project; nothing where the build does it.
    packages: &'static str,
    source: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language { lang: "rust", name: "Rust", packages: "", source: "src/lib.rs" },
    Language { lang: "js", name: "JavaScript", packages: "npm ci", source: "flow.js" },
    Language {
        lang: "python",
        name: "Python",
        packages: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        source: "flow.py",
    },
];

/// What is done, in this order.
const STEPS: [&str; 7] = [
    "`flowgate new`",
    "packages: `npm ci`, `pip install`",
    "`flowgate build`",
    "`flowgate serve`, until it listens",
    "`flowgate deploy`",
    "`flowgate hook create`",
    "`flowgate send`",
];

/// How long each step took; none where there is none.
type Times = [Option<Duration>; 7];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let flowgate = arguments.flowgate.canonicalize().context("there is no release build; `--flowgate` says where")?;
    let chosen = LANGUAGES.iter().filter(|language| arguments.only.as_ref().is_none_or(|only| only == language.lang));
    let mut rows = Vec::new();
    for language in chosen {
        let caches = tempfile::tempdir()?;
        let author = Author { flowgate: &flowgate, caches: caches.path(), language };
        let first = author.first_reply(false).await.with_context(|| language.name)?;
        let again = author.first_reply(true).await.with_context(|| language.name)?;
        rows.push((language, first.0, again));
    }
    let own = arguments.build.then(flowgate_itself).transpose()?;
    let page = page(&rows, own);
    if arguments.write {
        fs::write(PAGE, &page)
            .with_context(|| format!("cannot write {PAGE}; run this from the top of the repository"))?;
    }
    Ok(write!(std::io::stdout(), "{page}")?)
}

/// The time of a release build of Flowgate, packages and all.
fn flowgate_itself() -> Result<Duration> {
    let (target, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--package", "flowgate", "--target-dir"]).arg(target.path());
    for name in NOT_THEIRS {
        build.env_remove(name);
    }
    Ok(timed(build.env("CARGO_HOME", home.path()))?.0)
}

/// One who has the tools of a language, and no packages but those in the caches.
struct Author<'a> {
    flowgate: &'a Path,
    caches: &'a Path,
    language: &'a Language,
}

impl Author<'_> {
    /// From nothing to a reply, and then from a change of the source to the next one where that is wanted.
    async fn first_reply(&self, and_change: bool) -> Result<(Times, Times)> {
        let folder = tempfile::tempdir()?;
        let project = folder.path().join(FLOW);
        let (new, _) = timed(&mut self.flowgate(folder.path(), &["new", FLOW, "--lang", self.language.lang]))?;
        let packages = match self.language.packages {
            "" => None,
            line => Some(timed(self.at(&project, "sh").args(["-c", line]))?.0),
        };
        let (build, _) = timed(&mut self.flowgate(&project, &["build"]))?;
        let data = folder.path().join("data").display().to_string();
        let serve = ["serve", "--data", &data, "--listen", "127.0.0.1:0"];
        let server = Server::start(self.flowgate, &serve, None).await?;
        let key = server.key.clone().context("the server shows no key")?;
        let on_server = |words: &[&str]| {
            let mut command = self.flowgate(&project, words);
            timed(command.env("FLOWGATE_URL", format!("http://{}", server.address)).env("FLOWGATE_KEY", &key))
        };
        let (deploy, _) = on_server(&["deploy", "--no-build"])?;
        let (hook, made) = on_server(&["--json", "hook", "create", FLOW, "--flow", FLOW])?;
        let made = serde_json::from_str::<Value>(&made)?;
        let secret = made["secrets"][0]["secret"].as_str().context("the hook has no secret")?;
        let send = |session: &str, word: &str| {
            let words = ["send", FLOW, "--session", session, "--data", r#"{"name":"Ada"}"#, "--secret", secret];
            let (took, said) = on_server(&words)?;
            ensure!(said.starts_with(&format!("{word}, Ada!")), "the reply is another: {said}");
            anyhow::Ok(took)
        };
        let sent = send("s1", "Hello")?;
        let mut change = Times::default();
        if and_change {
            let source = project.join(self.language.source);
            let text = fs::read_to_string(&source)?;
            fs::write(&source, text.replace("Hello", "Good day"))?;
            change[2] = Some(timed(&mut self.flowgate(&project, &["build"]))?.0);
            change[4] = Some(on_server(&["deploy", "--no-build"])?.0);
            change[6] = Some(send("s2", "Good day")?);
        }
        let started = server.started_in;
        server.stop().await?;
        let first = [Some(new), packages, Some(build), Some(started), Some(deploy), Some(hook), Some(sent)];
        Ok((first, change))
    }

    fn flowgate(&self, folder: &Path, words: &[&str]) -> Command {
        let mut command = self.at(folder, self.flowgate);
        command.args(words);
        command
    }

    fn at(&self, folder: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder);
        for (name, cache) in [("CARGO_HOME", "cargo"), ("npm_config_cache", "npm"), ("PIP_CACHE_DIR", "pip")] {
            command.env(name, self.caches.join(cache));
        }
        for name in NOT_THEIRS {
            command.env_remove(name);
        }
        command
    }
}

/// Runs a command to its good end. How long it took, and what it said.
fn timed(command: &mut Command) -> Result<(Duration, String)> {
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let took = begin.elapsed();
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((took, String::from_utf8(output.stdout)?))
}

/// A language with the times of its first flow, of a second one, and of a change in that.
type Row<'a> = (&'a Language, Times, (Times, Times));

fn page(rows: &[Row<'_>], own: Option<Duration>) -> String {
    let table = |times: &dyn Fn(&Row<'_>) -> Times| {
        let all = rows.iter().map(times).collect::<Vec<_>>();
        let line = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
        let names = rows.iter().map(|(language, ..)| language.name.to_owned()).collect();
        let mut table = line("", names) + &line("---", vec!["---:".to_owned(); rows.len()]).replace(' ', "");
        for (n, step) in STEPS.iter().enumerate().filter(|(n, _)| all.iter().any(|times| times[*n].is_some())) {
            table += &line(step, all.iter().map(|times| times[n].map_or_else(|| "–".to_owned(), seconds)).collect());
        }
        let sums = all.iter().map(|times| seconds(times.iter().flatten().sum()));
        table + &line("**together**", sums.map(|sum| format!("**{sum}**")).collect())
    };
    let own = own.map_or_else(String::new, |took| {
        format!(
            "Before that, `cargo build --release` makes Flowgate itself of a clean checkout: {}, downloads of its packages and \
             all.\n\n",
            seconds(took)
        )
    });
    format!(
        "# First reply\n\n\
         Written by `cargo run --release -p flowgate-benches --bin first_reply -- --write`; [README.md](README.md) says what is \
         measured.\n\n\
         {date}. {machine}.\n\n{own}\
         ## The first flow\n\nNothing of its packages is on the machine, so their downloads are part of it.\n\n{first}\n\
         ## A further flow\n\nA new folder with nothing built in it; the packages were downloaded before.\n\n{second}\n\
         ## A change\n\nA line of that flow is another one, and so is the next reply.\n\n{change}",
        date = jiff::Timestamp::now().strftime("%F"),
        machine = machine::described(),
        first = table(&|row| row.1),
        second = table(&|row| row.2.0),
        change = table(&|row| row.2.1),
    )
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}
