//! What the OA's people do: an admin at Zalo's own chat page, and whoever holds the console.

use super::{Done, Media};
use crate::zalo::{
    control::ControlError,
    oa::{Composed, Outgoing, Shape},
    template::{Quality, TemplateStatus},
    world::{Draft, World},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What an admin does in Zalo's own chat page, past the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of Zalo's events")]
pub enum AdminAction {
    /// Writes.
    Text { text: String },
    /// Sends a picture.
    Image(Media),
    /// Sends an animation.
    Gif(Media),
    /// Sends a document.
    File(Media),
    /// Sends a sticker.
    Sticker { id: String },
    /// Sends a list of links.
    List { titles: Vec<String> },
    /// Puts a reaction on a message.
    React { message_id: String, icon: String },
    /// Tags the person, or takes the tag off.
    Tag { name: String, on: bool },
    /// Asks whether the OA may call; or the question expires.
    RequestConsent {
        #[serde(default)]
        expired: bool,
    },
    /// Calls.
    Call {
        waiting_s: u64,
        talk_ms: u64,
        #[serde(default)]
        status_code: i64,
    },
}

/// An admin, a person, and what the one does to the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdminAct {
    /// To whom.
    pub person: u64,
    /// `sender.admin_id`.
    #[serde(default = "admin")]
    pub admin_id: String,
    /// What.
    #[serde(flatten)]
    pub action: AdminAction,
}

fn admin() -> String {
    "8000000000000000001".to_owned()
}

/// What becomes of a group; the names of some of Zalo's group events conflict and are left to
/// [`ZaloHandle::other_event`](crate::zalo::ZaloHandle::other_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as Zalo's events")]
pub enum GroupChange {
    CreateGroup,
    UserJoinGroup,
    UserRequestJoinGroup,
    RejectRequestJoinGroup,
    AddGroupAdmin,
    RemoveGroupAdmin,
    UpdateGroupInfo,
    DeleteGroup,
}

/// What is done in the console, or by Zalo itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of Zalo's events")]
pub enum ConsoleAction {
    /// A template passes the review, fails it, or is switched off: `change_template_status`.
    TemplateStatus {
        template_id: String,
        status: TemplateStatus,
        #[serde(default)]
        reason: String,
    },
    /// `change_template_quality`.
    TemplateQuality { template_id: String, quality: Quality },
    /// `change_template_quota`.
    TemplateQuota { template_id: String, daily_quota: u32 },
    /// `change_oa_daily_quota`.
    DailyQuota { daily_quota: u32 },
    /// `change_oa_template_tags`.
    TemplateTags { tags: Vec<String> },
    /// The OA is disabled, or enabled again. No event tells of it.
    Disable { on: bool },
    /// The OA is verified, or no more.
    Verify { on: bool },
    /// A group is disabled (`-237`), or enabled again. No event tells of it.
    DisableGroup { group_id: String, on: bool },
    /// Something happens to a group of [`ZaloHandle::group`](crate::zalo::ZaloHandle::group).
    Group {
        change: GroupChange,
        group_id: String,
        #[serde(default)]
        people: Vec<u64>,
    },
}

impl World {
    pub(in crate::zalo) fn admin_act(&mut self, oa: usize, act: &AdminAct) -> Result<Done, ControlError> {
        let person = act.person;
        self.person(person).ok_or(ControlError::UnknownPerson)?;
        if let Some(composed) = self.composed_by_admin(oa, &act.action)? {
            return Ok(self.send_by_admin(oa, act, composed));
        }
        let event = match &act.action {
            AdminAction::React { message_id, icon } => {
                let known = self
                    .standing(oa, person)
                    .and_then(|standing| standing.message(message_id));
                known.ok_or(ControlError::UnknownMessage)?;
                self.reacted_by_oa(oa, person, message_id, icon)
            }
            AdminAction::Tag { name, on } => self
                .set_tag(oa, person, name, *on)
                .map_err(|_| ControlError::Impossible("no such tag"))?,
            AdminAction::RequestConsent { expired } => {
                self.consent(oa, person, if *expired { "EXPIRED" } else { "SENT" })
            }
            AdminAction::Call {
                waiting_s,
                talk_ms,
                status_code,
            } => return Ok(self.call(oa, person, "oa_call_user", (*waiting_s, *talk_ms, *status_code))),
            _ => None,
        };
        Ok(Done::event(event))
    }

    /// The message, where the action is one.
    fn composed_by_admin(&mut self, oa: usize, action: &AdminAction) -> Result<Option<Composed>, ControlError> {
        let media = |world: &mut Self, shape: Shape, media: &Media| {
            Ok(Composed {
                shape,
                text: media.text.clone(),
                attachments: vec![world.attachment(oa, shape.name(), media)?],
                ..Composed::default()
            })
        };
        let composed = match action {
            AdminAction::Text { text } => Composed {
                text: Some(text.clone()),
                ..Composed::default()
            },
            AdminAction::Image(image) => media(self, Shape::Image, image)?,
            AdminAction::Gif(gif) => media(self, Shape::Gif, gif)?,
            AdminAction::File(file) => media(self, Shape::File, file)?,
            AdminAction::Sticker { id } => {
                let url = format!("{}/media/sticker/{id}", self.base_url);
                Composed {
                    shape: Shape::Sticker,
                    attachments: vec![json!({"type": "sticker", "payload": {"url": url, "id": id}})],
                    ..Composed::default()
                }
            }
            AdminAction::List { titles } => Composed {
                shape: Shape::List,
                attachments: titles.iter().map(|title| link(title)).collect(),
                ..Composed::default()
            },
            AdminAction::React { .. }
            | AdminAction::Tag { .. }
            | AdminAction::RequestConsent { .. }
            | AdminAction::Call { .. } => return Ok(None),
        };
        Ok(Some(composed))
    }

