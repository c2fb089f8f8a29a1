//! Messages to one person: consultation, template by user id, and what is left of `/v2.0/oa/message`.

use super::{Composed, Outgoing, Shape};
use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::is_night,
    journal::Way,
    params::text,
    template::{TemplateKind, TemplateStatus},
    world::{Draft, World},
};
use serde_json::{Value, json};

/// What can be put on a message; the last one takes them all back.
const ICONS: [&str; 8] = [":>", "--b", ":-((", "/-strong", "/-heart", ":-h", ":o", REMOVE];
const REMOVE: &str = "/-remove";
const MOST_REACTIONS: u32 = 50;

impl World {
    /// Whom `recipient` names.
    fn recipient(&self, oa: usize, body: &Value) -> Result<u64, Refused> {
        let user_id = text(&body["recipient"]["user_id"]).ok_or_else(|| Refused::invalid("user_id"))?;
        self.person_of(oa, &user_id)
            .filter(|person| self.person(*person).is_some_and(|person| !person.anonymous))
            .ok_or_else(|| Refused::invalid("user_id"))
    }

    /// `POST /v3.0/oa/message/cs`.
    pub(super) fn consultation(&mut self, oa: usize, body: &Value) -> Outcome {
        // Sources differ on where visitors are answered; both places do.
        if !body["recipient"]["anonymous_id"].is_null() {
            return self.anonymous_reply(oa, body);
        }
        let person = self.recipient(oa, body)?;
        let composed = self.compose(oa, &body["message"])?;
        if let Some(quoted) = &composed.quote
            && self
                .standing(oa, person)
                .and_then(|standing| standing.message(quoted))
                .is_none()
        {
            return Err(Refused::invalid("quote_message_id"));
        }
        if !self.oas[oa].identity.verified {
            return Err(Refused::oa(-221));
        }
        let quota = self.charge(oa, person)?;
        self.send_by_app(oa, person, composed, (Way::Consultation, body), quota)
    }

    fn send_by_app(
        &mut self,
        oa: usize,
        person: u64,
        composed: Composed,
        by_app: (Way, &Value),
        quota: Option<Value>,
    ) -> Outcome {
        let message_id = self.send(Outgoing {
            oa,
            person,
            composed,
            by_app: Some(by_app),
            admin_id: None,
        });
        let mut data = json!({
            "message_id": message_id, "user_id": self.user_id(oa, person), "sent_time": self.now().unix_ms.to_string(),
        });
        if let Some(quota) = quota.filter(|_| self.switches.quota_in_answers) {
            data["quota"] = quota;
        }
        Ok(Reply::data(data))
    }

    /// `POST /v3.0/oa/message/template`. The window does not matter to it; the codes of wrong parameters are those of ZNS,
    /// which Zalo merged it with.
    pub(super) fn template_by_uid(&mut self, oa: usize, body: &Value) -> Outcome {
        let user_id = text(&body["user_id"]).ok_or_else(|| Refused::invalid("user_id"))?;
        let person = self
            .person_of(oa, &user_id)
            .ok_or_else(|| Refused::invalid("user_id"))?;
        let id = text(&body["template_id"]).ok_or_else(|| Refused::invalid("template_id"))?;
        let template = self.oas[oa]
            .template(&id)
            .ok_or_else(|| Refused::invalid("template_id"))?;
        if template.status != TemplateStatus::Enable {
            return Err(Refused::invalid("template_id"));
        }
        if !template.by_uid || template.kind == TemplateKind::Otp {
            return Err(Refused::oa(-249));
        }
        template.check(body.get("template_data"))?;
        let composed = Composed {
            shape: Shape::Template,
            text: Some(template.name.clone()),
            attachments: vec![json!({"type": "template", "payload": {
                "zinstant_id": template.id, "text": template.name, "link_url": "", "checksum": "",
            }})],
            ..Composed::default()
        };
        if let Some(unreachable) = self.standing(oa, person).and_then(|standing| standing.unreachable) {
            return Err(Refused::oa(unreachable.code()));
        }
        self.send_by_app(oa, person, composed, (Way::TemplateByUid, body), None)
    }

