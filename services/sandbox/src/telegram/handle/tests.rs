//! Over real connections: the API's face, delivery, polls, faults and control.

use super::*;
use crate::telegram::{Fault, Options, Telegram};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use std::{collections::VecDeque, io, sync::Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::task::TaskTracker;

const SOON: Duration = Duration::from_secs(10);

async fn start(options: Options) -> TelegramHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Telegram::start(listener, options).unwrap()
}

async fn quick() -> TelegramHandle {
    start(Options {
        speed: 100,
        rate_limits: false,
        ..Options::default()
    })
    .await
}

/// One HTTP request; the status and the JSON, or `null` where there is none.
async fn http(method: &str, url: String, kind: &str, body: impl Into<Bytes>) -> Result<(u16, Value), String> {
    let request = Request::builder().method(method).uri(url).header("content-type", kind);
    let request = request.body(Full::new(body.into())).unwrap();
    let response = delivery::client()
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("{error:?}"))?
        .to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn call(telegram: &TelegramHandle, method: &str, params: Value) -> (u16, Value) {
    let url = format!("{}/bot{}/{method}", telegram.base_url(), telegram.token());
    http("POST", url, "application/json", params.to_string()).await.unwrap()
}

async fn control(telegram: &TelegramHandle, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/control{path}", telegram.base_url());
    http(method, url, "application/json", body.to_string()).await.unwrap()
}

/// A gateway that records what it is sent, and answers as scripted, else 200.
#[derive(Clone, Default)]
struct Gateway {
    seen: Arc<Mutex<Vec<(HeaderMap, Value, Instant)>>>,
    script: Arc<Mutex<VecDeque<Response>>>,
}

impl Gateway {
    async fn start(script: impl IntoIterator<Item = Response>) -> (Self, String) {
        let gateway = Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            ..Self::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(Self::take).with_state(gateway.clone());
        drop(TaskTracker::new().spawn(async move { axum::serve(listener, router).await }));
        (gateway, format!("http://{address}/hook"))
    }

    async fn take(State(gateway): State<Self>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        gateway.seen.lock().unwrap().push((parts.headers, body, Instant::now()));
        let scripted = gateway.script.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| StatusCode::OK.into_response())
    }

    fn texts(&self) -> Vec<String> {
        let text = |body: &Value| body["message"]["text"].as_str().unwrap_or("-").to_owned();
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body, _)| text(body))
            .collect()
    }
}

