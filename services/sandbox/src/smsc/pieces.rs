//! Long messages: cut into pieces for the ESME, put together again from what the ESME sent.

use super::{
    coding::{Alphabet, Coding, ESCAPE, alphabet},
    pdu::{ShortMessage, Tlv, tag},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const UDHI: u8 = 0x40;
/// Information element: concatenated, with an 8-bit reference.
const CONCATENATED_8: u8 = 0x00;
/// Information element: concatenated, with a 16-bit reference.
const CONCATENATED_16: u8 = 0x08;

/// How a long message travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Long {
    /// A user data header with an 8-bit reference, where one piece does not suffice.
    #[default]
    Udh8,
    /// A user data header with a 16-bit reference, where one piece does not suffice.
    Udh16,
    /// The TLVs `sar_*`, where one piece does not suffice.
    Sar,
    /// `message_payload` and an empty `short_message`, always.
    Payload,
}

/// Which part of a long message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Piece {
    /// How the message was cut; never `Payload`.
    pub by: Long,
    /// Common to the pieces of one message.
    pub reference: u16,
    /// How many there are.
    pub total: u8,
    /// Counts from 1.
    pub number: u8,
}

/// Octets of the user data header, its own length included; None where it is longer than the message.
pub(super) fn header_length(message: &ShortMessage) -> Option<usize> {
    if message.esm_class & UDHI == 0 {
        return Some(0);
    }
    let octets = message.octets();
    let length = 1 + usize::from(*octets.first()?);
    (length <= octets.len()).then_some(length)
}

/// Which piece `message` is, and its text without the header. A header that makes no sense counts as text.
pub(super) fn piece_of(message: &ShortMessage) -> (Option<Piece>, Bytes) {
    let octets = message.octets().clone();
    let header = header_length(message).unwrap_or_default();
    let text = octets.slice(header..);
    let piece = concatenation(octets.get(1..header).unwrap_or_default()).or_else(|| sar(message));
    let sensible = |piece: &Piece| piece.total > 0 && (1..=piece.total).contains(&piece.number);
    (piece.filter(sensible), text)
}

fn concatenation(mut elements: &[u8]) -> Option<Piece> {
    while let [kind, length, rest @ ..] = elements {
        let value = rest.get(..usize::from(*length))?;
        match (*kind, value) {
            (CONCATENATED_8, &[reference, total, number]) => {
                return Some(Piece {
                    by: Long::Udh8,
                    reference: reference.into(),
                    total,
                    number,
                });
            }
            (CONCATENATED_16, &[high, low, total, number]) => {
                return Some(Piece {
                    by: Long::Udh16,
                    reference: u16::from_be_bytes([high, low]),
                    total,
                    number,
                });
            }
            _ => elements = rest.get(value.len()..)?,
        }
    }
    None
}

fn sar(message: &ShortMessage) -> Option<Piece> {
    let one = |tag| message.tlv(tag)?.first().copied();
    let reference = message.tlv(tag::SAR_MSG_REF_NUM)?;
    Some(Piece {
        by: Long::Sar,
        reference: u16::from_be_bytes(*reference.first_chunk()?),
        total: one(tag::SAR_TOTAL_SEGMENTS)?,
        number: one(tag::SAR_SEGMENT_SEQNUM)?,
    })
}

/// `template` with `octets` as its text, in as many messages as it takes; None above 255 pieces.
pub(super) fn cut(template: &ShortMessage, octets: &[u8], long: Long, reference: u16) -> Option<Vec<ShortMessage>> {
    if long == Long::Payload {
        let mut message = template.clone();
        let payload = Bytes::copy_from_slice(octets);
        message.tlvs.insert(0, Tlv::new(tag::MESSAGE_PAYLOAD, payload));
        return Some(vec![message]);
    }
    let alphabet = alphabet(template.data_coding);
    let seven_bits = matches!(alphabet, Alphabet::Gsm7 | Alphabet::Ascii);
    if octets.len() <= if seven_bits { 160 } else { 140 } {
        let mut message = template.clone();
        message.short_message = Bytes::copy_from_slice(octets);
        return Some(vec![message]);
    }
    let room = match (alphabet, long) {
        (Alphabet::Gsm7 | Alphabet::Ascii, Long::Udh16) => 152,
        (Alphabet::Gsm7 | Alphabet::Ascii, _) => 153,
        // 133, less the half of a character.
        (Alphabet::Ucs2, Long::Udh16) => 132,
        (Alphabet::Latin1 | Alphabet::Octets, Long::Udh16) => 133,
        (_, _) => 134,
    };
    let texts = split(octets, room, alphabet);
    let total = u8::try_from(texts.len()).ok()?;
    let pieces = (1..=total).zip(texts).map(|(number, text)| {
        let mut message = template.clone();
        let [high, low] = reference.to_be_bytes();
        let header: &[u8] = match long {
            Long::Udh8 => &[5, CONCATENATED_8, 3, low, total, number],
            Long::Udh16 => &[6, CONCATENATED_16, 4, high, low, total, number],
            Long::Sar | Long::Payload => {
                message.tlvs.extend([
                    Tlv::new(tag::SAR_MSG_REF_NUM, vec![high, low]),
                    Tlv::new(tag::SAR_TOTAL_SEGMENTS, vec![total]),
                    Tlv::new(tag::SAR_SEGMENT_SEQNUM, vec![number]),
                ]);
                &[]
            }
        };
        if !header.is_empty() {
            message.esm_class |= UDHI;
        }
        message.short_message = [header, text].concat().into();
        message
    });
    Some(pieces.collect())
}

/// Cuts where neither an escape nor a surrogate is parted from what follows it.
fn split(mut octets: &[u8], room: usize, alphabet: Alphabet) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    while octets.len() > room {
        let mut end = room;
        match alphabet {
            Alphabet::Gsm7 if octets[end - 1] == ESCAPE => end -= 1,
            Alphabet::Ucs2 if (0xD8..0xDC).contains(&octets[end - 2]) => end -= 2,
            _ => {}
        }
        let (text, rest) = octets.split_at(end);
        texts.push(text);
        octets = rest;
    }
    texts.push(octets);
    texts
}

/// `text` as octets of `coding`, which must not be `Auto`, with its `data_coding`.
pub(super) fn encode(text: &str, coding: Coding) -> Option<(u8, Vec<u8>)> {
    let coding = coding.for_text(text);
    Some((coding.data_coding(), coding.encode(text)?))
}

#[cfg(test)]
mod tests;
