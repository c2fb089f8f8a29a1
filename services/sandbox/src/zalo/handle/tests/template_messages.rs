//! The ZNS API.

use super::*;
use crate::zalo::{
    Action, AppOptions, ConsoleAction, OaOptions, Template, TemplateStatus, TemplateTag, Way, ZnsRefusal,
};

const PHONE: &str = "84912000111";
/// `printf %s 84912000111 | sha256sum`
const HASH: &str = "6f57b9505ee468d2e256379b19308ddc60dfcf9341382763c385a4accff02cc0";

fn order(changes: Value) -> Value {
    let mut body = json!({
        "phone": PHONE, "template_id": "300001", "tracking_id": "dh-1",
        "template_data": {"order_code": "DH-1", "customer_name": "Lê An"},
    });
    body.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    body
}

async fn code(zalo: &ZaloHandle, changes: Value) -> i64 {
    error(&post(zalo, ZNS, order(changes)).await)
}

async fn with_oa(oa: OaOptions) -> ZaloHandle {
    let app = AppOptions {
        oas: vec![oa],
        ..AppOptions::default()
    };
    start(Options {
        apps: vec![app],
        access_token_life: Duration::from_hours(10_000),
        ..quick_options()
    })
    .await
}

#[tokio::test]
async fn a_template_goes_to_a_phone_and_its_quota_is_said_in_strings() {
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    let answer = post(&zalo, ZNS, order(json!({}))).await;
    let id = answer["data"]["msg_id"].as_str().unwrap().to_owned();
    assert_eq!(
        answer["data"],
        json!({
            "msg_id": id, "sent_time": (MORNING.as_secs() * 1000).to_string(), "sending_mode": "1",
            "quota": {"dailyQuota": "5000", "remainingQuota": "4999"},
        })
    );
    let quota = get(&zalo, "/message/quota", json!({})).await;
    assert_eq!(quota["data"], json!({"dailyQuota": 5000, "remainingQuota": 4999}));
    assert_eq!(
        code(&zalo, json!({"phone": format!("+{PHONE}"), "tracking_id": "dh-2"})).await,
        0
    );
    let sent = zalo.sent();
    assert_eq!((sent[0].way, sent[0].tracking_id.as_deref()), (Way::Zns, Some("dh-1")));
    assert_eq!(zalo.counters().zns, 2);
    zalo.wait_for(|view| view.counters().sent == 2, SOON).await.unwrap();
}

#[tokio::test]
async fn what_is_sent_twice_is_seen_whatever_its_tracking_id() {
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    assert_eq!(code(&zalo, json!({})).await, 0);
    assert_eq!(
        code(&zalo, json!({"tracking_id": "another"})).await,
        0,
        "Zalo deduplicates nothing"
    );
    assert_eq!((zalo.counters().repeated, zalo.sent()[1].copies), (1, 2));
}

#[tokio::test]
async fn every_field_is_checked() {
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    for (changes, expected) in [
        (json!({"phone": "0912000111"}), -108),
        (json!({"phone": "84912"}), -108),
        (json!({"phone": "849120001112345"}), -108),
        (json!({"phone": null}), -108),
        (json!({"phone": "84x12000111"}), -108),
        (json!({"phone": "84999999999"}), -118),
        (json!({"template_id": 300_001}), 0),
        (json!({"template_id": "1"}), -109),
        (json!({"template_id": null}), -109),
        (json!({"template_id": "300004"}), -131),
        (json!({"template_data": {}}), -111),
        (json!({"template_data": null}), -111),
        (json!({"template_data": {"order_code": "a"}}), -1122),
        (
            json!({"template_data": {"order_code": "a", "customer_name": "a".repeat(31)}}),
            -1121,
        ),
        (
            json!({"template_data": {"order_code": "a", "customer_name": {}}}),
            -1124,
        ),
        (json!({"tracking_id": null}), -132),
        (json!({"tracking_id": "a".repeat(48)}), 0),
        (json!({"tracking_id": "a".repeat(49)}), -132),
        (json!({"tracking_id": "đơn"}), -132),
        (json!({"tracking_id": "a b"}), -132),
        (json!({"sending_mode": 1}), 0),
        (json!({"sending_mode": "2"}), -161),
        (json!({"sending_mode": "3"}), -161),
        (json!({"mode": "production"}), -132),
        (json!({"mode": "development"}), -127),
    ] {
        assert_eq!(code(&zalo, changes.clone()).await, expected, "{changes}");
    }
    assert_eq!(error(&post(&zalo, ZNS, Value::Null).await), -121);
    assert_eq!(error(&post(&zalo, ZNS, json!([])).await), -122);
}

