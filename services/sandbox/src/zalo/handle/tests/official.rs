//! The OA API.

use super::*;
use crate::zalo::{Action, AppOptions, ConsoleAction, FreeMessages, OaOptions, QuotaNumbers, Unreachable};

#[tokio::test]
async fn a_text_is_answered_in_the_envelope_and_counted() {
    let zalo = quick().await;
    let lan = zalo.person("Lan");
    let answer = says(&zalo, &lan.user_id(), json!({"text": "xin chào"})).await;
    let id = answer["data"]["message_id"].as_str().unwrap();
    assert_eq!(
        answer,
        json!({"error": 0, "message": "Success", "data": {
            "message_id": id, "user_id": lan.user_id(), "sent_time": (MORNING.as_secs() * 1000).to_string(),
        }})
    );
    says(&zalo, &lan.user_id(), json!({"text": "xin chào"})).await;
    let sent = zalo.sent();
    assert_eq!(
        (sent[0].text.as_deref(), sent[0].to.as_str()),
        (Some("xin chào"), lan.user_id().as_str())
    );
    assert_eq!((sent[0].copies, sent[1].copies), (1, 2));
    let quoted = lan.writes("đáp").unwrap();
    let quoting = json!({"text": "trích", "quote_message_id": quoted});
    assert_eq!(error(&says(&zalo, &lan.user_id(), quoting).await), 0);
}

fn element(extra: Value) -> Value {
    let mut element = json!({"title": "t", "subtitle": "s", "image_url": "https://shop.example/a.png"});
    element
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    element
}

fn template(kind: &str, elements: Value) -> Value {
    json!({"attachment": {"type": "template", "payload": {"template_type": kind, "elements": elements}}})
}

fn buttons(buttons: Value) -> Value {
    json!({"text": "chọn", "attachment": {"type": "template", "payload": {"buttons": buttons}}})
}

/// Holds each message against the code that it must meet.
async fn meet(cases: impl IntoIterator<Item = (Value, i64)>) {
    let zalo = quick().await;
    let lan = zalo.person("Lan").user_id();
    for (message, expected) in cases {
        let answer = says(&zalo, &lan, message.clone()).await;
        let shown: String = message.to_string().chars().take(120).collect();
        assert_eq!(error(&answer), expected, "{shown}: {answer}");
    }
}

#[tokio::test]
async fn texts_and_media_are_held_to_the_documented_limits() {
    let media = |extra: Value| template("media", json!([extra]));
    let web = "https://shop.example/a.png";
    meet([
        (json!({"text": "ế".repeat(2000)}), 0),
        (json!({"text": "ế".repeat(2001)}), -210),
        (json!({"text": " "}), -201),
        (json!({"text": 5}), -201),
        (json!({}), -201),
        (json!("a"), -201),
        (json!({"quote_message_id": "x"}), -201),
        (json!({"text": "a", "quote_message_id": "x"}), -201),
        (json!({"text": "a", "attachment": {"type": "carrier-pigeon"}}), -233),
        (json!({"text": "a", "attachment": {}}), -201),
        (template("media", json!([])), -201),
        (
            template("media", json!([{"media_type": "image", "url": web}, {}])),
            -210,
        ),
        (template("video", json!([{}])), -233),
        (media(json!({"media_type": "video", "url": web})), -233),
        (media(json!({"media_type": "image", "url": web})), 0),
        (media(json!({"media_type": "image", "url": "shop"})), -201),
        (
            media(json!({"media_type": "image", "url": web, "attachment_id": "x"})),
            -201,
        ),
        (media(json!({"media_type": "image"})), -201),
        (media(json!({"media_type": "image", "attachment_id": "x"})), -201),
        (media(json!({"media_type": "gif", "url": web})), -201),
        (
            media(json!({"media_type": "gif", "url": web, "width": 100, "height": "0"})),
            -201,
        ),
        (
            media(json!({"media_type": "gif", "url": web, "width": 100, "height": "100"})),
            0,
        ),
        (
            media(json!({"media_type": "sticker", "attachment_id": "bfe458bf64fa8da4d4eb"})),
            0,
        ),
        (media(json!({"media_type": "sticker", "url": web})), -201),
    ])
    .await;
}

