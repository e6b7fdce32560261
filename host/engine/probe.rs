//! A dry start after compilation: finds components that trap as they start, and asks a flow to describe itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bindings::{self, v0_1, v0_2};
use crate::capability::{Ctx, Given};
use crate::clock::Clock;
use crate::trigger::Json;

use super::load::{Loaded, Program};
use super::meter::Meter;
use super::{Engine, Error, Stop};

/// Milliseconds that a start and a description may really run, and that they may take in all.
const CPU_MS_MAX: u64 = 1_000;
const WALL_MS_MAX: u64 = 5_000;

/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 64 << 10;

/// What a dry start showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The flow's description of itself, where it exports one.
    pub describe: Option<Json>,
}

impl Engine {
    /// Starts `loaded` once with nothing to talk to. Waits for a slot. Cancel safe.
    pub async fn probe(&self, loaded: &Loaded) -> Result<Probe, Error> {
        let _slot = self.0.slots.acquire().await.expect("the semaphore is never closed");
        let given = Given {
            clock: Clock::system(),
            flow: None,
            caller: None,
            config: Arc::new(BTreeMap::new()),
            grants: Arc::default(),
            account: None,
            secrets: Default::default(),
            session: None,
            output: mpsc::channel(1).0,
            memory_bytes_max: self.0.options.memory_bytes_max,
            memory_stock: self.0.memory.clone(),
        };
        let cpu_max = Duration::from_millis(CPU_MS_MAX.min(self.0.options.cpu_ms_max));
        let meter = Arc::new(Meter::new(cpu_max, None));
        let mut guest = self.guest(loaded.kind(), given, meter.clone());
        let work = meter.measure(describe(&mut guest.store, loaded));
        let text = tokio::time::timeout(Duration::from_millis(WALL_MS_MAX), work).await;
        let text = text.unwrap_or(Err(Stop::Deadline)).map_err(Error::Probe)?;
        Ok(Probe { describe: text.map(check).transpose().map_err(Error::Probe)? })
    }
}

async fn describe(store: &mut wasmtime::Store<Ctx>, loaded: &Loaded) -> Result<Option<String>, Stop> {
    match &loaded.program {
        Program::Flow01(flow) => {
            let instance = flow.instance_pre().instantiate_async(&mut *store).await?;
            Ok(bindings::describe(&instance, store, v0_1::DESCRIBE).await?)
        }
        Program::Flow02(flow) => {
            let instance = flow.instance_pre().instantiate_async(&mut *store).await?;
            Ok(bindings::describe(&instance, store, v0_2::DESCRIBE).await?)
        }
        Program::Http02(proxy) => Ok(proxy.instantiate_async(store).await.map(|_| None)?),
        Program::Http03(service) => Ok(service.instantiate_async(store).await.map(|_| None)?),
        Program::Transform(transform) => Ok(transform.instantiate_async(store).await.map(|_| None)?),
    }
}

fn check(text: String) -> Result<Json, Stop> {
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(Stop::OverLimit(format!("the flow's description may have {DESCRIPTION_BYTES_MAX} bytes")));
    }
    let is_object = text.trim_start().starts_with('{');
    match Json::parse(text) {
        Ok(json) if is_object => Ok(json),
        Ok(_) => Err(Stop::OverLimit("the flow's description is not a JSON object".to_owned())),
        Err(error) => Err(Stop::OverLimit(format!("the flow's description is not one JSON text: {error}"))),
    }
}
