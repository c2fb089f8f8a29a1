//! Calls and callbacks.

use super::EsmsOptions;
use crate::clock::Now;
use crate::texting::{
    Call, Callback, Desk, Face, Fate, Fault, Incoming, Reply, Retry, SentMessage, digits, percent, query, segments,
};
use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

/// Path of the API.
pub(super) const PREFIX: &str = "/MainService.svc/json";
/// In dong.
const PRICE: u64 = 850;
/// Docs: longest `RequestId`.
const MAX_KEY: usize = 50;
/// Docs: numbers of an advertisement.
const LIST: std::ops::RangeInclusive<usize> = 30..=5000;
/// Messages whose state can be asked for.
const MAX_KEPT: usize = 20_000;
/// Delays of the steps after acceptance.
const SENT_AFTER: Duration = Duration::from_millis(300);
const ENDED_AFTER: Duration = Duration::from_millis(1500);
/// Docs: a callback is tried five times.
const RETRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(10);
/// Seconds by which Vietnam is ahead of UTC.
const VIETNAM: i32 = 7 * 3600;

pub(super) struct EsmsFace {
    options: EsmsOptions,
    states: HashMap<String, State>,
    order: VecDeque<String>,
}

/// What `GetSendStatus` tells.
struct State {
    status: u8,
    failed: bool,
    price: u64,
}

/// A message as it is sent.
struct Sending<'a> {
    to: String,
    from: &'a str,
    text: &'a str,
    key: &'a str,
    callback: &'a str,
    kind: &'a str,
}

