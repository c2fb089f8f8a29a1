//! Arguments of `replay`.

use super::Remote;
use clap::Args;

/// Puts what was received before on its way again.
#[derive(Debug, Args)]
pub struct Replay {
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: Remote,
    /// Events received from this time on, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Events received before this time, RFC 3339; now, if it is not given.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only those that came through this account.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Counts, and puts nothing on its way.
    #[arg(long)]
    pub dry_run: bool,
    /// Goes on where a call with the same arguments was interrupted.
    #[arg(long, value_name = "TOKEN")]
    pub resume: Option<String>,
}
