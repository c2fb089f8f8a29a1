//! What happens to conversations by themselves.

use super::{
    node::{Node, Source},
    section::section,
    setting::{Row, Setting, plain},
};
use omnigate_core::conversation::{Reopen, Rules};
use std::time::Duration;
use toml::Value;

/// Longest time after which something happens by itself, in hours: a year.
const MAX_HOURS: u32 = 366 * 24;

/// What the customer's next message does to a conversation that is resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReopenPolicy {
    /// It opens another one.
    Never,
    /// It reopens it within a time.
    Within,
    /// It reopens it, however much later.
    Always,
}

impl ReopenPolicy {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Never, "never"),
        (Self::Within, "within"),
        (Self::Always, "always"),
    ];

    fn read(node: &Node<'_>) -> Option<Self> {
        let text = node.value.as_str()?.trim();
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name)| *name == text).map(|(policy, _)| policy)
    }

    fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }
}

plain!(
    ReopenPolicy,
    "\"never\", \"within\" or \"always\"",
    ReopenPolicy::read,
    |policy| Value::String(policy.name().to_owned())
);

section! {
    /// What happens by itself to conversations that began in the account.
    pub struct Conversations {
        /// What the customer's next message does to a resolved one: `never` opens another one, `within` reopens it for
        /// `reopen_hours`, `always` reopens it however much later. When it can be reopened no more, it is closed.
        pub reopen: ReopenPolicy = ReopenPolicy::Within,
        /// Hours for which `within` reopens a resolved one.
        pub reopen_hours: u32 = 72,
        /// Hours of silence after which an open one is resolved in which the last word is ours; without it never.
        pub resolve_after_hours: Option<u32>,
    }
}

impl Conversations {
    /// As the domain takes it.
    pub(super) fn rules(&self) -> Rules {
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3600);
        Rules {
            reopen: match self.reopen {
                ReopenPolicy::Never => Reopen::Never,
                ReopenPolicy::Within => Reopen::Within(hours(self.reopen_hours)),
                ReopenPolicy::Always => Reopen::Always,
            },
            resolve_after: self.resolve_after_hours.map(hours),
        }
    }
}

/// Notes what does not make sense at a key.
pub(super) fn validate(source: &Source<'_>, key: &str, rules: &Conversations) {
    let hours = [
        ("reopen_hours", Some(rules.reopen_hours)),
        ("resolve_after_hours", rules.resolve_after_hours),
    ];
    for (field, hours) in hours {
        if hours.is_some_and(|hours| !(1..=MAX_HOURS).contains(&hours)) {
            source.wrong(&format!("{key}.{field}"), format!("must be 1 to {MAX_HOURS}"));
        }
    }
}
