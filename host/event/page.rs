//! `docs/events.md` is written from the table, so that the two cannot differ.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::{CATALOGUE, Format, Row};

const PATH: &str = "docs/events.md";
/// Replaced by what the table says.
const HEAD: &str = include_str!("page.md");

fn page() -> String {
    let rows = |format| CATALOGUE.iter().filter(move |row| row.format() == format);
    let mut native = "| event | when |\n|---|---|\n".to_owned();
    for row in rows(Format::Native) {
        writeln!(native, "| `{}` | {} |", row.name, row.doc).unwrap();
    }
    let mut views = "| event | when | the same as |\n|---|---|---|\n".to_owned();
    for row in rows(Format::AgenticFlow) {
        let same = row.view_of.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
        writeln!(views, "| `{}` | {} | {same} |", row.name, row.doc).unwrap();
    }
    let filled = HEAD.replace("{native}", native.trim_end()).replace("{views}", views.trim_end());
    filled.replace("{fields}", fields().trim_end())
}

/// One list of fields for all names that share it.
fn fields() -> String {
    let mut groups: Vec<(Value, Vec<&Row>)> = Vec::new();
    for row in CATALOGUE {
        let data = row.schema()["properties"]["data"].take();
        match groups.iter_mut().find(|(known, _)| *known == data) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((data, vec![row])),
        }
    }
    let mut text = String::new();
    for (data, rows) in groups {
        let names = rows.iter().map(|row| format!("`{}`", row.name)).collect::<Vec<_>>().join(", ");
        writeln!(text, "{names}:\n\n{}", list(&data, "")).unwrap();
    }
    text
}

fn list(schema: &Value, indent: &str) -> String {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let none = Map::new();
    let mut text = String::new();
    for (name, field) in schema["properties"].as_object().unwrap_or(&none) {
        let mark = if required.contains(&Value::from(name.as_str())) { "" } else { "?" };
        let kind = field["format"].as_str().or(field["type"].as_str()).map(|kind| format!(" ({kind})"));
        let doc = field["description"].as_str().unwrap_or_default();
        writeln!(text, "{indent}- `{name}`{mark}{}: {doc}", kind.unwrap_or_default()).unwrap();
        text += &list(field, &format!("{indent}  "));
    }
    text
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration, and this is how a person asks for a new page"
)]
fn the_page_says_what_the_catalogue_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == page(),
        "{PATH} is not what the table makes; write it anew: BLESS=1 cargo test --lib the_page_says"
    );
}
