//! The SMPP adapter against the sandbox's SMSC, whose codec is another one, over real connections.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

mod gateway;

use gateway::{Gateway, PATIENCE};
use omnigate_proto::v1::{ErrorClass, Event, ReceiptState, event::Kind, part::Content};
use omnigate_sandbox::smsc::{
    AccountOptions, Coding, Fault, FaultRule, IdForm, IdForms, Long, Malformed, Operation, ReceiptForm, ReceiptPlan,
    ReceiptRule, State, Writes,
};
use serde_json::json;
use std::collections::BTreeMap;

const PHONE: &str = "+84912345678";
/// Longer than one SMS in every coding.
const LONG_PLAIN: &str = "Quy khach co don hang moi. Vui long kiem tra thong tin giao hang va goi lai cho cua hang \
                          trong gio hanh chinh neu can thay doi dia chi, so dien thoai hoac thoi gian nhan hang. Cam on!";
const LONG_ACCENTED: &str = "Quý khách có đơn hàng mới 😀. Vui lòng kiểm tra thông tin giao hàng và gọi lại cho cửa hàng \
                             trong giờ hành chính nếu cần thay đổi địa chỉ hoặc thời gian nhận hàng 😀😀. Cảm ơn!";

fn text_of(event: &Event) -> Option<String> {
    let Some(Kind::Message(message)) = &event.kind else {
        return None;
    };
    match &message.parts.first()?.content {
        Some(Content::Text(text)) => Some(text.text.clone()),
        _ => None,
    }
}

/// The whole text that pieces come to.
fn joined(events: &[Event]) -> String {
    let mut pieces = BTreeMap::new();
    let mut references = Vec::new();
    for event in events {
        let Some(Kind::Message(message)) = &event.kind else {
            panic!("{event:?}")
        };
        let piece = message.piece.as_ref().unwrap();
        references.push(piece.reference.clone());
        pieces.insert(piece.number, piece.utf16.to_vec());
    }
    references.dedup();
    assert_eq!(references.len(), 1, "{references:?}");
    let octets = pieces.into_values().collect::<Vec<_>>().concat();
    let units: Vec<u16> = octets
        .as_chunks::<2>()
        .0
        .iter()
        .map(|unit| u16::from_be_bytes(*unit))
        .collect();
    String::from_utf16(&units).unwrap()
}

