use super::*;
use crate::sms::smpp::pdu::{self, Pdu, command, tag};
use crate::texting::text_part;
use omnigate_core::account::Settings;
use omnigate_core::shard::Shard;
use proptest::prelude::*;
use serde_json::{Value, json};

fn channel(own: Value) -> SmppChannel {
    let mut all = json!({ "host": "smsc", "system_id": "s", "password": "p", "sender": "SHOP" });
    all.as_object_mut()
        .unwrap()
        .append(own.clone().as_object_mut().unwrap());
    let Value::Object(map) = all else {
        panic!("not an object")
    };
    let settings = SmppSettings::read(&Settings(map)).unwrap();
    let binds = Binds::new(settings.need_bind().unwrap(), settings.window);
    SmppChannel::new(settings, Arc::new(binds))
}

fn message(text: &str) -> Message {
    Message {
        parts: vec![text_part(text)],
        ..Message::default()
    }
}

fn key(request: &str, piece: u8) -> String {
    MessageId::new(Shard::new(3), "t", request).send_key(piece)
}

fn outgoing(text: &str, piece: u32) -> Outgoing {
    Outgoing {
        peer_type: "phone".to_owned(),
        peer: "+84912345678".to_owned(),
        peer_provider_form: "+84912345678".to_owned(),
        message: message(text),
        piece,
        send_key: key("r1", u8::try_from(piece).unwrap()),
        time_limit: Duration::from_secs(30),
    }
}

fn sent(channel: &SmppChannel, outgoing: &Outgoing) -> Pdu {
    let mut pdu = channel.pdu(outgoing).unwrap();
    pdu::next(&mut pdu).unwrap().unwrap()
}

/// `esm_class`, `data_coding` and content of a submit; its body is that of a `deliver_sm`.
fn content(pdu: &Pdu) -> (u8, u8, Vec<u8>) {
    let as_delivery = Pdu {
        command: command::DELIVER_SM,
        ..pdu.clone()
    };
    let message = as_delivery.message().unwrap();
    (message.esm_class, message.data_coding, message.content.to_vec())
}

#[test]
fn a_short_text_goes_as_it_is() {
    let pdu = sent(&channel(json!({})), &outgoing("Xin chao @", 0));
    assert_eq!(pdu.command, command::SUBMIT_SM);
    assert_eq!(content(&pdu), (0, 0, b"Xin chao \0".to_vec()));
    let as_delivery = Pdu {
        command: command::DELIVER_SM,
        ..pdu
    };
    let message = as_delivery.message().unwrap();
    let (source, destination) = (message.source, message.destination);
    assert_eq!((source.ton, source.npi, source.digits), (5, 0, b"SHOP".as_slice()));
    assert_eq!(
        (destination.ton, destination.npi, destination.digits),
        (1, 1, b"84912345678".as_slice())
    );
    let pdu = sent(&channel(json!({ "ucs2_data_coding": 24 })), &outgoing("chữ", 0));
    assert_eq!(content(&pdu), (0, 24, b"\0c\0h\x1e\xef".to_vec()));
}

#[test]
fn ton_and_npi_can_be_said() {
    let settings = json!({ "source_addr_ton": 2, "source_addr_npi": 8, "dest_addr_ton": 0, "dest_addr_npi": 0 });
    let pdu = sent(&channel(settings), &outgoing("x", 0));
    assert_eq!(pdu.body()[1..3], [2, 8]);
    assert_eq!(pdu.body()[8..10], [0, 0]);
}

