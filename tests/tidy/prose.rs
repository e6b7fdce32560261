//! How files are written.

use super::{Findings, Source, mentions, sources};

/// All that is written by hand.
fn written() -> Vec<Source> {
    sources("", &[".rs", ".md", ".toml", ".wit", ".sql", ".json", ".py", ".js", ".ts", ".html", ".css", "run"])
}

#[test]
fn every_module_says_what_it_is() {
    let mut findings = Findings::default();
    for source in sources("", &[".rs"]) {
        if !source.text.trim_start().starts_with("//! ") {
            findings.add(&source.path, 1, "a module begins with `//!` and what it is for");
        }
    }
    findings.none();
}

#[test]
fn comments_are_sentences_not_banners() {
    let mut findings = Findings::default();
    for source in sources("", &[".rs"]) {
        for (number, line) in source.lines() {
            let line = line.trim();
            let rule =
                line.strip_prefix("//").map(|text| text.trim_matches(|c: char| c == '/' || c == '!' || c == ' '));
            let drawn =
                |text: &str| text.len() > 2 && text.chars().filter(|c| "-=*#~+_".contains(*c)).count() * 2 > text.len();
            if rule.is_some_and(|text| drawn(text) && !text.starts_with('|')) {
                findings.add(&source.path, number, "a line that is drawn, not written");
            }
        }
    }
    findings.none();
}

#[test]
fn nothing_is_left_open() {
    let mut findings = Findings::default();
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    for source in written() {
        for (number, line) in source.lines() {
            for word in words.into_iter().filter(|word| mentions(line, word)) {
                findings.add(&source.path, number, format!("`{word}`: what is left to do is an issue, not a comment"));
            }
        }
    }
    findings.none();
}

#[test]
fn no_machine_is_named() {
    let mut findings = Findings::default();
    // The folders in which people and build machines keep their checkouts.
    let homes = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("C:", "\\"),
    ];
    for source in written() {
        for (number, line) in source.lines() {
            for home in homes.into_iter().filter(|home| begins_a_path(line, home)) {
                findings.add(&source.path, number, format!("a path of one machine (`{home}`)"));
            }
        }
    }
    findings.none();
}

/// Whether `line` has a path that begins with `home`, and is not the middle of a longer one or of a URL.
fn begins_a_path(line: &str, home: &str) -> bool {
    let middle = |c: char| c.is_alphanumeric() || "./_-}".contains(c);
    line.match_indices(home).any(|(at, _)| !line[..at].chars().next_back().is_some_and(middle))
}

#[test]
fn files_are_of_a_size_to_be_read() {
    let mut findings = Findings::default();
    for source in sources("host", &[".rs"]) {
        let lines = source.lines().count();
        if lines > LINES_MAX {
            findings.add(&source.path, lines, format!("{lines} lines; a file of more than {LINES_MAX} is two"));
        }
    }
    findings.none();
}

/// Rarely reached; nobody keeps more in mind.
const LINES_MAX: usize = 800;

#[test]
fn paths_of_one_machine_are_seen() {
    let home = homes_of_tests();
    assert!(begins_a_path(&format!("see {home}me/x"), &home));
    assert!(begins_a_path(&format!("\"{home}me\""), &home));
    assert!(!begins_a_path(&format!("https://example.com{home}me"), &home));
}

fn homes_of_tests() -> String {
    concat!("/ho", "me/").to_owned()
}
