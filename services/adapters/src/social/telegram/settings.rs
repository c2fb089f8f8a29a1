//! What an operator configures for a bot.

use crate::settings::{invalid, read};
use omnigate_core::{
    account::{Account, Settings},
    port::adapter::Invalid,
};
use serde::Deserialize;
use std::fmt;

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["bot_token", "secret_token"];

const KNOWN: &[&str] = &[
    "bot_token",
    "secret_token",
    "api_url",
    "mode",
    "poll_timeout_s",
    "allowed_updates",
];

const DEFAULT_API_URL: &str = "https://api.telegram.org";
const DEFAULT_POLL_TIMEOUT_S: u64 = 30;
/// Bot API, `getUpdates`: longer polls are cut by the server.
const MAX_POLL_TIMEOUT_S: u64 = 50;
/// Bot API, `setWebhook`: 1–256 characters.
const MAX_SECRET_TOKEN: usize = 256;
const MAX_BOT_TOKEN: usize = 256;

/// Kinds of update asked for while polling. `message_reaction` and `chat_member` come only when they are asked for (Bot
/// API, `getUpdates`), and naming some means naming all.
const DEFAULT_ALLOWED_UPDATES: &[&str] = &[
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "callback_query",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "poll",
    "poll_answer",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "chat_boost",
    "removed_chat_boost",
];

/// How updates come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Telegram calls us.
    Webhook,
    /// We ask Telegram.
    Polling,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    bot_token: Option<String>,
    secret_token: Option<String>,
    api_url: Option<String>,
    mode: Option<Mode>,
    poll_timeout_s: Option<u64>,
    allowed_updates: Option<Vec<String>>,
}

/// Validated settings of a bot or of an app.
pub(super) struct BotSettings {
    /// Token of the bot, when given here.
    pub(super) bot: Option<BotToken>,
    /// What Telegram sends along with each webhook call, when given here.
    pub(super) secret_token: Option<String>,
    /// Address of the Bot API, without a slash at the end.
    pub(super) api_url: String,
    /// How updates come, when said.
    pub(super) mode: Option<Mode>,
    /// Seconds for which a poll waits.
    pub(super) poll_timeout_s: u64,
    /// Kinds of update asked for.
    pub(super) allowed_updates: Vec<String>,
}

/// Token of a bot, `<id>:<secret>`; never printed.
#[derive(Clone)]
pub(super) struct BotToken {
    text: String,
    /// The bot's own user id, the part before the colon.
    pub(super) id: i64,
}

impl BotToken {
    /// The token; only for addresses.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BotToken({}:***)", self.id)
    }
}

impl BotSettings {
    /// Reads and checks settings.
    pub(super) fn read(settings: &Settings) -> Result<Self, Invalid> {
        let written: Written = read(settings, KNOWN, SECRET)?;
        let secret_token = written.secret_token.map(secret_token).transpose()?;
        let poll_timeout_s = written.poll_timeout_s.unwrap_or(DEFAULT_POLL_TIMEOUT_S);
        if !(1..=MAX_POLL_TIMEOUT_S).contains(&poll_timeout_s) {
            return Err(invalid("poll_timeout_s", "must be 1 to 50"));
        }
        Ok(Self {
            bot: written.bot_token.as_deref().map(bot_token).transpose()?,
            secret_token,
            api_url: api_url(written.api_url.as_deref().unwrap_or(DEFAULT_API_URL))?,
            mode: written.mode,
            poll_timeout_s,
            allowed_updates: allowed_updates(written.allowed_updates)?,
        })
    }

    /// The bot's token, which everything but a webhook needs.
    pub(super) fn need_bot(&self) -> Result<BotToken, Invalid> {
        self.bot
            .clone()
            .ok_or_else(|| invalid("bot_token", "is needed; @BotFather shows it"))
    }

    /// How updates of an account come: as said, else by webhook where there is a secret or an app of its own, else by
    /// polling.
    pub(super) fn mode_of(&self, account: &Account) -> Mode {
        let own_app = !account.app_id.is_empty() && account.app_id != account.id;
        self.mode.unwrap_or(if self.secret_token.is_some() || own_app {
            Mode::Webhook
        } else {
            Mode::Polling
        })
    }
}

