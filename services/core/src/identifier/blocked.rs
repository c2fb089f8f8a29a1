//! Identifiers that stand for nobody in particular and bring nobody together: what tenants block, their own numbers and
//! mailboxes, mailboxes that nobody reads and those that many read.

use crate::identifier::canonical;
use omnigate_proto::v1::Identifier;
use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// Most values and patterns of a tenant.
pub const MAX_BLOCKED: usize = 1000;
/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 256;
/// Most memory that a pattern may take, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// Local parts of addresses that nobody reads.
const UNREAD: &[&str] = &[
    "noreply",
    "no-reply",
    "no_reply",
    "no.reply",
    "donotreply",
    "do-not-reply",
    "do_not_reply",
    "mailer-daemon",
];
/// Local parts of addresses that more than one person reads.
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "contact",
    "enquiries",
    "feedback",
    "finance",
    "hello",
    "help",
    "helpdesk",
    "hostmaster",
    "hr",
    "info",
    "invoice",
    "it",
    "jobs",
    "kinhdoanh",
    "lienhe",
    "mail",
    "marketing",
    "office",
    "orders",
    "postmaster",
    "press",
    "root",
    "sales",
    "security",
    "service",
    "support",
    "team",
    "webmaster",
];

/// What a tenant blocks.
#[derive(Clone, Default, Debug)]
pub struct Blocked {
    /// Type and value; an empty type is every type.
    values: BTreeSet<(String, String)>,
    /// Type and pattern of whole values.
    patterns: Vec<(String, Regex)>,
    /// True when role mailboxes are blocked.
    roles: bool,
}

impl PartialEq for Blocked {
    fn eq(&self, other: &Self) -> bool {
        let texts = |blocked: &Self| -> Vec<(String, String)> {
            let patterns = blocked.patterns.iter();
            patterns
                .map(|(kind, pattern)| (kind.clone(), pattern.as_str().to_owned()))
                .collect()
        };
        self.values == other.values && self.roles == other.roles && texts(self) == texts(other)
    }
}

impl Blocked {
    /// Nothing but what always stands for nobody.
    pub const NONE: Self = Self {
        values: BTreeSet::new(),
        patterns: Vec::new(),
        roles: false,
    };

    /// Blocks a value of a type, as people write it.
    pub fn block(&mut self, kind: &str, value: &str) {
        let as_identifier = Identifier {
            r#type: kind.to_owned(),
            scope: String::new(),
            value: value.to_owned(),
        };
        let value = canonical(&as_identifier).map_or_else(|_| value.trim().to_owned(), |canonical| canonical.value);
        self.values.insert((kind.to_owned(), value));
    }

    /// Blocks the values of a type that a pattern fits as a whole.
    pub fn block_pattern(&mut self, kind: &str, pattern: Regex) {
        self.patterns.push((kind.to_owned(), pattern));
    }

    /// Blocks mailboxes that more than one person reads.
    pub fn block_roles(&mut self) {
        self.roles = true;
    }

    /// True for an identifier that brings nobody together.
    #[must_use]
    pub fn holds(&self, identifier: &Identifier) -> bool {
        self.holds_value(&identifier.r#type, &identifier.value)
    }

    /// The same of a canonical value of a type.
    #[must_use]
    pub fn holds_value(&self, kind: &str, value: &str) -> bool {
        let has = |local: &str| UNREAD.contains(&local) || (self.roles && ROLES.contains(&local));
        let is_unfit = kind == "email" && value.split('@').next().is_some_and(has);
        let fits = |(of, pattern): &(String, Regex)| of == kind && pattern.is_match(value);
        is_unfit || self.values.contains(&(kind.to_owned(), value.to_owned())) || self.patterns.iter().any(fits)
    }
}

/// A pattern of whole values, in whatever case, or why it is none.
pub fn pattern(text: &str) -> Result<Regex, String> {
    if text.is_empty() || text.len() > MAX_PATTERN {
        return Err(format!("a pattern has 1 to {MAX_PATTERN} bytes"));
    }
    // By itself, so that no bracket of it closes ours.
    Regex::new(text).map_err(|_| "is no regular expression".to_owned())?;
    let whole = RegexBuilder::new(&format!("^(?:{text})$"))
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES)
        .build();
    whole.map_err(|_| "is too large a regular expression".to_owned())
}

/// The address that a text is, if it is a phone number in international form or a mail address: what an account's settings
/// say so is the company's own.
#[must_use]
pub fn own_address(text: &str) -> Option<Identifier> {
    let of = |kind: &str| {
        let identifier = Identifier {
            r#type: kind.to_owned(),
            scope: String::new(),
            value: text.to_owned(),
        };
        canonical(&identifier).ok()
    };
    if text.contains("://") {
        return None;
    }
    of("phone").or_else(|| of("email"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, value: &str) -> Identifier {
        Identifier {
            r#type: kind.into(),
            scope: String::new(),
            value: value.into(),
        }
    }

    #[test]
    fn values_patterns_and_mailboxes_of_nobody_are_blocked() {
        let mut blocked = Blocked::NONE;
        blocked.block("phone", "+84 1900 1234");
        blocked.block("crm", "demo");
        blocked.block_pattern("email", pattern("test.*@example\\.vn").unwrap());
        for (kind, value) in [
            ("phone", "+8419001234"),
            ("crm", "demo"),
            ("email", "test1@example.vn"),
            ("email", "TEST@example.vn"),
            ("email", "noreply@shop.vn"),
        ] {
            assert!(blocked.holds(&of(kind, value)), "{kind} {value}");
        }
        for (kind, value) in [
            ("phone", "+84190012345"),
            ("email", "demo"),
            ("crm", "test1@example.vn"),
            ("email", "my.test@example.vn"),
            ("email", "info@shop.vn"),
            ("crm", "noreply@shop.vn"),
        ] {
            assert!(!blocked.holds(&of(kind, value)), "{kind} {value}");
        }
        blocked.block_roles();
        assert!(blocked.holds(&of("email", "info@shop.vn")));
        assert!(!blocked.holds(&of("email", "lan@shop.vn")));
    }

    #[test]
    fn patterns_are_bounded_and_fit_whole_values_only() {
        for text in ["", "(", "a)|(b", "\\p{L}{1000}{1000}", &"a".repeat(300)] {
            assert!(pattern(text).is_err(), "{text:.20}");
        }
        let either = pattern("a|b").unwrap();
        assert!(either.is_match("A") && either.is_match("b") && !either.is_match("ab") && !either.is_match("xa"));
    }

    #[test]
    fn own_addresses_are_found_among_settings() {
        assert_eq!(own_address("+84 28 1234 5678"), Some(of("phone", "+842812345678")));
        assert_eq!(own_address("Shop@Example.vn"), Some(of("email", "shop@example.vn")));
        for text in ["SHOP", "1900", "https://user@host", "smsc:2775", ""] {
            assert_eq!(own_address(text), None, "{text}");
        }
    }
}
