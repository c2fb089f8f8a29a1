//! Tokens in headers, rates, faults, the journal, control.

use super::*;
use crate::zalo::{AppOptions, Fault, OaOptions};
use std::io;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn with_headers(zalo: &ZaloHandle, path: &str, headers: &[(&str, &str)]) -> Value {
    let url = format!("{}{path}", zalo.base_url());
    let (status, _, body) = http("GET", &url, headers, "").await.unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn the_token_is_in_its_own_header_and_nowhere_else() {
    let zalo = quick().await;
    let token = zalo.tokens().unwrap().0;
    let bearer = format!("Bearer {token}");
    let profile = "/v2.0/oa/getoa";
    let known = with_headers(&zalo, profile, &[("access_token", &token)]).await;
    assert_eq!(known["data"]["oa_id"], zalo.oa_id());
    for headers in [&[][..], &[("authorization", bearer.as_str())], &[("access_token", "x")]] {
        let refused = with_headers(&zalo, profile, headers).await;
        assert_eq!(refused, json!({"error": -216, "message": "Access token is invalid"}));
        let refused = with_headers(&zalo, "/message/quota", headers).await;
        assert_eq!(refused, json!({"error": -124, "message": "Access token invalid"}));
    }
}

#[tokio::test]
async fn a_proof_is_checked_where_it_is_given() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let zalo = quick().await;
    let token = zalo.tokens().unwrap().0;
    let mut keyed = Hmac::<sha2::Sha256>::new_from_slice(zalo.app_secret().as_bytes()).unwrap();
    keyed.update(token.as_bytes());
    let right = data_encoding::HEXLOWER.encode(&keyed.finalize().into_bytes());
    for (proof, oa, zns) in [(right.as_str(), 0, 0), ("00", -242, -1241), ("x", -242, -1241)] {
        let headers = [("access_token", token.as_str()), ("appsecret_proof", proof)];
        assert_eq!(error(&with_headers(&zalo, "/v2.0/oa/getoa", &headers).await), oa);
        assert_eq!(error(&with_headers(&zalo, "/message/quota", &headers).await), zns);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart_by_host() {
    let zalo = quick().await;
    assert_eq!(error(&get(&zalo, "/v3.0/oa/nothing", json!({})).await), -209);
    assert_eq!(error(&post(&zalo, "/v3.0/oa/message/promotion", json!({})).await), -209);
    assert_eq!(
        error(&called(&zalo, "GET", "/message/template", Value::Null).await),
        -106
    );
    let url = format!("{}/nowhere", zalo.base_url());
    assert_eq!(http("GET", &url, &[], "").await.unwrap().0, 404);
}

#[tokio::test]
async fn rates_are_counted_per_app_and_minute_and_said_in_headers() {
    let mut options = quick_options();
    options.switches.rate_per_minute = 2;
    let zalo = start(options).await;
    let token = zalo.tokens().unwrap().0;
    let url = format!("{}/v2.0/oa/getoa", zalo.base_url());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (_, headers, body) = http("GET", &url, &[("access_token", &token)], "").await.unwrap();
        assert_eq!(headers["x-ratelimit-limit"], "2");
        let body: Value = serde_json::from_slice(&body).unwrap();
        seen.push((headers["x-ratelimit-remain"].clone(), error(&body)));
    }
    assert_eq!(
        seen,
        [
            ("1".parse().unwrap(), 0),
            ("0".parse().unwrap(), 0),
            ("0".parse().unwrap(), -32)
        ]
    );
    assert_eq!(zalo.counters().throttled, 1);
    zalo.advance(Duration::from_secs(60));
    assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), 0);
}