async fn delivered(telegram: &TelegramHandle, count: u64) {
    telegram
        .wait_for(|view| view.counters().delivered >= count, SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn tokens_are_malformed_unknown_or_known() {
    let telegram = quick().await;
    for (token, status) in [
        ("x", 404),
        ("1:", 404),
        ("0:a", 404),
        ("1:a$", 404),
        ("7:AAunknown", 401),
    ] {
        let url = format!("{}/bot{token}/getMe", telegram.base_url());
        let (got, body) = http("GET", url, "", "").await.unwrap();
        assert_eq!(
            (got, body["error_code"].as_u64()),
            (status, Some(status.into())),
            "{token}"
        );
    }
    let escaped = telegram.token().replace(':', "%3A");
    let url = format!("{}/bot{escaped}/getMe", telegram.base_url());
    assert_eq!(http("GET", url, "", "").await.unwrap().0, 200);
    let (status, me) = call(&telegram, "GETME", json!({})).await;
    assert_eq!((status, me["result"]["id"].as_i64()), (200, Some(telegram.bot_id())));
}

#[tokio::test]
async fn parameters_come_in_any_of_the_four_ways() {
    let telegram = quick().await;
    let id = telegram.user("Lan").id();
    let base = format!("{}/bot{}/sendMessage", telegram.base_url(), telegram.token());
    let form = format!("chat_id={id}&text=xin%20ch%C3%A0o");
    let multipart = format!(
        "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n{id}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nxin chào\r\n--x--\r\n"
    );
    let json = json!({"chat_id": id, "text": "xin chào"}).to_string();
    for (method, url, kind, body) in [
        ("GET", format!("{base}?{form}"), "text/plain", String::new()),
        ("POST", base.clone(), "application/x-www-form-urlencoded", form.clone()),
        ("POST", base.clone(), "multipart/form-data; boundary=x", multipart),
        ("POST", base.clone(), "application/json", json),
    ] {
        let (status, body) = http(method, url, kind, body).await.unwrap();
        assert_eq!(
            (status, body["result"]["text"].as_str()),
            (200, Some("xin chào")),
            "{kind}: {body}"
        );
    }
    assert_eq!(telegram.sent().last().unwrap().copies, 4);
}

#[tokio::test]
async fn uploads_can_be_downloaded() {
    let telegram = quick().await;
    let id = telegram.user("Lan").id();
    let url = format!(
        "{}/bot{}/sendDocument?chat_id={id}",
        telegram.base_url(),
        telegram.token()
    );
    let body = "--x\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a.json\"\r\n\
                Content-Type: application/json\r\n\r\n{\"a\":1}\r\n--x--\r\n";
    let (_, sent) = http("POST", url, "multipart/form-data; boundary=x", body)
        .await
        .unwrap();
    let document = &sent["result"]["document"];
    assert_eq!(
        (document["file_name"].as_str(), document["file_size"].as_u64()),
        (Some("a.json"), Some(7))
    );
    let (_, file) = call(&telegram, "getFile", json!({"file_id": document["file_id"]})).await;
    let path = file["result"]["file_path"].as_str().unwrap();
    let url = format!("{}/file/bot{}/{path}", telegram.base_url(), telegram.token());
    assert_eq!(http("GET", url, "", "").await.unwrap(), (200, json!({"a": 1})));
}

#[tokio::test]
async fn updates_go_to_the_webhook_with_the_secret_in_order_per_chat() {
    let telegram = quick().await;
    let (gateway, url) = Gateway::start([]).await;
    let lan = telegram.user("Lan");
    let (_, set) = call(&telegram, "setWebhook", json!({"url": url, "secret_token": "s-1"})).await;
    assert_eq!(
        set,
        json!({"ok": true, "result": true, "description": "Webhook was set"})
    );
    for number in 0..20 {
        lan.writes(&number.to_string()).unwrap();
    }
    delivered(&telegram, 20).await;
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(gateway.texts(), expected);
    let (headers, body, _) = gateway.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["x-telegram-bot-api-secret-token"], "s-1");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(body["update_id"], 700_000_001);
    assert_eq!(body["message"]["from"]["id"], lan.id());
}

#[tokio::test]
async fn a_failing_update_is_retried_before_the_next_of_its_chat_and_holds_up_no_other() {
    let telegram = quick().await;
    let script = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::OK,
        StatusCode::BAD_GATEWAY,
    ];
    let (gateway, url) = Gateway::start(script.map(|status| status.into_response())).await;
    let (lan, minh) = (telegram.user("Lan"), telegram.user("Minh"));
    lan.writes("a").unwrap();
    minh.writes("c").unwrap();
    lan.writes("b").unwrap();
    call(&telegram, "setWebhook", json!({"url": url, "max_connections": 1})).await;
    delivered(&telegram, 3).await;
    assert_eq!(gateway.texts(), ["a", "c", "a", "a", "b"]);
    let info = telegram.webhook_info();
    assert_eq!(
        info["last_error_message"],
        "Wrong response from the webhook: 502 Bad Gateway"
    );
    assert_eq!(info["pending_update_count"], 0);
}

#[tokio::test]
async fn retry_after_is_waited() {
    let telegram = start(Options {
        speed: 10,
        rate_limits: false,
        ..Options::default()
    })
    .await;
    let throttled = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3")]).into_response();
    let (gateway, url) = Gateway::start([throttled]).await;
    call(&telegram, "setWebhook", json!({"url": url})).await;
    telegram.user("Lan").writes("a").unwrap();
    delivered(&telegram, 1).await;
    let seen = gateway.seen.lock().unwrap();
    let waited = seen[1].2 - seen[0].2;
    assert!(
        waited >= Duration::from_millis(300),
        "3 s at ten times the speed, not {waited:?}"
    );
}

