//! Tags that an OA puts on people.

use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    params::text,
    world::{Draft, World},
};
use serde_json::{Value, json};

/// However many are asked for, no more tags than this per OA.
const MOST_TAGS: usize = 1_000;

impl World {
    /// `tagfollower` and `rmfollowerfromtag`; the id may be a number, as in Zalo's own sample.
    pub(super) fn tag(&mut self, oa: usize, body: &Value, on: bool) -> Outcome {
        let user_id = text(&body["user_id"]).ok_or_else(|| Refused::invalid("user_id"))?;
        let person = self
            .person_of(oa, &user_id)
            .ok_or_else(|| Refused::invalid("user_id"))?;
        let name = tag_name(body)?;
        self.set_tag(oa, person, &name, on)?;
        Ok(Reply::default())
    }

    /// Tags somebody, or takes the tag off.
    pub(in crate::zalo) fn set_tag(
        &mut self,
        oa: usize,
        person: u64,
        name: &str,
        on: bool,
    ) -> Result<Option<u64>, Refused> {
        let tags = &mut self.oas[oa].tags;
        if on {
            if tags.len() >= MOST_TAGS && !tags.contains_key(name) {
                return Err(Refused::oa(-210));
            }
            tags.entry(name.to_owned()).or_default().insert(person);
        } else if !tags.get_mut(name).is_some_and(|people| people.remove(&person)) {
            return Err(Refused::invalid("tag_name"));
        }
        if let Some(standing) = self.standing_mut(oa, person) {
            if on {
                standing.tags.insert(name.to_owned());
            } else {
                standing.tags.remove(name);
            }
        }
        let event = if on { "add_user_to_tag" } else { "remove_user_from_tag" };
        let user_id = self.user_id(oa, person);
        let body = json!({"oa_id": self.oa_id(oa), "tag": {"user_ids": [user_id], "name": name}});
        Ok(self.emit(Draft::new(oa, event, body).of(&user_id)))
    }

    /// `rmtag`: off everybody.
    pub(super) fn remove_tag(&mut self, oa: usize, body: &Value) -> Outcome {
        let name = tag_name(body)?;
        let people = self.oas[oa]
            .tags
            .remove(&name)
            .ok_or_else(|| Refused::invalid("tag_name"))?;
        for person in &people {
            if let Some(standing) = self.standing_mut(oa, *person) {
                standing.tags.remove(&name);
            }
        }
        let user_ids: Vec<String> = people.iter().map(|person| self.user_id(oa, *person)).collect();
        let event = json!({"oa_id": self.oa_id(oa), "tag": {"user_ids": user_ids, "name": name}});
        self.emit(Draft::new(oa, "remove_tag", event));
        Ok(Reply::default())
    }

    /// `gettagsofoa`.
    pub(super) fn tags(&self, oa: usize) -> Reply {
        Reply::data(self.oas[oa].tags.keys().map(|name| json!(name)).collect())
    }
}

fn tag_name(body: &Value) -> Result<String, Refused> {
    let name = body["tag_name"].as_str().unwrap_or_default();
    if name.trim().is_empty() {
        return Err(Refused::invalid("tag_name"));
    }
    Ok(name.to_owned())
}
