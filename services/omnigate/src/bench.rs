//! `omnigate bench`: measures the gateway on this machine.

mod audience;
mod bare;
mod campaign;
mod deliveries;
mod figures;
mod gateway;
mod host;
mod inbound;
mod lanes;
mod load;
mod outbound;
mod peer;
mod progress;
mod provider;
mod published;
mod servers;
mod table;
mod timeline;
mod traffic;

use crate::cli::Bench;
use omnigate_runtime::{config::Log, telemetry};

/// Runs a benchmark.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<u8> {
    let level = std::env::var("OMNIGATE__LOG__LEVEL").unwrap_or_else(|_| "error".to_owned());
    let _telemetry = telemetry::init(&Log { format: None, level })?;
    match bench {
        Bench::Inbound(arguments) if arguments.channel.is_some() => deliveries::run(arguments).await?,
        Bench::Inbound(arguments) => Box::pin(inbound::run(arguments)).await?,
        Bench::Outbound(arguments) => outbound::run(arguments).await?,
        Bench::Timeline(arguments) => timeline::run(arguments).await?,
        Bench::Audience(arguments) => audience::run(arguments).await?,
        Bench::Campaign(arguments) => Box::pin(campaign::run(arguments)).await?,
    }
    Ok(0)
}

/// Resident memory of this process in MiB; nought where the system does not tell.
fn resident() -> anyhow::Result<f64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return Ok(0.0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("0")
        .parse()?;
    Ok(kib / 1024.0)
}
