//! Sending by a template, to a phone or to the hash of one.

use super::ZnsMessage;
use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::is_night,
    journal::Way,
    params::text,
    template::{Template, TemplateKind, TemplateStatus, TemplateTag},
    world::{Draft, World},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Characters.
const LONGEST_TRACKING_ID: usize = 48;

/// A request whose fields are as they must be.
struct Request {
    /// A phone `84…`, or a hash.
    to: String,
    template_id: String,
    tracking_id: String,
    sending_mode: String,
    is_development: bool,
}

impl World {
    /// `POST /message/template` and `/message/template/hashphone`.
    pub(super) fn send_zns(&mut self, oa: usize, body: &Value, by_hash: bool) -> Outcome {
        let request = Request::read(body, by_hash)?;
        let template = self.template_to_send(oa, &request, body)?;
        self.check_time_and_mode(oa, &request, &template)?;
        let person = self.reachable_by_phone(&request, by_hash)?;
        if request.is_development {
            self.check_development(oa, person)?;
        }
        self.take_quota(oa, &request, &template)?;
        let id = self.new_id();
        let way = if by_hash { Way::ZnsByHash } else { Way::Zns };
        self.record(oa, way, &request.to, (&id, None), body);
        let now_ms = self.now().unix_ms;
        let answer = self.zns_answer(oa, &id, &request, now_ms);
        self.deliver_zns(oa, person, &id, request);
        Ok(Reply::data(answer))
    }

    fn template_to_send(&self, oa: usize, request: &Request, body: &Value) -> Result<Template, Refused> {
        let id = &request.template_id;
        let Some(template) = self.oas[oa].template(id) else {
            let elsewhere = self.oas.iter().any(|oa| oa.template(id).is_some());
            return Err(Refused::zns(if elsewhere { -117 } else { -109 }));
        };
        match template.status {
            TemplateStatus::Enable => {}
            TemplateStatus::PendingReview | TemplateStatus::Reject => return Err(Refused::zns(-131)),
            TemplateStatus::Disable => return Err(Refused::zns(-146)),
            TemplateStatus::Delete => return Err(Refused::zns(-109)),
        }
        template.check(body.get("template_data"))?;
        Ok(template.clone())
    }

    fn check_time_and_mode(&self, oa: usize, request: &Request, template: &Template) -> Result<(), Refused> {
        let identity = &self.oas[oa].identity;
        if !identity.verified {
            return Err(Refused::zns(-135));
        }
        if request.sending_mode == "3" {
            if !identity.zns_over_quota {
                return Err(Refused::zns(-161));
            }
            if matches!(template.tag, TemplateTag::Transaction | TemplateTag::CustomerCare) {
                return Err(Refused::zns(-162));
            }
        }
        let spared = template.kind == TemplateKind::Otp && self.switches.zns_night_spares_otp;
        if self.switches.zns_night_block && !spared && is_night(self.now().unix_ms) {
            return Err(Refused::zns(-133));
        }
        Ok(())
    }

    fn reachable_by_phone(&self, request: &Request, by_hash: bool) -> Result<u64, Refused> {
        let found = if by_hash {
            self.person_of_hash(&request.to)
        } else {
            self.person_of_phone(&request.to)
        };
        let id = found.ok_or_else(|| Refused::zns(-118))?;
        match self.person(id).and_then(|person| person.zns_refusal) {
            Some(refusal) => Err(Refused::zns(refusal.code())),
            None => Ok(id),
        }
    }

    fn check_development(&self, oa: usize, person: u64) -> Result<(), Refused> {
        let phone = self.person(person).and_then(|person| person.phone.as_ref());
        let is_admin = phone.is_some_and(|phone| self.oas[oa].identity.admin_phones.contains(phone));
        if is_admin { Ok(()) } else { Err(Refused::zns(-127)) }
    }

    /// Everything is checked before anything is taken.
    fn take_quota(&mut self, oa: usize, request: &Request, template: &Template) -> Result<(), Refused> {
        let now_ms = self.now().unix_ms;
        let development_quota = self.options.development_quota;
        let daily_quota = self.oas[oa].identity.zns_daily_quota;
        let used = self.oas[oa].used.at(now_ms);
        if request.is_development {
            if used.development >= development_quota {
                return Err(Refused::zns(-126));
            }
            used.development += 1;
            return Ok(());
        }
        if used.zns >= daily_quota && request.sending_mode != "3" {
            return Err(Refused::zns(-144));
        }
        let by_template = used.by_template.entry(template.id.clone()).or_default();
        if template.daily_quota.is_some_and(|quota| *by_template >= quota) {
            return Err(Refused::zns(-147));
        }
        *by_template += 1;
        used.zns += 1;
        Ok(())
    }

