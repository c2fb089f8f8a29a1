//! `omnigate accounts …`

use super::{print, remote};
use crate::cli::Accounts;
use omnigate_proto::v1::ListAccountsRequest;

/// Runs it.
pub async fn run(arguments: &Accounts) -> anyhow::Result<u8> {
    let Accounts::List { remote } = arguments;
    let connection = remote::open(remote).await?;
    let answer = connection
        .accounts()
        .list_accounts(ListAccountsRequest {})
        .await
        .map_err(remote::refused)?;
    let accounts = answer.into_inner().accounts;
    print::all(
        remote.output,
        &accounts,
        &["ACCOUNT", "CHANNEL", "NAME", "ADAPTER", "APP", "ANSWERS"],
        |account| {
            vec![
                account.account_id.clone(),
                account.channel.clone(),
                account.display_name.clone(),
                account.adapter.clone(),
                account.app_id.clone(),
                if account.capabilities.is_some() { "yes" } else { "no" }.to_owned(),
            ]
        },
    )?;
    Ok(0)
}
