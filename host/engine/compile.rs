//! Compilation, in a child process with limits.
//!
//! Compilers are not made for hostile input: a component can make one take hours or gigabytes. A child can be stopped, and
//! gives back the memory (up to 370 MB for a Python guest) when it ends. The host signs what the child wrote and loads
//! nothing else.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rlimit::Resource;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::id::Digest;

use super::{Engine, Error, Kind, Options, inspect, settings};

/// The first argument by which the program knows that it is to call [`compile_child`].
const COMMAND: &str = "compile-component";

/// How the child is told for which engine it compiles.
const SYNCHRONOUS: &str = "sync";
const ASYNCHRONOUS: &str = "async";

/// Threads of one compilation. Address space is limited, and every thread takes some.
const THREADS: u64 = 2;

/// Bytes of the child's last words that are kept.
const STDERR_BYTES_MAX: u64 = 4 << 10;

/// Exit code of a child that refuses the component, as opposed to one that fell over.
const REFUSED: u8 = 3;

/// What compiles components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// This program, which must hand the arguments after `compile-component` to [`compile_child`].
    Child(PathBuf),
    /// The host itself, without limits. For tests.
    InProcess,
}

impl Compiler {
    /// The running program as the compiler. It stays the same when the file is replaced by an upgrade meanwhile.
    pub fn this_program() -> std::io::Result<Self> {
        if cfg!(target_os = "linux") {
            return Ok(Self::Child(PathBuf::from("/proc/self/exe")));
        }
        std::env::current_exe().map(Self::Child)
    }

    /// The first argument of the child.
    pub const fn command() -> &'static str {
        COMMAND
    }
}

impl Engine {
    /// Compiles the component at `component`, whose digest is `digest`, and keeps the result for [`Engine::load`]. Returns
    /// the component's kind, which decides for which engine it is compiled.
    ///
    /// Waits for a permit. Cancel safe: the child is killed and nothing is kept.
    pub async fn compile(&self, digest: Digest, component: &Path) -> Result<Kind, Error> {
        let inner = &self.0;
        let _permit = inner.compiles.acquire().await.expect("the semaphore is never closed");
        let kind = kind(component, inner.options.component_bytes_max).await?;
        let artifacts = &inner.runtimes.of(kind).artifacts;
        let artifact = artifacts.temporary().await?;
        match &inner.compiler {
            Compiler::Child(program) => run_child(program, component, artifact.path(), kind, &inner.options).await?,
            Compiler::InProcess => {
                let (component, path) = (component.to_owned(), artifact.path().to_owned());
                let work = tokio::task::spawn_blocking(move || precompile(&component, &path, kind.is_async()));
                work.await.map_err(|error| Error::CompileCrash(error.to_string()))?.map_err(Error::Compile)?;
            }
        }
        artifacts.keep(digest, artifact).await.map(|()| kind)
    }
}

/// Inspects a component that has been accepted already; by another release of the host, perhaps, which offered more.
async fn kind(component: &Path, bytes_max: usize) -> Result<Kind, Error> {
    let component = component.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(component).map_err(Error::files("the component cannot be read"))?;
        inspect(&bytes, bytes_max).map(|found| found.kind).map_err(|refusal| Error::Compile(refusal.to_string()))
    });
    work.await.map_err(|error| Error::CompileCrash(error.to_string()))?
}

async fn run_child(
    program: &Path,
    component: &Path,
    artifact: &Path,
    kind: Kind,
    options: &Options,
) -> Result<(), Error> {
    let limit_ms = options.compile_ms_max;
    let cpu_s = limit_ms.saturating_mul(THREADS).div_ceil(1_000);
    let mut child = Command::new(program)
        .arg(COMMAND)
        .args([component, artifact])
        .args([options.compile_memory_bytes_max.to_string(), cpu_s.to_string()])
        .arg(if kind.is_async() { ASYNCHRONOUS } else { SYNCHRONOUS })
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS.to_string())
        .env("MALLOC_ARENA_MAX", THREADS.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::files("the compiler cannot be started"))?;
    let stderr = child.stderr.take();
    let work = async { tokio::join!(child.wait(), last_words(stderr)) };
    let finished = tokio::time::timeout(Duration::from_millis(limit_ms), work).await;
    let (status, words) = finished.map_err(|_| Error::CompileTime { limit_ms })?;
    judge(status.map_err(Error::files("the compiler cannot be waited for"))?, words)
}

