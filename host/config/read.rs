//! From a file and variables to a [`Config`], collecting all that is wrong.
//!
//! The defaults say which keys there are and of what type each is. Every value that is given is tried alone on top of the
//! defaults, so that one wrong value does not hide another.

use std::path::Path;

use toml::{Table, Value};

use super::allowed::allowed;
use super::{Config, Error, Invalid};
use crate::engine::nearest;
use crate::llm;

/// The section whose keys are the operator's own, each a section of what an alias stands for.
const MODELS: &str = "models";

/// What a variable of ours begins with.
const PREFIX: &str = "FLOWGATE_";

/// Reads a file into a table.
pub(super) fn file(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let reason = |error: toml::de::Error| error.to_string().trim_end().to_owned();
    text.parse().map_err(|error| Error::Syntax { path: path.to_owned(), reason: reason(error) })
}

/// The defaults, changed by the file and then by the variables.
pub(super) fn config(
    file: Option<(&Path, Table)>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let defaults = Table::try_from(Config::default()).expect("every option has a TOML form");
    let mut reading = Reading { table: defaults.clone(), defaults, problems: Vec::new() };
    if let Some((path, table)) = file {
        reading.file(&path.display().to_string(), table);
    }
    for (name, value) in variables {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            reading.variable(&name, &rest.to_ascii_lowercase(), &value);
        }
    }
    reading.finish()
}

struct Reading {
    defaults: Table,
    table: Table,
    problems: Vec<Invalid>,
}

impl Reading {
    fn file(&mut self, origin: &str, table: Table) {
        for (section, value) in table {
            match (self.names(&section), value) {
                (Some(_), Value::Table(keys)) => {
                    for (key, value) in keys {
                        if section == MODELS {
                            self.model(&key, origin, value);
                            continue;
                        }
                        self.set(&section, &key, origin, vec![value]);
                    }
                }
                (Some(_), value) => {
                    self.wrong(&section, origin, format!("is `{value}`; allowed: a section, `[{section}]`"));
                }
                (None, _) => {
                    let message = unknown("a section", &section, &self.defaults);
                    self.wrong(&section, origin, message);
                }
            }
        }
    }

    /// Takes a variable whose name, without the prefix and in lower case, begins with a section. Others are left alone,
    /// since not all that begins with our prefix is ours, unless they look like a slip of the pen.
    fn variable(&mut self, origin: &str, name: &str, value: &str) {
        let Some((section, key)) = name.split_once('_') else { return };
        if section == MODELS {
            // Written as in a file: `{ provider = "ollama", model = "llama3.2" }`.
            let table = format!("model = {value}").parse::<Table>().ok();
            let value = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("model"));
            return self.model(key, origin, value.unwrap_or_else(|| Value::String("no table".to_owned())));
        }
        if let Some(default) = self.names(section).map(|keys| keys.get(key)) {
            let candidates = candidates(default, value);
            self.set(section, key, origin, candidates);
        } else if nearest(section, self.defaults.keys().map(|known| (known.as_str(), ()))).is_some() {
            let message = unknown("a section", section, &self.defaults);
            self.wrong(section, origin, message);
        }
    }

    /// Sets a key to the first of some values that fits; the last one is what a message shows.
    fn set(&mut self, section: &str, key: &str, origin: &str, candidates: Vec<Value>) {
        let path = format!("{section}.{key}");
        let keys = self.names(section).expect("the caller knows the section");
        if !keys.contains_key(key) {
            let message = unknown("a key", key, keys);
            return self.wrong(&path, origin, message);
        }
        let allowed = allowed(&path);
        let shown = candidates.last().map(|value| without_password(&value.to_string())).unwrap_or_default();
        let fitting = candidates.into_iter().find(|value| allowed.admits(value) && self.fits(section, key, value));
        match (fitting, self.table.get_mut(section)) {
            (Some(value), Some(Value::Table(keys))) => {
                keys.insert(key.to_owned(), value);
            }
            _ => self.wrong(&path, origin, format!("is `{shown}`; allowed: {allowed}")),
        }
    }

    /// Sets what an alias stands for.
    fn model(&mut self, alias: &str, origin: &str, value: Value) {
        let path = format!("{MODELS}.{alias}");
        let wrong = match value.clone().try_into::<llm::Spec>() {
            Ok(spec) => match spec.check(alias) {
                Ok(()) => {
                    let models = self.table.get_mut(MODELS).and_then(Value::as_table_mut);
                    models.expect("there is a model by default").insert(alias.to_owned(), value);
                    return;
                }
                Err(("", reason)) => (path, reason),
                Err((key, reason)) => (format!("{path}.{key}"), reason),
            },
            // The reason is told without the value, which might be a key that was put in the wrong place.
            Err(error) => (path, format!("is refused: {}", error.message().trim())),
        };
        self.wrong(&wrong.0, origin, wrong.1);
    }

    /// Whether the configuration can be read with this value and all others at their defaults.
    fn fits(&self, section: &str, key: &str, value: &Value) -> bool {
        let mut table = self.defaults.clone();
        if let Some(Value::Table(keys)) = table.get_mut(section) {
            keys.insert(key.to_owned(), value.clone());
        }
        table.try_into::<Config>().is_ok_and(|config| config.telemetry.check().is_ok())
    }

    fn names(&self, section: &str) -> Option<&Table> {
        self.defaults.get(section).and_then(Value::as_table)
    }

    fn wrong(&mut self, key: &str, origin: &str, message: String) {
        self.problems.push(Invalid { key: key.to_owned(), origin: origin.to_owned(), message });
    }

    fn finish(self) -> Result<Config, Error> {
        if !self.problems.is_empty() {
            return Err(Error::Invalid(self.problems));
        }
        let config: Config = self.table.try_into().expect("every value was tried before");
        config.models.check().map_err(|(alias, key, message)| {
            let (key, origin) = (format!("{MODELS}.{alias}.{key}"), "all together".to_owned());
            Error::Invalid(vec![Invalid { key, origin, message }])
        })?;
        Ok(config)
    }
}

/// What the text of a variable may mean, the likelier first.
fn candidates(default: Option<&Value>, text: &str) -> Vec<Value> {
    let whole = |text: &str| text.trim().parse::<i64>().map(Value::Integer).ok();
    let mut candidates = Vec::new();
    match default {
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            candidates.extend(items.clone().map(whole).collect::<Option<Vec<_>>>().map(Value::Array));
            candidates.push(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()));
        }
        Some(Value::Integer(_)) => candidates.extend(whole(text)),
        Some(Value::Boolean(_)) => candidates.extend(text.trim().parse().map(Value::Boolean)),
        _ => {}
    }
    if candidates.is_empty() {
        candidates.push(Value::String(text.to_owned()));
    }
    candidates
}

/// A value for people to see: what stands before the `@` of a URL is nobody's business.
fn without_password(value: &str) -> String {
    match (value.find("://"), value.rfind('@')) {
        (Some(start), Some(end)) if start < end => format!("{}***{}", &value[..start + 3], &value[end..]),
        _ => value.to_owned(),
    }
}

fn unknown(what: &str, name: &str, known: &Table) -> String {
    let known: Vec<_> = known.keys().map(String::as_str).collect();
    let meant = nearest(name, known.iter().map(|known| (*known, known)));
    let meant = meant.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
    format!("is not {what}; {meant}allowed: {}", known.join(", "))
}
