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

/// The allocator asks for huge pages, each of which counts whole as soon as a
/// byte of it is used: a quarter of the memory after a seal was such holes.
/// An old kernel that refuses keeps them.
fn take_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn main() -> ExitCode {
    take_small_pages();
    match cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("varve: {error}");
            ExitCode::FAILURE
        }
    }
}
