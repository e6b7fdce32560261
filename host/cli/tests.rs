//! What the command line reads, and what `send` makes of it.

use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::send::Send;
use super::{Args, Command, hook};
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_ms(1_763_654_400_000);

fn parse(line: &[&str]) -> Result<Args, String> {
    let words = std::iter::once("flowgate").chain(line.iter().copied());
    Args::try_parse_from(words).map_err(|error| error.to_string())
}
