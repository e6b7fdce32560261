//! What a component may import and must export: the WIT of this repository, as `wit_parser` knows it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use wasmtime::component::Component;
use wit_parser::{InterfaceId, PackageName, Resolve, SourceMap};

use crate::bindings::{transform_v0_1, v0_1, v0_2};

/// What a component is to the host, by what it exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It exports `flowgate:flow/handler@0.1`.
    Flow01,
    /// It exports `flowgate:flow/handler@0.2`.
    Flow02,
    /// It exports `wasi:http/incoming-handler@0.2`.
    WasiHttp02,
    /// It exports `wasi:http/handler@0.3`.
    WasiHttp03,
    /// It exports `flowgate:transform/transformer@0.1`: it reshapes deliveries, and nobody triggers it.
    Transform01,
}

impl Kind {
    /// Every kind, the preferred one first.
    pub const ALL: [Self; 5] = [Self::Flow02, Self::Flow01, Self::WasiHttp03, Self::WasiHttp02, Self::Transform01];

    /// The export that makes a component one of this kind.
    pub const fn export(self) -> &'static str {
        match self {
            Self::Flow01 => v0_1::HANDLER,
            Self::Flow02 => v0_2::HANDLER,
            Self::WasiHttp02 => "wasi:http/incoming-handler@0.2.12",
            Self::WasiHttp03 => "wasi:http/handler@0.3.0",
            Self::Transform01 => transform_v0_1::TRANSFORMER,
        }
    }

    /// Whether it reshapes deliveries, and handles no triggers.
    pub const fn is_transform(self) -> bool {
        matches!(self, Self::Transform01)
    }

    /// The optional export by which it describes itself, where there can be one.
    pub(super) const fn describe(self) -> Option<&'static str> {
        match self {
            Self::Flow01 => Some(v0_1::DESCRIBE),
            Self::Flow02 => Some(v0_2::DESCRIBE),
            Self::WasiHttp02 | Self::WasiHttp03 | Self::Transform01 => None,
        }
    }

    /// Whether it is called asynchronously, by an engine of its own.
    pub(super) const fn is_async(self) -> bool {
        matches!(self, Self::Flow02 | Self::WasiHttp03)
    }

    /// Whether the host lends it an interface that it offers to some. A transform talks to nobody: beside its log and its
    /// config it gets what every language brings in by itself.
    pub(super) fn may_import(self, name: &str) -> bool {
        let package = name.split('/').next().unwrap_or_default();
        !self.is_transform() || OF_TRANSFORMS.contains(&package)
    }

    /// The kind of a compiled component.
    pub(super) fn of(component: &Component) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| component.get_export_index(None, kind.export()).is_some())
    }
}

