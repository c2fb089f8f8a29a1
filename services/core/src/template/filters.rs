//! The language that templates are written in: MiniJinja with the filters that messages need, and nothing that reads a
//! clock, makes a choice by chance or reaches outside.

use super::decimal::{DECIMALS, Decimal};
use super::value::{Day, Instant, Money, Setting, national};
use super::wording::{MoneyStyle, Wording, decimals_of};
use crate::sms::unaccent;
use jiff::civil::Date;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter, filters,
};
use unicode_segmentation::UnicodeSegmentation as _;

/// Name under which the [`Setting`] stands beside the variables; no template can write it.
pub(super) const SETTING: &str = "@";
/// End of the names of texts in which values are escaped.
pub(super) const ESCAPED: &str = ".html";
/// Work that one text may make; an instruction costs one, and so do 64 bytes.
const FUEL: u64 = 40_000;
/// Longest pattern of a date, in bytes.
const MAX_PATTERN: usize = 64;

/// Filters that templates can use.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "capitalize",
    "date",
    "default",
    "length",
    "lower",
    "money",
    "number",
    "phone",
    "replace",
    "round",
    "time",
    "title",
    "trim",
    "truncate",
    "upper",
    "urlencode",
    "weekday",
    "without_accents",
];

/// What values have that templates can ask for.
pub(super) const ATTRIBUTES: &[&str] = &["amount", "currency", "year", "month", "day", "hour", "minute"];

/// An environment without templates.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    environment.set_auto_escape_callback(|name| match name.ends_with(ESCAPED) {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_formatter(print);
    environment.add_filter("abs", filters::abs);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("date", date);
    environment.add_filter("default", default);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("money", money);
    environment.add_filter("number", number);
    environment.add_filter("phone", |text: &str| national(text));
    environment.add_filter("replace", filters::replace);
    environment.add_filter("round", round);
    environment.add_filter("time", time);
    environment.add_filter("title", filters::title);
    environment.add_filter("trim", |text: &str| text.trim().to_owned());
    environment.add_filter("truncate", truncate);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("weekday", weekday);
    environment.add_filter("without_accents", |text: &str| unaccent::without_accents(text));
    environment
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Err(wrong("there is nothing to print")),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Bytes | ValueKind::Invalid => {
            Err(wrong("a list cannot be printed"))
        }
        ValueKind::Number if !value.is_integer() => {
            let number = decimal(value).ok_or_else(|| wrong("the number is too large"))?;
            escape_formatter(out, state, &Value::from(number.to_string()))
        }
        _ => escape_formatter(out, state, value),
    }
}

fn wording(state: &State) -> Wording {
    let setting = state.lookup(SETTING);
    let wording = setting
        .as_ref()
        .and_then(|setting| setting.downcast_object_ref::<Setting>());
    wording.map_or(Wording::Neutral, |setting| setting.wording)
}

/// A number, also one that came in as words, or the amount of money.
fn decimal(value: &Value) -> Option<Decimal> {
    if let Some(money) = value.downcast_object_ref::<Money>() {
        return Some(money.amount);
    }
    if let Some(text) = value.as_str() {
        return Decimal::parse(text.trim());
    }
    match value.as_i64() {
        Some(whole) if value.is_integer() => Decimal::parse(&whole.to_string()),
        _ if value.is_number() => Decimal::from_f64(f64::try_from(value.clone()).ok()?),
        _ => None,
    }
}

fn number(state: &State, value: &Value, decimals: Option<usize>) -> Result<String, Error> {
    let number = decimal(value).ok_or_else(|| wrong("`number` wants a number"))?;
    Ok(wording(state).number(number, digits(decimals)?))
}

fn digits(decimals: Option<usize>) -> Result<Option<usize>, Error> {
    match decimals {
        Some(decimals) if decimals > DECIMALS => Err(wrong("at most 6 digits behind the point")),
        decimals => Ok(decimals),
    }
}

fn round(value: &Value, decimals: Option<usize>) -> Result<Value, Error> {
    let number = decimal(value).ok_or_else(|| wrong("`round` wants a number"))?;
    let rounded = number.rounded(digits(decimals)?.unwrap_or(0));
    match rounded.as_whole() {
        Some(whole) => Ok(Value::from(whole)),
        None => rounded
            .to_string()
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| wrong("`round` wants a number")),
    }
}

