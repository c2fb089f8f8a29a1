//! `omnigate bench`: measures the gateway on this machine.

mod figures;
mod gateway;
mod inbound;
mod lanes;
mod load;
mod progress;
mod published;
mod traffic;

use crate::cli::Bench;

/// Runs a benchmark.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<u8> {
    match bench {
        Bench::Inbound(arguments) => inbound::run(arguments).await?,
    }
    Ok(0)
}
