//! Messages that people write.

use super::{Act, Action, Done, Media};
use crate::telegram::{
    backlog::Kind,
    bot::Bot,
    clock::Now,
    control::ControlError,
    files::{self, MediaKind, NewFile},
    people::ChatKind,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

impl Bot {
    /// What a message of this kind holds.
    pub(super) fn content(&mut self, user: i64, action: &Action) -> Result<Map<String, Value>, ControlError> {
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

    pub(super) fn album(&mut self, act: &Act, chat: i64, photos: &[Media], now: Now) -> Result<Done, ControlError> {
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
}