#[tokio::test]
async fn a_hash_reaches_the_same_phone() {
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    let path = "/message/template/hashphone";
    assert_eq!(error(&post(&zalo, path, order(json!({"hash_phone": HASH}))).await), 0);
    assert_eq!(
        error(&post(&zalo, path, order(json!({"hash_phone": HASH.to_uppercase()}))).await),
        -108
    );
    assert_eq!(
        error(&post(&zalo, path, order(json!({"hash_phone": "0".repeat(64)}))).await),
        -118
    );
    assert_eq!(error(&post(&zalo, path, order(json!({}))).await), -108);
    assert_eq!((zalo.sent()[0].way, zalo.sent()[0].to.as_str()), (Way::ZnsByHash, HASH));
}

#[tokio::test]
async fn who_refuses_is_said_by_the_code() {
    let zalo = quick().await;
    let lan = zalo.subscriber(PHONE);
    for (why, expected) in [
        (ZnsRefusal::NotOnZalo, -118),
        (ZnsRefusal::OldVersion, -110),
        (ZnsRefusal::Inactive, -114),
        (ZnsRefusal::CannotReceive, -119),
        (ZnsRefusal::RefusesType, -139),
        (ZnsRefusal::NotEligible, -140),
        (ZnsRefusal::RefusesOa, -141),
    ] {
        lan.does(Action::RefuseZns { why: Some(why) }).unwrap();
        assert_eq!(code(&zalo, json!({})).await, expected);
    }
    lan.does(Action::RefuseZns { why: None }).unwrap();
    assert_eq!(code(&zalo, json!({})).await, 0);
    zalo.console(&ConsoleAction::Verify { on: false }).unwrap();
    assert_eq!(code(&zalo, json!({})).await, -135);
}

#[tokio::test]
async fn the_template_must_be_enabled_and_the_oas_own() {
    let own = OaOptions {
        templates: Vec::new(),
        ..OaOptions::default()
    };
    let other = OaOptions {
        oa_id: "3000000000000000002".to_owned(),
        access_token: None,
        ..OaOptions::default()
    };
    let app = AppOptions {
        oas: vec![own, other],
        ..AppOptions::default()
    };
    let zalo = start(Options {
        apps: vec![app],
        ..quick_options()
    })
    .await;
    assert_eq!(code(&zalo, json!({})).await, -117);
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    for (status, expected) in [
        (TemplateStatus::PendingReview, -131),
        (TemplateStatus::Reject, -131),
        (TemplateStatus::Disable, -146),
        (TemplateStatus::Delete, -109),
        (TemplateStatus::Enable, 0),
    ] {
        let change = ConsoleAction::TemplateStatus {
            template_id: "300001".to_owned(),
            status,
            reason: String::new(),
        };
        zalo.console(&change).unwrap();
        assert_eq!(code(&zalo, json!({})).await, expected, "{status:?}");
    }
}

#[tokio::test]
async fn quotas_end_with_the_day_in_gmt_7() {
    let mut templates = Template::samples();
    templates[0].daily_quota = Some(1);
    let oa = OaOptions {
        zns_daily_quota: 2,
        templates,
        ..OaOptions::default()
    };
    let zalo = with_oa(oa).await;
    let _lan = zalo.subscriber(PHONE);
    let otp = || json!({"template_id": "300002", "template_data": {"otp": "1234"}});
    assert_eq!(code(&zalo, json!({})).await, 0);
    assert_eq!(code(&zalo, json!({})).await, -147);
    assert_eq!(code(&zalo, otp()).await, 0);
    assert_eq!(code(&zalo, otp()).await, -144);
    zalo.advance(Duration::from_hours(14) - Duration::from_secs(1));
    assert_eq!(code(&zalo, otp()).await, -144, "23:59:59");
    zalo.advance(Duration::from_secs(1));
    assert_eq!(code(&zalo, otp()).await, 0);
}

