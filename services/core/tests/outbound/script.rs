//! What callers want: a few messages to a few people, some requests twice.

use crate::oracle::TENANT;
use crate::people;
use crate::rng::Rng;
use omnigate_core::id::ThreadId;
use omnigate_core::identifier;
use omnigate_core::identity::Named;
use omnigate_core::protocol::send::{Request, Target};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Alternative, Evidence, Lane, Message, Part, Purpose, TemplateRef, Text, UnknownPolicy, part};
use std::time::Duration;

/// One call of a caller.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Call {
    pub number: usize,
    /// Makes request ids of schedules differ.
    pub salt: u64,
    /// Different bodies of one request.
    pub body: u8,
    pub peer: usize,
    pub account: usize,
    pub by_thread: bool,
    pub on_unknown: UnknownPolicy,
    pub after: Duration,
    pub lasts: Duration,
    /// Taken back after it was accepted.
    pub regretted: bool,
    pub advertises: bool,
    /// Its peer is put on the suppression list before.
    pub suppresses: bool,
    pub kind: Kind,
}

/// What a message consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    TextOrTemplate,
    Template,
}

/// Long enough that nothing lapses unless it is forgotten.
const LONG: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn draw(rng: &mut Rng) -> Vec<Call> {
    let (peers, accounts) = (1 + rng.below(2), 1 + rng.below(2));
    let salt = rng.next();
    let mut calls = Vec::new();
    for number in 0..1 + rng.below(6) {
        let call = Call {
            number,
            salt,
            body: 0,
            peer: rng.below(peers),
            account: rng.below(accounts),
            by_thread: rng.per_mille(200),
            on_unknown: rng.pick(&[UnknownPolicy::Report, UnknownPolicy::ResendOnce]),
            after: Duration::from_millis(rng.pick(&[0, 0, 0, 500, 90_000])),
            lasts: rng.pick(&[LONG, LONG, LONG, Duration::from_secs(40)]),
            regretted: rng.per_mille(150),
            advertises: rng.per_mille(400),
            suppresses: rng.per_mille(60),
            kind: rng.pick(&[
                Kind::Text,
                Kind::Text,
                Kind::TextOrTemplate,
                Kind::TextOrTemplate,
                Kind::Template,
            ]),
        };
        calls.push(call.clone());
        if rng.per_mille(250) {
            let body = u8::from(rng.per_mille(400));
            calls.push(Call {
                body,
                regretted: false,
                ..call
            });
        }
    }
    for place in 1..calls.len() {
        if rng.per_mille(300) {
            calls.swap(place - 1, place);
        }
    }
    calls
}

impl Call {
    pub(crate) fn request_id(&self) -> String {
        format!("r{}-{}", self.number, self.salt)
    }

    pub(crate) fn message(&self) -> Message {
        let words = format!("{}.{}", self.number, self.body);
        let template = TemplateRef {
            template_id: words.clone(),
            ..TemplateRef::default()
        };
        let text = Text {
            text: words,
            ..Text::default()
        };
        let content = match self.kind {
            Kind::Text | Kind::TextOrTemplate => part::Content::Text(text),
            Kind::Template => part::Content::Template(template.clone()),
        };
        Message {
            parts: vec![Part { content: Some(content) }],
            purpose: if self.advertises {
                Purpose::Marketing.into()
            } else {
                Purpose::Service.into()
            },
            alternative: (self.kind == Kind::TextOrTemplate).then(|| Alternative {
                template: Some(template),
                phone: "+84912000111".into(),
            }),
            ..Message::default()
        }
    }

    pub(crate) fn account_id(&self) -> String {
        format!("a{}", self.account)
    }

    pub(crate) fn request(&self, now: Moment) -> Request {
        let named = Named {
            identifier: people::peer(self.account, self.peer),
            evidence: Evidence::Stated,
            provider_form: String::new(),
        };
        let (account_id, channel) = (self.account_id(), "telegram".to_owned());
        let target = if self.by_thread {
            let key = identifier::key(TENANT, &named.identifier);
            Target::Thread {
                id: ThreadId::new(key, &account_id),
                account_id,
                channel,
            }
        } else {
            Target::Identifier {
                named,
                account_id,
                channel,
            }
        };
        let send_at = now + self.after;
        Request {
            tenant_id: TENANT.into(),
            request_id: self.request_id(),
            body_hash: [self.body; 32],
            target,
            message: self.message(),
            send_at,
            expire_at: send_at + self.lasts,
            lane: Lane::Transactional,
            on_unknown: self.on_unknown,
            traceparent: String::new(),
            trace_id: String::new(),
        }
    }
}
