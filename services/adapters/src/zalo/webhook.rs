//! Calls from Zalo: one app, several Official Accounts.

use super::inbound::{Sides, Translator, moment};
use super::settings::SubmittedPhone;
use super::signature::{Signed, Verifier};
use super::wire::Body;
use crate::settings::invalid;
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, Limits, Settings};
use omnigate_core::port::adapter::{Invalid, Received, Reply, Webhook, WebhookRequest};
use std::{borrow::Cow, collections::BTreeMap};

/// Says which of Zalo's services calls.
const SERVER_HEADER: &str = "x-zevent-server";
/// Its value for templates.
const ZNS: &[u8] = b"ZNS";
/// Beginning of the account id of events whose OA no account has. Ingest parks them; an account of this id takes them up.
const UNKNOWN_ACCOUNT: &str = "zalo-oa-";
/// Digits of the longest id of an OA that becomes part of an account id.
const LONGEST_OA_ID: usize = 32;

/// An account that the webhook serves.
#[derive(Clone)]
pub(super) struct Served {
    /// The id of its OA, when configured.
    pub(super) oa_id: Option<String>,
    /// The account.
    pub(super) account: Account,
    /// How well a phone number is known that a person submitted.
    pub(super) submitted_phone: SubmittedPhone,
}

/// The webhook of one app.
pub(super) struct AppWebhook {
    verifier: Option<Verifier>,
    by_oa: BTreeMap<String, Served>,
    /// The one account that did not say which OA it is; everything is its own.
    any: Option<Served>,
}

impl AppWebhook {
    /// Several accounts need an id of their OA each.
    pub(super) fn new(verifier: Option<Verifier>, accounts: Vec<Served>) -> Result<Self, Invalid> {
        let mut webhook = Self {
            verifier,
            by_oa: BTreeMap::new(),
            any: None,
        };
        for served in accounts {
            let Some(oa_id) = served.oa_id.clone() else {
                webhook.any = Some(served);
                continue;
            };
            let id = served.account.id.clone();
            if let Some(other) = webhook.by_oa.insert(oa_id, served) {
                return Err(invalid(
                    "oa_id",
                    format!("is the same in accounts {} and {id}", other.account.id),
                ));
            }
        }
        Ok(webhook)
    }

    /// The account of an event, and the id of its OA.
    fn route<'a>(&'a self, sides: &Sides<'a>) -> (Cow<'a, Served>, &'a str) {
        let named = sides.oa.unwrap_or_default();
        if let Some((oa_id, served)) = self.by_oa.get_key_value(named) {
            return (Cow::Borrowed(served), oa_id);
        }
        if let Some(served) = &self.any {
            return (Cow::Borrowed(served), named);
        }
        let mut all = self.by_oa.iter();
        // Where an event names no OA, there is only one that it can be of.
        if let (true, Some((oa_id, served)), None) = (named.is_empty(), all.next(), all.next()) {
            return (Cow::Borrowed(served), oa_id);
        }
        (Cow::Owned(unknown(named)), named)
    }
}

impl Webhook for AppWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        if request.method != "POST" {
            return rejected(405, "zalo calls with POST".to_owned());
        }
        // Zalo's console saves an address only if this unsigned probe is answered with 200. It says nothing.
        if is_probe(&request.body) {
            return Received::Events {
                events: Vec::new(),
                reply: Reply::status(200),
            };
        }
        // The signature depends on a time in the body, so the body is read first; nothing of it is believed.
        let body = Body::read(&request.body);
        let envelope = body.as_ref().ok().map(|body| &body.envelope);
        let sides = envelope.map(|envelope| Sides::of(envelope, |id| self.by_oa.contains_key(id)));
        let sides = sides.unwrap_or_default();
        if verify {
            let Some(verifier) = &self.verifier else {
                return rejected(
                    401,
                    "no oa_secret_key is configured, so no call can be told from a forged one".to_owned(),
                );
            };
            let timestamp = envelope.and_then(|envelope| envelope.timestamp.as_ref());
            let signed = Signed {
                timestamp: timestamp.map(|timestamp| &**timestamp),
                at: moment(timestamp),
                oa_id: sides.oa.filter(|id| self.by_oa.contains_key(*id)),
            };
            if let Some(problem) = verifier.refuse(request, &signed) {
                return rejected(401, problem.to_owned());
            }
        }
        let body = match &body {
            Ok(body) => body,
            Err(error) => return rejected(400, format!("the body is not JSON: {error}")),
        };
        let (served, oa_id) = self.route(&sides);
        let translator = Translator {
            account: &served.account,
            submitted_phone: served.submitted_phone,
            oa_id,
            app_id: self.verifier.as_ref().map(|verifier| verifier.app_id.as_str()),
            is_zns: request.header(SERVER_HEADER) == Some(ZNS),
            sides,
            body,
            raw: &request.body,
            received_at: request.received_at,
        };
        Received::Events {
            events: translator.events(),
            reply: Reply::status(200),
        }
    }
}

/// An empty body or an empty object.
fn is_probe(body: &[u8]) -> bool {
    let inner = body.trim_ascii();
    let inner = inner
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .unwrap_or(inner);
    inner.trim_ascii().is_empty()
}

/// A stand-in for the account of an OA that is not configured.
fn unknown(oa_id: &str) -> Served {
    let plausible =
        !oa_id.is_empty() && oa_id.len() <= LONGEST_OA_ID && oa_id.bytes().all(|byte| byte.is_ascii_digit());
    let account = Account {
        id: format!("{UNKNOWN_ACCOUNT}{}", if plausible { oa_id } else { "unknown" }),
        tenant_id: String::new(),
        channel: "zalo".to_owned(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: String::new(),
        settings: Settings::default(),
        limits: Limits::default(),
    };
    Served {
        oa_id: None,
        account,
        submitted_phone: SubmittedPhone::default(),
    }
}

fn rejected(status: u16, problem: String) -> Received {
    Received::Rejected {
        reply: Reply {
            status,
            content_type: "text/plain",
            body: Bytes::from(problem.clone()),
        },
        problem,
    }
}
