//! Nothing is made without a page or a test: problems, schemes, dialects, guests.

use std::collections::BTreeSet;

use super::{Findings, entries, mentions, read, sources, table, top};

#[test]
fn every_problem_has_a_page_and_every_page_a_problem() {
    let mut findings = Findings::default();
    let slugs = flowgate::problem::KINDS.iter().map(|kind| kind.slug).collect::<BTreeSet<_>>();
    for slug in &slugs {
        let path = format!("docs/errors/{slug}.md");
        match read(&path) {
            None => findings.add(&path, 1, format!("problem `{slug}` has no page")),
            Some(page) if !page.text.contains(&format!("`{slug}`")) => {
                findings.add(&path, 1, "does not name its problem");
            }
            Some(_) => {}
        }
    }
    for page in sources("docs/errors", &[".md"]) {
        let slug = page.name().trim_end_matches(".md");
        if slug != "README" && !slugs.contains(slug) {
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
    let fixtures = read("host/signature/testing.rs").unwrap();
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
        if !page.text.contains(&format!("(dialects/{name}.md)")) || read(&format!("docs/dialects/{name}.md")).is_none()
        {
            findings.add(&page.path, 1, format!("dialect `{name}` has no page of its own that is linked here"));
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
