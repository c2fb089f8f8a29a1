//! The API's methods, but for `getUpdates`, which waits, and `setWebhook`, which explains its answer.

mod chat;
mod edit;
mod media;
mod send;

use super::{answer::ApiError, bot::Bot, clock::Now, params::Params};
use serde_json::{Value, json};

impl Bot {
    /// Calls `method`, which is in lower case.
    pub(super) fn call(&mut self, method: &str, params: &Params, now: Now) -> Result<Value, ApiError> {
        match method {
            "getme" => Ok(self.json(true)),
            "logout" | "close" => Ok(json!(true)),
            "getwebhookinfo" => Ok(self.webhook_info()),
            "sendmessage" | "sendlocation" | "sendvenue" | "sendcontact" => self.send_plain(method, params, now),
            "sendphoto" | "sendvideo" | "sendaudio" | "sendvoice" | "senddocument" | "sendanimation"
            | "sendsticker" | "sendvideonote" => self.send_media(method, params, now),
            "sendmediagroup" => self.send_media_group(params, now),
            "sendchataction" => self.send_chat_action(params),
            "editmessagetext" | "editmessagecaption" | "editmessagereplymarkup" => self.edit(method, params, now),
            "deletemessage" => self.delete_message(params, now),
            "setmessagereaction" => self.set_message_reaction(params),
            "answercallbackquery" => self.answer_callback_query(params, now),
            "getchat" => self.get_chat(params),
            "getchatmember" => self.get_chat_member(params),
            "getuserprofilephotos" => self.get_user_profile_photos(params),
            "getfile" => self.get_file(params),
            "getmycommands" => Ok(json!([])),
            "setmycommands" | "deletemycommands" => Ok(json!(true)),
            _ => Err(ApiError::new(404, "Not Found: method not found")),
        }
    }
}

/// Methods that a webhook cannot call in the body of its answer.
pub(super) fn callable_in_answer(method: &str) -> bool {
    !method.is_empty()
        && !method.starts_with("get")
        && !matches!(method, "setwebhook" | "deletewebhook" | "close" | "logout")
}

#[cfg(test)]
mod tests;
