//! PDUs of SMPP 3.4 as an ESME reads and writes them.
//!
//! A codec of our own, because those that exist lose what the field really sends. rusmpp 0.4 checks every length while it
//! decodes, so a receipt with one trailing NUL, a `receipted_message_id` without its NUL, a vendor's 0x060D of two octets,
//! a network error code of two octets, a sender of 21 characters or one in Latin-1 costs the whole PDU. smpp34 1.5 takes
//! these, but not an accepted `submit_sm_resp` without body, and is not to be had without its client, server and TLS.
//! smpp-codec 0.2 fails at a Latin-1 sender and at a cut TLV. Tests hold what is written here against rusmpp, which is
//! strict.
//!
//! What is read is borrowed from the frame; only the mandatory fields of a message have to be there.

mod tlv;
mod write;

use bytes::{Buf as _, Bytes, BytesMut};
pub(super) use tlv::{Tlvs, tag};
pub(super) use write::{Bind, Sar, Submit, alone, response};

/// Octets of a header.
pub(super) const HEADER: usize = 16;
/// Longest frame taken; the longest `message_payload` and everything else fit into it.
pub(super) const MAX_LENGTH: usize = 128 * 1024;
/// Highest sequence number (SMPP 3.4, 3.2); 0 is not used.
pub(super) const MAX_SEQUENCE: u32 = 0x7fff_ffff;

/// Command ids (SMPP 3.4, 5.1.2.1); a response's is its request's with the highest bit set.
pub(super) mod command {
    pub(in super::super) const RESPONSE: u32 = 0x8000_0000;
    pub(in super::super) const GENERIC_NACK: u32 = 0x8000_0000;
    pub(in super::super) const BIND_RECEIVER: u32 = 0x01;
    pub(in super::super) const BIND_TRANSMITTER: u32 = 0x02;
    pub(in super::super) const SUBMIT_SM: u32 = 0x04;
    pub(in super::super) const SUBMIT_SM_RESP: u32 = SUBMIT_SM | RESPONSE;
    pub(in super::super) const DELIVER_SM: u32 = 0x05;
    pub(in super::super) const UNBIND: u32 = 0x06;
    pub(in super::super) const UNBIND_RESP: u32 = UNBIND | RESPONSE;
    pub(in super::super) const BIND_TRANSCEIVER: u32 = 0x09;
    pub(in super::super) const OUTBIND: u32 = 0x0b;
    pub(in super::super) const ENQUIRE_LINK: u32 = 0x15;
    pub(in super::super) const ENQUIRE_LINK_RESP: u32 = ENQUIRE_LINK | RESPONSE;
    pub(in super::super) const ALERT_NOTIFICATION: u32 = 0x102;
    pub(in super::super) const DATA_SM: u32 = 0x103;
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pdu {
    /// What it is.
    pub(super) command: u32,
    /// Outcome, in responses.
    pub(super) status: u32,
    /// What ties a response to its request.
    pub(super) sequence: u32,
    /// All of it, header included.
    pub(super) raw: Bytes,
}

/// A length that no PDU has: nothing behind it can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a PDU of {length} octets")]
pub(super) struct BadLength {
    /// What the header says.
    pub(super) length: u32,
    /// Sequence number beside it, 0 when it has not come.
    pub(super) sequence: u32,
}

/// A body without its mandatory fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body ends early")]
pub(super) struct Malformed;

/// The next whole frame of what was read; `None` when more has to be read first.
pub(super) fn next(buffer: &mut BytesMut) -> Result<Option<Pdu>, BadLength> {
    let Some(length) = word(buffer, 0) else { return Ok(None) };
    let octets = usize::try_from(length).unwrap_or(usize::MAX);
    if !(HEADER..=MAX_LENGTH).contains(&octets) {
        let sequence = word(buffer, 12).unwrap_or(0);
        return Err(BadLength { length, sequence });
    }
    let (Some(command), Some(status), Some(sequence)) = (word(buffer, 4), word(buffer, 8), word(buffer, 12)) else {
        return Ok(None);
    };
    if buffer.len() < octets {
        return Ok(None);
    }
    Ok(Some(Pdu {
        command,
        status,
        sequence,
        raw: buffer.split_to(octets).freeze(),
    }))
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl Pdu {
    /// What follows the header.
    pub(super) fn body(&self) -> &[u8] {
        self.raw.get(HEADER..).unwrap_or_default()
    }

    /// Whether it answers something.
    pub(super) const fn is_response(&self) -> bool {
        self.command & command::RESPONSE != 0
    }

    /// The message of a `deliver_sm` or `data_sm`.
    pub(super) fn message(&self) -> Result<ShortMessage<'_>, Malformed> {
        ShortMessage::read(self.body(), self.command == command::DATA_SM)
    }

    /// The message id of a `submit_sm_resp`; empty when there is none. A body may be missing, a NUL too.
    pub(super) fn message_id(&self) -> &[u8] {
        let body = self.body();
        body.split(|octet| *octet == 0).next().unwrap_or_default()
    }

    /// Who an `alert_notification` is about, and what it says beside (SMPP 3.4, 4.12.1).
    pub(super) fn alert(&self) -> Result<(Address<'_>, Tlvs<'_>), Malformed> {
        let body = &mut self.body();
        let device = Address::read(body)?;
        Address::read(body)?;
        Ok((device, Tlvs::new(body)))
    }
}

/// An address.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Address<'a> {
    /// Type of number.
    pub(super) ton: u8,
    /// Numbering plan.
    pub(super) npi: u8,
    /// The address; not always digits, not always ASCII.
    pub(super) digits: &'a [u8],
}

