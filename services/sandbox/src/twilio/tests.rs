use super::*;
use crate::texting::testing::{Hook, call, listener};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    twilio: SmsHandle,
    hook: Hook,
}

async fn world(answers: &[u16]) -> World {
    let hook = Hook::start(answers).await;
    let common = Options {
        speed: 100,
        webhook: Some(hook.url.clone()),
        ..Options::default()
    };
    let options = TwilioOptions {
        common,
        ..TwilioOptions::default()
    };
    World {
        twilio: Twilio::start(listener().await, options).unwrap(),
        hook,
    }
}

fn authorization(password: &str) -> String {
    let account = TwilioOptions::default().account_sid;
    format!("Basic {}", STANDARD.encode(format!("{account}:{password}")))
}

impl World {
    async fn send(&self, fields: &[(&str, &str)]) -> Result<(u16, Value), String> {
        let url = format!(
            "{}/2010-04-01/Accounts/{}/Messages.json",
            self.twilio.base_url(),
            TwilioOptions::default().account_sid
        );
        let usual = [("To", "+84912345678"), ("From", "+14155550100"), ("Body", "xin chào")];
        let body = crate::texting::query(
            usual
                .into_iter()
                .filter(|(name, _)| !fields.iter().any(|(own, _)| own == name))
                .chain(fields.iter().copied())
                .filter(|(_, value)| *value != "-"),
        );
        let authorization = authorization("sandbox-auth-token");
        call("POST", &url, &[("authorization", &authorization)], &body).await
    }
}

