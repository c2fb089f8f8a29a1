//! What a message to a person may hold, with the documented limits.

use crate::zalo::{
    answer::Refused,
    files::FileKind,
    params::{integer, text},
    person::Button,
    world::World,
};
use serde_json::{Value, json};

/// Characters.
const LONGEST_TEXT: usize = 2_000;
const LONGEST_TITLE: usize = 100;
const LONGEST_SUBTITLE: usize = 500;
const LONGEST_PAYLOAD: usize = 1_000;
const MOST_BUTTONS: usize = 5;
const MOST_LIST_ELEMENTS: usize = 5;

/// What a message is, as its echo is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::zalo) enum Shape {
    #[default]
    Text,
    Image,
    Gif,
    Sticker,
    File,
    List,
    Template,
}

impl Shape {
    /// The end of `oa_send_…`.
    pub(in crate::zalo) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Gif => "gif",
            Self::Sticker => "sticker",
            Self::File => "file",
            Self::List => "list",
            Self::Template => "template",
        }
    }

    /// `type` in a conversation's listing.
    pub(in crate::zalo) fn listed(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "photo",
            Self::Gif => "GIF",
            Self::Sticker => "sticker",
            Self::File => "file",
            Self::List | Self::Template => "links",
        }
    }
}

/// A message that passed the checks.
#[derive(Clone, Debug, Default)]
pub(in crate::zalo) struct Composed {
    pub(in crate::zalo) shape: Shape,
    pub(in crate::zalo) text: Option<String>,
    pub(in crate::zalo) quote: Option<String>,
    /// As its echo carries them.
    pub(in crate::zalo) attachments: Vec<Value>,
    pub(in crate::zalo) buttons: Vec<Button>,
}

impl World {
    /// Checks `message`, the body's member of that name.
    pub(super) fn compose(&self, oa: usize, message: &Value) -> Result<Composed, Refused> {
        if !message.is_object() {
            return Err(Refused::invalid("message"));
        }
        let mut composed = Composed {
            text: optional(message, "text", LONGEST_TEXT)?,
            ..Composed::default()
        };
        match &message["quote_message_id"] {
            Value::Null => {}
            Value::String(quoted) if !quoted.is_empty() && composed.text.is_some() => {
                composed.quote = Some(quoted.clone());
            }
            _ => return Err(Refused::invalid("quote_message_id")),
        }
        let attachment = &message["attachment"];
        let payload = &attachment["payload"];
        match attachment["type"].as_str() {
            None if !attachment.is_null() => return Err(Refused::invalid("attachment")),
            None if composed.text.is_none() => return Err(Refused::invalid("text")),
            None => {}
            Some("file") => self.file(oa, payload, &mut composed)?,
            Some("template") => self.template(oa, payload, &mut composed)?,
            Some(_) => return Err(Refused::oa(-233)),
        }
        Ok(composed)
    }

    fn file(&self, oa: usize, payload: &Value, composed: &mut Composed) -> Result<(), Refused> {
        let token = payload["token"].as_str().ok_or_else(|| Refused::invalid("token"))?;
        let file = self.upload(oa, token, &[FileKind::Document], "token")?;
        composed.shape = Shape::File;
        composed.attachments.push(json!({"type": "file", "payload": {
            "url": self.url_of(&file), "size": file.size.to_string(), "name": file.name,
            "checksum": file.checksum(), "type": extension(&file.name),
        }}));
        Ok(())
    }

    fn template(&self, oa: usize, payload: &Value, composed: &mut Composed) -> Result<(), Refused> {
        let elements = payload["elements"].as_array().map_or(&[][..], Vec::as_slice);
        composed.buttons = buttons(&payload["buttons"])?;
        match payload["template_type"].as_str() {
            Some("media") => {
                let element = only(elements)?;
                self.media(oa, element, composed)
            }
            Some("request_user_info") => request_user_info(only(elements)?, composed),
            // Of the second version; whether the third still takes it is not known.
            Some("list") => list(elements, composed),
            // Buttons below a text; Zalo's SDK names no type, others say `button`.
            None | Some("button") if composed.text.is_some() && !composed.buttons.is_empty() => Ok(()),
            None | Some("button") => Err(Refused::invalid("buttons")),
            Some(_) => Err(Refused::oa(-233)),
        }
    }

