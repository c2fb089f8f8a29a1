//! Events of a webhook into events of the contract.

mod attachment;
mod form;
mod group;
mod member;
mod message;
mod notice;
mod receipt;
mod template;
mod time;
mod who;

use super::settings::SubmittedPhone;
use super::wire::{Beside, Body, Envelope, object, said};
use message::Way;
use omnigate_core::{account::Account, event::normalise, id::hash, time::Moment};
use omnigate_proto::v1::{Direction, Event, Postback, PrivacyRequest, PrivacyRequestKind, Unsupported, event::Kind};
use serde::Deserialize;
use std::fmt::Write as _;
pub(super) use time::moment;
pub(super) use who::Sides;

/// The contract's limit of `Unsupported.raw`.
const MAX_RAW: usize = 256 * 1024;
/// Characters kept of a type's name; within the contract's 256 bytes.
const MAX_TYPE_NAME: usize = 64;
/// The contract's smallest limit of a text that Zalo sends: handles and payloads.
const MIN_BOUND: usize = 2048;
/// A text in NFC is at most three times as long in UTF-8 (Unicode, UAX #15, "Maximum expansion factors").
const MAX_GROWTH: usize = 3;

/// The event is not what its name promises; it is kept whole.
pub(super) struct Malformed;

/// Translates one event.
pub(super) struct Translator<'a> {
    /// Account it came through.
    pub(super) account: &'a Account,
    /// How well a phone number is known that a person submitted.
    pub(super) submitted_phone: SubmittedPhone,
    /// Id of the OA; empty when nobody says.
    pub(super) oa_id: &'a str,
    /// Id of the app, when configured.
    pub(super) app_id: Option<&'a str>,
    /// Whether the header says that it is about templates.
    pub(super) is_zns: bool,
    /// Who is on which side.
    pub(super) sides: Sides<'a>,
    /// The event.
    pub(super) body: &'a Body<'a>,
    /// Its bytes.
    pub(super) raw: &'a [u8],
    /// When it came.
    pub(super) received_at: Moment,
}