fn money(state: &State, value: &Value, currency: Option<&str>, named: Kwargs) -> Result<String, Error> {
    let style = match named.get::<Option<&str>>("style")? {
        None | Some("symbol") => MoneyStyle::Symbol,
        Some("code") => MoneyStyle::Code,
        Some("bare") => MoneyStyle::Bare,
        Some(_) => return Err(wrong("`style` of `money` is symbol, code or bare")),
    };
    named.assert_all_used()?;
    let amount = decimal(value).ok_or_else(|| wrong("`money` wants an amount"))?;
    let own = value
        .downcast_object_ref::<Money>()
        .map(|money| money.currency.as_str());
    let currency = match (own, currency) {
        (Some(own), Some(other)) if own != other => return Err(wrong("`money` changes no currency")),
        (own, other) => own
            .or(other)
            .ok_or_else(|| wrong("`money` of a number wants a currency: money(\"VND\")"))?,
    };
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong("a currency is three letters of ISO 4217, such as VND"));
    }
    let amount = amount.rounded(decimals_of(currency));
    Ok(wording(state).money(amount, currency, style))
}

/// Directives of dates and times that mean the same in every language.
fn pattern(pattern: &str) -> Result<&str, Error> {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            continue;
        }
        let directive = match rest.next() {
            Some('-') => rest.next(),
            directive => directive,
        };
        if !matches!(
            directive,
            Some('d' | 'e' | 'm' | 'y' | 'Y' | 'H' | 'M' | 'I' | 'p' | '%')
        ) {
            return Err(wrong(
                "a pattern has %d %e %m %y %Y %H %M %I %p and %%, as in \"%d/%m/%Y\"",
            ));
        }
    }
    match pattern.len() > MAX_PATTERN {
        true => Err(wrong("a pattern has at most 64 bytes")),
        false => Ok(pattern),
    }
}

fn date(value: &Value, wanted: Option<&str>) -> Result<String, Error> {
    let wanted = wanted.map(pattern).transpose()?;
    let failed = |_| wrong("a day has no time that could be printed");
    if let Some(day) = value.downcast_object_ref::<Day>() {
        let wanted = wanted.unwrap_or(day.wording.date_pattern());
        return jiff::fmt::strtime::format(wanted, day.date).map_err(failed);
    }
    if let Some(instant) = value.downcast_object_ref::<Instant>() {
        let wanted = wanted.unwrap_or(instant.wording.date_pattern());
        return jiff::fmt::strtime::format(wanted, &instant.at).map_err(failed);
    }
    Err(wrong("`date` wants a date or a date_time"))
}

fn time(value: &Value, wanted: Option<&str>) -> Result<String, Error> {
    let wanted = pattern(wanted.unwrap_or("%H:%M"))?;
    let instant = value.downcast_object_ref::<Instant>();
    let instant = instant.ok_or_else(|| wrong("`time` wants a date_time"))?;
    jiff::fmt::strtime::format(wanted, &instant.at).map_err(|_| wrong("the time cannot be printed"))
}

fn weekday(value: &Value) -> Result<&'static str, Error> {
    let day = value.downcast_object_ref::<Day>().map(|day| (day.date, day.wording));
    let of_instant = || -> Option<(Date, Wording)> {
        let instant = value.downcast_object_ref::<Instant>()?;
        Some((instant.at.date(), instant.wording))
    };
    let found = day.or_else(of_instant);
    let (date, wording) = found.ok_or_else(|| wrong("`weekday` wants a date or a date_time"))?;
    Ok(wording.weekday(date))
}

/// Something else where there is nothing to say: an empty text, nought, or no.
fn default(value: &Value, instead: &Value) -> Value {
    let is_blank = value.as_str().is_some_and(|text| text.trim().is_empty());
    if is_blank || !value.is_true() {
        instead.clone()
    } else {
        value.clone()
    }
}

/// At most so many characters as a reader counts them, the last one being `…` where something was cut.
fn truncate(text: &str, length: usize) -> Result<String, Error> {
    if length == 0 {
        return Err(wrong("`truncate` leaves at least one character"));
    }
    if text.graphemes(true).nth(length).is_none() {
        return Ok(text.to_owned());
    }
    let kept: String = text.graphemes(true).take(length - 1).collect();
    Ok(format!("{}…", kept.trim_end()))
}

/// A text as part of an address.
fn urlencode(value: &Value) -> Result<String, Error> {
    if !matches!(value.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool) {
        return Err(wrong("`urlencode` wants a text or a number"));
    }
    let mut encoded = String::new();
    for byte in value.to_string().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(encoded)
}