#[tokio::test]
async fn forms_lists_and_buttons_are_held_to_the_documented_limits() {
    let web = "https://shop.example/a.png";
    let button = |kind: &str, payload: Value| buttons(json!([{"title": "b", "type": kind, "payload": payload}]));
    meet([
        (template("request_user_info", json!([element(json!({}))])), 0),
        (
            template("request_user_info", json!([element(json!({"title": "a".repeat(101)}))])),
            -210,
        ),
        (
            template(
                "request_user_info",
                json!([element(json!({"subtitle": "a".repeat(501)}))]),
            ),
            -210,
        ),
        (
            template("request_user_info", json!([element(json!({"image_url": "a"}))])),
            -201,
        ),
        (template("list", json!([element(json!({})), element(json!({}))])), 0),
        (button("oa.open.url", json!({"url": web})), 0),
        (button("oa.open.url", json!({"url": "a"})), -201),
        (button("oa.query.hide", json!("#track")), 0),
        (button("oa.query.show", json!("a".repeat(1001))), -210),
        (button("oa.query.show", json!({"a": 1})), -201),
        (
            button("oa.open.sms", json!({"content": "a", "phone_code": "84912000111"})),
            0,
        ),
        (button("oa.open.sms", json!({"content": "a"})), -201),
        (button("oa.open.phone", json!({"phone_code": "84912000111"})), 0),
        (button("oa.open.phone", json!({})), -201),
        (button("oa.fly", json!("a")), -201),
        (
            buttons(json!([{"title": "a".repeat(101), "type": "oa.query.hide", "payload": "a"}])),
            -210,
        ),
        (buttons(json!([])), -201),
        (buttons(json!("a")), -201),
        (
            buttons(json!(vec![
                json!({"title": "b", "type": "oa.query.hide", "payload": "a"});
                6
            ])),
            -210,
        ),
        (
            buttons(json!(vec![
                json!({"title": "b", "type": "oa.query.hide", "payload": "a"});
                5
            ])),
            0,
        ),
    ])
    .await;
}

#[tokio::test]
async fn unreadable_bodies_and_unknown_people_are_invalid() {
    let zalo = quick().await;
    let answer = says(&zalo, "7000001000000000009", json!({"text": "a"})).await;
    assert_eq!(answer, json!({"error": -201, "message": "user_id is invalid!"}));
    assert_eq!(says_hi(&zalo, "ế").await, -201);
    assert_eq!(error(&post(&zalo, CS, json!({"message": {"text": "a"}})).await), -201);
    assert_eq!(error(&post(&zalo, CS, json!([])).await), -201);
    let token = zalo.tokens().unwrap().0;
    let url = format!("{}{CS}", zalo.base_url());
    let (status, _, body) = http("POST", &url, &[("access_token", &token)], "{").await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), error(&body)), (200, -201));
    let (_, _, body) = http(
        "GET",
        &format!("{}/v3.0/oa/user/detail?data=x", zalo.base_url()),
        &[("access_token", &token)],
        "",
    )
    .await
    .unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["message"],
        "data is invalid!"
    );
}

/// Tokens outlast every window.
async fn patient() -> ZaloHandle {
    start(Options {
        access_token_life: Duration::from_hours(10_000),
        ..quick_options()
    })
    .await
}

/// The quota object of a text, or the error.
async fn quota_of_text(zalo: &ZaloHandle, user_id: &str) -> Result<Value, i64> {
    let answer = says(zalo, user_id, json!({"text": "a"})).await;
    match error(&answer) {
        0 => Ok(answer["data"]["quota"].clone()),
        code => Err(code),
    }
}

