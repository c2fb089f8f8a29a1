//! Signs requests the way providers do, from their documentation and not with the adapters' code.

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// How a provider signs.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signature {
    /// `X-ZEvent-Signature: mac=<hex>` with SHA-256 over app id, body, the body's timestamp and OA secret key.
    Zalo,
}

impl Signature {
    /// Name and value of the header for a body sent to an app of these settings.
    pub(crate) fn header(self, app: &Map<String, Value>, body: &[u8]) -> (String, String) {
        match self {
            Self::Zalo => ("x-zevent-signature".to_owned(), zalo(app, body)),
        }
    }
}

#[derive(Deserialize)]
struct Timed {
    timestamp: Option<Value>,
}

fn zalo(app: &Map<String, Value>, body: &[u8]) -> String {
    let setting = |name: &str| app.get(name).and_then(Value::as_str).unwrap_or_default();
    // Only this field is read: the others may be anything.
    let timestamp = serde_json::from_slice::<Timed>(body)
        .ok()
        .and_then(|body| body.timestamp);
    let timestamp = match timestamp {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let signed = [
        setting("app_id").as_bytes(),
        body,
        timestamp.as_bytes(),
        setting("oa_secret_key").as_bytes(),
    ]
    .concat();
    let digest = Sha256::digest(signed);
    format!(
        "mac={}",
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    )
}

/// The example of the documentation's formula, worked out with `sha256sum`.
#[test]
fn zalo_signs_a_plain_digest() {
    let app = serde_json::json!({ "app_id": "1", "oa_secret_key": "k" });
    let body = br#"{"timestamp":"2"}"#;
    let (name, value) = Signature::Zalo.header(app.as_object().unwrap(), body);
    assert_eq!(name, "x-zevent-signature");
    assert_eq!(
        value,
        "mac=dc0487a5431673273ad08e6764f684325aee31723f0de6ea30acfa90e56b3b39"
    );
}
