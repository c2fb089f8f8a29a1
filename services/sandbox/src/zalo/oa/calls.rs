//! Calls: a person is asked first, then may be called. Zalo's bodies are documented thinly; what is read here is the least.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    params::text,
    world::{Draft, World},
};
use serde_json::{Value, json};

/// How long a person has for an answer.
const CONSENT_LIFE_MS: i64 = 24 * 3_600_000;

impl World {
    fn callee(&self, oa: usize, body: &Value) -> Result<u64, Refused> {
        let by_id = text(&body["user_id"]).and_then(|user_id| self.person_of(oa, &user_id));
        let by_phone = || text(&body["phone"]).and_then(|phone| self.person_of_phone(&phone));
        by_id.or_else(by_phone).ok_or_else(|| Refused::invalid("user_id"))
    }

    /// `POST /v2.0/oa/call/requestconsent`.
    pub(super) fn request_consent(&mut self, oa: usize, body: &Value) -> Outcome {
        let person = self.callee(oa, body)?;
        self.consent(oa, person, "SENT");
        Ok(Reply::default())
    }

    /// `oa_send_consent`, which says `SENT` or `EXPIRED`.
    pub(in crate::zalo) fn consent(&mut self, oa: usize, person: u64, kind: &str) -> Option<u64> {
        let now_ms = self.now().unix_ms;
        let phone = self.person(person)?.phone.clone();
        let user_id = self.user_id(oa, person);
        let body = json!({
            "oa_id": self.oa_id(oa), "user_id": user_id, "phone": phone, "request_type": kind,
            "create_time": now_ms.to_string(), "expired_time": (now_ms + CONSENT_LIFE_MS).to_string(),
        });
        self.emit(Draft::new(oa, "oa_send_consent", body).of(&user_id))
    }

    /// `POST /v3.0/oa/call/outbound`.
    pub(super) fn outbound_call(&mut self, oa: usize, body: &Value) -> Outcome {
        let person = self.callee(oa, body)?;
        let call_id = self.new_id();
        let user_id = self.user_id(oa, person);
        Ok(Reply::data(
            json!({"call_id": call_id, "user_id": user_id, "ttl": 172_800}),
        ))
    }
}