#[tokio::test]
async fn an_answer_can_call_a_method_but_not_every_one() {
    let telegram = quick().await;
    let lan = telegram.user("Lan");
    let json = |value: Value| ([("content-type", "application/json")], value.to_string()).into_response();
    let script = [
        json(json!({"method": "sendMessage", "chat_id": lan.id(), "text": "ngay đây"})),
        json(json!({"method": "deleteWebhook"})),
    ];
    let (_gateway, url) = Gateway::start(script).await;
    call(&telegram, "setWebhook", json!({"url": url})).await;
    lan.writes("a").unwrap();
    lan.writes("b").unwrap();
    delivered(&telegram, 2).await;
    assert_eq!(telegram.sent()[0].text.as_deref(), Some("ngay đây"));
    let called: Vec<String> = telegram.journal().into_iter().map(|entry| entry.method).collect();
    assert_eq!(called, ["setwebhook", "sendmessage"]);
}

#[tokio::test]
async fn an_update_can_come_twice_and_strangers_can_try_the_door() {
    let telegram = quick().await;
    let (gateway, url) = Gateway::start([]).await;
    call(&telegram, "setWebhook", json!({"url": url, "secret_token": "right"})).await;
    let update = telegram.user("Lan").writes("a").unwrap().updates[0];
    delivered(&telegram, 1).await;
    assert_eq!(telegram.redeliver(update).await, Ok(200));
    assert_eq!(telegram.redeliver(1).await, Err(ControlError::UnknownUpdate));
    assert_eq!(telegram.forge(Some("wrong"), &json!({"update_id": 1})).await, Ok(200));
    assert_eq!(telegram.forge(None, &json!({"update_id": 1})).await, Ok(200));
    telegram.deliver_twice(true);
    telegram.user("Minh").writes("b").unwrap();
    delivered(&telegram, 2).await;
    let seen = gateway.seen.lock().unwrap().clone();
    assert_eq!(seen[0].1, seen[1].1);
    assert_eq!(seen[2].0["x-telegram-bot-api-secret-token"], "wrong");
    assert!(!seen[3].0.contains_key("x-telegram-bot-api-secret-token"));
    assert_eq!(seen[4].1, seen[5].1);
}

