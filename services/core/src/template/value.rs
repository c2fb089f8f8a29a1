//! What is filled in: values read by their type, and how they print.

use super::decimal::Decimal;
use super::wording::{MoneyStyle, Wording, decimals_of};
use crate::identifier;
use crate::sms::phone;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::value::{DynObject, Object, ObjectRepr, Value};
use omnigate_proto::v1::{Identifier, TemplateVariable, TemplateVariableType as Type};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization as _;

/// Longest text, in bytes.
const MAX_TEXT: usize = 4_096;
/// Longest address, in bytes.
const MAX_URL: usize = 2_048;

/// What all values of one rendering print by.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The variant's language.
    pub(crate) wording: Wording,
    /// The recipient's time zone.
    pub(crate) zone: TimeZone,
}

impl Object for Setting {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Why a text is no value of its variable's type. None of the texts repeats it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAValue {
    /// Too long.
    #[error("must be at most {0} bytes")]
    TooLong(usize),
    /// Not a number in our form.
    #[error("must be digits with at most one point, such as -12.5: at most 15 before it and 6 behind it")]
    Number,
    /// More digits behind the point than the currency has.
    #[error("has more digits behind the point than its currency has")]
    Cents,
    /// No day.
    #[error("must be a day such as 2026-11-30")]
    Date,
    /// No moment.
    #[error("must be a moment of RFC 3339 such as 2026-11-30T08:00:00Z")]
    DateTime,
    /// Neither yes nor no.
    #[error("must be true or false")]
    Boolean,
    /// No address that can be opened.
    #[error("must be an absolute http or https address without spaces")]
    Url,
    /// No phone number.
    #[error("must be a phone number in E.164 form, such as +84912345678")]
    Phone,
    /// The variable has no type that this version knows.
    #[error("is of a type that is not known here")]
    Type,
}

/// A value that was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Typed {
    Text(String),
    Number(Decimal),
    Money(Decimal, String),
    Date(Date),
    Moment(Timestamp),
    Boolean(bool),
}

/// Reads a value by its variable's type.
pub(crate) fn read(variable: &TemplateVariable, text: &str) -> Result<Typed, NotAValue> {
    let within = |limit: usize| match text.len() > limit {
        true => Err(NotAValue::TooLong(limit)),
        false => Ok(()),
    };
    within(MAX_TEXT)?;
    let trimmed = text.trim();
    match variable.r#type() {
        Type::Unspecified => Err(NotAValue::Type),
        Type::Text => Ok(Typed::Text(text.nfc().collect())),
        Type::Number => Decimal::parse(trimmed).map(Typed::Number).ok_or(NotAValue::Number),
        Type::Money => {
            let amount = Decimal::parse(trimmed).ok_or(NotAValue::Number)?;
            match amount.decimals() > decimals_of(&variable.currency) {
                true => Err(NotAValue::Cents),
                false => Ok(Typed::Money(amount, variable.currency.clone())),
            }
        }
        Type::Date => match (trimmed.len(), trimmed.parse()) {
            (10, Ok(date)) => Ok(Typed::Date(date)),
            _ => Err(NotAValue::Date),
        },
        Type::DateTime => trimmed.parse().map(Typed::Moment).map_err(|_| NotAValue::DateTime),
        Type::Boolean => trimmed.parse().map(Typed::Boolean).map_err(|_| NotAValue::Boolean),
        Type::Url => {
            within(MAX_URL)?;
            match is_address(trimmed) {
                true => Ok(Typed::Text(trimmed.to_owned())),
                false => Err(NotAValue::Url),
            }
        }
        Type::Phone => {
            let number = Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: trimmed.to_owned(),
            };
            let number = identifier::canonical(&number).map_err(|_| NotAValue::Phone)?;
            Ok(Typed::Text(number.value))
        }
    }
}

