//! Tenants, apps and channel accounts, as the configuration describes them.

use crate::conversation::AccountRules;
use std::{collections::BTreeMap, fmt};

/// Settings that one adapter reads for itself, secrets already resolved. Printing shows names only.
#[derive(Clone, PartialEq, Default)]
pub struct Settings(pub serde_json::Map<String, serde_json::Value>);

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a provider calls back: holds the verifying secret and carries one account or many.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    /// Id, also the last part of the webhook's path; 1–64 of `a-z 0-9 - _`.
    pub id: String,
    /// Tenant.
    pub tenant_id: String,
    /// Kind of channel.
    pub channel: String,
    /// Provider, where the channel has several; else empty.
    pub provider: String,
    /// The adapter's settings of the app.
    pub settings: Settings,
    /// True when the configuration names no app and the account is its own.
    pub implicit: bool,
}

/// Who translates for an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdapterRef {
    /// One of our own.
    Builtin,
    /// A process of somebody else's that serves `AdapterService`, by its address `host:port`.
    Grpc(String),
}

/// A channel account: one bot, one page, one mailbox, one SMPP bind.
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    /// Id; 1–64 of `a-z 0-9 - _`.
    pub id: String,
    /// Tenant.
    pub tenant_id: String,
    /// Kind of channel.
    pub channel: String,
    /// Provider, where the channel has several; else empty.
    pub provider: String,
    /// Name for people.
    pub display_name: String,
    /// Who translates.
    pub adapter: AdapterRef,
    /// App whose webhook carries it.
    pub app_id: String,
    /// The adapter's settings of the account.
    pub settings: Settings,
    /// Own limits, tighter than the provider's.
    pub limits: Limits,
}

/// Limits of an account's outbound traffic; `None` leaves the adapter's own.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// Messages a second through the account.
    pub messages_per_second: Option<f64>,
    /// Messages a second to one thread.
    pub messages_per_second_per_thread: Option<f64>,
}

/// All accounts and apps of a gateway, by id.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Directory {
    /// Apps.
    pub apps: BTreeMap<String, App>,
    /// Accounts.
    pub accounts: BTreeMap<String, Account>,
    /// What happens to conversations of accounts that say so.
    pub conversations: AccountRules,
}

impl Directory {
    /// The accounts an app carries, by id.
    pub fn accounts_of<'a>(&'a self, app_id: &'a str) -> impl Iterator<Item = &'a Account> {
        self.accounts.values().filter(move |account| account.app_id == app_id)
    }

    /// The app that carries an account; one of its own settings where none is known.
    #[must_use]
    pub fn app_of(&self, account: &Account) -> App {
        self.apps.get(&account.app_id).cloned().unwrap_or_else(|| App {
            id: account.app_id.clone(),
            tenant_id: account.tenant_id.clone(),
            channel: account.channel.clone(),
            provider: account.provider.clone(),
            settings: account.settings.clone(),
            implicit: true,
        })
    }
}
