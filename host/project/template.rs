//! Projects to begin from. They stand in `guests/templates` as data, with [`NAME`] wherever the flow's name belongs; each
//! comes with the SDK of its language, since an author needs nothing but `flowgate` and the compiler.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

use super::{Error, file};
use crate::id;

/// What stands for the flow's name in a template.
const NAME: &str = "__NAME__";

/// What a name must be like, and the same for people.
type Rule = (fn(&str) -> bool, &'static str);

/// A project to begin from.
#[derive(Debug)]
pub struct Template {
    /// The language, as `--lang` has it.
    pub lang: &'static str,
    /// What distinguishes it from the others of its language, as `--template` has it.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    files: Dir<'static>,
    /// What else goes into the project, each with the folder that it goes to.
    beside: &'static [(&'static str, Dir<'static>)],
    /// What the language wants of a name beyond what a flow wants.
    rule: Option<Rule>,
}

/// All of them; the first one of a language is what it gets without `--template`.
pub static TEMPLATES: &[Template] = &[
    Template {
        lang: "rust",
        name: "greeter",
        about: "greets and remembers; plain cargo",
        files: include_dir!("$CARGO_MANIFEST_DIR/guests/templates/rust"),
        beside: &[RUST_SDK],
        rule: Some(A_CRATE),
    },
    Template {
        lang: "rust",
        name: "async",
        about: "the same with calls at one time and a reply that streams",
        files: include_dir!("$CARGO_MANIFEST_DIR/guests/templates/rust-async"),
        beside: &[RUST_SDK],
        rule: Some(A_CRATE),
    },
    Template {
        lang: "js",
        name: "greeter",
        about: "the same in JavaScript; TypeScript as well",
        files: include_dir!("$CARGO_MANIFEST_DIR/guests/templates/js"),
        beside: &[("flowgate", include_dir!("$CARGO_MANIFEST_DIR/guests/js")), WIT],
        rule: None,
    },
    Template {
        lang: "python",
        name: "greeter",
        about: "the same in Python",
        files: include_dir!("$CARGO_MANIFEST_DIR/guests/templates/python"),
        beside: &[("flowgate", include_dir!("$CARGO_MANIFEST_DIR/guests/python/flowgate")), WIT],
        rule: None,
    },
];

const RUST_SDK: (&str, Dir<'static>) = ("flowgate-sdk", include_dir!("$CARGO_MANIFEST_DIR/guests/sdk"));

const A_CRATE: Rule = (|name| !name.starts_with(|c: char| c.is_ascii_digit()), "a crate's name begins with a letter");

/// The contract, where the SDK does not hold it already.
const WIT: (&str, Dir<'static>) = ("wit", include_dir!("$CARGO_MANIFEST_DIR/wit"));

/// What tools leave in a folder, and what only the SDK's own developers need.
const LEFT_OUT: [&str; 4] = ["node_modules", "__pycache__", "build", "test"];

impl Template {
    /// The template of a language; its first one when no name is given.
    pub fn find(lang: &str, name: Option<&str>) -> Option<&'static Self> {
        TEMPLATES.iter().find(|one| one.lang == lang && name.is_none_or(|name| one.name == name))
    }

    /// Writes the project `name` into `folder`, which may be there if it is empty. Returns the files, relative to it.
    pub fn write(&self, name: &str, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        id::check_name(name).map_err(|source| Error::BadName { name: name.to_owned(), source })?;
        if let Some((_, rule)) = self.rule.filter(|(fits, _)| !fits(name)) {
            return Err(Error::NotHere { name: name.to_owned(), lang: self.lang, rule });
        }
        std::fs::create_dir_all(folder).map_err(file("make", folder))?;
        if std::fs::read_dir(folder).map_err(file("read", folder))?.next().is_some() {
            return Err(Error::Taken(folder.to_owned()));
        }
        let mut written = Vec::new();
        copy(&self.files, Path::new(""), folder, name, &mut written)?;
        for (own, files) in self.beside {
            copy(files, Path::new(own), folder, name, &mut written)?;
        }
        written.sort();
        Ok(written)
    }
}

fn copy(from: &Dir<'_>, under: &Path, folder: &Path, name: &str, written: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in from.entries() {
        let relative = under.join(entry.path());
        let path = folder.join(&relative);
        if relative.file_name().is_some_and(|name| LEFT_OUT.iter().any(|left| name == *left)) {
            continue;
        }
        match entry {
            DirEntry::Dir(inner) => copy(inner, under, folder, name, written)?,
            DirEntry::File(one) => {
                let parent = path.parent().expect("it is in a folder");
                std::fs::create_dir_all(parent).map_err(file("make", parent))?;
                let contents = match std::str::from_utf8(one.contents()) {
                    Ok(text) => text.replace(NAME, name).into_bytes(),
                    Err(_) => one.contents().to_vec(),
                };
                // Never over a file that somebody made meanwhile.
                let mut new = std::fs::File::create_new(&path).map_err(file("write", &path))?;
                new.write_all(&contents).map_err(file("write", &path))?;
                written.push(relative);
            }
        }
    }
    Ok(())
}
