//! Writing PDUs.

use super::{HEADER, command, tag};
use bytes::{BufMut as _, BytesMut};

/// Most octets of a `short_message` (SMPP 3.4, 4.4.1).
const MAX_SHORT_MESSAGE: u8 = 254;

/// SMPP 3.4.
const INTERFACE_VERSION: u8 = 0x34;

/// A request to be bound.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bind<'a> {
    /// `bind_receiver`, `bind_transmitter` or `bind_transceiver`.
    pub(in super::super) command: u32,
    /// Name of the account at the provider.
    pub(in super::super) system_id: &'a str,
    /// Its password.
    pub(in super::super) password: &'a str,
    /// Kind of system, where the provider wants it.
    pub(in super::super) system_type: &'a str,
    /// Type of number of `address_range`.
    pub(in super::super) ton: u8,
    /// Numbering plan of `address_range`.
    pub(in super::super) npi: u8,
    /// Numbers that the account serves, where the provider wants it.
    pub(in super::super) address_range: &'a str,
}

impl Bind<'_> {
    /// Writes it.
    pub(in super::super) fn write(&self, out: &mut BytesMut, sequence: u32) {
        framed(out, self.command, 0, sequence, |out| {
            for text in [self.system_id, self.password, self.system_type] {
                c_string(out, text.as_bytes());
            }
            out.put_slice(&[INTERFACE_VERSION, self.ton, self.npi]);
            c_string(out, self.address_range.as_bytes());
        });
    }
}

/// Place of a piece in a long message, told by optional parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Sar {
    /// The same for all pieces of a message.
    pub(in super::super) reference: u16,
    /// How many there are.
    pub(in super::super) total: u8,
    /// Which one it is, from 1.
    pub(in super::super) number: u8,
}

/// A message to be submitted.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Submit<'a> {
    /// Kind of service, where the provider wants it.
    pub(in super::super) service_type: &'a str,
    /// Type of number, numbering plan and address of the sender.
    pub(in super::super) source: (u8, u8, &'a str),
    /// Type of number, numbering plan and address of the recipient.
    pub(in super::super) destination: (u8, u8, &'a str),
    /// Kind of message and whether a user data header leads it.
    pub(in super::super) esm_class: u8,
    /// How urgent it is, 0 to 3.
    pub(in super::super) priority: u8,
    /// Until when it is tried; empty for the provider's default.
    pub(in super::super) validity_period: &'a str,
    /// What receipts are wanted.
    pub(in super::super) registered_delivery: u8,
    /// How its octets are meant.
    pub(in super::super) data_coding: u8,
    /// What it says, user data header included.
    pub(in super::super) content: &'a [u8],
    /// Its place in a long message.
    pub(in super::super) sar: Option<Sar>,
    /// Whether the content goes as `message_payload`.
    pub(in super::super) as_payload: bool,
}

impl Submit<'_> {
    /// The PDU with sequence number 0; see [`super::super::line`] for who gives it its own.
    pub(in super::super) fn to_pdu(self) -> BytesMut {
        let mut out = BytesMut::with_capacity(96 + self.content.len());
        framed(&mut out, command::SUBMIT_SM, 0, 0, |out| self.body(out));
        out
    }

    fn body(self, out: &mut BytesMut) {
        // What does not fit has no other way.
        let fits = |length: &u8| !self.as_payload && *length <= MAX_SHORT_MESSAGE;
        let length = u8::try_from(self.content.len()).ok().filter(fits);
        c_string(out, self.service_type.as_bytes());
        for (ton, npi, address) in [self.source, self.destination] {
            out.put_slice(&[ton, npi]);
            c_string(out, address.as_bytes());
        }
        out.put_slice(&[self.esm_class, 0, self.priority]);
        c_string(out, b"");
        c_string(out, self.validity_period.as_bytes());
        out.put_slice(&[self.registered_delivery, 0, self.data_coding, 0]);
        match length {
            Some(length) => {
                out.put_u8(length);
                out.put_slice(self.content);
            }
            None => {
                out.put_u8(0);
                tlv(out, tag::MESSAGE_PAYLOAD, self.content);
            }
        }
        if let Some(sar) = self.sar {
            tlv(out, tag::SAR_MSG_REF_NUM, &sar.reference.to_be_bytes());
            tlv(out, tag::SAR_TOTAL_SEGMENTS, &[sar.total]);
            tlv(out, tag::SAR_SEGMENT_SEQNUM, &[sar.number]);
        }
    }
}

/// Writes a PDU without body: `enquire_link` and its response, `unbind` and its, `generic_nack`.
pub(in super::super) fn alone(out: &mut BytesMut, command: u32, status: u32, sequence: u32) {
    framed(out, command, status, sequence, |_| {});
}

/// Writes the response to a `deliver_sm` or `data_sm`: its message id is empty, but there (SMPP 3.4, 4.6.2).
pub(in super::super) fn response(out: &mut BytesMut, request: u32, status: u32, sequence: u32) {
    framed(out, request | command::RESPONSE, status, sequence, |out| {
        c_string(out, b"")
    });
}

fn framed(out: &mut BytesMut, command: u32, status: u32, sequence: u32, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    for word in [0, command, status, sequence] {
        out.put_u32(word);
    }
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    debug_assert!(out.len() - start >= HEADER);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn c_string(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(text);
    out.put_u8(0);
}

fn tlv(out: &mut BytesMut, tag: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.put_u16(tag);
    out.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
    out.put_slice(value);
}
