//! `omnigate normalize`

use super::{print, serve};
use crate::cli::Normalize;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, App, Limits};
use omnigate_core::event;
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{Kind, Received, Webhook, WebhookRequest};
use omnigate_proto::v1::Event;
use omnigate_runtime::clock::SystemClock;
use std::io::Read as _;
use std::path::Path;

/// Largest body read.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// Runs it. The exit code is 1 when the adapter rejects the request.
pub fn run(arguments: &Normalize) -> anyhow::Result<u8> {
    let provider = arguments.provider.as_deref().unwrap_or_default();
    let kind = omnigate_adapters::kind(&arguments.channel, provider)?;
    let (app, accounts) = account(arguments, kind)?;
    let webhook = kind.open_offline(&app, &accounts)?;
    let webhook = webhook.with_context(|| format!("channel {} receives nothing", arguments.channel))?;
    let request = request(arguments)?;
    translate(webhook.as_ref(), &request, &accounts, arguments)
}

fn translate(
    webhook: &dyn Webhook,
    request: &WebhookRequest,
    accounts: &[Account],
    arguments: &Normalize,
) -> anyhow::Result<u8> {
    let verify = !arguments.no_verify;
    match webhook.receive(request, verify) {
        Received::Rejected { reply, problem } => {
            print::aside(&format!("{} {problem}", reply.status));
            if verify && matches!(reply.status, 401 | 403) {
                let secret = match arguments.account {
                    Some(_) => "",
                    None => "; --config and --account give the secret to verify with",
                };
                print::aside(&format!("--no-verify translates it all the same{secret}"));
            }
            Ok(1)
        }
        Received::Events { events, reply } => {
            let answer = format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body));
            print::aside(answer.trim_end());
            for mut normalised in events {
                stamp(&mut normalised, accounts, request)?;
                print::json(&normalised)?;
            }
            Ok(0)
        }
    }
}

/// What ingest would make of the event.
fn stamp(normalised: &mut Event, accounts: &[Account], request: &WebhookRequest) -> anyhow::Result<()> {
    let account = accounts
        .iter()
        .find(|account| account.id == normalised.account_id)
        .or(accounts.first());
    let account = account.context("no account")?;
    event::normalise(normalised, account, request.received_at, "")?;
    Ok(())
}

/// The account of the configuration, or an unnamed one.
fn account(arguments: &Normalize, kind: &dyn Kind) -> anyhow::Result<(App, Vec<Account>)> {
    if let (Some(file), Some(id)) = (&arguments.config, &arguments.account) {
        let directory = serve::load(Some(file))?.directory();
        let Some(account) = directory.accounts.get(id) else {
            let known: Vec<&str> = directory.accounts.keys().map(String::as_str).collect();
            bail!("{} has no account {id:?}; it has: {}", file.display(), known.join(", "));
        };
        if account.channel != arguments.channel {
            bail!(
                "account {id:?} is of channel {}, not {}",
                account.channel,
                arguments.channel
            );
        }
        if account.provider != kind.provider() {
            bail!(
                "account {id:?} is of provider {}, not {}",
                account.provider,
                kind.provider()
            );
        }
        let app = directory
            .apps
            .get(&account.app_id)
            .context("the account's app is missing")?;
        let accounts = directory.accounts_of(&app.id).cloned().collect();
        return Ok((app.clone(), accounts));
    }
    let id = "unnamed".to_owned();
    let settings = kind.offline_settings();
    let app = App {
        id: id.clone(),
        tenant_id: "default".to_owned(),
        channel: arguments.channel.clone(),
        provider: kind.provider().to_owned(),
        settings: settings.clone(),
        implicit: true,
    };
    let account = Account {
        id: id.clone(),
        tenant_id: "default".to_owned(),
        channel: arguments.channel.clone(),
        provider: kind.provider().to_owned(),
        display_name: id.clone(),
        adapter: AdapterRef::Builtin,
        app_id: id,
        settings,
        limits: Limits::default(),
    };
    Ok((app, vec![account]))
}

fn request(arguments: &Normalize) -> anyhow::Result<WebhookRequest> {
    let mut headers = Vec::new();
    for header in &arguments.headers {
        let (name, value) = header
            .split_once(':')
            .with_context(|| format!("--header {header:?} is not 'Name: value'"))?;
        headers.push((
            name.trim().to_lowercase(),
            Bytes::copy_from_slice(value.trim().as_bytes()),
        ));
    }
    Ok(WebhookRequest {
        method: arguments.method.to_uppercase(),
        query: arguments.query.clone(),
        headers,
        body: body(arguments.file.as_deref())?,
        remote: None,
        received_at: SystemClock.now(),
    })
}

fn body(file: Option<&Path>) -> anyhow::Result<Bytes> {
    let mut body = Vec::new();
    match file.filter(|file| *file != Path::new("-")) {
        Some(file) => {
            let opened = std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            opened.take(MAX_BODY + 1).read_to_end(&mut body)?;
        }
        None => {
            std::io::stdin().take(MAX_BODY + 1).read_to_end(&mut body)?;
        }
    }
    if body.len() as u64 > MAX_BODY {
        bail!("the body is larger than {} MiB", MAX_BODY / 1024 / 1024);
    }
    Ok(body.into())
}
