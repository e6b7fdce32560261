//! `wasi:config/store`: the flow's configuration, read only.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bindings::v0_1::wasi::config::store::{Error, Host};

pub(super) struct Config(Arc<BTreeMap<String, String>>);

impl Config {
    pub(super) fn new(values: Arc<BTreeMap<String, String>>) -> Self {
        Self(values)
    }
}

impl Host for Config {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(Ok(self.0.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self.0.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}
