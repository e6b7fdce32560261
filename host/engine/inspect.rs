//! Looks at uploaded bytes without compiling or running them, and tells everything that is wrong at once.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use wasmparser::{Validator, WasmFeatures};
use wit_component::DecodedWasm;
use wit_parser::{Function, InterfaceId, Resolve, WorldId, WorldItem};

use super::compare::{self, shorten};
use super::contract::{Contract, Found, Kind, nearest, unversioned};

/// Mismatches that are told.
const MISMATCHES_MAX: usize = 100;

/// What a component is, as far as its types tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// How it is called.
    pub kind: Kind,
    /// Names of the interfaces and functions that it imports, sorted.
    pub imports: Vec<String>,
    /// Names of those that it exports, sorted. More than its kind needs is normal.
    pub exports: Vec<String>,
    /// Whether it can describe itself.
    pub describes: bool,
}

/// Why bytes are not accepted as a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than `component_bytes_max`.
    #[error("the component has {bytes} bytes and may have {bytes_max}")]
    TooLarge {
        /// As many as there are.
        bytes: usize,
        /// As many as there may be.
        bytes_max: usize,
    },
    /// No bytes.
    #[error("the upload is empty; a WebAssembly component is expected")]
    Empty,
    /// A module of the core specification.
    #[error(
        "this is a core WebAssembly module, not a component; build with `cargo build --target wasm32-wasip2`, or wrap it \
         with `wasm-tools component new`"
    )]
    CoreModule,
    /// Machine code that some wasmtime has compiled.
    #[error("this is a compiled artifact; upload the component that it was compiled from")]
    Precompiled,
    /// The text format, or another text.
    #[error("this is text; a WebAssembly component in its binary format is expected (`wasm-tools parse` makes one)")]
    Text,
    /// An encoded WIT package: types without code.
    #[error("this is a WIT package, which has types but no code; upload the component that was built for it")]
    WitPackage,
    /// Something else.
    #[error("this is not WebAssembly; a component starts with the bytes 00 61 73 6d 0d 00 01 00")]
    NotWasm,
    /// A component that ends too early.
    #[error("the component is cut short; its upload may be incomplete")]
    Truncated,
    /// A component that breaks the rules of the format, or uses proposals that the host does not support.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// A valid component that does not fit to the host.
    #[error("the component does not fit: {}", Told(.0))]
    Mismatch(Vec<Mismatch>),
}

/// One point in which a component does not fit to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// What kind of point.
    pub kind: MismatchKind,
    /// The import or export.
    pub name: String,
    /// One sentence for a person.
    pub detail: String,
    /// The nearest name that would have worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// The kinds of points in which a component may not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MismatchKind {
    /// It exports nothing that the host could call.
    MissingExport,
    /// It imports what the host does not offer.
    UnknownImport,
    /// The host offers the same in another version.
    WrongVersion,
    /// A type differs.
    WrongType,
    /// The host offers it, and the flow was not granted it.
    NotGranted,
}

struct Told<'a>(&'a [Mismatch]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mismatch) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place > 0 { "; " } else { "" }, mismatch.detail)?;
        }
        Ok(())
    }
}

/// Inspects the bytes of an upload. Takes up to 150 ms of CPU for the largest components, so call it on a blocking thread.
pub fn inspect(bytes: &[u8], bytes_max: usize) -> Result<Inspection, Refusal> {
    sniff(bytes, bytes_max)?;
    validate(bytes)?;
    // The decoder is written for the output of honest tools; a panic of it is an answer, too.
    let decoded = catch_unwind(AssertUnwindSafe(|| wit_component::decode(bytes)));
    let decoded = decoded.map_err(|_| Refusal::Invalid("its types cannot be read".to_owned()))?;
    match decoded.map_err(|error| Refusal::Invalid(shorten(&error.root_cause().to_string())))? {
        DecodedWasm::WitPackage(..) => Err(Refusal::WitPackage),
        DecodedWasm::Component(resolve, world) => Component { resolve: &resolve, world }.inspect(),
    }
}

