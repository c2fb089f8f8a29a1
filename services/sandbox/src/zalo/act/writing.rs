//! Messages that people write.

use super::{Action, Done, Media};
use crate::zalo::{
    control::ControlError,
    files::{FileKind, StoredFile},
    options::AttachmentPlace,
    person::{Button, Stored},
    world::{Draft, World},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// A message before it has an id.
#[derive(Debug, Default)]
struct Written {
    /// The end of `user_send_…`.
    name: &'static str,
    /// As a conversation's listing calls it.
    listed: &'static str,
    text: Option<String>,
    quote: Option<String>,
    attachment: Option<Value>,
    url: Option<String>,
}

impl World {
    /// A file of a person or an admin, with its usual type and name.
    fn file_of_person(&mut self, oa: usize, kind: &str, media: &Media) -> Result<(Arc<StoredFile>, u64), ControlError> {
        let bytes = STANDARD
            .decode(&media.content)
            .map_err(|_| ControlError::Impossible("content is not base64"))?;
        let (usual_name, usual_type) = match kind {
            "image" => ("image.jpg", "image/jpeg"),
            "gif" => ("image.gif", "image/gif"),
            "audio" => ("voice.amr", "audio/amr"),
            "video" => ("video.mp4", "video/mp4"),
            _ => ("file.pdf", "application/pdf"),
        };
        let name = media.file_name.clone().unwrap_or_else(|| usual_name.to_owned());
        let mime = media.mime_type.clone().unwrap_or_else(|| usual_type.to_owned());
        let size = media.size.unwrap_or(bytes.len() as u64);
        let file = self.add_file(oa, FileKind::OfPerson, (name, mime), Bytes::from(bytes));
        Ok((file, size))
    }

    /// An attachment that shows `media`.
    pub(super) fn attachment(&mut self, oa: usize, kind: &str, media: &Media) -> Result<Value, ControlError> {
        let (file, size) = self.file_of_person(oa, kind, media)?;
        let url = self.url_of(&file);
        let payload = match kind {
            "audio" => json!({"url": url}),
            "video" => json!({"url": url, "thumbnail": url, "description": media.text.clone().unwrap_or_default()}),
            "file" => {
                let size = if self.switches.file_size_as_number {
                    json!(size)
                } else {
                    json!(size.to_string())
                };
                let end = file.name.rsplit_once('.').map_or("", |(_, end)| end);
                json!({"url": url, "size": size, "name": file.name, "checksum": file.checksum(), "type": end})
            }
            _ => json!({"thumbnail": url, "url": url}),
        };
        Ok(json!({"type": kind, "payload": payload}))
    }

    pub(super) fn write(&mut self, oa: usize, person: u64, action: &Action) -> Result<Done, ControlError> {
        let written = self.written(oa, action)?;
        if let Some(quote) = &written.quote
            && self
                .standing(oa, person)
                .and_then(|standing| standing.message(quote))
                .is_none()
        {
            return Err(ControlError::UnknownMessage);
        }
        Ok(self.deliver_written(oa, person, written))
    }

    fn written(&mut self, oa: usize, action: &Action) -> Result<Written, ControlError> {
        let other = |name, listed, text: Option<&str>, attachment| Written {
            name,
            listed,
            text: text.map(str::to_owned),
            attachment: Some(attachment),
            ..Written::default()
        };
        Ok(match action {
            Action::Text { text, quote } => Written {
                name: "text",
                listed: "text",
                text: Some(text.clone()),
                quote: quote.clone(),
                ..Written::default()
            },
            Action::Image(media) => self.written_media(oa, "image", "photo", media)?,
            Action::Gif(media) => self.written_media(oa, "gif", "GIF", media)?,
            Action::Audio(media) => self.written_media(oa, "audio", "voice", media)?,
            Action::Video(media) => self.written_media(oa, "video", "video", media)?,
            Action::File(media) => self.written_media(oa, "file", "file", media)?,
            Action::Link { url, description } => {
                let payload = json!({"thumbnail": "", "description": description, "url": url});
                other("link", "link", Some(url), json!({"type": "link", "payload": payload}))
            }
            Action::Sticker { id } => {
                let url = format!("{}/media/sticker/{id}", self.base_url);
                other(
                    "sticker",
                    "sticker",
                    None,
                    json!({"type": "sticker", "payload": {"url": url, "id": id}}),
                )
            }
            Action::Location { latitude, longitude } => {
                // Strings in Zalo's documents.
                let at = json!({"latitude": latitude.to_string(), "longitude": longitude.to_string()});
                other(
                    "location",
                    "location",
                    None,
                    json!({"type": "location", "payload": {"coordinates": at}}),
                )
            }
            Action::BusinessCard { phone } => {
                let card = json!({"phone": phone, "qrCodeUrl": format!("{}/media/qr/{phone}", self.base_url)});
                let payload = json!({"thumbnail": "", "description": card.to_string(), "url": ""});
                other(
                    "business_card",
                    "link",
                    None,
                    json!({"type": "link", "payload": payload}),
                )
            }
            _ => return Err(ControlError::Impossible("not a message")),
        })
    }

    fn written_media(
        &mut self,
        oa: usize,
        name: &'static str,
        listed: &'static str,
        media: &Media,
    ) -> Result<Written, ControlError> {
        let attachment = self.attachment(oa, name, media)?;
        Ok(Written {
            name,
            listed,
            text: media.text.clone(),
            url: attachment["payload"]["url"].as_str().map(str::to_owned),
            attachment: Some(attachment),
            quote: None,
        })
    }

    /// Gives the message an id, opens the window, and tells the webhook.
    fn deliver_written(&mut self, oa: usize, person: u64, written: Written) -> Done {
        let id = self.new_id();
        self.remember_written(oa, person, &id, &written);
        let event = self.event_of(oa, person, &id, &written);
        Done {
            events: event.into_iter().collect(),
            message_id: Some(id),
        }
    }

    fn remember_written(&mut self, oa: usize, person: u64, id: &str, written: &Written) {
        let now_ms = self.now().unix_ms;
        if let Some(standing) = self.standing_mut(oa, person) {
            standing.interacted(now_ms);
        }
        let stored = Stored {
            id: id.to_owned(),
            of_person: true,
            at_ms: now_ms,
            kind: written.listed,
            text: written.text.clone().unwrap_or_default(),
            url: written.url.clone(),
            buttons: Vec::new(),
            reactions: 0,
        };
        self.remember(oa, person, stored);
    }

    fn event_of(&mut self, oa: usize, person: u64, id: &str, written: &Written) -> Option<u64> {
        let anonymous = self.person(person).is_some_and(|person| person.anonymous);
        let user_id = self.user_id(oa, person);
        let mut message = json!({"msg_id": id});
        if let Some(text) = &written.text {
            message["text"] = json!(text);
        }
        if let Some(quote) = &written.quote {
            message["quote_msg_id"] = json!(quote);
        }
        if anonymous {
            message["conversation_id"] = json!(self.conversation_id(oa, person));
        }
        let mut body = json!({"sender": {"id": user_id}, "recipient": {"id": self.oa_id(oa)}});
        if let Some(attachment) = &written.attachment {
            let place = match self.switches.attachments {
                AttachmentPlace::Nested => &mut message,
                AttachmentPlace::TopLevel => &mut body,
            };
            place["attachments"] = json!([attachment]);
        }
        body["message"] = message;
        self.name_by_app(oa, person, &mut body);
        let name = if anonymous {
            format!("anonymous_send_{}", written.name)
        } else {
            format!("user_send_{}", written.name)
        };
        self.emit(Draft::new(oa, name, body).of(&user_id))
    }

    pub(super) fn write_in_group(
        &mut self,
        oa: usize,
        person: u64,
        group: &str,
        text: &str,
    ) -> Result<Done, ControlError> {
        let known = self.oas[oa].groups.get(group).ok_or(ControlError::UnknownGroup)?;
        if !known.members.contains(&person) {
            return Err(ControlError::Impossible("not a member of this group"));
        }
        let id = self.new_id();
        let mut body = json!({
            "oa_id": self.oa_id(oa), "group_id": group, "sender": {"id": self.user_id(oa, person)},
            "recipient": {"id": group}, "message": {"msg_id": id, "text": text},
        });
        self.name_by_app(oa, person, &mut body);
        let event = self.emit(Draft::new(oa, "user_send_group_text", body).of(group));
        Ok(Done {
            events: event.into_iter().collect(),
            message_id: Some(id),
        })
    }

    /// `oa.query.show` writes its payload for all to see, `oa.query.hide` only to the OA. The other buttons open something
    /// on the phone, of which Zalo tells nobody.
    pub(super) fn click(&mut self, oa: usize, person: u64, payload: &str) -> Result<Done, ControlError> {
        let holds = |button: &&Button| match &button.payload {
            Value::String(text) => text == payload,
            other => other["url"] == payload || other["phone_code"] == payload,
        };
        let standing = self.standing(oa, person).ok_or(ControlError::UnknownMessage)?;
        let button = standing
            .conversation
            .iter()
            .rev()
            .find_map(|stored| stored.buttons.iter().find(holds))
            .cloned()
            .ok_or(ControlError::UnknownMessage)?;
        let written = Written {
            name: "text",
            listed: "text",
            text: Some(payload.to_owned()),
            ..Written::default()
        };
        match button.kind.as_str() {
            "oa.query.show" => Ok(self.deliver_written(oa, person, written)),
            "oa.query.hide" => {
                let (id, now_ms) = (self.new_id(), self.now().unix_ms);
                if let Some(standing) = self.standing_mut(oa, person) {
                    standing.interacted(now_ms);
                }
                let event = self.event_of(oa, person, &id, &written);
                Ok(Done {
                    events: event.into_iter().collect(),
                    message_id: Some(id),
                })
            }
            _ => Ok(Done::default()),
        }
    }
}
