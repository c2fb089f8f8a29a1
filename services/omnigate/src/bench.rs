//! `omnigate bench`: measures the gateway on this machine.

mod figures;
mod gateway;
mod inbound;
mod lanes;
mod load;
mod outbound;
mod progress;
mod provider;
mod published;
mod traffic;

use crate::cli::Bench;

/// Runs a benchmark.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<u8> {
    match bench {
        Bench::Inbound(arguments) => inbound::run(arguments).await?,
        Bench::Outbound(arguments) => outbound::run(arguments).await?,
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
