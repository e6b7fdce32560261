//! Nothing is made without a page or a test: problems, schemes, dialects, guests.

use std::collections::BTreeSet;

use super::{Findings, Source, entries, mentions, read, sources, table, top};

/// The texts in quotes that follow `key` in these files, with where they are.
fn named(sources: &[Source], key: &str) -> Vec<(String, String, usize)> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.code() {
            for (at, _) in line.match_indices(key) {
                let quoted =
                    line[at + key.len()..].trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
                found.extend(quoted.map(|(name, _)| (name.to_owned(), source.path.clone(), number)));
            }
        }
    }
    found
}

/// The files of a room, whether it is one file or a folder.
fn room(name: &str) -> Vec<Source> {
    let mut files = sources(&format!("host/{name}"), &[".rs"]);
    files.extend(read(&format!("host/{name}.rs")));
    files.retain(|file| file.name() != "tests.rs");
    files
}

#[test]
fn every_problem_has_a_page_and_every_page_a_problem() {
    let mut findings = Findings::default();
    let files = room("problem");
    let slugs = named(&files, "slug:");
    if files.iter().any(|file| !file.text.is_empty()) && slugs.is_empty() {
        findings.add("host/problem", 1, "no slug can be read; tidy looks for `slug: \"…\"`");
    }
    for (slug, path, line) in &slugs {
        match read(&format!("docs/errors/{slug}.md")) {
            None => findings.add(path, *line, format!("problem `{slug}` has no page docs/errors/{slug}.md")),
            Some(page) if !page.text.contains(slug.as_str()) => {
                findings.add(&page.path, 1, "the page does not name its problem");
            }
            Some(_) => {}
        }
    }
    for page in sources("docs/errors", &[".md"]) {
        let slug = page.name().trim_end_matches(".md");
        if slug != "README" && !slugs.iter().any(|(known, ..)| known == slug) {
            findings.add(&page.path, 1, format!("there is no problem `{slug}`"));
        }
    }
    findings.none();
}

#[test]
fn every_scheme_has_a_row_in_its_page_and_a_fixture() {
    let mut findings = Findings::default();
    let page = read("docs/schemes.md").unwrap();
    let rows = table(&page, "scheme").into_iter().map(|(_, name, _)| name).collect::<BTreeSet<_>>();
    let schemes = flowgate::signature::SCHEMES.iter().map(|row| row.name.to_owned()).collect::<BTreeSet<_>>();
    for name in schemes.difference(&rows) {
        findings.add(&page.path, 1, format!("scheme `{name}` is not in the table"));
    }
    for name in rows.difference(&schemes) {
        findings.add(&page.path, 1, format!("there is no scheme `{name}`"));
    }
    let fixtures = read("host/signature/tests.rs").unwrap();
    for name in &schemes {
        if read(&format!("tests/fixtures/signature/{name}.json")).is_none()
            || !fixtures.text.contains(&format!("\"{name}\""))
        {
            findings.add(
                &fixtures.path,
                1,
                format!("scheme `{name}` has no tests/fixtures/signature/{name}.json that is read"),
            );
        }
    }
    findings.none();
}

#[test]
fn every_dialect_has_a_section_in_its_page_and_tests() {
    let mut findings = Findings::default();
    let page = read("docs/dialects.md").unwrap();
    for (name, _) in flowgate::dialect::DIALECTS {
        if !page.lines().any(|(_, line)| line == format!("## `{name}`")) {
            findings.add(&page.path, 1, format!("dialect `{name}` has no section"));
        }
        let file = read(&format!("host/dialect/{name}.rs"));
        if !file.is_some_and(|file| file.text.contains("#[test]")) {
            findings.add(&format!("host/dialect/{name}.rs"), 1, format!("dialect `{name}` has no file with tests"));
        }
    }
    findings.none();
}

#[test]
fn every_guest_is_run_by_a_test() {
    let mut findings = Findings::default();
    let mut tests = sources("tests", &[".rs"]);
    tests.retain(|test| !test.path.starts_with("tests/tidy"));
    tests.extend(sources("host", &["tests.rs"]));
    for suite in ["honest", "hostile"] {
        for guest in entries(&top().join("guests").join(suite)) {
            let name = guest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !tests.iter().any(|test| mentions(&test.text, &name)) {
                findings.add(&format!("guests/{suite}/{name}"), 1, "no test names this guest");
            }
        }
    }
    findings.none();
}
