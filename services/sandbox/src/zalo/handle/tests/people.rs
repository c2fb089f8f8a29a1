//! The events that people, admins and the console make, and those of what was sent.

use super::*;
use crate::zalo::{
    Action, AdminAct, AdminAction, AttachmentPlace, ConsoleAction, EventServer, GroupChange, Media, Quality,
    TemplateStatus,
};

fn picture(text: &str) -> Media {
    Media {
        text: Some(text.to_owned()),
        content: "AAEC".to_owned(),
        ..Media::default()
    }
}

/// With a webhook, and no receipts by themselves.
async fn watched() -> (ZaloHandle, Gateway) {
    let mut options = quick_options();
    options.switches.received_after_ms = None;
    let zalo = start(options).await;
    let gateway = Gateway::registered(&zalo).await;
    (zalo, gateway)
}

fn location() -> Action {
    Action::Location {
        latitude: 21.03,
        longitude: 105.85,
    }
}

/// One message of each kind that has an attachment.
fn messages() -> [Action; 9] {
    [
        Action::Image(picture("ảnh")),
        Action::Gif(picture("")),
        Action::Audio(picture("")),
        Action::Video(picture("phim")),
        Action::File(Media {
            file_name: Some("hóa đơn.PDF".to_owned()),
            size: Some(7_000_000),
            ..picture("")
        }),
        Action::Link {
            url: "https://shop.example".to_owned(),
            description: "cửa hàng".to_owned(),
        },
        Action::Sticker { id: "s1".to_owned() },
        location(),
        Action::BusinessCard {
            phone: "84912000111".to_owned(),
        },
    ]
}

#[tokio::test]
async fn people_write_in_every_way() {
    let (zalo, gateway) = watched().await;
    let lan = zalo.person("Lan");
    let first = lan.writes("chào").unwrap();
    lan.quotes(&first, "đáp").unwrap();
    assert_eq!(lan.quotes("x", "a"), Err(ControlError::UnknownMessage));
    for action in messages() {
        lan.does(action).unwrap();
    }
    delivered(&zalo, 11).await;
    let made = events(&zalo);
    let expected = [
        "text",
        "text",
        "image",
        "gif",
        "audio",
        "video",
        "file",
        "link",
        "sticker",
        "location",
        "business_card",
    ];
    assert_eq!(names(&made), expected.map(|end| format!("user_send_{end}")));
    assert_eq!(made[1].1["message"]["quote_msg_id"], first);
    let payload = |at: usize| &made[at].1["message"]["attachments"][0]["payload"];
    assert_eq!(made[2].1["message"]["text"], "ảnh");
    assert!(payload(2)["thumbnail"].is_string());
    assert_eq!(payload(5)["description"], "phim");
    assert_eq!(
        (&payload(6)["name"], &payload(6)["size"]),
        (&json!("hóa đơn.PDF"), &json!("7000000"))
    );
    // printf '\\x00\\x01\\x02' | md5sum
    assert_eq!(payload(6)["checksum"], "b95f67f61ebb03619622d798f45fc2d3");
    assert_eq!(payload(7)["url"], "https://shop.example");
    assert_eq!(payload(8)["id"], "s1");
    assert_eq!(
        payload(9)["coordinates"],
        json!({"latitude": "21.03", "longitude": "105.85"})
    );
    let card: Value = serde_json::from_str(payload(10)["description"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&made[10].1["message"]["attachments"][0]["type"], &card["phone"]),
        (&json!("link"), &json!("84912000111"))
    );
    for at in [2, 8] {
        let (status, _, bytes) = http("GET", payload(at)["url"].as_str().unwrap(), &[], "")
            .await
            .unwrap();
        assert!(status == 200 && !bytes.is_empty());
    }
    let gone = format!("{}/media/x/y", zalo.base_url());
    assert_eq!(http("GET", &gone, &[], "").await.unwrap().0, 404);
    assert_eq!(gateway.bodies().len(), 11);
    let broken = Action::Image(Media {
        content: "%".to_owned(),
        ..Media::default()
    });
    assert!(lan.does(broken).is_err());
}

