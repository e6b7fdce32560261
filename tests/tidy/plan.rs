//! Rooms: what is there, in which order, and who knows whom.

use std::collections::BTreeMap;

use super::{Findings, Source, mentions, read, sources, table};

const PAGE: &str = "docs/ARCHITECTURE.md";

/// One row of the floor plan.
struct Room {
    name: String,
    line: usize,
    imports: Vec<String>,
}

fn page() -> Source {
    read(PAGE).expect("the floor plan is in docs/ARCHITECTURE.md")
}

/// The floor plan, ground first.
fn plan() -> Vec<Room> {
    let mut rooms: Vec<Room> = Vec::new();
    for (line, name, cells) in table(&page(), "room") {
        let imports = match cells[1].as_str() {
            "–" => Vec::new(),
            "every room above" => rooms.iter().map(|room| room.name.clone()).collect(),
            list => list.split(", ").map(str::to_owned).collect(),
        };
        rooms.push(Room { name, line, imports });
    }
    assert!(rooms.len() > 10, "{PAGE} has no floor plan that can be read");
    rooms
}

/// The room that a file under `host/` belongs to; `None` for the crate's root and the binary's.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("host/")?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// The rooms that a text names as `crate::room` or in `crate::{room, room::thing}`, each with its line.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let number = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => outer_items(group),
            None => vec![rest],
        };
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let names = names.into_iter().map(|name| word(name.trim())).filter(|name| !name.is_empty());
        found.extend(names.map(|name| (number, name)));
    }
    found
}

/// The items of a group that is open at its start, without what is in inner groups.
fn outer_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                return items;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&group[start..]);
    items
}

#[test]
fn the_plan_is_in_order() {
    let mut findings = Findings::default();
    let rooms = plan();
    for (index, room) in rooms.iter().enumerate() {
        for import in &room.imports {
            if !rooms[..index].iter().any(|above| above.name == *import) {
                findings.add(PAGE, room.line, format!("`{}` may import `{import}`, which is not above it", room.name));
            }
        }
    }
    findings.none();
}

#[test]
fn the_house_is_as_planned() {
    let mut findings = Findings::default();
    let rooms = plan();
    let root = read("host/lib.rs").unwrap();
    let mut last = 0;
    for (number, line) in root.code() {
        let Some(name) = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")) else { continue };
        let name = name.trim_end_matches(';');
        match rooms.iter().position(|room| room.name == name) {
            None => findings.add(&root.path, number, format!("room `{name}` is not in the floor plan of {PAGE}")),
            Some(at) if at < last => {
                findings.add(
                    &root.path,
                    number,
                    format!("room `{name}` stands below `{}` in {PAGE}", rooms[last].name),
                );
            }
            Some(at) => last = at,
        }
    }
    findings.none();
}

#[test]
fn rooms_import_only_what_their_row_allows() {
    let mut findings = Findings::default();
    let rooms = plan().into_iter().map(|room| (room.name, room.imports)).collect::<BTreeMap<_, _>>();
    for source in sources("host", &[".rs"]) {
        let Some(room) = room_of(&source.path) else { continue };
        let Some(allowed) = rooms.get(room) else { continue };
        let code = source.code().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        for (number, import) in imports(&code) {
            if rooms.contains_key(&import) && import != room && !allowed.contains(&import) {
                findings.add(&source.path, number, format!("room `{room}` may not import `{import}` ({PAGE})"));
            }
        }
    }
    findings.none();
}

#[test]
fn walls_stand() {
    let mut findings = Findings::default();
    let walls = table(&page(), "name");
    assert!(walls.len() > 5, "{PAGE} has no table of walls that can be read");
    for source in sources("host", &[".rs"]) {
        let room = room_of(&source.path).unwrap_or("");
        for (_, name, cells) in &walls {
            if cells[0].split(", ").any(|allowed| allowed == room) {
                continue;
            }
            for (number, line) in source.code() {
                if mentions(line, name) {
                    findings.add(&source.path, number, format!("only {} may name `{name}` ({PAGE})", cells[0]));
                }
            }
        }
    }
    findings.none();
}

