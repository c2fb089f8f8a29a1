//! People who write to the ESME, and an SMSC that speaks badly.

use super::{
    center::Center,
    coding::Coding,
    control::ControlError,
    flood::{Flood, Flowing},
    pdu::{Address, ShortMessage, Tlv, command},
    pieces::{Long, cut, encode},
};
use crate::telegram::Now;
use bytes::{BufMut as _, BytesMut};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Somebody writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Writes {
    /// To this `system_id`; to the first account when absent.
    pub account: Option<String>,
    /// Whose number, `+` or not.
    pub from: String,
    /// The short code or number that they write to.
    pub to: String,
    /// What they write.
    pub text: String,
    /// How it is encoded.
    pub coding: Coding,
    /// How it travels where it is long.
    pub long: Long,
    /// What `data_coding` says, whatever the coding is.
    pub data_coding: Option<u8>,
    /// Octets in hexadecimal, in place of the text.
    pub octets: Option<String>,
    /// As sent.
    pub service_type: String,
    /// Further optional parameters of every piece: tag and value in hexadecimal.
    pub tlvs: Vec<(u16, String)>,
    /// Octets in hexadecimal behind the body of every piece, such as `000000`.
    pub trailing: String,
    /// Whether it comes as `data_sm`.
    pub as_data_sm: bool,
    /// Pieces that never come, counted from 1.
    pub missing: Vec<u8>,
    /// Pieces that come twice.
    pub twice: Vec<u8>,
    /// Whether the last piece comes first.
    pub reversed: bool,
    /// Milliseconds by which a piece is late, divided by the sandbox's speed.
    pub late: BTreeMap<u8, u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The `deliver_sm` made, to be found again in what is settled.
    pub deliveries: Vec<u64>,
    /// Of how many pieces the message is.
    pub pieces: usize,
}

/// What no SMSC should send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Malformed {
    /// A request of an unknown kind, otherwise sound.
    UnknownCommand,
    /// A response to nothing.
    StrayResponse,
    /// `command_length` 8: nothing after it can be told apart.
    TooShort,
    /// `command_length` of two gigabytes: nothing after it can be told apart.
    TooLong,
    /// A `deliver_sm` whose `sm_length` reaches beyond its end.
    Truncated,
    /// A `deliver_sm` without a NUL in it.
    Unterminated,
    /// A `deliver_sm` from an address of 40 digits.
    LongAddress,
    /// A `deliver_sm` whose last TLV reaches beyond its end.
    TlvOverrun,
    /// A `deliver_sm` without a body.
    NoBody,
    /// A sound `enquire_link` with sequence number 0.
    ZeroSequence,
    /// Any octets.
    Octets {
        /// In hexadecimal.
        hex: String,
    },
}

/// The octets that `hex` says.
pub(super) fn unhex(hex: &str) -> Result<Vec<u8>, ControlError> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |letter: u8| {
        char::from(letter)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let octets: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    octets
        .filter(|_| rest.is_empty())
        .ok_or(ControlError::Impossible("octets are given in hexadecimal"))
}

impl Center {
    /// Somebody writes: the message is kept until the ESME acknowledges it.
    pub(super) fn write(&mut self, writes: &Writes, now: Now) -> Result<Written, ControlError> {
        let account = self
            .account(writes.account.as_deref())
            .ok_or(ControlError::UnknownAccount)?;
        let pieces = self.pieces_of(writes)?;
        let trailing = unhex(&writes.trailing)?;
        let mut order: Vec<(u8, &ShortMessage)> = (1..).zip(&pieces).collect();
        if writes.reversed {
            order.reverse();
        }
        let mut deliveries = Vec::new();
        for (number, message) in order.into_iter().filter(|(number, _)| !writes.missing.contains(number)) {
            let late = writes.late.get(&number).copied().unwrap_or(0);
            let due = now.at + self.options.scaled(Duration::from_millis(late));
            let (command, mut body) = match writes.as_data_sm {
                true => (command::DATA_SM, message.data_body()),
                false => (command::DELIVER_SM, message.deliver_body()),
            };
            body.extend(&trailing);
            for _ in 0..if writes.twice.contains(&number) { 2 } else { 1 } {
                deliveries.push(self.enqueue(account, due, command, body.clone(), None));
                self.journal.counters.messages += 1;
            }
        }
        Ok(Written {
            deliveries,
            pieces: pieces.len(),
        })
    }

