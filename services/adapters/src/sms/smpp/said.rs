//! What a PDU says, for telling whether another one says the same.

use super::pdu::{HEADER, ShortMessage, tag};
use crate::texting::arrivals::{self, Said};

/// What a message says.
pub(super) fn by(message: &ShortMessage<'_>) -> Said {
    let tlv = |tag| message.tlvs.get(tag).unwrap_or_default();
    arrivals::said(
        "deliver_sm",
        &[
            message.source.digits,
            message.destination.digits,
            &[message.esm_class, message.data_coding],
            message.content,
            tlv(tag::RECEIPTED_MESSAGE_ID),
            tlv(tag::USER_MESSAGE_REFERENCE),
            tlv(tag::SOURCE_PORT),
            tlv(tag::DESTINATION_PORT),
            tlv(tag::SAR_MSG_REF_NUM),
            tlv(tag::SAR_TOTAL_SEGMENTS),
            tlv(tag::SAR_SEGMENT_SEQNUM),
        ],
    )
}

/// What a PDU says that is no message.
pub(super) fn by_octets(raw: &[u8]) -> Said {
    // The sequence number is the connection's, not the message's.
    let (header, body) = raw.split_at(raw.len().min(HEADER));
    arrivals::said("pdu", &[header.get(4..8).unwrap_or_default(), body])
}
