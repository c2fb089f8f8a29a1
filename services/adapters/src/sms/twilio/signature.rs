//! `X-Twilio-Signature` (security, "Validating requests").
//!
//! The signature is an HMAC-SHA1 over the address as Twilio called it, its query string unchanged, and then each parameter
//! of a form: names in byte order, distinct values in order, nothing between them. Of a body that is no form the address
//! carries the digest, `bodySHA256`. Whether the address has a port is told differently by different parts of Twilio, so
//! both are tried.

use crate::texting::callback::Parameters;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_core::port::adapter::WebhookRequest;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// The header.
pub(super) const HEADER: &str = "x-twilio-signature";
/// Parameter with the digest of a body that is no form.
const BODY_DIGEST: &str = "bodySHA256";

/// Why a request is not Twilio's, if it is not. `url` is the webhook's address without query.
pub(super) fn refuse(
    request: &WebhookRequest,
    parameters: &Parameters,
    url: &str,
    tokens: &[String],
) -> Option<&'static str> {
    let Some(given) = request.header(HEADER) else {
        return Some("the signature header is missing");
    };
    let Ok(given) = STANDARD.decode(given) else {
        return Some("the signature is no base64");
    };
    if let Some(digest) = parameters.in_query(BODY_DIGEST)
        && !is_digest(digest, &request.body)
    {
        return Some("the body is not the one that was signed");
    }
    let url = if request.query.is_empty() {
        url.to_owned()
    } else {
        format!("{url}?{}", request.query)
    };
    let is_signed = [without_port(&url), with_port(&url)].iter().any(|url| {
        let signed = text(url, parameters);
        tokens.iter().any(|token| is_signature(&given, token, &signed))
    });
    (!is_signed).then_some("the signature is wrong")
}

/// What is signed.
fn text(url: &str, parameters: &Parameters) -> String {
    let mut text = url.to_owned();
    for (name, value) in parameters.sorted_form() {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

fn is_signature(given: &[u8], token: &str, text: &str) -> bool {
    // HMAC takes keys of any length.
    Hmac::<Sha1>::new_from_slice(token.as_bytes()).is_ok_and(|mut mac| {
        mac.update(text.as_bytes());
        mac.verify_slice(given).is_ok()
    })
}

fn is_digest(given: &str, body: &[u8]) -> bool {
    let mut digest = String::new();
    for byte in Sha256::digest(body) {
        write!(digest, "{byte:02x}").unwrap_or_default();
    }
    digest.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into()
}

/// Scheme, host with user information, port, and the rest of an address.
fn split(url: &str) -> Option<(&str, &str, Option<&str>, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // Colons inside brackets are those of an IPv6 address, and before an at sign those of user information.
    let host_from = authority.rfind('@').map_or(0, |at| at + 1);
    let colon_from = authority[host_from..].rfind(']').map_or(host_from, |at| host_from + at);
    match authority[colon_from..].rfind(':') {
        Some(at) => {
            let (host, port) = authority.split_at(colon_from + at);
            Some((scheme, host, Some(&port[1..]), rest))
        }
        None => Some((scheme, authority, None, rest)),
    }
}

fn without_port(url: &str) -> String {
    split(url).map_or_else(
        || url.to_owned(),
        |(scheme, host, _, rest)| format!("{scheme}://{host}{rest}"),
    )
}

fn with_port(url: &str) -> String {
    match split(url) {
        Some((scheme, host, None, rest)) => {
            let port = if scheme == "https" { 443 } else { 80 };
            format!("{scheme}://{host}:{port}{rest}")
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