/// True for an address that a browser opens and that ends where the text shows it to end.
fn is_address(text: &str) -> bool {
    let after = |scheme: &str| {
        let start = text.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    };
    let Some(rest) = after("https://").or_else(|| after("http://")) else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`');
    !host.is_empty() && !text.chars().any(is_odd)
}

/// A value of its type where neither a value nor a sample is given.
pub(crate) const fn example(kind: Type) -> &'static str {
    match kind {
        Type::Unspecified | Type::Text => "Nguyễn Văn An",
        Type::Number => "1234",
        Type::Money => "1250000",
        Type::Date => "2026-11-30",
        Type::DateTime => "2026-11-30T01:30:00Z",
        Type::Boolean => "true",
        Type::Url => "https://example.com/a?b=1",
        Type::Phone => "+84912345678",
    }
}

impl Typed {
    /// As templates see it.
    pub(crate) fn into_value(self, setting: &Setting) -> Value {
        let wording = setting.wording;
        match self {
            Self::Text(text) => Value::from(text),
            Self::Boolean(flag) => Value::from(flag),
            Self::Number(number) => number_value(number),
            Self::Money(amount, currency) => Value::from_object(Money {
                amount,
                currency,
                wording,
            }),
            Self::Date(date) => Value::from_object(Day { date, wording }),
            Self::Moment(timestamp) => Value::from_object(Instant {
                at: timestamp.to_zoned(setting.zone.clone()),
                wording,
            }),
        }
    }
}

/// A number to calculate with.
fn number_value(number: Decimal) -> Value {
    match number.as_whole() {
        Some(whole) => Value::from(whole),
        // Printed again, it is cut to six digits behind the point, which makes up for the binary form.
        None => Value::from(number.to_string().parse::<f64>().unwrap_or_default()),
    }
}

/// A phone number as people write it in its country.
pub(crate) fn national(number: &str) -> String {
    phone::parse(number, None).map_or_else(|_| number.to_owned(), |number| number.national())
}

/// An amount of a currency.
#[derive(Debug)]
pub(crate) struct Money {
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    pub(crate) wording: Wording,
}

impl Object for Money {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "amount" => Some(number_value(self.amount)),
            "currency" => Some(Value::from(self.currency.as_str())),
            _ => None,
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.amount.is_zero()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(self.currency.cmp(&other.currency).then(self.amount.cmp(&other.amount)))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.wording.money(self.amount, &self.currency, MoneyStyle::Symbol))
    }
}

/// A day.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) wording: Wording,
}

impl Object for Day {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        part(self.date.into(), key.as_str()?).filter(|_| !matches!(key.as_str(), Some("hour" | "minute")))
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.date.cmp(&other.downcast_ref::<Self>()?.date))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.date.strftime(self.wording.date_pattern()))
    }
}

/// A moment, in the recipient's time zone.
#[derive(Debug)]
pub(crate) struct Instant {
    pub(crate) at: Zoned,
    pub(crate) wording: Wording,
}

impl Object for Instant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        part(self.at.datetime(), key.as_str()?)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.at.cmp(&other.downcast_ref::<Self>()?.at))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.at.strftime(self.wording.moment_pattern()))
    }
}

fn part(at: DateTime, name: &str) -> Option<Value> {
    Some(match name {
        "year" => Value::from(i64::from(at.year())),
        "month" => Value::from(i64::from(at.month())),
        "day" => Value::from(i64::from(at.day())),
        "hour" => Value::from(i64::from(at.hour())),
        "minute" => Value::from(i64::from(at.minute())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::zone;

    fn variable(kind: Type) -> TemplateVariable {
        TemplateVariable {
            r#type: kind.into(),
            currency: "VND".to_owned(),
            ..TemplateVariable::default()
        }
    }

    #[test]
    fn values_are_read_in_one_form_only() {
        for (kind, good, bad) in [
            (
                Type::Number,
                &["12", "-0.5", " 7 "][..],
                &["", "1.250.000", "12,5", "1e3"][..],
            ),
            (Type::Money, &["1250000", "-1"], &["1.250.000", "1250000.5", "₫5"]),
            (
                Type::Date,
                &["2026-11-30"],
                &["30/11/2026", "2026-02-30", "2026-11-30T08:00:00", "20261130"],
            ),
            (
                Type::DateTime,
                &["2026-11-30T08:00:00Z", "2026-11-30T08:00:00+07:00"],
                &["2026-11-30", "2026-11-30T08:00:00", "now"],
            ),
            (Type::Boolean, &["true", "false"], &["yes", "1", "", "TRUE"]),
            (
                Type::Url,
                &["https://shop.vn/a?b=c&d=%20", "HTTP://x"],
                &[
                    "javascript:alert(1)",
                    "//x",
                    "https://",
                    "https:///x",
                    "https://x y",
                    "https://x\"y",
                    "ftp://x",
                ],
            ),
            (Type::Phone, &["+84 912 345 678"], &["0912345678", "abc", ""]),
            (Type::Text, &["", "Chào\nchị"], &[]),
        ] {
            for text in good {
                assert!(read(&variable(kind), text).is_ok(), "{kind:?} {text:?}");
            }
            for text in bad {
                assert!(read(&variable(kind), text).is_err(), "{kind:?} {text:?}");
            }
            assert!(read(&variable(kind), example(kind)).is_ok());
        }
        assert_eq!(
            read(&variable(Type::Text), &"x".repeat(4_097)),
            Err(NotAValue::TooLong(4_096))
        );
        assert_eq!(read(&variable(Type::Text), "e\u{301}"), Ok(Typed::Text("é".to_owned())));
    }

    #[test]
    fn zones_are_known_by_their_names() {
        assert!(zone("Asia/Ho_Chi_Minh").is_some() && zone("America/New_York").is_some());
        assert!(zone("Asia/Hanoi_City").is_none() && zone("").is_none() && zone("../etc/passwd").is_none());
    }
}
