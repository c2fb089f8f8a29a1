//! A message on its way from an OA to a person: remembered, echoed, receipted.

use super::Composed;
use crate::zalo::{
    journal::{SentMessage, Way},
    person::Stored,
    world::{Draft, World},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A message of an OA to a person, checked and paid for.
pub(in crate::zalo) struct Outgoing<'a> {
    pub(in crate::zalo) oa: usize,
    pub(in crate::zalo) person: u64,
    pub(in crate::zalo) composed: Composed,
    /// How an app sent it, and the request's body; neither where a human did.
    pub(in crate::zalo) by_app: Option<(Way, &'a Value)>,
    /// Which human sent it, from Zalo's own chat page.
    pub(in crate::zalo) admin_id: Option<String>,
}

impl World {
    /// Sends; answers the message's id.
    pub(in crate::zalo) fn send(&mut self, outgoing: Outgoing<'_>) -> String {
        let id = self.new_id();
        let Outgoing {
            oa,
            person,
            composed,
            by_app,
            admin_id,
        } = outgoing;
        let now_ms = self.now().unix_ms;
        if let Some((way, body)) = by_app {
            self.record(oa, way, &self.user_id(oa, person), (&id, composed.text.clone()), body);
        }
        let url = composed
            .attachments
            .first()
            .and_then(|first| first["payload"]["url"].as_str());
        let stored = Stored {
            id: id.clone(),
            of_person: false,
            at_ms: now_ms,
            kind: composed.shape.listed(),
            text: composed.text.clone().unwrap_or_default(),
            url: url.map(str::to_owned),
            buttons: composed.buttons.clone(),
            reactions: 0,
        };
        self.remember(oa, person, stored);
        if admin_id.is_some() || self.switches.echoes {
            self.echo(oa, person, &composed, &id, admin_id);
        }
        let received = self.switches.received_after_ms.map(Duration::from_millis);
        let seen = self.switches.seen_after_ms.map(Duration::from_millis);
        if let Some(delay) = received {
            self.received(oa, person, &id, delay);
        }
        if let Some(delay) = seen {
            self.seen(
                oa,
                person,
                std::slice::from_ref(&id),
                received.unwrap_or_default() + delay,
            );
        }
        id
    }

    /// Journals a message; what makes it the same as another is its body, but for ids that a retry may change.
    pub(in crate::zalo) fn record(
        &mut self,
        oa: usize,
        way: Way,
        to: &str,
        (id, text): (&str, Option<String>),
        body: &Value,
    ) {
        let mut content = body.clone();
        if let Some(content) = content.as_object_mut() {
            content.remove("tracking_id");
        }
        let sent = SentMessage {
            number: 0,
            unix_ms: self.now().unix_ms,
            oa_id: self.oa_id(oa),
            way,
            to: to.to_owned(),
            message_id: id.to_owned(),
            text,
            tracking_id: body["tracking_id"].as_str().map(str::to_owned),
            copies: 0,
            body: body.clone(),
        };
        self.journal.message(sent, &content);
    }

    fn echo(&mut self, oa: usize, person: u64, composed: &Composed, id: &str, admin_id: Option<String>) {
        let anonymous = self.person(person).is_some_and(|person| person.anonymous);
        let user_id = self.user_id(oa, person);
        let mut sender = json!({"id": self.oa_id(oa)});
        if let Some(admin_id) = admin_id {
            sender["admin_id"] = json!(admin_id);
        }
        let mut message = json!({"msg_id": id});
        if let Some(text) = &composed.text {
            message["text"] = json!(text);
        }
        if let Some(quote) = &composed.quote {
            message["quote_msg_id"] = json!(quote);
        }
        if !composed.attachments.is_empty() {
            message["attachments"] = json!(composed.attachments);
        }
        let infix = if anonymous {
            message["conversation_id"] = json!(self.conversation_id(oa, person));
            "anonymous_"
        } else {
            ""
        };
        let mut body = json!({"sender": sender, "recipient": {"id": user_id}, "message": message});
        self.name_by_app(oa, person, &mut body);
        let name = format!("oa_send_{infix}{}", composed.shape.name());
        self.emit(Draft::new(oa, name, body).of(&user_id));
    }

    /// Adds `user_id_by_app`, where it is to be there.
    pub(in crate::zalo) fn name_by_app(&self, oa: usize, person: u64, body: &mut Value) {
        let anonymous = self.person(person).is_some_and(|person| person.anonymous);
        if self.switches.user_id_by_app && !anonymous {
            body["user_id_by_app"] = json!(self.user_id_by_app(self.oas[oa].app, person));
        }
    }

    /// `user_received_message`; the sender is the OA.
    pub(in crate::zalo) fn received(&mut self, oa: usize, person: u64, id: &str, delay: Duration) -> Option<u64> {
        self.receipt(oa, person, ("user_received_message", json!({"msg_id": id})), delay)
    }

    /// `user_seen_message`; it does not open the window.
    pub(in crate::zalo) fn seen(&mut self, oa: usize, person: u64, ids: &[String], delay: Duration) -> Option<u64> {
        self.receipt(oa, person, ("user_seen_message", json!({"msg_ids": ids})), delay)
    }

    fn receipt(&mut self, oa: usize, person: u64, (name, message): (&str, Value), delay: Duration) -> Option<u64> {
        if self.person(person)?.anonymous {
            return None;
        }
        let user_id = self.user_id(oa, person);
        let mut body = json!({"sender": {"id": self.oa_id(oa)}, "recipient": {"id": user_id}, "message": message});
        self.name_by_app(oa, person, &mut body);
        self.emit(Draft::new(oa, name, body).after(delay))
    }
}
