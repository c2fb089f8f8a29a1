//! Which attributes there may be, and what they may hold.

use super::Kind;
use crate::time::Moment;
use omnigate_proto::v1::AttributeValue;
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

/// Longest name, in bytes.
const MAX_NAME: usize = 64;
/// Longest text, in bytes.
const MAX_TEXT: usize = 1024;
/// Longest tag, in characters.
const MAX_TAG: usize = 64;
/// Times that can be written: years 1 to 9999.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Type of an attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueType {
    /// Text.
    Text,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// A time.
    Time,
}

impl ValueType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::Flag, Self::Time];

    /// Its name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::Time => "time",
        }
    }

    /// Back from [`ValueType::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Type of a value; `None` for one without.
    #[must_use]
    pub fn of(value: &AttributeValue) -> Option<Self> {
        Some(match value.kind.as_ref()? {
            Kind::Text(_) => Self::Text,
            Kind::Number(_) => Self::Number,
            Kind::Flag(_) => Self::Flag,
            Kind::Time(_) => Self::Time,
        })
    }
}

/// Attributes that customers may have; any when empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schema {
    /// Their types by name.
    pub attributes: BTreeMap<String, ValueType>,
}

/// Why an attribute cannot be set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAnAttribute {
    /// It is not configured.
    #[error("{name:?} is no configured attribute{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// What was given.
        name: String,
        /// The configured name that is most like it.
        nearest: Option<String>,
    },
    /// It has another type.
    #[error("{name:?} is a {}", wanted.name())]
    Type {
        /// Which.
        name: String,
        /// What it must be.
        wanted: ValueType,
    },
}

impl Schema {
    /// Whether an attribute may have this value.
    pub fn check(&self, name: &str, value: &AttributeValue) -> Result<(), NotAnAttribute> {
        if self.attributes.is_empty() {
            return Ok(());
        }
        let name = name.to_owned();
        match self.attributes.get(&name) {
            None => Err(NotAnAttribute::Unknown {
                nearest: crate::filter::nearest(&name, self.attributes.keys().map(String::as_str)),
                name,
            }),
            Some(wanted) if ValueType::of(value) != Some(*wanted) => {
                Err(NotAnAttribute::Type { name, wanted: *wanted })
            }
            Some(_) => Ok(()),
        }
    }
}

/// Text in the one form that it is compared in.
#[must_use]
pub fn normal_text(text: &str) -> String {
    text.nfc().collect()
}

/// A value in the one form that it is compared in.
#[must_use]
pub fn normal(value: &AttributeValue) -> AttributeValue {
    match &value.kind {
        Some(Kind::Text(text)) => super::text(&normal_text(text)),
        _ => value.clone(),
    }
}

/// What is wrong with the name of an attribute.
#[must_use]
pub fn name_problem(name: &str) -> Option<&'static str> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
    let goes_on = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_name = begins && goes_on && name.len() <= MAX_NAME;
    (!is_name).then_some("must be a lower-case letter and up to 63 of a-z, 0-9 and _")
}

/// What is wrong with a value.
#[must_use]
pub fn value_problem(value: &AttributeValue) -> Option<&'static str> {
    match &value.kind {
        None => Some("is missing"),
        Some(Kind::Text(text)) if text.trim().is_empty() => Some("is empty; remove the attribute instead"),
        Some(Kind::Text(text)) if text.len() > MAX_TEXT => Some("is longer than 1,024 bytes"),
        Some(Kind::Number(number)) if !number.is_finite() => Some("is no finite number"),
        Some(Kind::Time(time)) if !TIMES.contains(&Moment::from_timestamp(time).0) => Some("is no possible time"),
        Some(_) => None,
    }
}

/// What is wrong with a tag.
#[must_use]
pub fn tag_problem(tag: &str) -> Option<&'static str> {
    let length = tag.chars().count();
    let is_tag = (1..=MAX_TAG).contains(&length) && tag.trim() == tag && !tag.chars().any(char::is_control);
    (!is_tag).then_some("must have 1 to 64 characters, and no spaces around them")
}