impl<'a> Address<'a> {
    fn read(body: &mut &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self {
            ton: octet(body)?,
            npi: octet(body)?,
            digits: c_string(body)?,
        })
    }
}

/// What a `deliver_sm` or `data_sm` carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ShortMessage<'a> {
    /// Who wrote it; in a receipt, whom our message was for.
    pub(super) source: Address<'a>,
    /// Whom it is for; in a receipt, who our message was from.
    pub(super) destination: Address<'a>,
    /// Kind of message and whether a user data header leads it (5.2.12).
    pub(super) esm_class: u8,
    /// How its octets are meant (5.2.19).
    pub(super) data_coding: u8,
    /// `short_message`, or `message_payload` where that is empty.
    pub(super) content: &'a [u8],
    /// Optional parameters.
    pub(super) tlvs: Tlvs<'a>,
}

impl<'a> ShortMessage<'a> {
    fn read(mut body: &'a [u8], is_data: bool) -> Result<Self, Malformed> {
        let body = &mut body;
        c_string(body)?;
        let source = Address::read(body)?;
        let destination = Address::read(body)?;
        let esm_class = octet(body)?;
        let (data_coding, short) = if is_data {
            octet(body)?;
            (octet(body)?, [].as_slice())
        } else {
            octets(body, 2)?;
            c_string(body)?;
            c_string(body)?;
            octets(body, 2)?;
            let data_coding = octet(body)?;
            octet(body)?;
            let length = octet(body)?;
            (data_coding, octets(body, usize::from(length))?)
        };
        let tlvs = Tlvs::new(body);
        let content = if short.is_empty() {
            tlvs.get(tag::MESSAGE_PAYLOAD).unwrap_or_default()
        } else {
            short
        };
        Ok(Self {
            source,
            destination,
            esm_class,
            data_coding,
            content,
            tlvs,
        })
    }
}

fn octet(body: &mut &[u8]) -> Result<u8, Malformed> {
    body.try_get_u8().map_err(|_| Malformed)
}

fn octets<'a>(body: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = body.split_at_checked(count).ok_or(Malformed)?;
    *body = rest;
    Ok(taken)
}

fn c_string<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let end = body.iter().position(|octet| *octet == 0).ok_or(Malformed)?;
    let text = octets(body, end)?;
    octet(body)?;
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests;