impl EsmsFace {
    pub(super) fn new(options: EsmsOptions) -> Self {
        Self {
            options,
            states: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn is_authenticated(&self, key: &str, secret: &str) -> bool {
        key == self.options.api_key && secret == self.options.secret_key
    }

    fn is_brandname(&self, name: &str) -> bool {
        !name.is_empty()
            && (self.options.brandnames.is_empty() || self.options.brandnames.iter().any(|own| own == name))
    }

    /// `SendMultipleMessage_V4_post_json`.
    fn send(&mut self, desk: &mut Desk, body: &Value, now: Now) -> Reply {
        let get = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = get("SmsType");
        let (key, content) = (get("RequestId"), get("Content"));
        let phone = Some(get("Phone")).filter(|phone| !phone.contains(',')).and_then(digits);
        let problem = [
            (!self.is_authenticated(get("ApiKey"), get("SecretKey")), "101"),
            (kind.is_empty(), "300"),
            (!matches!(kind, "2" | "8"), "118"),
            (kind == "8" && get("Phone").contains(','), "163"),
            (phone.is_none(), "108"),
            (kind == "2" && !self.is_brandname(get("Brandname")), "104"),
            (content.is_empty() || key.len() > MAX_KEY, "110"),
        ];
        if let Some((_, code)) = problem.into_iter().find(|(holds, _)| *holds) {
            return refused(code);
        }
        let phone = phone.unwrap_or_default();
        let fate = desk.fate(&phone);
        if let Fate::Refused { code } = &fate {
            return refused(code);
        }
        let price = PRICE * u64::try_from(segments(content)).unwrap_or(1);
        if self.options.balance < price {
            return refused("103");
        }
        if !desk.is_new(key) {
            return refused("124");
        }
        // Docs, `Sandbox`: checked, neither delivered nor charged.
        let is_trial = get("Sandbox") == "1";
        let sending = Sending {
            to: phone,
            from: get("Brandname"),
            text: content,
            key,
            callback: if is_trial { "" } else { get("CallbackUrl") },
            kind,
        };
        if !is_trial {
            self.options.balance -= price;
        }
        let id = self.accept(desk, &sending, &fate, price, now);
        Reply::ok(200, json!({"CodeResult": "100", "CountRegenerate": 0, "SMSID": id}))
    }

    /// `SendMultipleSMSBrandname_json`: advertising to a list.
    fn advertise(&mut self, desk: &mut Desk, body: &Value, now: Now) -> Reply {
        let get = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let phones = body
            .get("Phones")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let distinct: BTreeSet<String> = phones.iter().filter_map(Value::as_str).filter_map(digits).collect();
        let problem = [
            (!self.is_authenticated(get("ApiKey"), get("SecretKey")), "101"),
            (get("SmsType") != "1", "118"),
            (!self.is_brandname(get("Brandname")), "104"),
            (distinct.len() < *LIST.start(), "107"),
            (distinct.len() > *LIST.end(), "120"),
            (get("Content").is_empty(), "110"),
        ];
        if let Some((_, code)) = problem.into_iter().find(|(holds, _)| *holds) {
            return refused(code);
        }
        if !desk.is_new(get("RequestId")) {
            return refused("124");
        }
        let mut id = String::new();
        for to in distinct {
            let fate = desk.fate(&to);
            let sending = Sending {
                to,
                from: get("Brandname"),
                text: get("Content"),
                key: get("RequestId"),
                callback: get("CallbackUrl"),
                kind: "1",
            };
            id = self.accept(desk, &sending, &fate, PRICE, now);
        }
        Reply::ok(200, json!({"CodeResult": "100", "CountRegenerate": 0, "SMSID": id}))
    }

    fn accept(&mut self, desk: &mut Desk, sending: &Sending<'_>, fate: &Fate, price: u64, now: Now) -> String {
        let number = desk.next_id();
        let id = format!("{number:08x}-5a5a-4b4b-8c8c-{number:012x}");
        desk.sent(SentMessage {
            number: 0,
            unix: now.unix,
            id: id.clone(),
            to: sending.to.clone(),
            from: sending.from.to_owned(),
            text: sending.text.to_owned(),
            media: Vec::new(),
            key: sending.key.to_owned(),
            segments: segments(sending.text),
            copies: 0,
        });
        let steps: &[(Duration, u8)] = match fate {
            Fate::Silent => &[],
            _ => &[(SENT_AFTER, 7), (ENDED_AFTER, 5)],
        };
        for (after, status) in steps {
            if !sending.callback.is_empty() {
                let url = self.report(sending, &id, *status, fate, price, now);
                desk.call_back(*after, get_of(url, &id), now);
            }
        }
        let failed = matches!(fate, Fate::Failed { .. });
        let status = if matches!(fate, Fate::Silent) { 2 } else { 5 };
        self.order.push_back(id.clone());
        self.states.insert(id.clone(), State { status, failed, price });
        if self.order.len() > MAX_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
        id
    }

    /// The address of a report.
    fn report(&self, sending: &Sending<'_>, id: &str, status: u8, fate: &Fate, price: u64, now: Now) -> String {
        let failed = match fate {
            Fate::Failed { code } if status == 5 => Some(code.as_str()),
            _ => None,
        };
        let succeeded = status == 5 && failed.is_none();
        let flag = |on: bool| if on { "1" } else { "0" };
        let price = price.to_string();
        let status = status.to_string();
        let mut url = sending.callback.to_owned();
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&query([
            ("SMSID", id),
            ("RequestId", sending.key),
            ("SendStatus", &status),
            ("SendSuccess", flag(succeeded)),
            ("SendFailed", flag(failed.is_some())),
            ("TotalReceiver", "1"),
            ("TotalSent", "1"),
            ("TotalPrice", &price),
            ("TypeId", sending.kind),
            ("telcoid", telco(&sending.to)),
            ("phonenumber", &sending.to),
            ("partnerids", ""),
        ]));
        if let Some(code) = failed {
            let detail = json!({"error": code, "message": "Khong gui duoc"}).to_string();
            let once = percent(&detail);
            let written = if self.options.double_encoding {
                percent(&once)
            } else {
                once
            };
            url.push_str(&format!(
                "&error_info={written}____{}",
                percent(&local(now.unix, "%Y-%m-%d %H:%M:%S"))
            ));
        }
        url
    }

    fn status_of(&self, call: &Call) -> Reply {
        let get = |name: &str| call.in_query(name).unwrap_or_default();
        if !self.is_authenticated(&get("ApiKey"), &get("SecretKey")) {
            return Reply::error(200, "101", json!({"CodeResponse": "101"}));
        }
        let id = get("RefId");
        let Some(state) = self.states.get(&id) else {
            return Reply::error(200, "105", json!({"CodeResponse": "105"}));
        };
        let count = |on: bool| u8::from(on && state.status == 5);
        Reply::ok(
            200,
            json!({
                "CodeResponse": "100",
                "SMSID": id,
                "SendStatus": state.status.to_string(),
                "SendSuccess": count(!state.failed).to_string(),
                "SendFailed": count(state.failed).to_string(),
                "TotalPrice": state.price.to_string(),
                "TotalReceiver": "1",
                "TotalSent": "1",
            }),
        )
    }

    fn balance(&self, body: &Value) -> Reply {
        let get = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if !self.is_authenticated(get("ApiKey"), get("SecretKey")) {
            return Reply::error(200, "101", json!({"CodeResponse": "101"}));
        }
        Reply::ok(
            200,
            json!({"Balance": self.options.balance, "CodeResponse": "100", "UserID": 77}),
        )
    }
}

impl Face for EsmsFace {
    fn sends(&self, call: &Call) -> bool {
        call.method == Method::POST && call.path.contains("/SendMultiple")
    }