#[tokio::test]
async fn the_window_is_free_then_billable_then_closed() {
    let zalo = patient().await;
    let lan = zalo.person("Lan");
    let say = || quota_of_text(&zalo, "7000001000000000001");
    zalo.advance(Duration::from_hours(48));
    assert_eq!(say().await, Ok(Value::Null), "free, and no number for it");
    zalo.advance(Duration::from_secs(1));
    let quota = say().await.unwrap();
    assert_eq!(
        quota,
        json!({
            "quota_type": "sub_quota", "remain": "1999", "total": "2000", "expired_date": "12/01/2026 10:00:00",
            "owner_type": "OA", "owner_id": zalo.oa_id(),
        })
    );
    zalo.advance(Duration::from_hours(5 * 24) - Duration::from_secs(1));
    assert!(say().await.is_ok());
    zalo.advance(Duration::from_secs(1));
    assert_eq!(say().await, Err(-230));
    lan.does(Action::See { message_ids: vec![] }).unwrap();
    assert_eq!(say().await, Err(-230), "reading opens nothing");
    lan.writes("b").unwrap();
    assert_eq!(say().await, Ok(Value::Null));
}

#[tokio::test]
async fn eight_are_free_in_a_window_where_the_old_rule_is_switched_on() {
    let app = AppOptions {
        oas: vec![OaOptions {
            package_quota: 1,
            ..OaOptions::default()
        }],
        ..AppOptions::default()
    };
    let zalo = start(Options {
        apps: vec![app],
        ..quick_options()
    })
    .await;
    zalo.switch(|switches| switches.free_messages = FreeMessages::PerWindow(8));
    let lan = zalo.person("Lan");
    let mut left = Vec::new();
    for _ in 0..8 {
        let quota = quota_of_text(&zalo, &lan.user_id()).await.unwrap();
        assert_eq!(quota["quota_type"], "reply");
        left.push(quota["remain"].as_str().unwrap().to_owned());
    }
    assert_eq!(left, ["7", "6", "5", "4", "3", "2", "1", "0"]);
    zalo.switch(|switches| switches.quota_numbers = QuotaNumbers::Numbers);
    let ninth = quota_of_text(&zalo, &lan.user_id()).await.unwrap();
    assert_eq!(
        (&ninth["quota_type"], &ninth["remain"]),
        (&json!("sub_quota"), &json!(0))
    );
    assert_eq!(quota_of_text(&zalo, &lan.user_id()).await, Err(-211));
    lan.writes("a").unwrap();
    zalo.switch(|switches| switches.quota_in_answers = false);
    assert_eq!(quota_of_text(&zalo, &lan.user_id()).await, Ok(Value::Null));
    let quota = post(&zalo, "/v3.0/oa/quota/message", json!({"user_id": lan.user_id()})).await;
    assert_eq!(quota["data"]["cs_reply"], json!({"remain": 7, "total": 8}));
    assert_eq!(
        quota["data"]["last_interaction"],
        (MORNING.as_secs() * 1000).to_string()
    );
    let package = post(
        &zalo,
        "/v3.0/oa/quota/message",
        json!({"quota_owner": "OA", "product_type": "cs"}),
    )
    .await;
    assert_eq!(
        (&package["data"][0]["remain"], &package["data"][0]["total"]),
        (&json!(0), &json!(1))
    );
    zalo.advance(Duration::from_hours(1));
    for wrong in [
        json!({}),
        json!({"quota_owner": "OA", "product_type": "x"}),
        json!({"quota_owner": "OA", "quota_type": "x"}),
    ] {
        assert_eq!(error(&post(&zalo, "/v3.0/oa/quota/message", wrong).await), -201);
    }
}