#[tokio::test]
async fn events_take_the_shapes_seen_in_the_wild() {
    let (zalo, _gateway) = watched().await;
    let lan = zalo.person("Lan");
    zalo.switch(|switches| {
        switches.user_id_by_app = false;
        switches.attachments = AttachmentPlace::TopLevel;
        switches.file_size_as_number = true;
    });
    lan.does(Action::File(picture(""))).unwrap();
    let (_, body) = &events(&zalo)[0];
    assert!(body["user_id_by_app"].is_null() && body["message"]["attachments"].is_null());
    assert_eq!(body["attachments"][0]["payload"]["size"], 3);
}

#[tokio::test]
async fn people_follow_fill_in_forms_react_and_withdraw() {
    let (zalo, _gateway) = watched().await;
    let lan = zalo.new_person(NewPerson {
        phone: Some("84912000111".to_owned()),
        interacted: false,
        ..NewPerson::default()
    });
    lan.does(Action::Follow).unwrap();
    assert_eq!(says_hi(&zalo, &lan.user_id()).await, 0, "following opens the window");
    zalo.clear_journal();
    lan.does(Action::ChatNow).unwrap();
    assert!(lan.does(Action::ChatNow).is_err(), "once per person");
    let info = json!({"name": "Lan", "phone": "84912000111", "full_address": {"user_city": "Hà Nội"}});
    let Value::Object(info) = info else { unreachable!() };
    lan.does(Action::SubmitInfo { info: info.clone() }).unwrap();
    let written = lan.writes("a").unwrap();
    let react = |id: &str| Action::React {
        message_id: id.to_owned(),
        icon: "/-heart".to_owned(),
    };
    lan.does(react(&written)).unwrap();
    assert_eq!(lan.does(react("x")), Err(ControlError::UnknownMessage));
    lan.does(Action::Withdraw).unwrap();
    lan.does(Action::Unfollow).unwrap();
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        [
            "user_click_chatnow",
            "user_submit_info",
            "user_send_text",
            "user_reacted_message",
            "user_withdraw",
            "unfollow"
        ]
    );
    assert_eq!(made[1].1["info"], Value::Object(info));
    assert_eq!(
        made[3].1["message"],
        json!({"msg_id": written, "react_icon": "/-heart"})
    );
    assert_eq!(made[4].1["user_id"], lan.user_id());
    assert_eq!(made[5].1["follower"]["id"], lan.user_id());
    assert!(made[5].1["sender"].is_null());
    let detail = get(&zalo, "/v3.0/oa/user/detail", json!({"user_id": lan.user_id()})).await;
    assert_eq!(detail["data"]["shared_info"]["phone"], "84912000111");
}

#[tokio::test]
async fn people_agree_to_be_called_call_and_are_met_on_web_pages() {
    let (zalo, _gateway) = watched().await;
    let lan = zalo.person("Lan");
    let consent = Action::ReplyConsent {
        allow: true,
        expired_time: 0,
    };
    lan.does(consent).unwrap();
    let call = Action::Call {
        waiting_s: 3,
        talk_ms: 4_000,
        status_code: 0,
    };
    lan.does(call).unwrap();
    let widget = Action::AcceptWidget {
        user_external_id: "u1".to_owned(),
        url: "https://shop.example".to_owned(),
    };
    lan.does(widget).unwrap();
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        ["user_reply_consent", "user_call_oa", "widget_interaction_accepted"]
    );
    assert_eq!(
        (&made[0].1["user_consent"], &made[0].1["expired_time"]),
        (&json!("ALLOW"), &json!("0"))
    );
    assert_eq!(made[1].1["call_duration"], 7_000);
}

