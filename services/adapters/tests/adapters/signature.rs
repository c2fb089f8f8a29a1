//! Signs golden requests as their providers do, by the providers' descriptions and not by the adapters.

use crate::golden::Signature;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_core::port::adapter::WebhookRequest;
use serde_json::{Map, Value};
use sha1::Sha1;
use std::collections::BTreeSet;

/// Adds the signature to a request. `settings` are those of app and account together.
pub(crate) fn sign(signature: Signature, request: &mut WebhookRequest, app_id: &str, settings: &Map<String, Value>) {
    match signature {
        Signature::Twilio => twilio(request, app_id, settings),
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
