//! `omnigate accounts authorize`

use super::one;
use crate::cli::{Authorize, Output};
use crate::commands::{print, remote};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::authorize_account_request::Grant;
use omnigate_proto::v1::{Account, AuthorizeAccountRequest};
use omnigate_rpc::client::Connection;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest secret that is read, in bytes.
const MAX_SECRET: u64 = 64 * 1024;
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(300);

/// Runs it.
pub(super) async fn run(arguments: &Authorize) -> anyhow::Result<()> {
    // Read first: a file that is not there costs no call.
    let grant = grant(arguments)?;
    let connection = remote::open(&arguments.remote).await?;
    let Some(grant) = grant else {
        return tell(arguments, &one(&connection, &arguments.account).await?);
    };
    let request = AuthorizeAccountRequest {
        account_id: arguments.account.clone(),
        grant: Some(grant),
        code_verifier: arguments.code_verifier.clone().unwrap_or_default(),
        request_id: remote::request_id(None)?,
    };
    let answer = connection.accounts().authorize_account(request).await;
    answer.map_err(remote::refused)?;
    print::aside("handed in; waiting for the provider");
    let account = wait(&connection, arguments).await?;
    match arguments.remote.output {
        Output::Json => print::json(&account)?,
        Output::Table => print::line(&authorized(&account)),
    }
    Ok(())
}

/// What the account is authorised with, if something was given.
fn grant(arguments: &Authorize) -> anyhow::Result<Option<Grant>> {
    if let Some(code) = &arguments.code {
        let code = match code.as_str() {
            "-" => secret(stdin(), "standard input")?,
            code => code.trim().to_owned(),
        };
        return Ok(Some(Grant::AuthorizationCode(code)));
    }
    let Some(file) = &arguments.refresh_token_file else {
        return Ok(None);
    };
    let token = if file == Path::new("-") {
        secret(stdin(), "standard input")?
    } else {
        let name = file.display().to_string();
        let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
        secret(opened, &name)?
    };
    Ok(Some(Grant::RefreshToken(token)))
}

/// One word from somewhere. What it is is never said.
fn secret(from: impl Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_SECRET).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {name}"))?;
    let text = String::from_utf8(bytes).ok();
    let word = text.as_deref().map(str::trim).unwrap_or_default();
    if word.is_empty() || word.contains(char::is_whitespace) {
        bail!("{name} must hold the secret and nothing else");
    }
    Ok(word.to_owned())
}

/// Where somebody has to agree.
fn tell(arguments: &Authorize, account: &Account) -> anyhow::Result<()> {
    let id = &account.account_id;
    if account.authorization_url.is_empty() {
        bail!(
            "there is no address to open for {id}: either nobody has to authorise it, or its settings do not say where \
             the provider leads back to; a refresh token got elsewhere is taken with --refresh-token-file"
        );
    }
    if arguments.remote.output == Output::Json {
        return print::json(account);
    }
    print::line("Open this address as somebody who may act for the account, and agree:");
    print::line(&format!("  {}", print::printable(&account.authorization_url)));
    print::line("It leads back to an address that ends in ?code=…, which holds for some minutes, once:");
    print::line(&format!("  omnigate accounts authorize {id} --code CODE"));
    Ok(())
}

/// Waits until the provider has decided.
async fn wait(connection: &Connection, arguments: &Authorize) -> anyhow::Result<Account> {
    let (begun, patience) = (Instant::now(), Duration::from_secs(arguments.wait));
    let mut told = String::new();
    loop {
        let account = one(connection, &arguments.account).await?;
        let id = &account.account_id;
        if !account.authorization_pending {
            if account.authorization_problem.is_empty() {
                return Ok(account);
            }
            bail!("the provider refused it for {id}: {}", account.authorization_problem);
        }
        if begun.elapsed() >= patience {
            let why = match account.problem.as_str() {
                "" => String::new(),
                problem => format!(": {problem}"),
            };
            bail!(
                "not decided after {} s{why}; it goes on, see omnigate accounts status {id}",
                arguments.wait
            );
        }
        if account.problem != told {
            print::aside(&print::printable(&account.problem));
            told = account.problem;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn authorized(account: &Account) -> String {
    let mut text = format!("{} is authorised", account.account_id);
    if account.token_expires_at.is_some() {
        let until = print::time(account.token_expires_at.as_ref());
        text += &format!("; the present token holds until {until} UTC and is replaced before");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_word() {
        assert_eq!(secret(&b"  abc-DEF_1\r\n"[..], "x").unwrap(), "abc-DEF_1");
        for wrong in [&b""[..], b"\n", b"two words", b"a\nb", b"\xff\xfe"] {
            let said = secret(wrong, "token.txt").unwrap_err().to_string();
            assert_eq!(said, "token.txt must hold the secret and nothing else");
        }
    }
}