#[tokio::test]
async fn buttons_write_in_the_persons_name_for_all_to_see_or_not() {
    let (zalo, _gateway) = watched().await;
    let lan = zalo.person("Lan");
    let buttons = json!([
        {"title": "Hiện", "type": "oa.query.show", "payload": "#show"},
        {"title": "Ẩn", "type": "oa.query.hide", "payload": "#hide"},
        {"title": "Web", "type": "oa.open.url", "payload": {"url": "https://shop.example"}},
    ]);
    let attachment = json!({"type": "template", "payload": {"buttons": buttons}});
    says(&zalo, &lan.user_id(), json!({"text": "chọn", "attachment": attachment})).await;
    zalo.clear_journal();
    lan.clicks("#show").unwrap();
    lan.clicks("#hide").unwrap();
    assert_eq!(lan.clicks("https://shop.example").unwrap().events, Vec::<u64>::new());
    assert_eq!(lan.clicks("#none"), Err(ControlError::UnknownMessage));
    let made = events(&zalo);
    assert_eq!(names(&made), ["user_send_text", "user_send_text"]);
    assert_eq!(
        (&made[0].1["message"]["text"], &made[1].1["message"]["text"]),
        (&json!("#show"), &json!("#hide"))
    );
    let listed = get(
        &zalo,
        "/v2.0/oa/conversation",
        json!({"user_id": lan.user_id(), "count": 10}),
    )
    .await;
    let texts: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["message"].as_str())
        .collect();
    assert_eq!(texts, ["#show", "chọn"]);
}

#[tokio::test]
async fn what_is_sent_is_echoed_received_and_seen() {
    let mut options = quick_options();
    options.switches.seen_after_ms = Some(200);
    let zalo = start(options).await;
    let _gateway = Gateway::registered(&zalo).await;
    let lan = zalo.person("Lan");
    let answer = says(&zalo, &lan.user_id(), json!({"text": "chào"})).await;
    let id = answer["data"]["message_id"].clone();
    delivered(&zalo, 3).await;
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        ["oa_send_text", "user_received_message", "user_seen_message"]
    );
    for (_, body) in &made {
        assert_eq!(
            body["sender"],
            json!({"id": zalo.oa_id()}),
            "the OA, also of receipts; no admin"
        );
        assert_eq!(body["recipient"]["id"], lan.user_id());
    }
    assert_eq!(made[0].1["message"], json!({"msg_id": id, "text": "chào"}));
    assert_eq!(
        (&made[1].1["message"]["msg_id"], &made[2].1["message"]["msg_ids"]),
        (&id, &json!([id]))
    );
    zalo.clear_journal();
    zalo.switch(|switches| {
        switches.echoes = false;
        switches.received_after_ms = None;
        switches.seen_after_ms = None;
    });
    let answer = says(&zalo, &lan.user_id(), json!({"text": "b"})).await;
    let id = answer["data"]["message_id"].as_str().unwrap().to_owned();
    let unknown = Action::Receive {
        message_id: "x".to_owned(),
    };
    assert_eq!(lan.does(unknown), Err(ControlError::UnknownMessage));
    lan.does(Action::Receive { message_id: id.clone() }).unwrap();
    let message_ids = vec![id.clone(), id];
    lan.does(Action::See { message_ids }).unwrap();
    assert_eq!(names(&events(&zalo)), ["user_received_message", "user_seen_message"]);
}

fn by_admin(zalo: &ZaloHandle, person: &PersonHandle, action: AdminAction) -> Done {
    zalo.admin(&AdminAct {
        person: person.id(),
        admin_id: "8".to_owned(),
        action,
    })
    .unwrap()
}