/// Tells what the bytes look like from their start, so that the common mistakes get an answer that helps.
fn sniff(bytes: &[u8], bytes_max: usize) -> Result<(), Refusal> {
    if bytes.len() > bytes_max {
        return Err(Refusal::TooLarge { bytes: bytes.len(), bytes_max });
    }
    match bytes {
        [] => Err(Refusal::Empty),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(Refusal::CoreModule),
        [0, b'a', b's', b'm', ..] if bytes.len() < 8 => Err(Refusal::Truncated),
        _ if wasmtime::Engine::detect_precompiled(bytes).is_some() => Err(Refusal::Precompiled),
        _ if is_text(bytes) => Err(Refusal::Text),
        _ => Err(Refusal::NotWasm),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(256)];
    let text = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    text.len() + 4 > start.len() && !text.contains(|c: char| c.is_control() && !c.is_whitespace())
}

fn validate(bytes: &[u8]) -> Result<(), Refusal> {
    let mut features = WasmFeatures::default();
    features.remove(WasmFeatures::MEMORY64);
    Validator::new_with_features(features).validate_all(bytes).map(drop).map_err(|error| match error.message() {
        message if message.contains("unexpected end") => Refusal::Truncated,
        message => Refusal::Invalid(format!("{} (at byte {})", shorten(message), error.offset())),
    })
}

/// A decoded component.
struct Component<'a> {
    resolve: &'a Resolve,
    world: WorldId,
}

