//! Events and the app's webhook, from outside.

use super::ZaloHandle;
use crate::zalo::{
    control::ControlError,
    delivery::{self, Post},
    options::Probe,
    schedule::{Event, EventServer},
    webhook::{self, WebhookToggles},
    world::Draft,
};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

impl ZaloHandle {
    /// Makes an event with exactly this content, but for `app_id`, `event_name` and `timestamp`, which are added. For
    /// events that Zalo documents thinly or has yet to invent. None where it is not wanted, or is not an object.
    pub fn other_event(&self, name: &str, server: EventServer, body: Value) -> Option<u64> {
        let mut draft = Draft::new(self.oa, name, body);
        draft.server = server;
        self.change(|world| world.emit(draft))
    }

    /// Registers the app's webhook as the console does: tries it with an unsigned POST first, which must be answered 200.
    /// What waited for another address is lost.
    ///
    /// # Errors
    /// When the address is no `http` URL (Zalo wants `https` and no port; here there is no TLS), or did not answer 200.
    pub async fn set_webhook(&self, url: &str) -> Result<(), ControlError> {
        let parsed = url::Url::parse(url).ok();
        if !parsed.is_some_and(|url| url.scheme() == "http" && url.has_host()) {
            return Err(ControlError::Impossible("the sandbox delivers over plain HTTP only"));
        }
        let body = match self.shared.options.probe {
            Probe::Empty => Bytes::new(),
            Probe::EmptyObject => Bytes::from_static(b"{}"),
        };
        let probe = Post {
            url: url.to_owned(),
            body,
            ..Post::default()
        };
        let limit = self.shared.options.webhook_timeout;
        match delivery::send(&self.shared.client, probe, limit).await {
            Ok(200) => {
                self.change_webhook(Some(url.to_owned()));
                Ok(())
            }
            Ok(status) => Err(ControlError::NoAnswer(format!("answered {status}"))),
            Err(why) => Err(ControlError::NoAnswer(why)),
        }
    }

    /// Takes the webhook away.
    pub fn remove_webhook(&self) {
        self.change_webhook(None);
    }

    fn change_webhook(&self, url: Option<String>) {
        self.change(|world| {
            let dropped = world.apps[self.app].webhook.change(url);
            world.journal.counters.dropped += dropped;
        });
    }

    /// Takes a cancelled subscription up again.
    pub fn enable_webhook(&self) {
        self.change(|world| world.apps[self.app].webhook.cancelled = false);
    }

    /// Sets the toggles of the console's webhook page.
    pub fn webhook_toggles(&self, toggles: WebhookToggles) {
        self.change(|world| world.apps[self.app].webhook.toggles = toggles);
    }

    /// The webhook's address, toggles, last error, and how much waits for it.
    #[must_use]
    pub fn webhook_info(&self) -> Value {
        self.with(|world| world.apps[self.app].webhook.info())
    }

    /// Delivers an event, waiting or past, once more, out of turn. Answers the webhook's HTTP status.
    ///
    /// # Errors
    /// When the event is forgotten, there is no webhook, or it did not answer.
    pub async fn redeliver(&self, number: u64) -> Result<u16, ControlError> {
        let post = self.with(|world| {
            let mut past = world.journal.events.iter();
            let record = past
                .find(|record| record.number == number)
                .ok_or(ControlError::UnknownEvent)?;
            let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
            let event = Event {
                number,
                oa_id: record.oa_id.clone(),
                server: record.server,
                timestamp: body["timestamp"].as_str().unwrap_or_default().to_owned(),
                body: Arc::clone(&record.body),
            };
            world.post_of(self.app, &event, 1).ok_or(ControlError::NoWebhook)
        })?;
        self.deliver(post).await
    }

    /// Sends `body` to the webhook's address as somebody would who is not Zalo, signed with `key` or not at all. Answers
    /// the HTTP status.
    ///
    /// # Errors
    /// When there is no webhook, or it did not answer.
    pub async fn forge(&self, key: Option<&str>, body: &str) -> Result<u16, ControlError> {
        let url = self.with(|world| world.apps[self.app].webhook.target().map(str::to_owned));
        let parsed: Value = serde_json::from_str(body).unwrap_or_default();
        let timestamp = parsed["timestamp"].as_str().unwrap_or_default();
        let mac = key.map(|key| webhook::mac(&self.app_id(), body, timestamp, key));
        self.deliver(Post {
            url: url.ok_or(ControlError::NoWebhook)?,
            server: Some(EventServer::OaOpenApi.header()),
            signature: mac.map(|mac| format!("mac={mac}")),
            body: Bytes::copy_from_slice(body.as_bytes()),
            ..Post::default()
        })
        .await
    }

    async fn deliver(&self, post: Post) -> Result<u16, ControlError> {
        let limit = self.shared.options.webhook_timeout;
        delivery::send(&self.shared.client, post, limit)
            .await
            .map_err(ControlError::NoAnswer)
    }

    /// Lets go what is held to be reordered.
    pub fn release(&self) {
        self.change(|world| world.release(self.app));
    }
}
