//! SMPP 3.4, as an ESME that binds to an SMSC.
//!
//! Sources named in this folder: *SMPP 3.4* is "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2.
//!
//! An account holds one or several binds, each a session of its own, so that each has one owner among all edges. A
//! submit goes out through any bind that this process holds.

mod binds;
mod header;
mod inbound;
mod line;
mod message_id;
mod offline;
mod outbound;
mod pdu;
mod receipt;
mod said;
mod session;
mod settings;
mod status;

use crate::settings::invalid;
use crate::texting::arrivals::Arrivals;
use binds::Binds;
use omnigate_core::{
    account::{Account, App},
    port::adapter::{Invalid, Kind, Opened, Session, Webhook},
};
use session::{BindSession, Shared};
use settings::{SECRET, SmppSettings};
use std::sync::{Arc, atomic::AtomicU64};

/// The adapter.
pub(crate) struct Adapter;

impl Kind for Adapter {
    fn channel(&self) -> &'static str {
        "sms"
    }

    fn provider(&self) -> &'static str {
        "smpp"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        SECRET
    }

    /// SMPP has no webhooks.
    fn open_webhook(&self, _: &App, _: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        Ok(None)
    }

    fn open_offline(&self, _: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        let [account] = accounts else {
            return Err(invalid(
                "account",
                format!("PDUs are of exactly one account, not of {}", accounts.len()),
            ));
        };
        let settings = SmppSettings::read(&account.settings)?;
        Ok(Some(Box::new(offline::Offline::new(account.clone(), settings))))
    }

    fn open_account(&self, _: &App, account: &Account) -> Result<Opened, Invalid> {
        let settings = SmppSettings::read(&account.settings)?;
        let binds = Arc::new(Binds::new(settings.need_bind()?, settings.window));
        let shared = Arc::new(Shared {
            account: account.clone(),
            arrivals: Arrivals::new(settings.duplicate_window),
            settings: settings.clone(),
            binds: Arc::clone(&binds),
            connections: AtomicU64::new(1),
        });
        let mut opened = Opened::sending(outbound::SmppChannel::new(settings, Arc::clone(&binds)));
        for (index, line) in binds.lines.iter().enumerate() {
            let session: Arc<dyn Session> = Arc::new(BindSession::new(Arc::clone(&shared), index));
            opened.sessions.push((line.name.clone(), session));
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests;