impl Translator<'_> {
    /// The events it comes to; at least one.
    pub(super) fn events(&self) -> Vec<Event> {
        let known = if self.body.is_whole {
            self.known()
        } else {
            Err(Malformed)
        };
        match known {
            Ok(events) if !events.is_empty() && events.iter().all(|event| self.is_acceptable(event)) => events,
            _ => vec![self.unreadable()],
        }
    }

    /// Whether ingest will take the event; one that it refuses would be lost. What the contract bounds is at least
    /// [`MIN_BOUND`] bytes long, so an event that cannot hold as much, not even composed, needs no closer look.
    fn is_acceptable(&self, event: &Event) -> bool {
        let about_nobody = matches!(
            event.kind,
            Some(Kind::AccountNotice(_) | Kind::Unsupported(_) | Kind::Receipt(_) | Kind::Rating(_))
        );
        if event.peer.is_none() && !about_nobody {
            return false;
        }
        self.raw.len() <= MIN_BOUND / MAX_GROWTH
            || normalise(&mut event.clone(), self.account, self.received_at, "").is_ok()
    }

    fn known(&self) -> Result<Vec<Event>, Malformed> {
        if let Some(way) = Way::of(self.name()) {
            return self.message(&way);
        }
        let event = match self.name() {
            "user_received_message" | "user_seen_message" => return self.receipts(),
            "user_submit_info" | "update_user_info" => return self.form(),
            "follow" | "unfollow" => self.following(&self.beside()?),
            "oa_send_consent" | "user_reply_consent" => self.consent(&self.beside()?),
            "user_call_oa" | "oa_call_user" => self.call(&self.beside()?),
            "user_reacted_message" | "oa_reacted_message" => self.reaction()?,
            "user_feedback" => self.rating()?,
            "user_click_response_button" => self.pressed(&self.beside()?)?,
            "user_click_chatnow" => self.about_user(Kind::Postback(Postback {
                payload: "chatnow".to_owned(),
                ..Postback::default()
            })),
            "user_withdraw" => self.about_user(Kind::PrivacyRequest(PrivacyRequest {
                kind: PrivacyRequestKind::Erasure.into(),
            })),
            "extension_purchased" => self.notice("extension_purchased", "an extension was purchased".to_owned()),
            name if name.starts_with("change_") => self.change(name)?,
            name if group::is_about(name) => self.group_event(&self.beside()?),
            _ => self.without_shape(),
        };
        Ok(vec![event])
    }

    fn name(&self) -> &str {
        self.body.envelope.name()
    }

    fn envelope(&self) -> &Envelope<'_> {
        &self.body.envelope
    }

    /// What the kind of event has beside the envelope.
    fn beside(&self) -> Result<Beside<'_>, Malformed> {
        object(self.raw).map_err(|_| Malformed)
    }

    /// `message`, as the kind of event has it.
    fn content<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Malformed> {
        let raw = self.body.envelope.message.ok_or(Malformed)?;
        object(raw.get().as_bytes()).map_err(|_| Malformed)
    }

    /// An event with what all have in common.
    fn event(&self) -> Event {
        let mut event = Event {
            account_id: self.account.id.clone(),
            received_at: Some(self.received_at.to_timestamp()),
            direction: Direction::Inbound.into(),
            ..Event::default()
        };
        time::set(&mut event, self.envelope().timestamp.as_ref());
        event
    }

    /// A key for an event without the id of a message: its name, its time and whom it is about.
    fn key(&self, subject: &str) -> String {
        match said(self.envelope().timestamp.as_ref()) {
            "" => content_key(self.raw),
            timestamp => format!("{}:{timestamp}:{subject}", self.name()),
        }
    }

    /// An event about the user that carries no message.
    fn about_user(&self, kind: Kind) -> Event {
        let mut event = self.event();
        self.with_user(&mut event);
        event.stable_key = self.key(self.sides.user.unwrap_or_default());
        event.kind = Some(kind);
        event
    }

    /// A known or unknown event that the contract has no shape for, about whom it is about.
    fn without_shape(&self) -> Event {
        let tagged = self.beside().unwrap_or_default();
        let several = tagged.tag.as_ref().map_or(&[][..], |tag| &tag.user_ids);
        let told = tagged.data.as_ref().and_then(|data| data.user_id.as_ref());
        let only = told.or(if let [only] = several { Some(only) } else { None });
        let mut event = self.event();
        match only {
            Some(user) => self.with_user_id(&mut event, user),
            None if several.is_empty() => self.with_user(&mut event),
            None => {}
        }
        event.stable_key = self.key(only.map_or(self.sides.user.unwrap_or_default(), |user| user));
        event.kind = Some(unsupported(self.name(), self.raw, ""));
        event
    }

    /// What cannot be read, kept whole.
    fn unreadable(&self) -> Event {
        let mut event = self.event();
        // In a group and through the widget an answer would not go to the user.
        if !["group", "anonymous"].iter().any(|other| self.name().contains(other)) {
            self.with_user(&mut event);
        }
        event.stable_key = content_key(self.raw);
        event.kind = Some(unsupported(self.name(), self.raw, "malformed"));
        if !self.is_acceptable(&event) {
            event = Event {
                provider_time: String::new(),
                peer: None,
                identifiers: Vec::new(),
                ..event
            };
        }
        event
    }
}

/// A fact without a shape, its bytes cut to the contract's limit.
fn unsupported(type_name: &str, raw: &[u8], reason: &str) -> Kind {
    let named = if type_name.is_empty() { "event" } else { type_name };
    Kind::Unsupported(Unsupported {
        type_name: named.chars().take(MAX_TYPE_NAME).collect(),
        raw: bytes::Bytes::copy_from_slice(&raw[..raw.len().min(MAX_RAW)]),
        truncated: raw.len() > MAX_RAW,
        reason: reason.to_owned(),
    })
}

/// A stable key for bytes that carry none.
fn content_key(raw: &[u8]) -> String {
    let mut key = "sha256:".to_owned();
    for byte in hash("zalo event", &[raw]) {
        write!(key, "{byte:02x}").unwrap_or_default();
    }
    key
}
