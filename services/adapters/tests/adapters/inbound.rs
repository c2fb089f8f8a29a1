//! Golden files of webhooks.

use crate::contract::check_event;
use crate::golden::{self, Differences, Kit};
use bytes::Bytes;
use omnigate_core::port::adapter::{Received, Webhook, WebhookRequest};
use omnigate_core::time::Moment;
use omnigate_proto::v1::Event;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// When every request came, unless a file says otherwise: 2026-01-02T03:04:05.678Z.
const RECEIVED_AT_MS: i64 = 1_767_323_045_678;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    note: String,
    docs_url: String,
    /// The app, when it is not the account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<Map<String, Value>>,
    /// Accounts by id, when they are not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Map<String, Value>>,
    request: Request,
    #[serde(default)]
    expect: Value,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// Instead of the shared headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Map<String, Value>>,
    /// Parameters: of the query of a GET, else of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<Map<String, Value>>,
    /// Where the request comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<IpAddr>,
    /// JSON, sent without the spaces it has in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    /// Any other body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
    /// True when the request carries no signature of its body, or one that `headers` say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unsigned: bool,
}

/// A golden case, ready to run.
pub(crate) struct Case {
    /// File it is from.
    pub(crate) path: PathBuf,
    /// The adapter's webhook.
    pub(crate) webhook: Box<dyn Webhook>,
    /// The request as it should come.
    pub(crate) request: WebhookRequest,
}

impl Case {
    /// Opens a golden file.
    pub(crate) fn open(kit: &Kit, path: &Path) -> (Self, Golden) {
        let golden: Golden = golden::read(path);
        let (channel, provider) = (&kit.shared.channel, &kit.shared.provider);
        let accounts = match &golden.accounts {
            None => vec![kit.account(None)],
            Some(accounts) => accounts
                .iter()
                .map(|(id, settings)| golden::account(id, "app", channel, provider, settings.as_object().unwrap()))
                .collect(),
        };
        let app = match golden.app.as_ref().or(kit.shared.app.as_ref()) {
            Some(settings) => golden::app("app", channel, provider, settings, false),
            None => golden::app("shop", channel, provider, &accounts[0].settings.0, true),
        };
        let webhook = kit.kind().open_offline(&app, &accounts);
        let webhook = webhook.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut request = golden.request.build(&kit.shared.headers);
        if let Some(signature) = kit.shared.signature.filter(|_| !golden.request.unsigned) {
            let mut settings = accounts[0].settings.0.clone();
            settings.extend(app.settings.0.clone());
            signature.sign(&mut request, &app.id, &settings);
        }
        let case = Self {
            path: path.to_owned(),
            webhook: webhook.expect("the channel reads what comes in"),
            request,
        };
        (case, golden)
    }

    /// All cases of a kit.
    pub(crate) fn all(kit: &Kit) -> Vec<Self> {
        let files = kit.files("inbound").into_iter();
        files.map(|path| Self::open(kit, &path).0).collect()
    }

    /// Events of a request that must be taken, `None` when it is rejected.
    pub(crate) fn events(&self, request: &WebhookRequest, verify: bool) -> Option<Vec<Event>> {
        match self.webhook.receive(request, verify) {
            Received::Events { events, reply } => {
                assert_eq!(reply.status, 200, "{}", self.path.display());
                for event in &events {
                    check_event(event)
                        .unwrap_or_else(|problem| panic!("{}: {problem}: {event:?}", self.path.display()));
                }
                // Nothing is kept, so that whatever comes again is the same.
                let keys: Vec<String> = events.iter().map(|event| event.stable_key.clone()).collect();
                self.webhook.answered(&keys, false);
                Some(events)
            }
            Received::Rejected { reply, problem } => {
                assert!((400..500).contains(&reply.status), "{}", self.path.display());
                assert!(!problem.is_empty(), "{}", self.path.display());
                None
            }
        }
    }
}

impl Request {
    fn build(&self, shared: &Map<String, Value>) -> WebhookRequest {
        let headers = self.headers.as_ref().unwrap_or(shared);
        let method = self.method.clone().unwrap_or_else(|| "POST".to_owned());
        let mut query = self.query.clone().unwrap_or_default();
        let form = self.form.as_ref().map(encoded);
        let body = match (&self.body, &self.body_text, form) {
            (Some(json), None, None) => minified(json.get()),
            (None, Some(text), None) => text.clone(),
            (None, None, Some(form)) if method == "GET" => {
                query = if query.is_empty() {
                    form
                } else {
                    format!("{query}&{form}")
                };
                String::new()
            }
            (None, None, Some(form)) => form,
            (None, None, None) if method == "GET" => String::new(),
            _ => panic!("a request has either body, body_text or form"),
        };
        WebhookRequest {
            method,
            query,
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), Bytes::from(value.as_str().unwrap().to_owned())))
                .collect(),
            body: Bytes::from(body),
            remote: self.remote,
            received_at: Moment(RECEIVED_AT_MS),
        }
    }
}

/// Parameters as a form has them; a list is a name with several values.
fn encoded(form: &Map<String, Value>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        match value {
            Value::Array(values) => values.iter().for_each(|value| {
                text.append_pair(name, value.as_str().unwrap());
            }),
            value => {
                text.append_pair(name, value.as_str().unwrap());
            }
        }
    }
    text.finish()
}

/// JSON without the spaces between its tokens.
fn minified(json: &str) -> String {
    let mut text = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for character in json.chars() {
        if quoted || !character.is_ascii_whitespace() {
            text.push(character);
        }
        quoted ^= character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
    }
    text
}

fn outcome(received: &Received) -> Value {
    let shown = |reply: &omnigate_core::port::adapter::Reply| {
        let mut value = json!({ "status": reply.status });
        if !reply.content_type.is_empty() {
            value["content_type"] = json!(reply.content_type);
            value["body"] = json!(String::from_utf8_lossy(&reply.body));
        }
        value
    };
    match received {
        Received::Events { events, reply } => json!({ "reply": shown(reply), "events": events }),
        Received::Rejected { reply, problem } => json!({ "reply": shown(reply), "problem": problem }),
    }
}

/// Every golden request gives exactly the reply and the events it should.
#[test]
fn golden_requests_give_their_events() {
    let mut differences = Differences::default();
    for kit in golden::kits() {
        for path in kit.files("inbound") {
            let (case, mut golden) = Case::open(&kit, &path);
            assert!(!golden.note.is_empty() && golden.docs_url.starts_with("https://"));
            case.events(&case.request, true);
            let received = case.webhook.receive(&case.request, true);
            let actual = outcome(&received);
            if golden::is_writing() {
                golden.expect = actual;
                golden::write(&path, &golden);
            } else {
                differences.compare(&path, "outcome", &actual, &golden.expect);
            }
        }
    }
    differences.finish();
}