#[test]
fn pieces_share_a_reference_that_other_messages_do_not_have() {
    let channel = channel(json!({ "long_messages": "udh16" }));
    let text = "chữ i".repeat(40);
    let pieces = channel.piece_count(&message(&text)).unwrap();
    assert_eq!(pieces, 4);
    let headers: Vec<Vec<u8>> = (0..pieces)
        .map(|piece| {
            let (esm_class, data_coding, content) = content(&sent(&channel, &outgoing(&text, piece)));
            assert_eq!((esm_class, data_coding), (0x40, 8));
            assert!(content.len() <= 140);
            content[..7].to_vec()
        })
        .collect();
    for (index, header) in headers.iter().enumerate() {
        let number = u8::try_from(index + 1).unwrap();
        assert_eq!(header[..3], [6, 8, 4]);
        assert_eq!(header[3..5], headers[0][3..5], "one reference");
        assert_eq!(header[5..], [4, number]);
    }
    let again = content(&sent(&channel, &outgoing(&text, 0))).2;
    assert_eq!(again[..7], headers[0], "the same at the next attempt");
    let other = Outgoing {
        send_key: key("r2", 0),
        ..outgoing(&text, 0)
    };
    let other = content(&sent(&channel, &other)).2;
    assert_ne!(other[3..5], headers[0][3..5], "another message");
}

#[test]
fn long_messages_go_in_the_way_of_the_account() {
    let text = "a".repeat(200);
    let udh = content(&sent(&channel(json!({})), &outgoing(&text, 1)));
    assert_eq!(
        (udh.0, &udh.2[..3], udh.2.len()),
        (0x40, [5, 0, 3].as_slice(), 6 + 200 - 153)
    );
    assert_eq!(udh.2[4..6], [2, 2]);

    let sar = sent(&channel(json!({ "long_messages": "sar" })), &outgoing(&text, 0));
    assert_eq!(content(&sar), (0, 0, vec![b'a'; 153]));
    let as_delivery = Pdu {
        command: command::DELIVER_SM,
        ..sar
    };
    let tlvs = as_delivery.message().unwrap().tlvs;
    assert_eq!(tlvs.number(tag::SAR_TOTAL_SEGMENTS), Some(2));
    assert_eq!(tlvs.number(tag::SAR_SEGMENT_SEQNUM), Some(1));
    assert!(tlvs.number(tag::SAR_MSG_REF_NUM).is_some());

    let payload = channel(json!({ "long_messages": "payload" }));
    assert_eq!(payload.piece_count(&message(&text)), Ok(1));
    let pdu = sent(&payload, &outgoing(&text, 0));
    assert_eq!(content(&pdu), (0, 0, vec![b'a'; 200]));
    assert_eq!(payload.piece_count(&message(&"a".repeat(1_000))), Ok(1));
}

#[test]
fn another_default_alphabet_changes_the_octets_not_the_text() {
    let send = |alphabet: &str, text: &str| {
        let channel = channel(json!({ "default_alphabet": alphabet }));
        content(&sent(&channel, &outgoing(text, 0)))
    };
    assert_eq!(send("gsm7", "caf\u{e9}"), (0, 0, b"caf\x05".to_vec()));
    assert_eq!(send("latin1", "caf\u{e9}"), (0, 0, b"caf\xe9".to_vec()));
    assert_eq!(send("utf8", "caf\u{e9}"), (0, 0, b"caf\xc3\xa9".to_vec()));
    assert_eq!(send("ascii", "cafe"), (0, 0, b"cafe".to_vec()));
    assert_eq!(send("ascii", "\u{e9}"), (0, 8, b"\0\xe9".to_vec()), "ASCII has no é");
    let channel = channel(json!({ "default_alphabet": "ascii" }));
    assert_eq!(channel.piece_count(&message(&"\u{e9}".repeat(70))), Ok(1));
    assert_eq!(channel.piece_count(&message(&"\u{e9}".repeat(71))), Ok(2));
    assert_eq!(
        channel
            .piece_count(&message(&"\u{e9}".repeat(2_000)))
            .unwrap_err()
            .class(),
        ErrorClass::Content
    );
}

#[test]
fn nothing_is_sent_that_cannot_be() {
    let channel = channel(json!({ "max_segments": 2 }));
    for (text, class) in [
        ("", ErrorClass::Content),
        ("a".repeat(400).as_str(), ErrorClass::Content),
    ] {
        assert_eq!(channel.piece_count(&message(text)).unwrap_err().class(), class);
        assert_eq!(channel.pdu(&outgoing(text, 0)).unwrap_err().class(), class);
    }
    assert_eq!(channel.pdu(&outgoing("x", 1)).unwrap_err().class(), ErrorClass::Content);
    let nobody = Outgoing {
        peer: "12".to_owned(),
        ..outgoing("x", 0)
    };
    assert_eq!(
        channel.pdu(&nobody).unwrap_err().class(),
        ErrorClass::RecipientPermanent
    );
}

