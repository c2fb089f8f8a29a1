//! Telegram, as the Bot API 10.0 has it, by webhook or by long polling.
//!
//! Sources named in this folder: *Bot API* is core.telegram.org/bots/api; *server source* is the published
//! telegram-bot-api server, whose behaviour the pages leave open in places.
//!
//! Peers. A chat is `tg_chat`, scope the account, value its id. A private chat has the id of its user. Chats that a bot
//! sees through a business connection number their messages apart from the bot's own chat with the same person and are
//! answered through the connection; they are peers of their own, `tg_business_chat` with value `<connection>/<chat>`.

mod api;
mod inbound;
mod limits;
mod outbound;
mod session;
mod settings;
mod webhook;
mod wire;

use crate::settings::invalid;
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Invalid, Kind, Opened, Webhook},
};
use settings::{BotSettings, Mode, SECRET};
use std::sync::Arc;

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "telegram"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let [account] = accounts else {
            return Err(invalid(
                "app_id",
                format!("a telegram app carries exactly one account, not {}", accounts.len()),
            ));
        };
        let settings = BotSettings::read(&app.settings)?;
        // A polling bot has no secret; its webhook exists for offline use and refuses every call.
        if settings.secret_token.is_none() && (!app.implicit || settings.mode == Some(Mode::Webhook)) {
            return Err(invalid(
                "secret_token",
                "is needed to tell Telegram's calls from others",
            ));
        }
        let bot = BotSettings::read(&account.settings)?.bot;
        let webhook = webhook::BotWebhook::new(account.clone(), bot.map(|bot| bot.id), settings.secret_token);
        Ok(Some(Box::new(webhook)))
    }

    fn open_account(&self, _: &App, account: &Account) -> Result<Opened, Invalid> {
        let settings = BotSettings::read(&account.settings)?;
        let bot = settings.need_bot()?;
        let mut opened = Opened::sending(outbound::BotChannel::new(api::Api::new(
            bot.clone(),
            settings.api_url.clone(),
        )));
        if settings.mode_of(account) == Mode::Polling {
            let session = session::BotSession::new(account.clone(), bot, settings);
            opened.sessions.push((String::new(), Arc::new(session)));
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests;