#[tokio::test]
async fn who_cannot_be_reached_is_said_by_the_code() {
    let zalo = quick().await;
    let never = zalo.new_person(NewPerson {
        interacted: false,
        ..NewPerson::default()
    });
    assert_eq!(says_hi(&zalo, &never.user_id()).await, -232);
    let lan = zalo.person("Lan");
    lan.does(Action::Follow).unwrap();
    lan.does(Action::Unfollow).unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, -213);
    lan.writes("a").unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, 0);
    for (why, code) in [
        (Unreachable::Blocked, -217),
        (Unreachable::Inactive, -227),
        (Unreachable::Restricted, -244),
        (Unreachable::Saturated, -218),
    ] {
        lan.does(Action::BeUnreachable { why: Some(why) }).unwrap();
        assert_eq!(says_hi(&zalo, &lan.user_id()).await, code);
    }
    lan.does(Action::BeUnreachable { why: None }).unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, 0);
    zalo.console(&ConsoleAction::Verify { on: false }).unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, -221);
    zalo.console(&ConsoleAction::Disable { on: true }).unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, -204);
}

#[tokio::test]
async fn what_the_second_version_did_is_gone() {
    let zalo = quick().await;
    let lan = zalo.person("Lan").user_id();
    let old = json!({"recipient": {"user_id": lan}, "message": {"text": "a"}});
    assert_eq!(error(&post(&zalo, "/v2.0/oa/message", old).await), -240);
    for path in ["/v2.0/oa/getprofile", "/v2.0/oa/getfollowers"] {
        assert_eq!(error(&get(&zalo, path, json!({"user_id": lan})).await), -240);
    }
}

#[tokio::test]
async fn uploads_are_checked_kept_for_a_week_and_of_one_use_only() {
    let zalo = patient().await;
    let lan = zalo.person("Lan").user_id();
    let image = "/v2.0/oa/upload/image";
    let uploaded = uploads(&zalo, image, "a.png", "image/png", b"png").await;
    let id = uploaded["data"]["attachment_id"].as_str().unwrap().to_owned();
    let picture = |id: &str| template("media", json!([{"media_type": "image", "attachment_id": id}]));
    assert_eq!(error(&says(&zalo, &lan, picture(&id)).await), 0);
    let file = |token: &str| json!({"attachment": {"type": "file", "payload": {"token": token}}});
    assert_eq!(error(&says(&zalo, &lan, file(&id)).await), -201, "an image is no file");
    let token = uploads(&zalo, "/v2.0/oa/upload/file", "a.PDF", "application/pdf", b"pdf").await;
    let token = token["data"]["token"].as_str().unwrap().to_owned();
    assert_eq!(error(&says(&zalo, &lan, file(&token)).await), 0);
    for (path, name, kind, size, expected) in [
        (image, "a.jpg", "image/jpeg", 1 << 20, 0),
        (image, "a.jpg", "image/jpeg", (1 << 20) + 1, -210),
        (image, "a.gif", "image/gif", 1, -201),
        (image, "a.png", "image/png", 0, -201),
        (image, "", "image/png", 1, 0),
        ("/v2.0/oa/upload/gif", "a.gif", "image/gif", 5 << 20, 0),
        ("/v2.0/oa/upload/gif", "a.gif", "image/gif", (5 << 20) + 1, -210),
        ("/v2.0/oa/upload/file", "a.csv", "text/csv", 5 << 20, 0),
        ("/v2.0/oa/upload/file", "a.exe", "application/pdf", 1, -201),
    ] {
        let answer = uploads(&zalo, path, name, kind, &vec![b'x'; size]).await;
        assert_eq!(error(&answer), expected, "{path} {name} {size}: {answer}");
    }
    assert_eq!(error(&post(&zalo, image, json!({})).await), -201);
    zalo.advance(Duration::from_hours(7 * 24));
    let minh = zalo.person("Minh").user_id();
    assert_eq!(error(&says(&zalo, &minh, picture(&id)).await), 0);
    zalo.advance(Duration::from_millis(1));
    let expired = says(&zalo, &minh, picture(&id)).await;
    assert_eq!(expired, json!({"error": -100, "message": "attachment_id was expired"}));
    assert_eq!(error(&says(&zalo, &minh, file(&token)).await), -100);
}

