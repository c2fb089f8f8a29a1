//! What can be asked about messages that were sent.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::time_text,
    params::{Params, integer, text},
    template::{Quality, TemplateStatus, TemplateTag},
    world::World,
};
use serde_json::{Value, json};

impl World {
    /// `GET /message/status`: 1 delivered, 0 not yet, -1 unknown.
    pub(super) fn zns_status(&self, oa: usize, params: &Params) -> Outcome {
        let id = params
            .query
            .get("message_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Refused::zns(-107));
        }
        let message = self.zns_sent.get(id).filter(|message| message.oa == oa);
        let delivered = message.map(|message| message.delivered_ms.filter(|at| *at <= self.now().unix_ms));
        let (status, time, words) = match delivered {
            None => (-1, String::new(), "The message does not exist"),
            Some(None) => (0, String::new(), "The message is not delivered to the user's phone yet"),
            Some(Some(at)) => (1, time_text(at), "The message is delivered to the user's phone"),
        };
        Ok(Reply::data(
            json!({"delivery_time": time, "message": words, "status": status}),
        ))
    }

    /// `GET /message/quota`.
    pub(super) fn zns_quota(&mut self, oa: usize) -> Reply {
        let now_ms = self.now().unix_ms;
        let daily = self.oas[oa].identity.zns_daily_quota;
        let remaining = daily.saturating_sub(self.oas[oa].used.at(now_ms).zns);
        Reply::data(json!({"dailyQuota": daily, "remainingQuota": remaining}))
    }

    /// `GET /message/template-tag`: what the OA may send.
    pub(super) fn zns_tags(&self, oa: usize) -> Reply {
        let mut tags: Vec<TemplateTag> = Vec::new();
        for template in &self.oas[oa].templates {
            if template.status == TemplateStatus::Enable && !tags.contains(&template.tag) {
                tags.push(template.tag);
            }
        }
        Reply::data(json!(tags))
    }

    /// `GET /quality`: as low as the OA's worst template.
    pub(super) fn zns_quality(&self, oa: usize) -> Reply {
        let all = || self.oas[oa].templates.iter().map(|template| template.quality);
        let worst = [Quality::Low, Quality::Medium, Quality::High]
            .into_iter()
            .find(|quality| all().any(|of_template| of_template == *quality))
            .unwrap_or(Quality::Undefined);
        Reply::data(json!({"oaCurrentQuality": worst, "oa7dayQuality": worst}))
    }

    /// `GET /rating/get`.
    pub(super) fn ratings(&self, oa: usize, params: &Params) -> Outcome {
        let field = |name: &str| params.query.get(name).unwrap_or(&Value::Null);
        let found = self.feedback(oa, field("template_id"), (field("from_time"), field("to_time")))?;
        let offset = integer(field("offset"))
            .and_then(|at| usize::try_from(at).ok())
            .unwrap_or(0);
        let limit = integer(field("limit"))
            .and_then(|at| usize::try_from(at).ok())
            .unwrap_or(10);
        let total = found.len();
        let shown: Vec<Value> = found.into_iter().skip(offset).take(limit.min(100)).collect();
        Ok(Reply::data(json!({"total": total, "data": shown})))
    }

    /// `POST /response/get`.
    pub(super) fn responses(&self, oa: usize, body: &Value) -> Outcome {
        let found = self.feedback(oa, &body["template_id"], (&body["from_time"], &body["to_time"]))?;
        let limit = integer(&body["limit"])
            .and_then(|at| usize::try_from(at).ok())
            .unwrap_or(10);
        let shown: Vec<Value> = found.into_iter().take(limit.min(100)).collect();
        Ok(Reply::data(json!(shown)))
    }

    fn feedback(&self, oa: usize, template: &Value, (from, to): (&Value, &Value)) -> Result<Vec<Value>, Refused> {
        let template = text(template).ok_or_else(|| Refused::zns(-109))?;
        if self.oas[oa].template(&template).is_none() {
            return Err(Refused::zns(-109));
        }
        let period = integer(from).unwrap_or(i64::MIN)..=integer(to).unwrap_or(i64::MAX);
        let in_period = |feedback: &&Value| integer(&feedback["submitDate"]).is_some_and(|at| period.contains(&at));
        let of_template = self
            .zns_sent
            .of(oa)
            .filter(|(_, message)| message.template_id == template);
        let given = of_template.filter_map(|(_, message)| message.feedback.as_ref());
        Ok(given.filter(in_period).cloned().collect())
    }
}