    fn media(&self, oa: usize, element: &Value, composed: &mut Composed) -> Result<(), Refused> {
        let (shape, kind) = match element["media_type"].as_str() {
            Some("image") => (Shape::Image, FileKind::Image),
            Some("gif") => (Shape::Gif, FileKind::Gif),
            Some("sticker") => (Shape::Sticker, FileKind::Image),
            _ => return Err(Refused::oa(-233)),
        };
        let (url, id) = (text(&element["url"]), text(&element["attachment_id"]));
        let url = match (shape, url, id) {
            // Stickers are Zalo's own: their ids come from its catalogue.
            (Shape::Sticker, None, Some(id)) => {
                let sticker = json!({"type": "sticker", "payload": {
                    "id": id, "url": format!("{}/media/sticker/{id}", self.base_url),
                }});
                composed.attachments.push(sticker);
                composed.shape = shape;
                return Ok(());
            }
            (Shape::Image | Shape::Gif, Some(url), None) if is_web(&url) => url.into_owned(),
            (Shape::Image | Shape::Gif, Some(_), None) => return Err(Refused::invalid("url")),
            (Shape::Image | Shape::Gif, None, Some(id)) => {
                self.url_of(&*self.upload(oa, &id, &[kind], "attachment_id")?)
            }
            _ => return Err(Refused::invalid("attachment_id")),
        };
        if shape == Shape::Gif {
            for side in ["width", "height"] {
                if integer(&element[side]).is_none_or(|pixels| pixels <= 0) {
                    return Err(Refused::invalid(side));
                }
            }
        }
        composed.shape = shape;
        composed
            .attachments
            .push(json!({"type": shape.name(), "payload": {"thumbnail": url, "url": url}}));
        Ok(())
    }
}

/// An optional text of at most `longest` characters.
fn optional(object: &Value, field: &str, longest: usize) -> Result<Option<String>, Refused> {
    match &object[field] {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Err(Refused::invalid(field)),
        Value::String(text) if text.chars().count() > longest => Err(Refused::oa(-210)),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(Refused::invalid(field)),
    }
}

fn needed(object: &Value, field: &str, longest: usize) -> Result<String, Refused> {
    optional(object, field, longest)?.ok_or_else(|| Refused::invalid(field))
}

fn only(elements: &[Value]) -> Result<&Value, Refused> {
    match elements {
        [element] => Ok(element),
        [] => Err(Refused::invalid("elements")),
        _ => Err(Refused::oa(-210)),
    }
}

fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn request_user_info(element: &Value, composed: &mut Composed) -> Result<(), Refused> {
    let title = needed(element, "title", LONGEST_TITLE)?;
    let subtitle = needed(element, "subtitle", LONGEST_SUBTITLE)?;
    let image = needed(element, "image_url", usize::MAX)?;
    if !is_web(&image) {
        return Err(Refused::invalid("image_url"));
    }
    composed.shape = Shape::Template;
    composed.text.get_or_insert(title);
    composed
        .attachments
        .push(json!({"type": "template", "payload": {"text": subtitle, "link_url": image}}));
    Ok(())
}

fn list(elements: &[Value], composed: &mut Composed) -> Result<(), Refused> {
    if elements.is_empty() {
        return Err(Refused::invalid("elements"));
    }
    if elements.len() > MOST_LIST_ELEMENTS {
        return Err(Refused::oa(-210));
    }
    for element in elements {
        let title = needed(element, "title", LONGEST_TITLE)?;
        let subtitle = optional(element, "subtitle", LONGEST_SUBTITLE)?;
        composed.attachments.push(json!({"type": "link", "payload": {
            "thumbnail": element["image_url"], "description": subtitle, "url": element["default_action"]["url"],
        }}));
        composed.text.get_or_insert(title);
    }
    composed.shape = Shape::List;
    Ok(())
}

fn buttons(given: &Value) -> Result<Vec<Button>, Refused> {
    let given = match given {
        Value::Null => return Ok(Vec::new()),
        Value::Array(given) => given,
        _ => return Err(Refused::invalid("buttons")),
    };
    if given.len() > MOST_BUTTONS {
        return Err(Refused::oa(-210));
    }
    given.iter().map(button).collect()
}

fn button(given: &Value) -> Result<Button, Refused> {
    needed(given, "title", LONGEST_TITLE)?;
    let kind = given["type"].as_str().unwrap_or_default();
    let payload = &given["payload"];
    match kind {
        "oa.open.url" => {
            let url = payload["url"].as_str();
            if !url.is_some_and(is_web) {
                return Err(Refused::invalid("url"));
            }
        }
        "oa.query.show" | "oa.query.hide" => {
            needed(given, "payload", LONGEST_PAYLOAD)?;
        }
        "oa.open.sms" => {
            needed(payload, "content", LONGEST_PAYLOAD)?;
            needed(payload, "phone_code", usize::MAX)?;
        }
        "oa.open.phone" => {
            needed(payload, "phone_code", usize::MAX)?;
        }
        _ => return Err(Refused::invalid("type")),
    }
    Ok(Button {
        kind: kind.to_owned(),
        payload: payload.clone(),
    })
}

/// A file name's end, in lower case.
pub(super) fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, end)| end.to_ascii_lowercase())
}
