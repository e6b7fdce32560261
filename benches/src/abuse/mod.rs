//! Hostile guests, clients and uploads against a live server, while an honest flow is measured.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::time::Instant;

use crate::house::Api;

pub mod clients;

mod exchange;

pub mod guests;

mod http2;

pub mod row;

pub mod table;

pub mod uploads;

/// The name of the enemy's flow, and of its hook.
const FLOW: &str = "hostile";

/// A row of the table: somebody who means harm.
#[derive(Debug, Clone)]
pub struct Enemy {
    /// As in the JSON.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Options of the server that differ from their defaults, as variables.
    pub environment: &'static [(&'static str, &'static str)],
    /// What it does.
    pub means: Means,
}

/// How an enemy works.
#[derive(Debug, Clone)]
pub enum Means {
    /// By a flow of its own.
    Guest(guests::Guest),
    /// By the requests that it sends to a hook.
    Client(clients::Client),
    /// By what it uploads, with a key that lets it.
    Upload(uploads::Upload),
}

/// What an enemy is let loose on.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// Its management API.
    pub api: Api,
    /// The path of the enemy's own hook, which wants no proof.
    pub hook: String,
    /// The path of the honest flow's hook, which wants one.
    pub honest: String,
    /// The folder of the built guests.
    pub guests: PathBuf,
    /// When it has to be over.
    pub until: Instant,
}

/// What an enemy got: how often it got which answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Counts an answer.
    pub fn note(&mut self, what: impl Into<String>) {
        self.add(what, 1);
    }

    /// Counts several.
    pub fn add(&mut self, what: impl Into<String>, times: u64) {
        *self.0.entry(what.into()).or_default() += times;
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, times)| self.add(what, times));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<_> = self.0.iter().collect();
        counts.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        let words: Vec<_> = counts.iter().map(|(what, times)| format!("{times} × {what}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// All enemies.
pub fn enemies() -> Vec<Enemy> {
    [guests::enemies(), clients::enemies(), uploads::enemies()].concat()
}

impl Enemy {
    /// The component of its flow; none for the flow that answers what it got.
    pub fn component(&self, guests: &Path, folder: &Path) -> Result<PathBuf> {
        match &self.means {
            Means::Guest(guest) => guest.component(guests, folder),
            Means::Client(client) => Ok(guests.join(client.component())),
            Means::Upload(_) => Ok(guests.join("mirror.wasm")),
        }
    }

    /// Does its worst until the target's end.
    pub async fn attack(&self, target: Target) -> Result<Tally> {
        match &self.means {
            Means::Guest(guest) => guest.attack(target).await,
            Means::Client(client) => client.attack(target).await,
            Means::Upload(upload) => upload.attack(target).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_answer_comes_first() {
        let mut tally = Tally::default();
        tally.add("200", 2);
        tally.note("503 overloaded");
        let mut more = Tally::default();
        more.add("503 overloaded", 4);
        tally.merge(more);
        assert_eq!(tally.to_string(), "5 × 503 overloaded, 2 × 200");
    }

    #[test]
    fn no_two_enemies_have_one_name() {
        let names: Vec<_> = enemies().iter().map(|enemy| enemy.name).collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }
}
