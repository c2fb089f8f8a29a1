//! What is read in all its forms, and what is written as a strict library reads it.

use super::*;
use bytes::BufMut as _;
use proptest::prelude::*;

/// A `deliver_sm` to be written; no shipped code writes one.
#[derive(Clone)]
pub(in super::super) struct Deliver {
    pub(in super::super) command: u32,
    pub(in super::super) sequence: u32,
    pub(in super::super) source: Vec<u8>,
    pub(in super::super) destination: Vec<u8>,
    pub(in super::super) esm_class: u8,
    pub(in super::super) data_coding: u8,
    pub(in super::super) text: Vec<u8>,
    pub(in super::super) tlvs: Vec<(u16, Vec<u8>)>,
    pub(in super::super) tail: Vec<u8>,
}

impl Default for Deliver {
    fn default() -> Self {
        Self {
            command: command::DELIVER_SM,
            sequence: 1,
            source: b"84912345678".to_vec(),
            destination: b"8041".to_vec(),
            esm_class: 0,
            data_coding: 0,
            text: Vec::new(),
            tlvs: Vec::new(),
            tail: Vec::new(),
        }
    }
}

impl Deliver {
    pub(in super::super) fn octets(&self) -> Vec<u8> {
        let mut body = vec![0, 1, 1];
        body.extend_from_slice(&self.source);
        body.extend_from_slice(&[0, 0, 1]);
        body.extend_from_slice(&self.destination);
        if self.command == command::DATA_SM {
            body.extend_from_slice(&[0, self.esm_class, 0, self.data_coding]);
        } else {
            body.extend_from_slice(&[0, self.esm_class, 0, 0, 0, 0, 0, 0, self.data_coding, 0]);
            body.push(u8::try_from(self.text.len()).unwrap());
            body.extend_from_slice(&self.text);
        }
        for (tag, value) in &self.tlvs {
            body.put_u16(*tag);
            body.put_u16(u16::try_from(value.len()).unwrap());
            body.extend_from_slice(value);
        }
        body.extend_from_slice(&self.tail);
        frame(self.command, 0, self.sequence, &body)
    }
}

/// A frame around a body.
pub(in super::super) fn frame(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for word in [u32::try_from(HEADER + body.len()).unwrap(), command, status, sequence] {
        octets.put_u32(word);
    }
    octets.extend_from_slice(body);
    octets
}

/// A frame read.
pub(in super::super) fn pdu_of(deliver: &Deliver) -> Pdu {
    read_one(&deliver.octets())
}

fn read_one(octets: &[u8]) -> Pdu {
    next(&mut BytesMut::from(octets)).unwrap().unwrap()
}

#[test]
fn frames_are_cut_wherever_a_read_ends() {
    let first = Deliver {
        text: b"hello".to_vec(),
        ..Deliver::default()
    };
    let stream = [first.octets(), frame(command::ENQUIRE_LINK, 0, 7, b"")].concat();
    for cut in 0..stream.len() {
        let mut buffer = BytesMut::from(&stream[..cut]);
        let mut found = Vec::new();
        while let Some(pdu) = next(&mut buffer).unwrap() {
            found.push(pdu);
        }
        buffer.extend_from_slice(&stream[cut..]);
        while let Some(pdu) = next(&mut buffer).unwrap() {
            found.push(pdu);
        }
        let commands: Vec<u32> = found.iter().map(|pdu| pdu.command).collect();
        assert_eq!(commands, [command::DELIVER_SM, command::ENQUIRE_LINK]);
        assert!(buffer.is_empty());
    }
}

#[test]
fn absurd_lengths_are_refused() {
    for length in [0, 1, 15, 128 * 1024 + 1, u32::MAX] {
        let mut octets = frame(command::DELIVER_SM, 0, 9, b"");
        octets[..4].copy_from_slice(&length.to_be_bytes());
        let refused = next(&mut BytesMut::from(octets.as_slice())).unwrap_err();
        assert_eq!(refused, BadLength { length, sequence: 9 });
        let refused = next(&mut BytesMut::from(&octets[..4])).unwrap_err();
        assert_eq!(refused, BadLength { length, sequence: 0 });
    }
}

