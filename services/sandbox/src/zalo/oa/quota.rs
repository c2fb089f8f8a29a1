//! Who pays for a message, and what is left.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::time_text,
    options::{FreeMessages, QuotaNumbers},
    params::text,
    person::Window,
    world::World,
};
use serde_json::{Value, json};

impl World {
    /// A number of a quota object, typed as switched.
    fn typed(&self, number: u32) -> Value {
        match self.switches.quota_numbers {
            QuotaNumbers::Strings => json!(number.to_string()),
            QuotaNumbers::Numbers => json!(number),
        }
    }

    fn quota_object(&self, oa: usize, kind: &str, (remain, total): (u32, u32), until_ms: i64) -> Value {
        json!({
            "quota_type": kind, "remain": self.typed(remain), "total": self.typed(total),
            "expired_date": time_text(until_ms), "owner_type": "OA", "owner_id": self.oa_id(oa),
        })
    }

    /// Takes one message from what is free, else from the OA's package. Answers the quota it came from, of which there is
    /// none where free messages are not counted.
    pub(super) fn charge(&mut self, oa: usize, person: u64) -> Result<Option<Value>, Refused> {
        let now_ms = self.now().unix_ms;
        let free = self.switches.free_messages;
        let standing = self
            .standing_mut(oa, person)
            .ok_or_else(|| Refused::invalid("user_id"))?;
        let until_ms = match (standing.window(now_ms).map_err(Refused::oa)?, free) {
            (Window::Free { .. }, FreeMessages::Unlimited) => return Ok(None),
            (Window::Free { until_ms }, FreeMessages::PerWindow(total)) if standing.free_used < total => {
                standing.free_used += 1;
                let remain = total - standing.free_used;
                return Ok(Some(self.quota_object(oa, "reply", (remain, total), until_ms)));
            }
            (Window::Free { until_ms } | Window::Billable { until_ms }, _) => until_ms,
        };
        let total = self.oas[oa].identity.package_quota;
        let used = self.oas[oa].used.at(now_ms);
        if used.package >= total {
            return Err(Refused::oa(-211));
        }
        used.package += 1;
        let remain = total - used.package;
        Ok(Some(self.quota_object(oa, "sub_quota", (remain, total), until_ms)))
    }

    /// `POST /v3.0/oa/quota/message`: of one person, or of the package.
    pub(super) fn quota(&mut self, oa: usize, body: &Value) -> Outcome {
        let now_ms = self.now().unix_ms;
        if body["user_id"].is_null() {
            return self.package_quota(oa, body, now_ms);
        }
        let user_id = text(&body["user_id"]).ok_or_else(|| Refused::invalid("user_id"))?;
        let standing = self
            .person_of(oa, &user_id)
            .and_then(|person| self.standing(oa, person))
            .ok_or_else(|| Refused::invalid("user_id"))?;
        let (remain, total) = match (self.switches.free_messages, standing.window(now_ms)) {
            // Zalo says no number for "unlimited"; nothing is left where the window is closed.
            (FreeMessages::Unlimited, Ok(Window::Free { .. })) => (i64::from(i32::MAX), i64::from(i32::MAX)),
            (FreeMessages::Unlimited, _) => (0, i64::from(i32::MAX)),
            (FreeMessages::PerWindow(total), Ok(Window::Free { .. })) => {
                (i64::from(total.saturating_sub(standing.free_used)), i64::from(total))
            }
            (FreeMessages::PerWindow(total), _) => (0, i64::from(total)),
        };
        let last = standing.last_interaction_ms.unwrap_or_default().to_string();
        Ok(Reply::data(json!({
            "last_interaction": last, "cs_reply": {"remain": remain, "total": total},
            "promotion": {"remain": 0, "total": 0},
        })))
    }

    fn package_quota(&mut self, oa: usize, body: &Value, now_ms: i64) -> Outcome {
        let owner = body["quota_owner"].as_str().unwrap_or_default();
        if !owner.eq_ignore_ascii_case("OA") && !owner.eq_ignore_ascii_case("APP") {
            return Err(Refused::invalid("quota_owner"));
        }
        if !matches!(body["product_type"].as_str(), None | Some("cs" | "transaction")) {
            return Err(Refused::invalid("product_type"));
        }
        let kind = body["quota_type"].as_str().unwrap_or("sub_quota");
        if !matches!(kind, "sub_quota" | "purchase_quota" | "reward_quota") {
            return Err(Refused::invalid("quota_type"));
        }
        let total = self.oas[oa].identity.package_quota;
        let remain = total.saturating_sub(self.oas[oa].used.at(now_ms).package);
        let mut quota = self.quota_object(oa, kind, (remain, total), now_ms);
        quota["product_type"] = json!(body["product_type"].as_str().unwrap_or("cs"));
        Ok(Reply::data(json!([quota])))
    }
}
