//! `omnigate demo`: the whole gateway in one process, on sandbox providers, with people who write.

mod answers;
mod channels;
mod feed;
mod sandboxes;
mod story;
mod summary;

use crate::cli::Demo;
use crate::commands::{customers, print};
use crate::node::{Addresses, Listeners, Node};
use anyhow::Context as _;
use omnigate_rpc::auth::read_local_token;
use omnigate_rpc::client::Connection;
use omnigate_runtime::config::{self, Config};
use omnigate_runtime::role::Role;
use omnigate_runtime::stop::{Reason, signal};
use omnigate_runtime::telemetry;
use sandboxes::Sandboxes;
use std::path::Path;

/// Runs the demo; ends after the show or at a signal.
pub(crate) async fn run(arguments: &Demo) -> anyhow::Result<u8> {
    if arguments.fresh && arguments.data_dir.exists() {
        std::fs::remove_dir_all(&arguments.data_dir)
            .with_context(|| format!("cannot remove {}", arguments.data_dir.display()))?;
    }
    let sandboxes = Sandboxes::start().await?;
    let config = config::load(None, &sandboxes.configuration(&arguments.data_dir))?;
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
    let webhooks = addresses.webhooks.context("no webhook listener")?;
    sandboxes.connect(webhooks).await?;
    let connection = connect(&arguments.data_dir, addresses).await?;
    let shown = tokio::select! {
        shown = show(&sandboxes, &connection, arguments) => shown,
        () = stop.requested() => Ok(()),
    };
    if shown.is_ok() && !arguments.once {
        look_around(arguments, addresses);
        stop.requested().await;
    }
    stop.request(Reason::Asked("the demo ends".to_owned()));
    let outcome = running.await?;
    sandboxes.stop().await;
    shown?;
    Ok(outcome.exit_code())
}

async fn show(sandboxes: &Sandboxes, connection: &Connection, arguments: &Demo) -> anyhow::Result<()> {
    if customers::list(connection, 1, "").await?.is_empty() {
        let feed = feed::start(connection).await?;
        let played = story::play(&sandboxes.telegram, connection).await?;
        let joined = channels::play(sandboxes, &played.an, connection).await?;
        feed.stop().await;
        summary::played(&sandboxes.telegram, &played);
        summary::joined(&joined);
    } else {
        print::line(&format!(
            "\nread again from {} (--fresh plays the story anew):",
            arguments.data_dir.display()
        ));
    }
    summary::timelines(connection).await
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