#[test]
fn a_message_is_read_whatever_is_behind_it() {
    let state = (tag::MESSAGE_STATE, vec![2]);
    for (tlvs, tail) in [
        (vec![], b"".to_vec()),
        (vec![], b"\0".to_vec()),
        (vec![], b"\0\0\0".to_vec()),
        (vec![state.clone()], b"\0\0\0\0\0".to_vec()),
        (vec![(0x1454, b"xyz".to_vec()), (0x1403, vec![]), state.clone()], vec![]),
        (vec![(0x060d, b"a\0".to_vec()), state.clone()], b"\x04\x27\x00".to_vec()),
    ] {
        let has_state = tlvs.contains(&state);
        let pdu = pdu_of(&Deliver {
            text: b"hello".to_vec(),
            tlvs,
            tail,
            ..Deliver::default()
        });
        let message = pdu.message().unwrap();
        assert_eq!(message.source.digits, b"84912345678");
        assert_eq!(message.destination.digits, b"8041");
        assert_eq!(message.content, b"hello");
        assert_eq!(message.tlvs.number(tag::MESSAGE_STATE), has_state.then_some(2));
    }
}

#[test]
fn a_parameter_that_is_cut_has_what_is_there() {
    let pdu = pdu_of(&Deliver {
        tail: b"\x04\x27\x00\x09\x02".to_vec(),
        ..Deliver::default()
    });
    assert_eq!(pdu.message().unwrap().tlvs.number(tag::MESSAGE_STATE), Some(2));
}

#[test]
fn the_payload_is_the_content_where_there_is_no_other() {
    for command in [command::DELIVER_SM, command::DATA_SM] {
        let pdu = pdu_of(&Deliver {
            command,
            data_coding: 8,
            tlvs: vec![(tag::MESSAGE_PAYLOAD, b"\0x".to_vec())],
            ..Deliver::default()
        });
        let message = pdu.message().unwrap();
        assert_eq!((message.content, message.data_coding), (b"\0x".as_slice(), 8));
    }
}

#[test]
fn addresses_may_be_long_and_not_ascii() {
    let pdu = pdu_of(&Deliver {
        source: b"Caf\xe9 of more than twenty letters".to_vec(),
        ..Deliver::default()
    });
    assert_eq!(
        pdu.message().unwrap().source.digits,
        b"Caf\xe9 of more than twenty letters"
    );
}

#[test]
fn a_body_that_ends_early_is_malformed() {
    let whole = Deliver {
        text: b"hello".to_vec(),
        ..Deliver::default()
    };
    let whole = whole.octets();
    for end in HEADER..whole.len() {
        let body = &whole[HEADER..end];
        let pdu = read_one(&frame(command::DELIVER_SM, 0, 1, body));
        assert_eq!(pdu.message(), Err(Malformed), "{end}");
    }
}

#[test]
fn responses_may_lack_their_body() {
    let id = |body: &[u8]| {
        read_one(&frame(command::SUBMIT_SM_RESP, 0x58, 1, body))
            .message_id()
            .to_vec()
    };
    assert_eq!(id(b""), b"");
    assert_eq!(id(b"\0"), b"");
    assert_eq!(id(b"abc\0"), b"abc");
    assert_eq!(id(b"abc"), b"abc");
    assert_eq!(id(&[&[b'a'; 70], b"\0".as_slice()].concat()), [b'a'; 70]);
}

mod strict {
    //! rusmpp as the judge of what we write.

    use super::super::*;
    use rusmpp_core::{
        CommandStatus, command::owned::Command, decode::owned::DecodeWithLength as _, pdus::owned::Pdu as Read,
        values::DataCoding,
    };

    fn read(mut octets: BytesMut) -> Command {
        let length = octets.get_u32();
        assert_eq!(usize::try_from(length).unwrap(), octets.len() + 4);
        let rest = octets.len();
        let (command, used) = Command::decode(&mut octets, rest).unwrap();
        assert_eq!(used, rest);
        command
    }

