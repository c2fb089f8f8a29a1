//! People doing things.

mod console;
mod standing;
mod writing;

use super::{
    control::ControlError,
    handle::ZaloHandle,
    person::{Unreachable, ZnsRefusal},
    world::World,
};
pub use console::{AdminAct, AdminAction, ConsoleAction, GroupChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A file that a person or an admin sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// Beside the file.
    pub text: Option<String>,
    /// As the sender's device calls it.
    pub file_name: Option<String>,
    /// The usual one of its kind when absent.
    pub mime_type: Option<String>,
    /// Said size, where it is not that of the content: large files without large memory.
    pub size: Option<u64>,
    /// Base64.
    pub content: String,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of Zalo's events of the same names")]
pub enum Action {
    /// Writes, perhaps quoting a message.
    Text {
        text: String,
        #[serde(default)]
        quote: Option<String>,
    },
    /// Sends a picture.
    Image(Media),
    /// Sends an animation. Zalo's newer pages no longer name its event.
    Gif(Media),
    /// Sends a voice message.
    Audio(Media),
    /// Sends a video.
    Video(Media),
    /// Sends a document.
    File(Media),
    /// Sends a link, which Zalo previews.
    Link {
        url: String,
        #[serde(default)]
        description: String,
    },
    /// Sends a sticker.
    Sticker { id: String },
    /// Sends a place.
    Location { latitude: f64, longitude: f64 },
    /// Sends a business card.
    BusinessCard { phone: String },
    /// Writes in a group of the OA.
    GroupText { group_id: String, text: String },
    /// Presses a button whose payload this is, of the newest message that has one.
    Click { payload: String },
    /// Follows.
    Follow,
    /// Ceases to.
    Unfollow,
    /// Opens the chat for the first time.
    ChatNow,
    /// Fills in the form that the OA sent.
    SubmitInfo {
        /// As in the event's `info`, such as `name`, `phone`, `full_address`.
        info: Map<String, Value>,
    },
    /// Puts a reaction on a message, or takes it off.
    React { message_id: String, icon: String },
    /// The phone gets a message.
    Receive { message_id: String },
    /// Reads messages.
    See { message_ids: Vec<String> },
    /// Asks that everything known of them be deleted.
    Withdraw,
    /// Answers whether the OA may call.
    ReplyConsent {
        allow: bool,
        /// Milliseconds since 1970; 0 for ever.
        #[serde(default)]
        expired_time: i64,
    },
    /// Calls the OA; the times are in the units of Zalo's event.
    Call {
        waiting_s: u64,
        talk_ms: u64,
        #[serde(default)]
        status_code: i64,
    },
    /// Accepts to be known to the web page that holds the OA's widget.
    AcceptWidget {
        #[serde(default)]
        user_external_id: String,
        url: String,
    },
    /// Is out of the OA API's reach from now on, or again in it.
    BeUnreachable { why: Option<Unreachable> },
    /// Is out of ZNS's reach from now on, or again in it.
    RefuseZns { why: Option<ZnsRefusal> },
    /// The phone gets a template message, and says so.
    ReceiveZns { msg_id: String },
    /// Rates what a template message asked about.
    Rate {
        msg_id: String,
        /// 1 to 5.
        rate: u8,
        #[serde(default)]
        note: String,
        #[serde(default)]
        feedbacks: Vec<String>,
    },
    /// Presses a template message's response button.
    ClickResponse {
        msg_id: String,
        #[serde(default)]
        data: String,
    },
}

/// Who does what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Who, by the number that [`ZaloHandle::new_person`] gave.
    pub person: u64,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The events made; none that the webhook does not want.
    pub events: Vec<u64>,
    /// The message written.
    pub message_id: Option<String>,
}

impl Done {
    fn event(number: Option<u64>) -> Self {
        Self {
            events: number.into_iter().collect(),
            message_id: None,
        }
    }
}

/// A person, for tests that read as a story.
#[derive(Clone)]
pub struct PersonHandle {
    zalo: ZaloHandle,
    id: u64,
}