impl Component<'_> {
    fn inspect(&self) -> Result<Inspection, Refusal> {
        let world = &self.resolve.worlds[self.world];
        let name = |key| self.resolve.name_world_key(key);
        let mut mismatches = Vec::new();
        let kind = self.kind();
        for (key, item) in &world.imports {
            self.import(&name(key), item, kind, &mut mismatches);
        }
        match kind {
            Some(kind) => {
                self.required(kind.export(), &mut mismatches);
                kind.describe().inspect(|describe| self.required(describe, &mut mismatches));
            }
            None => mismatches.push(self.no_handler()),
        }
        let lent = |name: &String| kind.is_none_or(|kind| kind.may_import(name));
        mismatches.extend(world.imports.keys().map(name).filter(|name| !lent(name)).map(|name| not_lent(&name)));
        let (Some(kind), true) = (kind, mismatches.is_empty()) else {
            mismatches.truncate(MISMATCHES_MAX);
            return Err(Refusal::Mismatch(mismatches));
        };
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let exports = sorted(world.exports.keys().map(name).collect());
        Ok(Inspection {
            kind,
            imports: sorted(world.imports.keys().map(name).collect()),
            describes: kind.describe().is_some_and(|describe| self.compatible_export(describe).is_some()),
            exports,
        })
    }

    fn import(&self, name: &str, item: &WorldItem, kind: Option<Kind>, mismatches: &mut Vec<Mismatch>) {
        let contract = Contract::get();
        let WorldItem::Interface { id, .. } = item else {
            // Types at the level of the world are only names for others.
            if let WorldItem::Function(_) = item {
                mismatches.push(unknown(name, "import `{}`: the host offers interfaces, not single functions"));
            }
            return;
        };
        if contract.is_asynchronous(name) && kind.is_some_and(|kind| !kind.is_async()) {
            let wanted = Kind::Flow02.export();
            let detail = "only asynchronous components can import it, which export";
            mismatches.push(Mismatch {
                kind: MismatchKind::WrongVersion,
                name: shorten(name),
                detail: format!("import `{}`: {detail} `{wanted}`", shorten(name)),
                nearest: Some(wanted.to_owned()),
            });
            return;
        }
        match contract.find(name) {
            Found::Same(known) if contract.is_offered(name) => self.functions(name, *id, known, mismatches),
            Found::OtherVersion(known) if contract.is_offered(name) => mismatches.push(Mismatch {
                kind: MismatchKind::WrongVersion,
                name: shorten(name),
                detail: format!("import `{}`: the host offers another version, `{known}`", shorten(name)),
                nearest: Some(known),
            }),
            _ => {
                let nearest = contract.nearest_import(name);
                mismatches.push(Mismatch { nearest, ..unknown(name, "import `{}`: the host does not offer it") });
            }
        }
    }

    /// Every function that the component imports must be one of the contract's.
    fn functions(&self, name: &str, given: InterfaceId, known: InterfaceId, mismatches: &mut Vec<Mismatch>) {
        let contract = Contract::get();
        let known = &contract.resolve.interfaces[known].functions;
        for (function, given) in &self.resolve.interfaces[given].functions {
            let Some(wanted) = known.get(function) else {
                let nearest = nearest(function, known.keys().map(|known| (known.as_str(), known)));
                let (name, function) = (shorten(name), shorten(function));
                mismatches.push(Mismatch {
                    kind: MismatchKind::UnknownImport,
                    detail: format!("import `{name}`: the host's version has no function `{function}`"),
                    name,
                    nearest: nearest.cloned(),
                });
                continue;
            };
            self.compare("import", name, wanted, given, mismatches);
        }
    }

    fn compare(&self, what: &str, name: &str, wanted: &Function, given: &Function, mismatches: &mut Vec<Mismatch>) {
        let differences = compare::function((&Contract::get().resolve, wanted), (self.resolve, given));
        mismatches.extend(differences.into_iter().map(|difference| Mismatch {
            kind: MismatchKind::WrongType,
            name: shorten(name),
            detail: format!("{what} `{}`: {difference}", shorten(name)),
            nearest: None,
        }));
    }

    /// The kind, by the first export that the host can call.
    fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.compatible_export(kind.export()).is_some())
    }

    /// Every function of the contract's interface `wanted` must be in the component's export of that name, if it has one.
    fn required(&self, wanted: &str, mismatches: &mut Vec<Mismatch>) {
        let contract = Contract::get();
        let (Found::Same(wanted), Some((name, given))) = (contract.find(wanted), self.compatible_export(wanted)) else {
            return;
        };
        let given = &self.resolve.interfaces[given].functions;
        for (function, wanted) in &contract.resolve.interfaces[wanted].functions {
            match given.get(function) {
                Some(given) => self.compare("export", &name, wanted, given, mismatches),
                None => mismatches.push(Mismatch {
                    kind: MismatchKind::MissingExport,
                    name: shorten(&name),
                    detail: format!("export `{}`: the function `{function}` is missing", shorten(&name)),
                    nearest: None,
                }),
            }
        }
    }

    /// What to say to a component that has no export to call.
    fn no_handler(&self) -> Mismatch {
        let wanted = Kind::Flow01.export();
        for kind in Kind::ALL {
            if let Some((name, _)) = self.export(|name| unversioned(name) == unversioned(kind.export())) {
                return Mismatch {
                    kind: MismatchKind::WrongVersion,
                    detail: format!("export `{}`: the host calls `{}`", shorten(&name), kind.export()),
                    name: shorten(&name),
                    nearest: Some(kind.export().to_owned()),
                };
            }
        }
        let others = Kind::ALL.map(Kind::export).into_iter().filter(|export| *export != wanted);
        let others: Vec<_> = others.map(|export| format!("`{export}`")).collect();
        let hint = match self.export(|name| unversioned(name) == "wasi:cli/run") {
            Some(_) => "; it is a command, so build a library (crate-type `cdylib`) for the world `flowgate:flow/flow`",
            None => "",
        };
        Mismatch {
            kind: MismatchKind::MissingExport,
            name: wanted.to_owned(),
            detail: format!("export `{wanted}` is missing (or one of {}){hint}", others.join(", ")),
            nearest: Some(wanted.to_owned()),
        }
    }

    /// The export that stands for the contract's interface `wanted`.
    fn compatible_export(&self, wanted: &str) -> Option<(String, InterfaceId)> {
        let contract = Contract::get();
        let Found::Same(wanted) = contract.find(wanted) else { return None };
        self.export(|name| matches!(contract.find(name), Found::Same(found) if found == wanted))
    }

    /// The first exported interface with a fitting name.
    fn export(&self, fits: impl Fn(&str) -> bool) -> Option<(String, InterfaceId)> {
        self.resolve.worlds[self.world].exports.iter().find_map(|(key, item)| {
            let WorldItem::Interface { id, .. } = item else { return None };
            let name = self.resolve.name_world_key(key);
            fits(&name).then_some((name, *id))
        })
    }
}

/// An import of a transform that the host has for others.
fn not_lent(name: &str) -> Mismatch {
    let name = shorten(name);
    let detail = format!("import `{name}`: a transform may use WASI's logging and config, and nothing of a flow's");
    Mismatch { kind: MismatchKind::NotGranted, name, detail, nearest: None }
}

/// An import that the host does not have; `{}` in `detail` stands for its name.
fn unknown(name: &str, detail: &str) -> Mismatch {
    let name = shorten(name);
    Mismatch { kind: MismatchKind::UnknownImport, detail: detail.replace("{}", &name), name, nearest: None }
}

#[cfg(test)]
mod tests;
