use super::*;
use omnigate_core::sms::unaccent::unaccent;
use serde_json::{Value, json};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Own {
    api_key: Option<String>,
}

fn of(value: Value) -> Result<(TextSettings, Own), Invalid> {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    read(&Settings(map), &["api_key"], &["api_key"])
}

/// Settings as an operator writes them.
pub(crate) fn text_settings(value: Value) -> Result<TextSettings, Invalid> {
    of(value).map(|(shared, _)| shared)
}

fn asked(settings: &TextSettings, text: &str) -> Option<Asked> {
    settings.words.asked(text).map(|found| found.asked)
}

/// 2026-01-02T03:04:05.678Z.
const AT: Moment = Moment(1_767_323_045_678);

#[test]
fn shared_and_own_settings_are_read_apart() {
    let (shared, own) = of(json!({ "api_key": "k", "sender": "SHOPABC", "unaccented": true })).unwrap();
    assert_eq!(own.api_key.as_deref(), Some("k"));
    assert_eq!(shared.sender, Some(Sender::Alphanumeric("SHOPABC".into())));
    assert!(shared.unaccented);
    let problem = of(json!({ "api_keey": "k" })).err().unwrap().to_string();
    assert_eq!(problem, "api_keey: is not known; did you mean `api_key`?");
    let problem = of(json!({ "sendr": "k" })).err().unwrap().to_string();
    assert_eq!(problem, "sendr: is not known; did you mean `sender`?");
}

#[test]
fn defaults_are_those_of_vietnam() {
    let settings = text_settings(json!({})).unwrap();
    assert_eq!(
        (settings.region.as_str(), settings.label.as_deref()),
        ("VN", Some("[QC]"))
    );
    assert_eq!(
        (settings.opt_out_topic.as_str(), settings.max_segments),
        ("marketing", 10)
    );
    assert_eq!(asked(&settings, "tc"), Some(Asked::OptOut));
    assert_eq!(asked(&settings, "Unsubscribe"), Some(Asked::OptOut));
    assert_eq!(asked(&settings, "DK QC"), Some(Asked::OptIn));
    let abroad = text_settings(json!({ "region": "us" })).unwrap();
    assert_eq!((abroad.region.as_str(), asked(&abroad, "TC")), ("US", None));
}

#[test]
fn own_words_replace_the_defaults_of_their_list() {
    let settings = text_settings(json!({ "opt_out_words": ["Thôi nhé"] })).unwrap();
    assert_eq!(asked(&settings, "thoi nhe!"), Some(Asked::OptOut));
    assert_eq!(asked(&settings, "TC"), None);
    assert_eq!(asked(&settings, "START"), Some(Asked::OptIn));
    let off = text_settings(json!({ "opt_out_words": [], "opt_in_words": [] })).unwrap();
    assert_eq!((asked(&off, "STOP"), asked(&off, "START")), (None, None));
}

#[test]
fn the_prefix_hints_at_the_brandname() {
    let settings = json!({ "sender": "SHOP", "senders": { "Viettel": "SHOP VT", "mobifone": "SHOPMB" } });
    let settings = text_settings(settings).unwrap();
    let sender = |number: &str| {
        let number = phone::parse(number, None).unwrap();
        settings.sender_to(Some(&number)).map(Sender::address)
    };
    assert_eq!(sender("+84962345678"), Some("SHOP VT"));
    assert_eq!(sender("+84902345678"), Some("SHOPMB"));
    assert_eq!(sender("+84912345678"), Some("SHOP"));
    assert_eq!(sender("+14155550100"), Some("SHOP"));
    assert_eq!(settings.sender_to(None).map(Sender::address), Some("SHOP"));
}

#[test]
fn the_confirmation_names_company_and_time_and_fits_one_sms() {
    let settings = text_settings(json!({})).unwrap();
    let confirmation = settings.confirmation("Cửa hàng Ánh Dương", AT);
    assert_eq!(
        confirmation,
        "Cua hang Anh Duong: da nhan yeu cau tu choi tin quang cao luc 10:04 02/01/2026. Ngung gui ke tu luc nay."
    );
    assert_eq!(unaccent(&confirmation).text, confirmation);
    assert!(confirmation.len() <= 160);
    let own = json!({ "opt_out_confirmation": "Đã dừng {name} lúc {time}", "utc_offset": "-03:30" });
    let own = text_settings(own).unwrap();
    assert_eq!(own.confirmation("{time}", AT), "Đã dừng {time} lúc 23:34 01/01/2026");
    let none = text_settings(json!({ "opt_out_confirmation": "" })).unwrap();
    assert_eq!(none.confirmation("x", AT), "");
    let everything = text_settings(json!({ "opt_out_topic": "" })).unwrap();
    assert!(!everything.confirmation("x", AT).contains("quang cao"));
    let abroad = text_settings(json!({ "region": "GB" })).unwrap();
    assert!(abroad.confirmation("x", AT).contains("03:04 02/01/2026"));
}

#[test]
fn wrong_values_are_named() {
    for (value, key) in [
        (json!({ "region": "XX" }), "region"),
        (json!({ "region": "Vietnam" }), "region"),
        (json!({ "sender": "A BRANDNAME TOO LONG" }), "sender"),
        (json!({ "senders": { "vodafone": "X" } }), "senders"),
        (json!({ "senders": { "viettel": "Thương" } }), "senders"),
        (json!({ "senders": [] }), "senders"),
        (json!({ "opt_out_words": ["!"] }), "opt_out_words"),
        (json!({ "opt_in_words": ["this is a whole sentence"] }), "opt_in_words"),
        (json!({ "opt_out_locales": ["fr"] }), "opt_out_locales"),
        (json!({ "utc_offset": "7" }), "utc_offset"),
        (json!({ "utc_offset": "+7:00" }), "utc_offset"),
        (json!({ "utc_offset": "+25:00" }), "utc_offset"),
        (json!({ "utc_offset": "ấ" }), "utc_offset"),
        (json!({ "max_segments": 0 }), "max_segments"),
        (json!({ "max_segments": 256 }), "max_segments"),
        (json!({ "cost_per_segment": "850" }), "cost_per_segment"),
        (json!({ "cost_per_segment": "x VND" }), "cost_per_segment"),
        (json!({ "label": "x".repeat(2000) }), "label"),
    ] {
        let error = text_settings(value.clone()).err();
        assert_eq!(error.map(|error| error.key).as_deref(), Some(key), "{value}");
    }
}
