//! Finds the adapter of a channel and provider.

use super::Kind;

/// No adapter serves a channel as it is named.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoKind {
    /// The channel is unknown.
    #[error("no adapter serves channel {channel:?}; there are {known}")]
    Channel {
        /// What was asked for.
        channel: String,
        /// What there is.
        known: String,
    },
    /// The channel has several providers and none was named, or one that is unknown.
    #[error("channel {channel} {}; there are {known}", lacks(provider))]
    Provider {
        /// The channel.
        channel: String,
        /// What was asked for; may be empty.
        provider: String,
        /// What there is.
        known: String,
    },
    /// The channel has only one provider, which has no name.
    #[error("channel {channel} has only one provider; leave {provider:?} out")]
    NoProviders {
        /// The channel.
        channel: String,
        /// What was asked for.
        provider: String,
    },
}

fn lacks(provider: &str) -> String {
    if provider.is_empty() {
        "has several providers and none is named".to_owned()
    } else {
        format!("has no provider {provider:?}")
    }
}

/// The adapter of a channel and provider.
pub fn select(kinds: &[&'static dyn Kind], channel: &str, provider: &str) -> Result<&'static dyn Kind, NoKind> {
    let of_channel: Vec<&'static dyn Kind> = kinds.iter().copied().filter(|kind| kind.channel() == channel).collect();
    if let Some(kind) = of_channel.iter().find(|kind| kind.provider() == provider) {
        return Ok(*kind);
    }
    if of_channel.is_empty() {
        let mut known: Vec<&str> = kinds.iter().map(|kind| kind.channel()).collect();
        known.dedup();
        return Err(NoKind::Channel {
            channel: channel.to_owned(),
            known: known.join(", "),
        });
    }
    let (channel, provider) = (channel.to_owned(), provider.to_owned());
    let known: Vec<&str> = of_channel.iter().map(|kind| kind.provider()).collect();
    Err(if known == [""] {
        NoKind::NoProviders { channel, provider }
    } else {
        NoKind::Provider {
            channel,
            provider,
            known: known.join(", "),
        }
    })
}
