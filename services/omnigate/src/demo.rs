//! `omnigate demo`: the whole gateway in one process, on sandbox providers, with people who write.

mod answers;
mod feed;
mod story;
mod summary;

use crate::cli::Demo;
use crate::commands::{customers, print};
use crate::node::{Addresses, Listeners, Node};
use anyhow::Context as _;
use omnigate_core::port::adapter::{HttpBody, HttpRequest, Transport as _};
use omnigate_edge::HttpTransport;
use omnigate_rpc::auth::read_local_token;
use omnigate_rpc::client::Connection;
use omnigate_runtime::config::{self, Config};
use omnigate_runtime::role::Role;
use omnigate_runtime::stop::{Reason, signal};
use omnigate_runtime::telemetry;
use omnigate_sandbox::telegram::{BotOptions, Options, Telegram, TelegramHandle};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Bot whose updates come by webhook.
pub(crate) const SHOP: &str = "shop";
/// Bot whose updates are polled.
pub(crate) const SUPPORT: &str = "support";
/// What the sandbox shows with every webhook call of the shop.
const SECRET: &str = "demo-webhook-secret";
/// Tokens of the two sandbox bots; nothing outside the sandbox knows them.
const TOKENS: [&str; 2] = [
    "7000000001:AAdemo_shop_demo_shop_demo_shop_demo-1",
    "7000000002:AAdemo_support_demo_support_demo_sup-2",
];
/// How long setting the webhook may take.
const SET_UP: Duration = Duration::from_secs(5);

/// Runs the demo; ends after the show or at a signal.
pub(crate) async fn run(arguments: &Demo) -> anyhow::Result<u8> {
    if arguments.fresh && arguments.data_dir.exists() {
        std::fs::remove_dir_all(&arguments.data_dir)
            .with_context(|| format!("cannot remove {}", arguments.data_dir.display()))?;
    }
    let sandbox = start_sandbox().await?;
    let config = configure(&arguments.data_dir, &sandbox)?;
    let _telemetry = telemetry::init(&config.log)?;
    let roles = Role::all();
    let (config, listeners) = bind(config).await?;
    let node = Node::start(config, &roles, listeners).await?;
    let addresses = node.addresses();
    let stop = node.stop();
    tokio::spawn(signal::obey(signal::of_process()?, node.stop(), |code| {
        std::process::exit(code)
    }));
    let running = tokio::spawn(node.run());
    print::line("all roles run in this process: edge, ingest, unify, dispatch, scheduler, api");
    set_webhook(&sandbox, addresses).await?;
    let connection = connect(&arguments.data_dir, addresses).await?;
    let shown = tokio::select! {
        shown = show(&sandbox, &connection, arguments) => shown,
        () = stop.requested() => Ok(()),
    };
    if shown.is_ok() && !arguments.once {
        look_around(arguments, addresses);
        stop.requested().await;
    }
    stop.request(Reason::Asked("the demo ends".to_owned()));
    let outcome = running.await?;
    sandbox.stop().await;
    shown?;
    Ok(outcome.exit_code())
}

async fn show(sandbox: &TelegramHandle, connection: &Connection, arguments: &Demo) -> anyhow::Result<()> {
    if customers::list(connection, 1).await?.is_empty() {
        let feed = feed::start(connection).await?;
        let played = story::play(sandbox, connection).await?;
        feed.stop().await;
        summary::played(sandbox, &played);
    } else {
        print::line(&format!(
            "\nread again from {} (--fresh plays the story anew):",
            arguments.data_dir.display()
        ));
    }
    summary::timelines(connection).await
}

async fn start_sandbox() -> anyhow::Result<TelegramHandle> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("the sandbox cannot listen")?;
    let bot = |token: &str, name: &str| BotOptions {
        token: token.to_owned(),
        username: format!("demo_{name}_bot"),
        name: name.to_owned(),
    };
    let options = Options {
        bots: vec![bot(TOKENS[0], SHOP), bot(TOKENS[1], SUPPORT)],
        speed: 20,
        ..Options::default()
    };
    let sandbox = Telegram::start(listener, options).context("the sandbox cannot start")?;
    print::line(&format!("sandbox Telegram listens on {}", sandbox.base_url()));
    Ok(sandbox)
}

