//! What an operator configures for every account that sends SMS.

use crate::settings::{self, invalid};
use jiff::tz::{Offset, TimeZone};
use omnigate_core::{
    account::Settings,
    port::adapter::Invalid,
    sms::{
        ADVERTISING_LABEL,
        opt_out::{Asked, NotAWord, Words},
        phone::{self, Number},
        price::Price,
        segment::MAX_SEGMENTS,
        sender::Sender,
        unaccent::{fold, unaccent},
        vietnam::Operator,
    },
    time::Moment,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Names of the settings that all share.
const SHARED: &[&str] = &[
    "region",
    "utc_offset",
    "sender",
    "senders",
    "unaccented",
    "label",
    "opt_out_line",
    "opt_out_words",
    "opt_in_words",
    "opt_out_locales",
    "opt_out_topic",
    "opt_out_confirmation",
    "max_segments",
    "cost_per_segment",
];

const DEFAULT_REGION: &str = "VN";
const DEFAULT_TOPIC: &str = "marketing";
const DEFAULT_MAX_SEGMENTS: usize = 10;
/// Decree 91/2020: a refusal is confirmed once and at once, without advertising, and the confirmation says when the
/// refusal was received and when sending stops.
const CONFIRMATION_VI: &str = "{name}: da nhan yeu cau tu choi tin quang cao luc {time}. Ngung gui ke tu luc nay.";
const CONFIRMATION_VI_ALL: &str = "{name}: da nhan yeu cau tu choi nhan tin luc {time}. Ngung gui ke tu luc nay.";
const CONFIRMATION_EN: &str = "{name}: your request to get no more advertising came at {time}. Sending stops now.";
const CONFIRMATION_EN_ALL: &str = "{name}: your request to get no more messages came at {time}. Sending stops now.";
/// Longest label, line, topic or confirmation, in bytes.
const MAX_TEXT: usize = 1024;
/// Most words of a list.
const MAX_LIST: usize = 100;

const OPERATORS: &[(&str, Operator)] = &[
    ("viettel", Operator::Viettel),
    ("mobifone", Operator::MobiFone),
    ("vinaphone", Operator::Vinaphone),
    ("vietnamobile", Operator::Vietnamobile),
    ("gtel", Operator::Gtel),
    ("itel", Operator::Itel),
    ("wintel", Operator::Wintel),
    ("indochina", Operator::Indochina),
];

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    region: Option<String>,
    utc_offset: Option<String>,
    sender: Option<String>,
    senders: Option<BTreeMap<String, String>>,
    unaccented: Option<bool>,
    label: Option<String>,
    opt_out_line: Option<String>,
    opt_out_words: Option<Vec<String>>,
    opt_in_words: Option<Vec<String>>,
    opt_out_locales: Option<Vec<String>>,
    opt_out_topic: Option<String>,
    opt_out_confirmation: Option<String>,
    max_segments: Option<usize>,
    cost_per_segment: Option<String>,
}

/// Validated settings that all SMS accounts share.
#[derive(Clone, Debug)]
pub(crate) struct TextSettings {
    /// `region`: ISO 3166 code for numbers in national form; default `VN`.
    pub(crate) region: String,
    /// `sender`: brandname, number or short code that messages come from.
    pub(crate) sender: Option<Sender>,
    /// `senders`: brandnames by operator (`viettel`, `mobifone`, …), where they differ. Numbers can be ported, so the
    /// operator is only a guess from the prefix.
    senders: Vec<(Operator, Sender)>,
    /// `unaccented`: whether texts go out without accents, as is the custom for brandnames; default false.
    pub(crate) unaccented: bool,
    /// `label`: put first on advertising; default `[QC]`, empty for none.
    pub(crate) label: Option<String>,
    /// `opt_out_line`: put last on advertising; default none.
    pub(crate) opt_out_line: Option<String>,
    /// `opt_out_words`, `opt_in_words`: instead of the defaults of `opt_out_locales` (default `vi` and `en` in Vietnam,
    /// else `en`); an empty list switches them off.
    pub(crate) words: Words,
    /// `opt_out_topic`: what an opt-out is about; default `marketing`, empty for everything.
    pub(crate) opt_out_topic: String,
    /// `opt_out_confirmation`: with `{name}` and `{time}` in it; empty for none.
    confirmation: Option<String>,
    /// Default confirmations are written without accents whatever they name.
    plain_confirmation: bool,
    /// `utc_offset`: of times told to people and of times that a provider writes without one; default `+07:00` in Vietnam,
    /// else `+00:00`.
    pub(crate) utc_offset: Offset,
    /// `max_segments`: longer texts are refused; default 10.
    pub(crate) max_segments: usize,
    /// `cost_per_segment`: such as `850 VND`; default unknown.
    pub(crate) cost_per_segment: Option<Price>,
}

