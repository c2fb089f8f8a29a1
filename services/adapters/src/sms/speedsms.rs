//! SpeedSMS.vn: SMS under a brandname or from numbers of its own in Vietnam.
//!
//! Source named in this folder: *docs* is speedsms.vn/sms-api.
//!
//! SpeedSMS signs nothing, so every call has to know the setting `callback_token`, and may be held to the setting
//! `allowed_addresses` too.

mod inbound;
mod outbound;
mod settings;
mod webhook;

use crate::settings::invalid;
use crate::texting::callback::{merged, only};
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Invalid, Kind, Opened, Webhook},
};
use settings::{SECRET, SpeedsmsSettings};

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "sms"
    }

    fn provider(&self) -> &'static str {
        "speedsms"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let account = only("speedsms", accounts)?;
        let (text, own) = SpeedsmsSettings::read(&merged(app, account))?;
        // An account that only sends has no token; its webhook exists for offline use and refuses every call.
        if !app.implicit && own.guard.is_closed() {
            return Err(invalid(
                "callback_token",
                "is needed to tell SpeedSMS's calls from others",
            ));
        }
        Ok(Some(Box::new(webhook::SpeedsmsWebhook::new(
            account.clone(),
            text,
            own,
        ))))
    }

    fn open_account(&self, app: &App, account: &Account) -> Result<Opened, Invalid> {
        let (text, own) = SpeedsmsSettings::read(&merged(app, account))?;
        Ok(Opened::sending(outbound::SpeedsmsChannel::new(text, own)?))
    }
}

#[cfg(test)]
mod tests;
