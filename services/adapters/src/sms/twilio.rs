//! Twilio: SMS and MMS.
//!
//! Sources named in this folder: *API* is twilio.com/docs/messaging/api/message-resource, *webhooks* is
//! twilio.com/docs/messaging/guides/webhook-request, *security* is twilio.com/docs/usage/security, *errors* is
//! twilio.com/docs/api/errors.
//!
//! Twilio signs its calls over the address that it calls; that address is built from the setting `public_url`, never from
//! headers, which anybody can write.

mod code;
mod inbound;
mod outbound;
mod settings;
mod signature;
mod webhook;

use crate::settings::invalid;
use crate::texting::{
    TextSettings,
    callback::{address, merged, only},
};
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Invalid, Kind, Opened, Webhook},
};
use settings::{SECRET, TwilioSettings};

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "sms"
    }

    fn provider(&self) -> &'static str {
        "twilio"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let account = only("twilio", accounts)?;
        let (text, own) = TwilioSettings::read(&merged(app, account))?;
        // An account that only sends has neither; its webhook exists for offline use and refuses every call.
        if !app.implicit {
            if own.auth_tokens.is_empty() {
                return Err(invalid("auth_token", "is needed to verify Twilio's signatures"));
            }
            if own.public_url.is_none() {
                return Err(invalid(
                    "public_url",
                    "is needed: Twilio signs the address that it calls",
                ));
            }
        }
        let url = own.public_url.as_deref().map(|base| address(base, app));
        Ok(Some(Box::new(webhook::TwilioWebhook::new(
            account.clone(),
            text,
            own,
            url,
        ))))
    }

    fn open_account(&self, app: &App, account: &Account) -> Result<Opened, Invalid> {
        let (text, own): (TextSettings, TwilioSettings) = TwilioSettings::read(&merged(app, account))?;
        let callback = own.public_url.as_deref().map(|base| address(base, app));
        Ok(Opened::sending(outbound::TwilioChannel::new(text, own, callback)?))
    }
}

#[cfg(test)]
mod tests;
