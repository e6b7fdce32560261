//! The project's own commands: `cargo xtask test`, `demo`, `guests`, `senders`, `fuzz`, `bench`.

use std::process::ExitCode;

mod bench;
mod demo;
mod fuzz;
mod guests;
mod languages;
mod receiver;
mod run;
mod senders;
mod test;

const HELP: &str = "\
cargo xtask test           installs what is missing, builds the guests, checks and tests everything
cargo xtask demo [--once]  builds everything, starts a server with the examples, sends triggers, keeps serving
                           (--once: stops afterwards; exit code 1 if an answer was wrong)
cargo xtask guests         builds the guests, the examples and the templates, in all languages
cargo xtask senders        installs the programs of others that the tests run
cargo xtask fuzz [TARGET] [--seconds N]
                           runs the fuzz targets whose path contains TARGET, each for N seconds (60)
cargo xtask bench [ARGS]   measures a release build beside a bare server and wasmtime, and writes docs/benchmarks/latest.*
";

#[expect(clippy::print_stderr, reason = "a command line tool talks to whoever started it")]
fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => test::all(),
        ["demo"] => demo::play_all(false),
        ["demo", "--once"] => demo::play_all(true),
        ["guests"] => guests::build(),
        ["senders"] => senders::install(),
        ["fuzz", ref args @ ..] => fuzz::targets(args),
        ["bench", ref args @ ..] => bench::measure(args),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
