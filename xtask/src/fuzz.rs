//! Fuzzing for longer than a test may take.

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, run};

/// How long a target runs when nothing is said.
const SECONDS: u64 = 60;

/// Runs the targets whose path contains a word, all without one: `[TARGET] [--seconds N]`. Each runs for that long, with
/// random choices; a failure is shown with the seed that brings it back.
pub(crate) fn targets(args: &[&str]) -> Result<()> {
    let (target, seconds) = match args {
        [] => ("fuzz::", SECONDS),
        ["--seconds", seconds] => ("fuzz::", number(seconds)?),
        [target] => (*target, SECONDS),
        [target, "--seconds", seconds] => (*target, number(seconds)?),
        _ => bail!("allowed: `cargo xtask fuzz [TARGET] [--seconds N]`"),
    };
    let mut test = cargo(".", &["test", "--locked", "--package", "flowgate", "--lib", target, "--", "--nocapture"]);
    test.env("BOLERO_RANDOM_TEST_TIME_MS", (seconds * 1_000).to_string());
    run(test)
}

fn number(text: &str) -> Result<u64> {
    let seconds = text.parse().with_context(|| format!("`{text}` is no number of seconds"))?;
    if (1..=1_000_000).contains(&seconds) { Ok(seconds) } else { bail!("allowed: 1 to 1000000 seconds") }
}
