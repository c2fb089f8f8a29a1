//! The `omnigate` binary: arguments in, exit code out.

use clap::Parser as _;
use omnigate::cli::Cli;
use omnigate::commands;
use std::process::ExitCode;

/// The system's allocator took a third of the processor time from push to CustomerEvent, see BENCHMARKS.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Somebody installed one before us; any will do.
    }
    match Box::pin(commands::run(Cli::parse())).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            commands::print::failure(&error);
            ExitCode::FAILURE
        }
    }
}
