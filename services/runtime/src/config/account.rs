//! Tokens, apps and accounts as configured, and the directory made of them.

use super::{Config, Secret, TokenHash, conversation::Conversations, section::section, settings::AdapterSettings};
use omnigate_core::account::{self, AdapterRef, Directory};
use omnigate_core::conversation::Rules;

/// Scopes that a configured token can have.
pub const SCOPES: &[&str] = &["adapter", "read", "send", "campaign", "admin"];

section! {
    /// A caller's token.
    pub struct Token {
        /// Name of the caller, for logs and audits.
        pub name: String,
        /// The token itself, at least 16 characters; or `sha256`.
        pub token: Option<Secret>,
        /// SHA-256 of the token in hex, so that the token itself is nowhere; or `token`.
        pub sha256: Option<TokenHash>,
        /// What it may do: `adapter`, `read`, `send`, `campaign`, `admin`.
        pub scopes: Vec<String>,
        /// Tenant it is bound to; without it `tenant` of the top level.
        pub tenant: Option<String>,
        /// Account it is bound to, for adapters.
        pub account: Option<String>,
    }
}

section! {
    /// What a provider calls back: one webhook that holds the verifying secret and carries one account or many.
    pub struct App {
        /// Kind of channel, such as `telegram`.
        pub channel: String,
        /// Provider, for channels that have several: `smpp`, `twilio`, `esms` or `speedsms` for `sms`.
        pub provider: Option<String>,
        /// Tenant; without it `tenant` of the top level.
        pub tenant: Option<String>,
        /// Settings that the channel's adapter reads.
        pub settings: AdapterSettings,
    }
}

section! {
    /// A channel account: one bot, one page, one mailbox, one SMPP bind.
    pub struct Account {
        /// Kind of channel, such as `telegram`.
        pub channel: String,
        /// Provider, for channels that have several; without it the app's.
        pub provider: Option<String>,
        /// App whose webhook carries it; without it the account is its own app.
        pub app: Option<String>,
        /// Tenant; without it the app's.
        pub tenant: Option<String>,
        /// Who translates: our own adapter or a process that serves `AdapterService`.
        pub adapter: AdapterRef = AdapterRef::Builtin,
        /// Name for people; without it the id.
        pub display_name: Option<String>,
        /// Token shared with an external adapter: it pushes with it, and we send with it.
        pub token: Option<Secret>,
        /// Settings that the channel's adapter reads.
        pub settings: AdapterSettings,
        /// Limits tighter than the provider's.
        pub limits: Limits,
        /// What happens to its conversations by themselves.
        pub conversations: Conversations,
    }
}

section! {
    /// Limits of what goes out through the account.
    pub struct Limits {
        /// Messages a second through the account.
        pub messages_per_second: Option<f64>,
        /// Messages a second to one thread.
        pub messages_per_second_per_thread: Option<f64>,
    }
}

impl Config {
    /// All apps and accounts, with an app of its own for each account that names none.
    #[must_use]
    pub fn directory(&self) -> Directory {
        let mut directory = Directory::default();
        for (id, app) in &self.apps {
            directory.apps.insert(
                id.clone(),
                account::App {
                    id: id.clone(),
                    tenant_id: app.tenant.clone().unwrap_or_else(|| self.tenant.clone()),
                    channel: app.channel.clone(),
                    provider: app.provider.clone().unwrap_or_default(),
                    settings: app.settings.resolved.clone(),
                    implicit: false,
                },
            );
        }
        for (id, account) in &self.accounts {
            let rules = account.conversations.rules();
            if rules != Rules::DEFAULT {
                directory.conversations.0.insert(id.clone(), rules);
            }
            let account = self.account(id, account);
            if !self.apps.contains_key(&account.app_id) {
                directory.apps.insert(account.app_id.clone(), implicit_app(&account));
            }
            directory.accounts.insert(id.clone(), account);
        }
        directory
    }

    fn account(&self, id: &str, account: &Account) -> account::Account {
        let app_id = account.app.clone().unwrap_or_else(|| id.to_owned());
        account::Account {
            id: id.to_owned(),
            tenant_id: self.tenant_of(account),
            channel: account.channel.clone(),
            provider: self.provider_of(account),
            display_name: account.display_name.clone().unwrap_or_else(|| id.to_owned()),
            adapter: account.adapter.clone(),
            app_id,
            settings: account.settings.resolved.clone(),
            limits: account::Limits {
                messages_per_second: account.limits.messages_per_second,
                messages_per_second_per_thread: account.limits.messages_per_second_per_thread,
            },
        }
    }

    /// Provider of an account: its own or its app's.
    fn provider_of(&self, account: &Account) -> String {
        let app = account.app.as_ref().and_then(|id| self.apps.get(id));
        let provider = account.provider.as_ref().or_else(|| app?.provider.as_ref());
        provider.cloned().unwrap_or_default()
    }

    /// Tenant of an account: its own, its app's or the default.
    #[must_use]
    pub fn tenant_of(&self, account: &Account) -> String {
        let app = account.app.as_ref().and_then(|id| self.apps.get(id));
        let tenant = account.tenant.as_ref().or_else(|| app?.tenant.as_ref());
        tenant.unwrap_or(&self.tenant).clone()
    }
}

fn implicit_app(account: &account::Account) -> account::App {
    account::App {
        id: account.app_id.clone(),
        tenant_id: account.tenant_id.clone(),
        channel: account.channel.clone(),
        provider: account.provider.clone(),
        settings: account.settings.clone(),
        implicit: true,
    }
}
