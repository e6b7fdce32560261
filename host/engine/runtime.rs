//! The two engines of wasmtime, with what belongs to each: what its guests may call, and the code that it can load.

use std::path::Path;

use wasmtime::component::Linker;

use crate::capability::{self, Ctx};

use super::load::Artifacts;
use super::{Error, Kind, Options, settings};

/// Both of them.
pub(super) struct Runtimes {
    pub(super) synchronous: Runtime,
    pub(super) asynchronous: Runtime,
}

/// One of them.
pub(super) struct Runtime {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Linker<Ctx>,
    pub(super) artifacts: Artifacts,
}

impl Runtimes {
    pub(super) fn start(
        options: &Options,
        capability: &capability::Options,
        cache_dir: &Path,
        cache_key: [u8; 32],
    ) -> Result<Self, Error> {
        let start = |asynchronous| {
            let wasmtime = engine(options, capability, asynchronous)?;
            let linker = linker(&wasmtime, asynchronous).map_err(|error| Error::Start(format!("{error:#}")))?;
            let artifacts = Artifacts::new(cache_dir, cache_key, &wasmtime);
            Ok::<_, Error>(Runtime { wasmtime, linker, artifacts })
        };
        let both = Self { synchronous: start(false)?, asynchronous: start(true)? };
        Artifacts::clear(cache_dir, &[&both.synchronous.artifacts, &both.asynchronous.artifacts]);
        Ok(both)
    }

    /// The one that runs components of a kind.
    pub(super) fn of(&self, kind: Kind) -> &Runtime {
        if kind.is_async() { &self.asynchronous } else { &self.synchronous }
    }

    pub(super) fn all(&self) -> [&Runtime; 2] {
        [&self.synchronous, &self.asynchronous]
    }
}

/// Starts wasmtime with a pool, or without one where the address space does not allow it.
fn engine(options: &Options, capability: &capability::Options, asynchronous: bool) -> Result<wasmtime::Engine, Error> {
    let running = settings::running(options, capability.table_elements_max, asynchronous);
    wasmtime::Engine::new(&running).or_else(|error| {
        tracing::warn!(%error, "no pool of instances; executions start more slowly. Lower `instances_max`");
        let compiling = settings::compiling(asynchronous);
        wasmtime::Engine::new(&compiling).map_err(|error| Error::Start(format!("{error:#}")))
    })
}

fn linker(engine: &wasmtime::Engine, asynchronous: bool) -> wasmtime::Result<Linker<Ctx>> {
    let mut linker = Linker::new(engine);
    capability::add_to_linker(&mut linker)?;
    if asynchronous {
        capability::add_concurrent_to_linker(&mut linker)?;
    }
    Ok(linker)
}
