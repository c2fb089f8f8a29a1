//! What the configuration's apps and accounts need from the adapters, opened and checked once at start.

use omnigate_core::{
    account::{Account, AdapterRef, App, Directory},
    port::adapter::{Channel, Invalid, Kind, Session, Webhook},
};
use std::{collections::BTreeMap, fmt};

/// Something in the configuration that an adapter cannot work with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misfit {
    /// No adapter serves the channel.
    #[error("{place}: no adapter serves channel {channel:?}; there are {known}")]
    UnknownChannel {
        /// Where, such as `accounts.shop`.
        place: String,
        /// What the configuration says.
        channel: String,
        /// What there is.
        known: String,
    },
    /// The adapter says what is wrong.
    #[error("{place}.{problem}")]
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
    pub(crate) by: Box<T>,
}

/// Opened adapters by the id of what they serve.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) webhooks: BTreeMap<String, Served<dyn Webhook>>,
    pub(crate) channels: BTreeMap<String, Served<dyn Channel>>,
    pub(crate) sessions: BTreeMap<String, Box<dyn Session>>,
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
                let misfit = catalog.open_account(kinds, account).err();
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
        let kind = kind(kinds, &place, &app.channel)?;
        let opened = kind.open_webhook(app, &ours).map_err(invalid(&place))?;
        if let Some(webhook) = opened {
            let channel = app.channel.clone();
            self.webhooks.insert(app.id.clone(), Served { channel, by: webhook });
        }
        Ok(())
    }

    fn open_account(&mut self, kinds: Kinds, account: &Account) -> Result<(), Misfit> {
        let place = format!("accounts.{}", account.id);
        let kind = kind(kinds, &place, &account.channel)?;
        let by = kind.open_channel(account).map_err(invalid(&place))?;
        let channel = account.channel.clone();
        self.channels.insert(account.id.clone(), Served { channel, by });
        if let Some(session) = kind.open_session(account).map_err(invalid(&place))? {
            self.sessions.insert(account.id.clone(), session);
        }
        Ok(())
    }
}

fn kind(kinds: Kinds, place: &str, channel: &str) -> Result<&'static dyn Kind, Misfit> {
    let found = kinds.iter().copied().find(|kind| kind.channel() == channel);
    found.ok_or_else(|| Misfit::UnknownChannel {
        place: place.to_owned(),
        channel: channel.to_owned(),
        known: kinds.iter().map(|kind| kind.channel()).collect::<Vec<_>>().join(", "),
    })
}

fn invalid(place: &str) -> impl FnOnce(Invalid) -> Misfit {
    let place = place.to_owned();
    move |problem| Misfit::Invalid { place, problem }
}
