//! Whether we may write or call, and calls.

use super::super::wire::{Beside, Text, said};
use super::who::stated_phone;
use super::{Translator, moment, time, unsupported};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Call, Direction, Event, Subscription, SubscriptionState, event::Kind};

/// Topic of consents to be called.
const CALL: &str = "call";

impl Translator<'_> {
    /// `follow` and `unfollow`.
    pub(super) fn following(&self, beside: &Beside<'_>) -> Event {
        let state = if self.name() == "follow" {
            SubscriptionState::Subscribed
        } else {
            SubscriptionState::Unsubscribed
        };
        self.about_user(Kind::Subscription(Subscription {
            state: state.into(),
            source: said(beside.source.as_ref()).to_owned(),
            ..Subscription::default()
        }))
    }

    /// `oa_send_consent`, which asks whether we may call, and `user_reply_consent`, which answers.
    pub(super) fn consent(&self, beside: &Beside<'_>) -> Event {
        let asked = self.name() == "oa_send_consent";
        let word = if asked {
            &beside.request_type
        } else {
            &beside.user_consent
        };
        let state = match (asked, said(word.as_ref())) {
            (true, "SENT") => Some(SubscriptionState::Requested),
            (false, "ALLOW") => Some(SubscriptionState::Subscribed),
            // A question that nobody answered in time allows nothing.
            (true, "EXPIRED") | (false, "USER_BLOCKED") => Some(SubscriptionState::Unsubscribed),
            _ => None,
        };
        let kind = match state {
            Some(state) => Kind::Subscription(Subscription {
                state: state.into(),
                topic: CALL.to_owned(),
                // Zero is for ever, and so is a refusal.
                expires_at: moment(beside.expired_time.as_ref())
                    .filter(|_| state != SubscriptionState::Unsubscribed)
                    .map(Moment::to_timestamp),
                ..Subscription::default()
            }),
            None => unsupported(self.name(), self.raw, ""),
        };
        let mut event = self.about_user(kind);
        let phone = said(beside.phone.as_ref());
        if let Some(phone) = stated_phone(phone) {
            if event.peer.is_none() {
                event.peer.clone_from(&phone.identifier);
                event.stable_key = self.key(&phone.provider_form);
            }
            event.identifiers.push(phone);
        }
        if asked {
            event.set_direction(Direction::Outbound);
            if said(beside.request_type.as_ref()) == "SENT" {
                time::set_own(&mut event, beside.create_time.as_ref());
            }
        } else {
            time::set_own(&mut event, beside.confirmed_time.as_ref());
        }
        event
    }

    /// `user_call_oa` and `oa_call_user`. What was talked is the length; Zalo counts it in milliseconds.
    pub(super) fn call(&self, beside: &Beside<'_>) -> Event {
        let talked = milliseconds(beside.talk_time.as_ref());
        let kind = said(beside.call_type.as_ref()).to_lowercase();
        let mut event = self.about_user(Kind::Call(Call {
            video: kind.contains("video"),
            duration_ms: talked
                .or_else(|| milliseconds(beside.call_duration.as_ref()))
                .unwrap_or(0),
            outcome: said(beside.status_code.as_ref()).to_owned(),
        }));
        said(beside.call_id.as_ref()).clone_into(&mut event.provider_message_id);
        if self.name() == "oa_call_user" {
            event.set_direction(Direction::Outbound);
        }
        time::set_own(&mut event, beside.init_time.as_ref());
        event
    }
}

fn milliseconds(text: Option<&Text<'_>>) -> Option<u64> {
    said(text).parse().ok()
}
