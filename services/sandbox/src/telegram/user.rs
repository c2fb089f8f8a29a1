//! People doing things.

mod standing;

use super::{
    backlog::Kind,
    bot::Bot,
    clock::Now,
    control::ControlError,
    files::{self, MediaKind, NewFile},
    handle::TelegramHandle,
    keyboard,
    people::ChatKind,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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

    /// What a message of this kind holds.
    fn content(&mut self, user: i64, action: &Action) -> Result<Map<String, Value>, ControlError> {
        let value = match action {
            Action::Text { text } => json!({"text": text}),
            Action::Start { payload } => {
                let text = payload
                    .as_ref()
                    .map_or("/start".to_owned(), |payload| format!("/start {payload}"));
                json!({"text": text, "entities": [{"type": "bot_command", "offset": 0, "length": 6}]})
            }
            Action::Photo(media) => self.media_of_user(MediaKind::Photo, media)?,
            Action::Video(media) => self.media_of_user(MediaKind::Video, media)?,
            Action::VideoNote(media) => self.media_of_user(MediaKind::VideoNote, media)?,
            Action::Animation(media) => self.media_of_user(MediaKind::Animation, media)?,
            Action::Audio(media) => self.media_of_user(MediaKind::Audio, media)?,
            Action::Voice(media) => self.media_of_user(MediaKind::Voice, media)?,
            Action::Document(media) => self.media_of_user(MediaKind::Document, media)?,
            Action::Sticker { emoji } => {
                let mut value = self.media_of_user(MediaKind::Sticker, &Media::default())?;
                value["sticker"]["emoji"] = json!(emoji);
                value["sticker"]["set_name"] = json!("Sandbox");
                value
            }
            Action::Location { latitude, longitude } => {
                json!({"location": {"latitude": latitude, "longitude": longitude}})
            }
            Action::Venue {
                latitude,
                longitude,
                title,
                address,
            } => {
                let location = json!({"latitude": latitude, "longitude": longitude});
                json!({"location": location, "venue": {"location": location, "title": title, "address": address}})
            }
            Action::Contact {
                phone_number,
                first_name,
                own,
            } => {
                let mut contact = json!({"phone_number": phone_number, "first_name": first_name});
                if *own {
                    contact["user_id"] = json!(user);
                }
                json!({"contact": contact})
            }
            _ => return Err(ControlError::Impossible("not a message")),
        };
        match value {
            Value::Object(content) => Ok(content),
            _ => Err(ControlError::Impossible("not a message")),
        }
    }

    fn media_of_user(&mut self, kind: MediaKind, media: &Media) -> Result<Value, ControlError> {
        let bytes = STANDARD
            .decode(&media.content)
            .map_err(|_| ControlError::Impossible("content is not base64"))?;
        let new = NewFile {
            bytes: Bytes::from(bytes),
            size: media.size,
            mime_type: media.mime_type.clone(),
            name: media.file_name.clone(),
        };
        let file = self.files.add(kind, new);
        let mut value = json!({kind.field(): files::in_message(kind, &file)});
        if kind == MediaKind::Animation {
            value["document"] = files::in_message(MediaKind::Document, &file);
        }
        if let Some(caption) = &media.caption {
            value["caption"] = json!(caption);
        }
        Ok(value)
    }

    fn album(&mut self, act: &Act, chat: i64, photos: &[Media], now: Now) -> Result<Done, ControlError> {
        let album = self.new_album();
        let mut done = Done::default();
        for photo in photos {
            let mut content = self.content(act.user, &Action::Photo(photo.clone()))?;
            content.insert("media_group_id".to_owned(), json!(album));
            self.write(act.user, chat, act.reply_to, content, now, &mut done)?;
        }
        Ok(done)
    }

    /// Puts a message of `user` into `chat`, and tells the bot.
    pub(super) fn write(
        &mut self,
        user: i64,
        chat: i64,
        reply_to: Option<i64>,
        mut content: Map<String, Value>,
        now: Now,
        done: &mut Done,
    ) -> Result<(), ControlError> {
        if let Some(to) = reply_to {
            let quoted = self.quoted(chat, to).ok_or(ControlError::UnknownMessage)?;
            content.insert("reply_to_message".to_owned(), quoted);
        }
        let person = self.people.user_mut(user).ok_or(ControlError::UnknownUser)?;
        if person.deactivated || (chat == user && person.blocked) {
            return Err(ControlError::Impossible("this person cannot write"));
        }
        person.started |= chat == user;
        let sender = person.json();
        let place = self.people.chat_mut(chat).ok_or(ControlError::UnknownChat)?;
        if !place.members.contains(&user) || place.migrated_to.is_some() {
            return Err(ControlError::Impossible("not a member of this chat"));
        }
        let hears = place.kind == ChatKind::Private || place.bot_status == "member";
        let (id, message) = self.append(chat, &sender, false, content, now);
        done.messages.push(id);
        if hears {
            done.updates.extend(self.update(Kind::Message, &message, chat, now));
        }
        Ok(())
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