#[tokio::test]
async fn what_is_sent_arrives_and_its_receipt_names_it() {
    let forms = |response, text, tlv| IdForms { response, text, tlv };
    for (ids, settings) in [
        (
            forms(IdForm::Hex, IdForm::Decimal, IdForm::Hex),
            json!({ "submit_id": "hex", "receipt_id": "decimal" }),
        ),
        (
            forms(IdForm::Decimal, IdForm::UpperHex, IdForm::Decimal),
            json!({ "submit_id": "decimal", "receipt_id": "hex" }),
        ),
        (forms(IdForm::Uuid, IdForm::Uuid, IdForm::Uuid), json!({})),
        (
            forms(IdForm::Alphanumeric, IdForm::Alphanumeric, IdForm::Alphanumeric),
            json!({}),
        ),
    ] {
        let account = AccountOptions {
            ids,
            ..AccountOptions::default()
        };
        let mut gateway = Gateway::start(account, settings).await;
        for tlvs in [true, false] {
            gateway.smsc.clear_receipts();
            gateway.smsc.receipts(ReceiptRule {
                destination: None,
                times: None,
                plan: ReceiptPlan {
                    form: ReceiptForm {
                        tlvs,
                        ..ReceiptForm::default()
                    },
                    ..ReceiptPlan::default()
                },
            });
            let accepted = gateway.send(PHONE, "Xin chào", 0).await.unwrap();
            let event = gateway.event().await;
            let Some(Kind::Receipt(receipt)) = &event.kind else {
                panic!("{event:?}")
            };
            assert_eq!(receipt.provider_message_id, accepted.provider_message_id, "{ids:?}");
            assert_eq!(receipt.state(), ReceiptState::Delivered);
            assert_eq!(event.peer.as_ref().unwrap().value, PHONE);
        }
        let texts = gateway.smsc.texts_to(PHONE);
        assert_eq!(texts[0].text.as_deref(), Some("Xin chào"));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn failures_are_told_with_their_code() {
    let mut gateway = Gateway::start(AccountOptions::default(), json!({})).await;
    for state in [State::Undeliverable, State::Expired, State::Rejected] {
        gateway.smsc.clear_receipts();
        gateway.smsc.receipts(ReceiptRule {
            destination: None,
            times: None,
            plan: ReceiptPlan {
                state,
                error: "017".to_owned(),
                ..ReceiptPlan::default()
            },
        });
        gateway.send(PHONE, "x", 0).await.unwrap();
        let event = gateway.event().await;
        let Some(Kind::Receipt(receipt)) = &event.kind else {
            panic!("{event:?}")
        };
        assert_eq!(receipt.state(), ReceiptState::Failed);
        assert_eq!(receipt.error.as_ref().unwrap().provider_code, "017");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn long_texts_go_out_whole() {
    for way in ["udh", "udh16", "sar", "payload"] {
        for text in [LONG_PLAIN, LONG_ACCENTED] {
            let settings = json!({ "long_messages": way, "registered_delivery": 0 });
            let gateway = Gateway::start(AccountOptions::default(), settings).await;
            let pieces = gateway.pieces(text);
            assert_eq!(pieces > 1, way != "payload");
            for piece in 0..pieces {
                gateway.send(PHONE, text, piece).await.unwrap();
            }
            let texts = gateway.smsc.texts_to(PHONE);
            assert_eq!(texts.len(), 1, "{way}");
            assert_eq!(texts[0].text.as_deref(), Some(text), "{way}");
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn long_texts_come_in_whole() {
    let mut gateway = Gateway::start(AccountOptions::default(), json!({})).await;
    for (long, coding, text) in [
        (Long::Udh8, Coding::Gsm7, LONG_PLAIN),
        (Long::Udh8, Coding::Ucs2, LONG_ACCENTED),
        (Long::Udh16, Coding::Ucs2, LONG_ACCENTED),
        (Long::Sar, Coding::Ucs2, LONG_ACCENTED),
        (Long::Sar, Coding::Latin1, LONG_PLAIN),
    ] {
        let written = gateway.smsc.write(&Writes {
            from: PHONE.to_owned(),
            to: "8041".to_owned(),
            text: text.to_owned(),
            coding,
            long,
            reversed: true,
            ..Writes::default()
        });
        let mut events = Vec::new();
        for _ in 0..written.unwrap().pieces {
            events.push(gateway.event().await);
        }
        assert_eq!(joined(&events), text, "{long:?}");
    }
    for as_data_sm in [false, true] {
        gateway
            .smsc
            .write(&Writes {
                from: PHONE.to_owned(),
                to: "8041".to_owned(),
                text: LONG_ACCENTED.to_owned(),
                long: Long::Payload,
                as_data_sm,
                trailing: "000000".to_owned(),
                tlvs: vec![(0x1403, "ff".to_owned()), (0x060d, "6100".to_owned())],
                ..Writes::default()
            })
            .unwrap();
        assert_eq!(text_of(&gateway.event().await).as_deref(), Some(LONG_ACCENTED));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn too_fast_is_told_and_passes() {
    let settings = json!({ "throttle_pause_ms": 250 });
    let gateway = Gateway::start(AccountOptions::default(), settings).await;
    gateway
        .smsc
        .fault(FaultRule::once(Operation::Submit, Fault::throttled()));
    let error = gateway.send(PHONE, "x", 0).await.unwrap_err();
    assert_eq!(
        (error.class(), error.provider_code.as_str()),
        (ErrorClass::Throttled, "0x58")
    );
    gateway.until_sent(PHONE, "x").await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_cut_is_ambiguous_and_the_bind_comes_back() {
    let gateway = Gateway::start(AccountOptions::default(), json!({})).await;
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        gateway.smsc.fault(FaultRule::once(Operation::Submit, fault));
        let error = gateway.send(PHONE, "x", 0).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Ambiguous);
        gateway.until_sent(PHONE, "y").await;
    }
    for fault in [
        Fault::NoBody,
        Fault::Unterminated,
        Fault::Twice,
        Fault::Nack { status: 0x03 },
    ] {
        let is_refused = !fault.takes_effect();
        gateway.smsc.fault(FaultRule::once(Operation::Submit, fault));
        let outcome = gateway.send(PHONE, "z", 0).await;
        assert_eq!(outcome.is_err(), is_refused, "{outcome:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_could_not_be_pushed_comes_again_as_the_same_event() {
    let mut gateway = Gateway::start(AccountOptions::default(), json!({})).await;
    gateway.fail_pushes(1);
    gateway.smsc.writes(PHONE, "8041", "ok").unwrap();
    let event = gateway.event().await;
    assert_eq!(text_of(&event).as_deref(), Some("ok"));
    assert_eq!(gateway.failed_keys(), std::slice::from_ref(&event.stable_key));
    gateway.smsc.writes(PHONE, "8041", "ok").unwrap();
    let second = gateway.event().await;
    assert_ne!(second.stable_key, event.stable_key);
    let settled = gateway
        .smsc
        .wait_for(|view| view.settled().count() >= 2, PATIENCE)
        .await;
    settled.unwrap();
    assert!(gateway.smsc.settled().iter().all(|settled| settled.status == Some(0)));
    gateway.stop().await;
}

#[tokio::test]
async fn an_smsc_that_speaks_badly_costs_at_most_the_connection() {
    let mut gateway = Gateway::start(AccountOptions::default(), json!({})).await;
    for malformed in [
        Malformed::UnknownCommand,
        Malformed::StrayResponse,
        Malformed::Truncated,
        Malformed::Unterminated,
        Malformed::LongAddress,
        Malformed::TlvOverrun,
        Malformed::NoBody,
        Malformed::ZeroSequence,
        Malformed::TooShort,
        Malformed::TooLong,
    ] {
        gateway.bound().await;
        gateway.smsc.malformed(None, &malformed).unwrap();
        let text = format!("after {malformed:?}");
        gateway.smsc.writes(PHONE, "8041", &text).unwrap();
        loop {
            let event = gateway.event().await;
            if text_of(&event).as_deref() == Some(&text) {
                break;
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn pairs_and_several_binds_share_an_account() {
    for settings in [
        json!({ "binds": 3 }),
        json!({ "bind": "transmitter_receiver", "binds": 2 }),
    ] {
        let mut gateway = Gateway::start(AccountOptions::default(), settings).await;
        for number in 0..20 {
            gateway.send(PHONE, &format!("number {number}"), 0).await.unwrap();
        }
        for _ in 0..20 {
            assert!(matches!(gateway.event().await.kind, Some(Kind::Receipt(_))));
        }
        assert_eq!(gateway.smsc.texts().len(), 20);
        gateway.stop().await;
    }
}
