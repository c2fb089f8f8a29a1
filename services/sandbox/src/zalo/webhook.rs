//! The app's one webhook: its registration, its toggles, its signature.

use super::{
    app::App,
    options::SignatureTerm,
    schedule::{Event, Schedule},
    world::World,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The toggles of the console's webhook page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookToggles {
    /// The events that are sent, by name; all where absent.
    pub events: Option<BTreeSet<String>>,
    /// Whether of people's texts only those that begin with `#` are sent.
    pub commands_only: bool,
    /// Whether failed events come again.
    pub retry: bool,
}

impl Default for WebhookToggles {
    fn default() -> Self {
        Self {
            events: None,
            commands_only: false,
            retry: true,
        }
    }
}

#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) url: Option<String>,
    /// Cancelled after the ladder's end, until somebody enables it again.
    pub(super) cancelled: bool,
    pub(super) toggles: WebhookToggles,
    pub(super) schedule: Schedule,
    /// Answers to requests of an earlier one are ignored.
    pub(super) generation: u64,
    pub(super) held: Vec<(Event, Option<String>)>,
    pub(super) last_error: Option<String>,
}

impl Webhook {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            url: None,
            cancelled: false,
            toggles: WebhookToggles::default(),
            schedule,
            generation: 0,
            held: Vec::new(),
            last_error: None,
        }
    }

    /// Where events go, as long as they do.
    pub(super) fn target(&self) -> Option<&str> {
        self.url.as_deref().filter(|_| !self.cancelled)
    }

    pub(super) fn wants(&self, name: &str, text: Option<&str>) -> bool {
        let toggled = self.toggles.events.as_ref().is_none_or(|events| events.contains(name));
        let filtered =
            self.toggles.commands_only && name == "user_send_text" && !text.is_some_and(|text| text.starts_with('#'));
        self.target().is_some() && toggled && !filtered
    }

    /// Another address, or none; answers how many events were lost with the one before.
    pub(super) fn change(&mut self, url: Option<String>) -> u64 {
        self.url = url;
        self.cancelled = false;
        self.last_error = None;
        self.forget()
    }

    /// The subscription ends; answers how many events were lost with it.
    pub(super) fn cancel(&mut self) -> u64 {
        self.cancelled = true;
        self.forget()
    }

    fn forget(&mut self) -> u64 {
        self.generation += 1;
        self.schedule.clear() + std::mem::take(&mut self.held).len() as u64
    }

    pub(super) fn info(&self) -> Value {
        json!({
            "url": self.url, "cancelled": self.cancelled, "pending": self.schedule.len() + self.held.len(),
            "toggles": self.toggles, "last_error": self.last_error,
        })
    }
}

/// Lower-case hex of `SHA-256(first term + body + timestamp + OA secret key)`: a plain digest, no HMAC.
pub(super) fn mac(first: &str, body: &str, timestamp: &str, oa_secret_key: &str) -> String {
    let digest = Sha256::new()
        .chain_update(first)
        .chain_update(body)
        .chain_update(timestamp)
        .chain_update(oa_secret_key)
        .finalize();
    data_encoding::HEXLOWER.encode(&digest)
}

impl World {
    /// The value of `X-ZEvent-Signature`.
    pub(super) fn signature(&self, app: &App, event: &Event) -> String {
        let first = match self.switches.signature_term {
            SignatureTerm::AppId => &app.identity.app_id,
            SignatureTerm::OaId => &event.oa_id,
        };
        let mac = mac(first, &event.body, &event.timestamp, &app.identity.oa_secret_key);
        format!("mac={mac}")
    }
}

#[cfg(test)]
mod tests {
    use super::mac;

    #[test]
    fn the_signature_is_a_plain_digest_of_the_four_terms_as_they_stand() {
        // printf '%s' '12{"a":1}3k' | sha256sum
        let expected = "74d5b51be410b3f6d868948ea22f06abc37d47387b6c853c76b6b2f3b5d135dd";
        assert_eq!(mac("12", r#"{"a":1}"#, "3", "k"), expected);
    }
}