/// Two Telegram accounts on the sandbox, everything else as it is by default.
fn configure(data_dir: &Path, sandbox: &TelegramHandle) -> anyhow::Result<Config> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: &str| env.insert(format!("OMNIGATE__{key}"), value.to_owned());
    set("DATA_DIR", &data_dir.to_string_lossy());
    set(
        "LOG__LEVEL",
        &std::env::var("OMNIGATE__LOG__LEVEL").unwrap_or_else(|_| "warn".to_owned()),
    );
    for (account, token, mode) in [(SHOP, TOKENS[0], "webhook"), (SUPPORT, TOKENS[1], "polling")] {
        let key = format!("ACCOUNTS__{}", account.to_uppercase());
        set(&format!("{key}__CHANNEL"), "telegram");
        set(&format!("{key}__SETTINGS__BOT_TOKEN"), token);
        set(&format!("{key}__SETTINGS__API_URL"), &sandbox.base_url());
        set(&format!("{key}__SETTINGS__MODE"), mode);
        if mode == "webhook" {
            set(&format!("{key}__SETTINGS__SECRET_TOKEN"), SECRET);
        }
    }
    Ok(config::load(None, &env)?)
}

/// The usual ports, so that other commands find the demo; free ones where those are taken.
async fn bind(config: Config) -> anyhow::Result<(Config, Listeners)> {
    let roles = Role::all();
    if let Ok(listeners) = Listeners::bind(&config, &roles).await {
        return Ok((config, listeners));
    }
    let mut config = config;
    let listen = &mut config.listen;
    for address in [
        &mut listen.api,
        &mut listen.ingest,
        &mut listen.edge,
        &mut listen.sessions,
        &mut listen.webhooks,
        &mut listen.admin,
    ] {
        "127.0.0.1:0".clone_into(&mut address.0);
    }
    let listeners = Listeners::bind(&config, &roles).await?;
    Ok((config, listeners))
}

async fn set_webhook(sandbox: &TelegramHandle, addresses: Addresses) -> anyhow::Result<()> {
    let webhooks = addresses.webhooks.context("no webhook listener")?;
    let base = sandbox.base_url();
    let body = serde_json::json!({
        "url": format!("http://{webhooks}/v1/webhooks/{SHOP}"),
        "secret_token": SECRET,
        "allowed_updates": ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"],
    });
    let request = HttpRequest {
        method: "POST",
        url: format!("{base}/bot{}/setWebhook", TOKENS[0]),
        headers: Vec::new(),
        body: HttpBody::Json(serde_json::to_vec(&body)?.into()),
        time_limit: SET_UP,
    };
    let answer = HttpTransport::new([base.as_str()])?.call(request).await?;
    anyhow::ensure!(
        answer.status == 200,
        "the sandbox refused the webhook: {}",
        answer.status
    );
    Ok(())
}

async fn connect(data_dir: &Path, addresses: Addresses) -> anyhow::Result<Connection> {
    let api = addresses.api.context("no api listener")?;
    let token = read_local_token(data_dir)?;
    Ok(Connection::open(&api.to_string(), Some(&token), None).await?)
}

fn look_around(arguments: &Demo, addresses: Addresses) {
    let of = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    let folder = arguments.data_dir.display();
    let api = of(addresses.api);
    print::line(&format!(
        "\nlook around in another terminal (Ctrl-C ends the demo):\n  \
         omnigate customers list --endpoint {api} --data-dir {folder}\n  \
         omnigate accounts list --endpoint {api} --data-dir {folder}\n  \
         grpcurl -plaintext -H \"authorization: Bearer $(cat {folder}/token)\" {api} list\n  \
         curl http://{}/metrics",
        of(addresses.admin)
    ));
}
