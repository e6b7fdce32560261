//! Hostile clients: none of them needs more than the URL of a hook, and some not even a secret.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::exchange::{self, crowd, exchange};
use super::{Enemy, Means, Tally, Target, http2};
use crate::sample;
use crate::wire::{self, Connection};

/// Connections of a client that is slow.
const SLOW: usize = 1_000;

/// The time between two of its bytes.
const DRIP: Duration = Duration::from_millis(250);

/// Requests with a wrong signature.
const BAD_SIGNATURES: u64 = 100_000;

/// What a small body stands for.
const BOMB_BYTES: usize = 256 << 20;

/// Bytes of a body that is hard to parse: what a hook takes at most.
const BODY_BYTES: usize = 1 << 20;

const JSON: (&str, &str) = ("content-type", "application/json");
const CLOSE: (&str, &str) = ("connection", "close");

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Begins a head and goes on with it for ever.
    SlowHeaders,
    /// The same with a body.
    SlowBody,
    /// Asks for large answers, and reads none.
    Unread,
    /// Sends 1 MiB of header fields.
    HugeHeaders,
    /// Opens streams and resets them at once (CVE-2023-44487).
    RapidReset,
    /// Begins a header block that never ends (CVE-2024-27316 and others).
    Continuation,
    /// Sends 256 KiB that stand for 256 MiB.
    GzipBomb,
    /// Sends 1 MiB of `[`.
    DeepJson,
    /// Sends an object with 100,000 members of one name.
    DuplicateKeys,
    /// Sends as many requests as it can that prove nothing.
    BadSignatures,
}

/// The clients that mean harm.
pub fn enemies() -> Vec<Enemy> {
    let enemy = |name, what, environment, client| Enemy { name, what, environment, means: Means::Client(client) };
    vec![
        enemy(
            "slow_headers",
            "1,000 connections that send a header field every 250 ms",
            &[("FLOWGATE_SERVER_HEAD_MS_MAX", "3000")],
            Client::SlowHeaders,
        ),
        enemy(
            "slow_body",
            "1,000 connections that send a byte of a body every 250 ms",
            &[("FLOWGATE_INGRESS_BODY_MS_MAX", "3000")],
            Client::SlowBody,
        ),
        enemy(
            "unread_answers",
            "200 connections, each with 100 requests for 1 MB, that read nothing",
            &[("FLOWGATE_SERVER_UNREAD_MS_MAX", "3000")],
            Client::Unread,
        ),
        enemy("huge_headers", "1 MiB of header fields", &[], Client::HugeHeaders),
        enemy("h2_rapid_reset", "HTTP/2 streams, each reset as soon as it is open", &[], Client::RapidReset),
        enemy("h2_continuation", "an HTTP/2 header block that never ends", &[], Client::Continuation),
        enemy("gzip_bomb", "256 KiB of gzip that stand for 256 MiB", &[], Client::GzipBomb),
        enemy("deep_json", "1 MiB of `[`", &[], Client::DeepJson),
        enemy("duplicate_keys", "1 MiB of JSON members of one name", &[], Client::DuplicateKeys),
        enemy("bad_signatures", "100,000 requests that prove nothing", &[], Client::BadSignatures),
    ]
}

impl Client {
    /// The component that its requests are for.
    pub(super) fn component(self) -> &'static str {
        if self == Self::Unread { "huge_reply.wasm" } else { "mirror.wasm" }
    }

    pub(super) async fn attack(self, target: Target) -> Result<Tally> {
        let hook = &target.hook;
        let post = |headers: &[_], body: &[u8]| wire::request("POST", hook, &[headers, &[CLOSE]].concat(), body);
        match self {
            Self::SlowHeaders => {
                let head = format!("POST {hook} HTTP/1.1\r\nhost: localhost\r\n");
                drip(&target, SLOW, head.into(), Bytes::from_static(b"x-drip: x\r\n")).await
            }
            Self::SlowBody => {
                let head = format!("POST {hook} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n");
                drip(&target, SLOW, head.into(), Bytes::from_static(b"x")).await
            }
            Self::Unread => unread(&target).await,
            Self::HugeHeaders => {
                let fields: Vec<_> = (0..8_192).map(|n| (format!("x-huge-{n}"), "x".repeat(112))).collect();
                let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                again(&target, 16, post(&fields, b"{}")).await
            }
            Self::RapidReset => crowd(16, target.until, move |_, _| rapid_reset(target.clone())).await,
            Self::Continuation => crowd(16, target.until, move |_, _| continuation(target.clone())).await,
            Self::GzipBomb => {
                target.api.decode(hook, "gzip").await?;
                again(&target, 16, post(&[JSON, ("content-encoding", "gzip")], &gzip_bomb()?)).await
            }
            Self::DeepJson => again(&target, 16, post(&[JSON], &[b'['; BODY_BYTES - 1])).await,
            Self::DuplicateKeys => again(&target, 16, post(&[JSON], &duplicate_keys())).await,
            Self::BadSignatures => bad_signatures(&target).await,
        }
    }
}

/// One request from so many clients at once, again and again.
async fn again(target: &Target, clients: usize, request: Bytes) -> Result<Tally> {
    let (address, until) = (target.address, target.until);
    let once = move |_, _| {
        let request = request.clone();
        async move { exchange(address, &request, until).await }
    };
    crowd(clients, until, once).await
}