    fn call(&mut self, desk: &mut Desk, call: &Call, now: Now) -> Reply {
        let name = call.path.strip_prefix(PREFIX).unwrap_or_default().trim_matches('/');
        let body = call.json();
        match (call.method.as_str(), name, &body) {
            ("POST", "SendMultipleMessage_V4_post_json", Some(body)) => self.send(desk, body, now),
            ("POST", "SendMultipleSMSBrandname_json", Some(body)) => self.advertise(desk, body, now),
            ("POST", "GetBalance_json", Some(body)) => self.balance(body),
            ("GET", "GetSendStatus", _) => self.status_of(call),
            ("POST", _, None) => Reply::error(400, "110", json!("Bad Request")),
            _ => Reply::error(404, "404", json!("Endpoint not found.")),
        }
    }

    fn spoiled(&self, fault: &Fault) -> Reply {
        match fault {
            Fault::TooManyRequests => Reply::error(429, "429", json!("Too Many Requests")),
            Fault::Refused { code, .. } => refused(code),
            _ => Reply::error(
                500,
                "500",
                json!("The server encountered an error processing the request."),
            ),
        }
    }

    fn incoming(&mut self, desk: &mut Desk, incoming: &Incoming, now: Now) -> (String, Option<Callback>) {
        let id = format!("{}", 700_000 + desk.next_id());
        let Some(webhook) = desk.options.webhook.clone() else {
            return (id, None);
        };
        let sender = digits(&incoming.from).unwrap_or_else(|| incoming.from.clone());
        let time = local(now.unix, "%Y%m%d%H%M%S");
        let keyword = incoming.text.split_whitespace().next().unwrap_or_default();
        let mut digest = Md5::new();
        for part in ["77", &id, &incoming.text, &time, &self.options.mo_private_key] {
            digest.update(part.as_bytes());
        }
        let sign = STANDARD.encode(digest.finalize());
        let parameters = query([
            ("sender", sender.as_str()),
            ("content", &incoming.text),
            ("serviceNumber", &incoming.to),
            ("keyword", keyword),
            ("sign", &sign),
            ("cpid", "77"),
            ("smsid", &id),
            ("receiverTime", &time),
        ]);
        let joint = if webhook.contains('?') { '&' } else { '?' };
        let callback = get_of(format!("{webhook}{joint}{parameters}"), &id);
        (id, Some(callback))
    }
}

fn get_of(url: String, about: &str) -> Callback {
    Callback {
        method: "GET",
        url,
        headers: Vec::new(),
        body: String::new(),
        retries: RETRIES,
        retry: Retry::Silence,
        pause: PAUSE,
        about: about.to_owned(),
    }
}

fn refused(code: &str) -> Reply {
    let body = json!({"CodeResult": code, "CountRegenerate": 0, "ErrorMessage": "Yeu cau bi tu choi"});
    Reply::error(200, code, body)
}

/// By the prefix alone: nobody ports a number in a sandbox.
fn telco(digits: &str) -> &'static str {
    match digits.get(2..4).unwrap_or_default() {
        "32" | "33" | "34" | "35" | "36" | "37" | "38" | "39" | "86" | "96" | "97" | "98" => "1",
        "70" | "76" | "77" | "78" | "79" | "89" | "90" | "93" => "2",
        "81" | "82" | "83" | "84" | "85" | "88" | "91" | "94" => "3",
        "52" | "56" | "58" | "92" => "4",
        "59" | "99" => "5",
        "87" => "6",
        "55" => "7",
        _ => "9",
    }
}

fn local(unix: i64, format: &str) -> String {
    let zone = Offset::from_seconds(VIETNAM)
        .map(TimeZone::fixed)
        .unwrap_or(TimeZone::UTC);
    Timestamp::from_second(unix).map_or_else(|_| String::new(), |at| at.to_zoned(zone).strftime(format).to_string())
}