#[test]
fn capabilities_follow_the_settings() {
    let capabilities = channel(json!({ "messages_per_second": 100 })).capabilities();
    assert_eq!(capabilities.messages_per_second, 100.0);
    assert_eq!(capabilities.receipts.len(), 2);
    let silent = channel(json!({ "registered_delivery": 0 }));
    assert!(silent.capabilities().receipts.is_empty());
    assert_eq!(silent.accepted(b"a1").state(), ReceiptState::Sent);
    let hex = channel(json!({ "submit_id": "decimal" }));
    let accepted = hex.accepted(b"0489708364");
    assert_eq!(
        (accepted.provider_message_id.as_str(), accepted.state()),
        ("1d305b4c", ReceiptState::Accepted)
    );
}

proptest! {
    #[test]
    fn pieces_join_to_the_text(text in "[a-zàé€😀 ]{1,400}", wide: bool) {
        let channel = channel(json!({ "long_messages": if wide { "udh16" } else { "udh" }, "max_segments": 255 }));
        let Ok(prepared) = channel.prepare(&message(&text)) else { return Ok(()) };
        let joined: String = prepared.ranges.iter().map(|range| &prepared.text[range.clone()]).collect();
        prop_assert_eq!(&joined, &prepared.text);
        for piece in 0..prepared.ranges.len() {
            let (_, _, content) = content(&sent(&channel, &outgoing(&text, u32::try_from(piece).unwrap())));
            prop_assert!(content.len() <= 160);
        }
    }

    #[test]
    fn ucs2_is_cut_between_characters(text in "[aé😀]{0,300}", wide: bool) {
        let long = if wide { LongMessages::Udh16 } else { LongMessages::Udh };
        let ranges = cut_ucs2(&text, long);
        let joined: String = ranges.iter().map(|range| &text[range.clone()]).collect();
        prop_assert_eq!(&joined, &text);
        let most = if ranges.len() == 1 { 70 } else if wide { 66 } else { 67 };
        prop_assert!(ranges.iter().all(|range| text[range.clone()].encode_utf16().count() <= most));
    }
}

#[test]
fn national_letters_go_with_their_tables_where_the_account_says_so() {
    let agreed = json!({ "national_locking": "turkish", "national_single": "turkish" });
    let channel = channel(agreed);
    // Letters of the default alphabet need no table.
    assert_eq!(content(&sent(&channel, &outgoing("abc", 0))), (0, 0, b"abc".to_vec()));
    let text = "Sipari\u{15f}iniz \u{131}l\u{131}k";
    let (esm_class, data_coding, octets) = content(&sent(&channel, &outgoing(text, 0)));
    assert_eq!((esm_class, data_coding), (0x40, 0));
    let (header, septets) = super::super::header::divide(&octets).unwrap();
    assert_ne!(header.national, National::default());
    let read = coding::text(&coding::decode(Coding::Gsm7(header.national), septets));
    assert_eq!(read, text);
    let long = "\u{131}\u{15f} ".repeat(80);
    let pieces = channel.piece_count(&message(&long)).unwrap();
    assert!(
        pieces < self::channel(json!({})).piece_count(&message(&long)).unwrap(),
        "septets take less room"
    );
    let mut whole = String::new();
    for piece in 0..pieces {
        let (_, _, octets) = content(&sent(&channel, &outgoing(&long, piece)));
        let (header, septets) = super::super::header::divide(&octets).unwrap();
        assert_eq!(header.place.unwrap().number, u8::try_from(piece + 1).unwrap());
        // Octets of the header fill septets of the air.
        let air = (usize::from(octets[0]) + 1) * 8;
        assert!(air.div_ceil(7) + septets.len() <= 160, "{piece}");
        whole += &coding::text(&coding::decode(Coding::Gsm7(header.national), septets));
    }
    assert_eq!(whole, long);
}