fn judge(status: ExitStatus, words: String) -> Result<(), Error> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(REFUSED) => Err(Error::Compile(words)),
        _ if words.is_empty() => Err(Error::CompileCrash(status.to_string())),
        _ => Err(Error::CompileCrash(format!("{status}: {words}"))),
    }
}

/// The first bytes that the child says, on one line. The rest is read too, so that it never waits for a reader.
async fn last_words(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut bytes = Vec::new();
    // What cannot be read is not said; the exit status tells the rest.
    let _ = (&mut stderr).take(STDERR_BYTES_MAX).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    let words = String::from_utf8_lossy(&bytes);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The child's part: limits itself, then compiles. `args` are those after `compile-component`: the component's path, the
/// artifact's path, bytes of address space, seconds of CPU, and for which engine.
///
/// Must be called before the process does anything else. Says what is wrong on stderr.
pub fn compile_child(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    let [component, artifact, memory_bytes, cpu_s, engine] = args.as_slice() else {
        return last_word(ExitCode::FAILURE, "usage: COMPONENT ARTIFACT MEMORY_BYTES CPU_S sync|async");
    };
    if let Err(error) = limit(memory_bytes, cpu_s) {
        return last_word(ExitCode::FAILURE, &format!("limits cannot be set: {error}"));
    }
    match precompile(Path::new(component), Path::new(artifact), engine == ASYNCHRONOUS) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => last_word(ExitCode::from(REFUSED), &error),
    }
}

fn last_word(code: ExitCode, text: &str) -> ExitCode {
    // With stderr gone nobody is left to be told.
    let _ = writeln!(std::io::stderr(), "{text}");
    code
}

/// How far the compiler stands back.
const NICE: i32 = 10;

fn limit(memory_bytes: &OsString, cpu_s: &OsString) -> std::io::Result<()> {
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
    let (Some(memory_bytes), Some(cpu_s)) = (number(memory_bytes), number(cpu_s)) else {
        return Err(std::io::Error::other("not a number"));
    };
    // The processors are for executions first. Where it cannot be, it need not.
    let _ = rustix::process::nice(NICE);
    Resource::CORE.set(0, 0)?;
    Resource::CPU.set(cpu_s, cpu_s.saturating_add(1))?;
    Resource::AS.set(memory_bytes, memory_bytes)
}

fn precompile(component: &Path, artifact: &Path, asynchronous: bool) -> Result<(), String> {
    let bytes = std::fs::read(component).map_err(|error| format!("the component cannot be read: {error}"))?;
    let engine = wasmtime::Engine::new(&settings::compiling(asynchronous)).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&bytes).map_err(|error| format!("{error:#}"))?;
    std::fs::write(artifact, code).map_err(|error| format!("the artifact cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{House, digest};

    async fn compile(house: &House, program: &str) -> Result<(), Error> {
        let engine = house.engine(Compiler::Child(PathBuf::from(program)), 1);
        engine.compile(digest(), &house.component()).await.map(drop)
    }

    #[tokio::test]
    async fn a_compiler_that_does_not_end_is_stopped() {
        assert!(matches!(compile(&House::new(), "/usr/bin/yes").await, Err(Error::CompileTime { limit_ms: 500 })));
    }

    #[tokio::test]
    async fn a_compiler_that_falls_over_is_reported() {
        let house = House::new();
        assert!(matches!(compile(&house, "/bin/false").await, Err(Error::CompileCrash(_))));
        let left: Vec<_> = std::fs::read_dir(house.cached("").parent().unwrap()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn a_component_that_cannot_be_compiled_is_the_flows_fault() {
        let house = House::new();
        std::fs::write(house.component(), b"\0asm\x0d\0\x01\0\xff").unwrap();
        let refused = house.engine(Compiler::InProcess, 1).compile(digest(), &house.component()).await;
        assert!(matches!(refused, Err(Error::Compile(_))), "{refused:?}");
    }

    #[test]
    fn the_last_words_are_told() {
        use std::os::unix::process::ExitStatusExt as _;
        let crash = judge(ExitStatus::from_raw(6), "memory allocation failed".to_owned());
        assert!(crash.unwrap_err().to_string().contains("memory allocation failed"));
        let refused = judge(ExitStatus::from_raw(i32::from(REFUSED) << 8), "bad type".to_owned());
        assert_eq!(refused.unwrap_err().to_string(), "the component cannot be compiled: bad type");
    }
}