#[tokio::test]
async fn more_than_the_quota_goes_by_mode_3_where_it_is_allowed() {
    let mut templates = Template::samples();
    templates[1].tag = TemplateTag::Promotion;
    let oa = OaOptions {
        zns_daily_quota: 0,
        zns_over_quota: true,
        templates,
        ..OaOptions::default()
    };
    let zalo = with_oa(oa).await;
    let _lan = zalo.subscriber(PHONE);
    let promotion = json!({"template_id": "300002", "template_data": {"otp": "1"}, "sending_mode": "3"});
    assert_eq!(code(&zalo, promotion).await, 0);
    assert_eq!(code(&zalo, json!({"sending_mode": "3"})).await, -162);
}

#[tokio::test]
async fn development_mode_reaches_admins_on_a_quota_of_its_own() {
    let oa = OaOptions {
        admin_phones: vec![PHONE.to_owned()],
        zns_daily_quota: 0,
        ..OaOptions::default()
    };
    let app = AppOptions {
        oas: vec![oa],
        ..AppOptions::default()
    };
    let zalo = start(Options {
        apps: vec![app],
        development_quota: 1,
        ..quick_options()
    })
    .await;
    let _lan = zalo.subscriber(PHONE);
    let _minh = zalo.subscriber("84912000222");
    let development = json!({"mode": "development"});
    assert_eq!(code(&zalo, development.clone()).await, 0);
    assert_eq!(code(&zalo, development).await, -126);
    assert_eq!(
        code(&zalo, json!({"mode": "development", "phone": "84912000222"})).await,
        -127
    );
}

#[tokio::test]
async fn the_night_is_blocked_where_switched_and_otp_may_be_spared() {
    let zalo = quick().await;
    let _lan = zalo.subscriber(PHONE);
    let otp = || json!({"template_id": "300002", "template_data": {"otp": "1234"}});
    zalo.advance(Duration::from_hours(12));
    assert_eq!(code(&zalo, json!({})).await, 0, "22:00, but nothing is switched");
    zalo.switch(|switches| switches.zns_night_block = true);
    assert_eq!(code(&zalo, json!({})).await, -133);
    assert_eq!(code(&zalo, otp()).await, 0);
    zalo.switch(|switches| switches.zns_night_spares_otp = false);
    assert_eq!(code(&zalo, otp()).await, -133);
    zalo.advance(Duration::from_hours(8));
    assert_eq!(code(&zalo, json!({})).await, 0, "06:00");
}

#[tokio::test]
async fn the_status_is_asked_for_by_the_messages_id() {
    let zalo = start(Options {
        speed: 1,
        ..quick_options()
    })
    .await;
    let lan = zalo.subscriber(PHONE);
    zalo.switch(|switches| switches.received_after_ms = Some(60_000));
    let sent = post(&zalo, ZNS, order(json!({}))).await;
    let id = sent["data"]["msg_id"].as_str().unwrap().to_owned();
    let status = |id: String| {
        let zalo = &zalo;
        async move { called(zalo, "GET", &format!("/message/status?message_id={id}"), Value::Null).await }
    };
    assert_eq!(status(id.clone()).await["data"]["status"], 0);
    zalo.advance(Duration::from_secs(60));
    let delivered = status(id).await;
    assert_eq!(
        (&delivered["data"]["status"], &delivered["data"]["delivery_time"]),
        (&json!(1), &json!("05/01/2026 10:01:00"))
    );
    assert_eq!(status("abcdef".to_owned()).await["data"]["status"], -1);
    assert_eq!(error(&status(String::new()).await), -107);
    zalo.switch(|switches| switches.received_after_ms = None);
    let never = post(&zalo, ZNS, order(json!({}))).await["data"]["msg_id"]
        .as_str()
        .unwrap()
        .to_owned();
    zalo.advance(Duration::from_secs(60));
    assert_eq!(status(never.clone()).await["data"]["status"], 0);
    lan.does(Action::ReceiveZns { msg_id: never.clone() }).unwrap();
    assert_eq!(status(never).await["data"]["status"], 1);
}

