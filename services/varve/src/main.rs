//! The one binary: roles, configuration, tools.
//!
//! `varve` alone runs every role in this process on a local folder. Read
//! `cli.rs` for the commands, `config.rs` for the settings, `run/` for how the
//! roles are put together.

mod allocator;
mod cli;
mod config;
mod run;
mod tools;

use std::process::ExitCode;

use clap::Parser;

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    allocator::take_small_pages();
    match cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varve: {error}");
            ExitCode::FAILURE
        }
    }
}