/// The packages in the order of their dependence, each a list of its files.
const PACKAGES: &[&[(&str, &str)]] = &[
    &[("io.wit", include_str!("../../wit/deps/wasi-io-0.2.12/io.wit"))],
    &[("clocks.wit", include_str!("../../wit/deps/wasi-clocks-0.2.12/clocks.wit"))],
    &[("random.wit", include_str!("../../wit/deps/wasi-random-0.2.12/random.wit"))],
    &[("filesystem.wit", include_str!("../../wit/deps/wasi-filesystem-0.2.12/filesystem.wit"))],
    &[("sockets.wit", include_str!("../../wit/deps/wasi-sockets-0.2.12/sockets.wit"))],
    &[("cli.wit", include_str!("../../wit/deps/wasi-cli-0.2.12/cli.wit"))],
    &[("http.wit", include_str!("../../wit/deps/wasi-http-0.2.12/http.wit"))],
    &[("clocks.wit", include_str!("../../wit/deps/wasi-clocks-0.3.0/clocks.wit"))],
    &[("random.wit", include_str!("../../wit/deps/wasi-random-0.3.0/random.wit"))],
    &[("filesystem.wit", include_str!("../../wit/deps/wasi-filesystem-0.3.0/filesystem.wit"))],
    &[("sockets.wit", include_str!("../../wit/deps/wasi-sockets-0.3.0/sockets.wit"))],
    &[("cli.wit", include_str!("../../wit/deps/wasi-cli-0.3.0/cli.wit"))],
    &[("http.wit", include_str!("../../wit/deps/wasi-http-0.3.0/http.wit"))],
    &[("logging.wit", include_str!("../../wit/deps/wasi-logging-0.1.0-draft/logging.wit"))],
    &[
        ("store.wit", include_str!("../../wit/deps/wasi-config-0.2.0-rc.1/store.wit")),
        ("config-world.wit", include_str!("../../wit/deps/wasi-config-0.2.0-rc.1/world.wit")),
    ],
    &[
        ("store.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft/store.wit")),
        ("atomic.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft/atomic.wit")),
        ("batch.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft/batch.wit")),
        ("watch.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft/watch.wit")),
        ("keyvalue-world.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft/world.wit")),
    ],
    &[
        ("store.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft2/store.wit")),
        ("atomic.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft2/atomic.wit")),
        ("batch.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft2/batch.wit")),
        ("keyvalue-world.wit", include_str!("../../wit/deps/wasi-keyvalue-0.2.0-draft2/world.wit")),
    ],
    &[
        ("flow-types.wit", include_str!("../../wit/flow-0.1.0/flow-types.wit")),
        ("handler.wit", include_str!("../../wit/flow-0.1.0/handler.wit")),
        ("events.wit", include_str!("../../wit/flow-0.1.0/events.wit")),
        ("output.wit", include_str!("../../wit/flow-0.1.0/output.wit")),
        ("session.wit", include_str!("../../wit/flow-0.1.0/session.wit")),
        ("flows.wit", include_str!("../../wit/flow-0.1.0/flows.wit")),
        ("http.wit", include_str!("../../wit/flow-0.1.0/http.wit")),
        ("llm.wit", include_str!("../../wit/flow-0.1.0/llm.wit")),
        ("secrets.wit", include_str!("../../wit/flow-0.1.0/secrets.wit")),
        ("spans.wit", include_str!("../../wit/flow-0.1.0/spans.wit")),
        ("world.wit", include_str!("../../wit/flow-0.1.0/world.wit")),
    ],
    &[
        ("flow-types.wit", include_str!("../../wit/flow-0.2.0/flow-types.wit")),
        ("handler.wit", include_str!("../../wit/flow-0.2.0/handler.wit")),
        ("events.wit", include_str!("../../wit/flow-0.2.0/events.wit")),
        ("output.wit", include_str!("../../wit/flow-0.2.0/output.wit")),
        ("session.wit", include_str!("../../wit/flow-0.2.0/session.wit")),
        ("flows.wit", include_str!("../../wit/flow-0.2.0/flows.wit")),
        ("http.wit", include_str!("../../wit/flow-0.2.0/http.wit")),
        ("keyvalue.wit", include_str!("../../wit/flow-0.2.0/keyvalue.wit")),
        ("llm.wit", include_str!("../../wit/flow-0.2.0/llm.wit")),
        ("secrets.wit", include_str!("../../wit/flow-0.2.0/secrets.wit")),
        ("spans.wit", include_str!("../../wit/flow-0.2.0/spans.wit")),
        ("world.wit", include_str!("../../wit/flow-0.2.0/world.wit")),
    ],
    &[
        ("transformer.wit", include_str!("../../wit/transform-0.1.0/transformer.wit")),
        ("world.wit", include_str!("../../wit/transform-0.1.0/world.wit")),
    ],
];