#[tokio::test]
async fn admins_answer_past_the_gateway() {
    let (zalo, _gateway) = watched().await;
    let lan = zalo.person("Lan");
    let written = lan.writes("a").unwrap();
    zalo.clear_journal();
    let titles = vec!["một".to_owned(), "hai".to_owned()];
    for action in [
        AdminAction::Text {
            text: "tôi đây".to_owned(),
        },
        AdminAction::Image(picture("")),
        AdminAction::Gif(picture("")),
        AdminAction::File(picture("")),
        AdminAction::Sticker { id: "s".to_owned() },
        AdminAction::List { titles },
        AdminAction::React {
            message_id: written,
            icon: ":>".to_owned(),
        },
        AdminAction::Tag {
            name: "vip".to_owned(),
            on: true,
        },
        AdminAction::Tag {
            name: "vip".to_owned(),
            on: false,
        },
        AdminAction::RequestConsent { expired: true },
        AdminAction::Call {
            waiting_s: 1,
            talk_ms: 0,
            status_code: 1,
        },
    ] {
        assert_eq!(by_admin(&zalo, &lan, action).events.len(), 1);
    }
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        [
            "oa_send_text",
            "oa_send_image",
            "oa_send_gif",
            "oa_send_file",
            "oa_send_sticker",
            "oa_send_list",
            "oa_reacted_message",
            "add_user_to_tag",
            "remove_user_from_tag",
            "oa_send_consent",
            "oa_call_user"
        ]
    );
    for (_, body) in &made[..6] {
        assert_eq!(body["sender"], json!({"id": zalo.oa_id(), "admin_id": "8"}));
    }
    assert_eq!(made[7].1["tag"], json!({"user_ids": [lan.user_id()], "name": "vip"}));
    assert_eq!(made[9].1["request_type"], "EXPIRED");
    assert_eq!(zalo.counters().sent, 0, "no app sent anything");
}

#[tokio::test]
async fn visitors_write_without_an_account() {
    let (zalo, _gateway) = watched().await;
    let visitor = zalo.visitor();
    visitor.writes("a").unwrap();
    visitor.does(Action::Sticker { id: "s".to_owned() }).unwrap();
    visitor.does(Action::Image(picture(""))).unwrap();
    visitor.does(Action::File(picture(""))).unwrap();
    assert!(visitor.does(location()).is_err());
    assert!(visitor.does(Action::Follow).is_err());
    let recipient = json!({"anonymous_id": visitor.user_id(), "conversation_id": visitor.conversation_id()});
    post(&zalo, CS, json!({"recipient": recipient, "message": {"text": "b"}})).await;
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        [
            "anonymous_send_text",
            "anonymous_send_sticker",
            "anonymous_send_image",
            "anonymous_send_file",
            "oa_send_anonymous_text"
        ]
    );
    for (_, body) in &made {
        assert_eq!(body["message"]["conversation_id"], visitor.conversation_id());
        assert!(body["user_id_by_app"].is_null());
    }
}

#[tokio::test]
async fn groups_live() {
    let (zalo, _gateway) = watched().await;
    let (lan, minh) = (zalo.person("Lan"), zalo.person("Minh"));
    let group = zalo.group("nhóm", &[&lan]);
    let write = |person: &PersonHandle, group_id: &str| {
        person.does(Action::GroupText {
            group_id: group_id.to_owned(),
            text: "a".to_owned(),
        })
    };
    write(&lan, &group).unwrap();
    assert!(write(&minh, &group).is_err());
    assert_eq!(write(&lan, "x"), Err(ControlError::UnknownGroup));
    let change = |change, people: Vec<u64>| {
        zalo.console(&ConsoleAction::Group {
            change,
            group_id: group.clone(),
            people,
        })
    };
    change(GroupChange::UserJoinGroup, vec![minh.id()]).unwrap();
    write(&minh, &group).unwrap();
    assert_eq!(
        change(GroupChange::AddGroupAdmin, vec![99]),
        Err(ControlError::UnknownPerson)
    );
    let message = json!({"recipient": {"group_id": group}, "message": {"text": "b"}});
    assert_eq!(error(&post(&zalo, "/v3.0/oa/group/message", message.clone()).await), 0);
    change(GroupChange::DeleteGroup, vec![]).unwrap();
    assert_eq!(error(&post(&zalo, "/v3.0/oa/group/message", message).await), -403);
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        [
            "user_send_group_text",
            "user_join_group",
            "user_send_group_text",
            "oa_send_group_text",
            "delete_group"
        ]
    );
    assert!(made.iter().all(|(_, body)| body["group_id"] == json!(group)));
}

