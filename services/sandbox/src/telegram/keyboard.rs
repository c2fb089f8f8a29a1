//! `reply_markup`.

use super::{answer::ApiError, params::Params};
use serde_json::{Value, json};

/// Telegram's limits of one inline keyboard.
const MAX_BUTTONS: usize = 100;
const MAX_CALLBACK_BYTES: usize = 64;

/// Reads and checks `reply_markup`. Only an inline keyboard becomes part of the message that is answered.
pub(super) fn read(params: &Params) -> Result<Option<Value>, ApiError> {
    let Some(markup) = params.nested("reply_markup")? else {
        return Ok(None);
    };
    let Some(object) = markup.as_object() else {
        return Err(ApiError::bad_request("object expected as reply markup"));
    };
    if let Some(rows) = object.get("inline_keyboard") {
        return inline(rows).map(|rows| Some(json!({"inline_keyboard": rows})));
    }
    if let Some(rows) = object.get("keyboard") {
        check_plain(rows)?;
    }
    Ok(None)
}

fn inline(rows: &Value) -> Result<Vec<Vec<Value>>, ApiError> {
    let rows = rows.as_array().ok_or_else(|| {
        ApiError::bad_request("can't parse inline keyboard: field \"inline_keyboard\" must be of type Array")
    })?;
    let mut read = Vec::new();
    let mut count = 0;
    for row in rows {
        let row = row
            .as_array()
            .ok_or_else(|| ApiError::bad_request("can't parse inline keyboard button: row must be of type Array"))?;
        let buttons = row.iter().map(inline_button).collect::<Result<Vec<_>, _>>()?;
        count += buttons.len();
        if !buttons.is_empty() {
            read.push(buttons);
        }
    }
    if count > MAX_BUTTONS {
        return Err(ApiError::bad_request("reply markup is too long"));
    }
    Ok(read)
}

fn inline_button(button: &Value) -> Result<Value, ApiError> {
    let text = button.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        return Err(ApiError::bad_request("inline keyboard button text must be non-empty"));
    }
    if let Some(data) = button.get("callback_data") {
        let data = data.as_str().unwrap_or_default();
        if data.is_empty() || data.len() > MAX_CALLBACK_BYTES {
            return Err(ApiError::bad_request("BUTTON_DATA_INVALID"));
        }
        return Ok(button.clone());
    }
    if let Some(address) = button.get("url") {
        let address = address.as_str().unwrap_or_default();
        let valid = url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "tg"));
        if !valid {
            return Err(ApiError::bad_request(format!(
                "inline keyboard button URL '{address}' is invalid: Wrong HTTP URL"
            )));
        }
        return Ok(button.clone());
    }
    const OTHERS: [&str; 7] = [
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "pay",
    ];
    if OTHERS.iter().any(|kind| button.get(*kind).is_some()) {
        return Ok(button.clone());
    }
    Err(ApiError::bad_request(
        "can't parse inline keyboard button: text buttons are unallowed in the inline keyboard",
    ))
}

fn check_plain(rows: &Value) -> Result<(), ApiError> {
    let invalid = || ApiError::bad_request("can't parse keyboard button: text must be non-empty");
    for button in rows
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|row| row.as_array().into_iter().flatten())
    {
        let text = button
            .as_str()
            .or_else(|| button.get("text").and_then(Value::as_str))
            .unwrap_or_default();
        if text.is_empty() {
            return Err(invalid());
        }
    }
    Ok(())
}

/// Whether some button of `message` carries `data`.
pub(super) fn has_callback(message: &Value, data: &str) -> bool {
    message["reply_markup"]["inline_keyboard"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|row| row.as_array().into_iter().flatten())
        .any(|button| button["callback_data"] == data)
}
