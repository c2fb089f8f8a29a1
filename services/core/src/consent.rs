//! Who may be sent what: the ledger of consents, a customer's refusal of all advertising, and the list of those that nothing
//! is sent to.
//!
//! Consent belongs to an identifier, a channel and a purpose, so nothing of it moves when customers are merged or taken
//! apart. What is lawful for one message is decided over all layers at once ([`effective`]), which also says what each of
//! them had to say.

mod effective;
mod fault;
mod ledger;
pub mod suppression;

pub use effective::{Asked, Effective, Layers, Seen, ThreadWord, Word, effective};
pub use fault::fault;
pub use ledger::{
    MAX_FACTS, Recorded, Said, TooManyChannels, What, lapsed, presently, record, refused_by_event, standing,
};

use crate::time::Moment;
use omnigate_proto::state::v1::RefusalRecord;
use omnigate_proto::v1::Purpose;
use std::collections::BTreeMap;

/// Topic that a peer who wants no advertising opted out of.
const MARKETING: &str = "marketing";

/// Purposes that need nobody's consent and that no wish takes away: what a person asked for or needs to know. The law itself
/// asks for some of it, such as the confirmation that a refusal was heard.
#[must_use]
pub const fn needs_consent(purpose: Purpose) -> bool {
    !matches!(purpose, Purpose::Unspecified | Purpose::Service)
}

/// The purposes that a wish about a topic is about. A topic without a name is everything that needs consent; a provider's own
/// subject is nothing that we know a purpose of.
#[must_use]
pub fn purposes_of(topic: &str) -> &'static [Purpose] {
    match topic {
        MARKETING | "" => &[Purpose::Marketing],
        _ => &[],
    }
}

/// What holds for advertising to somebody of whom nothing is known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum MarketingDefault {
    /// It may be sent until they refuse.
    #[default]
    Allowed,
    /// It may be sent once they agreed.
    Required,
}

/// The same, for each channel.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MarketingDefaults {
    /// Where no channel is named.
    pub all: MarketingDefault,
    /// By kind of channel.
    pub by_channel: BTreeMap<String, MarketingDefault>,
}

impl MarketingDefaults {
    /// What holds on a channel.
    #[must_use]
    pub fn of(&self, channel: &str) -> MarketingDefault {
        self.by_channel.get(channel).copied().unwrap_or(self.all)
    }
}

/// The record with a customer's word on advertising. `None` when a newer word stands; of two from the same moment the
/// refusal stands.
#[must_use]
pub fn refuse(before: Option<&RefusalRecord>, word: &RefusalRecord) -> Option<RefusalRecord> {
    let stands = before.is_some_and(|before| {
        before.at_ms > word.at_ms || (before.at_ms == word.at_ms && (before.refuses || !word.refuses))
    });
    (!stands).then(|| word.clone())
}

/// True when a time has come; 0 never comes.
const fn is_over(until_ms: i64, now: Moment) -> bool {
    until_ms != 0 && until_ms <= now.0
}

#[cfg(test)]
mod tests;