#[tokio::test]
async fn template_messages_have_receipts_ratings_and_answers_from_the_zns_sender() {
    let (zalo, gateway) = watched().await;
    let lan = zalo.subscriber("84912000111");
    zalo.switch(|switches| switches.received_after_ms = Some(500));
    let body = json!({
        "phone": "84912000111", "template_id": "300003", "tracking_id": "t-1", "template_data": {"customer_name": "Lan"},
    });
    let answer = post(&zalo, ZNS, body).await;
    let msg_id = answer["data"]["msg_id"].as_str().unwrap().to_owned();
    let rate = Action::Rate {
        msg_id: msg_id.clone(),
        rate: 5,
        note: String::new(),
        feedbacks: Vec::new(),
    };
    lan.does(rate.clone()).unwrap();
    assert_eq!(
        zalo.person("Minh").does(rate),
        Err(ControlError::UnknownMessage),
        "not his"
    );
    let click = Action::ClickResponse {
        msg_id: msg_id.clone(),
        data: "đồng ý".to_owned(),
    };
    lan.does(click).unwrap();
    delivered(&zalo, 3).await;
    for (headers, ..) in gateway.seen.lock().unwrap().iter() {
        assert_eq!(headers["x-zevent-server"], "ZNS");
    }
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        ["user_received_message", "user_feedback", "user_click_response_button"]
    );
    // Half a second at a thousand times the speed is less than a millisecond.
    let delivery_time = (MORNING.as_secs() * 1000).to_string();
    let message = json!({"delivery_time": delivery_time, "msg_id": msg_id, "tracking_id": "t-1"});
    assert_eq!(
        made[0].1,
        json!({
            "app_id": zalo.app_id(), "event_name": "user_received_message", "sender": {"id": zalo.oa_id()},
            "recipient": {"id": "84912000111"}, "message": message, "timestamp": delivery_time,
        })
    );
    assert_eq!(
        (&made[1].1["message"]["rate"], &made[1].1["message"]["tracking_id"]),
        (&json!(5), &json!("t-1"))
    );
    assert!(made[1].1["sender"].is_null(), "nobody is named");
    assert_eq!(
        (&made[2].1["msg_id"], &made[2].1["message"]["data"]),
        (&json!(msg_id), &json!("đồng ý"))
    );
}

#[tokio::test]
async fn the_console_tells_of_templates_and_quotas() {
    let (zalo, _gateway) = watched().await;
    let template_id = || "300001".to_owned();
    for action in [
        ConsoleAction::TemplateStatus {
            template_id: template_id(),
            status: TemplateStatus::Disable,
            reason: "chất lượng".to_owned(),
        },
        ConsoleAction::TemplateQuality {
            template_id: template_id(),
            quality: Quality::Low,
        },
        ConsoleAction::TemplateQuota {
            template_id: template_id(),
            daily_quota: 5,
        },
        ConsoleAction::DailyQuota { daily_quota: 500 },
        ConsoleAction::TemplateTags {
            tags: vec!["TRANSACTION".to_owned()],
        },
    ] {
        zalo.console(&action).unwrap();
    }
    let unknown = ConsoleAction::TemplateQuota {
        template_id: "1".to_owned(),
        daily_quota: 5,
    };
    assert_eq!(zalo.console(&unknown), Err(ControlError::UnknownTemplate));
    let made = events(&zalo);
    assert_eq!(
        names(&made),
        [
            "change_template_status",
            "change_template_quality",
            "change_template_quota",
            "change_oa_daily_quota",
            "change_oa_template_tags"
        ]
    );
    assert_eq!(
        made[0].1["status"],
        json!({"prev_status": "ENABLE", "new_status": "DISABLE"})
    );
    assert_eq!(made[3].1["quota"], json!({"prev_value": "5000", "new_value": "500"}));
    assert_eq!(made[3].1["oaId"], zalo.oa_id());
    assert!(zalo.events().iter().all(|record| record.server == EventServer::Zns));
}