#[tokio::test]
async fn gone_is_believed_after_a_day_only() {
    let telegram = start(Options {
        speed: 1_000_000,
        rate_limits: false,
        ..Options::default()
    })
    .await;
    let script: Vec<Response> = (0..10_000).map(|_| StatusCode::GONE.into_response()).collect();
    let (_gateway, url) = Gateway::start(script).await;
    call(&telegram, "setWebhook", json!({"url": url})).await;
    let lan = telegram.user("Lan");
    lan.writes("a").unwrap();
    telegram
        .wait_for(|view| view.counters().failed_deliveries > 2, SOON)
        .await
        .unwrap();
    let deadline = Instant::now() + SOON;
    while telegram.webhook_info()["url"] != "" {
        assert!(Instant::now() < deadline, "the webhook stays set");
        lan.writes("b").unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn another_webhook_gets_what_the_one_before_had_in_hand() {
    let telegram = quick().await;
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    call(&telegram, "setWebhook", json!({"url": url})).await;
    telegram.user("Lan").writes("a").unwrap();
    telegram.wait_for(|view| view.in_flight() == 1, SOON).await.unwrap();
    let (gateway, url) = Gateway::start([]).await;
    call(&telegram, "setWebhook", json!({"url": url})).await;
    delivered(&telegram, 1).await;
    drop(silent);
    for number in 0..20 {
        telegram.user("Minh").writes("b").unwrap();
        delivered(&telegram, number + 2).await;
    }
    assert_eq!(gateway.texts()[0], "a");
    assert_eq!(
        telegram.counters().failed_deliveries,
        0,
        "the first webhook's failure is nobody's any more"
    );
}

#[tokio::test]
async fn what_waits_can_be_dropped() {
    let telegram = quick().await;
    telegram.user("Lan").writes("a").unwrap();
    assert_eq!(telegram.webhook_info()["pending_update_count"], 1);
    call(&telegram, "deleteWebhook", json!({"drop_pending_updates": true})).await;
    assert_eq!(telegram.webhook_info()["pending_update_count"], 0);
    assert_eq!(telegram.counters().dropped, 1);
}

#[tokio::test]
async fn a_poll_confirms_by_its_offset() {
    let telegram = quick().await;
    let lan = telegram.user("Lan");
    for text in ["a", "b", "c"] {
        lan.writes(text).unwrap();
    }
    let texts = |body: &Value| -> Vec<String> {
        let list = body["result"].as_array().unwrap();
        list.iter()
            .map(|update| update["message"]["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, all) = call(&telegram, "getUpdates", json!({})).await;
    assert_eq!(texts(&all), ["a", "b", "c"]);
    let (_, two) = call(&telegram, "getUpdates", json!({"limit": 2})).await;
    assert_eq!(texts(&two), ["a", "b"], "nothing was confirmed");
    let next = two["result"][1]["update_id"].as_u64().unwrap() + 1;
    let (_, rest) = call(&telegram, "getUpdates", json!({"offset": next})).await;
    assert_eq!(texts(&rest), ["c"]);
    let (_, last) = call(&telegram, "getUpdates", json!({"offset": -1})).await;
    assert_eq!(texts(&last), ["c"]);
    let (_, none) = call(&telegram, "getUpdates", json!({"offset": next + 1})).await;
    assert_eq!(texts(&none), Vec::<String>::new());
    assert_eq!(telegram.counters().delivered, 3);
}

#[tokio::test]
async fn a_long_poll_wakes_and_a_second_one_ends_it() {
    let telegram = quick().await;
    let long = || call(&telegram, "getUpdates", json!({"timeout": 30}));
    let write = async {
        tokio::task::yield_now().await;
        telegram.user("Lan").writes("a")
    };
    let ((_, woken), _) = tokio::join!(long(), write);
    assert_eq!(woken["result"][0]["message"]["text"], "a");
    let offset = woken["result"][0]["update_id"].as_u64().unwrap() + 1;
    let confirm = json!({"timeout": 30, "offset": offset});
    let first = call(&telegram, "getUpdates", confirm.clone());
    let second = async {
        telegram.wait_for(|view| view.bot.poll == 2, SOON).await.unwrap();
        call(&telegram, "getUpdates", json!({"timeout": 0, "offset": offset})).await
    };
    let both = async { tokio::join!(first, second) };
    let ((status, ended), (ok, _)) = timeout(SOON, both).await.unwrap();
    assert_eq!((status, ok), (409, 200));
    assert_eq!(
        ended["description"],
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
}

#[tokio::test]
async fn a_webhook_and_a_poll_exclude_each_other() {
    let telegram = quick().await;
    let (_gateway, url) = Gateway::start([]).await;
    let poll = call(&telegram, "getUpdates", json!({"timeout": 30}));
    let set = async {
        telegram.wait_for(|view| view.bot.poll == 1, SOON).await.unwrap();
        call(&telegram, "setWebhook", json!({"url": url})).await
    };
    let ((status, ended), _) = tokio::join!(poll, set);
    assert_eq!(
        (status, ended["description"].as_str()),
        (409, Some("Conflict: terminated by setWebhook request"))
    );
    let (status, refused) = call(&telegram, "getUpdates", json!({})).await;
    assert_eq!(status, 409);
    assert!(
        refused["description"]
            .as_str()
            .unwrap()
            .starts_with("Conflict: can't use getUpdates method while webhook")
    );
    let (_, deleted) = call(&telegram, "deleteWebhook", json!({})).await;
    assert_eq!(deleted["description"], "Webhook was deleted");
    assert_eq!(call(&telegram, "getUpdates", json!({})).await.0, 200);
}

fn rule(method: &str, fault: Fault) -> FaultRule {
    FaultRule {
        method: Some(method.to_owned()),
        fault,
        times: 1,
        after: 0,
    }
}

#[tokio::test]
async fn faults_strike_as_often_as_asked_and_only_their_method() {
    let telegram = quick().await;
    let message = json!({"chat_id": telegram.user("Lan").id(), "text": "a"});
    telegram.fault(FaultRule {
        times: 2,
        after: 1,
        ..rule("SendMessage", Fault::TooManyRequests { retry_after: 7 })
    });
    telegram.fault(rule("sendMessage", Fault::BadGateway));
    telegram.fault(rule("sendMessage", Fault::InternalError));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        assert_eq!(call(&telegram, "getMe", json!({})).await.0, 200);
        statuses.push(call(&telegram, "sendMessage", message.clone()).await.0);
    }
    // The first call passes by the first rule and meets the next one.
    assert_eq!(statuses, [502, 429, 429, 500, 200, 200]);
    assert_eq!(telegram.sent().len(), 2);
    let throttled = &telegram
        .journal()
        .into_iter()
        .find(|entry| entry.status == 429)
        .unwrap();
    assert_eq!(throttled.error.as_deref(), Some("Too Many Requests: retry after 7"));
    assert_eq!(throttled.params["text"], "a");
}

#[tokio::test]
async fn silence_and_resets_before_and_after_the_effect() {
    let options = Options {
        silence: Duration::from_millis(50),
        rate_limits: false,
        ..Options::default()
    };
    let telegram = start(options).await;
    let message = json!({"chat_id": telegram.user("Lan").id(), "text": "a"}).to_string();
    for (fault, effects) in [
        (Fault::SilenceBefore, 0),
        (Fault::ResetBefore, 0),
        (Fault::SilenceAfter, 1),
        (Fault::ResetAfter, 2),
    ] {
        telegram.fault(rule("sendMessage", fault.clone()));
        let url = format!("{}/bot{}/sendMessage", telegram.base_url(), telegram.token());
        let error = http("POST", url, "application/json", message.clone())
            .await
            .unwrap_err();
        assert!(!error.contains("Connect)"), "{error}");
        assert_eq!(telegram.counters().sent, effects, "{fault:?}");
    }
    telegram.fault(rule("sendMessage", Fault::Garbled));
    let url = format!("{}/bot{}/sendMessage", telegram.base_url(), telegram.token());
    assert_eq!(
        http("POST", url, "application/json", message).await,
        Ok((200, Value::Null))
    );
    assert_eq!((telegram.counters().sent, telegram.counters().repeated), (3, 2));
    assert_eq!(telegram.journal().iter().filter(|entry| entry.status == 0).count(), 4);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let telegram = quick().await;
    telegram.fault(rule("getMe", Fault::ResetBefore));
    let mut stream = TcpStream::connect(telegram.address()).await.unwrap();
    let request = format!("GET /bot{}/getMe HTTP/1.1\r\nhost: x\r\n\r\n", telegram.token());
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = stream.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn everything_can_be_controlled_over_http() {
    let telegram = quick().await;
    let (gateway, url) = Gateway::start([]).await;
    call(&telegram, "setWebhook", json!({"url": url})).await;
    let (_, user) = control(&telegram, "POST", "/users", json!({"first_name": "Hà"})).await;
    let act = json!({"user": user["id"], "do": "text", "text": "chào"});
    let (_, done) = control(&telegram, "POST", "/act", act).await;
    assert_eq!(done["updates"].as_array().unwrap().len(), 1);
    let burst = json!({"users": [user["id"]], "count": 5, "text": "tin"});
    assert_eq!(
        control(&telegram, "POST", "/burst", burst).await.1,
        json!({"updates": 5})
    );
    let wait = json!({"counter": "delivered", "at_least": 6});
    assert_eq!(control(&telegram, "POST", "/wait", wait).await.1["delivered"], 6);
    assert_eq!(gateway.texts(), ["chào", "tin 0", "tin 1", "tin 2", "tin 3", "tin 4"]);
    let never = json!({"counter": "delivered", "at_least": 7, "deadline_ms": 1});
    assert_eq!(control(&telegram, "POST", "/wait", never).await.0, 408);
    let fault = json!({"method": "getMe", "fault": {"kind": "refused", "code": 403, "description": "Forbidden: no"}});
    assert_eq!(control(&telegram, "POST", "/faults", fault).await.0, 200);
    assert_eq!(call(&telegram, "getMe", json!({})).await.0, 403);
    let unknown = json!({"user": 1, "do": "start"});
    assert_eq!(
        control(&telegram, "POST", "/act", unknown).await,
        (404, json!({"error": "unknown user"}))
    );
    let other = format!("/counters?bot={}", 5);
    assert_eq!(control(&telegram, "GET", &other, json!({})).await.0, 404);
}

/// The kinds of the updates that wait, and their content.
async fn waiting(telegram: &TelegramHandle) -> Vec<(String, Value)> {
    let (_, body) = call(telegram, "getUpdates", json!({})).await;
    let kind = |update: &Value| {
        let (name, content) = update.as_object()?.iter().find(|(name, _)| *name != "update_id")?;
        Some((name.clone(), content.clone()))
    };
    body["result"].as_array().unwrap().iter().filter_map(kind).collect()
}

fn kinds(updates: &[(String, Value)]) -> Vec<&str> {
    updates.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn people_write_and_change_their_minds() {
    let telegram = quick().await;
    let allowed = json!({"allowed_updates": ["message", "edited_message", "message_reaction"]});
    call(&telegram, "getUpdates", allowed).await;
    let lan = telegram.user("Lan");
    let first = lan
        .does(Action::Start {
            payload: Some("ref".to_owned()),
        })
        .unwrap()
        .messages[0];
    lan.replies(first, "đáp").unwrap();
    lan.does(Action::Album {
        photos: vec![crate::telegram::Media::default(); 2],
    })
    .unwrap();
    let (title, address) = ("Hồ Gươm".to_owned(), "Hà Nội".to_owned());
    lan.does(Action::Venue {
        latitude: 21.0,
        longitude: 105.8,
        title,
        address,
    })
    .unwrap();
    lan.does(Action::Edit {
        message_id: first,
        text: "sửa".to_owned(),
    })
    .unwrap();
    lan.does(Action::React {
        message_id: first,
        emoji: Some("👍".to_owned()),
    })
    .unwrap();
    let updates = waiting(&telegram).await;
    let mut expected = vec!["message"; 5];
    expected.extend(["edited_message", "message_reaction"]);
    assert_eq!(kinds(&updates), expected);
    assert_eq!(updates[0].1["text"], "/start ref");
    assert_eq!(updates[1].1["reply_to_message"]["message_id"], first);
    assert_eq!(updates[2].1["media_group_id"], updates[3].1["media_group_id"]);
    assert_eq!(updates[4].1["location"], updates[4].1["venue"]["location"]);
    assert_eq!(updates[5].1["text"], "sửa");
    assert_eq!(updates[6].1["new_reaction"], json!([{"type": "emoji", "emoji": "👍"}]));
}

#[tokio::test]
async fn people_come_and_go() {
    let telegram = quick().await;
    call(
        &telegram,
        "getUpdates",
        json!({"allowed_updates": ["message", "chat_member", "my_chat_member"]}),
    )
    .await;
    let lan = telegram.user("Lan");
    let group = telegram.group(ChatKind::Group, "nhóm", &[]);
    lan.does_in(group, Action::Join).unwrap();
    lan.writes_in(group, "trong nhóm").unwrap();
    lan.does_in(group, Action::Leave).unwrap();
    assert_eq!(
        lan.writes_in(group, "ngoài").unwrap_err(),
        ControlError::Impossible("not a member of this chat")
    );
    lan.blocks().unwrap();
    let updates = waiting(&telegram).await;
    assert_eq!(
        kinds(&updates),
        [
            "message",
            "chat_member",
            "message",
            "message",
            "chat_member",
            "my_chat_member"
        ]
    );
    assert_eq!(updates[0].1["new_chat_members"][0]["id"], lan.id());
    assert_eq!(updates[5].1["new_chat_member"]["status"], "kicked");
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_server() {
    let telegram = quick().await;
    let address = telegram.address();
    let user = telegram.user("Lan");
    drop(telegram);
    TcpStream::connect(address).await.unwrap();
    drop(user);
    let deadline = Instant::now() + SOON;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "still listening");
        tokio::task::yield_now().await;
    }
}
