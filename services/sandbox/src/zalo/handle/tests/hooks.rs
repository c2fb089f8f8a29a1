//! Registration, signatures, retries, duplicates, order.

use super::*;
use crate::zalo::{EventServer, Options, Probe, SignatureTerm, WebhookToggles};
use sha2::{Digest as _, Sha256};

/// Worked out apart from the code under test: the digest of one string.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_console_tries_the_address_with_an_empty_unsigned_post() {
    for (probe, body) in [(Probe::Empty, ""), (Probe::EmptyObject, "{}")] {
        let zalo = start(Options {
            probe,
            ..quick_options()
        })
        .await;
        let (gateway, url) = Gateway::start([StatusCode::NO_CONTENT, StatusCode::FORBIDDEN]).await;
        for refused in ["answered 204", "answered 403"] {
            assert_eq!(
                zalo.set_webhook(&url).await,
                Err(ControlError::NoAnswer(refused.to_owned()))
            );
        }
        zalo.set_webhook(&url).await.unwrap();
        let seen = gateway.seen.lock().unwrap().clone();
        assert_eq!(seen[2].1, body);
        assert_eq!(seen[2].0["user-agent"], "ZaloWebhook");
        assert!(!seen[2].0.contains_key("x-zevent-signature"));
    }
    let zalo = quick().await;
    for wrong in ["https://127.0.0.1/", "x"] {
        assert!(matches!(
            zalo.set_webhook(wrong).await,
            Err(ControlError::Impossible(_))
        ));
    }
    assert!(matches!(
        zalo.set_webhook("http://127.0.0.1:1/").await,
        Err(ControlError::NoAnswer(_))
    ));
}

#[tokio::test]
async fn events_are_signed_over_their_very_bytes() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    let lan = zalo.person("Lan");
    lan.writes("http://shop.example/đơn?a=1&b=\"2\"").unwrap();
    delivered(&zalo, 1).await;
    let (headers, body, _) = gateway.seen.lock().unwrap()[0].clone();
    let parsed: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({
        "app_id": zalo.app_id(), "event_name": "user_send_text", "sender": {"id": lan.user_id()},
        "recipient": {"id": zalo.oa_id()}, "user_id_by_app": lan.user_id_by_app(),
        "message": {"msg_id": parsed["message"]["msg_id"], "text": "http://shop.example/đơn?a=1&b=\"2\""},
        "timestamp": (MORNING.as_secs() * 1000).to_string(),
    });
    assert_eq!(parsed, expected);
    assert_ne!(body, parsed.to_string(), "who writes it anew gets other bytes");
    let timestamp = parsed["timestamp"].as_str().unwrap();
    let mac = digest(&format!("{}{body}{timestamp}{}", zalo.app_id(), zalo.oa_secret_key()));
    assert_eq!(headers["x-zevent-signature"], format!("mac={mac}"));
    assert_eq!(headers["x-zevent-server"], "OA OpenAPI");
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("num_retry") && !headers.contains_key("x-zevent-timestamp"));
    zalo.switch(|switches| {
        switches.signature_term = SignatureTerm::OaId;
        switches.timestamp_header = true;
    });
    zalo.reset_oa_secret_key("another");
    lan.writes("a").unwrap();
    delivered(&zalo, 2).await;
    let (headers, body, _) = gateway.seen.lock().unwrap()[1].clone();
    let mac = digest(&format!("{}{body}{timestamp}another", zalo.oa_id()));
    assert_eq!(headers["x-zevent-signature"], format!("mac={mac}"));
    assert_eq!(headers["x-zevent-timestamp"], *timestamp);
}