#[tokio::test]
async fn tokens_are_bound_to_their_oa_and_people_have_another_id_at_each() {
    let second = OaOptions {
        oa_id: "3000000000000000002".to_owned(),
        access_token: Some("second".to_owned()),
        refresh_token: Some("second-refresh".to_owned()),
        ..OaOptions::default()
    };
    let app = AppOptions {
        oas: vec![OaOptions::default(), second],
        ..AppOptions::default()
    };
    let zalo = start(Options {
        apps: vec![app],
        ..quick_options()
    })
    .await;
    let other = zalo.for_oa("3000000000000000002").unwrap();
    assert!(zalo.for_oa("3").is_none());
    let lan = zalo.person("Lan");
    let at_other = other.meet(&lan);
    assert_ne!(lan.user_id(), at_other.user_id());
    assert_eq!(lan.user_id_by_app(), at_other.user_id_by_app());
    assert_eq!(says_hi(&other, &lan.user_id()).await, -201, "another OA's id of her");
    assert_eq!(says_hi(&other, &at_other.user_id()).await, -201, "they never met");
    at_other.writes("a").unwrap();
    assert_eq!(says_hi(&other, &at_other.user_id()).await, 0);
    assert_eq!(zalo.sent()[0].oa_id, "3000000000000000002");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let none = Options {
        apps: Vec::new(),
        ..Options::default()
    };
    assert!(Zalo::start(bind().await.unwrap(), none).is_err());
    let twice = Options {
        apps: vec![AppOptions::default(), AppOptions::default()],
        ..Options::default()
    };
    assert!(Zalo::start(bind().await.unwrap(), twice).is_err());
}

#[tokio::test]
async fn faults_strike_as_often_as_asked_and_only_their_endpoint() {
    let zalo = quick().await;
    let user_id = zalo.person("Lan").user_id();
    let refused = |code, message: Option<&str>| Fault::Refused {
        code,
        message: message.map(str::to_owned),
    };
    zalo.fault(FaultRule {
        times: 2,
        after: 1,
        ..FaultRule::once(CS, refused(-32, Some("Your OA reached limit call api")))
    });
    zalo.fault(FaultRule::once(CS, refused(-200, None)));
    let mut codes = Vec::new();
    for _ in 0..5 {
        assert_eq!(error(&get(&zalo, "/v2.0/oa/getoa", json!({})).await), 0);
        codes.push(says_hi(&zalo, &user_id).await);
    }
    // The first call passes by the first rule and meets the next one.
    assert_eq!(codes, [-200, -32, -32, 0, 0]);
    let throttled = zalo.journal().into_iter().find(|entry| entry.error == -32).unwrap();
    assert_eq!(throttled.message.as_deref(), Some("Your OA reached limit call api"));
    assert_eq!(throttled.params["message"]["text"], "chào");
    zalo.fault(FaultRule {
        oa: Some("3".to_owned()),
        ..FaultRule::once(CS, refused(-200, None))
    });
    assert_eq!(says_hi(&zalo, &user_id).await, 0, "another OA's fault");
    zalo.clear_faults();
    for (fault, status) in [
        (Fault::BadGateway, 502),
        (
            Fault::Status {
                code: 503,
                body: "later".to_owned(),
            },
            503,
        ),
    ] {
        zalo.fault(FaultRule::once("/v2.0/oa/getoa", fault));
        let url = format!("{}/v2.0/oa/getoa", zalo.base_url());
        assert_eq!(http("GET", &url, &[], "").await.unwrap().0.as_u16(), status);
    }
}

