use super::*;
use omnigate_core::account::{AdapterRef, Limits};
use serde_json::{Value, json};

fn settings(value: Value) -> Settings {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    Settings(map)
}

pub(super) fn account(app_id: &str, value: Value) -> Account {
    Account {
        id: "oa".into(),
        tenant_id: "t".into(),
        channel: "zalo".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: app_id.into(),
        settings: settings(value),
        limits: Limits::default(),
    }
}

pub(super) fn app(value: Value, implicit: bool) -> App {
    App {
        id: if implicit { "oa".into() } else { "app".into() },
        tenant_id: "t".into(),
        channel: "zalo".into(),
        provider: String::new(),
        settings: settings(value),
        implicit,
    }
}

fn own(value: &Value) -> (App, Account) {
    (app(value.clone(), true), account("oa", value.clone()))
}

fn refused<T>(outcome: Result<T, Invalid>) -> String {
    outcome.err().map_or_else(|| "nothing".into(), |invalid| invalid.key)
}

#[test]
fn wrong_values_are_named() {
    for (value, key) in [
        (json!({ "oa_id": "x1" }), "oa_id"),
        (json!({ "oa_id": "" }), "oa_id"),
        (json!({ "oa_id": 1 }), "oa_id"),
        (json!({ "api_url": "ftp://x" }), "api_url"),
        (json!({ "zns_url": "https://user@x" }), "zns_url"),
        (json!({ "oauth_url": "https://x?y" }), "oauth_url"),
        (json!({ "free_window_h": 200 }), "free_window_h"),
        (json!({ "open_window_h": 0 }), "open_window_h"),
        (json!({ "zns_mode": "production" }), "zns_mode"),
        (json!({ "sending_mode": "2" }), "sending_mode"),
        (json!({ "anonymous_api": "v1" }), "anonymous_api"),
        (json!({ "submitted_phone": "vouched" }), "submitted_phone"),
        (json!({ "oa_idd": "1" }), "oa_idd"),
    ] {
        let (app, account) = own(&value);
        assert_eq!(refused(OaSettings::read(&app, &account)), key, "{value}");
    }
    for (value, key) in [
        (json!({ "refresh_token": "r" }), "app_secret"),
        (json!({ "app_secret": "s" }), "app_id"),
        (json!({ "app_secret": "", "app_id": "1" }), "app_secret"),
        (json!({ "app_secret": "a b", "app_id": "1" }), "app_secret"),
        (
            json!({ "app_secret": "s", "app_id": "1", "refresh_token": "" }),
            "refresh_token",
        ),
        (json!({ "app_secret": "s", "app_id": "one" }), "app_id"),
        (
            json!({ "app_secret": "s", "app_id": "1", "redirect_url": "shop" }),
            "redirect_url",
        ),
        (
            json!({ "app_secret": "s", "app_id": "1", "code_challenge": "short" }),
            "code_challenge",
        ),
    ] {
        let (app, account) = own(&value);
        assert_eq!(refused(credentials(&app, &account)), key, "{value}");
    }
    for (value, key) in [
        (json!({ "app_id": "1" }), "oa_secret_key"),
        (json!({ "oa_secret_key": "k" }), "app_id"),
        (
            json!({ "oa_secret_key": "k", "app_id": "1", "max_age_s": 3600 }),
            "max_age_s",
        ),
        (json!({ "oa_secret_key": "k\n", "app_id": "1" }), "oa_secret_key"),
    ] {
        assert_eq!(refused(verifier(&app(value.clone(), false))), key, "{value}");
    }
}

#[test]
fn a_lone_account_needs_no_webhook() {
    assert!(verifier(&app(json!({ "app_id": "1" }), true)).is_ok_and(|verifier| verifier.is_none()));
}

#[test]
fn submitted_phones_link_nothing_unless_the_operator_says_so() {
    let read = |of_app: Value, own: Value| submitted_phone(&app(of_app, false), &account("app", own)).unwrap();
    let (stated, verified) = (
        json!({ "submitted_phone": "stated" }),
        json!({ "submitted_phone": "verified" }),
    );
    assert_eq!(read(json!({}), json!({})), SubmittedPhone::Stated);
    assert_eq!(read(json!({}), verified.clone()), SubmittedPhone::Verified);
    assert_eq!(read(verified.clone(), json!({})), SubmittedPhone::Verified);
    assert_eq!(read(verified, stated), SubmittedPhone::Stated);
}

#[test]
fn an_account_goes_before_its_app() {
    let app = app(
        json!({ "api_url": "https://one.example", "zns_url": "https://two.example/", "oa_id": "7" }),
        false,
    );
    let read = OaSettings::read(&app, &account("app", json!({ "api_url": "https://own.example" }))).unwrap();
    assert_eq!(read.api_url, "https://own.example");
    assert_eq!(read.zns_url, "https://two.example");
    assert_eq!(read.oauth_url, DEFAULT_OAUTH_URL);
    assert_eq!(read.oa_id.as_deref(), Some("7"));
    assert_eq!(
        (read.free_window, read.open_window),
        (Duration::from_hours(48), Duration::from_hours(168))
    );
}

#[test]
fn what_belongs_to_the_app_is_refused_in_an_account_and_the_other_way_round() {
    let of_account = account("app", json!({ "app_secret": "s" }));
    assert_eq!(
        refused(OaSettings::read(&app(json!({}), false), &of_account)),
        "app_secret"
    );
    let of_app = app(json!({ "refresh_token": "r" }), false);
    assert_eq!(
        refused(OaSettings::read(&of_app, &account("app", json!({})))),
        "refresh_token"
    );
}

#[test]
fn secrets_are_never_shown() {
    let value = json!({ "app_id": "1", "app_secret": "SECRET", "refresh_token": "TOKEN" });
    let (app, account) = own(&value);
    let shown = format!("{:?}", credentials(&app, &account).unwrap());
    assert!(!shown.contains("SECRET") && !shown.contains("TOKEN"), "{shown}");
    let wrong = json!({ "app_id": "1", "app_secret": ["SECRET"] });
    let (app, account) = own(&wrong);
    let problem = credentials(&app, &account).unwrap_err();
    assert!(!problem.to_string().contains("SECRET"), "{problem}");
}
