//! `omnigate bench`: what can be said to it.

use super::Output;
use clap::{Args, Subcommand};

/// `bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Inbound: bare publisher, push to confirmed, push to published, on the same servers.
    #[command(
        after_help = "Example: omnigate bench inbound --broker amqp://127.0.0.1 --store redis://127.0.0.1\n         \
        omnigate bench inbound"
    )]
    Inbound(BenchInbound),
    /// Outbound: single sends over gRPC to an SMSC that takes everything, beside a loop that only calls the adapter.
    #[command(
        after_help = "Example: omnigate bench outbound --broker amqp://127.0.0.1 --store redis://127.0.0.1\n         \
        omnigate bench outbound --window 10"
    )]
    Outbound(BenchOutbound),
}

/// Arguments of `bench outbound`.
#[derive(Debug, Args)]
pub struct BenchOutbound {
    /// Channel; so far there is one that can be measured.
    #[arg(long, default_value = "sms", value_parser = ["sms"])]
    pub channel: String,
    /// Broker; without it the embedded one.
    #[arg(long, env = "OMNIGATE__BROKER__URL", default_value = "", hide_env_values = true)]
    pub broker: String,
    /// Store; without it the embedded one.
    #[arg(long, env = "OMNIGATE__STORE__URL", default_value = "", hide_env_values = true)]
    pub store: String,
    /// Submissions that may be unanswered on the bind.
    #[arg(long, default_value_t = 100)]
    pub window: usize,
    /// Calls in flight.
    #[arg(long, default_value_t = 400)]
    pub concurrency: usize,
    /// Accepted messages that may wait to reach the SMSC.
    #[arg(long, default_value_t = 2_000)]
    pub backlog: usize,
    /// People who are written to.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub recipients: u64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Rounds of all measurements; medians are told.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Arguments of `bench inbound`.
#[derive(Debug, Args)]
pub struct BenchInbound {
    /// Broker; without it the embedded one.
    #[arg(long, env = "OMNIGATE__BROKER__URL", default_value = "", hide_env_values = true)]
    pub broker: String,
    /// Store; without it the embedded one.
    #[arg(long, env = "OMNIGATE__STORE__URL", default_value = "", hide_env_values = true)]
    pub store: String,
    /// Pushes in flight.
    #[arg(long, default_value_t = 1000)]
    pub concurrency: usize,
    /// Customers who write.
    #[arg(long, default_value_t = 10_000)]
    pub customers: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Rounds of all measurements; medians are told.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Works on servers that an earlier benchmark left its customers on.
    #[arg(long)]
    pub again: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}
