//! Chats and people, as a bot may ask for them.

use crate::telegram::{answer::ApiError, bot::Bot, params::Params, people::ChatKind};
use serde_json::{Value, json};

const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

impl Bot {
    pub(super) fn get_chat(&mut self, params: &Params) -> Result<Value, ApiError> {
        let id = self.target(params)?;
        let mut chat = self.people.chat_json(id);
        if let Some(object) = chat.as_object_mut() {
            object.extend([
                ("accent_color_id".to_owned(), json!(0)),
                ("max_reaction_count".to_owned(), json!(11)),
                ("accepted_gift_types".to_owned(), gifts()),
            ]);
            if self.people.chat(id).is_some_and(|chat| chat.kind != ChatKind::Private) {
                object.insert("permissions".to_owned(), json!({"can_send_messages": true}));
            }
        }
        Ok(chat)
    }

    pub(super) fn get_chat_member(&mut self, params: &Params) -> Result<Value, ApiError> {
        let id = self.target(params)?;
        let user = params
            .integer("user_id")
            .ok_or_else(|| ApiError::bad_request("invalid user_id specified"))?;
        let chat = self.people.chat(id);
        if user == self.id {
            return Ok(json!({"user": self.json(false), "status": chat.map_or("member", |chat| chat.bot_status)}));
        }
        let person = self
            .people
            .user(user)
            .ok_or_else(|| ApiError::bad_request("user not found"))?;
        let is_member = chat.is_some_and(|chat| chat.members.contains(&user));
        Ok(json!({"user": person.json(), "status": if is_member { "member" } else { "left" }}))
    }

    pub(super) fn get_user_profile_photos(&mut self, params: &Params) -> Result<Value, ApiError> {
        let user = params
            .integer("user_id")
            .ok_or_else(|| ApiError::bad_request("invalid user_id specified"))?;
        self.people
            .user(user)
            .ok_or_else(|| ApiError::bad_request("user not found"))?;
        Ok(json!({"total_count": 0, "photos": []}))
    }

    pub(super) fn send_chat_action(&mut self, params: &Params) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let action = params.text("action").unwrap_or_default().to_ascii_lowercase();
        if !ACTIONS.contains(&action.as_str()) {
            return Err(ApiError::bad_request("wrong parameter action in request"));
        }
        self.people.reachable(chat)?;
        Ok(json!(true))
    }
}

fn gifts() -> Value {
    json!({
        "unlimited_gifts": true, "limited_gifts": true, "unique_gifts": true, "premium_subscription": true,
        "gifts_from_channels": true,
    })
}
