use super::*;
use crate::sms::smpp::pdu::tests::{Deliver, pdu_of};
use proptest::prelude::*;

const STANDARD_TEXT: &str = "id:0489708364 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD \
                             err:000 text:Xin chao";

fn deliver(text: &[u8], tlvs: &[(u16, &[u8])]) -> Deliver {
    Deliver {
        esm_class: 0x04,
        text: text.to_vec(),
        tlvs: tlvs.iter().map(|(tag, value)| (*tag, value.to_vec())).collect(),
        ..Deliver::default()
    }
}

fn report(deliver: &Deliver) -> Report {
    let pdu = pdu_of(deliver);
    read(&pdu.message().unwrap(), &Words::new())
}

fn text(text: &str) -> Report {
    report(&deliver(text.as_bytes(), &[]))
}

fn id(report: &Report) -> String {
    let (id, _) = report.message_id.clone().unwrap_or_default();
    String::from_utf8(id).unwrap()
}

#[test]
fn the_standard_text_is_read() {
    let report = text(STANDARD_TEXT);
    assert_eq!(id(&report), "0489708364");
    assert_eq!(report.state, Some(State::Delivered));
    assert_eq!((report.code.as_str(), report.done_date.as_str()), ("000", "2611231201"));
}

#[test]
fn deviating_texts_are_read() {
    for (written, id_expected, state, code) in [
        ("id:a1 stat:UNDELIV err:11", "a1", State::Undeliverable, "11"),
        (
            "id:a1 submitdate:261123120000 donedate:261123120100 stat:EXPIRED err:A",
            "a1",
            State::Expired,
            "A",
        ),
        (
            "ID:a1 SUB:001 STAT:REJECTD ERR:108 Text:x",
            "a1",
            State::Rejected,
            "108",
        ),
        (
            "id:7b1c-4e00 stat:ENROUTE text: stat:DELIVRD",
            "7b1c-4e00",
            State::Enroute,
            "",
        ),
        (
            "id:a1 stat:DND_REJECTED err:000 text:",
            "a1",
            State::Rejected,
            "DND_REJECTED",
        ),
        ("id:a1 stat:FAILED", "a1", State::Undeliverable, "FAILED"),
        ("id:a1 stat:WHATEVER err:7", "a1", State::Unknown, "7"),
        (
            "id: a1 sub: dlvrd: stat: DELIVRD err: 000",
            "a1",
            State::Delivered,
            "000",
        ),
        ("id:a1 stat:ACCEPTD err:000\0", "a1", State::Accepted, "000"),
        ("valid:x id:a1 stat:DELETED", "a1", State::Deleted, ""),
    ] {
        let report = text(written);
        assert_eq!(
            (id(&report).as_str(), report.state, report.code.as_str()),
            (id_expected, Some(state), code),
            "{written}"
        );
    }
}

#[test]
fn parameters_go_before_the_text() {
    let report = report(&deliver(
        STANDARD_TEXT.as_bytes(),
        &[
            (tag::RECEIPTED_MESSAGE_ID, b"1d305b4c\0"),
            (tag::MESSAGE_STATE, &[5]),
            (tag::NETWORK_ERROR_CODE, &[3, 0, 11]),
        ],
    ));
    assert_eq!(report.message_id, Some((b"1d305b4c".to_vec(), true)));
    assert_eq!(report.state, Some(State::Undeliverable));
}

#[test]
fn parameters_alone_are_enough_and_may_be_sloppy() {
    for (id_value, state_value, network, code) in [
        (b"abc\0".as_slice(), [2].as_slice(), [3, 0, 11].as_slice(), "3/11"),
        (b"abc", &[0, 0, 0, 2], b"000", "000"),
        (b"abc\0\0", &[2], b"00", "00"),
        (b"abc", &[2], &[], ""),
        (b"abc", &[2], &[3, 0, 0], ""),
    ] {
        let tlvs: &[(u16, &[u8])] = &[
            (tag::RECEIPTED_MESSAGE_ID, id_value),
            (tag::MESSAGE_STATE, state_value),
            (tag::NETWORK_ERROR_CODE, network),
        ];
        let report = report(&deliver(b"", tlvs));
        assert_eq!(id(&report), "abc");
        assert_eq!((report.state, report.code.as_str()), (Some(State::Delivered), code));
    }
}

#[test]
fn a_receipt_may_stand_in_the_payload() {
    let report = report(&deliver(b"", &[(tag::MESSAGE_PAYLOAD, STANDARD_TEXT.as_bytes())]));
    assert_eq!(
        (id(&report).as_str(), report.state),
        ("0489708364", Some(State::Delivered))
    );
}

#[test]
fn words_of_the_account_are_believed_first() {
    let words = Words::from([("WHATEVER".to_owned(), State::Delivered)]);
    let pdu = pdu_of(&deliver(b"id:a1 stat:whatever", &[(tag::MESSAGE_STATE, &[8])]));
    assert_eq!(read(&pdu.message().unwrap(), &words).state, Some(State::Delivered));
}

#[test]
fn receipts_are_told_from_messages() {
    let is = |esm_class: u8, believes: bool, text: &[u8], tlvs: &[(u16, &[u8])]| {
        let deliver = Deliver {
            esm_class,
            ..deliver(text, tlvs)
        };
        is_receipt(&pdu_of(&deliver).message().unwrap(), believes)
    };
    let both: &[(u16, &[u8])] = &[(tag::RECEIPTED_MESSAGE_ID, b"a\0"), (tag::MESSAGE_STATE, &[2])];
    for esm_class in [0x04, 0x20, 0x44, 0x84, 0x07] {
        assert!(is(esm_class, false, b"", &[]), "{esm_class:#x}");
    }
    for esm_class in [0x00, 0x03, 0x08, 0x40, 0x10, 0x18] {
        assert!(!is(esm_class, false, STANDARD_TEXT.as_bytes(), &[]), "{esm_class:#x}");
    }
    assert!(is(0, true, STANDARD_TEXT.as_bytes(), &[]));
    assert!(!is(0, true, b"my id: 5, what is the stat?", &[]));
    assert!(is(0, false, b"", both));
    assert!(!is(0, false, b"", &both[..1]));
}

#[test]
fn times_are_read_in_the_zone_of_the_account() {
    let hanoi = Offset::from_seconds(7 * 3600).unwrap();
    assert_eq!(moment("2601020304", hanoi), Some(1_767_297_840));
    assert_eq!(moment("260102030405", Offset::UTC), Some(1_767_323_045));
    for wrong in ["", "26010203", "2613020304", "26010203ab", "20260102030405"] {
        assert_eq!(moment(wrong, hanoi), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn reading_is_total(content in prop::collection::vec(any::<u8>(), 0..300), tlvs in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut deliver = deliver(&[], &[(tag::MESSAGE_PAYLOAD, &content)]);
        deliver.tail = tlvs;
        report(&deliver);
    }

    #[test]
    fn fields_of_any_words_are_found(words in prop::collection::vec("(id:|stat:|err:|text:| |x|submit date:|\0|é){1}", 0..20)) {
        text(&words.concat());
    }
}
