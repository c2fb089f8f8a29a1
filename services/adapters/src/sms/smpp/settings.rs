//! What an operator configures for an SMPP account, beside what all SMS accounts share.

mod checks;

use super::message_id::Form;
use super::receipt::{self, Words};
use super::status::{self, Classes};
use crate::settings::invalid;
use crate::texting::{self, TextSettings};
use checks::{c_string, map, number, octet, seconds, validity, within};
use omnigate_core::{
    account::Settings,
    port::adapter::{Invalid, Place},
    sms::{alphabet::National, coding::DefaultAlphabet},
};
use omnigate_proto::v1::ErrorClass;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["password"];

const OWN: &[&str] = &[
    "host",
    "port",
    "tls",
    "authority",
    "system_id",
    "password",
    "system_type",
    "bind",
    "binds",
    "addr_ton",
    "addr_npi",
    "address_range",
    "source_addr_ton",
    "source_addr_npi",
    "dest_addr_ton",
    "dest_addr_npi",
    "window",
    "enquire_link_s",
    "response_s",
    "bind_s",
    "throttle_pause_ms",
    "registered_delivery",
    "validity_s",
    "service_type",
    "priority",
    "default_alphabet",
    "ucs2_data_coding",
    "long_messages",
    "national_locking",
    "national_single",
    "submit_id",
    "receipt_id",
    "receipt_tlv_id",
    "receipts_by_text",
    "receipt_accepted_is_final",
    "receipt_states",
    "receipt_classes",
    "status_classes",
    "messages_per_second",
    "duplicate_window_s",
];

const DEFAULT_PORT: u16 = 2775;
const DEFAULT_BINDS: usize = 1;
const MAX_BINDS: usize = 16;
const DEFAULT_WINDOW: usize = 10;
const MAX_WINDOW: usize = 10_000;
const DEFAULT_THROTTLE_PAUSE_MS: u64 = 1_000;
const DEFAULT_DUPLICATE_WINDOW_S: u64 = 60;
const DEFAULT_UCS2_DATA_CODING: u8 = 8;

/// Which binds an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BindMode {
    /// Each sends and receives.
    #[default]
    Transceiver,
    /// Pairs of one that sends and one that receives.
    TransmitterReceiver,
}

/// How a long message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LongMessages {
    /// In pieces with a header whose reference has one octet.
    #[default]
    Udh,
    /// In pieces with a header whose reference has two octets.
    Udh16,
    /// In pieces told by optional parameters.
    Sar,
    /// As one `message_payload`.
    Payload,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    host: Option<String>,
    port: Option<u16>,
    tls: Option<bool>,
    authority: Option<String>,
    system_id: Option<String>,
    password: Option<String>,
    system_type: Option<String>,
    bind: Option<BindMode>,
    binds: Option<usize>,
    addr_ton: Option<u8>,
    addr_npi: Option<u8>,
    address_range: Option<String>,
    source_addr_ton: Option<u8>,
    source_addr_npi: Option<u8>,
    dest_addr_ton: Option<u8>,
    dest_addr_npi: Option<u8>,
    window: Option<usize>,
    enquire_link_s: Option<u64>,
    response_s: Option<u64>,
    bind_s: Option<u64>,
    throttle_pause_ms: Option<u64>,
    registered_delivery: Option<u8>,
    validity_s: Option<u64>,
    service_type: Option<String>,
    priority: Option<u8>,
    default_alphabet: Option<String>,
    ucs2_data_coding: Option<u8>,
    long_messages: Option<LongMessages>,
    national_locking: Option<String>,
    national_single: Option<String>,
    submit_id: Option<Form>,
    receipt_id: Option<Form>,
    receipt_tlv_id: Option<Form>,
    receipts_by_text: Option<bool>,
    receipt_accepted_is_final: Option<bool>,
    receipt_states: Option<BTreeMap<String, String>>,
    receipt_classes: Option<BTreeMap<String, String>>,
    status_classes: Option<BTreeMap<String, String>>,
    messages_per_second: Option<f64>,
    duplicate_window_s: Option<u64>,
}

/// Password of a bind; never printed.
#[derive(Clone)]
pub(super) struct Password(String);

impl Password {
    /// The password; only for the bind itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(***)")
    }
}

/// Type of number and numbering plan, where the account says them.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Addressing {
    /// Type of number.
    pub(super) ton: Option<u8>,
    /// Numbering plan.
    pub(super) npi: Option<u8>,
}

