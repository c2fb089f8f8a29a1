//! Calls and callbacks.

use super::{TwilioOptions, resource::Resource, sign::signature};
use crate::clock::Now;
use crate::texting::{
    Call, Callback, Desk, Face, Fate, Fault, Incoming, Reply, Retry, SentMessage, basic, digits, is_address, query,
    segments,
};
use axum::http::Method;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

/// API: characters of a text and media of a message.
const MAX_TEXT: usize = 1600;
const MAX_MEDIA: usize = 10;
/// Messages that can be fetched.
const MAX_KEPT: usize = 20_000;
/// Delays of the steps after acceptance.
const SENT_AFTER: Duration = Duration::from_millis(300);
const ENDED_AFTER: Duration = Duration::from_millis(1200);
/// Pause before a callback is made again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct TwilioFace {
    options: TwilioOptions,
    messages: HashMap<String, Resource>,
    order: VecDeque<String>,
    /// Who wrote STOP to whom.
    blocked: HashSet<(String, String)>,
}

/// Fields of a form; of several values of a name the first one counts.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The messaging service, else the number.
    fn sender(&self) -> &str {
        match self.get("MessagingServiceSid") {
            "" => self.get("From"),
            service => service,
        }
    }

    fn media(&self) -> impl Iterator<Item = &str> {
        let media = self.0.iter().filter(|(key, _)| key == "MediaUrl");
        media.map(|(_, value)| value.as_str())
    }
}

impl TwilioFace {
    pub(super) fn new(options: TwilioOptions) -> Self {
        Self {
            options,
            messages: HashMap::new(),
            order: VecDeque::new(),
            blocked: HashSet::new(),
        }
    }

    fn is_authenticated(&self, call: &Call) -> bool {
        let account = (self.options.account_sid.clone(), self.options.auth_token.clone());
        basic(&call.headers).is_some_and(|given| given == account || given == self.options.api_key)
    }

    /// What is wrong with a message, if anything: a code and its words.
    fn problem(&self, form: &Form) -> Option<(i64, &'static str)> {
        let (to, body, callback) = (form.get("To"), form.get("Body"), form.get("StatusCallback"));
        let (sender, media) = (form.sender(), form.media().count());
        let seconds: Option<u32> = form.get("ValidityPeriod").parse().ok();
        let is_valid_period = seconds.is_some_and(|seconds| (1..=36_000).contains(&seconds));
        let is_own = self.options.senders.is_empty() || self.options.senders.iter().any(|own| own == sender);
        let has_content = !body.is_empty() || media > 0 || !form.get("ContentSid").is_empty();
        let is_blocked = self.blocked.contains(&(normal(to), normal(sender)));
        let problems = [
            (to.is_empty(), 21604, "A 'To' phone number is required."),
            (!is_number(to), 21211, "The 'To' number is not a valid phone number."),
            (sender.is_empty(), 21603, "A 'From' phone number is required."),
            (
                !is_own,
                21606,
                "The 'From' phone number is not a valid, SMS-capable number or short code of your account.",
            ),
            (!has_content, 21602, "Message body is required."),
            (
                body.chars().count() > MAX_TEXT,
                21617,
                "The concatenated message body exceeds the 1600 character limit.",
            ),
            (media > MAX_MEDIA, 21623, "Number of media files exceeds allowed limit"),
            (
                !callback.is_empty() && !is_address(callback),
                21609,
                "The 'StatusCallback' URL is not a valid URL.",
            ),
            (
                !form.get("ValidityPeriod").is_empty() && !is_valid_period,
                21621,
                "The 'ValidityPeriod' is not valid.",
            ),
            (is_blocked, 21610, "Attempt to send to unsubscribed recipient"),
        ];
        let found = problems.into_iter().find(|(holds, ..)| *holds);
        found.map(|(_, code, words)| (code, words))
    }

