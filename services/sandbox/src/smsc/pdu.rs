//! What goes over the wire: SMPP 3.4 frames and the bodies that an SMSC reads and writes.
//!
//! A codec of the sandbox's own, so that an adapter is not held to the library that it uses itself.

use super::status;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Octets of a header.
pub(super) const HEADER: usize = 16;

/// Command ids; a response's is its request's with the highest bit set.
pub(super) mod command {
    pub(in super::super) const RESPONSE: u32 = 0x8000_0000;
    pub(in super::super) const GENERIC_NACK: u32 = 0x8000_0000;
    pub(in super::super) const BIND_RECEIVER: u32 = 0x01;
    pub(in super::super) const BIND_TRANSMITTER: u32 = 0x02;
    pub(in super::super) const SUBMIT_SM: u32 = 0x04;
    pub(in super::super) const SUBMIT_SM_RESP: u32 = SUBMIT_SM | RESPONSE;
    pub(in super::super) const DELIVER_SM: u32 = 0x05;
    pub(in super::super) const DELIVER_SM_RESP: u32 = DELIVER_SM | RESPONSE;
    pub(in super::super) const UNBIND: u32 = 0x06;
    pub(in super::super) const UNBIND_RESP: u32 = UNBIND | RESPONSE;
    pub(in super::super) const BIND_TRANSCEIVER: u32 = 0x09;
    pub(in super::super) const ENQUIRE_LINK: u32 = 0x15;
    pub(in super::super) const ENQUIRE_LINK_RESP: u32 = ENQUIRE_LINK | RESPONSE;
    pub(in super::super) const ALERT_NOTIFICATION: u32 = 0x102;
    pub(in super::super) const DATA_SM: u32 = 0x103;
    pub(in super::super) const DATA_SM_RESP: u32 = DATA_SM | RESPONSE;
}

/// Tags of optional parameters.
pub(super) mod tag {
    pub(in super::super) const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub(in super::super) const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub(in super::super) const SOURCE_PORT: u16 = 0x020A;
    pub(in super::super) const DESTINATION_PORT: u16 = 0x020B;
    pub(in super::super) const SAR_MSG_REF_NUM: u16 = 0x020C;
    pub(in super::super) const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
    pub(in super::super) const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
    pub(in super::super) const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub(in super::super) const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub(in super::super) const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub(in super::super) const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
    pub(in super::super) const MESSAGE_STATE: u16 = 0x0427;
}

/// One PDU.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) command: u32,
    pub(super) status: u32,
    pub(super) sequence: u32,
    pub(super) body: Bytes,
}

/// What is at the front of the bytes received.
#[derive(Debug)]
pub(super) enum Framed {
    Frame(Frame),
    Incomplete,
    /// The length cannot be; nothing after it can be told apart.
    BadLength {
        sequence: u32,
    },
}

/// Takes the first frame of at most `limit` octets.
pub(super) fn next_frame(buffer: &mut BytesMut, limit: usize) -> Framed {
    let Some(mut header) = buffer.get(..HEADER) else {
        return Framed::Incomplete;
    };
    let length = usize::try_from(header.get_u32()).unwrap_or(usize::MAX);
    let (command, status, sequence) = (header.get_u32(), header.get_u32(), header.get_u32());
    if length < HEADER || length > limit {
        return Framed::BadLength { sequence };
    }
    if buffer.len() < length {
        return Framed::Incomplete;
    }
    let mut body = buffer.split_to(length).freeze();
    body.advance(HEADER);
    Framed::Frame(Frame {
        command,
        status,
        sequence,
        body,
    })
}

/// Appends a PDU.
pub(super) fn put(out: &mut BytesMut, command: u32, status: u32, sequence: u32, body: &[u8]) {
    out.reserve(HEADER + body.len());
    out.put_u32(u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX));
    out.put_u32(command);
    out.put_u32(status);
    out.put_u32(sequence);
    out.put_slice(body);
}

/// An address with its type of number and numbering plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// 1 is international, 5 alphanumeric, 6 a short code.
    pub ton: u8,
    /// 1 is E.164.
    pub npi: u8,
    /// At most 20 octets.
    pub address: String,
}

impl Address {
    /// `number` as an SMSC would write it: international without its `+`, a short code up to 6 digits, alphanumeric
    /// otherwise.
    #[must_use]
    pub fn of(number: &str) -> Self {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (ton, npi) = match numeric {
            true if digits.len() <= 6 => (6, 0),
            true => (1, 1),
            false => (5, 0),
        };
        Self {
            ton,
            npi,
            address: digits.to_owned(),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend([self.ton, self.npi]);
        put_c_string(out, &self.address);
    }
}

/// An optional parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tlv {
    pub(super) tag: u16,
    pub(super) value: Bytes,
}

impl Tlv {
    pub(super) fn new(tag: u16, value: impl Into<Bytes>) -> Self {
        Self {
            tag,
            value: value.into(),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.tag);
        out.put_u16(u16::try_from(self.value.len()).unwrap_or(u16::MAX));
        out.put_slice(&self.value);
    }
}

/// The body of `submit_sm`, `deliver_sm` and, as far as it goes, `data_sm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShortMessage {
    pub(super) service_type: String,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) esm_class: u8,
    pub(super) protocol_id: u8,
    pub(super) priority_flag: u8,
    pub(super) schedule_delivery_time: String,
    pub(super) validity_period: String,
    pub(super) registered_delivery: u8,
    pub(super) replace_if_present_flag: u8,
    pub(super) data_coding: u8,
    pub(super) sm_default_msg_id: u8,
    pub(super) short_message: Bytes,
    pub(super) tlvs: Vec<Tlv>,
}

