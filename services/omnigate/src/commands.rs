//! The commands.

pub mod accounts;
pub mod audience;
pub mod campaigns;
pub mod check;
pub mod consent;
pub mod conversations;
pub mod customers;
pub mod entry;
pub mod explain;
pub mod normalize;
pub mod parked;
pub mod print;
pub mod remote;
pub mod replay;
pub mod send;
pub mod serve;
pub mod sms_segments;
pub mod templates;
mod timeline;
pub mod webhooks;

use crate::cli::{Cli, Command};

/// Runs a command; gives the exit code.
pub async fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        Command::Serve(arguments) => serve::run(&arguments).await,
        Command::Check(arguments) => check::run(&arguments).await,
        Command::Normalize(arguments) => normalize::run(&arguments),
        Command::SmsSegments(arguments) => sms_segments::run(&arguments),
        Command::Send(arguments) => send::run(&arguments).await,
        Command::Customers(arguments) => customers::run(&arguments).await,
        Command::Audience(arguments) => audience::run(&arguments).await,
        Command::Campaigns(arguments) => campaigns::run(&arguments).await,
        Command::Consent(arguments) => consent::run(&arguments).await,
        Command::Conversations(arguments) => conversations::run(&arguments).await,
        Command::Templates(arguments) => templates::run(&arguments).await,
        Command::Accounts(arguments) => accounts::run(&arguments).await,
        Command::Parked(arguments) => parked::run(&arguments).await,
        Command::Replay(arguments) => replay::run(&arguments).await,
        Command::Webhooks(arguments) => webhooks::run(&arguments).await,
        Command::Explain(arguments) => explain::run(&arguments).await,
        Command::Demo(arguments) => crate::demo::run(&arguments).await,
        Command::Bench(bench) => crate::bench::run(&bench).await,
    }
}
