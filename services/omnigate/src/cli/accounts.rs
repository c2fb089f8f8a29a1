//! Arguments of `accounts …`.

use super::Remote;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `accounts …`
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Lists channel accounts and how they stand.
    #[command(after_help = "Example: omnigate accounts list")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
    },
    /// Shows everything about an account: how it stands, what it can do, its limits.
    #[command(after_help = "Example: omnigate accounts status shop")]
    Status {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Account id.
        account: String,
    },
    /// Lets the gateway act for an account whose provider hands out tokens.
    #[command(after_help = "Example: omnigate accounts authorize shop\n         \
        omnigate accounts authorize shop --code CODE --code-verifier VERIFIER\n         \
        omnigate accounts authorize shop --refresh-token-file token.txt\n         \
        cat token.txt | omnigate accounts authorize shop --refresh-token-file -\n\n\
        Without a code or token it prints the address where somebody of the company agrees. With one it waits for the\n\
        provider and fails when the provider refuses; what the account had until then is kept.")]
    Authorize(Authorize),
    /// Lists the provider's templates of an account, as they were last copied.
    #[command(after_help = "Example: omnigate accounts templates shop\n         \
        omnigate accounts templates shop --output json")]
    Templates {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// Account id.
        account: String,
    },
}

/// Arguments of `accounts authorize`.
#[derive(Debug, Args)]
pub struct Authorize {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Account id.
    pub account: String,
    /// Code of the provider's redirect, which holds once and for minutes; `-` reads it from standard input.
    #[arg(long, group = "grant")]
    pub code: Option<String>,
    /// Secret that belongs to the code, when the authorisation began with a challenge (PKCE).
    #[arg(long, requires = "code", env = "OMNIGATE_CODE_VERIFIER", hide_env_values = true)]
    pub code_verifier: Option<String>,
    /// File with a refresh token that was got elsewhere and is the gateway's alone from now on; `-` reads standard input.
    #[arg(long, group = "grant", value_name = "FILE")]
    pub refresh_token_file: Option<PathBuf>,
    /// How long to wait for the provider, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub wait: u64,
}
