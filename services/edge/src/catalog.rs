//! What the configuration's apps and accounts need from the adapters, opened and checked once at start.

use omnigate_core::{
    account::{Account, AdapterRef, App, Directory},
    port::adapter::{Channel, Invalid, Kind, NoKind, Session, Webhook, select},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Something in the configuration that an adapter cannot work with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    /// No adapter serves the channel or the provider.
    #[error("{place}: {problem}")]
    NoKind {
        /// Where, such as `accounts.shop`.
        place: String,
        /// What.
        #[source]
        problem: NoKind,
    },
    /// The adapter says what is wrong.
    #[error("{place}.settings.{problem}")]
    Invalid {
        /// Where, such as `accounts.shop`.
        place: String,
        /// What.
        #[source]
        problem: Invalid,
    },
}

/// An opened adapter and the kind of channel it serves.
pub(crate) struct Served<T: ?Sized> {
    pub(crate) channel: String,
    pub(crate) by: Arc<T>,
}

/// Opened adapters by the id of what they serve.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) webhooks: BTreeMap<String, Served<dyn Webhook>>,
    pub(crate) channels: BTreeMap<String, Served<dyn Channel>>,
    /// By account and name.
    pub(crate) sessions: BTreeMap<(String, String), Arc<dyn Session>>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Catalog")
            .field("webhooks", &self.webhooks.keys())
            .field("channels", &self.channels.keys())
            .field("sessions", &self.sessions.keys())
            .finish()
    }
}

type Kinds = &'static [&'static dyn Kind];

/// Everything in the configuration that adapters cannot work with.
pub fn check(kinds: Kinds, directory: &Directory) -> Result<(), Vec<Misfit>> {
    Catalog::open(kinds, directory).map(drop)
}

impl Catalog {
    /// Opens everything, or says everything that is wrong.
    pub(crate) fn open(kinds: Kinds, directory: &Directory) -> Result<Self, Vec<Misfit>> {
        let mut catalog = Self::default();
        let mut misfits = Vec::new();
        for app in directory.apps.values() {
            misfits.extend(catalog.open_app(kinds, directory, app).err());
        }
        for account in directory.accounts.values() {
            if account.adapter == AdapterRef::Builtin {
                let misfit = catalog.open_account(kinds, directory, account).err();
                // An account that is its own app has the same complaint twice.
                misfits.extend(misfit.filter(|misfit| !misfits.contains(misfit)));
            }
        }
        if misfits.is_empty() { Ok(catalog) } else { Err(misfits) }
    }

    /// The webhook of an app, unless an external adapter has all its accounts.
    fn open_app(&mut self, kinds: Kinds, directory: &Directory, app: &App) -> Result<(), Misfit> {
        let carried: Vec<&Account> = directory.accounts_of(&app.id).collect();
        let ours: Vec<Account> = carried
            .iter()
            .filter(|account| account.adapter == AdapterRef::Builtin)
            .map(|account| (*account).clone())
            .collect();
        if ours.is_empty() && !carried.is_empty() {
            return Ok(());
        }
        let place = if app.implicit { "accounts" } else { "apps" };
        let place = format!("{place}.{}", app.id);
        let kind = kind(kinds, &place, &app.channel, &app.provider)?;
        let opened = kind.open_webhook(app, &ours).map_err(invalid(&place))?;
        if let Some(webhook) = opened {
            let channel = app.channel.clone();
            let by = Arc::from(webhook);
            self.webhooks.insert(app.id.clone(), Served { channel, by });
        }
        Ok(())
    }

    fn open_account(&mut self, kinds: Kinds, directory: &Directory, account: &Account) -> Result<(), Misfit> {
        let place = format!("accounts.{}", account.id);
        let kind = kind(kinds, &place, &account.channel, &account.provider)?;
        let app = directory.app_of(account);
        let opened = kind.open_account(&app, account).map_err(invalid(&place))?;
        // Whatever is wrong is said at the start, wherever it is needed.
        kind.open_custodian(&app, account).map_err(invalid(&place))?;
        let (channel, by) = (account.channel.clone(), opened.channel);
        self.channels.insert(account.id.clone(), Served { channel, by });
        for (name, session) in opened.sessions {
            self.sessions.insert((account.id.clone(), name), session);
        }
        Ok(())
    }
}

fn kind(kinds: Kinds, place: &str, channel: &str, provider: &str) -> Result<&'static dyn Kind, Misfit> {
    select(kinds, channel, provider).map_err(|problem| Misfit::NoKind {
        place: place.to_owned(),
        problem,
    })
}

fn invalid(place: &str) -> impl FnOnce(Invalid) -> Misfit {
    let place = place.to_owned();
    move |problem| Misfit::Invalid { place, problem }
}
