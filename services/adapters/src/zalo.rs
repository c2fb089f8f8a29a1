//! Zalo Official Accounts: consultation messages, group messages and ZBS templates (formerly ZNS), as Open API v3 has them.
//!
//! Sources named in this folder: *Open API* is docs.zaloplatforms.com and developers.zalo.me. Where sources conflict, the
//! choice is a setting.
//!
//! Peers. A person is `zalo_uid`, scope the id of the Official Account (OA), because every OA has ids of its own for the
//! same people. Visitors of the web widget are `zalo_anonymous`, groups `zalo_group`; templates reach a `phone` too.

mod api;
mod custody;
mod inbound;
mod limits;
mod outbound;
mod phone;
mod settings;
mod signature;
mod templates;
mod webhook;
mod wire;

use crate::settings::invalid;
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Custodian, Invalid, Kind, Opened, Webhook},
};
use settings::{OaSettings, SECRET};
use webhook::Served;

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "zalo"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let verifier = settings::verifier(app)?;
        let mut served = Vec::with_capacity(accounts.len());
        for account in accounts {
            served.push(Served {
                oa_id: settings::oa_id(app, account)?,
                account: account.clone(),
                submitted_phone: settings::submitted_phone(app, account)?,
            });
        }
        let anonymous = served.iter().any(|served| served.oa_id.is_none());
        if anonymous && served.len() > 1 {
            return Err(invalid(
                "oa_id",
                "is needed in each account where an app carries several",
            ));
        }
        let webhook = webhook::AppWebhook::new(verifier, served)?;
        Ok(Some(Box::new(webhook)))
    }

    fn open_account(&self, app: &App, account: &Account) -> Result<Opened, Invalid> {
        let settings = OaSettings::read(app, account)?;
        if settings.oa_id.is_none() {
            return Err(invalid(
                "oa_id",
                "is needed; the console of the Official Account shows it",
            ));
        }
        Ok(Opened::sending(outbound::OaChannel::new(settings)))
    }

    fn open_custodian(&self, app: &App, account: &Account) -> Result<Option<Box<dyn Custodian>>, Invalid> {
        let credentials = settings::credentials(app, account)?;
        let settings = OaSettings::read(app, account)?;
        let custodian = credentials.map(|credentials| custody::OaCustodian::new(credentials, settings));
        Ok(custodian.map(|custodian| Box::new(custodian) as Box<dyn Custodian>))
    }
}

#[cfg(test)]
mod tests;