    fn pieces_of(&mut self, writes: &Writes) -> Result<Vec<ShortMessage>, ControlError> {
        let (data_coding, octets) = match &writes.octets {
            Some(hex) => (4, unhex(hex)?),
            None => encode(&writes.text, writes.coding)
                .ok_or(ControlError::Impossible("the coding lacks a character of the text"))?,
        };
        let mut template = ShortMessage {
            service_type: writes.service_type.clone(),
            source: Address::of(&writes.from),
            destination: Address::of(&writes.to),
            data_coding: writes.data_coding.unwrap_or(data_coding),
            ..ShortMessage::default()
        };
        for (tag, value) in &writes.tlvs {
            template.tlvs.push(Tlv::new(*tag, unhex(value)?));
        }
        self.next_reference = self.next_reference.wrapping_add(1);
        let long = if writes.as_data_sm { Long::Payload } else { writes.long };
        cut(&template, &octets, long, self.next_reference)
            .ok_or(ControlError::Impossible("a message has at most 255 pieces"))
    }

    /// Tells the ESME that somebody can be reached again.
    pub(super) fn alert(&mut self, account: Option<&str>, from: &str, to: &str, now: Now) -> Result<u64, ControlError> {
        let account = self.account(account).ok_or(ControlError::UnknownAccount)?;
        let mut body = Vec::new();
        Address::of(from).put(&mut body);
        Address::of(to).put(&mut body);
        Ok(self.enqueue(account, now.at, command::ALERT_NOTIFICATION, body, None))
    }

    /// Starts a flood; one that is under way ends.
    pub(super) fn start_flood(&mut self, flood: Flood) -> Result<(), ControlError> {
        let index = self
            .account(flood.account.as_deref())
            .ok_or(ControlError::UnknownAccount)?;
        if !flood.text.is_ascii() || flood.text.len() > 130 {
            return Err(ControlError::Impossible(
                "a flood's text is at most 130 ASCII characters",
            ));
        }
        self.accounts[index].flowing = Some(Flowing::new(flood));
        self.wake_receivers(index);
        Ok(())
    }

    /// Says something malformed on one bind that receives.
    pub(super) fn speak_badly(&mut self, account: Option<&str>, malformed: &Malformed) -> Result<(), ControlError> {
        let account = self.account(account).ok_or(ControlError::UnknownAccount)?;
        let session = self.bound(account).find(|session| session.takes_deliveries());
        let session = session.ok_or(ControlError::NotBound)?;
        let sound = ShortMessage {
            source: Address::of("84912345678"),
            destination: Address::of("8088"),
            short_message: (&b"malformed"[..]).into(),
            ..ShortMessage::default()
        };
        let body = sound.deliver_body();
        match malformed {
            Malformed::UnknownCommand => {
                session.ask(0x0999, b"whatever");
            }
            Malformed::StrayResponse => session.say(command::SUBMIT_SM_RESP, 0, 0x0FFF_FFFF, b"0\0"),
            Malformed::TooShort => put_header(&mut session.out, 8),
            Malformed::TooLong => put_header(&mut session.out, 0x7FFF_FFFF),
            Malformed::Truncated => {
                session.ask(command::DELIVER_SM, &body[..body.len() - 4]);
            }
            Malformed::Unterminated => {
                session.ask(command::DELIVER_SM, &[b'1'; 60]);
            }
            Malformed::LongAddress => {
                let mut long = sound.clone();
                long.source.address = "1".repeat(40);
                session.ask(command::DELIVER_SM, &long.deliver_body());
            }
            Malformed::TlvOverrun => {
                session.ask(command::DELIVER_SM, &[&body[..], &[0x04, 0x27, 0, 9, 2]].concat());
            }
            Malformed::NoBody => {
                session.ask(command::DELIVER_SM, b"");
            }
            Malformed::ZeroSequence => session.say(command::ENQUIRE_LINK, 0, 0, b""),
            Malformed::Octets { hex } => session.out.extend_from_slice(&unhex(hex)?),
        }
        session.wake.notify_one();
        Ok(())
    }
}

fn put_header(out: &mut BytesMut, length: u32) {
    out.put_u32(length);
    out.put_u32(command::DELIVER_SM);
    out.put_u32(0);
    out.put_u32(1);
}
