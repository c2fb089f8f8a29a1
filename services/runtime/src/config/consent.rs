//! What holds for people of whom nothing is known.

use super::Config;
use super::node::{Node, Source};
use super::section::section;
use super::setting::{Row, Setting, plain};
use omnigate_core::consent::{MarketingDefault, MarketingDefaults};
use std::collections::BTreeMap;
use toml::Value;

section! {
    /// Consent to advertising. Refusals hold whatever stands here.
    pub struct Consent {
        /// Whether advertising may be sent to somebody who neither agreed nor refused: `allowed` or `required`, which is to
        /// say that they have to agree before. The law of many countries wants `required`, such as Viet Nam's for SMS, mail
        /// and calls.
        pub marketing_default: MarketingDefault = MarketingDefault::Allowed,
        /// The same for one kind of channel, such as `sms`.
        pub channels: BTreeMap<String, MarketingDefault>,
    }
}

impl Consent {
    /// As the domain wants it.
    #[must_use]
    pub fn marketing_defaults(&self) -> MarketingDefaults {
        MarketingDefaults {
            all: self.marketing_default,
            by_channel: self.channels.clone(),
        }
    }
}

/// A channel that nobody has is a misspelt one, and what was meant would not hold.
pub(crate) fn validate(config: &Config, source: &Source<'_>) {
    for channel in config.consent.channels.keys() {
        if !config.accounts.values().any(|account| account.channel == *channel) {
            let problem = format!("no account has channel {channel:?}");
            source.wrong(&format!("consent.channels.{channel}"), problem);
        }
    }
}

fn read(node: &Node<'_>) -> Option<MarketingDefault> {
    match node.value.as_str()?.trim() {
        "allowed" => Some(MarketingDefault::Allowed),
        "required" => Some(MarketingDefault::Required),
        _ => None,
    }
}

const fn word(default: MarketingDefault) -> &'static str {
    match default {
        MarketingDefault::Allowed => "allowed",
        MarketingDefault::Required => "required",
    }
}

plain!(MarketingDefault, "\"allowed\" or \"required\"", read, |v| {
    Value::String(word(*v).to_owned())
});
