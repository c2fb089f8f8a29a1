//! Whether a call is Zalo's.

use super::settings::Secret;
use omnigate_core::port::adapter::WebhookRequest;
use omnigate_core::time::Moment;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Open API, webhook: the header with the signature, `mac=` and 64 hexadecimal digits.
const SIGNATURE_HEADER: &str = "x-zevent-signature";
/// Named by few sources and missing from real calls; read only where the body has no time.
const TIMESTAMP_HEADER: &str = "x-zevent-timestamp";
/// How far ahead of ours Zalo's clock may run.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Verifies calls to one app.
pub(super) struct Verifier {
    /// Id of the app, the first term of what is signed.
    pub(super) app_id: String,
    /// The OA Secret Key that the console shows under Webhook; not the app's secret.
    pub(super) key: Secret,
    /// Whether the id of the OA may stand in place of the app's.
    pub(super) also_oa_id: bool,
    /// How old a call may be; `None` for any age.
    pub(super) max_age: Option<Duration>,
}

/// What of a call its signature depends on, besides its bytes.
#[derive(Default)]
pub(super) struct Signed<'a> {
    /// The body's `timestamp`, as it is written there.
    pub(super) timestamp: Option<&'a str>,
    /// When that is, where it can be one.
    pub(super) at: Option<Moment>,
    /// Id of the OA, when it is one of the app's.
    pub(super) oa_id: Option<&'a str>,
}

impl Verifier {
    /// Why a request is not Zalo's, if it is not.
    pub(super) fn refuse(&self, request: &WebhookRequest, signed: &Signed<'_>) -> Option<&'static str> {
        let Some(given) = request.header(SIGNATURE_HEADER) else {
            return Some("the signature header is missing");
        };
        let Some(given) = digest(given) else {
            return Some("the signature is not 64 hexadecimal digits");
        };
        let header = || std::str::from_utf8(request.header(TIMESTAMP_HEADER)?).ok();
        let timestamp = signed.timestamp.or_else(header).unwrap_or_default();
        let matches = |first: &str| -> bool {
            self.mac(first, &request.body, timestamp)
                .as_slice()
                .ct_eq(&given)
                .into()
        };
        let by_app = matches(&self.app_id);
        let by_oa = || self.also_oa_id && signed.oa_id.is_some_and(matches);
        if !by_app {
            if !by_oa() {
                return Some("the signature is wrong");
            }
            tracing::info!(
                "a call to app {} is signed with the id of its official account",
                self.app_id
            );
        }
        let max_age = self.max_age?;
        let Some(at) = signed.at else {
            return Some("the call says no time, so its age is not known");
        };
        let fresh = request.received_at <= at + max_age && at <= request.received_at + CLOCK_SKEW;
        (!fresh).then_some("the call is too old, or of the future")
    }

    /// Open API, webhook: SHA-256 over the terms one behind the other; no HMAC.
    fn mac(&self, first: &str, body: &[u8], timestamp: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        for term in [
            first.as_bytes(),
            body,
            timestamp.as_bytes(),
            self.key.expose().as_bytes(),
        ] {
            hash.update(term);
        }
        hash.finalize().into()
    }
}

/// Reads `mac=<hex>`, with spaces around the sign or without the word.
fn digest(header: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let bare = text
        .strip_prefix("mac")
        .map(str::trim_start)
        .and_then(|rest| rest.strip_prefix('='));
    let hex = bare.unwrap_or(text).trim_start();
    let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    (digest.len() == 32).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_digits_may_be_written_in_several_ways() {
        let hex = "ab".repeat(32);
        for text in [
            format!("mac={hex}"),
            format!("mac = {hex}"),
            format!(" mac= {hex} "),
            hex.clone(),
            hex.to_uppercase(),
        ] {
            assert_eq!(digest(text.as_bytes()), Some(vec![0xab; 32]), "{text}");
        }
        for text in ["", "mac=", "mac=abc", "hmac=00", "mac=zz"] {
            assert_eq!(digest(text.as_bytes()), None, "{text}");
        }
        assert_eq!(digest(format!("mac=mac={hex}").as_bytes()), None);
        assert_eq!(digest(b"\xff"), None);
    }
}