#[tokio::test]
async fn uploads_of_a_month_are_counted() {
    let zalo = start(Options {
        uploads_per_month: 1,
        access_token_life: Duration::from_hours(10_000),
        ..quick_options()
    })
    .await;
    let upload = || uploads(&zalo, "/v2.0/oa/upload/image", "a.png", "image/png", b"a");
    assert_eq!(error(&upload().await), 0);
    assert_eq!(error(&upload().await), -211);
    zalo.advance(Duration::from_hours(27 * 24));
    assert_eq!(error(&upload().await), 0, "February");
}

#[tokio::test]
async fn reactions_have_their_icons_and_their_bound() {
    let zalo = quick().await;
    let lan = zalo.person("Lan");
    let written = lan.writes("a").unwrap();
    let react = |icon: &str, id: &str| {
        let body = json!({
            "recipient": {"user_id": lan.user_id()}, "sender_action": {"react_icon": icon, "react_message_id": id},
        });
        let zalo = &zalo;
        async move { error(&post(zalo, "/v2.0/oa/message", body).await) }
    };
    assert_eq!(react("/-heart", &written).await, 0);
    assert_eq!(react("<3", &written).await, -201);
    assert_eq!(react("/-heart", "x").await, -201);
    for _ in 1..50 {
        assert_eq!(react(":o", &written).await, 0);
    }
    assert_eq!(react(":o", &written).await, -210);
    assert_eq!(react("/-remove", &written).await, 0);
    assert_eq!(react(":o", &written).await, 0);
}

#[tokio::test]
async fn people_can_be_looked_up_and_tagged() {
    let zalo = quick().await;
    let lan = zalo.person("Lan");
    let first = lan.user_id();
    lan.does(Action::Follow).unwrap();
    let tag = json!({"user_id": first.parse::<u64>().unwrap(), "tag_name": "vip"});
    assert_eq!(
        error(&post(&zalo, "/v2.0/oa/tag/tagfollower", tag.clone()).await),
        0,
        "a number"
    );
    let detail = get(&zalo, "/v3.0/oa/user/detail", json!({"user_id": first})).await;
    let data = &detail["data"];
    assert_eq!(
        (&data["display_name"], &data["user_is_follower"]),
        (&json!("Lan"), &json!(true))
    );
    assert_eq!(data["user_last_interaction_date"], "05/01/2026");
    assert_eq!(data["tags_and_notes_info"]["tag_names"], json!(["vip"]));
    assert_eq!(
        error(&get(&zalo, "/v3.0/oa/user/detail", json!({"user_id": "7"})).await),
        -201
    );
    assert_eq!(
        get(&zalo, "/v2.0/oa/tag/gettagsofoa", json!({})).await["data"],
        json!(["vip"])
    );
    assert_eq!(
        error(&post(&zalo, "/v2.0/oa/tag/rmfollowerfromtag", tag.clone()).await),
        0
    );
    assert_eq!(error(&post(&zalo, "/v2.0/oa/tag/rmfollowerfromtag", tag).await), -201);
    assert_eq!(
        error(&post(&zalo, "/v2.0/oa/tag/rmtag", json!({"tag_name": "vip"})).await),
        0
    );
    assert_eq!(
        error(&post(&zalo, "/v2.0/oa/tag/rmtag", json!({"tag_name": "vip"})).await),
        -201
    );
    let profile = get(&zalo, "/v2.0/oa/getoa", json!({})).await;
    assert_eq!(
        (&profile["data"]["num_follower"], &profile["data"]["is_verified"]),
        (&json!(1), &json!(true))
    );
}