    fn zns_answer(&mut self, oa: usize, id: &str, request: &Request, now_ms: i64) -> Value {
        let daily = self.oas[oa].identity.zns_daily_quota;
        let remaining = daily.saturating_sub(self.oas[oa].used.at(now_ms).zns);
        // Strings here, numbers in `/message/quota`.
        json!({
            "msg_id": id, "sent_time": now_ms.to_string(), "sending_mode": request.sending_mode,
            "quota": {"dailyQuota": daily.to_string(), "remainingQuota": remaining.to_string()},
        })
    }

    /// Remembers the message, and makes its receipt.
    fn deliver_zns(&mut self, oa: usize, person: u64, id: &str, request: Request) {
        let delay = self.switches.received_after_ms.map(Duration::from_millis);
        let delivered_ms = delay.map(|delay| {
            let waited = self.options.scaled(delay).as_millis();
            self.now().unix_ms + i64::try_from(waited).unwrap_or_default()
        });
        let message = ZnsMessage {
            oa,
            to: request.to,
            person,
            template_id: request.template_id,
            tracking_id: request.tracking_id,
            delivered_ms,
            feedback: None,
        };
        self.zns_sent.add(id, message);
        if let Some(delay) = delay {
            self.zns_received(id, delay);
        }
    }

    /// `user_received_message` as ZNS sends it: the recipient is the phone or its hash.
    pub(in crate::zalo) fn zns_received(&mut self, id: &str, delay: Duration) -> Option<u64> {
        let message = self.zns_sent.get(id)?.clone();
        let delivered = message.delivered_ms.unwrap_or_else(|| self.now().unix_ms).to_string();
        let body = json!({
            "sender": {"id": self.oa_id(message.oa)}, "recipient": {"id": message.to},
            "message": {"delivery_time": delivered, "msg_id": id, "tracking_id": message.tracking_id},
        });
        self.emit(Draft::new(message.oa, "user_received_message", body).zns().after(delay))
    }
}

impl Request {
    fn read(body: &Value, by_hash: bool) -> Result<Self, Refused> {
        let to = if by_hash {
            text(&body["hash_phone"])
                .filter(|hash| is_hash(hash))
                .map(std::borrow::Cow::into_owned)
        } else {
            text(&body["phone"]).as_deref().and_then(phone)
        };
        let to = to.ok_or_else(|| Refused::zns(-108))?;
        let template_id = text(&body["template_id"])
            .ok_or_else(|| Refused::zns(-109))?
            .into_owned();
        let tracking_id = body["tracking_id"]
            .as_str()
            .filter(|id| is_tracking_id(id))
            .ok_or_else(|| Refused::zns(-132).about("tracking_id"))?
            .to_owned();
        let sending_mode = match &body["sending_mode"] {
            Value::Null => "1".to_owned(),
            mode => text(mode)
                .filter(|mode| matches!(&**mode, "1" | "3"))
                .ok_or_else(|| Refused::zns(-161))?
                .into_owned(),
        };
        let is_development = match body["mode"].as_str() {
            None if body["mode"].is_null() => false,
            Some("development") => true,
            _ => return Err(Refused::zns(-132).about("mode")),
        };
        Ok(Self {
            to,
            template_id,
            tracking_id,
            sending_mode,
            is_development,
        })
    }
}

/// `84…` with 9 or 10 digits after it, also where a plus stands before; numbers that begin with 0 are refused.
fn phone(given: &str) -> Option<String> {
    let digits = given.strip_prefix('+').unwrap_or(given);
    let rest = digits.strip_prefix("84")?;
    let is_right = (9..=10).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit());
    is_right.then(|| digits.to_owned())
}

fn is_hash(given: &str) -> bool {
    given.len() == 64 && given.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Zalo says "no special characters"; what it takes for special is not said. Letters, digits, `-`, `_` and `.` are not.
fn is_tracking_id(id: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !id.is_empty() && id.chars().count() <= LONGEST_TRACKING_ID && id.chars().all(legal)
}
