//! One piece as a call.

use super::super::api::{Api, Parameters, Upload};
use super::failure::error;
use super::plan::{Content, File, Piece, Source, vcard};
use crate::multipart::{file_name, mime_type};
use omnigate_core::port::adapter::{HttpRequest, Outgoing};
use omnigate_proto::v1::{Choice, Contact, ErrorClass, Location, MediaKind, SendError};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Whom a call reaches.
pub(super) struct Target {
    chat_id: Value,
    business_connection_id: Option<String>,
}

impl Target {
    /// Reads a peer: `<chat>`, `<connection>/<chat>` or the `@name` of a channel.
    pub(super) fn of(outgoing: &Outgoing) -> Result<Self, SendError> {
        let written = match outgoing.peer_provider_form.as_str() {
            "" => outgoing.peer.as_str(),
            form => form,
        };
        let (connection, chat) = match written.rsplit_once('/') {
            Some((connection, chat)) => (Some(connection.to_owned()), chat),
            None => (None, written),
        };
        let chat_id = match chat.parse::<i64>() {
            Ok(id) => json!(id),
            Err(_) if chat.starts_with('@') && chat.len() > 1 => json!(chat),
            Err(_) => {
                return Err(error(
                    ErrorClass::RecipientPermanent,
                    "the peer is no chat id of telegram's",
                ));
            }
        };
        Ok(Self {
            chat_id,
            business_connection_id: connection,
        })
    }
}

/// The call for a piece.
pub(super) fn request(
    api: &Api,
    piece: &Piece<'_>,
    target: &Target,
    choices: &[Choice],
    time_limit: Duration,
) -> HttpRequest {
    let mut parameters: Parameters = vec![("chat_id", target.chat_id.clone())];
    if let Some(connection) = &target.business_connection_id {
        parameters.push(("business_connection_id", json!(connection)));
    }
    if let Some(id) = piece.reply_to {
        parameters.push(("reply_parameters", json!({ "message_id": id })));
    }
    if piece.has_choices {
        parameters.push(("reply_markup", keyboard(choices)));
    }
    let method = match &piece.content {
        Content::Text(text) => {
            parameters.push(("text", json!(text.text)));
            if text.is_marked() {
                parameters.push(("entities", text.entities()));
            }
            "sendMessage"
        }
        Content::Sticker(handle) => {
            parameters.push(("sticker", json!(handle)));
            "sendSticker"
        }
        Content::Location(location) => place(&mut parameters, location),
        Content::Contact(contact) => card(&mut parameters, contact),
        Content::Media(file) => return media(api, parameters, file, time_limit),
    };
    api.call(method, parameters, time_limit)
}

fn media(api: &Api, mut parameters: Parameters, file: &File<'_>, time_limit: Duration) -> HttpRequest {
    if !file.caption.is_empty() {
        parameters.push(("caption", json!(file.caption)));
    }
    if let Source::Named(handle) = file.source {
        parameters.push((file.parameter, json!(handle)));
        return api.call(file.method, parameters, time_limit);
    }
    // What Telegram cannot know of bytes it has not played.
    let media = file.media;
    let is_film = matches!(media.kind(), MediaKind::Video | MediaKind::Animation);
    if is_film && media.width > 0 && media.height > 0 {
        parameters.push(("width", json!(media.width)));
        parameters.push(("height", json!(media.height)));
    }
    let plays = is_film || matches!(media.kind(), MediaKind::Audio | MediaKind::Voice);
    if plays && media.duration_ms > 0 {
        parameters.push(("duration", json!(media.duration_ms.div_ceil(1000))));
    }
    let upload = Upload {
        parameter: file.parameter,
        file_name: file_name(&media.file_name, file.parameter),
        mime_type: mime_type(&media.mime_type),
        content: media.content.clone(),
    };
    api.upload(file.method, parameters, upload, time_limit)
}

/// A venue needs both title and address; one stands in for the other.
fn place(parameters: &mut Parameters, location: &Location) -> &'static str {
    parameters.push(("latitude", json!(location.latitude)));
    parameters.push(("longitude", json!(location.longitude)));
    let or = |text: &str, other: &str| if text.is_empty() { json!(other) } else { json!(text) };
    if location.title.is_empty() && location.address.is_empty() {
        if location.live_period_s > 0 {
            parameters.push(("live_period", json!(location.live_period_s)));
        }
        return "sendLocation";
    }
    parameters.push(("title", or(&location.title, &location.address)));
    parameters.push(("address", or(&location.address, &location.title)));
    "sendVenue"
}

fn card(parameters: &mut Parameters, contact: &Contact) -> &'static str {
    parameters.push(("phone_number", json!(contact.phone_numbers.first())));
    parameters.push(("first_name", json!(contact.display_name.trim())));
    if let Some(card) = vcard(contact) {
        parameters.push(("vcard", json!(card)));
    }
    "sendContact"
}

/// Rows in their order, buttons within a row in theirs.
fn keyboard(choices: &[Choice]) -> Value {
    let mut rows: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
    for choice in choices {
        let button = if choice.url.is_empty() {
            json!({ "text": choice.label, "callback_data": choice.payload })
        } else {
            json!({ "text": choice.label, "url": choice.url })
        };
        rows.entry(choice.row).or_default().push(button);
    }
    json!({ "inline_keyboard": rows.into_values().collect::<Vec<_>>() })
}