impl ShortMessage {
    /// Reads the body of `command`, which is `submit_sm` or `data_sm`; the error is the `command_status` to answer with.
    pub(super) fn read(command: u32, body: &Bytes) -> Result<Self, u32> {
        if command == command::DATA_SM {
            Self::read_data(body)
        } else {
            Self::read_submit(body)
        }
    }

    fn read_submit(body: &Bytes) -> Result<Self, u32> {
        let mut reader = Reader(body.clone());
        let mut message = Self {
            service_type: reader.c_string(6, status::RINVSERTYP)?,
            source: reader.address(21, status::RINVSRCADR)?,
            destination: reader.address(21, status::RINVDSTADR)?,
            esm_class: reader.u8()?,
            protocol_id: reader.u8()?,
            priority_flag: reader.u8()?,
            schedule_delivery_time: reader.c_string(17, status::RINVSCHED)?,
            validity_period: reader.c_string(17, status::RINVEXPIRY)?,
            registered_delivery: reader.u8()?,
            replace_if_present_flag: reader.u8()?,
            data_coding: reader.u8()?,
            sm_default_msg_id: reader.u8()?,
            ..Self::default()
        };
        let length = usize::from(reader.u8()?);
        message.short_message = reader.take(length).map_err(|_| status::RINVMSGLEN)?;
        message.tlvs = reader.tlvs()?;
        Ok(message)
    }

    fn read_data(body: &Bytes) -> Result<Self, u32> {
        let mut reader = Reader(body.clone());
        Ok(Self {
            service_type: reader.c_string(6, status::RINVSERTYP)?,
            source: reader.address(65, status::RINVSRCADR)?,
            destination: reader.address(65, status::RINVDSTADR)?,
            esm_class: reader.u8()?,
            registered_delivery: reader.u8()?,
            data_coding: reader.u8()?,
            tlvs: reader.tlvs()?,
            ..Self::default()
        })
    }

    /// The body of a `deliver_sm`. What does not fit into `sm_length` is cut: callers put it into `message_payload`.
    pub(super) fn deliver_body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.short_message.len());
        put_c_string(&mut out, &self.service_type);
        self.source.put(&mut out);
        self.destination.put(&mut out);
        out.extend([self.esm_class, self.protocol_id, self.priority_flag]);
        put_c_string(&mut out, &self.schedule_delivery_time);
        put_c_string(&mut out, &self.validity_period);
        out.extend([self.registered_delivery, self.replace_if_present_flag]);
        out.extend([self.data_coding, self.sm_default_msg_id]);
        let length = u8::try_from(self.short_message.len()).unwrap_or(u8::MAX);
        out.push(length);
        out.extend(self.short_message.iter().take(length.into()));
        for tlv in &self.tlvs {
            tlv.put(&mut out);
        }
        out
    }

    /// The body of a `data_sm`.
    pub(super) fn data_body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_c_string(&mut out, &self.service_type);
        self.source.put(&mut out);
        self.destination.put(&mut out);
        out.extend([self.esm_class, self.registered_delivery, self.data_coding]);
        for tlv in &self.tlvs {
            tlv.put(&mut out);
        }
        out
    }

    pub(super) fn tlv(&self, tag: u16) -> Option<&Bytes> {
        self.tlvs.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// The user data, wherever it is.
    pub(super) fn octets(&self) -> &Bytes {
        self.tlv(tag::MESSAGE_PAYLOAD).unwrap_or(&self.short_message)
    }
}

pub(super) fn put_c_string(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(0);
}

/// Reads a body; every error is the `command_status` to answer with.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn u8(&mut self) -> Result<u8, u32> {
        self.0.try_get_u8().map_err(|_| status::RINVCMDLEN)
    }

    fn take(&mut self, length: usize) -> Result<Bytes, u32> {
        if self.0.len() < length {
            return Err(status::RINVCMDLEN);
        }
        Ok(self.0.split_to(length))
    }

    /// A C-octet string of at most `limit` octets, its NUL included; `wrong` is the answer to a longer one.
    pub(super) fn c_string(&mut self, limit: usize, wrong: u32) -> Result<String, u32> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or(if self.0.len() < limit {
            status::RINVCMDLEN
        } else {
            wrong
        })?;
        if end >= limit {
            return Err(wrong);
        }
        let text = String::from_utf8_lossy(&self.0.split_to(end)).into_owned();
        self.0.advance(1);
        Ok(text)
    }

    fn address(&mut self, limit: usize, wrong: u32) -> Result<Address, u32> {
        Ok(Address {
            ton: self.u8()?,
            npi: self.u8()?,
            address: self.c_string(limit, wrong)?,
        })
    }

    fn tlvs(&mut self) -> Result<Vec<Tlv>, u32> {
        let mut tlvs = Vec::new();
        while !self.0.is_empty() {
            let tag = self.0.try_get_u16().map_err(|_| status::RINVOPTPARSTREAM)?;
            let length = self.0.try_get_u16().map_err(|_| status::RINVOPTPARSTREAM)?;
            let value = self.take(length.into()).map_err(|_| status::RINVOPTPARSTREAM)?;
            tlvs.push(Tlv { tag, value });
        }
        Ok(tlvs)
    }
}

#[cfg(test)]
mod tests;
