//! Chat groups of an OA (GMF).

use super::people::page;
use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    app::Group,
    journal::Way,
    params::text,
    world::{Draft, World},
};
use serde_json::{Value, json};

const MOST_LISTED: i64 = 50;

impl World {
    fn group(&self, oa: usize, id: &Value) -> Result<(String, &Group), Refused> {
        let id = text(id).ok_or_else(|| Refused::invalid("group_id"))?;
        // Whether a group is unknown or another OA's, the OA is not in it.
        let group = self.oas[oa].groups.get(&*id).ok_or_else(|| Refused::oa(-403))?;
        if group.disabled {
            return Err(Refused::oa(-237));
        }
        Ok((id.into_owned(), group))
    }

    /// `POST /v3.0/oa/group/message`; free of charge.
    pub(super) fn group_message(&mut self, oa: usize, body: &Value) -> Outcome {
        let (group_id, _) = self.group(oa, &body["recipient"]["group_id"])?;
        let composed = self.compose(oa, &body["message"])?;
        let id = self.new_id();
        self.record(oa, Way::Group, &group_id, (&id, composed.text.clone()), body);
        if self.switches.echoes {
            let mut message = json!({"msg_id": id});
            if let Some(text) = &composed.text {
                message["text"] = json!(text);
            }
            if !composed.attachments.is_empty() {
                message["attachments"] = json!(composed.attachments);
            }
            let event = json!({
                "oa_id": self.oa_id(oa), "group_id": group_id, "sender": {"id": self.oa_id(oa)},
                "recipient": {"id": group_id}, "message": message,
            });
            let name = format!("oa_send_group_{}", composed.shape.name());
            self.emit(Draft::new(oa, name, event).of(&group_id));
        }
        let sent_time = self.now().unix_ms.to_string();
        Ok(Reply::data(
            json!({"message_id": id, "group_id": group_id, "sent_time": sent_time}),
        ))
    }

    /// `GET /v3.0/oa/group/getgroupsofoa`.
    pub(super) fn groups_of_oa(&self, oa: usize, data: &Value) -> Outcome {
        let (offset, count) = page(data, i64::MAX, MOST_LISTED)?;
        let all = &self.oas[oa].groups;
        let groups: Vec<Value> = all
            .iter()
            .skip(offset)
            .take(count)
            .map(|(id, group)| {
                json!({
                    "group_id": id, "name": group.name, "total_member": group.members.len(),
                    "status": if group.disabled { "disabled" } else { "enabled" },
                })
            })
            .collect();
        Ok(Reply::data(
            json!({"total": all.len(), "count": groups.len(), "offset": offset, "groups": groups}),
        ))
    }

    /// `GET /v3.0/oa/group/listmember`.
    pub(super) fn group_members(&self, oa: usize, data: &Value) -> Outcome {
        let (offset, count) = page(data, i64::MAX, MOST_LISTED)?;
        let (_, group) = self.group(oa, &data["group_id"])?;
        let members: Vec<Value> = group
            .members
            .iter()
            .skip(offset)
            .take(count)
            .map(|person| {
                let name = self.person(*person).map_or("", |person| person.name.as_str());
                json!({"user_id": self.user_id(oa, *person), "name": name})
            })
            .collect();
        Ok(Reply::data(
            json!({"total": group.members.len(), "count": members.len(), "offset": offset, "members": members}),
        ))
    }
}
