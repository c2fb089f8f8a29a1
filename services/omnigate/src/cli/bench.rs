//! `omnigate bench`: what can be said to it.

use super::Output;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Inbound: bare publisher, push to confirmed, push to published, on the same servers; with a channel, from its
    /// provider to accepted and to published, beside a loop over the same adapter with nothing behind it.
    #[command(
        after_help = "Example: omnigate bench inbound --broker amqp://127.0.0.1 --store redis://127.0.0.1\n         \
        omnigate bench inbound\n         \
        omnigate bench inbound --channel sms --binds 1 --peer tests/bench/peers/kannel"
    )]
    Inbound(BenchInbound),
    /// Outbound: single sends over gRPC to an SMSC that takes everything, beside a loop that only calls the adapter.
    #[command(
        after_help = "Example: omnigate bench outbound --broker amqp://127.0.0.1 --store redis://127.0.0.1\n         \
        omnigate bench outbound --channel sms --window 10 --peer tests/bench/peers/kannel"
    )]
    Outbound(BenchOutbound),
    /// What customers and their messages take in the store, and how long a page of a timeline takes, short and long.
    #[command(after_help = "Example: omnigate bench timeline --store redis://127.0.0.1 --longest 1000000")]
    Timeline(BenchTimeline),
    /// Imports into an audience: rows of people whom nobody knows, and the same rows again.
    #[command(after_help = "Example: omnigate bench audience --broker amqp://127.0.0.1 --store redis://127.0.0.1")]
    Audience(BenchAudience),
    /// A campaign by SMS from its start to its end, to an SMSC that takes everything.
    #[command(
        after_help = "Example: omnigate bench campaign --broker amqp://127.0.0.1 --store redis://127.0.0.1 \
                            --recipients 1000000 --rounds 1"
    )]
    Campaign(BenchCampaign),
}

/// Arguments of `bench campaign`.
#[derive(Debug, Args)]
pub struct BenchCampaign {
    /// Broker; without it the embedded one.
    #[arg(long, env = "OMNIGATE__BROKER__URL", default_value = "", hide_env_values = true)]
    pub broker: String,
    /// Store; without it the embedded one.
    #[arg(long, env = "OMNIGATE__STORE__URL", default_value = "", hide_env_values = true)]
    pub store: String,
    /// Recipients.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub recipients: u64,
    /// Binds to the SMSC.
    #[arg(long, default_value_t = 1, value_parser = binds)]
    pub binds: usize,
    /// Submissions that may be unanswered on each bind.
    #[arg(long, default_value_t = 100, value_parser = window)]
    pub window: usize,
    /// Rounds of all measurements; medians are told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub rounds: u64,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Arguments of `bench audience`.
#[derive(Debug, Args)]
pub struct BenchAudience {
    /// Broker; without it the embedded one.
    #[arg(long, env = "OMNIGATE__BROKER__URL", default_value = "", hide_env_values = true)]
    pub broker: String,
    /// Store; without it the embedded one.
    #[arg(long, env = "OMNIGATE__STORE__URL", default_value = "", hide_env_values = true)]
    pub store: String,
    /// Rows of a file, each with one phone number.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rows: u64,
    /// Rounds of all measurements; medians are told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub rounds: u64,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Arguments of `bench timeline`.
#[derive(Debug, Args)]
pub struct BenchTimeline {
    /// Store; without it the embedded one, which does not tell what it takes.
    #[arg(long, env = "OMNIGATE__STORE__URL", default_value = "", hide_env_values = true)]
    pub store: String,
    /// Customers whose size is measured, each with three identifiers.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub customers: u64,
    /// Messages of each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    pub messages: u64,
    /// Entries of the longest timeline of which pages are read.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    pub longest: u64,
    /// Pages read of each length.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub pages: u64,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
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
    /// Binds to the SMSC.
    #[arg(long, default_value_t = 1, value_parser = binds)]
    pub binds: usize,
    /// Submissions that may be unanswered on each bind.
    #[arg(long, default_value_t = 100, value_parser = window)]
    pub window: usize,
    /// Program that measures another gateway on the same SMSC in the same rounds, such as those in tests/bench/peers; may
    /// be repeated. One whose gateway is not installed is left out.
    #[arg(long = "peer", value_name = "PROGRAM")]
    pub peers: Vec<PathBuf>,
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
    /// Channel that the messages come through, so far one; without it they are pushed as an adapter would push them.
    #[arg(long, value_parser = ["sms"])]
    pub channel: Option<String>,
    /// With a channel: binds to the SMSC.
    #[arg(long, default_value_t = 4, value_parser = binds, requires = "channel")]
    pub binds: usize,
    /// With a channel: deliveries that may be unanswered on each bind.
    #[arg(long, default_value_t = 100, value_parser = window, requires = "channel")]
    pub window: usize,
    /// With a channel: program that measures another gateway on the same SMSC in the same rounds, such as those in
    /// tests/bench/peers; may be repeated. One whose gateway is not installed is left out.
    #[arg(long = "peer", value_name = "PROGRAM", requires = "channel")]
    pub peers: Vec<PathBuf>,
    /// Without a channel: pushes in flight.
    #[arg(long, default_value_t = 1000, conflicts_with = "channel")]
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

/// As many binds as an account may have.
fn binds(text: &str) -> Result<usize, String> {
    within(text, 16)
}

/// As large as a window may be.
fn window(text: &str) -> Result<usize, String> {
    within(text, 10_000)
}

fn within(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("must be a whole number from 1 to {most}"))
}