impl PersonHandle {
    pub(super) fn new(zalo: ZaloHandle, id: u64) -> Self {
        Self { zalo, id }
    }

    /// The person's number in this sandbox, for [`Act`].
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The id by which the handle's OA knows the person; a visitor's anonymous id.
    #[must_use]
    pub fn user_id(&self) -> String {
        self.zalo.user_id(self.id)
    }

    /// The id by which all OAs of the app know the person.
    #[must_use]
    pub fn user_id_by_app(&self) -> String {
        self.zalo.user_id_by_app(self.id)
    }

    /// A visitor's conversation.
    #[must_use]
    pub fn conversation_id(&self) -> String {
        self.zalo.conversation_id(self.id)
    }

    /// Writes `text`; answers the message's id.
    ///
    /// # Errors
    /// See [`ZaloHandle::act`]; so of all below.
    pub fn writes(&self, text: &str) -> Result<String, ControlError> {
        self.does(Action::Text {
            text: text.to_owned(),
            quote: None,
        })
        .map(|done| done.message_id.unwrap_or_default())
    }

    /// Writes `text` quoting a message.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn quotes(&self, message_id: &str, text: &str) -> Result<Done, ControlError> {
        self.does(Action::Text {
            text: text.to_owned(),
            quote: Some(message_id.to_owned()),
        })
    }

    /// Presses the newest button with this payload.
    ///
    /// # Errors
    /// When there is none.
    pub fn clicks(&self, payload: &str) -> Result<Done, ControlError> {
        self.does(Action::Click {
            payload: payload.to_owned(),
        })
    }

    /// Does anything.
    ///
    /// # Errors
    /// When it is impossible.
    pub fn does(&self, action: Action) -> Result<Done, ControlError> {
        self.zalo.act(&Act {
            person: self.id,
            action,
        })
    }
}

impl World {
    pub(super) fn act(&mut self, oa: usize, act: &Act) -> Result<Done, ControlError> {
        let person = act.person;
        let known = self.person(person).ok_or(ControlError::UnknownPerson)?;
        let writes_only = matches!(
            act.action,
            Action::Text { .. } | Action::Image(_) | Action::File(_) | Action::Sticker { .. }
        );
        if known.anonymous && !writes_only {
            return Err(ControlError::Impossible(
                "a visitor writes texts, images, files and stickers",
            ));
        }
        match &act.action {
            Action::Click { payload } => self.click(oa, person, payload),
            Action::GroupText { group_id, text } => self.write_in_group(oa, person, group_id, text),
            Action::Follow | Action::Unfollow => Ok(self.follow(oa, person, act.action == Action::Follow)),
            Action::ChatNow => self.chat_now(oa, person),
            Action::SubmitInfo { info } => Ok(self.submit_info(oa, person, info)),
            Action::React { message_id, icon } => self.react_of_person(oa, person, message_id, icon),
            Action::Receive { message_id } => self.receive(oa, person, message_id),
            Action::See { message_ids } => self.see(oa, person, message_ids),
            Action::Withdraw => Ok(self.withdraw(oa, person)),
            Action::ReplyConsent { allow, expired_time } => Ok(self.reply_consent(oa, person, *allow, *expired_time)),
            Action::Call {
                waiting_s,
                talk_ms,
                status_code,
            } => Ok(self.call(oa, person, "user_call_oa", (*waiting_s, *talk_ms, *status_code))),
            Action::AcceptWidget { user_external_id, url } => Ok(self.accept_widget(oa, person, user_external_id, url)),
            Action::BeUnreachable { why } => Ok(self.be_unreachable(oa, person, *why)),
            Action::RefuseZns { why } => Ok(self.refuse_zns(person, *why)),
            Action::ReceiveZns { msg_id } => self.receive_zns(person, msg_id),
            Action::Rate {
                msg_id,
                rate,
                note,
                feedbacks,
            } => self.rate(person, msg_id, (*rate, note, feedbacks)),
            Action::ClickResponse { msg_id, data } => self.click_response(person, msg_id, data),
            written => self.write(oa, person, written),
        }
    }
}