#[tokio::test]
async fn people_are_listed_by_page_tag_following_and_day() {
    let zalo = quick().await;
    let people: Vec<PersonHandle> = (0..60).map(|number| zalo.person(&format!("Lan {number}"))).collect();
    people[0].does(Action::Follow).unwrap();
    let tag = json!({"user_id": people[0].user_id(), "tag_name": "vip"});
    post(&zalo, "/v2.0/oa/tag/tagfollower", tag).await;
    let list = |data: Value| get(&zalo, "/v3.0/oa/user/getlist", data);
    let page = list(json!({"offset": 20, "count": 50})).await;
    assert_eq!(
        (&page["data"]["total"], &page["data"]["count"]),
        (&json!(60), &json!(40))
    );
    assert_eq!(page["data"]["users"][0]["user_id"], people[20].user_id());
    for (filter, total) in [
        (json!({"tag_name": "vip"}), 1),
        (json!({"is_follower": "true"}), 1),
        (json!({"is_follower": false}), 59),
        (json!({"last_interaction_period": "TODAY"}), 60),
        (json!({"last_interaction_period": "YESTERDAY"}), 0),
        (json!({"last_interaction_period": "L7D"}), 60),
        (json!({"last_interaction_period": "2026_01_05:2026_01_05"}), 60),
        (json!({"last_interaction_period": "2026_01_01:2026_01_04"}), 0),
    ] {
        assert_eq!(list(filter.clone()).await["data"]["total"], total, "{filter}");
    }
    for (wrong, code) in [
        (json!({"count": 51}), -210),
        (json!({"offset": 9952}), -210),
        (json!({"offset": -1}), -210),
        (json!({"count": "x"}), -201),
        (json!({"last_interaction_period": "EVER"}), -201),
        (json!({"last_interaction_period": "2026_02_30:2026_03_01"}), -201),
    ] {
        assert_eq!(error(&list(wrong.clone()).await), code, "{wrong}");
    }
}

