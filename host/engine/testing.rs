//! Components for tests, of any world and with bodies that trap, and engines to run them.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, SourceMap};

use crate::capability;
use crate::id::Digest;
use crate::store::{self, Store};

use super::contract::Contract;
use super::{Compiler, Engine, Options, Setup};

/// The digest of the component of [`House`].
pub(super) fn digest() -> Digest {
    Digest::from_bytes([7; 32])
}

/// A folder with a component and a cache.
pub(super) struct House {
    folder: TempDir,
    store: Store,
}

impl House {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &store::Options::default()).unwrap();
        let house = Self { folder, store };
        let flow = component("package a:b; world w { include flowgate:flow/described-flow@0.1.0; }");
        std::fs::write(house.component(), flow).unwrap();
        house
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn component(&self) -> PathBuf {
        self.folder().join("component.wasm")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    /// A file of the cache, by the end of its name.
    pub(super) fn cached(&self, extension: &str) -> PathBuf {
        let compatibility = std::fs::read_dir(self.cache()).unwrap().next().unwrap().unwrap();
        compatibility.path().join(format!("{}.{extension}", digest().hex()))
    }

    pub(super) fn engine(&self, compiler: Compiler, key: u8) -> Engine {
        self.start(compiler, key, capability::Options::default())
    }

    pub(super) fn start(&self, compiler: Compiler, key: u8, capability: capability::Options) -> Engine {
        let options = Options { instances_max: 2, compile_ms_max: 500, ..Options::default() };
        let services = capability::Services::of(self.store.clone());
        let (cache_dir, cache_key) = (self.cache(), [key; 32]);
        Engine::new(Setup { options, capability, services, cache_dir, cache_key, compiler }).unwrap()
    }
}

/// A component of the first world of the package `wit`, which may use the packages of the contract.
pub(super) fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Contract::packages();
    let mut sources = SourceMap::new();
    sources.push_str("test.wit", wit);
    let package = resolve.push_group(sources.parse().map_err(|(_, error)| error).unwrap()).unwrap();
    let world = *resolve.packages[package].worlds.values().next().unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
