//! Arguments of `webhooks …`.

use super::Remote;
use clap::Subcommand;

/// `webhooks …`
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Lists outgoing webhooks and how they stand.
    #[command(after_help = "Example: omnigate webhooks list")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
    },
    /// Lets an endpoint be told events again; it goes on where it was.
    #[command(after_help = "Example: omnigate webhooks enable crm")]
    Enable {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Its id in the configuration.
        webhook: String,
    },
    /// Lets an endpoint be told nothing until it is enabled.
    #[command(after_help = "Example: omnigate webhooks disable crm")]
    Disable {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Its id in the configuration.
        webhook: String,
    },
    /// Tells an endpoint again everything since a time.
    #[command(
        after_help = "Example: omnigate webhooks replay crm --since 2026-11-30T08:00:00Z\n         \
        omnigate webhooks replay crm --since 2026-11-30T15:00:00+07:00 --request-id after-outage"
    )]
    Replay {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Its id in the configuration.
        webhook: String,
        /// From this time on, RFC 3339.
        #[arg(long)]
        since: String,
        /// Makes repeating the command harmless; random when left out.
        #[arg(long)]
        request_id: Option<String>,
    },
}
