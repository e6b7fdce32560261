//! The program: compiles a component when it is the compiler's child, else does what the command line says.

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser as _;
use flowgate::cli::{self, Args};
use flowgate::engine::{Compiler, compile_child};

/// A request makes some hundred small allocations on one thread, and some of them end on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).as_deref() == Some(OsStr::new(Compiler::command())) {
        return compile_child(args);
    }
    without_backtraces();
    cli::run(Args::parse())
}

/// With backtraces on, wasmtime takes one at the end of every execution, which costs as much as the execution. Panics keep
/// theirs.
fn without_backtraces() {
    #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment meanwhile")]
    unsafe {
        std::env::set_var("RUST_LIB_BACKTRACE", "0");
    }
}