/// Reads the settings of an SMS account: those that all share, and the provider's own into `T`, whose fields are all
/// optional; `own` are their names, `secret` those whose values must not be repeated in a message.
pub(crate) fn read<T: DeserializeOwned>(
    settings: &Settings,
    own: &[&str],
    secret: &[&str],
) -> Result<(TextSettings, T), Invalid> {
    let (shared, rest) = settings
        .0
        .clone()
        .into_iter()
        .partition(|(key, _)| SHARED.contains(&key.as_str()));
    let known: Vec<&str> = own.iter().chain(SHARED).copied().collect();
    let own = settings::read(&Settings(rest), &known, secret)?;
    Ok((TextSettings::of(settings::read(&Settings(shared), SHARED, &[])?)?, own))
}

impl TextSettings {
    fn of(written: Written) -> Result<Self, Invalid> {
        let region = written
            .region
            .as_deref()
            .unwrap_or(DEFAULT_REGION)
            .trim()
            .to_uppercase();
        if phone::parse("0912345678", Some(&region)) == Err(phone::NotAPhone::Region) {
            return Err(invalid("region", phone::NotAPhone::Region.to_string()));
        }
        let in_vietnam = region == DEFAULT_REGION;
        let sender = |key: &str, text: &str| {
            Sender::parse(text, Some(&region)).map_err(|problem| invalid(key, problem.to_string()))
        };
        let words = words(&written, in_vietnam)?;
        let opt_out_topic =
            bounded("opt_out_topic", written.opt_out_topic)?.unwrap_or_else(|| DEFAULT_TOPIC.to_owned());
        let confirmation = bounded("opt_out_confirmation", written.opt_out_confirmation)?;
        let default_confirmation = match (in_vietnam, opt_out_topic.is_empty()) {
            (true, false) => CONFIRMATION_VI,
            (true, true) => CONFIRMATION_VI_ALL,
            (false, false) => CONFIRMATION_EN,
            (false, true) => CONFIRMATION_EN_ALL,
        };
        let max_segments = written.max_segments.unwrap_or(DEFAULT_MAX_SEGMENTS);
        if !(1..=MAX_SEGMENTS).contains(&max_segments) {
            return Err(invalid("max_segments", "must be 1 to 255"));
        }
        Ok(Self {
            sender: written
                .sender
                .as_deref()
                .map(|text| sender("sender", text))
                .transpose()?,
            senders: written
                .senders
                .unwrap_or_default()
                .iter()
                .map(|(name, text)| Ok((operator(name)?, sender("senders", text)?)))
                .collect::<Result<_, Invalid>>()?,
            unaccented: written.unaccented.unwrap_or(false),
            label: Some(bounded("label", written.label)?.unwrap_or_else(|| ADVERTISING_LABEL.to_owned()))
                .filter(|label| !label.is_empty()),
            opt_out_line: bounded("opt_out_line", written.opt_out_line)?.filter(|line| !line.is_empty()),
            words,
            opt_out_topic,
            plain_confirmation: confirmation.is_none(),
            confirmation: Some(confirmation.unwrap_or_else(|| default_confirmation.to_owned()))
                .filter(|text| !text.is_empty()),
            utc_offset: offset(
                written
                    .utc_offset
                    .as_deref()
                    .unwrap_or(if in_vietnam { "+07:00" } else { "+00:00" }),
            )?,
            max_segments,
            cost_per_segment: written.cost_per_segment.as_deref().map(price).transpose()?,
            region,
        })
    }