#[tokio::test]
async fn silence_and_resets_before_and_after_the_effect() {
    let zalo = start(Options {
        silence: Duration::from_millis(50),
        ..quick_options()
    })
    .await;
    let lan = zalo.person("Lan");
    let url = format!("{}{CS}", zalo.base_url());
    let token = zalo.tokens().unwrap().0;
    let headers = [("access_token", token.as_str())];
    let body = json!({"recipient": {"user_id": lan.user_id()}, "message": {"text": "a"}}).to_string();
    for (fault, effects) in [
        (Fault::SilenceBefore, 0),
        (Fault::ResetBefore, 0),
        (Fault::SilenceAfter, 1),
        (Fault::ResetAfter, 2),
    ] {
        zalo.fault(FaultRule::once(CS, fault.clone()));
        let failed = http("POST", &url, &headers, body.clone()).await.unwrap_err();
        assert!(!failed.contains("Connect)"), "{failed}");
        assert_eq!(zalo.counters().sent, effects, "{fault:?}");
    }
    zalo.fault(FaultRule::once(CS, Fault::Garbled));
    let (status, _, half) = http("POST", &url, &headers, body.clone()).await.unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_slice::<Value>(&half).is_err());
    zalo.fault(FaultRule::once(CS, Fault::Slow { milliseconds: 20 }));
    let before = Instant::now();
    assert_eq!(http("POST", &url, &headers, body).await.unwrap().0, 200);
    assert!(before.elapsed() >= Duration::from_millis(20));
    assert_eq!((zalo.counters().sent, zalo.counters().repeated), (4, 3));
    assert_eq!(zalo.sent().last().unwrap().copies, 4);
    assert_eq!(zalo.journal().iter().filter(|entry| entry.status == 0).count(), 4);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let zalo = quick().await;
    zalo.fault(FaultRule::once("/message/quota", Fault::ResetBefore));
    let mut stream = TcpStream::connect(zalo.address()).await.unwrap();
    stream
        .write_all(b"GET /message/quota HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let failed = stream.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_journal_shows_no_tokens() {
    let zalo = quick().await;
    let url = format!("{}/v4/oa/access_token", zalo.base_url());
    let form = "app_id=1&grant_type=refresh_token&refresh_token=very-secret&code=also";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("secret_key", "hidden"),
    ];
    http("POST", &url, &headers, form).await.unwrap();
    let shown = serde_json::to_string(&zalo.journal()).unwrap();
    assert!(shown.contains("refresh_token"), "{shown}");
    for secret in ["very-secret", "also", "hidden"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn everything_can_be_controlled_over_http() {
    let zalo = quick().await;
    let (gateway, url) = Gateway::start([]).await;
    let (status, info) = control(&zalo, "POST", "/webhook", json!({"url": url})).await;
    assert_eq!((status, &info["url"]), (200, &json!(url)));
    gateway.seen.lock().unwrap().clear();
    let (_, person) = control(&zalo, "POST", "/people", json!({"name": "Hà", "phone": "84912000111"})).await;
    let act = json!({"person": person["id"], "do": "text", "text": "chào"});
    let (_, done) = control(&zalo, "POST", "/act", act).await;
    assert_eq!(done["events"].as_array().unwrap().len(), 1);
    let burst = json!({"people": [person["id"]], "count": 5, "text": "tin"});
    assert_eq!(control(&zalo, "POST", "/burst", burst).await.1, json!({"events": 5}));
    let wait = json!({"counter": "delivered", "at_least": 6});
    assert_eq!(control(&zalo, "POST", "/wait", wait).await.1["delivered"], 6);
    assert_eq!(gateway.texts(), ["chào", "tin 0", "tin 1", "tin 2", "tin 3", "tin 4"]);
    let never = json!({"counter": "delivered", "at_least": 7, "deadline_ms": 1});
    assert_eq!(control(&zalo, "POST", "/wait", never).await.0, 408);
    let fault = json!({"endpoint": CS, "fault": {"kind": "refused", "code": -248}});
    assert_eq!(control(&zalo, "POST", "/faults", fault).await.0, 200);
    let user_id = person["user_id"].as_str().unwrap();
    assert_eq!(says_hi(&zalo, user_id).await, -248);
    let (_, settings) = control(&zalo, "POST", "/settings", json!({"zns_night_block": true})).await;
    assert_eq!(
        (&settings["zns_night_block"], &settings["echoes"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(control(&zalo, "POST", "/settings", json!({"nothing": 1})).await.0, 422);
    let unknown = json!({"person": 99, "do": "follow"});
    assert_eq!(
        control(&zalo, "POST", "/act", unknown).await,
        (404, json!({"error": "unknown person"}))
    );
    assert_eq!(control(&zalo, "GET", "/counters?oa=5", json!({})).await.0, 404);
    let (_, oas) = control(&zalo, "GET", "/oas", json!({})).await;
    assert_eq!(oas["oas"][0]["access_token"], zalo.tokens().unwrap().0);
    let day = json!({"seconds": 86_400});
    let (_, now) = control(&zalo, "POST", "/advance", day).await;
    assert_eq!(now["unix_ms"], (MORNING.as_secs() + 86_400) * 1_000);
    for path in ["/expire", "/revoke", "/release"] {
        assert_eq!(control(&zalo, "POST", path, json!({})).await.0, 200);
    }
    assert_eq!(says_hi(&zalo, user_id).await, -220);
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_server() {
    let zalo = quick().await;
    let address = zalo.address();
    let person = zalo.person("Lan");
    drop(zalo);
    TcpStream::connect(address).await.unwrap();
    drop(person);
    let deadline = Instant::now() + SOON;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "still listening");
        tokio::task::yield_now().await;
    }
}
