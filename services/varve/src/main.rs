//! The one binary: roles, configuration, tools.
//!
//! `varve` alone runs every role in this process on a local folder. Read
//! `cli.rs` for the commands, `config.rs` for the settings, `run/` for how the
//! roles are put together.

mod cli;
mod config;
mod run;
mod tools;

use std::process::ExitCode;

use clap::Parser;

/// Many small buffers come and go by the second: the system's allocator spends
/// a third of a write on them and keeps the holes (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    match cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varve: {error}");
            ExitCode::FAILURE
        }
    }
}
