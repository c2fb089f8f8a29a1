//! People doing things.

mod standing;
mod writing;

use super::{backlog::Kind, bot::Bot, clock::Now, control::ControlError, handle::TelegramHandle, keyboard};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A file that a person sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// Below the file.
    pub caption: Option<String>,
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
#[expect(
    missing_docs,
    reason = "the fields are those of the Bot API's objects of the same names"
)]
pub enum Action {
    /// Writes.
    Text { text: String },
    /// Presses Start, or follows a link with a payload.
    Start {
        #[serde(default)]
        payload: Option<String>,
    },
    /// Sends one file.
    Photo(Media),
    /// Sends one file.
    Video(Media),
    /// Sends one file.
    VideoNote(Media),
    /// Sends one file.
    Animation(Media),
    /// Sends one file.
    Audio(Media),
    /// Sends one file.
    Voice(Media),
    /// Sends one file.
    Document(Media),
    /// Sends a sticker.
    Sticker { emoji: String },
    /// Sends several photos as one album.
    Album { photos: Vec<Media> },
    /// Sends a place.
    Location { latitude: f64, longitude: f64 },
    /// Sends a place with a name.
    Venue {
        latitude: f64,
        longitude: f64,
        title: String,
        address: String,
    },
    /// Sends a contact; the person's own where `own`.
    Contact {
        phone_number: String,
        first_name: String,
        #[serde(default)]
        own: bool,
    },
    /// Edits an own text.
    Edit { message_id: i64, text: String },
    /// Sets the reaction on a message, or clears it.
    React { message_id: i64, emoji: Option<String> },
    /// Presses the button that carries `data`: of the message named, or of the newest one that has it.
    Press {
        data: String,
        #[serde(default)]
        message_id: Option<i64>,
    },
    /// Joins the group.
    Join,
    /// Leaves the group.
    Leave,
    /// Blocks the bot; in a group, throws it out.
    Block,
    /// Takes that back.
    Unblock,
    /// Deletes the account; Telegram tells the bot nothing.
    Deactivate,
}

/// Who does what, where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub user: i64,
    /// Where; in the private chat when absent.
    #[serde(default)]
    pub chat: Option<i64>,
    /// In answer to which message.
    #[serde(default)]
    pub reply_to: Option<i64>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The updates made; none of a kind that the bot did not ask for.
    pub updates: Vec<u32>,
    /// The messages written.
    pub messages: Vec<i64>,
    /// The id of the button press.
    pub callback: Option<String>,
}

/// A person, for tests that read as a story.
#[derive(Clone)]
pub struct UserHandle {
    telegram: TelegramHandle,
    id: i64,
}

impl UserHandle {
    pub(super) fn new(telegram: TelegramHandle, id: i64) -> Self {
        Self { telegram, id }
    }

    /// The person's id, and that of their private chat.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Writes `text` in the private chat.
    ///
    /// # Errors
    /// See [`TelegramHandle::act`]; so of all below.
    pub fn writes(&self, text: &str) -> Result<Done, ControlError> {
        self.does(Action::Text { text: text.to_owned() })
    }

    /// Writes `text` in `chat`.
    ///
    /// # Errors
    /// When the person is no member.
    pub fn writes_in(&self, chat: i64, text: &str) -> Result<Done, ControlError> {
        let action = Action::Text { text: text.to_owned() };
        self.telegram.act(&Act {
            user: self.id,
            chat: Some(chat),
            reply_to: None,
            action,
        })
    }

    /// Writes `text` in answer to a message.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn replies(&self, to: i64, text: &str) -> Result<Done, ControlError> {
        let action = Action::Text { text: text.to_owned() };
        self.telegram.act(&Act {
            user: self.id,
            chat: None,
            reply_to: Some(to),
            action,
        })
    }

    /// Presses the newest button that carries `data`.
    ///
    /// # Errors
    /// When there is none.
    pub fn presses(&self, data: &str) -> Result<Done, ControlError> {
        self.does(Action::Press {
            data: data.to_owned(),
            message_id: None,
        })
    }

    /// Blocks the bot.
    ///
    /// # Errors
    /// When the bot is blocked already.
    pub fn blocks(&self) -> Result<Done, ControlError> {
        self.does(Action::Block)
    }

    /// Does anything, in the private chat.
    ///
    /// # Errors
    /// When it is impossible.
    pub fn does(&self, action: Action) -> Result<Done, ControlError> {
        self.telegram.act(&Act {
            user: self.id,
            chat: None,
            reply_to: None,
            action,
        })
    }

    /// Does anything in `chat`.
    ///
    /// # Errors
    /// When it is impossible.
    pub fn does_in(&self, chat: i64, action: Action) -> Result<Done, ControlError> {
        self.telegram.act(&Act {
            user: self.id,
            chat: Some(chat),
            reply_to: None,
            action,
        })
    }
}

impl Bot {
    pub(super) fn act(&mut self, act: &Act, now: Now) -> Result<Done, ControlError> {
        let person = self.people.user_mut(act.user).ok_or(ControlError::UnknownUser)?;
        let chat = act.chat.unwrap_or(act.user);
        let content = match &act.action {
            Action::Edit { message_id, text } => return self.edit_of_user(act.user, chat, *message_id, text, now),
            Action::React { message_id, emoji } => {
                return self.reaction(act.user, chat, *message_id, emoji.as_deref(), now);
            }
            Action::Press { data, message_id } => return self.press(act.user, chat, data, *message_id, now),
            Action::Join | Action::Leave => return self.membership(act.user, chat, act.action == Action::Join, now),
            Action::Block | Action::Unblock => return self.block(act.user, chat, act.action == Action::Block, now),
            Action::Deactivate => {
                person.deactivated = true;
                return Ok(Done::default());
            }
            Action::Album { photos } => return self.album(act, chat, photos, now),
            written => self.content(act.user, written)?,
        };
        let mut done = Done::default();
        self.write(act.user, chat, act.reply_to, content, now, &mut done)?;
        Ok(done)
    }

    fn press(
        &mut self,
        user: i64,
        chat: i64,
        data: &str,
        message_id: Option<i64>,
        now: Now,
    ) -> Result<Done, ControlError> {
        let person = self.people.user(user).ok_or(ControlError::UnknownUser)?.json();
        let message = match message_id {
            Some(id) => self.messages.get(chat, id).map(|message| message.value.clone()),
            None => self
                .messages
                .newest_outgoing(chat, |message| keyboard::has_callback(message, data))
                .map(|(_, message)| message),
        };
        let message = message.ok_or(ControlError::UnknownMessage)?;
        if !keyboard::has_callback(&message, data) {
            return Err(ControlError::Impossible("no such button"));
        }
        let until = now.at + self.options.scaled(Kind::CallbackQuery.lifetime());
        let id = self.callbacks.add(user, until);
        let query = json!({
            "id": id, "from": person, "message": &*message, "data": data,
            "chat_instance": format!("{}", chat.wrapping_mul(7_919)),
        });
        let updates = self
            .update(Kind::CallbackQuery, &query, user, now)
            .into_iter()
            .collect();
        Ok(Done {
            updates,
            messages: Vec::new(),
            callback: Some(id),
        })
    }
}
