//! What an OA can ask about people and about itself.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::{day_number, day_text},
    params::{integer, text},
    person::Standing,
    world::World,
};
use serde_json::{Value, json};

const MOST_PEOPLE: i64 = 50;
const FURTHEST: i64 = 9_951;
const MOST_MESSAGES: i64 = 10;

impl World {
    /// `GET /v3.0/oa/user/detail`.
    pub(super) fn user_detail(&self, oa: usize, data: &Value) -> Outcome {
        let (id, standing) = self.asked(oa, data)?;
        let name = self.person(id).map(|person| person.name.clone()).unwrap_or_default();
        let user_id = self.user_id(oa, id);
        let avatar = format!("{}/media/avatar/{user_id}", self.base_url);
        let shared = standing.shared_info.clone().unwrap_or_else(|| json!({}));
        Ok(Reply::data(json!({
            "user_id": user_id, "user_id_by_app": self.user_id_by_app(self.oas[oa].app, id), "user_external_id": "",
            "display_name": name, "user_alias": name, "is_sensitive": false,
            "user_last_interaction_date": standing.last_interaction_ms.map(day_text).unwrap_or_default(),
            "user_is_follower": standing.follows, "avatar": avatar, "avatars": {"120": avatar, "240": avatar},
            "dynamic_param": "", "tags_and_notes_info": {"tag_names": standing.tags, "notes": []},
            "shared_info": shared,
        })))
    }

    fn asked(&self, oa: usize, data: &Value) -> Result<(u64, &Standing), Refused> {
        let invalid = || Refused::invalid("user_id");
        let user_id = text(&data["user_id"]).ok_or_else(invalid)?;
        let id = self.person_of(oa, &user_id).ok_or_else(invalid)?;
        let standing = self.standing(oa, id).ok_or_else(invalid)?;
        Ok((id, standing))
    }

    /// `GET /v3.0/oa/user/getlist`.
    pub(super) fn user_list(&self, oa: usize, data: &Value) -> Outcome {
        let (offset, count) = page(data, FURTHEST, MOST_PEOPLE)?;
        let period = match data["last_interaction_period"].as_str() {
            None => None,
            Some(period) => Some(
                Period::parse(period, self.now().unix_ms).ok_or_else(|| Refused::invalid("last_interaction_period"))?,
            ),
        };
        let follower = match &data["is_follower"] {
            Value::Null => None,
            Value::Bool(wanted) => Some(*wanted),
            Value::String(wanted) => Some(wanted == "true"),
            _ => return Err(Refused::invalid("is_follower")),
        };
        let tag = data["tag_name"].as_str();
        let wanted = |standing: &Standing| {
            tag.is_none_or(|tag| standing.tags.contains(tag))
                && follower.is_none_or(|wanted| standing.follows == wanted)
                && period.is_none_or(|period| standing.last_interaction_ms.is_some_and(|at| period.holds(at)))
        };
        let found: Vec<String> = self
            .people()
            .filter(|(_, person)| !person.anonymous && person.standings.get(&oa).is_some_and(wanted))
            .map(|(id, _)| self.user_id(oa, id))
            .collect();
        let users: Vec<Value> = found
            .iter()
            .skip(offset)
            .take(count)
            .map(|user_id| json!({"user_id": user_id}))
            .collect();
        Ok(Reply::data(json!({
            "total": found.len(), "count": users.len(), "offset": offset, "users": users,
        })))
    }

    /// `GET /v2.0/oa/conversation`: newest first.
    pub(super) fn conversation(&self, oa: usize, data: &Value) -> Outcome {
        let (offset, count) = page(data, i64::MAX, MOST_MESSAGES)?;
        let (id, standing) = self.asked(oa, data)?;
        let shown = standing.conversation.iter().rev().skip(offset).take(count);
        Ok(Reply::data(shown.map(|stored| self.listed(oa, id, stored)).collect()))
    }

    /// `GET /v2.0/oa/listrecentchat`: the newest message of each conversation, newest first.
    pub(super) fn recent_chats(&self, oa: usize, data: &Value) -> Outcome {
        let (offset, count) = page(data, i64::MAX, MOST_MESSAGES)?;
        let mut newest: Vec<_> = self
            .people()
            .filter_map(|(id, person)| Some((id, person.standings.get(&oa)?.conversation.back()?)))
            .collect();
        newest.sort_by_key(|(_, stored)| std::cmp::Reverse(stored.at_ms));
        let shown = newest.into_iter().skip(offset).take(count);
        Ok(Reply::data(
            shown.map(|(id, stored)| self.listed(oa, id, stored)).collect(),
        ))
    }

    fn listed(&self, oa: usize, person: u64, stored: &crate::zalo::person::Stored) -> Value {
        let name = self.person(person).map_or("", |person| person.name.as_str());
        let identity = &self.oas[oa].identity;
        stored.in_list(&self.user_id(oa, person), name, &identity.oa_id, &identity.name)
    }

    /// `GET /v2.0/oa/getoa`.
    pub(super) fn profile(&self, oa: usize) -> Reply {
        let identity = &self.oas[oa].identity;
        let followers = self
            .people()
            .filter(|(_, person)| person.standings.get(&oa).is_some_and(|standing| standing.follows))
            .count();
        Reply::data(json!({
            "oa_id": identity.oa_id, "name": identity.name, "description": "", "oa_alias": "", "oa_type": 2,
            "is_verified": identity.verified, "num_follower": followers, "avatar": "", "cover": "", "cate_name": "",
            "package_name": identity.package, "package_valid_through_date": "", "linked_ZCA": "",
        }))
    }
}

/// `offset` and `count` within their bounds.
pub(super) fn page(data: &Value, furthest: i64, most: i64) -> Result<(usize, usize), Refused> {
    let read = |field: &str, usual: i64, legal: std::ops::RangeInclusive<i64>| {
        let number = match &data[field] {
            Value::Null => usual,
            given => integer(given).ok_or_else(|| Refused::invalid(field))?,
        };
        if legal.contains(&number) {
            usize::try_from(number).map_err(|_| Refused::invalid(field))
        } else {
            Err(Refused::oa(-210))
        }
    };
    Ok((read("offset", 0, 0..=furthest)?, read("count", most.min(5), 1..=most)?))
}

/// Days in GMT+7, both included.
#[derive(Clone, Copy)]
struct Period {
    from: i64,
    to: i64,
}

impl Period {
    fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let today = day_number(now_ms);
        let (from, to) = match text {
            "TODAY" => (today, today),
            "YESTERDAY" => (today - 1, today - 1),
            "L7D" => (today - 6, today),
            "L30D" => (today - 29, today),
            other => {
                let (from, to) = other.split_once(':')?;
                (day(from)?, day(to)?)
            }
        };
        (from <= to).then_some(Self { from, to })
    }

    fn holds(self, at_ms: i64) -> bool {
        (self.from..=self.to).contains(&day_number(at_ms))
    }
}

/// Days since 1970 of `YYYY_MM_DD`.
fn day(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.replace('_', "-").parse().ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7))).ok()?;
    Some(day_number(midnight.timestamp().as_millisecond()))
}