fn secret_token(text: String) -> Result<String, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=MAX_SECRET_TOKEN).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(invalid("secret_token", "must be 1 to 256 of A-Z a-z 0-9 _ -"))
    }
}

/// The token becomes part of an address, so nothing else may stand in it.
fn bot_token(text: &str) -> Result<BotToken, Invalid> {
    let wrong = || invalid("bot_token", "must look like 123456:ABC-DEF, as @BotFather shows it");
    let (id, secret) = text.split_once(':').ok_or_else(wrong)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let plausible = text.len() <= MAX_BOT_TOKEN && !secret.is_empty() && secret.bytes().all(allowed);
    if !plausible || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    Ok(BotToken {
        text: text.to_owned(),
        id: id.parse().map_err(|_| wrong())?,
    })
}

fn api_url(text: &str) -> Result<String, Invalid> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |rest: &str| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || "?#@".contains(c));
    if rest.is_some_and(plain) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(invalid("api_url", "must be an http or https address without query"))
    }
}

fn allowed_updates(written: Option<Vec<String>>) -> Result<Vec<String>, Invalid> {
    let Some(names) = written else {
        return Ok(DEFAULT_ALLOWED_UPDATES.iter().map(|&name| name.to_owned()).collect());
    };
    let plausible = |name: &String| {
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    if names.is_empty() || names.len() > 64 || !names.iter().all(plausible) {
        return Err(invalid(
            "allowed_updates",
            "must name 1 to 64 kinds of update, such as \"message\"",
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::account::{AdapterRef, Limits};
    use serde_json::{Value, json};

    fn settings(value: Value) -> Settings {
        let Value::Object(map) = value else {
            panic!("not an object")
        };
        Settings(map)
    }

    fn account(id: &str, app_id: &str, value: Value) -> Account {
        Account {
            id: id.into(),
            tenant_id: "t".into(),
            channel: "telegram".into(),
            provider: String::new(),
            display_name: String::new(),
            adapter: AdapterRef::Builtin,
            app_id: app_id.into(),
            settings: settings(value),
            limits: Limits::default(),
        }
    }

    fn mode(account: &Account) -> Mode {
        BotSettings::read(&account.settings).unwrap().mode_of(account)
    }

    #[test]
    fn polling_is_the_mode_of_a_bot_without_secret_and_without_app() {
        assert_eq!(
            mode(&account("bot", "bot", json!({ "bot_token": "1:AA" }))),
            Mode::Polling
        );
        let secret = json!({ "bot_token": "1:AA", "secret_token": "s" });
        assert_eq!(mode(&account("bot", "bot", secret)), Mode::Webhook);
        assert_eq!(
            mode(&account("bot", "app", json!({ "bot_token": "1:AA" }))),
            Mode::Webhook
        );
        let said = json!({ "bot_token": "1:AA", "mode": "polling" });
        assert_eq!(mode(&account("bot", "app", said)), Mode::Polling);
    }

    #[test]
    fn wrong_values_are_named() {
        for (value, key) in [
            (json!({ "bot_token": "12345" }), "bot_token"),
            (json!({ "bot_token": "1:../x" }), "bot_token"),
            (json!({ "bot_token": "99999999999999999999:AA" }), "bot_token"),
            (json!({ "secret_token": "a b" }), "secret_token"),
            (json!({ "secret_token": "" }), "secret_token"),
            (json!({ "api_url": "ftp://x" }), "api_url"),
            (json!({ "api_url": "https://user@x" }), "api_url"),
            (json!({ "mode": "push" }), "mode"),
            (json!({ "poll_timeout_s": 0 }), "poll_timeout_s"),
            (json!({ "allowed_updates": [] }), "allowed_updates"),
            (json!({ "bot_tokn": "1:AA" }), "bot_tokn"),
        ] {
            let error = BotSettings::read(&settings(value.clone())).err();
            assert_eq!(error.map(|error| error.key).as_deref(), Some(key), "{value}");
        }
    }

    #[test]
    fn a_token_never_shows() {
        let token = bot_token("42:SECRET").unwrap();
        assert_eq!(format!("{token:?}"), "BotToken(42:***)");
    }
}