/// How to bind.
#[derive(Clone, Debug)]
pub(super) struct BindSettings {
    /// `host`, `port` (2775), `tls`, `authority` (PEM of who signed the certificate of the SMSC).
    pub(super) place: Place,
    /// `system_id`.
    pub(super) system_id: String,
    /// `password`.
    pub(super) password: Password,
    /// `system_type`.
    pub(super) system_type: String,
    /// `bind`: `transceiver` (default) or `transmitter_receiver`.
    pub(super) mode: BindMode,
    /// `binds`: how many, or how many pairs; 1.
    pub(super) binds: usize,
    /// `addr_ton`, `addr_npi`: of `address_range`.
    pub(super) range: Addressing,
    /// `address_range`.
    pub(super) address_range: String,
    /// `bind_s`: how long the answer to a bind may take; 10 s.
    pub(super) bind_within: Duration,
}

/// How to send.
#[derive(Clone, Debug)]
pub(super) struct SubmitSettings {
    /// `source_addr_ton`, `source_addr_npi`: by the sender's form unless said.
    pub(super) source: Addressing,
    /// `dest_addr_ton`, `dest_addr_npi`: by the recipient's form unless said.
    pub(super) destination: Addressing,
    /// `registered_delivery`: which receipts are asked for; 1.
    pub(super) registered_delivery: u8,
    /// `validity_s` as SMPP writes it; empty for the provider's default.
    pub(super) validity_period: String,
    /// `service_type`.
    pub(super) service_type: String,
    /// `priority`: 0 to 3.
    pub(super) priority: u8,
    /// `ucs2_data_coding`: 8.
    pub(super) ucs2_data_coding: u8,
    /// `long_messages`: `udh` (default), `udh16`, `sar` or `payload`.
    pub(super) long_messages: LongMessages,
    /// `national_locking`, `national_single`: tables of letters that the provider agreed to, such as `turkish`.
    pub(super) national: National,
    /// `status_classes`: what the provider's own codes mean.
    pub(super) classes: Classes,
    /// `messages_per_second`: what the provider allows; 0 for no limit known.
    pub(super) messages_per_second: f64,
}

/// How receipts are written.
#[derive(Clone, Debug)]
pub(super) struct ReceiptSettings {
    /// `submit_id`: how `submit_sm_resp` writes message ids.
    pub(super) submit_id: Form,
    /// `receipt_id`: how the text of a receipt writes them.
    pub(super) receipt_id: Form,
    /// `receipt_tlv_id`: how `receipted_message_id` writes them; as `submit_id` unless said.
    pub(super) receipt_tlv_id: Form,
    /// `receipts_by_text`: whether what looks like a receipt is one; false.
    pub(super) by_text: bool,
    /// `receipt_accepted_is_final`: whether ACCEPTD is the last that is heard of a message that arrived; false.
    pub(super) accepted_is_final: bool,
    /// `receipt_states`: what the provider's own words mean.
    pub(super) states: Words,
    /// `receipt_classes`: what the network's codes mean.
    pub(super) classes: BTreeMap<String, ErrorClass>,
}

/// Validated settings.
#[derive(Clone, Debug)]
pub(super) struct SmppSettings {
    /// What all SMS accounts share.
    pub(super) text: TextSettings,
    /// How to bind; needed for all but reading offline.
    pub(super) bind: Option<BindSettings>,
    /// How to send.
    pub(super) submit: SubmitSettings,
    /// How receipts are written.
    pub(super) receipt: ReceiptSettings,
    /// `default_alphabet`: what `data_coding` 0 means: `gsm7` (default), `latin1`, `ascii` or `utf8`.
    pub(super) default_alphabet: DefaultAlphabet,
    /// `window`: most unanswered submits of a bind; 10.
    pub(super) window: usize,
    /// `enquire_link_s`: after so much silence the other side is asked whether it is there; 30 s.
    pub(super) enquire_after: Duration,
    /// `response_s`: how long a response may take before its place is given to another; 60 s.
    pub(super) response_within: Duration,
    /// `throttle_pause_ms`: how long a bind rests after it was told to be slower; 1000 ms.
    pub(super) throttle_pause: Duration,
    /// `duplicate_window_s`: how long a message that came may come again; 60 s, 0 for never after a restart.
    pub(super) duplicate_window: Duration,
}

