//! Looks around in its sandbox: arguments, environment, files, sockets, clock and chance. Tells what it found.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use flowgate::{Reply, Result, Trigger};
use serde_json::json;

fn handle(_: Trigger) -> Result {
    Reply::json(&json!({
        "arguments": env::args().collect::<Vec<_>>(),
        "environment": env::vars().collect::<Vec<_>>(),
        "directory": refusal(fs::read_dir("/")),
        "file": refusal(fs::read("/etc/passwd")),
        "socket": refusal(TcpStream::connect("127.0.0.1:80")),
        "unix_time_ms": u64::try_from(now().as_millis())?,
        "random": RandomState::new().hash_one(0_u8),
    }))
}

/// The reason why it did not work; none when it did.
fn refusal<T>(attempt: std::io::Result<T>) -> Option<String> {
    attempt.err().map(|error| error.to_string())
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

flowgate::flow!(handle);
