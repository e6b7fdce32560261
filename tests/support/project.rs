//! A project of an author, and the commands that are typed in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{House, PATIENCE, component};

/// A folder with a `flow.toml`. Dropped, it is gone.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
}

impl Project {
    /// A project whose build is quick: a guest, and after it a custom section, which makes it another version. An empty
    /// section fails the build.
    pub(crate) fn of(guest: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.write("guest.wasm", component(guest));
        project.write(
            "flow.toml",
            format!(
                r#"
name = "{guest}"
[build]
command = "test -s src/section || (echo 'the section is empty' >&2; exit 1) && cat guest.wasm src/section > flow.wasm"
component = "flow.wasm"
watch = ["src"]
"#
            ),
        );
        project.save(0);
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Saves the source that makes version `n`.
    pub(crate) fn save(&self, n: u8) {
        // A custom section: its id, its size, the length of its name, its name, and one byte of content.
        self.write("src/section", [0, 3, 1, b'n', n]);
    }

    /// A command, typed here.
    pub(crate) async fn run(&self, words: &[&str]) -> Output {
        run(self.path(), None, words).await
    }

    /// A command, typed here by an admin of `house`.
    pub(crate) async fn on(&self, house: &House, words: &[&str]) -> Output {
        run(self.path(), Some(house), words).await
    }
}

/// Runs `flowgate` in a folder.
pub(crate) async fn run(folder: &Path, house: Option<&House>, words: &[&str]) -> Output {
    let mut command = flowgate(folder, words);
    if let Some(house) = house {
        command.env("FLOWGATE_URL", house.url.as_str()).env("FLOWGATE_KEY", &house.key);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Runs another command of an author in a folder.
pub(crate) async fn shell(folder: &Path, line: &str) -> Output {
    let mut command = at(folder, Command::new("sh"));
    command.args(["-c", line]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn flowgate(folder: &Path, words: &[&str]) -> Command {
    let mut command = at(folder, Command::new(env!("CARGO_BIN_EXE_flowgate")));
    command.args(words);
    command
}

fn at(folder: &Path, mut command: Command) -> Command {
    command.current_dir(folder).stdin(Stdio::null());
    // What cargo tells the tests about this package is none of an author's business.
    for name in ["FLOWGATE_SECRET", "CARGO_TARGET_DIR", "CARGO_MANIFEST_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.env("FLOWGATE_TELEMETRY_LOG", "warn");
    command
}

/// What a command said on stdout, if it ended well.
pub(crate) fn stdout(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", stderr(output));
    text
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `flowgate dev --json`. Dropped, it is killed.
pub(crate) struct Dev {
    child: Child,
    events: mpsc::Receiver<Value>,
}

impl Dev {
    pub(crate) fn start(project: &Project) -> Self {
        Self::start_with(project, &[])
    }

    /// The same with more words. Flows may call this machine, as the hosts that they call are here.
    pub(crate) fn start_with(project: &Project, words: &[&str]) -> Self {
        let mut command = flowgate(project.path(), &[&["dev", "--json", "--listen", "127.0.0.1:0"], words].concat());
        command.env("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (tell, events) = mpsc::channel(10_000);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.blocking_send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, events }
    }

    /// The next event of this name; others before it are passed over.
    pub(crate) async fn next(&mut self, name: &str) -> Value {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("it goes on");
                if event["event"] == name {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no event `{name}`"))
    }

    pub(crate) async fn live(&mut self) -> String {
        self.next("live").await["version"].as_str().unwrap().to_owned()
    }

    /// Ctrl-C.
    pub(crate) async fn interrupt(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(tokio::time::Instant::now() < end, "it does not end");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder below `target` that is kept from one run of the tests to the next, for what takes a minute to build.
pub(crate) fn kept(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path);
    fs::create_dir_all(&folder).unwrap();
    folder
}
