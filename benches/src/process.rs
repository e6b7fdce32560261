//! The programs under test: started on a core of their own, asked what they used, and stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command as Plain, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// What a server says when it is ready.
const READY: &str = "listening on http://";

/// What Flowgate says before that, the first time.
const KEY: &str = "admin key (shown once): ";

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks of `/proc/PID/stat` per second, the same on every Linux.
const TICKS: f64 = 100.0;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it said of its first key.
    pub key: Option<String>,
    /// From its start until it listened.
    pub started_in: Duration,
}

impl Server {
    /// Starts a program that prints `listening on http://ADDRESS` when it is ready; on one core, if one is given.
    pub async fn start(program: &Path, arguments: &[&str], core: Option<usize>) -> Result<Self> {
        Self::start_with(program, arguments, core, &[]).await
    }

    /// The same with variables in its environment.
    pub async fn start_with(
        program: &Path,
        arguments: &[&str],
        core: Option<usize>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = on_core(program, core);
        let begin = Instant::now();
        command.envs(environment.iter().copied());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().context("the server ended at once")?;
        let mut lines = BufReader::new(child.stdout.take().context("the server has no stdout")?).lines();
        let mut key = None;
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix(READY) {
                    return Ok(address.trim_end_matches('/').parse::<SocketAddr>()?);
                }
                if let Some(text) = line.strip_prefix(KEY) {
                    key = Some(text.to_owned());
                }
            }
            bail!("{} ended before it listened", program.display())
        };
        let address = timeout(PATIENCE, ready).await.context("the server does not listen")??;
        let started_in = begin.elapsed();
        // Whatever it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, pid, address, key, started_in })
    }

    /// Starts a program that says nothing, and waits until something listens at `address`.
    pub async fn start_at(
        program: &Path,
        arguments: &[&str],
        core: Option<usize>,
        address: SocketAddr,
    ) -> Result<Self> {
        let begin = Instant::now();
        let mut command = on_core(program, core);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().context("the server ended at once")?;
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, listens).await.context("the server does not listen")?;
        Ok(Self { child, pid, address, key: None, started_in: begin.elapsed() })
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(&self.pid.to_string())
    }

    /// The bytes of memory that it has now.
    pub fn resident_bytes(&self) -> Result<u64> {
        status_bytes(&self.pid.to_string(), "VmRSS:")
    }

    /// The bytes of memory that it and the processes that it started have now.
    pub fn family_bytes(&self) -> Result<u64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid))?;
        let children = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let children = children.collect::<Vec<_>>().join(" ");
        // A child may have ended since.
        let theirs = children.split_whitespace().filter_map(|pid| status_bytes(pid, "VmRSS:").ok());
        Ok(self.resident_bytes()? + theirs.sum::<u64>())
    }

    /// The most bytes of memory that it has had so far.
    pub fn peak_bytes(&self) -> Result<u64> {
        status_bytes(&self.pid.to_string(), "VmHWM:")
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        run("kill", &["-TERM", &self.pid.to_string()])?;
        timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        Ok(())
    }
}

fn on_core(program: &Path, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut taskset = Command::new("taskset");
    taskset.args(["--cpu-list", &core.to_string()]).arg(program);
    taskset
}

/// Puts this program on one core.
pub fn pin(core: usize) -> Result<()> {
    run("taskset", &["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &std::process::id().to_string()])
}

fn cpu(pid: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name, which may hold spaces; after it, user and system time are the 12th and 13th.
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// One of the sizes in `/proc/PID/status`.
fn status_bytes(pid: &str, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let ended = Plain::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let ended = ended.with_context(|| format!("cannot run {program}"))?;
    anyhow::ensure!(ended.success(), "{program} failed");
    Ok(())
}