/// Packages of which a transform may import.
const OF_TRANSFORMS: [&str; 8] = [
    "wasi:logging",
    "wasi:config",
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// Interfaces that are for guests to export.
const EXPORTS: [&str; 7] = [
    "flowgate:flow/handler",
    "flowgate:flow/describe",
    "flowgate:transform/transformer",
    "wasi:http/incoming-handler",
    "wasi:http/handler",
    "wasi:cli/run",
    "wasi:keyvalue/watcher",
];

/// What only asynchronous components can import: the packages, by the start of their names, that have `async` functions.
const ASYNCHRONOUS: [(&str, &str); 2] = [("wasi:", "0.3"), ("flowgate:flow/", "0.2")];

/// The reference that components are compared with.
pub(super) struct Contract {
    pub(super) resolve: Resolve,
    interfaces: BTreeMap<String, InterfaceId>,
}

/// How a name that a component uses relates to the contract.
pub(super) enum Found {
    /// The contract has the interface, in a compatible version.
    Same(InterfaceId),
    /// It has another version of it; its full name.
    OtherVersion(String),
    /// It has none of that name.
    Nothing,
}

impl Contract {
    /// The one contract, built when it is first asked for.
    pub(super) fn get() -> &'static Self {
        static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::build);
        &CONTRACT
    }

    fn build() -> Self {
        let resolve = Self::packages();
        let ids = resolve.interfaces.iter().map(|(id, _)| id);
        let interfaces = ids.filter_map(|id| Some((resolve.id_of(id)?, id))).collect();
        Self { resolve, interfaces }
    }

    /// All packages, for a reference or for a component of a test.
    pub(super) fn packages() -> Resolve {
        let mut resolve = Resolve::new();
        for files in PACKAGES {
            let mut sources = SourceMap::new();
            files.iter().for_each(|(name, text)| sources.push_str(name, *text));
            let package = sources.parse().map_err(|(_, error)| error).expect("the repository's WIT parses");
            resolve.push_group(package).expect("the repository's WIT resolves");
        }
        resolve
    }

    /// Looks for the interface that a component calls `name`.
    pub(super) fn find(&self, name: &str) -> Found {
        if let Some(id) = self.interfaces.get(name) {
            return Found::Same(*id);
        }
        let versions = || self.interfaces.iter().filter(|(known, _)| unversioned(known) == unversioned(name));
        if let Some((_, id)) = versions().find(|(known, _)| track(known) == track(name)) {
            return Found::Same(*id);
        }
        versions().next_back().map_or(Found::Nothing, |(known, _)| Found::OtherVersion(known.clone()))
    }

    /// Whether the host offers the interface `name` to guests.
    pub(super) fn is_offered(&self, name: &str) -> bool {
        !EXPORTS.contains(&unversioned(name))
    }

    /// Whether the host offers the interface `name` to asynchronous components only.
    pub(super) fn is_asynchronous(&self, name: &str) -> bool {
        let track = track(name);
        ASYNCHRONOUS.iter().any(|(packages, version)| name.starts_with(packages) && track.as_deref() == Some(*version))
    }

    /// The offered interface with the name nearest to `name`, if one is near enough to be meant.
    pub(super) fn nearest_import(&self, name: &str) -> Option<String> {
        let offered = self.interfaces.keys().filter(|known| self.is_offered(known));
        nearest(unversioned(name), offered.map(|known| (unversioned(known), known.as_str()))).map(str::to_owned)
    }
}

/// A name without its version.
pub(super) fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// The versions that may stand for each other, as the component model has it: `0.1` for 0.1.5, `1` for 1.2.3, and a
/// pre-release only for itself.
fn track(name: &str) -> Option<String> {
    let (_, version) = name.split_once('@')?;
    let version = version.parse().ok()?;
    Some(PackageName::version_compat_track_string(&version))
}

/// The value whose key is nearest to `name`: at most a third of the letters differ.
pub(crate) fn nearest<'a, T>(name: &str, known: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    let near = known.map(|(key, value)| (distance(name, key), key.len(), value));
    let (distance, length, value) = near.min_by_key(|(distance, ..)| *distance)?;
    (distance * 3 <= length.max(name.len())).then_some(value)
}

/// How many letters must be changed, added or removed to make `b` of `a`. Names are short: what is longer than any real one
/// is not looked at.
fn distance(a: &str, b: &str) -> usize {
    const LOOKED_AT: usize = 64;
    let a: Vec<_> = a.bytes().take(LOOKED_AT).collect();
    let mut row: Vec<_> = (0..=a.len()).collect();
    for (i, letter) in b.bytes().take(LOOKED_AT).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in a.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_match_by_semver() {
        let contract = Contract::get();
        for same in ["flowgate:flow/output@0.1.0", "flowgate:flow/output@0.1.7", "wasi:io/poll@0.2.6"] {
            assert!(matches!(contract.find(same), Found::Same(_)), "{same}");
        }
        for same in ["flowgate:flow/output@0.2.3", "wasi:clocks/monotonic-clock@0.3.2"] {
            let Found::Same(id) = contract.find(same) else { panic!("{same}") };
            assert_eq!(track(&contract.resolve.id_of(id).unwrap()), track(same));
        }
        for other in ["flowgate:flow/output@0.3.0", "wasi:config/store@0.2.0-draft", "wasi:keyvalue/store@0.2.0"] {
            assert!(matches!(contract.find(other), Found::OtherVersion(_)), "{other}");
        }
        for both in ["wasi:keyvalue/store@0.2.0-draft", "wasi:keyvalue/store@0.2.0-draft2"] {
            assert!(matches!(contract.find(both), Found::Same(_)), "{both}");
        }
        assert!(matches!(contract.find("wasi:messaging/producer@0.2.0"), Found::Nothing));
    }

    #[test]
    fn a_misspelt_import_has_a_nearest_name() {
        let contract = Contract::get();
        let nearest = |name| contract.nearest_import(name);
        assert_eq!(nearest("flowgate:flow/outputs@0.1.0").as_deref(), Some("flowgate:flow/output@0.1.0"));
        assert_eq!(nearest("wasi:logging/log@0.1.0").as_deref(), Some("wasi:logging/logging@0.1.0-draft"));
        assert_eq!(nearest("acme:billing/invoices@1.0.0"), None);
    }
}