#[tokio::test]
async fn conversations_are_listed_newest_first() {
    let zalo = quick().await;
    let lan = zalo.person("Lan");
    lan.writes("một").unwrap();
    says(&zalo, &lan.user_id(), json!({"text": "hai"})).await;
    lan.does(Action::Image(crate::zalo::Media::default())).unwrap();
    let listed = get(
        &zalo,
        "/v2.0/oa/conversation",
        json!({"user_id": lan.user_id(), "offset": 0, "count": 10}),
    )
    .await;
    let data = listed["data"].as_array().unwrap();
    let shape: Vec<_> = data
        .iter()
        .map(|one| (one["src"].as_i64().unwrap(), one["type"].as_str().unwrap()))
        .collect();
    assert_eq!(shape, [(1, "photo"), (0, "text"), (1, "text")]);
    assert_eq!(
        (&data[1]["message"], data[1]["to_id"].as_str()),
        (&json!("hai"), Some(lan.user_id().as_str()))
    );
    assert!(data[0]["time"].is_i64() && data[0]["url"].is_string());
    let picture = http("GET", data[0]["url"].as_str().unwrap(), &[], "").await.unwrap();
    assert_eq!(
        (picture.0.as_u16(), picture.1["content-type"].as_bytes()),
        (200, &b"image/jpeg"[..])
    );
    let recent = get(&zalo, "/v2.0/oa/listrecentchat", json!({"offset": 0, "count": 5})).await;
    assert_eq!(recent["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        error(&get(&zalo, "/v2.0/oa/listrecentchat", json!({"count": 11})).await),
        -210
    );
}

#[tokio::test]
async fn templates_go_by_user_id_where_they_may() {
    let zalo = quick().await;
    let lan = zalo.subscriber("84912000111").user_id();
    let send = |template: &str, data: Value| {
        let body = json!({"user_id": lan, "template_id": template, "template_data": data});
        let zalo = &zalo;
        async move { error(&post(zalo, "/v3.0/oa/message/template", body).await) }
    };
    let order = json!({"customer_name": "Lan", "order_code": "DH-1"});
    assert_eq!(send("300001", order.clone()).await, 0, "no window is needed");
    assert_eq!(send("300001", json!({"customer_name": "Lan"})).await, -1122);
    assert_eq!(send("300002", json!({"otp": "123456"})).await, -249);
    assert_eq!(
        send("300004", json!({"customer_name": "Lan"})).await,
        -201,
        "under review"
    );
    assert_eq!(send("1", order).await, -201);
    assert_eq!(zalo.sent()[0].way, crate::zalo::Way::TemplateByUid);
}

#[tokio::test]
async fn groups_visitors_and_articles_have_their_own_rules() {
    let zalo = quick().await;
    let (lan, visitor) = (zalo.person("Lan"), zalo.visitor());
    let group = zalo.group("nhóm", &[&lan]);
    let message = json!({"text": "a"});
    let to_group = |id: &str| json!({"recipient": {"group_id": id}, "message": message});
    let path = "/v3.0/oa/group/message";
    assert_eq!(error(&post(&zalo, path, to_group(&group)).await), 0);
    assert_eq!(error(&post(&zalo, path, to_group("x")).await), -403);
    let disable = |on| ConsoleAction::DisableGroup {
        group_id: group.clone(),
        on,
    };
    zalo.console(&disable(true)).unwrap();
    assert_eq!(error(&post(&zalo, path, to_group(&group)).await), -237);
    zalo.console(&disable(false)).unwrap();
    let listed = get(&zalo, "/v3.0/oa/group/getgroupsofoa", json!({"offset": 0, "count": 5})).await;
    assert_eq!(listed["data"]["groups"][0]["total_member"], 1);
    let members = get(&zalo, "/v3.0/oa/group/listmember", json!({"group_id": group})).await;
    assert_eq!(members["data"]["members"][0]["user_id"], lan.user_id());
    let to_visitor = |conversation: String| {
        let recipient = json!({"anonymous_id": visitor.user_id(), "conversation_id": conversation});
        json!({"recipient": recipient, "message": {"text": "a"}})
    };
    for path in [CS, "/v2.0/oa/message"] {
        let right = to_visitor(visitor.conversation_id());
        assert_eq!(error(&post(&zalo, path, right).await), 0);
        assert_eq!(error(&post(&zalo, path, to_visitor("x".to_owned())).await), -201);
    }
    assert_eq!(
        says_hi(&zalo, &visitor.user_id()).await,
        -201,
        "visitors have no user id"
    );
    let elements = json!([{"media_type": "article", "attachment_id": "a1"}]);
    let mut article = json!({"recipient": {"target": {"gender": "0"}}, "message": template("media", elements)});
    assert_eq!(error(&post(&zalo, "/v2.0/oa/message", article.clone()).await), 0);
    zalo.advance(Duration::from_hours(12));
    assert_eq!(
        error(&post(&zalo, "/v2.0/oa/message", article.clone()).await),
        -234,
        "22:00"
    );
    article["message"] = json!({"text": "a"});
    assert_eq!(error(&post(&zalo, "/v2.0/oa/message", article).await), -233);
}

#[tokio::test]
async fn consent_is_asked_for_and_calls_are_made() {
    let zalo = quick().await;
    let lan = zalo.subscriber("84912000111");
    let consent = "/v2.0/oa/call/requestconsent";
    assert_eq!(error(&post(&zalo, consent, json!({"phone": "84912000111"})).await), 0);
    assert_eq!(error(&post(&zalo, consent, json!({"user_id": "1"})).await), -201);
    let call = post(&zalo, "/v3.0/oa/call/outbound", json!({"user_id": lan.user_id()})).await;
    assert_eq!(call["data"]["ttl"], 172_800);
}
