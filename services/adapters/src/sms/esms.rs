//! eSMS.vn: SMS under a brandname or from a fixed number in Vietnam.
//!
//! Source named in this folder: *docs* is developers.esms.vn, with its table of codes (`esms-api/bang-ma-loi`).
//!
//! eSMS signs only what people write to short codes. What it tells about messages of ours is unsigned, so every call has
//! to know the setting `callback_token`, and may be held to the setting `allowed_addresses` too.
//!
//! Advertising goes through an endpoint that takes lists of 30 to 5,000 numbers under a brandname, and a message here has
//! one recipient: it is refused (POLICY), so that it can go another way.

mod code;
mod inbound;
mod outbound;
mod settings;
mod webhook;

use crate::settings::invalid;
use crate::texting::callback::{address, merged, only};
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Invalid, Kind, Opened, Webhook},
};
use settings::{EsmsSettings, SECRET};

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "sms"
    }

    fn provider(&self) -> &'static str {
        "esms"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let account = only("esms", accounts)?;
        let (text, own) = EsmsSettings::read(&merged(app, account))?;
        // An account that only sends has no token; its webhook exists for offline use and refuses every call.
        if !app.implicit && own.guard.is_closed() {
            return Err(invalid("callback_token", "is needed to tell eSMS's calls from others"));
        }
        Ok(Some(Box::new(webhook::EsmsWebhook::new(account.clone(), text, own))))
    }

    fn open_account(&self, app: &App, account: &Account) -> Result<Opened, Invalid> {
        let (text, own) = EsmsSettings::read(&merged(app, account))?;
        let callback = own.public_url.as_deref().map(|base| address(base, app));
        Ok(Opened::sending(outbound::EsmsChannel::new(
            text,
            own,
            callback.as_deref(),
        )?))
    }
}

#[cfg(test)]
mod tests;
