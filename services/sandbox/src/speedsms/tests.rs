use super::*;
use crate::texting::testing::{Hook, call, listener};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

struct World {
    speedsms: SmsHandle,
    hook: Hook,
}

async fn world() -> World {
    let hook = Hook::start(&[]).await;
    let options = SpeedsmsOptions {
        brandnames: vec!["SHOPABC".into()],
        common: Options {
            speed: 100,
            webhook: Some(format!("{}?token=t", hook.url)),
            ..Options::default()
        },
        ..SpeedsmsOptions::default()
    };
    World {
        speedsms: Speedsms::start(listener().await, options).unwrap(),
        hook,
    }
}

impl World {
    async fn call(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.speedsms.base_url());
        let authorization = format!("Basic {}", STANDARD.encode(format!("{token}:x")));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(method, &url, &[("authorization", &authorization)], &body)
            .await
            .unwrap()
    }

    async fn send(&self, body: Value) -> Value {
        self.call("POST", "/sms/send", "sandbox-access-token", &body).await.1
    }
}

fn message() -> Value {
    json!({"to": ["84912345678"], "content": "xin chào", "sms_type": 2, "sender": ""})
}

#[tokio::test]
async fn a_message_is_accepted_and_reported() {
    let world = world().await;
    let answer = world.send(message()).await;
    assert_eq!((&answer["status"], &answer["code"]), (&json!("success"), &json!("00")));
    let came = world.hook.until(1).await;
    let report: Value = serde_json::from_str(&came[0].body).unwrap();
    assert_eq!(
        (&report["tranId"], &report["status"]),
        (&answer["data"]["tranId"], &json!(0))
    );
    assert!(came[0].path_and_query.ends_with("?token=t"));
    let path = format!("/sms/status/{}", answer["data"]["tranId"]);
    let (_, status) = world.call("GET", &path, "sandbox-access-token", &Value::Null).await;
    assert_eq!(status["data"][0]["status"], 0);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_code() {
    let world = world().await;
    for (name, value, code) in [
        ("to", json!([]), "101"),
        ("to", json!(vec!["84912345678"; 101]), "101"),
        ("to", json!(["x"]), "105"),
        ("content", json!(""), "101"),
        ("content", json!("ạ".repeat(1000)), "113"),
        ("sms_type", json!(9), "101"),
        ("sms_type", json!(3), "101"),
    ] {
        let mut body = message();
        body[name] = value.clone();
        assert_eq!(world.send(body).await["code"], code, "{name} {value}");
    }
    let (status, body) = world.call("POST", "/sms/send", "wrong", &message()).await;
    assert_eq!((status, &body["name"]), (401, &json!("Unauthorized")));
    let some = json!({"to": ["84912345678", "x"], "content": "a", "sms_type": 3, "sender": "SHOPABC"});
    assert_eq!(world.send(some).await["data"]["invalidPhone"], json!(["x"]));
}

#[tokio::test]
async fn sixty_calls_a_minute_are_taken() {
    let world = world().await;
    for _ in 0..60 {
        assert_eq!(world.send(message()).await["status"], "success");
    }
    let (status, body) = world
        .call("POST", "/sms/send", "sandbox-access-token", &message())
        .await;
    assert_eq!((status, &body["status"]), (429, &json!(429)));
    let counters = world.speedsms.counters();
    assert_eq!((counters.sent, counters.repeated, counters.throttled), (60, 59, 1));
}

#[tokio::test]
async fn failures_and_messages_are_posted() {
    let world = world().await;
    world
        .speedsms
        .set_fate("0912345678", Fate::Failed { code: "65".into() });
    world.send(message()).await;
    let _id = world.speedsms.text("+84912345679", "", "TC");
    let came = world.hook.until(2).await;
    let bodies: Vec<Value> = came
        .iter()
        .map(|came| serde_json::from_str(&came.body).unwrap())
        .collect();
    assert!(
        bodies
            .iter()
            .any(|body| body["type"] == "report" && body["status"] == 65)
    );
    assert!(bodies.contains(&json!({"type": "incoming", "phone": "84912345679", "content": "TC"})));
}
