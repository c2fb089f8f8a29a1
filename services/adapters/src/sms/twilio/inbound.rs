//! Parameters into events.

use super::{code, settings::TwilioSettings};
use crate::texting::{
    Inbox, Received, TextSettings,
    callback::{Parameters, kept},
    error, redacted, text_part,
};
use omnigate_core::{account::Account, port::adapter::WebhookRequest};
use omnigate_proto::v1::{
    ErrorClass, Event, Location, Media, MediaKind, Message, Part, Postback, Profile, Receipt, ReceiptState, SendError,
    Subscription, SubscriptionState, event::Kind, part::Content,
};

/// Most media of a message: the contract's parts less text and location. Twilio's own limit is 10.
const MAX_MEDIA: usize = 30;
/// The contract's limit of an address, in bytes.
const MAX_URL: usize = 8192;
/// Parameter of our own in the address of status callbacks.
pub(super) const SEND_KEY: &str = "send_key";

/// Translates one call.
pub(super) struct Translator<'a> {
    pub(super) account: &'a Account,
    pub(super) text: &'a TextSettings,
    pub(super) own: &'a TwilioSettings,
    pub(super) request: &'a WebhookRequest,
    pub(super) parameters: &'a Parameters,
}

impl Translator<'_> {
    /// The events of the call; at least one.
    pub(super) fn events(&self) -> Vec<Event> {
        let from_other = |sid: &str| self.own.account_sid.as_deref().is_some_and(|own| own != sid);
        if self.get("AccountSid").is_some_and(from_other) {
            let raw = kept(self.request);
            return vec![self.inbox().unsupported("message", &raw, "unknown_account", "")];
        }
        let status = self.get("MessageStatus").or_else(|| self.get("SmsStatus"));
        let status = status.map(str::to_ascii_lowercase).unwrap_or_default();
        let came_in = matches!(status.as_str(), "" | "received" | "receiving");
        if !came_in {
            return vec![self.receipt(&status).unwrap_or_else(|| {
                let is_known = receipt_state(&status).is_some();
                let raw = kept(self.request);
                let reason = if is_known { "malformed" } else { "" };
                let about = self.get("To").unwrap_or_default();
                self.inbox().unsupported(&status, &raw, reason, about)
            })];
        }
        if self.get("From").is_none() {
            let name = self.get("EventType").unwrap_or("callback");
            return vec![self.unsupported(name, "")];
        }
        self.message()
            .unwrap_or_else(|| vec![self.unsupported("message", "malformed")])
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    fn inbox(&self) -> Inbox<'_> {
        Inbox {
            account: self.account,
            settings: self.text,
            received_at: self.request.received_at,
        }
    }

    fn unsupported(&self, name: &str, reason: &str) -> Event {
        let raw = kept(self.request);
        let about = self.get("From").unwrap_or_default();
        self.inbox().unsupported(name, &raw, reason, about)
    }

    /// The id under any of its names (webhooks: the others are kept for compatibility).
    fn sid(&self) -> Option<&str> {
        let names = ["MessageSid", "SmsMessageSid", "SmsSid"];
        names.iter().find_map(|name| self.get(name))
    }

    fn message(&self) -> Option<Vec<Event>> {
        let from = self.get("From")?;
        // WhatsApp, RCS and Messenger through Twilio are other channels, whose addresses say so: `whatsapp:+84…`.
        if let Some((channel, _)) = from.split_once(':') {
            return Some(vec![self.inbox().unsupported(channel, &kept(self.request), "", "")]);
        }
        let sid = self.sid()?;
        let inbox = self.inbox();
        if let Some(payload) = self.get("ButtonPayload") {
            let (peer, evidence) = inbox.peer(from)?;
            let title: Vec<Part> = self.get("ButtonText").map(text_part).into_iter().collect();
            let postback = Postback {
                payload: payload.to_owned(),
                title: title.first().map(plain).unwrap_or_default(),
                callback_id: String::new(),
            };
            let event = Event {
                peer: Some(peer),
                identifiers: vec![evidence],
                provider_message_id: sid.to_owned(),
                kind: Some(Kind::Postback(postback)),
                ..inbox.event()
            };
            return inbox.taken(event).map(|event| vec![event]);
        }
        let asked = self.get("OptOutType").map(str::to_ascii_uppercase);
        let message = Message {
            parts: self.parts(),
            reply_to_provider_message_id: self.get("OriginalRepliedMessageSid").unwrap_or_default().to_owned(),
            ..Message::default()
        };
        let mut events = inbox.events(Received {
            from,
            provider_message_id: sid,
            message,
            ..Received::default()
        })?;
        if let Some(asked) = asked {
            // Twilio has read the word itself: it answers and blocks by itself, all messages of the sender.
            events.truncate(1);
            let wish = events.first().and_then(|event| self.opt_out(&asked, event));
            events.extend(wish);
        }
        if let Some(name) = self.get("ProfileName") {
            for event in &mut events {
                event.profile = Some(Profile {
                    display_name: name.to_owned(),
                    ..Profile::default()
                });
            }
        }
        Some(events)
    }

    /// Webhooks, "Advanced Opt-Out": what Twilio did about a word.
    fn opt_out(&self, asked: &str, message: &Event) -> Option<Event> {
        let state = match asked {
            "STOP" => SubscriptionState::Unsubscribed,
            "START" => SubscriptionState::Subscribed,
            _ => return None,
        };
        let subscription = Subscription {
            state: state.into(),
            source: self.get("Body").unwrap_or(asked).chars().take(256).collect(),
            ..Subscription::default()
        };
        Some(Event {
            kind: Some(Kind::Subscription(subscription)),
            ..message.clone()
        })
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self
            .parameters
            .raw("Body")
            .filter(|body| !body.is_empty())
            .map(text_part)
            .into_iter()
            .collect();
        let count: usize = self.get("NumMedia").and_then(|count| count.parse().ok()).unwrap_or(0);
        for index in 0..count.min(MAX_MEDIA) {
            let Some(url) = self.get(&format!("MediaUrl{index}")).filter(|url| url.len() <= MAX_URL) else {
                continue;
            };
            let mime_type = self.get(&format!("MediaContentType{index}")).unwrap_or_default();
            parts.push(Part {
                content: Some(Content::Media(Media {
                    kind: media_kind(mime_type).into(),
                    url: url.to_owned(),
                    mime_type: mime_type.chars().take(128).collect(),
                    ..Media::default()
                })),
            });
        }
        let degrees = |name: &str| self.get(name)?.parse::<f64>().ok().filter(|value| value.is_finite());
        if let (Some(latitude), Some(longitude)) = (degrees("Latitude"), degrees("Longitude")) {
            let words = |name: &str| self.get(name).map(|text| plain(&text_part(text))).unwrap_or_default();
            parts.push(Part {
                content: Some(Content::Location(Location {
                    latitude,
                    longitude,
                    title: words("Label"),
                    address: words("Address"),
                    ..Location::default()
                })),
            });
        }
        parts
    }

    /// What became of a message of ours. `None` when it names none, or says nothing known.
    fn receipt(&self, status: &str) -> Option<Event> {
        let read = self
            .get("EventType")
            .is_some_and(|event| event.eq_ignore_ascii_case("READ"));
        let state = if read {
            ReceiptState::Read
        } else {
            receipt_state(status)?
        };
        let sid = self.sid()?;
        let inbox = self.inbox();
        let peer = self
            .get("To")
            .and_then(|to| inbox.peer(to))
            .map(|(identifier, _)| identifier);
        let receipt = Receipt {
            provider_message_id: sid.to_owned(),
            client_reference: self
                .parameters
                .in_query(SEND_KEY)
                .filter(|key| is_send_key(key))
                .unwrap_or_default()
                .to_owned(),
            state: state.into(),
            watermark: None,
            error: (state == ReceiptState::Failed).then(|| self.failure(status)),
        };
        inbox.taken(Event {
            peer,
            provider_message_id: sid.to_owned(),
            provider_time: self
                .get("RawDlrDoneDate")
                .unwrap_or_default()
                .chars()
                .take(40)
                .collect(),
            kind: Some(Kind::Receipt(receipt)),
            ..inbox.event()
        })
    }

    fn failure(&self, status: &str) -> SendError {
        let written = self.get("ErrorCode").unwrap_or_default();
        let code: i64 = written.parse().unwrap_or(0);
        let class = match status {
            "canceled" => ErrorClass::Expired,
            _ => code::class(code).unwrap_or(ErrorClass::RecipientTemporary),
        };
        let words = self.get("ErrorMessage").unwrap_or(status);
        SendError {
            provider_code: if code > 0 { code.to_string() } else { String::new() },
            outside_window: code == code::CLOSED_WINDOW,
            recipient_fault: code::fault(code).into(),
            ..error(class, redacted(words, &[]))
        }
    }
}

/// API, `status`.
fn receipt_state(status: &str) -> Option<ReceiptState> {
    Some(match status {
        "accepted" | "scheduled" | "queued" | "sending" => ReceiptState::Accepted,
        "sent" | "partially_delivered" => ReceiptState::Sent,
        "delivered" => ReceiptState::Delivered,
        "read" => ReceiptState::Read,
        "undelivered" | "failed" | "canceled" => ReceiptState::Failed,
        _ => return None,
    })
}

fn is_send_key(key: &str) -> bool {
    key.len() == 26 && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn media_kind(mime_type: &str) -> MediaKind {
    match mime_type.split('/').next().unwrap_or_default() {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => MediaKind::File,
    }
}

fn plain(part: &Part) -> String {
    match &part.content {
        Some(Content::Text(text)) => text.text.clone(),
        _ => String::new(),
    }
}