#[tokio::test]
async fn only_200_will_do_and_retries_say_their_number() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    gateway.then([
        StatusCode::NO_CONTENT,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::OK,
    ]);
    zalo.person("Lan").writes("a").unwrap();
    delivered(&zalo, 1).await;
    let seen = gateway.seen.lock().unwrap().clone();
    let retries: Vec<_> = seen
        .iter()
        .map(|(headers, ..)| headers.get("num_retry").cloned())
        .collect();
    assert_eq!(retries, [None, Some("1".parse().unwrap()), Some("2".parse().unwrap())]);
    assert!(seen.iter().all(|(_, body, _)| *body == seen[0].1), "the same bytes");
    // 30 s and 5 min, a thousand times as fast.
    assert!(seen[1].2 - seen[0].2 >= Duration::from_millis(30));
    assert!(seen[2].2 - seen[1].2 >= Duration::from_millis(300));
    assert_eq!(zalo.counters().failed_deliveries, 2);
}

#[tokio::test]
async fn at_the_ladders_end_the_subscription_is_cancelled_until_enabled() {
    let zalo = start(Options {
        retry_ladder: vec![Duration::from_millis(5); 2],
        speed: 1,
        ..quick_options()
    })
    .await;
    let gateway = Gateway::registered(&zalo).await;
    gateway.then([StatusCode::BAD_GATEWAY; 3]);
    let lan = zalo.person("Lan");
    lan.writes("a").unwrap();
    zalo.wait_for(|view| view.counters().cancelled == 1, SOON)
        .await
        .unwrap();
    assert_eq!(gateway.bodies().len(), 3);
    assert_eq!(zalo.webhook_info()["last_error"], "answered 502");
    lan.writes("b").unwrap();
    assert_eq!(zalo.counters().unwanted, 1, "lost");
    assert_eq!(zalo.redeliver(1).await, Err(ControlError::NoWebhook));
    zalo.enable_webhook();
    lan.writes("c").unwrap();
    delivered(&zalo, 1).await;
    assert_eq!(gateway.texts().last().unwrap(), "c");
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_in_time_has_failed() {
    let zalo = start(Options {
        webhook_timeout: Duration::from_millis(20),
        ..quick_options()
    })
    .await;
    let _gateway = Gateway::registered(&zalo).await;
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    assert_eq!(
        zalo.set_webhook(&url).await,
        Err(ControlError::NoAnswer("no answer in time".to_owned()))
    );
    zalo.shared.lock().apps[0].webhook.change(Some(url));
    zalo.person("Lan").writes("a").unwrap();
    zalo.wait_for(|view| view.counters().failed_deliveries > 0, SOON)
        .await
        .unwrap();
    assert_eq!(zalo.webhook_info()["last_error"], "no answer in time");
}

#[tokio::test]
async fn first_attempts_of_one_person_come_in_order_and_a_retry_out_of_it() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    let lan = zalo.person("Lan");
    for number in 0..20 {
        lan.writes(&number.to_string()).unwrap();
    }
    delivered(&zalo, 20).await;
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(gateway.texts(), expected);
    gateway.then([StatusCode::INTERNAL_SERVER_ERROR]);
    lan.writes("a").unwrap();
    lan.writes("b").unwrap();
    delivered(&zalo, 22).await;
    assert_eq!(gateway.texts()[20..], ["a", "b", "a"]);
}

#[tokio::test]
async fn events_come_twice_or_backwards_on_demand() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    let lan = zalo.person("Lan");
    zalo.switch(|switches| switches.deliver_twice = true);
    lan.writes("a").unwrap();
    delivered(&zalo, 1).await;
    assert_eq!(gateway.texts(), ["a", "a"]);
    zalo.switch(|switches| {
        switches.deliver_twice = false;
        switches.reorder = 3;
    });
    for text in ["1", "2", "3", "4"] {
        lan.writes(text).unwrap();
    }
    delivered(&zalo, 4).await;
    assert_eq!(gateway.texts()[2..], ["3", "2", "1"]);
    zalo.release();
    delivered(&zalo, 5).await;
    lan.writes("5").unwrap();
    zalo.switch(|switches| switches.reorder = 0);
    delivered(&zalo, 6).await;
    let number = zalo.events()[0].number;
    assert_eq!(zalo.redeliver(number).await, Ok(200));
    assert_eq!(zalo.redeliver(999).await, Err(ControlError::UnknownEvent));
    let seen = gateway.seen.lock().unwrap().clone();
    assert_eq!(seen.last().unwrap().1, seen[0].1);
    assert_eq!(
        seen.last().unwrap().0["x-zevent-signature"],
        seen[0].0["x-zevent-signature"]
    );
}

