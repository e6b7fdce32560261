//! Projects: templates as they are embedded, and what `flow.toml` may say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn project(toml: &str) -> Result<Project, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), toml).unwrap();
    Project::find(folder.path())
}

const LEAST: &str = "name = \"greeter\"\n[build]\ncommand = \"true\"\ncomponent = \"a.wasm\"\nwatch = []\n";

#[test]
fn every_template_makes_a_project_that_can_be_read() {
    for template in TEMPLATES {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("my_flow");
        let written = template.write("my_flow", &at).unwrap();
        assert!(written.contains(&PathBuf::from("README.md")) && written.contains(&PathBuf::from(".gitignore")));
        let project = Project::find(&at).unwrap();
        assert_eq!(project.manifest.name, "my_flow", "{}", template.lang);
        for file in &written {
            let bytes = std::fs::read(at.join(file)).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("__NAME__"), "{}", file.display());
        }
        assert!(matches!(template.write("my_flow", &at), Err(Error::Taken(_))), "nothing is overwritten");
    }
}

/// The list of an embedded folder is as old as the last compilation of this crate.
#[test]
fn what_is_embedded_is_what_stands_in_the_repository() {
    fn files(folder: &Path, under: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, own) = (entry.path(), under.join(entry.file_name()));
            let left = ["node_modules", "__pycache__", "build", "test"].iter().any(|left| entry.file_name() == *left);
            match path.is_dir() {
                _ if left => {}
                true => files(&path, &own, found),
                false => found.extend([own]),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    type Beside = &'static [(&'static str, &'static str)];
    let beside: [(&str, &str, &str, Beside); 4] = [
        ("rust", "greeter", "rust", &[("guests/sdk", "flowgate-sdk")]),
        ("rust", "async", "rust-async", &[("guests/sdk", "flowgate-sdk")]),
        ("js", "greeter", "js", &[("guests/js", "flowgate"), ("wit", "wit")]),
        ("python", "greeter", "python", &[("guests/python/flowgate", "flowgate"), ("wit", "wit")]),
    ];
    for (lang, name, template, beside) in beside {
        let mut expected = BTreeSet::new();
        files(&root.join("guests/templates").join(template), Path::new(""), &mut expected);
        for (from, to) in beside {
            files(&root.join(from), Path::new(to), &mut expected);
        }
        let folder = tempfile::tempdir().unwrap();
        let written = Template::find(lang, Some(name)).unwrap().write("a", &folder.path().join("a")).unwrap();
        assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), expected, "touch host/project/template.rs");
    }
}

#[test]
fn a_name_has_to_suit_its_language() {
    let folder = tempfile::tempdir().unwrap();
    let rust = Template::find("rust", None).unwrap();
    assert!(matches!(rust.write("7up", &folder.path().join("a")), Err(Error::NotHere { .. })));
    assert!(matches!(rust.write("A b", &folder.path().join("a")), Err(Error::BadName { .. })));
    assert!(!folder.path().join("a").exists());
}

#[test]
fn what_is_not_known_is_told_with_the_nearest_name() {
    let told = project(&LEAST.replace("command", "comand")).unwrap_err().to_string();
    assert!(told.contains("comand") && told.ends_with("did you mean `command`?"), "{told}");
    let told = project(&format!("{LEAST}[[grants.http]]\nhosts = \"a\"\n")).unwrap_err().to_string();
    assert!(told.ends_with("did you mean `host`?"), "{told}");
    assert!(project(LEAST).is_ok());
    assert!(matches!(project(&LEAST.replace("greeter", "A B")), Err(Error::BadName { .. })));
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(Project::find(nowhere.path()), Err(Error::NoProject(_))));
}

#[tokio::test]
async fn a_build_that_fails_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let of = |command: &str| {
        let needs = "[[build.needs]]\ncheck = \"true\"\ninstall = \"get a\"\n[[build.needs]]\ncheck = \"false\"\ninstall = \"get b\"\n";
        std::fs::write(folder.path().join(FILE), LEAST.replace("\"true\"", &format!("\"{command}\"")) + needs).unwrap();
        Project::find(folder.path()).unwrap()
    };
    let told = of("exit 3").build().await.unwrap_err().to_string();
    assert_eq!(told, "the build failed: `exit 3` ended with code 3\nhint: the build needs what this installs: get b");
    assert!(matches!(of("true").build().await, Err(Error::NoComponent(_))));
    assert_eq!(of("printf abc > a.wasm").build().await.unwrap().size_bytes, 3);
}

#[tokio::test]
async fn a_build_that_is_not_waited_for_is_stopped_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("held");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // The grandchild holds one end of the pipe; the other end is read to its end when all have gone.
    let toml = LEAST.replace("\"true\"", "\"(echo begun; exec sleep 1000) > held & wait\"");
    std::fs::write(folder.path().join(FILE), toml).unwrap();
    let project = Project::find(folder.path()).unwrap();
    let (begun, waiting) = tokio::sync::oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(std::fs::File::open(fifo).unwrap()));
        begun.send(lines.next().unwrap().unwrap()).unwrap();
        lines.next().is_none()
    });
    tokio::select! {
        built = project.build() => panic!("{built:?}"),
        line = waiting => assert_eq!(line.unwrap(), "begun"),
    }
    assert!(reader.await.unwrap());
}
