//! Hostile guests: flows that were uploaded, and are triggered as often as the server lets them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::exchange::{crowd, exchange};
use super::{Enemy, FLOW, Means, Tally, Target};
use crate::{arrivals, wire};

/// A flow by hand, which grows a table until it cannot.
const TABLE_BOMB: &str = "guests/hostile/table_bomb.wat";

/// More callers than the server has places for executions with a waiting caller.
const CALLERS: usize = 160;

/// Core instances and tables beside the bomb's own: as many as a component may have.
const INSTANCES: usize = 60;

/// A flow, and what it is sent.
#[derive(Debug, Clone)]
pub struct Guest {
    component: &'static str,
    /// Is given the address of its receiver.
    data: fn(&str) -> Value,
    /// Whom it calls, if anybody.
    receiver: Option<Receiver>,
    /// What it is granted, if anything. Is given the address of its receiver.
    grants: Option<fn(&str) -> Value>,
    headers: &'static [(&'static str, &'static str)],
    callers: usize,
}

/// Somebody to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiver {
    /// Takes connections and says nothing.
    Silent,
    /// Answers 500 to everything.
    Failing,
}

/// The flows that mean harm.
pub fn enemies() -> Vec<Enemy> {
    let guest =
        |component, data| Guest { component, data, receiver: None, grants: None, headers: &[], callers: CALLERS };
    let enemy = |name, what, guest| Enemy { name, what, environment: &[], means: Means::Guest(guest) };
    let nothing = |_: &str| json!({});
    vec![
        enemy("infinite_loop", "counts for ever, in every place there is", guest("infinite_loop.wasm", nothing)),
        enemy(
            "host_call_loop",
            "asks the host for 64 KiB of random bytes, for ever",
            guest("random_bomb.wasm", |_| json!({ "bytes": 65_536, "times": u64::MAX })),
        ),
        enemy("host_call_huge", "asks the host for a TiB of random bytes", guest("random_bomb.wasm", nothing)),
        enemy("memory_bomb", "takes memory and writes to all of it", guest("memory_bomb.wasm", nothing)),
        enemy("table_bomb", "grows a table until it cannot", guest("table_bomb.wat", nothing)),
        enemy(
            "instance_bomb",
            "has as many core instances and tables as a component may have, and grows one",
            guest("instance_bomb.wat", nothing),
        ),
        enemy("handle_bomb", "takes handles of the host and gives none back", guest("resource_bomb.wasm", nothing)),
        enemy("deep_recursion", "calls itself until the stack is used up", guest("deep_recursion.wasm", nothing)),
        enemy(
            "log_flood",
            "logs 4 KiB lines for ever",
            guest("log_flood.wasm", |_| json!({ "lines": u64::MAX, "bytes": 4096 })),
        ),
        enemy(
            "output_flood",
            "says 1 KiB for ever, whatever the host answers",
            guest("output_flood.wasm", |_| json!({ "outputs": u64::MAX, "bytes": 1024 })),
        ),
        enemy("huge_reply", "replies with 32 MiB", guest("huge_reply.wasm", nothing)),
        enemy("header_flood", "replies with 100,000 header fields", guest("header_flood.wasm", nothing)),
        enemy(
            "endless_stream",
            "says 100 bytes for ever to callers who listen (Server-Sent Events)",
            Guest {
                headers: &[("accept", "text/event-stream")],
                ..guest("output_flood.wasm", |_| json!({ "outputs": u64::MAX, "bytes": 100 }))
            },
        ),
        outgoing(
            "slow_outbound",
            "waits for somebody who takes connections and says nothing",
            Receiver::Silent,
            |receiver| json!({ "requests": [{ "url": format!("http://{receiver}/") }] }),
        ),
        outgoing(
            "outgoing_requests",
            "sends 100,000 requests, one after the other",
            Receiver::Failing,
            |receiver| json!({ "requests": [{ "url": format!("http://{receiver}/"), "times": 100_000 }] }),
        ),
        enemy(
            "sub_flow_fork",
            "starts itself for ever, and so does everyone that it starts",
            Guest { grants: Some(|_| json!({ "flows": [FLOW] })), ..guest("forker.wasm", nothing) },
        ),
    ]
}

/// A flow that was granted requests to a receiver on this machine.
fn outgoing(name: &'static str, what: &'static str, receiver: Receiver, data: fn(&str) -> Value) -> Enemy {
    let (receiver, headers, callers) = (Some(receiver), &[][..], CALLERS);
    let grants: fn(&str) -> Value = |receiver| json!({ "http": [{ "host": receiver, "scheme": "http" }] });
    let guest = Guest { component: "thief.wasm", data, receiver, grants: Some(grants), headers, callers };
    Enemy { name, what, environment: &[("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8")], means: Means::Guest(guest) }
}

impl Guest {
    /// Where its component lies; what has to be made for it is made in `folder`.
    pub(super) fn component(&self, guests: &Path, folder: &Path) -> Result<PathBuf> {
        let text = match self.component {
            "table_bomb.wat" => table_bomb()?,
            "instance_bomb.wat" => instance_bomb(&table_bomb()?),
            built => return Ok(guests.join(built)),
        };
        let path = folder.join("hostile.wasm");
        fs::write(&path, wat::parse_str(&text)?)?;
        Ok(path)
    }

    pub(super) async fn attack(&self, target: Target) -> Result<Tally> {
        let receiver = match self.receiver {
            Some(receiver) => receiver.start().await?,
            None => String::new(),
        };
        if let Some(grants) = self.grants {
            target.api.grant(FLOW, &grants(&receiver)).await?;
        }
        let body = serde_json::to_vec(&json!({ "data": (self.data)(&receiver) }))?;
        let headers = [&[("content-type", "application/json"), ("connection", "close")], self.headers].concat();
        let request = wire::request("POST", &target.hook, &headers, &body);
        let (address, until) = (target.address, target.until);
        let once = move |_, _| {
            let request = request.clone();
            async move { exchange(address, &request, until).await }
        };
        crowd(self.callers, until, once).await
    }
}

impl Receiver {
    /// Starts it for as long as the runtime runs, and returns its address.
    async fn start(self) -> Result<String> {
        if self == Self::Failing {
            return Ok(arrivals::failing().await?.to_string());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                taken.push(stream);
            }
        });
        Ok(address.to_string())
    }
}

/// The text of the component that grows a table.
pub(super) fn table_bomb() -> Result<String> {
    fs::read_to_string(TABLE_BOMB)
        .with_context(|| format!("cannot read {TABLE_BOMB}; run this from the repository's top"))
}

/// The same with many more instances, each with a table.
fn instance_bomb(table_bomb: &str) -> String {
    let module = "(core module $more (table 10000 funcref))";
    let instances = (0..INSTANCES).map(|n| format!("(core instance $more{n} (instantiate $more))\n"));
    let end = table_bomb.rfind(')').unwrap_or(table_bomb.len());
    format!("{}{module}\n{})", &table_bomb[..end], instances.collect::<String>())
}
