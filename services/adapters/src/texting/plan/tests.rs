use super::*;
use crate::texting::settings::tests::text_settings;
use omnigate_proto::v1::ErrorClass;
use serde_json::{Value, json};

fn planned(message: Value, settings: Value, rules: Rules) -> Result<(String, usize), SendError> {
    let message: Message = serde_json::from_value(message).unwrap();
    let settings = text_settings(settings).unwrap();
    plan(&message, &settings, rules).map(|planned| (planned.plan.text, planned.media.len()))
}

fn text(message: Value, settings: Value) -> String {
    planned(message, settings, Rules::default()).unwrap().0
}

#[test]
fn only_advertising_is_labelled_and_can_be_refused() {
    let settings = json!({ "opt_out_line": "TC gui 199" });
    let parts = json!([{ "text": { "text": "Giảm 50%" } }]);
    let message = |purpose: &str| json!({ "parts": parts, "purpose": purpose });
    assert_eq!(
        text(message("PURPOSE_MARKETING"), settings.clone()),
        "[QC] Giảm 50%\nTC gui 199"
    );
    assert_eq!(text(message("PURPOSE_SERVICE"), settings.clone()), "Giảm 50%");
    assert_eq!(text(json!({ "parts": parts }), settings.clone()), "Giảm 50%");
    let bare = json!({ "label": "", "unaccented": true });
    assert_eq!(text(message("PURPOSE_MARKETING"), bare), "Giam 50%");
}

#[test]
fn parts_become_lines() {
    let message = json!({
        "subject": "Đơn 77",
        "parts": [
            { "text": { "text": "<b>Xin chào</b> <a href='https://x.example'>shop</a>", "format": "TEXT_FORMAT_HTML" } },
            { "text": { "text": "1 < 2" } },
            { "link": { "url": "https://shop.example", "title": "Cửa hàng" } },
            { "link": { "url": "https://shop.example/2" } },
            { "location": { "latitude": 21.028511, "longitude": 105.804817, "title": "Kho", "address": "Hà Nội" } },
            { "contact": { "displayName": "Lan", "phoneNumbers": ["0912345678"], "emailAddresses": ["a@b.example"] } },
            { "sticker": { "emoji": "👍" } },
            { "text": { "text": " " } }
        ],
        "choices": [
            { "label": "Đồng ý", "payload": "ok" },
            { "label": "Xem", "url": "https://shop.example/3" },
            { "label": "Gọi", "phone": "+84281234567" }
        ]
    });
    assert_eq!(
        text(message, json!({ "max_segments": 20 })).lines().collect::<Vec<_>>(),
        [
            "Đơn 77",
            "Xin chào shop (https://x.example)",
            "1 < 2",
            "Cửa hàng",
            "https://shop.example",
            "https://shop.example/2",
            "Kho, Hà Nội, (21.028511, 105.804817)",
            "Lan, 0912345678, a@b.example",
            "👍",
            "Đồng ý",
            "Xem: https://shop.example/3",
            "Gọi: +84281234567",
        ]
    );
}

#[test]
fn what_an_sms_cannot_carry_is_refused() {
    let part = |part: Value| json!({ "parts": [{ "text": { "text": "a" } }, part] });
    for message in [
        part(json!({ "media": { "url": "https://x.example/a.jpg" } })),
        part(json!({ "sticker": { "providerMediaId": "s" } })),
        part(json!({ "template": { "templateId": "t" } })),
        part(json!({ "infoRequest": { "title": "t" } })),
        json!({ "parts": [{ "text": { "text": " \n" } }] }),
        json!({}),
        json!({ "parts": [{ "text": { "text": "a".repeat(161) } }] }),
    ] {
        let settings = json!({ "max_segments": 1 });
        let error = planned(message.clone(), settings, Rules::default()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Content, "{message}");
    }
}

#[test]
fn media_go_where_they_can() {
    let media = |count| {
        let media = json!({ "media": { "url": "https://x.example/a.jpg", "caption": "ảnh" } });
        json!({ "parts": vec![media; count] })
    };
    let rules = Rules {
        media: 2,
        ..Rules::default()
    };
    assert_eq!(planned(media(2), json!({}), rules), Ok(("ảnh\nảnh".to_owned(), 2)));
    assert!(planned(media(3), json!({}), rules).is_err());
    let alone = json!({ "parts": [{ "media": { "url": "https://x.example/a.jpg" } }] });
    assert_eq!(planned(alone, json!({}), rules), Ok((String::new(), 1)));
}

#[test]
fn what_the_provider_adds_counts() {
    let message = json!({ "parts": [{ "text": { "text": "a".repeat(122) } }] });
    let one = json!({ "max_segments": 1 });
    let reserved = |reserved| Rules {
        reserved,
        ..Rules::default()
    };
    assert!(planned(message.clone(), one.clone(), reserved(38)).is_ok());
    assert!(planned(message, one, reserved(39)).is_err());
}
