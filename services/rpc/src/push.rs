//! The request of `IngestService.Push`, of which nothing is lost on the way in.
//!
//! Decoding an event forgets every field that a newer version of the contract added. So a server hands the events over as
//! the bytes they came as, and ingest decodes them; within a process they are handed over as they are.

use bytes::{Buf, BufMut, Bytes};
use omnigate_proto::v1::{PushRequest, RawRequest};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};
use tonic::{IntoRequest, Request};

/// `omnigate.v1.PushRequest`: takes its place in the generated service.
#[derive(Clone, PartialEq, Debug)]
pub enum Push {
    /// Of this process.
    Typed(PushRequest),
    /// From another process; what decoding makes.
    Wire(WirePush),
}

/// `omnigate.v1.PushRequest` with its events still encoded: embedded messages and bytes have one wire format.
#[derive(Clone, PartialEq, Message)]
pub struct WirePush {
    /// Each an encoded `omnigate.v1.Event`, or not even that.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub events: Vec<Bytes>,
    /// The provider's requests behind them.
    #[prost(message, repeated, tag = "2")]
    pub raw: Vec<RawRequest>,
}

impl Push {
    /// Number of events.
    #[must_use]
    pub const fn events(&self) -> usize {
        match self {
            Self::Typed(push) => push.events.len(),
            Self::Wire(push) => push.events.len(),
        }
    }

    /// Bytes of the events as they travel, without what lies between them.
    #[must_use]
    pub fn event_bytes(&self) -> usize {
        match self {
            Self::Typed(push) => push.events.iter().map(Message::encoded_len).sum(),
            Self::Wire(push) => push.events.iter().map(Bytes::len).sum(),
        }
    }

    /// The provider's requests behind the events.
    #[must_use]
    pub fn raw(&self) -> &[RawRequest] {
        match self {
            Self::Typed(push) => &push.raw,
            Self::Wire(push) => &push.raw,
        }
    }

    /// The request as the contract has it; forgets what this version does not know.
    pub fn into_typed(self) -> Result<PushRequest, DecodeError> {
        match self {
            Self::Typed(push) => Ok(push),
            Self::Wire(WirePush { events, raw }) => Ok(PushRequest {
                events: events.into_iter().map(Message::decode).collect::<Result<_, _>>()?,
                raw,
            }),
        }
    }
}

impl Default for Push {
    fn default() -> Self {
        Self::Wire(WirePush::default())
    }
}

impl From<PushRequest> for Push {
    fn from(push: PushRequest) -> Self {
        Self::Typed(push)
    }
}

/// So that a caller gives a client the message of the contract.
impl IntoRequest<Push> for PushRequest {
    fn into_request(self) -> Request<Push> {
        Request::new(self.into())
    }
}

impl IntoRequest<Push> for Request<PushRequest> {
    fn into_request(self) -> Request<Push> {
        self.map(Push::from)
    }
}

impl Message for Push {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        match self {
            Self::Typed(push) => push.encode_raw(buf),
            Self::Wire(push) => push.encode_raw(buf),
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match self {
            Self::Typed(push) => push.merge_field(tag, wire_type, buf, context),
            Self::Wire(push) => push.merge_field(tag, wire_type, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Typed(push) => push.encoded_len(),
            Self::Wire(push) => push.encoded_len(),
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::Event;

    fn typed() -> PushRequest {
        let event = |account: &str| Event {
            account_id: account.to_owned(),
            ..Event::default()
        };
        PushRequest {
            events: vec![event("a"), event(""), event("b")],
            raw: vec![RawRequest::default()],
        }
    }

    #[test]
    fn on_the_wire_it_is_the_message_of_the_contract() {
        let bytes = Push::from(typed()).encode_to_vec();
        assert_eq!(bytes, typed().encode_to_vec());
        let read = Push::decode(&bytes[..]).unwrap();
        assert_eq!(read.encode_to_vec(), bytes);
        assert_eq!((read.events(), read.raw()), (3, &typed().raw[..]));
        assert_eq!(read.event_bytes(), Push::from(typed()).event_bytes());
        assert_eq!(read.into_typed().unwrap(), typed());
    }

    #[test]
    fn an_event_arrives_with_all_its_bytes_and_even_when_it_is_none() {
        let mut newer = typed().events[0].encode_to_vec();
        newer.extend_from_slice(&[0xc2, 0x3e, 1, b'n']);
        let sent = WirePush {
            events: vec![newer.into(), "\u{1}no event".into()],
            raw: vec![],
        };
        let read = Push::decode(&Push::Wire(sent.clone()).encode_to_vec()[..]).unwrap();
        assert_eq!(read, Push::Wire(sent));
        assert!(read.into_typed().is_err());
    }
}
