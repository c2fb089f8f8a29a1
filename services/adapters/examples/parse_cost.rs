//! Prints what verifying and translating a webhook costs, beside parsing the same payload to a generic JSON tree:
//! `cargo run --release -p omnigate-adapters --example parse_cost`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measurement for people")]

use bytes::Bytes;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    port::adapter::WebhookRequest,
    time::Moment,
};
use serde_json::{Value, json};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

const TEXT: &str = r#"{"update_id":810000001,"message":{"message_id":401,"from":{"id":5550001234,"is_bot":false,"first_name":"Lan","last_name":"Trần","username":"lan_tran","language_code":"vi"},"chat":{"id":5550001234,"first_name":"Lan","last_name":"Trần","username":"lan_tran","type":"private"},"date":1767323000,"text":"Chào shop, áo này còn size M không?"}}"#;

const PHOTO: &str = r#"{"update_id":810000007,"message":{"message_id":406,"from":{"id":5550001234,"is_bot":false,"first_name":"Lan","last_name":"Trần","username":"lan_tran","language_code":"vi"},"chat":{"id":5550001234,"first_name":"Lan","last_name":"Trần","username":"lan_tran","type":"private"},"date":1767323000,"photo":[{"file_id":"AgACAgUAAxkBAAIBQ2-small","file_unique_id":"AQADs","file_size":1200,"width":90,"height":60},{"file_id":"AgACAgUAAxkBAAIBQ2-mid","file_unique_id":"AQADm","file_size":22000,"width":320,"height":213},{"file_id":"AgACAgUAAxkBAAIBQ2-large","file_unique_id":"AQADl","file_size":182044,"width":1280,"height":853}],"caption":"Mẫu này ạ"}}"#;

const CALLBACK: &str = r#"{"update_id":810000063,"callback_query":{"id":"23801283101","from":{"id":5550001234,"is_bot":false,"first_name":"Lan","last_name":"Trần","username":"lan_tran","language_code":"vi"},"message":{"message_id":456,"from":{"id":7000000001,"is_bot":true,"first_name":"Shop bot","username":"shop_bot"},"chat":{"id":5550001234,"first_name":"Lan","last_name":"Trần","username":"lan_tran","type":"private"},"date":1767323000,"text":"Chốt đơn?","reply_markup":{"inline_keyboard":[[{"text":"Đồng ý","callback_data":"ok:77"},{"text":"Không","callback_data":"no:77"}]]}},"chat_instance":"-77","data":"ok:77"}}"#;

const UNSUPPORTED: &str = r#"{"update_id":810000083,"poll_answer":{"poll_id":"5500000000000000001","user":{"id":5550001234,"is_bot":false,"first_name":"Lan","last_name":"Trần","username":"lan_tran","language_code":"vi"},"option_ids":[0]}}"#;

fn settings(value: Value) -> Settings {
    match value {
        Value::Object(map) => Settings(map),
        _ => Settings::default(),
    }
}

/// The fastest of several rounds: everything slower is the machine's doing.
fn fastest(mut call: impl FnMut()) -> Duration {
    let round = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed() / CALLS
    };
    let times = (0..ROUNDS).map(|_| round(&mut call));
    times.min().unwrap_or_default()
}

fn main() {
    let settings = settings(json!({ "bot_token": "7000000001:TEST", "secret_token": "a-secret" }));
    let app = App {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        settings: settings.clone(),
        implicit: true,
    };
    let account = Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings,
        limits: Limits::default(),
    };
    let kind = omnigate_adapters::kind("telegram", "").expect("telegram is in the list");
    let webhook = kind.open_webhook(&app, &[account]).expect("the settings are right");
    let webhook = webhook.expect("telegram has webhooks");
    for (name, body) in [
        ("text", TEXT),
        ("photo", PHOTO),
        ("callback", CALLBACK),
        ("unsupported", UNSUPPORTED),
    ] {
        let request = WebhookRequest {
            method: "POST".into(),
            query: String::new(),
            headers: vec![(
                "x-telegram-bot-api-secret-token".into(),
                Bytes::from_static(b"a-secret"),
            )],
            body: Bytes::from_static(body.as_bytes()),
            remote: None,
            received_at: Moment(1_767_323_045_678),
        };
        let tree = fastest(|| {
            black_box(serde_json::from_slice::<Value>(black_box(&request.body)).ok());
        });
        let ours = fastest(|| {
            black_box(webhook.receive(black_box(&request), true));
        });
        let ratio = ours.as_secs_f64() / tree.as_secs_f64();
        println!("{name}: verify + translate {ours:?}, generic tree {tree:?}, ratio {ratio:.2}");
    }
}
