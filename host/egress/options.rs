//! What an operator can choose about requests out.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{CaFile, ProxyUrl};

/// How requests go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address ranges that may be called although they are not public, such as `10.0.0.0/8`. None unless given.
    pub allow: Vec<IpNet>,
    /// Names that may be called whatever their addresses: `receiver.internal`, or `*.internal` for all below. None unless
    /// given.
    pub allow_hosts: Vec<String>,
    /// The only ports that may be called; empty for any.
    pub ports: Vec<u16>,
    /// The local addresses that connections come from, in turn; a target of a family without one cannot be called. Empty
    /// for whatever the system chooses.
    pub bind: Vec<IpAddr>,
    /// Certificate authorities to trust beside the public ones.
    pub ca_file: CaFile,
    /// The HTTP proxy for all requests but those to `no_proxy`.
    pub proxy_url: ProxyUrl,
    /// Whether the proxy resolves names and judges their addresses, and not we.
    pub proxy_resolves: bool,
    /// What is called directly: names, `*.internal` for all below, addresses, ranges, or `*` for everything.
    pub no_proxy: Vec<String>,
    /// Milliseconds to resolve a name, connect and be secure.
    pub connect_ms_max: u64,
    /// Milliseconds for a whole request with its answer, whatever the caller asks for.
    pub total_ms_max: u64,
    /// Bytes of an answer's body that are read and kept.
    pub answer_bytes_max: usize,
    /// Idle connections kept for each target.
    pub idle_connections_max: usize,
    /// Idle connections kept in all.
    pub idle_total_max: usize,
    /// Milliseconds that an idle connection is kept.
    pub idle_ms_max: u64,
    /// Milliseconds after which a connection takes no further request.
    pub connection_ms_max: u64,
}

impl Default for Options {
    /// Public addresses only, directly; 5 s to connect, 30 s in all, 64 KiB; 8 idle connections for a target and 256 in all
    /// for 30 s, none older than 5 minutes.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_hosts: Vec::new(),
            ports: Vec::new(),
            bind: Vec::new(),
            ca_file: CaFile::default(),
            proxy_url: ProxyUrl::default(),
            proxy_resolves: false,
            no_proxy: Vec::new(),
            connect_ms_max: 5_000,
            total_ms_max: 30_000,
            answer_bytes_max: 64 * 1024,
            idle_connections_max: 8,
            idle_total_max: 256,
            idle_ms_max: 30_000,
            connection_ms_max: 300_000,
        }
    }
}