    fn create(&mut self, desk: &mut Desk, call: &Call, now: Now) -> Reply {
        let form = Form(call.form());
        if let Some((code, words)) = self.problem(&form) {
            return refused(400, code, words);
        }
        let (to, body, service) = (form.get("To"), form.get("Body"), form.get("MessagingServiceSid"));
        let media: Vec<String> = form.media().map(str::to_owned).collect();
        let fate = desk.fate(to);
        if let Fate::Refused { code } = &fate {
            return refused(
                400,
                code.parse().unwrap_or(21211),
                "The sandbox was told to refuse this number.",
            );
        }
        let prefix = if media.is_empty() { "SM" } else { "MM" };
        let sid = format!("{prefix}{:032x}", desk.next_id());
        desk.sent(SentMessage {
            number: 0,
            unix: now.unix,
            id: sid.clone(),
            to: normal(to),
            from: form.sender().to_owned(),
            text: if body.is_empty() { form.get("ContentSid") } else { body }.to_owned(),
            media: media.clone(),
            key: String::new(),
            segments: segments(body),
            copies: 0,
        });
        let mut resource = Resource {
            sid,
            to: to.to_owned(),
            from: form.get("From").to_owned(),
            service: Some(service.to_owned()).filter(|service| !service.is_empty()),
            body: body.to_owned(),
            media: media.len(),
            status: if service.is_empty() { "queued" } else { "accepted" },
            error: None,
            created: now.unix,
        };
        let created = resource.json(&self.options.account_sid);
        self.report(desk, &mut resource, form.get("StatusCallback"), &fate, now);
        self.keep(resource);
        Reply::ok(201, created)
    }

    /// Tells of the steps of a message as its fate has them.
    fn report(&self, desk: &mut Desk, resource: &mut Resource, callback: &str, fate: &Fate, now: Now) {
        let mut steps: Vec<(Duration, &'static str, Option<i64>)> = vec![(SENT_AFTER, "sent", None)];
        match fate {
            Fate::Delivered => steps.push((ENDED_AFTER, "delivered", None)),
            Fate::Failed { code } => {
                let code = code.parse().unwrap_or(30008);
                // Errors, 30007: filtered before it left, so it failed; what a network gave back is undelivered.
                if code == 30007 {
                    steps = vec![(ENDED_AFTER, "failed", Some(code))];
                } else {
                    steps.push((ENDED_AFTER, "undelivered", Some(code)));
                }
            }
            Fate::Silent | Fate::Refused { .. } => steps.clear(),
        }
        for (after, status, error) in steps {
            resource.status = status;
            resource.error = error;
            if !callback.is_empty() {
                desk.call_back(after, self.status_callback(resource, callback), now);
            }
        }
    }

    fn status_callback(&self, resource: &Resource, callback: &str) -> Callback {
        let mut parameters = vec![
            ("ApiVersion", "2010-04-01".to_owned()),
            ("AccountSid", self.options.account_sid.clone()),
            ("MessageSid", resource.sid.clone()),
            ("SmsSid", resource.sid.clone()),
            ("MessageStatus", resource.status.to_owned()),
            ("SmsStatus", resource.status.to_owned()),
            ("To", resource.to.clone()),
            ("From", resource.from.clone()),
        ];
        if let Some(service) = &resource.service {
            parameters.push(("MessagingServiceSid", service.clone()));
        }
        if let Some(code) = resource.error {
            parameters.push(("ErrorCode", code.to_string()));
        }
        self.callback(callback, &parameters, &resource.sid)
    }

    /// A signed POST. The fragment says how often it is repeated and is not called.
    fn callback(&self, url: &str, parameters: &[(&str, String)], about: &str) -> Callback {
        let (url, overrides) = url.split_once('#').unwrap_or((url, ""));
        let asked: HashMap<String, String> = url::form_urlencoded::parse(overrides.as_bytes()).into_owned().collect();
        let retry = match asked.get("rp").map(String::as_str) {
            Some("all" | "5xx" | "4xx") => Retry::Any,
            Some("rt") => Retry::Silence,
            _ => Retry::Connection,
        };
        Callback {
            method: "POST",
            headers: vec![
                (
                    "content-type",
                    "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
                ),
                (
                    "x-twilio-signature",
                    signature(&self.options.auth_token, url, parameters),
                ),
                ("user-agent", "TwilioProxy/1.1".to_owned()),
            ],
            url: url.to_owned(),
            body: query(parameters.iter().map(|(name, value)| (*name, value.as_str()))),
            retries: asked.get("rc").and_then(|count| count.parse().ok()).unwrap_or(1).min(5),
            retry,
            pause: PAUSE,
            about: about.to_owned(),
        }
    }

    fn keep(&mut self, resource: Resource) {
        self.order.push_back(resource.sid.clone());
        self.messages.insert(resource.sid.clone(), resource);
        if self.order.len() > MAX_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
    }

    fn list(&self) -> Value {
        let messages = self
            .order
            .iter()
            .rev()
            .take(50)
            .filter_map(|sid| self.messages.get(sid));
        let messages: Vec<Value> = messages
            .map(|message| message.json(&self.options.account_sid))
            .collect();
        json!({"messages": messages, "page": 0, "page_size": 50, "next_page_uri": null})
    }

    /// What Advanced Opt-Out makes of a text.
    fn read_word(&mut self, incoming: &Incoming) -> Option<&'static str> {
        if !self.options.opt_outs {
            return None;
        }
        let pair = (normal(&incoming.from), normal(&incoming.to));
        match incoming.text.trim().to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" => {
                self.blocked.insert(pair);
                Some("STOP")
            }
            "START" | "YES" | "UNSTOP" => {
                self.blocked.remove(&pair);
                Some("START")
            }
            "HELP" | "INFO" => Some("HELP"),
            _ => None,
        }
    }
}

