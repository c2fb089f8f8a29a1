//! A sandbox Telegram bot wired to a gateway.

use crate::gateway::{Gateway, Keys};
use omnigate_sandbox::telegram::{BotOptions, Options, Telegram, TelegramHandle};
use serde_json::json;
use tokio::net::TcpListener;

/// What the sandbox shows with every webhook call.
pub const SECRET: &str = "secret-of-the-tests";

/// Token of the bot number `number`.
fn token(number: usize) -> String {
    format!("700000000{number}:AAtests_tests_tests_tests_tests_test-{number}")
}

/// A sandbox with bots for these accounts.
pub async fn sandbox(bots: usize) -> anyhow::Result<TelegramHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let bots = (1..=bots).map(|number| BotOptions {
        token: token(number),
        username: format!("tests_{number}_bot"),
        name: format!("bot {number}"),
    });
    let options = Options {
        bots: bots.collect(),
        speed: 20,
        rate_limits: false,
        ..Options::default()
    };
    Ok(Telegram::start(listener, options)?)
}

/// Configures an account of the sandbox's bot number `number`.
pub fn account(keys: &mut Keys, sandbox: &TelegramHandle, id: &str, number: usize, polling: bool) {
    let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{id}.{key}"), value.to_owned());
    set("channel", "telegram");
    set("settings.bot_token", &token(number));
    set("settings.api_url", &sandbox.base_url());
    set("settings.mode", if polling { "polling" } else { "webhook" });
    set("limits.messages_per_second", "1000");
    set("limits.messages_per_second_per_thread", "1000");
    if !polling {
        set("settings.secret_token", SECRET);
    }
}

/// The sandbox's bot number `number`.
pub fn bot(sandbox: &TelegramHandle, number: usize) -> anyhow::Result<TelegramHandle> {
    sandbox
        .for_bot(&token(number))
        .ok_or_else(|| anyhow::anyhow!("there is no bot {number}"))
}

/// Points the bot's webhook at the gateway.
pub async fn point(sandbox: &TelegramHandle, gateway: &Gateway, id: &str, number: usize) -> anyhow::Result<()> {
    let body = json!({
        "url": gateway.webhook(id),
        "secret_token": SECRET,
        "allowed_updates": ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"],
    });
    let url = format!("{}/bot{}/setWebhook", sandbox.base_url(), token(number));
    let answer = reqwest::Client::new().post(url).json(&body).send().await?;
    anyhow::ensure!(answer.status().is_success(), "setWebhook: {}", answer.text().await?);
    Ok(())
}
