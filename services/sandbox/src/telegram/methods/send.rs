//! `sendMessage` and the other messages without a file.

use crate::telegram::{
    answer::ApiError,
    bot::{Bot, Draft},
    clock::Now,
    html::{self, Formatted, utf16_len},
    keyboard,
    params::Params,
};
use serde_json::{Map, Value, json};

const TEXT_LIMIT: usize = 4096;
const CAPTION_LIMIT: usize = 1024;

impl Bot {
    /// `chat_id`, resolved.
    pub(super) fn target(&self, params: &Params) -> Result<i64, ApiError> {
        let chat = params
            .text("chat_id")
            .ok_or_else(|| ApiError::bad_request("chat_id is empty"))?;
        self.people.find(&chat)
    }

    pub(super) fn send_plain(&mut self, method: &str, params: &Params, now: Now) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let content = match method {
            "sendmessage" => text(params)?,
            "sendlocation" => object("location", location(params)?),
            "sendvenue" => venue(params)?,
            _ => object("contact", contact(params)?),
        };
        self.send(method, chat, content, params, now)
    }

    /// Checks what all messages share, then sends.
    pub(super) fn send(
        &mut self,
        method: &str,
        chat: i64,
        content: Map<String, Value>,
        params: &Params,
        now: Now,
    ) -> Result<Value, ApiError> {
        let reply_to = self.reply_target(chat, params)?;
        let markup = keyboard::read(params)?;
        self.admit(chat, 1, now)?;
        let draft = Draft {
            chat,
            method: method.to_owned(),
            content,
            reply_to,
            markup,
        };
        Ok(Value::clone(&*self.post(draft, now)))
    }

    /// The message that `reply_parameters`, or the older `reply_to_message_id`, names.
    pub(super) fn reply_target(&self, chat: i64, params: &Params) -> Result<Option<Value>, ApiError> {
        let nested = params.nested("reply_parameters")?;
        let (id, lenient) = match &nested {
            Some(reply) => (
                reply["message_id"].as_i64(),
                reply["allow_sending_without_reply"].as_bool().unwrap_or_default(),
            ),
            None => (
                params.integer("reply_to_message_id"),
                params.flag("allow_sending_without_reply"),
            ),
        };
        let Some(id) = id.filter(|id| *id != 0) else {
            return Ok(None);
        };
        match self.quoted(chat, id) {
            None if !lenient => Err(ApiError::bad_request("message to be replied not found")),
            found => Ok(found),
        }
    }
}

pub(super) fn object(field: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(field.to_owned(), value)])
}

/// `text` with its entities, as message content.
pub(super) fn text(params: &Params) -> Result<Map<String, Value>, ApiError> {
    let raw = params
        .text("text")
        .ok_or_else(|| ApiError::bad_request("message text is empty"))?;
    let formatted = format(&raw, "parse_mode", "entities", params)?;
    if formatted.text.trim().is_empty() {
        return Err(ApiError::bad_request("text must be non-empty"));
    }
    if utf16_len(&formatted.text) > TEXT_LIMIT {
        return Err(ApiError::bad_request("message is too long"));
    }
    Ok(fields(formatted, "text", "entities"))
}

/// `caption` with its entities; nothing where there is none.
pub(super) fn caption(params: &Params) -> Result<Map<String, Value>, ApiError> {
    let Some(raw) = params.text("caption") else {
        return Ok(Map::new());
    };
    let formatted = format(&raw, "parse_mode", "caption_entities", params)?;
    if utf16_len(&formatted.text) > CAPTION_LIMIT {
        return Err(ApiError::bad_request("message caption is too long"));
    }
    Ok(fields(formatted, "caption", "caption_entities"))
}

fn format(raw: &str, mode: &str, entities: &str, params: &Params) -> Result<Formatted, ApiError> {
    match params.text(mode).map(|mode| mode.to_ascii_lowercase()).as_deref() {
        None | Some("none") => {
            let entities = match params.nested(entities)? {
                Some(Value::Array(entities)) => entities,
                Some(_) => return Err(ApiError::bad_request("can't parse entities JSON object")),
                None => Vec::new(),
            };
            Ok(Formatted {
                text: raw.to_owned(),
                entities,
            })
        }
        Some("html") => html::parse(raw),
        Some(_) => Err(ApiError::bad_request("unsupported parse_mode")),
    }
}

fn fields(formatted: Formatted, text: &str, entities: &str) -> Map<String, Value> {
    // Telegram trims what it shows; offsets then still fit, since nothing but blanks before the first word would move them.
    let mut fields = object(text, json!(formatted.text.trim_end()));
    if !formatted.entities.is_empty() {
        fields.insert(entities.to_owned(), json!(formatted.entities));
    }
    fields
}

fn location(params: &Params) -> Result<Value, ApiError> {
    let coordinate = |name: &str, bound: f64| {
        let value = params
            .number(name)
            .ok_or_else(|| ApiError::bad_request(format!("{name} is empty")))?;
        if value.abs() <= bound {
            Ok(value)
        } else {
            Err(ApiError::bad_request("invalid location specified"))
        }
    };
    let mut location = json!({"latitude": coordinate("latitude", 90.0)?, "longitude": coordinate("longitude", 180.0)?});
    if let Some(period) = params.integer("live_period") {
        location["live_period"] = json!(period);
    }
    Ok(location)
}

fn venue(params: &Params) -> Result<Map<String, Value>, ApiError> {
    let location = location(params)?;
    let needed = |name: &str| {
        params
            .text(name)
            .ok_or_else(|| ApiError::bad_request(format!("venue {name} is empty")))
    };
    let venue = json!({"location": location, "title": needed("title")?, "address": needed("address")?});
    let mut content = object("venue", venue);
    content.insert("location".to_owned(), location);
    Ok(content)
}

fn contact(params: &Params) -> Result<Value, ApiError> {
    let phone = params
        .text("phone_number")
        .ok_or_else(|| ApiError::bad_request("field \"phone_number\" must be non-empty"))?;
    let first = params
        .text("first_name")
        .ok_or_else(|| ApiError::bad_request("field \"first_name\" must be non-empty"))?;
    let mut contact = json!({"phone_number": phone, "first_name": first});
    for name in ["last_name", "vcard"] {
        if let Some(value) = params.text(name) {
            contact[name] = json!(value);
        }
    }
    Ok(contact)
}
