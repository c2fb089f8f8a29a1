//! Calls and callbacks.

use super::SpeedsmsOptions;
use crate::clock::Now;
use crate::texting::{
    Call, Callback, Desk, Face, Fate, Fault, Incoming, Reply, Retry, SentMessage, basic, digits, segments,
};
use axum::http::Method;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// Path of the API.
pub(super) const PREFIX: &str = "/index.php";
/// In dong.
const PRICE: u64 = 250;
/// Docs: numbers of one call.
const MAX_NUMBERS: usize = 100;
/// Longest text, in SMS segments.
const MAX_SEGMENTS: usize = 10;
/// Messages whose state can be asked for.
const MAX_KEPT: usize = 20_000;
const MINUTE: Duration = Duration::from_secs(60);
const REPORTED_AFTER: Duration = Duration::from_millis(1000);
const RETRIES: u32 = 2;
const PAUSE: Duration = Duration::from_secs(5);

pub(super) struct SpeedsmsFace {
    options: SpeedsmsOptions,
    states: HashMap<String, Vec<(String, i64)>>,
    order: VecDeque<String>,
}

impl SpeedsmsFace {
    pub(super) fn new(options: SpeedsmsOptions) -> Self {
        Self {
            options,
            states: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn send(&mut self, desk: &mut Desk, body: &Value, now: Now) -> Reply {
        let content = body.get("content").and_then(Value::as_str).unwrap_or_default();
        let sender = body.get("sender").and_then(Value::as_str).unwrap_or_default();
        let kind = body.get("sms_type").and_then(Value::as_u64).unwrap_or(0);
        let numbers = body.get("to").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_brandname =
            self.options.brandnames.is_empty() || self.options.brandnames.iter().any(|own| own == sender);
        let problem = [
            (numbers.is_empty() || numbers.len() > MAX_NUMBERS, "101"),
            (content.is_empty(), "101"),
            (!(1..=8).contains(&kind), "101"),
            (kind == 3 && (sender.is_empty() || !is_brandname), "101"),
            (segments(content) > MAX_SEGMENTS, "113"),
        ];
        if let Some((_, code)) = problem.into_iter().find(|(holds, _)| *holds) {
            return refused(code, "Invalid or missing parameters");
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for number in &numbers {
            let written = number.as_str().unwrap_or_default();
            match digits(written) {
                Some(number) => good.push(number),
                None => bad.push(written.to_owned()),
            }
        }
        if good.is_empty() {
            return refused("105", "Phone number invalid");
        }
        let refusal = good.iter().find_map(|number| match desk.fate(number) {
            Fate::Refused { code } => Some(code),
            _ => None,
        });
        if let Some(code) = refusal {
            return refused(&code, "Refused");
        }
        let count = u64::try_from(good.len() * segments(content)).unwrap_or(u64::MAX);
        let price = PRICE.saturating_mul(count);
        if self.options.balance < price {
            return refused("300", "Your account balance not enough to send sms");
        }
        self.options.balance -= price;
        let id = 50_000_000 + desk.next_id();
        let mut states = Vec::new();
        for to in good {
            states.push((to.clone(), self.deliver(desk, id, &to, (sender, content), now)));
        }
        self.keep(id.to_string(), states);
        Reply::ok(
            200,
            json!({
                "status": "success",
                "code": "00",
                "data": {"tranId": id, "totalSMS": count, "totalPrice": price, "invalidPhone": bad},
            }),
        )
    }

    /// Sends to one number; the status that is reported.
    fn deliver(&self, desk: &mut Desk, id: u64, to: &str, (from, text): (&str, &str), now: Now) -> i64 {
        desk.sent(SentMessage {
            number: 0,
            unix: now.unix,
            id: id.to_string(),
            to: to.to_owned(),
            from: from.to_owned(),
            text: text.to_owned(),
            media: Vec::new(),
            key: String::new(),
            segments: segments(text),
            copies: 0,
        });
        let status = match desk.fate(to) {
            Fate::Delivered => 0,
            Fate::Failed { code } => code.parse().unwrap_or(64),
            Fate::Silent | Fate::Refused { .. } => return -1,
        };
        if let Some(url) = desk.options.webhook.clone() {
            let report = json!({"type": "report", "tranId": id, "phone": to, "status": status});
            desk.call_back(REPORTED_AFTER, posted(url, &report, &id.to_string()), now);
        }
        status
    }

    fn keep(&mut self, id: String, states: Vec<(String, i64)>) {
        self.order.push_back(id.clone());
        self.states.insert(id, states);
        if self.order.len() > MAX_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
    }

    fn status_of(&self, id: &str) -> Reply {
        let Some(states) = self.states.get(id) else {
            return refused("101", "tranId not found");
        };
        let data: Vec<Value> = states
            .iter()
            .map(|(phone, status)| json!({"phone": phone, "status": status}))
            .collect();
        Reply::ok(200, json!({"status": "success", "code": "00", "data": data}))
    }
}

impl Face for SpeedsmsFace {
    fn sends(&self, call: &Call) -> bool {
        call.method == Method::POST && call.path.ends_with("/sms/send")
    }

    fn call(&mut self, desk: &mut Desk, call: &Call, now: Now) -> Reply {
        let user = basic(&call.headers).map(|(user, _)| user);
        if user.as_deref() != Some(self.options.access_token.as_str()) {
            return plain(401, "Unauthorized", "Your request was made with invalid credentials.");
        }
        if !desk.is_within_rate(self.options.calls_per_minute, MINUTE, now) {
            let wait = desk.window_ends_in(MINUTE, now).as_secs() + 1;
            let mut reply = plain(429, "Too Many Requests", "Rate limit exceeded.");
            reply.headers.push(("x-rate-limit-reset", wait.to_string()));
            return reply;
        }
        let path = call.path.strip_prefix(PREFIX).unwrap_or_default();
        match (call.method.as_str(), path) {
            ("POST", "/sms/send") => match call.json() {
                Some(body) => self.send(desk, &body, now),
                None => refused("101", "Invalid or missing parameters"),
            },
            ("GET", "/user/info") => Reply::ok(
                200,
                json!({"email": "sandbox@example.vn", "balance": self.options.balance, "currency": "VND"}),
            ),
            ("GET", path) if path.starts_with("/sms/status/") => self.status_of(&path["/sms/status/".len()..]),
            _ => plain(404, "Not Found", "Page not found."),
        }
    }

    fn spoiled(&self, fault: &Fault) -> Reply {
        match fault {
            Fault::TooManyRequests => {
                let mut reply = plain(429, "Too Many Requests", "Rate limit exceeded.");
                reply.headers.push(("x-rate-limit-reset", "1".to_owned()));
                reply
            }
            Fault::Refused { code, text } => refused(code, text),
            _ => plain(500, "Internal Server Error", "An internal server error occurred."),
        }
    }

    fn incoming(&mut self, desk: &mut Desk, incoming: &Incoming, _: Now) -> (String, Option<Callback>) {
        let id = desk.next_id().to_string();
        let phone = digits(&incoming.from).unwrap_or_else(|| incoming.from.clone());
        let body = json!({"type": self.options.incoming_type, "phone": phone, "content": incoming.text});
        let callback = desk.options.webhook.clone().map(|url| posted(url, &body, &id));
        (id, callback)
    }
}

fn posted(url: String, body: &Value, about: &str) -> Callback {
    Callback {
        method: "POST",
        url,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.to_string(),
        retries: RETRIES,
        retry: Retry::Any,
        pause: PAUSE,
        about: about.to_owned(),
    }
}

fn refused(code: &str, message: &str) -> Reply {
    Reply::error(200, code, json!({"status": "error", "code": code, "message": message}))
}

/// An error of the server in front of the API.
fn plain(status: u16, name: &str, message: &str) -> Reply {
    let body = json!({"name": name, "message": message, "code": 0, "status": status});
    Reply::error(status, status.to_string(), body)
}
