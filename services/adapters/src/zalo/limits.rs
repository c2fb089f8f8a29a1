//! Zalo's limits, in one place.

use super::settings::OaSettings;
use omnigate_proto::v1::{Capabilities, ReceiptState, ReplyWindowRule};

/// Open API, consultation messages: characters of a text.
pub(super) const MAX_TEXT: usize = 2000;
/// Open API, uploads: bytes of a picture, JPEG or PNG.
pub(super) const MAX_IMAGE: usize = 1024 * 1024;
/// Open API, uploads: bytes of a GIF; the page of its endpoint is not certain.
pub(super) const MAX_GIF: usize = 5 * 1024 * 1024;
/// Open API, uploads: bytes of a file.
pub(super) const MAX_FILE: usize = 5 * 1024 * 1024;
/// Open API, buttons.
pub(super) const MAX_BUTTONS: usize = 5;
/// Open API, buttons and forms: characters of a title.
pub(super) const MAX_TITLE: usize = 100;
/// Open API, forms: characters of a subtitle.
pub(super) const MAX_SUBTITLE: usize = 500;
/// Open API, `oa.query.show`: characters of a payload.
pub(super) const MAX_PAYLOAD: usize = 1000;
/// ZBS templates: characters of `tracking_id`.
pub(super) const MAX_TRACKING_ID: usize = 48;

/// Open API, general: 4,000 calls a minute for all OAs of an app. A little less leaves room for uploads and templates.
const MESSAGES_PER_SECOND: f64 = 60.0;

/// What an Official Account can do. Zalo is not known to drop a repeated `tracking_id`.
pub(super) fn capabilities(settings: &OaSettings) -> Capabilities {
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Capabilities {
        channel: "zalo".to_owned(),
        max_text: u32::try_from(MAX_TEXT).unwrap_or(u32::MAX),
        text_unit: "chars".to_owned(),
        max_upload_bytes: u64::try_from(MAX_FILE).unwrap_or(u64::MAX),
        idempotent_send: false,
        lookup_send: false,
        receipts: vec![ReceiptState::Delivered.into(), ReceiptState::Read.into()],
        messages_per_second: MESSAGES_PER_SECOND,
        messages_per_second_per_thread: 0.0,
        reply_window: Some(ReplyWindowRule {
            free_ms: milliseconds(settings.free_window),
            open_ms: milliseconds(settings.open_window),
            peer_type: "zalo_uid".to_owned(),
        }),
        provider_templates: true,
    }
}
