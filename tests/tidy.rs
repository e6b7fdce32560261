//! The repository keeps the rules that it writes down.
//!
//! Each test gathers everything that breaks its rule and fails with one line for each, `file:line: what and why`. The rules
//! about rooms are read from the tables in `docs/ARCHITECTURE.md`, so that the plan and the house cannot drift apart.

mod pages;
mod plan;
mod prose;

use std::fmt;
use std::path::{Path, PathBuf};

/// A file of the repository.
struct Source {
    /// Relative to the top, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Its lines, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Its lines of code, counted from 1: what follows `//` is left out, unless that is part of a URL.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().map(|(number, line)| {
            let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
            (number, comment.map_or(line, |(at, _)| &line[..at]))
        })
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// What breaks a rule.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, file: &str, line: usize, what: impl fmt::Display) {
        self.0.push(format!("{file}:{line}: {what}"));
    }

    /// Fails with all of them, if there are any.
    #[track_caller]
    fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of one file; `None` when it is not there.
fn read(path: &str) -> Option<Source> {
    let text = std::fs::read_to_string(top().join(path)).ok()?;
    Some(Source { path: path.to_owned(), text })
}

/// All text files below `folder` with one of these endings, sorted. Build output and hidden folders are not looked into.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !matches!(name.as_str(), "target" | "node_modules" | "data") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let relative = path.strip_prefix(top()).unwrap().to_string_lossy().replace('\\', "/");
                found.extend(read(&relative));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What is directly in a folder, which need not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Whether `text` holds `word` with nothing of a word beside it.
fn mentions(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        // An end of `word` that is no letter, as in `axum::`, may stand beside anything.
        let before = part(word.chars().next()) && part(text[..at].chars().next_back());
        let after = part(word.chars().next_back()) && part(text[at + word.len()..].chars().next());
        !before && !after
    })
}

/// The rows of the table whose first heading is `heading`: line, first cell without its backquotes, other cells.
fn table(page: &Source, heading: &str) -> Vec<(usize, String, Vec<String>)> {
    let cells = |line: &str| {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let begins = |line: &str| line.starts_with('|') && cells(line).first().is_some_and(|cell| cell == heading);
    let rows = page.lines().skip_while(|(_, line)| !begins(line)).skip(2).take_while(|(_, line)| line.starts_with('|'));
    rows.map(|(number, line)| {
        let mut cells = cells(line);
        let name = cells.remove(0).trim_matches('`').to_owned();
        (number, name, cells)
    })
    .collect()
}

#[test]
fn words_are_found_as_words() {
    assert!(mentions("use axum::Router;", "axum::"));
    assert!(!mentions("use maxum::Router;", "axum::"));
    assert!(mentions("(Instant, u8)", "Instant"));
    assert!(!mentions("Instantly", "Instant"));
}

#[test]
fn comments_are_not_code() {
    let source = Source { path: String::new(), text: "let a = \"http://x\"; // crate::b\n//! crate::c".to_owned() };
    let code = source.code().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(code, ["let a = \"http://x\"; ", ""]);
}
