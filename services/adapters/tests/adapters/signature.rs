//! Signs golden requests as their providers do, by the providers' descriptions and not by the adapters.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_core::port::adapter::WebhookRequest;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Ways in which providers sign what they send.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signature {
    /// `X-Twilio-Signature` with HMAC-SHA1 over address and parameters.
    Twilio,
    /// `X-ZEvent-Signature: mac=<hex>` with SHA-256 over app id, body, the body's timestamp and OA secret key.
    Zalo,
}

impl Signature {
    /// Adds the signature to a request. `settings` are those of app and account together.
    pub(crate) fn sign(self, request: &mut WebhookRequest, app_id: &str, settings: &Map<String, Value>) {
        match self {
            Self::Twilio => twilio(request, app_id, settings),
            Self::Zalo => {
                let signature = Bytes::from(zalo(settings, &request.body));
                request.headers.push(("x-zevent-signature".to_owned(), signature));
            }
        }
    }
}

/// twilio.com/docs/usage/security, "Validating requests".
fn twilio(request: &mut WebhookRequest, app_id: &str, settings: &Map<String, Value>) {
    let (Some(base), Some(token)) = (settings.get("public_url"), settings.get("auth_token")) else {
        return;
    };
    let mut signed = format!("{}/v1/webhooks/{app_id}", base.as_str().unwrap());
    if !request.query.is_empty() {
        signed += "?";
        signed += &request.query;
    }
    let parameters: BTreeSet<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
    for (name, value) in parameters {
        signed += &name;
        signed += &value;
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_str().unwrap().as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    request
        .headers
        .push(("x-twilio-signature".to_owned(), Bytes::from(signature)));
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
    assert_eq!(
        zalo(app.as_object().unwrap(), body),
        "mac=dc0487a5431673273ad08e6764f684325aee31723f0de6ea30acfa90e56b3b39"
    );
}