#[tokio::test]
async fn a_message_is_accepted_and_told_of_in_signed_callbacks() {
    let world = world(&[]).await;
    let callback = format!("{}?send_key=K#rc=5&rp=all", world.hook.url);
    let (status, body) = world.send(&[("StatusCallback", &callback)]).await.unwrap();
    assert_eq!((status, body["status"].as_str()), (201, Some("queued")));
    let came = world.hook.until(2).await;
    let told: Vec<String> = came
        .iter()
        .map(|came| came.parameters()["MessageStatus"].clone())
        .collect();
    assert_eq!(told, ["sent", "delivered"]);
    assert!(came[0].path_and_query.ends_with("?send_key=K"), "without the fragment");
    assert_eq!(came[0].parameters()["MessageSid"], body["sid"].as_str().unwrap());
    let url = format!("{}?send_key=K", world.hook.url);
    let form: Vec<(String, String)> = url::form_urlencoded::parse(came[0].body.as_bytes())
        .into_owned()
        .collect();
    let form: Vec<(&str, String)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let expected = sign::signature("sandbox-auth-token", &url, &form);
    assert_eq!(came[0].headers["x-twilio-signature"], expected.as_str());
    let sent = world.twilio.sent();
    assert_eq!((sent[0].to.as_str(), sent[0].copies), ("84912345678", 1));
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_code() {
    let world = world(&[]).await;
    let long = "a".repeat(1601);
    for (fields, code) in [
        (vec![("To", "-")], 21604),
        (vec![("To", "nobody")], 21211),
        (vec![("From", "-")], 21603),
        (vec![("Body", "-")], 21602),
        (vec![("Body", long.as_str())], 21617),
        (vec![("StatusCallback", "gopher://x")], 21609),
        (vec![("ValidityPeriod", "0")], 21621),
    ] {
        let (status, body) = world.send(&fields).await.unwrap();
        assert_eq!((status, body["code"].as_i64()), (400, Some(code)), "{fields:?}");
    }
    let url = format!("{}/2010-04-01/Accounts/AC1/Messages.json", world.twilio.base_url());
    let (status, body) = call("POST", &url, &[], "").await.unwrap();
    assert_eq!((status, &body["code"]), (401, &json!(20003)));
    let (status, _) = call(
        "POST",
        &url,
        &[("authorization", &authorization("sandbox-auth-token"))],
        "",
    )
    .await
    .unwrap();
    assert_eq!(status, 404);
    assert_eq!(world.twilio.counters().sent, 0);
    assert_eq!(world.twilio.counters().refused, 9);
}

#[tokio::test]
async fn who_writes_stop_gets_nothing_until_start() {
    let world = world(&[]).await;
    let id = world.twilio.text("0912345678", "+14155550100", " stop ");
    let came = world.hook.until(1).await;
    let parameters = came[0].parameters();
    assert_eq!(
        (parameters["OptOutType"].as_str(), parameters["From"].as_str()),
        ("STOP", "+84912345678")
    );
    assert_eq!(parameters["MessageSid"], id);
    let (_, body) = world.send(&[]).await.unwrap();
    assert_eq!(body["code"], 21610);
    let _start = world.twilio.text("0912345678", "+14155550100", "START");
    assert_eq!(world.send(&[]).await.unwrap().0, 201);
}

#[tokio::test]
async fn fates_and_faults_strike() {
    let world = world(&[]).await;
    world
        .twilio
        .set_fate("+84912345678", Fate::Failed { code: "30003".into() });
    let callback = world.hook.url.clone();
    world.send(&[("StatusCallback", &callback)]).await.unwrap();
    let told = world.hook.until(2).await[1].parameters();
    assert_eq!(
        (told["MessageStatus"].as_str(), told["ErrorCode"].as_str()),
        ("undelivered", "30003")
    );
    world
        .twilio
        .set_fate("+84912345678", Fate::Refused { code: "21614".into() });
    assert_eq!(world.send(&[]).await.unwrap().1["code"], 21614);
    world.twilio.set_fate("+84912345678", Fate::Silent);
    for (fault, status) in [
        (Fault::TooManyRequests, 429),
        (Fault::InternalError, 500),
        (Fault::BadGateway, 502),
        (
            Fault::Refused {
                code: "21606".into(),
                text: String::new(),
            },
            400,
        ),
        (Fault::Garbled, 201),
    ] {
        world.twilio.fault(FaultRule {
            fault,
            times: 1,
            after: 0,
        });
        assert_eq!(world.send(&[]).await.unwrap().0, status);
    }
    let sent = world.twilio.counters().sent;
    world.twilio.fault(FaultRule {
        fault: Fault::ResetBefore,
        times: 1,
        after: 0,
    });
    assert!(world.send(&[]).await.is_err());
    assert_eq!(world.twilio.counters().sent, sent);
    world.twilio.fault(FaultRule {
        fault: Fault::ResetAfter,
        times: 1,
        after: 0,
    });
    assert!(world.send(&[]).await.is_err());
    assert_eq!(world.twilio.counters().sent, sent + 1);
    assert!(world.twilio.counters().repeated >= 2, "what was sent twice is counted");
}

#[tokio::test]
async fn callbacks_are_made_again_as_the_address_asks() {
    let world = world(&[503, 503]).await;
    let url = world.hook.url.clone();
    world.twilio.set_webhook(Some(format!("{url}#rc=2&rp=all")));
    let _id = world.twilio.text("0912345678", "+14155550100", "a");
    assert_eq!(world.hook.until(3).await.len(), 3);
    world
        .twilio
        .wait_for(|twilio| twilio.counters().delivered == 1, PATIENCE)
        .await
        .unwrap();
    // By default a failure with an answer is not repeated.
    let world = self::world(&[503]).await;
    let _id = world.twilio.text("0912345678", "+14155550100", "a");
    world
        .twilio
        .wait_for(|twilio| twilio.counters().dropped == 1, PATIENCE)
        .await
        .unwrap();
    assert_eq!(world.twilio.redeliver(1).await, Ok(200));
}

#[tokio::test]
async fn calls_above_the_rate_are_refused() {
    let options = TwilioOptions {
        calls_per_second: 1,
        ..TwilioOptions::default()
    };
    let twilio = Twilio::start(listener().await, options).unwrap();
    let world = World {
        twilio,
        hook: Hook::start(&[]).await,
    };
    assert_eq!(world.send(&[]).await.unwrap().0, 201);
    let (status, body) = world.send(&[]).await.unwrap();
    assert_eq!((status, &body["code"]), (429, &json!(20429)));
    world.twilio.rate_limits(false);
    assert_eq!(world.send(&[]).await.unwrap().0, 201);
}

#[tokio::test]
async fn it_can_be_controlled_over_http() {
    let world = world(&[]).await;
    let control = |path: &str| format!("{}/control{path}", world.twilio.base_url());
    let json = [("content-type", "application/json")];
    let body = json!({"from": "8041", "to": "+14155550100", "text": "a", "media": [["http://x/a.jpg", "image/jpeg"]]});
    let (status, answer) = call("POST", &control("/messages"), &json, &body.to_string())
        .await
        .unwrap();
    assert!(status == 200 && answer["id"].as_str().unwrap().starts_with("MM"));
    assert_eq!(world.hook.until(1).await[0].parameters()["MediaUrl0"], "http://x/a.jpg");
    let wait = json!({"counter": "delivered", "at_least": 1});
    assert_eq!(
        call("POST", &control("/wait"), &json, &wait.to_string())
            .await
            .unwrap()
            .0,
        200
    );
    let forged = json!({"url": world.hook.url, "headers": {"x-twilio-signature": "x"}, "body": "From=a"});
    let (_, answer) = call("POST", &control("/forge"), &json, &forged.to_string())
        .await
        .unwrap();
    assert_eq!(answer["status"], 200);
    for path in ["/sent", "/journal", "/callbacks", "/counters"] {
        assert_eq!(call("GET", &control(path), &[], "").await.unwrap().0, 200, "{path}");
    }
    let unknown = json!({"counter": "nothing", "at_least": 1});
    assert_eq!(
        call("POST", &control("/wait"), &json, &unknown.to_string())
            .await
            .unwrap()
            .0,
        409
    );
    let fate = json!({"number": "0912345678", "fate": {"kind": "refused", "code": "21614"}});
    assert_eq!(
        call("POST", &control("/fates"), &json, &fate.to_string())
            .await
            .unwrap()
            .0,
        200
    );
    assert_eq!(world.send(&[]).await.unwrap().1["code"], 21614);
    assert_eq!(call("DELETE", &control("/journal"), &[], "").await.unwrap().0, 200);
    assert_eq!(world.twilio.counters().sent, 0);
}
