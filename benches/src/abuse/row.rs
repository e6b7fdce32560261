//! One row: a server of its own, an enemy, and the honest flow meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{Enemy, FLOW, Target};
use crate::case::SECRET;
use crate::house::{Furniture, House};
use crate::load::{self, Outcome, Plan};
use crate::sample;

/// The honest flow's requests per second, and the connections that they take turns on.
pub(super) const RATE: f64 = 200.0;
const CONNECTIONS: u32 = 32;

/// What all executions together may have: as much on every machine, so that the figures can be compared.
const MEMORY: (&str, &str) = ("FLOWGATE_ENGINE_MEMORY_TOTAL_BYTES_MAX", "2147483648");

/// How long an enemy is at it before anything counts.
const HEAD_START: Duration = Duration::from_millis(500);

/// How long the honest flow's last answers, or a sign of life, may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// With what rows are made.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The program.
    pub flowgate: PathBuf,
    /// The folder of the built guests.
    pub guests: PathBuf,
    /// Where the servers' data goes.
    pub data: PathBuf,
    /// How long the honest flow is measured.
    pub duration: Duration,
}

/// What came of one.
#[derive(Debug, Clone)]
pub struct Row {
    /// As in the JSON.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Options that differ from their defaults.
    pub environment: &'static [(&'static str, &'static str)],
    /// What the enemy got.
    pub got: String,
    /// What the honest flow got; none when its connections were cut off.
    pub honest: Option<Outcome>,
    /// The most bytes of memory of the server and what it started.
    pub peak_bytes: u64,
    /// Whether the same process still answers.
    pub survived: bool,
}

impl Stage {
    /// The honest flow alone: what it gets, and the most bytes of memory.
    pub async fn undisturbed(&self) -> Result<(Outcome, u64)> {
        let folder = tempfile::tempdir_in(&self.data)?;
        let house = self.house(folder.path(), &[]).await?;
        let honest = house.api.clone();
        let request = self.honest(&honest).await?.1;
        let outcome = load::run(self.plan(&house, request)).await?;
        Ok((outcome, house.server.peak_bytes()?))
    }

    /// Lets an enemy loose on a server of its own.
    pub async fn row(&self, enemy: &Enemy) -> Result<Row> {
        let folder = tempfile::tempdir_in(&self.data)?;
        let mut house = self.house(folder.path(), enemy.environment).await?;
        let (honest, request) = self.honest(&house.api).await?;
        let furniture = Furniture {
            auth: json!([{ "scheme": "none" }]),
            secret: None,
            ..Furniture::plain(&enemy.component(&self.guests, folder.path())?, SECRET)
        };
        house.api.flow(FLOW, &furniture).await?;
        let hook = house.api.hook(FLOW, &furniture).await?;

        let target = Target {
            address: house.server.address,
            api: house.api.clone(),
            hook,
            honest,
            guests: self.guests.clone(),
            until: Instant::now() + HEAD_START * 2 + self.duration,
        };
        let attack = tokio::task::spawn_blocking({
            let enemy = enemy.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(enemy.attack(target))
            }
        });
        let plan = self.plan(&house, request);
        let mut peak_bytes = 0;
        let honest = tokio::select! {
            outcome = timeout(PATIENCE, load::run(plan)) => outcome.ok().and_then(Result::ok),
            never = watch(&house, &mut peak_bytes) => never,
        };
        let got = attack.await.context("the enemy fell over")??.to_string();
        peak_bytes = peak_bytes.max(house.server.peak_bytes().unwrap_or(0));
        let answers = timeout(PATIENCE, house.api.answers()).await.is_ok_and(|answer| answer.is_ok());
        let survived = answers && house.server.runs();
        Ok(Row {
            name: enemy.name,
            what: enemy.what,
            environment: enemy.environment,
            got,
            honest,
            peak_bytes,
            survived,
        })
    }

    async fn house(&self, folder: &std::path::Path, more: &[(&str, &str)]) -> Result<House> {
        let environment = [&[("FLOWGATE_SERVER_WORKERS", "2"), MEMORY], more].concat();
        House::start_with(&self.flowgate, folder, None, None, &environment).await
    }

    /// Makes the honest flow. Returns its hook's path and the request to it.
    async fn honest(&self, api: &crate::house::Api) -> Result<(String, Bytes)> {
        let furniture = Furniture::plain(&self.guests.join("mirror.wasm"), SECRET);
        api.flow("honest", &furniture).await?;
        let hook = api.hook("honest", &furniture).await?;
        let request = sample::request(&hook, SECRET.as_bytes(), &[]);
        Ok((hook, request))
    }

    fn plan(&self, house: &House, request: Bytes) -> Plan {
        Plan {
            address: house.server.address,
            request,
            connections: CONNECTIONS,
            rate: Some(RATE),
            warm_up: HEAD_START,
            duration: self.duration,
        }
    }
}

/// Keeps the most bytes of memory that were seen. Never ends.
async fn watch<T>(house: &House, peak_bytes: &mut u64) -> T {
    loop {
        *peak_bytes = (*peak_bytes).max(house.server.family_bytes().unwrap_or(0));
        sleep(LOOK).await;
    }
}