    #[test]
    fn binds_are_read() {
        let bind = Bind {
            command: command::BIND_TRANSCEIVER,
            system_id: "shop",
            password: "secret",
            system_type: "VMA",
            ton: 5,
            npi: 1,
            address_range: "8041",
        };
        let mut out = BytesMut::new();
        bind.write(&mut out, 1);
        let command = read(out);
        assert_eq!(command.sequence_number(), 1);
        let Some(Read::BindTransceiver(read)) = command.pdu() else {
            panic!("{command:?}")
        };
        assert_eq!(read.system_id.to_string(), "shop");
        assert_eq!(read.password.to_string(), "secret");
        assert_eq!(read.system_type.to_string(), "VMA");
        assert_eq!(read.address_range.to_string(), "8041");
    }

    fn submit(content: &[u8]) -> Submit<'_> {
        Submit {
            service_type: "CMT",
            source: (5, 0, "SHOP"),
            destination: (1, 1, "84912345678"),
            esm_class: 0x40,
            priority: 1,
            validity_period: "000001000000000R",
            registered_delivery: 1,
            data_coding: 8,
            content,
            sar: None,
            as_payload: false,
        }
    }

    #[test]
    fn submits_are_read() {
        let sar = Sar {
            reference: 0x1234,
            total: 3,
            number: 2,
        };
        for (content, as_payload, sar) in [
            (b"\x05\x00\x03\x01\x02\x01\0x".to_vec(), false, None),
            (vec![b'a'; 254], false, Some(sar)),
            (vec![b'a'; 1000], true, None),
            (vec![b'a'; 300], false, None),
        ] {
            let command = read(
                Submit {
                    as_payload,
                    sar,
                    ..submit(&content)
                }
                .to_pdu(),
            );
            let Some(Read::SubmitSm(read)) = command.pdu() else {
                panic!("{command:?}")
            };
            assert_eq!(read.source_addr.to_string(), "SHOP");
            assert_eq!(read.destination_addr.to_string(), "84912345678");
            assert_eq!(u8::from(read.source_addr_ton), 5);
            assert_eq!(read.data_coding, DataCoding::Ucs2);
            let goes_as_payload = as_payload || content.len() > 255;
            let short = if goes_as_payload { &[][..] } else { content.as_slice() };
            assert_eq!(read.short_message().as_ref(), short);
            let shown = format!("{:?}", read.tlvs());
            assert_eq!(shown.contains("MessagePayload"), goes_as_payload, "{shown}");
            assert_eq!(shown.contains("SarSegmentSeqnum"), sar.is_some(), "{shown}");
        }
    }

    #[test]
    fn responses_are_read() {
        let mut out = BytesMut::new();
        response(&mut out, command::DELIVER_SM, 0x64, 42);
        let command = read(out);
        assert_eq!(command.status(), CommandStatus::EsmeRxTAppn);
        assert!(matches!(command.pdu(), Some(Read::DeliverSmResp(_))), "{command:?}");
        let mut out = BytesMut::new();
        alone(&mut out, command::ENQUIRE_LINK, 0, 43);
        assert!(matches!(read(out).pdu(), Some(Read::EnquireLink)));
    }
}

proptest! {
    #[test]
    fn reading_is_total(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::from(octets.as_slice());
        while let Ok(Some(pdu)) = next(&mut buffer) {
            read_everything(&pdu);
        }
    }

    #[test]
    fn reading_any_body_is_total(is_data: bool, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let command = if is_data { command::DATA_SM } else { command::DELIVER_SM };
        read_everything(&read_one(&frame(command, 0, 1, &body)));
    }
}

fn read_everything(pdu: &Pdu) {
    pdu.message_id();
    if let Ok((_, tlvs)) = pdu.alert() {
        tlvs.number(tag::MS_AVAILABILITY_STATUS);
    }
    if let Ok(message) = pdu.message() {
        message.tlvs.number(tag::MESSAGE_STATE);
        message.tlvs.text(tag::RECEIPTED_MESSAGE_ID);
    }
}