/// The one file that may compare secrets.
const COMPARISON: &str = "host/signature/equal.rs";

#[test]
fn secrets_are_compared_in_one_place() {
    let mut findings = Findings::default();
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    for source in sources("host", &[".rs"]).iter().filter(|source| source.path != COMPARISON && !is_test(&source.path))
    {
        for (number, line) in source.code() {
            if compares_a_secret(line) {
                findings.add(&source.path, number, "a secret is compared by `signature::equal` and nothing else");
            }
        }
    }
    findings.none();
}

/// Methods that compare, and stop at the first difference.
const COMPARING: [&str; 8] =
    ["eq(", "ne(", "cmp(", "partial_cmp(", "eq_ignore_ascii_case(", "starts_with(", "ends_with(", "find("];

/// What the last word of a secret's name is.
const SECRETS: [&str; 12] = [
    "expose",
    "secret",
    "password",
    "token",
    "api_key",
    "private_key",
    "credential",
    "credentials",
    "plaintext",
    "hmac",
    "mac",
    "signature",
];

/// Whether an operand of `==`, `!=` or of a method that compares is called like a secret. What is known of a secret but is not it (its
/// length, id or kind) may be compared. `Secret` itself has no `==`.
fn compares_a_secret(line: &str) -> bool {
    let operand = |c: char| c.is_alphanumeric() || "_.()&*?".contains(c);
    let secret = |text: &str| {
        let text = text.trim_matches(|c| "()&*?".contains(c)).trim_end_matches(".as_bytes").trim_end_matches(".as_str");
        let last = text.trim_end_matches(['(', ')']).rsplit('.').next().unwrap_or("");
        SECRETS.iter().any(|name| last.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
    };
    let by_method = line.match_indices('.').any(|(at, dot)| {
        let (before, after) = (&line[..at], &line[at + dot.len()..]);
        let receiver = before.rsplit(|c| !operand(c)).next().unwrap_or("");
        COMPARING.iter().any(|method| after.starts_with(method)) && secret(receiver)
    });
    by_method
        || line.match_indices("==").chain(line.match_indices("!=")).any(|(at, sign)| {
            let left = line[..at].trim_end().rsplit(|c| !operand(c)).next().unwrap_or("");
            let right = line[at + sign.len()..].trim_start().split(|c| !operand(c)).next().unwrap_or("");
            secret(left) || secret(right)
        })
}

#[test]
fn comparisons_of_secrets_are_seen() {
    for line in [
        "if secret == given {",
        "a != row.token",
        "if held.expose() == x",
        "x == secret.as_bytes()",
        "&password == b",
        "old_secret == b",
        "hook.verify_token != given",
        "secret.expose().eq(given)",
        "token.as_bytes().starts_with(b)",
        "if hmac == given_hmac",
    ] {
        assert!(compares_a_secret(line), "{line}");
    }
    for line in [
        "secret.id == id",
        "tokens.len() == 2",
        "secrets == 3",
        "token_kind == Kind::A",
        "let secret = a == b",
        "name.starts_with(secret_prefix)",
        "text.find(b)",
    ] {
        assert!(!compares_a_secret(line), "{line}");
    }
}

#[test]
fn imports_are_seen_in_every_form() {
    let names = |code| imports(code).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names("use crate::store::{self, Page};"), ["store"]);
    assert_eq!(names("use crate::{id, clock::{Clock, Timestamp}, store};"), ["id", "clock", "store"]);
    assert_eq!(names("use crate::{\n    id,\n    store::Store,\n};"), ["id", "store"]);
    assert_eq!(
        imports("let a: crate::id::Id =\n crate::clock::now();"),
        [(1, "id".to_owned()), (2, "clock".to_owned())]
    );
    assert_eq!(room_of("host/store/writer.rs"), Some("store"));
    assert_eq!(room_of("host/id.rs"), Some("id"));
    assert_eq!(room_of("host/main.rs"), None);
}