impl Face for TwilioFace {
    fn sends(&self, call: &Call) -> bool {
        call.method == Method::POST && call.path.ends_with("/Messages.json")
    }

    fn call(&mut self, desk: &mut Desk, call: &Call, now: Now) -> Reply {
        let Some(rest) = call.path.strip_prefix("/2010-04-01/Accounts/") else {
            return refused(404, 20404, "The requested resource was not found");
        };
        if !self.is_authenticated(call) {
            return refused(401, 20003, "Authenticate");
        }
        let Some(rest) = rest.strip_prefix(self.options.account_sid.as_str()) else {
            return refused(404, 20404, "The requested resource was not found");
        };
        if !desk.is_within_rate(self.options.calls_per_second, Duration::from_secs(1), now) {
            return refused(429, 20429, "Too Many Requests");
        }
        match (call.method.as_str(), rest) {
            ("POST", "/Messages.json") => self.create(desk, call, now),
            ("GET", "/Messages.json") => Reply::ok(200, self.list()),
            ("GET", rest) => {
                let sid = rest
                    .strip_prefix("/Messages/")
                    .and_then(|rest| rest.strip_suffix(".json"));
                match sid.and_then(|sid| self.messages.get(sid)) {
                    Some(message) => Reply::ok(200, message.json(&self.options.account_sid)),
                    None => refused(404, 20404, "The requested resource was not found"),
                }
            }
            _ => refused(405, 20004, "Method not allowed"),
        }
    }

    fn spoiled(&self, fault: &Fault) -> Reply {
        match fault {
            Fault::TooManyRequests => refused(429, 20429, "Too Many Requests"),
            Fault::Refused { code, text } => {
                let code = code.parse().unwrap_or(0);
                refused(if code == 20003 { 401 } else { 400 }, code, text)
            }
            _ => refused(500, 20500, "An internal server error has occurred"),
        }
    }

    fn incoming(&mut self, desk: &mut Desk, incoming: &Incoming, _: Now) -> (String, Option<Callback>) {
        let prefix = if incoming.media.is_empty() { "SM" } else { "MM" };
        let sid = format!("{prefix}{:032x}", desk.next_id());
        let word = self.read_word(incoming);
        let Some(url) = desk.options.webhook.clone() else {
            return (sid, None);
        };
        let from = digits(&incoming.from).map_or_else(|| incoming.from.clone(), |digits| format!("+{digits}"));
        let mut parameters: Vec<(String, String)> = [
            ("ToCountry", "US"),
            ("SmsMessageSid", &sid),
            ("NumMedia", &incoming.media.len().to_string()),
            ("SmsSid", &sid),
            ("SmsStatus", "received"),
            ("Body", &incoming.text),
            ("To", &incoming.to),
            ("NumSegments", &segments(&incoming.text).to_string()),
            ("MessageSid", &sid),
            ("AccountSid", &self.options.account_sid),
            ("From", &from),
            ("ApiVersion", "2010-04-01"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        for (index, (address, kind)) in incoming.media.iter().enumerate() {
            parameters.push((format!("MediaUrl{index}"), address.clone()));
            parameters.push((format!("MediaContentType{index}"), kind.clone()));
        }
        if let Some(word) = word {
            parameters.push(("OptOutType".to_owned(), word.to_owned()));
        }
        let parameters: Vec<(&str, String)> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        (sid.clone(), Some(self.callback(&url, &parameters, &sid)))
    }
}

fn refused(status: u16, code: i64, message: &str) -> Reply {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    Reply::error(status, code.to_string(), body)
}

/// E.164, or a short code.
fn is_number(to: &str) -> bool {
    let digits = to.strip_prefix('+').unwrap_or(to);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        && if to.starts_with('+') {
            (8..=15).contains(&digits.len())
        } else {
            (3..=6).contains(&digits.len())
        }
}

fn normal(number: &str) -> String {
    digits(number).unwrap_or_else(|| number.to_owned())
}
