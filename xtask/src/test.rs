//! Everything that a change has to pass.

use anyhow::Result;

use crate::run::{cargo, guest_cargo, run};
use crate::{guests, languages, senders};

/// The cheap checks first, so that a slip of the pen is told within seconds.
pub(crate) fn all() -> Result<()> {
    for folder in [".", "guests", "examples"] {
        run(cargo(folder, &["fmt", "--all", "--check"]))?;
    }
    guests::build()?;
    senders::install()?;
    run(guest_cargo("guests", &["test", "--locked", "-p", "flowgate-sdk"]))?;
    run(guest_cargo("examples", &["test", "--locked"]))?;
    languages::test()?;
    run(cargo(".", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut documents = cargo(".", &["doc", "--locked", "--no-deps", "--workspace"]);
    documents.env("RUSTDOCFLAGS", "-D warnings");
    run(documents)?;
    run(cargo(".", &["test", "--locked", "--workspace"]))
}
