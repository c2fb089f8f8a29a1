use super::{super::pdu::Address, *};

const SUBMITTED: i64 = 1_795_435_199;

fn written(form: &ReceiptForm, ids: IdForms, text: &str) -> ShortMessage {
    let about = About {
        number: 489_708_364,
        ids,
        state: State::Delivered,
        error: "000",
        submitted: SUBMITTED,
        done: SUBMITTED + 61,
        text,
    };
    let sent = ShortMessage {
        source: Address::of("OMNIGATE"),
        destination: Address::of("84912345678"),
        ..ShortMessage::default()
    };
    form.write(&about, &sent, 0x04)
}

fn text(form: &ReceiptForm) -> String {
    let receipt = written(form, IdForms::default(), "xin chào, bạn có khoẻ không");
    String::from_utf8(receipt.octets().to_vec()).unwrap()
}

#[test]
fn the_standard_form() {
    let receipt = written(
        &ReceiptForm::default(),
        IdForms {
            tlv: IdForm::Hex,
            ..IdForms::default()
        },
        "hello",
    );
    assert_eq!(
        String::from_utf8_lossy(&receipt.short_message),
        "id:0489708364 sub:001 dlvrd:001 submit date:2611231159 done date:2611231201 stat:DELIVRD err:000 text:hello"
    );
    assert_eq!(receipt.tlv(tag::RECEIPTED_MESSAGE_ID).unwrap(), "1d305b4c\0");
    assert_eq!(&receipt.tlv(tag::MESSAGE_STATE).unwrap()[..], [2]);
    assert_eq!(
        (receipt.source.address.as_str(), receipt.destination.ton),
        ("84912345678", 5)
    );
}

#[test]
fn every_deviation() {
    let standard = ReceiptForm::default;
    let form = ReceiptForm {
        counts: false,
        seconds: true,
        joined_dates: true,
        text_field: TextField::Absent,
        stat: Some("SENT".to_owned()),
        ..standard()
    };
    assert_eq!(
        text(&form),
        "id:0489708364 submitdate:261123115959 donedate:261123120100 stat:SENT err:000"
    );
    let form = ReceiptForm {
        text_field: TextField::Upper,
        trailing_nul: true,
        in_payload: true,
        ..standard()
    };
    assert!(text(&form).ends_with(" Text:xin ch?o, b?n c? kho\0"), "{}", text(&form));
    assert!(written(&form, IdForms::default(), "x").short_message.is_empty());
    let form = ReceiptForm {
        text_field: TextField::Ucs2,
        ..standard()
    };
    let receipt = written(&form, IdForms::default(), "đ");
    assert!(receipt.short_message.ends_with(b" text:\x01\x11"));
    let form = ReceiptForm {
        text: false,
        network_error: NetworkError::Ascii,
        ..standard()
    };
    let receipt = written(&form, IdForms::default(), "x");
    assert!(receipt.short_message.is_empty() && receipt.tlv(tag::MESSAGE_STATE).is_some());
    assert_eq!(receipt.tlv(tag::NETWORK_ERROR_CODE).unwrap(), "000");
    let form = ReceiptForm {
        tlvs: false,
        other_tlvs: vec![(0x1454, "45201".to_owned())],
        network_error: NetworkError::Gsm,
        ..standard()
    };
    let receipt = written(&form, IdForms::default(), "x");
    assert_eq!(receipt.tlv(tag::RECEIPTED_MESSAGE_ID), None);
    assert_eq!(receipt.tlv(0x1454).unwrap(), "45201");
    assert_eq!(&receipt.tlv(tag::NETWORK_ERROR_CODE).unwrap()[..], [3, 0, 0]);
}

#[test]
fn ids_fit_into_the_field_in_every_form() {
    for (form, expected) in [
        (IdForm::Decimal, "0489708364"),
        (IdForm::Plain, "489708364"),
        (IdForm::Hex, "1d305b4c"),
        (IdForm::UpperHex, "1D305B4C"),
    ] {
        assert_eq!(form.write(489_708_364), expected);
    }
    for form in [IdForm::Uuid, IdForm::Alphanumeric] {
        assert!(form.write(u64::MAX).len() < 65);
        assert_ne!(form.write(1), form.write(2));
    }
}