    /// `POST /v2.0/oa/message`: reactions, articles, visitors; messages to one person have moved to v3.
    pub(super) fn other_message(&mut self, oa: usize, body: &Value) -> Outcome {
        let recipient = &body["recipient"];
        if body["sender_action"].is_object() {
            self.react(oa, body)
        } else if !recipient["anonymous_id"].is_null() {
            self.anonymous_reply(oa, body)
        } else if recipient["target"].is_object() {
            self.broadcast(oa, body)
        } else {
            Err(Refused::oa(-240))
        }
    }

    fn react(&mut self, oa: usize, body: &Value) -> Outcome {
        let person = self.recipient(oa, body)?;
        let action = &body["sender_action"];
        let icon = action["react_icon"]
            .as_str()
            .filter(|icon| ICONS.contains(icon))
            .ok_or_else(|| Refused::invalid("react_icon"))?;
        let id = text(&action["react_message_id"]).ok_or_else(|| Refused::invalid("react_message_id"))?;
        let message = self
            .standing_mut(oa, person)
            .and_then(|standing| standing.message_mut(&id))
            .ok_or_else(|| Refused::invalid("react_message_id"))?;
        if icon == REMOVE {
            message.reactions = 0;
        } else if message.reactions >= MOST_REACTIONS {
            return Err(Refused::oa(-210));
        } else {
            message.reactions += 1;
        }
        self.journal.counters.reactions += 1;
        self.reacted_by_oa(oa, person, &id, icon);
        let data = json!({"message_id": id, "user_id": self.user_id(oa, person)});
        Ok(Reply::data(data))
    }

    /// `oa_reacted_message`.
    pub(in crate::zalo) fn reacted_by_oa(&mut self, oa: usize, person: u64, id: &str, icon: &str) -> Option<u64> {
        let user_id = self.user_id(oa, person);
        let mut event = json!({
            "sender": {"id": self.oa_id(oa)}, "recipient": {"id": user_id},
            "message": {"msg_id": id, "react_icon": icon},
        });
        self.name_by_app(oa, person, &mut event);
        self.emit(Draft::new(oa, "oa_reacted_message", event).of(&user_id))
    }

    fn anonymous_reply(&mut self, oa: usize, body: &Value) -> Outcome {
        let recipient = &body["recipient"];
        let id = text(&recipient["anonymous_id"]).ok_or_else(|| Refused::invalid("anonymous_id"))?;
        let person = self
            .person_of(oa, &id)
            .filter(|person| self.person(*person).is_some_and(|person| person.anonymous))
            .ok_or_else(|| Refused::invalid("anonymous_id"))?;
        let conversation = text(&recipient["conversation_id"]);
        if conversation.as_deref() != Some(self.conversation_id(oa, person).as_str()) {
            return Err(Refused::invalid("conversation_id"));
        }
        let composed = self.compose(oa, &body["message"])?;
        if !matches!(
            composed.shape,
            Shape::Text | Shape::Image | Shape::File | Shape::Sticker
        ) {
            return Err(Refused::oa(-233));
        }
        self.send_by_app(oa, person, composed, (Way::Anonymous, body), None)
    }

    /// An article to everybody whom `target` describes; refused at night.
    fn broadcast(&mut self, oa: usize, body: &Value) -> Outcome {
        let element = &body["message"]["attachment"]["payload"]["elements"][0];
        if element["media_type"] != "article" || text(&element["attachment_id"]).is_none() {
            return Err(Refused::oa(-233));
        }
        if is_night(self.now().unix_ms) {
            return Err(Refused::oa(-234));
        }
        let id = self.new_id();
        let target = body["recipient"]["target"].to_string();
        self.record(oa, Way::Broadcast, &target, (&id, None), body);
        Ok(Reply::data(json!({"message_id": id})))
    }
}
