//! `wasi:logging`, stdout and stderr: all become lines of the execution's log.
//!
//! A guest can write faster than anybody reads, so the log holds a fixed number of lines of a fixed size; what comes after
//! is counted and forgotten.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::v0_1::wasi::logging::logging::{Host, Level as GuestLevel};
use crate::clock::Clock;
use crate::trigger::{Level, LogLine};

use super::Options;

/// Bytes of the context that a guest may give with a line.
const SOURCE_BYTES_MAX: usize = 64;

/// Bytes that a stream takes in one write.
const WRITE_BYTES: usize = 64 << 10;

/// The log of one execution. Clones share it.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Mutex<Buffer>>);

#[derive(Debug)]
struct Buffer {
    clock: Clock,
    lines_max: usize,
    line_bytes_max: usize,
    lines: Vec<LogLine>,
    dropped: u64,
    stdout: Partial,
    stderr: Partial,
}

/// A line of a stream that has not ended yet. One without a byte is not open, so empty lines are not logged.
#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    open: bool,
    cut: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stdio {
    Out,
    Err,
}

impl Logs {
    pub(super) fn new(options: &Options, clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(Buffer {
            clock,
            lines_max: options.log_lines_max,
            line_bytes_max: options.log_line_bytes_max,
            lines: Vec::new(),
            dropped: 0,
            stdout: Partial::default(),
            stderr: Partial::default(),
        })))
    }

    /// Takes the lines so far, and the number of those that were dropped since the last call. A line of stdout or stderr
    /// that was not ended counts as one.
    pub fn take(&self) -> (Vec<LogLine>, u64) {
        let mut buffer = self.lock();
        buffer.end_line(Stdio::Out);
        buffer.end_line(Stdio::Err);
        (std::mem::take(&mut buffer.lines), std::mem::take(&mut buffer.dropped))
    }

    /// A line of the host's own.
    pub(super) fn say(&self, level: Level, message: &str) {
        self.lock().line(level, "host", message);
    }

    /// A stream whose lines are of level `info`.
    pub(super) fn stdout(&self) -> impl StdoutStream + use<> {
        Stream { logs: self.clone(), stdio: Stdio::Out }
    }

    /// A stream whose lines are of level `warn`.
    pub(super) fn stderr(&self) -> impl StdoutStream + use<> {
        Stream { logs: self.clone(), stdio: Stdio::Err }
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        // A panic elsewhere leaves at worst a line unfinished.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Logs {
    fn log(&mut self, level: GuestLevel, context: String, message: String) -> wasmtime::Result<()> {
        self.lock().line(level.into(), &context, &message);
        Ok(())
    }
}

impl Buffer {
    fn is_full(&self) -> bool {
        self.lines.len() >= self.lines_max
    }

    fn line(&mut self, level: Level, source: &str, message: &str) {
        if self.is_full() {
            self.dropped += 1;
        } else {
            let message = cut(message, self.line_bytes_max).to_owned();
            self.push(level, cut(source, SOURCE_BYTES_MAX).to_owned(), message);
        }
    }

    fn push(&mut self, level: Level, source: String, message: String) {
        let at_ms = self.clock.now().unix_ms_unsigned();
        self.lines.push(LogLine { at_ms, level, source, message });
    }

