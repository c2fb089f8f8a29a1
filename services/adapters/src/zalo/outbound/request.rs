//! One piece as a call.

use super::super::api::Server;
use super::super::limits::MAX_TRACKING_ID;
use super::super::settings::{AnonymousApi, OaSettings, SendingMode, ZnsMode};
use super::button;
use super::plan::{Content, Piece, Problem, Shown, Source};
use super::target::Target;
use omnigate_core::port::adapter::Outgoing;
use omnigate_proto::v1::{InfoRequest, MediaKind, TemplateRef};
use serde_json::{Value, json};

/// Where a call goes.
pub(super) struct Place {
    pub(super) url: String,
    pub(super) server: Server,
}

/// Where a piece goes, or why its recipient cannot be sent such a thing.
pub(super) fn place(settings: &OaSettings, piece: &Piece<'_>, target: &Target) -> Result<Place, Problem> {
    let is_template = matches!(piece.content, Content::Template(_));
    let open = |path: &str| Place {
        url: format!("{}{path}", settings.api_url),
        server: Server::OpenApi,
    };
    match target {
        Target::Phone(_) if is_template => Ok(Place {
            url: format!("{}/message/template", settings.zns_url),
            server: Server::Zns,
        }),
        Target::Phone(_) => Err("zalo sends only templates to a phone number"),
        Target::User(_) if is_template => Ok(open("/v3.0/oa/message/template")),
        Target::Group(_) | Target::Visitor { .. } if is_template => {
            Err("zalo sends templates to users and phone numbers only")
        }
        Target::User(_) => Ok(open("/v3.0/oa/message/cs")),
        Target::Group(_) => Ok(open("/v3.0/oa/group/message")),
        Target::Visitor { .. } => Ok(open(match settings.anonymous_api {
            AnonymousApi::V2 => "/v2.0/oa/message",
            AnonymousApi::V3 => "/v3.0/oa/message/cs",
        })),
    }
}

/// The body of a piece's call; `handle` is what an upload before it gave.
pub(super) fn body(
    settings: &OaSettings,
    piece: &Piece<'_>,
    target: &Target,
    handle: Option<&str>,
    outgoing: &Outgoing,
) -> Value {
    if let Content::Template(template) = &piece.content {
        return match target {
            Target::Phone(phone) => by_phone(settings, template, phone, outgoing),
            Target::User(id) => by_user(template, id),
            Target::Group(_) | Target::Visitor { .. } => Value::Null,
        };
    }
    json!({ "recipient": target.recipient(), "message": message(piece, target, handle) })
}

fn by_user(template: &TemplateRef, user_id: &str) -> Value {
    json!({ "user_id": user_id, "template_id": template.template_id, "template_data": template.parameters })
}

fn by_phone(settings: &OaSettings, template: &TemplateRef, phone: &str, outgoing: &Outgoing) -> Value {
    let mut body = json!({
        "phone": phone,
        "template_id": template.template_id,
        "template_data": template.parameters,
        "tracking_id": outgoing.send_key.chars().take(MAX_TRACKING_ID).collect::<String>(),
    });
    if settings.zns_mode == Some(ZnsMode::Development) {
        body["mode"] = json!("development");
    }
    if let Some(mode) = settings.sending_mode {
        body["sending_mode"] = json!(match mode {
            SendingMode::Normal => "1",
            SendingMode::BeyondQuota => "3",
        });
    }
    body
}

fn message(piece: &Piece<'_>, target: &Target, handle: Option<&str>) -> Value {
    let mut message = json!({});
    let text = match &piece.content {
        Content::Text(text) => text.as_str(),
        Content::Media(shown) => shown.caption.as_str(),
        _ => "",
    };
    if !text.is_empty() {
        message["text"] = json!(if matches!(target, Target::Group(_)) {
            without_mentions(text)
        } else {
            text.to_owned()
        });
    }
    if let Some(id) = piece.quoted {
        message["quote_message_id"] = json!(id);
    }
    let attachment = match &piece.content {
        Content::Text(_) | Content::Template(_) => None,
        Content::Media(shown) => Some(template("media", &picture(shown, handle))),
        Content::Sticker(id) => Some(template(
            "media",
            &json!({ "media_type": "sticker", "attachment_id": id }),
        )),
        Content::Form(form) => Some(template("request_user_info", &request_user_info(form))),
        Content::File(media) => {
            let token = handle.unwrap_or(&media.provider_media_id);
            Some(json!({ "type": "file", "payload": { "token": token } }))
        }
    };
    if let Some(attachment) = attachment {
        message["attachment"] = attachment;
    } else if !piece.choices.is_empty() {
        message["attachment"] = json!({ "type": "template", "payload": { "buttons": button::list(piece.choices) } });
    }
    message
}

fn template(kind: &str, element: &Value) -> Value {
    json!({ "type": "template", "payload": { "template_type": kind, "elements": [element] } })
}

fn picture(shown: &Shown<'_>, handle: Option<&str>) -> Value {
    let media = shown.media;
    let is_gif = media.kind() == MediaKind::Animation;
    let mut element = json!({ "media_type": if is_gif { "gif" } else { "image" } });
    match (&shown.source, handle) {
        (Source::Url(url), _) => element["url"] = json!(url),
        (Source::Attachment(id), _) => element["attachment_id"] = json!(id),
        (Source::Upload, handle) => element["attachment_id"] = json!(handle),
    }
    if is_gif {
        element["width"] = json!(media.width);
        element["height"] = json!(media.height);
    }
    element
}

fn request_user_info(form: &InfoRequest) -> Value {
    json!({ "title": form.title, "subtitle": form.subtitle, "image_url": form.image_url })
}

/// In a group `[@…]` mentions somebody; what only passes through us must not.
fn without_mentions(text: &str) -> String {
    let mut text = text.to_owned();
    // Taking one out may bring the halves of another one together.
    while let Some(start) = text.find("[@") {
        match text[start..].find(']') {
            Some(length) => text.replace_range(start..=start + length, ""),
            // Without its end it mentions nobody, and nothing behind it does.
            None => break,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_left_out() {
        assert_eq!(without_mentions("Chào [@123:An] và [@all]!"), "Chào  và !");
        assert_eq!(without_mentions("giá [@ chưa đóng"), "giá [@ chưa đóng");
        assert_eq!(without_mentions("a[[@x]@y]b"), "ab");
        assert_eq!(without_mentions("không có"), "không có");
    }
}