    /// Who a message to this number comes from.
    pub(crate) fn sender_to(&self, number: Option<&Number>) -> Option<&Sender> {
        let operator = number.and_then(Number::operator);
        let own = self.senders.iter().find(|(of, _)| Some(*of) == operator);
        own.map(|(_, sender)| sender).or(self.sender.as_ref())
    }

    /// What is sent back to somebody who opted out at a time; empty for nothing. `name` is the company's.
    pub(crate) fn confirmation(&self, name: &str, received_at: Moment) -> String {
        let Some(template) = &self.confirmation else {
            return String::new();
        };
        let text = template
            .replace("{time}", &self.local_time(received_at))
            .replace("{name}", name);
        if self.plain_confirmation || self.unaccented {
            return unaccent(&text).text;
        }
        text
    }

    fn local_time(&self, at: Moment) -> String {
        let zone = TimeZone::fixed(self.utc_offset);
        let local = jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(zone));
        local.map_or_else(|_| String::new(), |local| local.strftime("%H:%M %d/%m/%Y").to_string())
    }
}

fn words(written: &Written, in_vietnam: bool) -> Result<Words, Invalid> {
    let default = if in_vietnam {
        vec!["vi".to_owned(), "en".to_owned()]
    } else {
        vec!["en".to_owned()]
    };
    let locales = written.opt_out_locales.as_ref().unwrap_or(&default);
    let lacks_words = |locale: &&String| Words::of_locales([locale.as_str()]).of(Asked::OptOut).next().is_none();
    if let Some(locale) = locales.iter().find(lacks_words) {
        let locale: String = locale.chars().take(20).collect();
        return Err(invalid(
            "opt_out_locales",
            format!("there are no words of {locale:?}, only of vi and en; give opt_out_words and opt_in_words"),
        ));
    }
    let mut words = Words::of_locales(locales.iter().map(String::as_str));
    for (key, asked, own) in [
        ("opt_out_words", Asked::OptOut, &written.opt_out_words),
        ("opt_in_words", Asked::OptIn, &written.opt_in_words),
    ] {
        let Some(own) = own else { continue };
        if own.len() > MAX_LIST {
            return Err(invalid(
                key,
                format!("has {} words, at most {MAX_LIST} are taken", own.len()),
            ));
        }
        let defaults: Vec<String> = words.of(asked).map(str::to_owned).collect();
        for word in &defaults {
            words.remove(word);
        }
        for word in own {
            words
                .add(asked, word)
                .map_err(|problem: NotAWord| invalid(key, problem.to_string()))?;
        }
    }
    Ok(words)
}

fn operator(name: &str) -> Result<Operator, Invalid> {
    let found = OPERATORS.iter().find(|(known, _)| fold(known) == fold(name.trim()));
    found.map(|(_, operator)| *operator).ok_or_else(|| {
        let known: Vec<&str> = OPERATORS.iter().map(|(name, _)| *name).collect();
        let name: String = name.chars().take(40).collect();
        invalid(
            "senders",
            format!("{name:?} is no operator; known are {}", known.join(", ")),
        )
    })
}

/// `+07:00`.
fn offset(text: &str) -> Result<Offset, Invalid> {
    let read = || {
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<i32>().ok()).flatten()
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        let known = hours <= 14 && minutes < 60;
        known
            .then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())
            .flatten()
    };
    read().ok_or_else(|| invalid("utc_offset", "must look like +07:00"))
}

/// `850 VND`.
fn price(text: &str) -> Result<Price, Invalid> {
    let wrong = |problem: String| invalid("cost_per_segment", problem);
    let (amount, currency) = text
        .trim()
        .split_once(' ')
        .ok_or_else(|| wrong("must be an amount and a currency, such as 850 VND".to_owned()))?;
    Price::parse(amount, currency).map_err(|problem| wrong(problem.to_string()))
}

fn bounded(key: &str, text: Option<String>) -> Result<Option<String>, Invalid> {
    match text {
        Some(text) if text.len() > MAX_TEXT => Err(invalid(key, format!("must be at most {MAX_TEXT} bytes"))),
        Some(text) => Ok(Some(text.trim().to_owned())),
        None => Ok(None),
    }
}

#[cfg(test)]
pub(super) mod tests;
