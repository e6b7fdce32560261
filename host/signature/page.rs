//! `docs/schemes.md` is written from the table, so that the two cannot differ.

use std::fmt::Write as _;
use std::path::Path;

use super::handshake::Handshake;
use super::{Facts, SCHEMES};

const PATH: &str = "docs/schemes.md";
/// Replaced by what the table says.
const HEAD: &str = include_str!("page.md");

fn page() -> String {
    let mut table = "| scheme | proof | where | signed | timestamp | delivery id | key | handshake | source |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for row in SCHEMES {
        writeln!(table, "{}", line(&row.facts())).unwrap();
    }
    let handshakes = Handshake::NAMES.map(|(name, _)| format!("`{name}`")).join(", ");
    HEAD.replace("{table}", table.trim_end()).replace("{handshakes}", &handshakes)
}

fn line(facts: &Facts) -> String {
    let code = |text: &str| if text.is_empty() { "–".to_owned() } else { format!("`{}`", text.replace('|', "\\|")) };
    let place = facts.place.as_deref().unwrap_or("");
    let signed = match (facts.algorithm, facts.signed) {
        (Some(algorithm), Some(signed)) => {
            format!("{algorithm}, {}, of {}", facts.encoding.unwrap_or(""), code(signed))
        }
        _ => "–".to_owned(),
    };
    let stamp = match (&facts.timestamp, facts.tolerance_s) {
        (Some(stamp), Some(tolerance_s)) => format!("{}, ± {tolerance_s} s", code(stamp)),
        _ => "–".to_owned(),
    };
    let source = match facts.source.starts_with("https://") {
        true => format!("[page]({}), {}", facts.source, facts.seen),
        false => facts.source.to_owned(),
    };
    let [key, handshake] = [facts.key.as_deref().unwrap_or("–"), facts.handshake.unwrap_or("–")];
    format!(
        "| `{}` | {} | {} | {signed} | {stamp} | {} | {key} | {handshake} | {source} |",
        facts.name,
        facts.about.replace('|', "\\|"),
        code(place),
        code(facts.event_id.unwrap_or(""))
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration, and this is how a person asks for a new page"
)]
fn the_page_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap();
    assert!(
        current == page(),
        "{PATH} is not what the table makes; write it anew: BLESS=1 cargo test --lib the_page_says"
    );
}
