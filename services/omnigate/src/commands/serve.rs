//! `omnigate serve`.

use crate::cli::Serve;
use crate::node::{Listeners, Node};
use anyhow::Context as _;
use omnigate_runtime::config::{self, Config};
use omnigate_runtime::role::{Role, RoleSet};
use omnigate_runtime::stop::signal;
use omnigate_runtime::telemetry;
use std::path::Path;

/// Runs the gateway until a signal.
pub async fn run(arguments: &Serve) -> anyhow::Result<u8> {
    let config = load(arguments.config.as_deref())?;
    let _telemetry = telemetry::init(&config.log)?;
    let roles = roles(&arguments.roles);
    // Before anything listens: a wrong combination must not answer probes.
    config::check_roles(&config, &roles)?;
    let listeners = Listeners::bind(&config, &roles).await?;
    let node = Node::start(config, &roles, listeners).await?;
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    tracing::info!(roles = names.join(","), version = env!("CARGO_PKG_VERSION"), "ready");
    let signals = signal::of_process().context("signals cannot be received")?;
    tokio::spawn(signal::obey(signals, node.stop(), |code| std::process::exit(code)));
    let outcome = node.run().await;
    tracing::info!(reason = %outcome.reason, "stopped: {outcome}");
    Ok(outcome.exit_code())
}

/// The configuration of a file, if one is given, and of the environment.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(config::load(file, &env.collect())?)
}

/// The roles that were named, or all.
#[must_use]
pub fn roles(named: &[Role]) -> RoleSet {
    match named {
        [] => Role::all(),
        some => some.iter().copied().collect(),
    }
}
