use super::*;
use serde_json::{Value, json};

fn settings(value: Value) -> Settings {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    Settings(map)
}

fn read(mut value: Value) -> Result<SmppSettings, Invalid> {
    for (key, given) in [("host", "smsc.example"), ("system_id", "shop"), ("password", "s3cret")] {
        let map = value.as_object_mut().unwrap();
        map.entry(key).or_insert_with(|| json!(given));
    }
    SmppSettings::read(&settings(value))
}

#[test]
fn three_settings_are_enough() {
    let settings = read(json!({})).unwrap();
    let bind = settings.need_bind().unwrap();
    assert_eq!((bind.place.port, bind.place.tls, bind.binds), (2775, false, 1));
    assert_eq!(bind.mode, BindMode::Transceiver);
    assert_eq!((settings.window, settings.submit.registered_delivery), (10, 1));
    assert_eq!(settings.submit.long_messages, LongMessages::Udh);
    assert_eq!(settings.duplicate_window, Duration::from_secs(60));
}

#[test]
fn an_authority_is_certificates_for_tls() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let settings = read(json!({ "tls": true, "authority": pem })).unwrap();
    assert_eq!(settings.need_bind().unwrap().place.authority.as_deref(), Some(pem));
    for value in [
        json!({ "authority": pem }),
        json!({ "tls": false, "authority": pem }),
        json!({ "tls": true, "authority": "smsc.pem" }),
    ] {
        assert_eq!(read(value).unwrap_err().key, "authority");
    }
}

#[test]
fn offline_nothing_is_needed() {
    let settings = SmppSettings::read(&settings(json!({}))).unwrap();
    assert_eq!(settings.need_bind().unwrap_err().key, "host");
}

#[test]
fn everything_can_be_said() {
    let settings = read(json!({
        "port": 3550, "tls": true, "bind": "transmitter_receiver", "binds": 4, "window": 100,
        "long_messages": "udh16", "submit_id": "hex", "receipt_id": "decimal", "validity_s": 90_061,
        "status_classes": { "0x401": "account", "1034": "refused" },
        "receipt_states": { "dnd_rejected": "rejected" }, "receipt_classes": { "012": "refused" },
        "default_alphabet": "latin1", "sender": "SHOP", "unaccented": true,
    }));
    let settings = settings.unwrap();
    let bind = settings.need_bind().unwrap();
    assert_eq!((bind.place.port, bind.place.tls, bind.binds), (3550, true, 4));
    assert_eq!(bind.mode, BindMode::TransmitterReceiver);
    assert_eq!(settings.submit.validity_period, "000001010101000R");
    assert_eq!(
        settings.submit.classes,
        Classes::from([(0x401, ErrorClass::Account), (0x40a, ErrorClass::Refused)])
    );
    assert_eq!(settings.receipt.states["DND_REJECTED"], receipt::State::Rejected);
    assert_eq!(settings.receipt.receipt_tlv_id, Form::Hex);
    assert_eq!(settings.default_alphabet, DefaultAlphabet::Latin1);
}

#[test]
fn wrong_values_are_named() {
    for (value, key) in [
        (json!({ "host": "a b" }), "host"),
        (json!({ "host": "http://x" }), "host"),
        (json!({ "port": 0 }), "port"),
        (json!({ "port": 70_000 }), "port"),
        (json!({ "system_id": "" }), "system_id"),
        (json!({ "system_id": "sixteencharacter" }), "system_id"),
        (json!({ "password": "x".repeat(65) }), "password"),
        (json!({ "password": 5 }), "password"),
        (json!({ "bind": "receiver" }), "bind"),
        (json!({ "binds": 0 }), "binds"),
        (json!({ "binds": 17 }), "binds"),
        (json!({ "window": 0 }), "window"),
        (json!({ "window": 10_001 }), "window"),
        (json!({ "enquire_link_s": 0 }), "enquire_link_s"),
        (json!({ "response_s": 0 }), "response_s"),
        (json!({ "throttle_pause_ms": 1 }), "throttle_pause_ms"),
        (json!({ "validity_s": 5 }), "validity_s"),
        (json!({ "priority": 4 }), "priority"),
        (json!({ "source_addr_ton": 8 }), "source_addr_ton"),
        (json!({ "default_alphabet": "ebcdic" }), "default_alphabet"),
        (json!({ "long_messages": "fax" }), "long_messages"),
        (json!({ "submit_id": "octal" }), "submit_id"),
        (json!({ "status_classes": { "x": "account" } }), "status_classes"),
        (json!({ "status_classes": { "0x401": "bad" } }), "status_classes"),
        (json!({ "receipt_states": { "SENT": "gone" } }), "receipt_states"),
        (json!({ "messages_per_second": -1 }), "messages_per_second"),
        (json!({ "duplicate_window_s": 4_000 }), "duplicate_window_s"),
        (json!({ "sender": "far too long a name" }), "sender"),
        (json!({ "windw": 10 }), "windw"),
    ] {
        let error = read(value.clone()).err();
        assert_eq!(error.map(|error| error.key).as_deref(), Some(key), "{value}");
    }
}

#[test]
fn a_password_never_shows() {
    let settings = read(json!({ "password": "s3cret" })).unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
    let error = read(json!({ "password": ["s3cret"] })).unwrap_err();
    assert!(!error.to_string().contains("s3cret"));
}

#[test]
fn national_tables_go_with_septets_and_headers_only() {
    let settings = read(json!({ "national_locking": "turkish", "national_single": "spanish" })).unwrap();
    let national = settings.submit.national;
    assert_eq!(
        (
            national.locking.unwrap().identifier(),
            national.single.unwrap().identifier()
        ),
        (1, 2)
    );
    for (value, key) in [
        (json!({ "national_locking": "spanish" }), "national_locking"),
        (json!({ "national_single": "vietnamese" }), "national_single"),
        (
            json!({ "national_single": "turkish", "long_messages": "sar" }),
            "national_single",
        ),
        (
            json!({ "national_single": "turkish", "long_messages": "payload" }),
            "national_single",
        ),
        (
            json!({ "national_locking": "turkish", "default_alphabet": "latin1" }),
            "national_locking",
        ),
    ] {
        assert_eq!(read(value).unwrap_err().key, key);
    }
}