#[tokio::test]
async fn strangers_can_try_the_door() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    let body = r#"{"event_name":"follow","timestamp":"5"}"#;
    assert_eq!(zalo.forge(Some("wrong"), body).await, Ok(200));
    assert_eq!(zalo.forge(None, body).await, Ok(200));
    let seen = gateway.seen.lock().unwrap().clone();
    let mac = digest(&format!("{}{body}5wrong", zalo.app_id()));
    assert_eq!(seen[0].0["x-zevent-signature"], format!("mac={mac}"));
    assert!(!seen[1].0.contains_key("x-zevent-signature"));
}

#[tokio::test]
async fn what_nobody_wants_is_not_made() {
    let zalo = quick().await;
    let lan = zalo.person("Lan");
    lan.writes("no webhook").unwrap();
    assert_eq!((zalo.counters().events, zalo.counters().unwanted), (0, 1));
    let gateway = Gateway::registered(&zalo).await;
    zalo.webhook_toggles(WebhookToggles {
        events: Some(["user_send_text".to_owned()].into()),
        commands_only: true,
        retry: false,
    });
    lan.does(Action::Follow).unwrap();
    lan.writes("thường").unwrap();
    lan.writes("#lệnh").unwrap();
    delivered(&zalo, 1).await;
    assert_eq!(gateway.texts(), ["#lệnh"]);
    gateway.then([StatusCode::INTERNAL_SERVER_ERROR]);
    lan.writes("#mất").unwrap();
    zalo.wait_for(|view| view.counters().dropped == 1, SOON).await.unwrap();
    assert_eq!(zalo.counters().cancelled, 0);
    zalo.webhook_toggles(WebhookToggles::default());
    zalo.revoke();
    lan.writes("a").unwrap();
    assert_eq!(zalo.counters().unwanted, 4, "the OA has granted nothing any more");
    assert_eq!(gateway.bodies().len(), 2);
}

#[tokio::test]
async fn another_webhook_does_not_get_what_the_one_before_had_in_hand() {
    let zalo = quick().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    zalo.shared.lock().apps[0].webhook.change(Some(url));
    let lan = zalo.person("Lan");
    lan.writes("a").unwrap();
    zalo.wait_for(|view| view.in_flight() == 1, SOON).await.unwrap();
    let gateway = Gateway::registered(&zalo).await;
    assert_eq!(zalo.counters().dropped, 1);
    drop(silent);
    for number in 0..20 {
        lan.writes("b").unwrap();
        delivered(&zalo, number + 1).await;
    }
    assert_eq!(gateway.texts()[0], "b");
    assert_eq!(
        zalo.counters().failed_deliveries,
        0,
        "the first one's failure is nobody's any more"
    );
    zalo.remove_webhook();
    assert_eq!(zalo.forge(None, "{}").await, Err(ControlError::NoWebhook));
}

#[tokio::test]
async fn any_event_can_be_made() {
    let zalo = quick().await;
    let gateway = Gateway::registered(&zalo).await;
    let body = json!({"data": {"token": "t"}, "oa_id": zalo.oa_id()});
    assert!(
        zalo.other_event("event_journey_time_out", EventServer::Zns, body)
            .is_some()
    );
    delivered(&zalo, 1).await;
    let (headers, ..) = gateway.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["x-zevent-server"], "ZNS");
    let body = &gateway.bodies()[0];
    assert_eq!(
        (&body["event_name"], body["app_id"].as_str()),
        (&json!("event_journey_time_out"), Some(zalo.app_id().as_str()))
    );
}