impl SmppSettings {
    /// Reads and checks settings.
    pub(super) fn read(settings: &Settings) -> Result<Self, Invalid> {
        let (text, mut written): (TextSettings, Written) = texting::read(settings, OWN, SECRET)?;
        let submit_id = written.submit_id.unwrap_or_default();
        Ok(Self {
            bind: bind(&mut written)?,
            receipt: ReceiptSettings {
                submit_id,
                receipt_id: written.receipt_id.unwrap_or_default(),
                receipt_tlv_id: written.receipt_tlv_id.unwrap_or(submit_id),
                by_text: written.receipts_by_text.unwrap_or(false),
                accepted_is_final: written.receipt_accepted_is_final.unwrap_or(false),
                states: map("receipt_states", written.receipt_states.take(), |word, name| {
                    Some((word.trim().to_ascii_uppercase(), receipt::state_named(name)?))
                })?,
                classes: map("receipt_classes", written.receipt_classes.take(), |code, name| {
                    Some((code.trim().to_owned(), status::class_named(name)?))
                })?,
            },
            default_alphabet: written
                .default_alphabet
                .as_deref()
                .map_or(Ok(DefaultAlphabet::default()), str::parse)
                .map_err(|problem| invalid("default_alphabet", problem.to_string()))?,
            window: within("window", written.window, DEFAULT_WINDOW, 1, MAX_WINDOW)?,
            enquire_after: seconds("enquire_link_s", written.enquire_link_s, 30, 1, 3_600)?,
            response_within: seconds("response_s", written.response_s, 60, 1, 600)?,
            throttle_pause: Duration::from_millis(within(
                "throttle_pause_ms",
                written.throttle_pause_ms,
                DEFAULT_THROTTLE_PAUSE_MS,
                100,
                60_000,
            )?),
            duplicate_window: seconds(
                "duplicate_window_s",
                written.duplicate_window_s,
                DEFAULT_DUPLICATE_WINDOW_S,
                0,
                3_600,
            )?,
            submit: submit(&mut written)?,
            text,
        })
    }

    /// How to bind, which everything but reading offline needs.
    pub(super) fn need_bind(&self) -> Result<&BindSettings, Invalid> {
        let needed = || {
            invalid(
                "host",
                "is needed, with system_id and password, as the provider gives them",
            )
        };
        self.bind.as_ref().ok_or_else(needed)
    }
}

fn bind(written: &mut Written) -> Result<Option<BindSettings>, Invalid> {
    let Some(host) = written.host.take() else {
        return Ok(None);
    };
    let host = host.trim().to_owned();
    if host.is_empty() || host.len() > 255 || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(invalid("host", "must be a name or an address, without port"));
    }
    let needed = |key: &str| invalid(key, "is needed; the provider gives it");
    let system_id = written.system_id.take().ok_or_else(|| needed("system_id"))?;
    let password = written.password.take().ok_or_else(|| needed("password"))?;
    if system_id.is_empty() {
        return Err(needed("system_id"));
    }
    Ok(Some(BindSettings {
        place: Place {
            host,
            port: within("port", written.port, DEFAULT_PORT, 1, u16::MAX)?,
            tls: written.tls.unwrap_or(false),
            authority: checks::authority(written.authority.take(), written.tls)?,
        },
        // Lengths of SMPP 3.4, 4.1; some providers hand out longer passwords and mean it.
        system_id: c_string("system_id", system_id, 15)?,
        password: Password(c_string("password", password, 64)?),
        system_type: c_string("system_type", written.system_type.take().unwrap_or_default(), 12)?,
        mode: written.bind.unwrap_or_default(),
        binds: within("binds", written.binds, DEFAULT_BINDS, 1, MAX_BINDS)?,
        range: Addressing {
            ton: octet("addr_ton", written.addr_ton, 7)?,
            npi: octet("addr_npi", written.addr_npi, 18)?,
        },
        address_range: c_string("address_range", written.address_range.take().unwrap_or_default(), 40)?,
        bind_within: seconds("bind_s", written.bind_s, 10, 1, 120)?,
    }))
}

fn submit(written: &mut Written) -> Result<SubmitSettings, Invalid> {
    let messages_per_second = written.messages_per_second.unwrap_or(0.0);
    if !(0.0..=1_000_000.0).contains(&messages_per_second) {
        return Err(invalid("messages_per_second", "must be 0 to 1000000"));
    }
    Ok(SubmitSettings {
        source: Addressing {
            ton: octet("source_addr_ton", written.source_addr_ton, 7)?,
            npi: octet("source_addr_npi", written.source_addr_npi, 18)?,
        },
        destination: Addressing {
            ton: octet("dest_addr_ton", written.dest_addr_ton, 7)?,
            npi: octet("dest_addr_npi", written.dest_addr_npi, 18)?,
        },
        registered_delivery: octet("registered_delivery", written.registered_delivery, 31)?.unwrap_or(1),
        validity_period: written.validity_s.map_or(Ok(String::new()), validity)?,
        service_type: c_string("service_type", written.service_type.take().unwrap_or_default(), 5)?,
        priority: octet("priority", written.priority, 3)?.unwrap_or(0),
        ucs2_data_coding: written.ucs2_data_coding.unwrap_or(DEFAULT_UCS2_DATA_CODING),
        long_messages: written.long_messages.unwrap_or_default(),
        national: checks::national(written)?,
        classes: map("status_classes", written.status_classes.take(), |code, name| {
            Some((number(code)?, status::class_named(name)?))
        })?,
        messages_per_second,
    })
}

#[cfg(test)]
mod tests;
