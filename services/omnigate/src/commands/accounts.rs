//! `omnigate accounts …`

mod authorize;
mod status;

use super::{print, remote};
use crate::cli::{Accounts, Output, Remote};
use anyhow::bail;
use omnigate_proto::v1::{
    Account, AccountState, ListAccountsRequest, ListProviderTemplatesRequest, ProviderTemplate,
    ProviderTemplateParameter,
};
use omnigate_rpc::client::Connection;

const HEADER: &[&str] = &["ACCOUNT", "CHANNEL", "PROVIDER", "NAME", "ADAPTER", "APP", "STATE"];
const TEMPLATES: &[&str] = &[
    "TEMPLATE",
    "NAME",
    "STATE",
    "LANGUAGE",
    "PURPOSE",
    "QUALITY",
    "PARAMETERS",
];

/// Runs it.
pub async fn run(arguments: &Accounts) -> anyhow::Result<u8> {
    match arguments {
        Accounts::List { remote } => {
            let accounts = all(&remote::open(remote).await?).await?;
            print::all(remote.output, &accounts, HEADER, row)?;
            if remote.output == Output::Table {
                accounts.iter().flat_map(problems).for_each(|line| print::line(&line));
            }
        }
        Accounts::Status { remote, account } => {
            let account = one(&remote::open(remote).await?, account).await?;
            match remote.output {
                Output::Json => print::json(&account)?,
                Output::Table => status::lines(&account).iter().for_each(|line| print::line(line)),
            }
        }
        Accounts::Authorize(arguments) => authorize::run(arguments).await?,
        Accounts::Templates { remote, account } => templates(remote, account).await?,
    }
    Ok(0)
}

async fn all(connection: &Connection) -> anyhow::Result<Vec<Account>> {
    let answer = connection.accounts().list_accounts(ListAccountsRequest {}).await;
    Ok(answer.map_err(remote::refused)?.into_inner().accounts)
}

/// The account of an id.
async fn one(connection: &Connection, id: &str) -> anyhow::Result<Account> {
    let accounts = all(connection).await?;
    if let Some(account) = accounts.iter().find(|account| account.account_id == id) {
        return Ok(account.clone());
    }
    let known: Vec<&str> = accounts.iter().map(|account| account.account_id.as_str()).collect();
    match known.as_slice() {
        [] => bail!("there is no account {id:?}; none is configured"),
        known => bail!("there is no account {id:?}; there are {}", known.join(", ")),
    }
}

fn row(account: &Account) -> Vec<String> {
    vec![
        account.account_id.clone(),
        account.channel.clone(),
        account.provider.clone(),
        account.display_name.clone(),
        account.adapter.clone(),
        account.app_id.clone(),
        state(account),
    ]
}

/// The state as one word.
fn state(account: &Account) -> String {
    match account.state() {
        AccountState::Unspecified => "-".to_owned(),
        known => known.as_str_name().trim_start_matches("ACCOUNT_STATE_").to_lowercase(),
    }
}

/// What is wrong with an account, each as one line.
fn problems(account: &Account) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |problem: &str| lines.push(print::printable(&format!("{}: {problem}", account.account_id)));
    if !account.problem.is_empty() {
        say(&account.problem);
    }
    if !account.authorization_problem.is_empty() && account.authorization_problem != account.problem {
        say(&format!(
            "what was handed in last was refused: {}",
            account.authorization_problem
        ));
    }
    lines
}

async fn templates(remote: &Remote, account: &str) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let asked = ListProviderTemplatesRequest {
        account_id: account.to_owned(),
    };
    let answer = connection.accounts().list_provider_templates(asked).await;
    let copied = answer.map_err(remote::refused)?.into_inner();
    let Some(synced_at) = &copied.synced_at else {
        bail!(
            "the templates of {account} were not copied yet, or its provider has none; see omnigate accounts status \
             {account}"
        );
    };
    print::all(remote.output, &copied.templates, TEMPLATES, template_row)?;
    if remote.output == Output::Table {
        print::line(&format!("copied {} UTC", print::time(Some(synced_at))));
    }
    Ok(())
}

fn template_row(template: &ProviderTemplate) -> Vec<String> {
    let state = template.state().as_str_name();
    let parameters: Vec<String> = template.parameters.iter().map(parameter).collect();
    vec![
        template.template_id.clone(),
        template.name.clone(),
        state.trim_start_matches("PROVIDER_TEMPLATE_STATE_").to_lowercase(),
        template.locale.clone(),
        template.purpose.clone(),
        template.quality.clone(),
        parameters.join("\n"),
    ]
}

/// A parameter with what the provider asks of it.
fn parameter(parameter: &ProviderTemplateParameter) -> String {
    let mut text = parameter.name.clone();
    let mut say = |words: String| {
        if !words.is_empty() {
            text = format!("{text} {words}");
        }
    };
    say(parameter.r#type.to_lowercase());
    say(match (parameter.min_length, parameter.max_length) {
        (0, 0) => String::new(),
        (0, most) => format!("up to {most}"),
        (least, 0) => format!("from {least}"),
        (least, most) => format!("{least} to {most}"),
    });
    if !parameter.required {
        say("optional".to_owned());
    } else if parameter.may_be_empty {
        say("may be empty".to_owned());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_says_what_is_asked_of_it() {
        let of = |required, min_length, max_length, may_be_empty| {
            parameter(&ProviderTemplateParameter {
                name: "code".to_owned(),
                r#type: "STRING".to_owned(),
                required,
                min_length,
                max_length,
                may_be_empty,
            })
        };
        assert_eq!(of(true, 0, 30, false), "code string up to 30");
        assert_eq!(of(true, 2, 30, true), "code string 2 to 30 may be empty");
        assert_eq!(of(false, 3, 0, false), "code string from 3 optional");
    }

    #[test]
    fn a_problem_is_said_once() {
        let account = Account {
            account_id: "shop".to_owned(),
            problem: "used up".to_owned(),
            authorization_problem: "used up".to_owned(),
            ..Account::default()
        };
        assert_eq!(problems(&account), ["shop: used up"]);
        let kept = Account {
            problem: String::new(),
            ..account
        };
        assert_eq!(problems(&kept), ["shop: what was handed in last was refused: used up"]);
    }
}
