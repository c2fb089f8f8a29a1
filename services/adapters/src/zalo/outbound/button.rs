//! Buttons.

use super::super::limits::{MAX_BUTTONS, MAX_PAYLOAD, MAX_TITLE};
use super::plan::Problem;
use omnigate_proto::v1::Choice;
use serde_json::{Value, json};

/// Whether Zalo takes the choices of a message.
pub(super) fn check(choices: &[Choice]) -> Result<(), Problem> {
    if choices.len() > MAX_BUTTONS {
        return Err("zalo takes at most 5 buttons");
    }
    for choice in choices {
        let length = choice.label.chars().count();
        if choice.label.trim().is_empty() {
            return Err("a choice needs a label");
        } else if length > MAX_TITLE {
            return Err("the label of a choice is longer than 100 characters");
        } else if choice.url.is_empty() && choice.phone.is_empty() && choice.payload.is_empty() {
            return Err("a choice needs a payload, an address or a phone number");
        } else if !choice.url.is_empty() && !choice.url.starts_with("https://") && !choice.url.starts_with("http://") {
            return Err("the address of a choice must begin with https:// or http://");
        } else if choice.payload.chars().count() > MAX_PAYLOAD {
            return Err("the payload of a choice is longer than 1000 characters");
        }
    }
    Ok(())
}

/// `buttons`, in the order of rows; Zalo shows them one below the other.
pub(super) fn list(choices: &[Choice]) -> Value {
    let mut sorted: Vec<&Choice> = choices.iter().collect();
    sorted.sort_by_key(|choice| choice.row);
    sorted.into_iter().map(button).collect()
}

fn button(choice: &Choice) -> Value {
    let (kind, payload) = if !choice.url.is_empty() {
        ("oa.open.url", json!({ "url": choice.url }))
    } else if !choice.sms_text.is_empty() && !choice.phone.is_empty() {
        (
            "oa.open.sms",
            json!({ "content": choice.sms_text, "phone_code": choice.phone }),
        )
    } else if !choice.phone.is_empty() {
        ("oa.open.phone", json!({ "phone_code": choice.phone }))
    } else if choice.is_hidden {
        ("oa.query.hide", json!(choice.payload))
    } else {
        ("oa.query.show", json!(choice.payload))
    };
    json!({ "title": choice.label, "type": kind, "payload": payload })
}