    fn send_by_admin(&mut self, oa: usize, act: &AdminAct, composed: Composed) -> Done {
        let before = self.journal.counters.events;
        let message_id = self.send(Outgoing {
            oa,
            person: act.person,
            composed,
            by_app: None,
            admin_id: Some(act.admin_id.clone()),
        });
        Done {
            events: (before + 1..=self.journal.counters.events).collect(),
            message_id: Some(message_id),
        }
    }

    pub(in crate::zalo) fn console_act(&mut self, oa: usize, action: &ConsoleAction) -> Result<Done, ControlError> {
        let oa_id = self.oa_id(oa);
        let (name, body) = match action {
            ConsoleAction::TemplateStatus {
                template_id,
                status,
                reason,
            } => {
                let template = self.oas[oa]
                    .template_mut(template_id)
                    .ok_or(ControlError::UnknownTemplate)?;
                let before = std::mem::replace(&mut template.status, *status);
                let change = json!({"prev_status": before, "new_status": status});
                let body = json!({"oa_id": oa_id, "template_id": template_id, "status": change, "reason": reason});
                ("change_template_status", body)
            }
            ConsoleAction::TemplateQuality { template_id, quality } => {
                let template = self.oas[oa]
                    .template_mut(template_id)
                    .ok_or(ControlError::UnknownTemplate)?;
                template.quality = *quality;
                let body = json!({"oa_id": oa_id, "template_id": template_id, "quality": quality});
                ("change_template_quality", body)
            }
            ConsoleAction::TemplateQuota {
                template_id,
                daily_quota,
            } => {
                let template = self.oas[oa]
                    .template_mut(template_id)
                    .ok_or(ControlError::UnknownTemplate)?;
                let before = template.daily_quota.replace(*daily_quota);
                let quota = change(before, *daily_quota);
                let body = json!({"oa_id": oa_id, "template_id": template_id, "quota": quota});
                ("change_template_quota", body)
            }
            ConsoleAction::DailyQuota { daily_quota } => {
                let before = std::mem::replace(&mut self.oas[oa].identity.zns_daily_quota, *daily_quota);
                // So spelt in this event alone.
                (
                    "change_oa_daily_quota",
                    json!({"oaId": oa_id, "quota": change(Some(before), *daily_quota)}),
                )
            }
            ConsoleAction::TemplateTags { tags } => ("change_oa_template_tags", json!({"oa_id": oa_id, "tags": tags})),
            ConsoleAction::Group {
                change,
                group_id,
                people,
            } => return self.change_group(oa, *change, group_id, people),
            ConsoleAction::Disable { .. } | ConsoleAction::Verify { .. } | ConsoleAction::DisableGroup { .. } => {
                return self.change_silently(oa, action);
            }
        };
        Ok(Done::event(self.emit(Draft::new(oa, name, body).zns())))
    }

    /// What Zalo tells nobody.
    fn change_silently(&mut self, oa: usize, action: &ConsoleAction) -> Result<Done, ControlError> {
        let oa = &mut self.oas[oa];
        match action {
            ConsoleAction::Disable { on } => oa.disabled = *on,
            ConsoleAction::Verify { on } => oa.identity.verified = *on,
            ConsoleAction::DisableGroup { group_id, on } => {
                oa.groups.get_mut(group_id).ok_or(ControlError::UnknownGroup)?.disabled = *on;
            }
            _ => {}
        }
        Ok(Done::default())
    }

    fn change_group(&mut self, oa: usize, change: GroupChange, id: &str, people: &[u64]) -> Result<Done, ControlError> {
        if !people.iter().all(|person| self.person(*person).is_some()) {
            return Err(ControlError::UnknownPerson);
        }
        let group = self.oas[oa].groups.get_mut(id).ok_or(ControlError::UnknownGroup)?;
        let group_name = group.name.clone();
        match change {
            GroupChange::UserJoinGroup => group.members.extend(people),
            GroupChange::DeleteGroup => {
                self.oas[oa].groups.remove(id);
            }
            _ => {}
        }
        let name = json!(change).as_str().unwrap_or_default().to_owned();
        let user_ids: Vec<String> = people.iter().map(|person| self.user_id(oa, *person)).collect();
        let body = json!({"oa_id": self.oa_id(oa), "group_id": id, "group_name": group_name, "user_ids": user_ids});
        Ok(Done::event(self.emit(Draft::new(oa, name, body).of(id))))
    }
}

fn link(title: &str) -> Value {
    json!({"type": "link", "payload": {"thumbnail": "", "description": title, "url": ""}})
}

fn change(before: Option<u32>, after: u32) -> Value {
    json!({"prev_value": before.map(|quota| quota.to_string()), "new_value": after.to_string()})
}
