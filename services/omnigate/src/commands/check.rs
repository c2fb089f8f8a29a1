//! `omnigate check`

use super::{print, serve};
use crate::cli::Check;
use crate::node;
use omnigate_runtime::config::check_roles;

/// Runs it.
pub async fn run(arguments: &Check) -> anyhow::Result<u8> {
    let config = serve::load(arguments.config.as_deref())?;
    let roles = serve::roles(&arguments.roles);
    check_roles(&config, &roles)?;
    let directory = config.directory();
    node::check_settings(&directory)?;
    if arguments.dump {
        let secret = |channel: &str, name: &str| {
            let mut of_channel = omnigate_adapters::kinds()
                .iter()
                .filter(|kind| kind.channel() == channel)
                .peekable();
            of_channel.peek().is_none() || of_channel.any(|kind| kind.secret_settings().contains(&name))
        };
        print::line(config.redacted_toml_with(&secret).trim_end());
    }
    let accounts = directory.accounts.len();
    print::aside(&format!("configuration is valid: {accounts} accounts"));
    if !arguments.offline {
        print::aside("connecting, for 30 seconds at most");
        for line in node::check_connections(&config, &roles).await? {
            print::aside(&line);
        }
    }
    Ok(0)
}
