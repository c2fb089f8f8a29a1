//! What people do beside writing: following, reading, refusing, rating.

use super::Done;
use crate::zalo::{
    control::ControlError,
    person::{Unreachable, ZnsRefusal},
    world::{Draft, World},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

impl World {
    fn emit_about(&mut self, oa: usize, person: u64, name: &str, mut body: Value) -> Done {
        self.name_by_app(oa, person, &mut body);
        let user_id = self.user_id(oa, person);
        Done::event(self.emit(Draft::new(oa, name, body).of(&user_id)))
    }

    fn interaction(&mut self, oa: usize, person: u64) {
        let now_ms = self.now().unix_ms;
        if let Some(standing) = self.standing_mut(oa, person) {
            standing.interacted(now_ms);
        }
    }

    pub(super) fn follow(&mut self, oa: usize, person: u64, on: bool) -> Done {
        if on {
            self.interaction(oa, person);
        }
        if let Some(standing) = self.standing_mut(oa, person) {
            standing.follows = on;
            standing.left = !on;
        }
        let follower = json!({"id": self.user_id(oa, person)});
        let body = json!({"oa_id": self.oa_id(oa), "follower": follower, "source": "oa_profile"});
        self.emit_about(oa, person, if on { "follow" } else { "unfollow" }, body)
    }

    /// Comes once per person.
    pub(super) fn chat_now(&mut self, oa: usize, person: u64) -> Result<Done, ControlError> {
        let standing = self.standing_mut(oa, person).ok_or(ControlError::UnknownPerson)?;
        if std::mem::replace(&mut standing.chatted, true) {
            return Err(ControlError::Impossible("the chat was opened before"));
        }
        self.interaction(oa, person);
        let body = json!({"oa_id": self.oa_id(oa), "user_id": self.user_id(oa, person)});
        Ok(self.emit_about(oa, person, "user_click_chatnow", body))
    }

    pub(super) fn submit_info(&mut self, oa: usize, person: u64, info: &Map<String, Value>) -> Done {
        self.interaction(oa, person);
        if let Some(standing) = self.standing_mut(oa, person) {
            standing.shared_info = Some(Value::Object(info.clone()));
        }
        let body = json!({
            "sender": {"id": self.user_id(oa, person)}, "recipient": {"id": self.oa_id(oa)}, "info": info,
        });
        self.emit_about(oa, person, "user_submit_info", body)
    }

    pub(super) fn react_of_person(
        &mut self,
        oa: usize,
        person: u64,
        id: &str,
        icon: &str,
    ) -> Result<Done, ControlError> {
        let known = self.standing(oa, person).and_then(|standing| standing.message(id));
        known.ok_or(ControlError::UnknownMessage)?;
        self.interaction(oa, person);
        let body = json!({
            "sender": {"id": self.user_id(oa, person)}, "recipient": {"id": self.oa_id(oa)},
            "message": {"msg_id": id, "react_icon": icon},
        });
        Ok(self.emit_about(oa, person, "user_reacted_message", body))
    }

    pub(super) fn receive(&mut self, oa: usize, person: u64, id: &str) -> Result<Done, ControlError> {
        let known = self.standing(oa, person).and_then(|standing| standing.message(id));
        known.ok_or(ControlError::UnknownMessage)?;
        Ok(Done::event(self.received(oa, person, id, Duration::ZERO)))
    }

    /// Does not open the window. An id may be named twice, as Zalo does.
    pub(super) fn see(&mut self, oa: usize, person: u64, ids: &[String]) -> Result<Done, ControlError> {
        let standing = self.standing(oa, person).ok_or(ControlError::UnknownMessage)?;
        if !ids.iter().all(|id| standing.message(id).is_some()) {
            return Err(ControlError::UnknownMessage);
        }
        Ok(Done::event(self.seen(oa, person, ids, Duration::ZERO)))
    }

    pub(super) fn withdraw(&mut self, oa: usize, person: u64) -> Done {
        let body = json!({"oa_id": self.oa_id(oa), "user_id": self.user_id(oa, person)});
        self.emit_about(oa, person, "user_withdraw", body)
    }

    pub(super) fn reply_consent(&mut self, oa: usize, person: u64, allow: bool, expired_time: i64) -> Done {
        self.interaction(oa, person);
        let phone = self.person(person).and_then(|person| person.phone.clone());
        let body = json!({
            "oa_id": self.oa_id(oa), "user_id": self.user_id(oa, person), "phone": phone,
            "user_consent": if allow { "ALLOW" } else { "USER_BLOCKED" },
            "confirmed_time": self.now().unix_ms.to_string(), "expired_time": expired_time.to_string(),
        });
        self.emit_about(oa, person, "user_reply_consent", body)
    }

    /// The units differ from field to field, as in Zalo's documents.
    pub(super) fn call(
        &mut self,
        oa: usize,
        person: u64,
        name: &str,
        (waiting_s, talk_ms, status): (u64, u64, i64),
    ) -> Done {
        self.interaction(oa, person);
        let call_id = self.new_id();
        let body = json!({
            "oa_id": self.oa_id(oa), "user_id": self.user_id(oa, person), "call_id": call_id, "call_type": "audio",
            "init_time": self.now().unix_ms.to_string(), "call_duration": waiting_s * 1_000 + talk_ms,
            "waiting_time": waiting_s, "talk_time": talk_ms, "status_code": status,
        });
        self.emit_about(oa, person, name, body)
    }

    pub(super) fn accept_widget(&mut self, oa: usize, person: u64, external_id: &str, url: &str) -> Done {
        self.interaction(oa, person);
        let user_id = self.user_id(oa, person);
        let data = json!({"user_id": user_id, "user_external_id": external_id, "url": url});
        let body = json!({"oa_id": self.oa_id(oa), "data": data});
        self.emit_about(oa, person, "widget_interaction_accepted", body)
    }

    /// Zalo tells the OA nothing.
    pub(super) fn be_unreachable(&mut self, oa: usize, person: u64, why: Option<Unreachable>) -> Done {
        if let Some(standing) = self.standing_mut(oa, person) {
            standing.unreachable = why;
        }
        Done::default()
    }

    /// Zalo tells the OA nothing.
    pub(super) fn refuse_zns(&mut self, person: u64, why: Option<ZnsRefusal>) -> Done {
        if let Some(person) = self.person_mut(person) {
            person.zns_refusal = why;
        }
        Done::default()
    }

    fn own_zns(&self, person: u64, id: &str) -> Result<crate::zalo::zns::ZnsMessage, ControlError> {
        let message = self.zns_sent.get(id).filter(|message| message.person == person);
        message.cloned().ok_or(ControlError::UnknownMessage)
    }

    pub(super) fn receive_zns(&mut self, person: u64, id: &str) -> Result<Done, ControlError> {
        self.own_zns(person, id)?;
        let now_ms = self.now().unix_ms;
        if let Some(message) = self.zns_sent.get_mut(id) {
            message.delivered_ms.get_or_insert(now_ms);
        }
        Ok(Done::event(self.zns_received(id, Duration::ZERO)))
    }

    /// `user_feedback` names nobody: it is joined by `tracking_id` or `msg_id`.
    pub(super) fn rate(
        &mut self,
        person: u64,
        id: &str,
        (rate, note, feedbacks): (u8, &str, &[String]),
    ) -> Result<Done, ControlError> {
        let message = self.own_zns(person, id)?;
        if !(1..=5).contains(&rate) {
            return Err(ControlError::Impossible("a rating is from 1 to 5"));
        }
        let now_ms = self.now().unix_ms;
        let given = json!({
            "note": note, "rate": rate, "submitDate": now_ms.to_string(), "msgId": id, "feedbacks": feedbacks,
            "trackingId": message.tracking_id,
        });
        if let Some(message) = self.zns_sent.get_mut(id) {
            message.feedback = Some(given);
        }
        let body = json!({
            "oa_id": self.oa_id(message.oa),
            "message": {
                "rating_type": "star", "option": rate.to_string(), "note": note, "rate": rate,
                "submit_time": now_ms.to_string(), "msg_id": id, "feedbacks": feedbacks,
                "tracking_id": message.tracking_id,
            },
        });
        Ok(Done::event(
            self.emit(Draft::new(message.oa, "user_feedback", body).zns()),
        ))
    }

    pub(super) fn click_response(&mut self, person: u64, id: &str, data: &str) -> Result<Done, ControlError> {
        let message = self.own_zns(person, id)?;
        let now_ms = self.now().unix_ms;
        let body = json!({
            "oa_id": self.oa_id(message.oa), "msg_id": id,
            "message": {
                "submit_time": now_ms.to_string(), "button_type": "response", "data": data,
                "tracking_id": message.tracking_id,
            },
        });
        Ok(Done::event(self.emit(
            Draft::new(message.oa, "user_click_response_button", body).zns(),
        )))
    }
}
