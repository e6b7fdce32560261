//! A new flow, from nothing to its first reply, by the commands that an author types; `docs/first-flow.md` tells the same.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::House;
use crate::support::project::{kept, run, shell, stderr, stdout};

/// Makes a project, lends it what a build needs, and does with it all that its README says.
async fn from_new_to_reply(
    template: &[&str],
    (world, packages): (&str, &str),
    unit_tests: &str,
    lend: impl FnOnce(&Path),
) {
    let (house, folder) = (House::start().await, tempfile::tempdir().unwrap());
    let made = run(folder.path(), None, &[&["new", "greeter", "--lang"], template].concat()).await;
    assert!(stderr(&made).contains("cd greeter") && stdout(&made).contains("greeter made"), "{}", stderr(&made));
    // What the project brings with it from a registry is not there, and how it comes is said.
    assert!(stderr(&made).contains(packages), "{}", stderr(&made));
    let project = folder.path().join("greeter");
    lend(&project);
    let readme = std::fs::read_to_string(project.join("README.md")).unwrap();
    assert!(readme.contains(unit_tests), "{readme}");
    let typed = async |words: &[&str]| run(&project, Some(&house), words).await;

    let units = shell(&project, unit_tests).await;
    assert!(units.status.success(), "{}", stderr(&units));
    let tested = typed(&["test"]).await;
    assert!(stdout(&tested).contains("2 passed, 0 failed"), "{}", stdout(&tested));
    let deployed = stdout(&typed(&["deploy", "--no-build", "--smoke", "cases/remembers.toml"]).await);
    assert!(
        deployed.contains(&format!("session@{world}")) && deployed.contains("live is now this version"),
        "{deployed}"
    );
    let hook = stdout(&typed(&["--json", "hook", "create", "greeter", "--flow", "greeter"]).await);
    let hook: Value = serde_json::from_str(&hook).unwrap();
    let secret = hook["secrets"][0]["secret"].as_str().unwrap();
    let send = ["send", "greeter", "--session", "s1", "--data", r#"{"name":"Ada"}"#, "--secret", secret];
    let first = stdout(&typed(&send).await);
    assert!(first.starts_with("Hello, Ada!\n"), "{first}");
    let streamed = stdout(&typed(&[&send[..], &["--stream"]].concat()).await);
    assert!(streamed.contains("Welcome back, Ada!"), "{streamed}");

    // What happened there happens here: exported, it is a case that passes.
    let list: Value = serde_json::from_str(&stdout(&typed(&["--json", "execution", "list"]).await)).unwrap();
    let latest = list["data"][0]["id"].as_str().unwrap();
    let case = stdout(&typed(&["execution", "export", latest]).await);
    assert_eq!(serde_json::from_str::<Value>(&case).unwrap()["turns"].as_array().unwrap().len(), 2, "{case}");
    std::fs::write(project.join("cases/exported.json"), case).unwrap();
    let tested = typed(&["test", "--no-build", "cases/exported.json"]).await;
    assert!(stdout(&tested).contains("1 passed, 0 failed"), "{}", stdout(&tested));
}

#[tokio::test]
async fn in_rust() {
    let target = kept("authors/rust");
    let lend = |project: &Path| symlink(target, project.join("target")).unwrap();
    from_new_to_reply(&["rust"], ("0.1.0", ""), "cargo test", lend).await;
}

#[tokio::test]
async fn in_asynchronous_rust() {
    let target = kept("authors/rust-async");
    let lend = |project: &Path| symlink(target, project.join("target")).unwrap();
    from_new_to_reply(&["rust", "--template", "async"], ("0.2.0", ""), "cargo test", lend).await;
}

#[tokio::test]
async fn in_javascript() {
    let modules = kept("projects/js/node_modules");
    assert!(modules.join("esbuild").exists(), "`cargo xtask guests` installs what a build needs");
    let lend = |project: &Path| symlink(modules, project.join("node_modules")).unwrap();
    from_new_to_reply(&["js"], ("0.1.0", "\n  npm ci\n"), "npm test", lend).await;
}

#[tokio::test]
async fn in_python() {
    let environment = kept("tools/python");
    assert!(environment.join("bin/python").exists(), "`cargo xtask guests` installs what a build needs");
    let lend = |project: &Path| symlink(environment, project.join(".venv")).unwrap();
    from_new_to_reply(&["python"], ("0.1.0", "/pip install"), ".venv/bin/python -m unittest", lend).await;
}