    fn write(&mut self, stdio: Stdio, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(stdio, &bytes[..end]);
            self.end_line(stdio);
            bytes = &bytes[end + 1..];
        }
        self.extend(stdio, bytes);
    }

    fn extend(&mut self, stdio: Stdio, bytes: &[u8]) {
        let (full, line_bytes_max) = (self.is_full(), self.line_bytes_max);
        let partial = self.partial(stdio);
        partial.open |= !bytes.is_empty();
        if !full {
            let room = line_bytes_max.saturating_sub(partial.bytes.len()).min(bytes.len());
            partial.bytes.extend_from_slice(&bytes[..room]);
            partial.cut |= room < bytes.len();
        }
    }

    fn end_line(&mut self, stdio: Stdio) {
        let partial = std::mem::take(self.partial(stdio));
        if !partial.open {
            return;
        }
        if self.is_full() {
            self.dropped += 1;
            return;
        }
        let bytes = partial.bytes.strip_suffix(b"\r").unwrap_or(&partial.bytes);
        let text = String::from_utf8_lossy(bytes);
        // A replacement character at a cut is the host's doing, not the guest's.
        let whole = if partial.cut { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
        let message = cut(whole, self.line_bytes_max).to_owned();
        let (level, source) = match stdio {
            Stdio::Out => (Level::Info, "stdout"),
            Stdio::Err => (Level::Warn, "stderr"),
        };
        self.push(level, source.to_owned(), message);
    }

    fn partial(&mut self, stdio: Stdio) -> &mut Partial {
        match stdio {
            Stdio::Out => &mut self.stdout,
            Stdio::Err => &mut self.stderr,
        }
    }
}

/// The longest start of `text` that has at most `bytes_max` bytes and ends between two characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Stdout or stderr. It never fills up, so it never waits.
struct Stream {
    logs: Logs,
    stdio: Stdio,
}

impl Stream {
    fn again(&self) -> Self {
        Self { logs: self.logs.clone(), stdio: self.stdio }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.again())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.again())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.logs.lock().write(self.stdio, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.logs.lock().write(self.stdio, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn logs(lines_max: usize, line_bytes_max: usize) -> Logs {
        let options = Options { log_lines_max: lines_max, log_line_bytes_max: line_bytes_max, ..Options::default() };
        Logs::new(&options, Clock::manual(Timestamp::from_unix_ms(5)))
    }

    fn messages(logs: &Logs) -> (Vec<String>, u64) {
        let (lines, dropped) = logs.take();
        (lines.into_iter().map(|line| line.message).collect(), dropped)
    }

    #[test]
    fn writes_join_into_lines_and_empty_lines_are_left_out() {
        let logs = logs(10, 100);
        for part in ["one ", "line\r\n\ntwo\nth", "ree"] {
            logs.lock().write(Stdio::Out, part.as_bytes());
        }
        logs.lock().write(Stdio::Err, b"error");
        assert_eq!(messages(&logs), (["one line", "two", "three", "error"].map(str::to_owned).to_vec(), 0));
        assert_eq!(messages(&logs), (vec![], 0));
    }

    #[test]
    fn stdout_is_info_and_stderr_is_warn() {
        let logs = logs(10, 100);
        logs.lock().write(Stdio::Err, b"e\n");
        logs.lock().write(Stdio::Out, b"o\n");
        let seen: Vec<_> = logs.take().0.into_iter().map(|line| (line.at_ms, line.level, line.source)).collect();
        assert_eq!(seen, [(5, Level::Warn, "stderr".to_owned()), (5, Level::Info, "stdout".to_owned())]);
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut logs = logs(2, 4);
        for _ in 0..1_000 {
            logs.lock().write(Stdio::Out, &[b'x'; 10_000]);
            logs.lock().write(Stdio::Out, b"\n");
            logs.log(GuestLevel::Debug, "c".to_owned(), "y".repeat(10_000)).unwrap();
        }
        assert!(logs.lock().stdout.bytes.capacity() <= 8);
        assert_eq!(messages(&logs), (vec!["xxxx".to_owned(), "yyyy".to_owned()], 1_998));
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let mut logs = logs(10, 4);
        logs.lock().write(Stdio::Out, "aaéé\n".as_bytes());
        logs.lock().write(Stdio::Out, "aaaéé\n".as_bytes());
        logs.log(GuestLevel::Info, "ctx".to_owned(), "aaaé".to_owned()).unwrap();
        assert_eq!(messages(&logs).0, ["aaé", "aaa", "aaa"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_shown_as_such() {
        let logs = logs(10, 100);
        logs.lock().write(Stdio::Out, b"a\xffb\n");
        assert_eq!(messages(&logs).0, ["a\u{fffd}b"]);
    }
}