/// Connections that send `head` and then `drop` again and again.
async fn drip(target: &Target, connections: usize, head: Bytes, drop: Bytes) -> Result<Tally> {
    let (address, until) = (target.address, target.until);
    let once = move |_, _| {
        let (head, drop) = (head.clone(), drop.clone());
        async move {
            let Ok(mut stream) = exchange::connect(address).await else { return "not accepted".to_owned() };
            let (mut reader, mut writer) = stream.split();
            let mut received = Vec::new();
            let dripping = async {
                let _ = writer.write_all(&head).await;
                while writer.write_all(&drop).await.is_ok() {
                    sleep(DRIP).await;
                }
                std::future::pending::<()>().await;
            };
            let ended = timeout_at(until, async {
                tokio::select! {
                    () = dripping => (),
                    _ = exchange::read(&mut reader, &mut received) => (),
                }
            });
            let fate = if ended.await.is_ok() { "cut off" } else { "still open when the row ended" };
            exchange::verdict(&received).unwrap_or_else(|| fate.to_owned())
        }
    };
    crowd(connections, until, once).await
}

/// Connections with many requests for a large answer, of which they read none.
async fn unread(target: &Target) -> Result<Tally> {
    let request = wire::request("POST", &target.hook, &[JSON], br#"{"data":{"bytes":1000000}}"#);
    let (address, until) = (target.address, target.until);
    let once = move |_, _| {
        let request = request.clone();
        async move {
            let Ok(mut stream) = exchange::connect(address).await else { return "not accepted".to_owned() };
            let asking = async {
                for _ in 0..100 {
                    stream.write_all(&request).await?;
                }
                // What is sent to a connection that the server has closed comes back as an error.
                loop {
                    sleep(DRIP).await;
                    stream.write_all(b"\r\n").await?;
                }
            };
            let ended: Result<std::io::Result<()>, _> = timeout_at(until, asking).await;
            if ended.is_ok() { "cut off".to_owned() } else { "still open when the row ended".to_owned() }
        }
    };
    crowd(200, until, once).await
}

async fn rapid_reset(target: Target) -> String {
    frames(&target, |bytes, round| {
        for n in 0..100 {
            http2::opened_and_reset(bytes, (round * 100 + n) * 2 + 1, &target.hook);
        }
    })
    .await
}

async fn continuation(target: Target) -> String {
    frames(&target, |bytes, round| {
        if round == 0 {
            http2::begun(bytes, 1, &target.hook);
        }
        http2::continued(bytes, 1, 140);
    })
    .await
}

/// A connection of HTTP/2 on which `write` goes on until the server has had enough.
async fn frames(target: &Target, write: impl Fn(&mut bytes::BytesMut, u32)) -> String {
    let Ok(mut stream) = exchange::connect(target.address).await else { return "not accepted".to_owned() };
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    let writing = async {
        let mut bytes = http2::preface();
        for round in 0..10_000_000 {
            write(&mut bytes, round);
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
            bytes.clear();
            // A round takes as long as it takes to write; this lets the reader see the farewell.
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let ended = timeout_at(target.until, async {
        tokio::select! {
            () = writing => (),
            _ = exchange::read(&mut reader, &mut received) => (),
        }
    });
    let fate = if ended.await.is_ok() { "cut off" } else { "still open when the row ended" };
    http2::farewell(&received).unwrap_or_else(|| fate.to_owned())
}

fn gzip_bomb() -> Result<Vec<u8>> {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"{\"data\":\"")?;
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..BOMB_BYTES / zeros.len() {
        bomb.write_all(&zeros)?;
    }
    bomb.write_all(b"\"}")?;
    Ok(bomb.finish()?)
}

fn duplicate_keys() -> Vec<u8> {
    let member = br#""name":1,"#;
    let members = member.repeat((BODY_BYTES - 64) / member.len());
    [b"{\"data\":{", members.as_slice(), br#""name":1}}"#].concat()
}

/// As many requests as there can be, from 64 connections that stay open as long as the server lets them.
async fn bad_signatures(target: &Target) -> Result<Tally> {
    const CONNECTIONS: u64 = 64;
    let request = Arc::new(sample::request(&target.honest, b"not the secret", &[]));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (request, target) = (request.clone(), target.clone());
        clients.spawn(async move {
            let mut tally = Tally::default();
            let mut left = BAD_SIGNATURES / CONNECTIONS;
            while left > 0 && Instant::now() < target.until {
                let Ok(stream) = exchange::connect(target.address).await else {
                    tally.note("not accepted");
                    sleep(DRIP).await;
                    continue;
                };
                let mut connection = Connection::over(stream);
                while left > 0 && Instant::now() < target.until {
                    left -= 1;
                    match timeout_at(target.until, connection.call(&request)).await {
                        Ok(Ok(answer)) => tally.note(answer.status.to_string()),
                        Ok(Err(_)) => {
                            tally.note("cut off");
                            break;
                        }
                        Err(_) => break,
                    }
                }
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = clients.join_next().await {
        all.merge(tally?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_are_of_the_size_that_a_hook_takes() {
        assert!(duplicate_keys().len() <= BODY_BYTES);
        assert!(serde_json::from_slice::<serde_json::Value>(&duplicate_keys()).is_ok());
    }
}