#[tokio::test]
async fn templates_are_listed_and_shown() {
    let zalo = quick().await;
    let list = |query: &'static str| {
        let zalo = &zalo;
        async move { called(zalo, "GET", &format!("/template/all?{query}"), Value::Null).await }
    };
    let all = list("offset=0&limit=2").await;
    assert_eq!(
        (all["data"].as_array().unwrap().len(), &all["metadata"]["total"]),
        (2, &json!(4))
    );
    assert_eq!(list("offset=0&limit=100&status=2").await["metadata"]["total"], 1);
    for wrong in ["limit=101", "limit=0", "status=5", "offset=x"] {
        assert_eq!(error(&list(wrong).await), -132, "{wrong}");
    }
    let info = called(&zalo, "GET", "/template/info/v2?template_id=300001", Value::Null).await;
    let data = &info["data"];
    assert_eq!(
        (&data["templateId"], &data["status"], &data["templateTag"]),
        (&json!(300_001), &json!("ENABLE"), &json!("TRANSACTION"))
    );
    assert_eq!(
        (&data["listParams"][0]["name"], &data["listParams"][0]["maxLength"]),
        (&json!("customer_name"), &json!(30))
    );
    let sample = called(&zalo, "GET", "/template/sample-data?template_id=300002", Value::Null).await;
    assert_eq!(sample["data"], json!({"otp": "123456"}));
    assert_eq!(
        error(&called(&zalo, "GET", "/template/info/v2?template_id=5", Value::Null).await),
        -109
    );
}

#[tokio::test]
async fn templates_are_proposed_and_edited_once_rejected() {
    let zalo = quick().await;
    let proposal = json!({
        "template_name": "Mới", "template_type": 1, "tag": "2", "params": [{"name": "a", "type": "name"}],
    });
    let created = post(&zalo, "/template/create", proposal.clone()).await;
    assert_eq!(
        created["data"],
        json!({"template_id": "300005", "template_status": "PENDING_REVIEW"})
    );
    let mut edit = proposal;
    edit["template_id"] = json!("300005");
    assert_eq!(error(&post(&zalo, "/template/edit", edit.clone()).await), -1091);
    let reject = ConsoleAction::TemplateStatus {
        template_id: "300005".to_owned(),
        status: TemplateStatus::Reject,
        reason: "sai".to_owned(),
    };
    zalo.console(&reject).unwrap();
    assert_eq!(error(&post(&zalo, "/template/edit", edit).await), 0);
    for wrong in [
        json!({}),
        json!({"template_name": "a", "template_type": 9}),
        json!({"template_name": "a", "template_type": 1, "tag": 1, "params": 5}),
    ] {
        assert_eq!(error(&post(&zalo, "/template/create", wrong).await), -132);
    }
    assert_eq!(
        get(&zalo, "/message/template-tag", json!({})).await["data"],
        json!(["TRANSACTION"])
    );
    assert_eq!(
        get(&zalo, "/quality", json!({})).await["data"]["oaCurrentQuality"],
        "HIGH"
    );
}

#[tokio::test]
async fn ratings_can_be_fetched() {
    let zalo = quick().await;
    let lan = zalo.subscriber(PHONE);
    let sent = post(&zalo, ZNS, order(json!({"template_id": "300003"}))).await;
    let msg_id = sent["data"]["msg_id"].as_str().unwrap().to_owned();
    let rate = |rate| Action::Rate {
        msg_id: msg_id.clone(),
        rate,
        note: "tốt".to_owned(),
        feedbacks: vec!["Nhanh".to_owned()],
    };
    assert!(lan.does(rate(6)).is_err());
    lan.does(rate(5)).unwrap();
    let query = "/rating/get?template_id=300003&from_time=0&to_time=9999999999999&offset=0&limit=10";
    let ratings = called(&zalo, "GET", query, Value::Null).await;
    assert_eq!(
        (&ratings["data"]["total"], &ratings["data"]["data"][0]["rate"]),
        (&json!(1), &json!(5))
    );
    let body = json!({"template_id": "300003", "from_time": 0, "to_time": 1});
    assert_eq!(post(&zalo, "/response/get", body).await["data"], json!([]));
    assert_eq!(
        error(&called(&zalo, "GET", "/rating/get?template_id=1", Value::Null).await),
        -109
    );
}

#[tokio::test]
async fn images_for_templates_are_small() {
    let zalo = quick().await;
    let upload = |name: &'static str, size: usize| {
        let zalo = &zalo;
        async move { uploads(zalo, "/upload/image", name, "image/png", &vec![b'x'; size]).await }
    };
    assert!(upload("a.png", 500 << 10).await["data"]["media_id"].is_string());
    assert_eq!(error(&upload("a.png", (500 << 10) + 1).await), -158);
    assert_eq!(error(&upload("a.gif", 1).await), -159);
    assert_eq!(error(&post(&zalo, "/upload/image", json!({})).await), -132);
}
