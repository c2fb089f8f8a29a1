use super::*;
use crate::texting::testing::{Hook, call, listener};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

struct World {
    esms: SmsHandle,
    hook: Hook,
}

async fn world() -> World {
    let hook = Hook::start(&[]).await;
    let options = EsmsOptions {
        brandnames: vec!["SHOPABC".into()],
        common: Options {
            speed: 100,
            webhook: Some(format!("{}?token=t", hook.url)),
            ..Options::default()
        },
        ..EsmsOptions::default()
    };
    World {
        esms: Esms::start(listener().await, options).unwrap(),
        hook,
    }
}

impl World {
    async fn send(&self, changes: Value) -> Value {
        let mut body = json!({
            "ApiKey": "sandbox-api-key", "SecretKey": "sandbox-secret-key", "Phone": "0912345678", "Content": "xin chao",
            "Brandname": "SHOPABC", "SmsType": "2", "IsUnicode": "0", "Sandbox": "0",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.post("SendMultipleMessage_V4_post_json/", &body).await
    }

    async fn post(&self, name: &str, body: &Value) -> Value {
        let url = format!("{}/{name}", self.esms.base_url());
        call("POST", &url, &[], &body.to_string()).await.unwrap().1
    }
}

#[tokio::test]
async fn a_message_is_accepted_and_told_of() {
    let world = world().await;
    let callback = format!("{}?token=t", world.hook.url);
    let answer = world.send(json!({"RequestId": "r-1", "CallbackUrl": callback})).await;
    assert_eq!(answer["CodeResult"], "100");
    let came = world.hook.until(2).await;
    let (first, last) = (came[0].parameters(), came[1].parameters());
    assert_eq!((first["SendStatus"].as_str(), last["SendStatus"].as_str()), ("7", "5"));
    assert_eq!((last["SendSuccess"].as_str(), last["RequestId"].as_str()), ("1", "r-1"));
    assert_eq!((last["telcoid"].as_str(), last["token"].as_str()), ("3", "t"));
    assert_eq!(last["SMSID"], answer["SMSID"].as_str().unwrap());
    assert_eq!(came[0].method, "GET");
    let id = answer["SMSID"].as_str().unwrap();
    let keys = "ApiKey=sandbox-api-key&SecretKey=sandbox-secret-key";
    let status = |id: &str| format!("{}/GetSendStatus?RefId={id}&{keys}", world.esms.base_url());
    assert_eq!(call("GET", &status(id), &[], "").await.unwrap().1["SendSuccess"], "1");
    assert_eq!(
        call("GET", &status("x"), &[], "").await.unwrap().1["CodeResponse"],
        "105"
    );
}

#[tokio::test]
async fn a_repeated_key_is_refused_and_counted() {
    let world = world().await;
    assert_eq!(world.send(json!({"RequestId": "r-1"})).await["CodeResult"], "100");
    assert_eq!(world.send(json!({"RequestId": "r-1"})).await["CodeResult"], "124");
    assert_eq!(world.send(json!({"RequestId": "r-2"})).await["CodeResult"], "100");
    let counters = world.esms.counters();
    assert_eq!((counters.sent, counters.deduplicated, counters.repeated), (2, 1, 1));
    assert_eq!(world.esms.sent()[1].copies, 2);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_code() {
    let world = world().await;
    for (changes, code) in [
        (json!({"SecretKey": "x"}), "101"),
        (json!({"SmsType": "1"}), "118"),
        (json!({"SmsType": ""}), "300"),
        (json!({"Phone": "12"}), "108"),
        (json!({"Phone": "0912345678,0912345679"}), "108"),
        (json!({"Brandname": "NOBODY"}), "104"),
        (json!({"Content": ""}), "110"),
        (json!({"RequestId": "r".repeat(51)}), "110"),
    ] {
        assert_eq!(world.send(changes.clone()).await["CodeResult"], code, "{changes}");
    }
    world.esms.set_fate("84912345678", Fate::Refused { code: "146".into() });
    assert_eq!(world.send(json!({})).await["CodeResult"], "146");
    assert_eq!(world.esms.counters().sent, 0);
    let keys = json!({"ApiKey": "sandbox-api-key", "SecretKey": "sandbox-secret-key"});
    assert_eq!(world.post("GetBalance_json", &keys).await["Balance"], 1_000_000_000);
}

#[tokio::test]
async fn a_failure_is_told_with_its_detail_encoded_twice() {
    let world = world().await;
    world.esms.set_fate("0912345678", Fate::Failed { code: "-118".into() });
    world.send(json!({"CallbackUrl": world.hook.url})).await;
    let last = world.hook.until(2).await[1].parameters();
    assert_eq!((last["SendFailed"].as_str(), last["SendSuccess"].as_str()), ("1", "0"));
    let (detail, date) = last["error_info"].split_once("____").unwrap();
    let detail: Value = serde_json::from_str(&percent_decode_str(detail).decode_utf8().unwrap()).unwrap();
    assert_eq!((&detail["error"], date.len()), (&json!("-118"), 19));
}

#[tokio::test]
async fn advertising_goes_to_lists_only() {
    let world = world().await;
    let list = |count: u32| {
        let phones: Vec<String> = (0..count).map(|number| format!("09123{number:05}")).collect();
        json!({"ApiKey": "sandbox-api-key", "SecretKey": "sandbox-secret-key", "Phones": phones, "Content": "a",
               "Brandname": "SHOPABC", "SmsType": "1"})
    };
    for (count, code) in [(29, "107"), (30, "100"), (5001, "120")] {
        assert_eq!(
            world.post("SendMultipleSMSBrandname_json/", &list(count)).await["CodeResult"],
            code,
            "{count}"
        );
    }
    assert_eq!(world.esms.counters().sent, 30);
}

#[tokio::test]
async fn what_people_write_is_signed() {
    let world = world().await;
    let id = world.esms.text("0912345678", "8041", "TC & hủy");
    let came = world.hook.until(1).await[0].parameters();
    let signed = format!("77{id}TC & hủy{}sandbox-private-key", came["receiverTime"]);
    assert_eq!(came["sign"], STANDARD.encode(Md5::digest(signed.as_bytes())));
    assert_eq!((came["sender"].as_str(), came["token"].as_str()), ("84912345678", "t"));
    assert_eq!(came["receiverTime"].len(), 14);
}
