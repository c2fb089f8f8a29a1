//! Telegram's limits, in one place.

use omnigate_proto::v1::Capabilities;

/// Bot API, `sendMessage`: UTF-16 units of a text after its mark-up was read.
pub(super) const MAX_TEXT: usize = 4096;
/// Bot API, `sendPhoto` and others: UTF-16 units of a caption.
pub(super) const MAX_CAPTION: usize = 1024;
/// Bot API, `sendPhoto`: bytes of an uploaded photo.
pub(super) const MAX_PHOTO_UPLOAD: usize = 10 * 1024 * 1024;
/// Bot API, sending files: bytes of any other upload.
pub(super) const MAX_UPLOAD: usize = 50 * 1024 * 1024;
/// Bot API, `InlineKeyboardButton.callback_data`: bytes.
pub(super) const MAX_CALLBACK_DATA: usize = 64;
/// Bot API, `sendContact.vcard`: bytes.
pub(super) const MAX_VCARD: usize = 2048;
/// Server source: buttons of one keyboard.
pub(super) const MAX_BUTTONS: usize = 100;
/// Bot API, `sendLocation.live_period`: seconds; the last value means for ever.
pub(super) const LIVE_PERIODS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Bot API, `sendLocation.live_period`: for ever.
pub(super) const LIVE_FOR_EVER: u32 = 0x7FFF_FFFF;
/// Bot API, `getUpdates.limit`.
pub(super) const MAX_UPDATES: u32 = 100;

/// Bots FAQ, "My bot is hitting limits": about 30 messages a second in all; more is paid for.
const MESSAGES_PER_SECOND: f64 = 30.0;
/// Bots FAQ: one message a second to one chat; groups take 20 a minute, which the 429 answers enforce.
const MESSAGES_PER_SECOND_PER_CHAT: f64 = 1.0;

/// What every bot can do. Telegram keeps no send keys, tells nothing about past sends and sends no receipts.
pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        channel: "telegram".to_owned(),
        max_text: u32::try_from(MAX_TEXT).unwrap_or(u32::MAX),
        text_unit: "utf16".to_owned(),
        max_upload_bytes: u64::try_from(MAX_UPLOAD).unwrap_or(u64::MAX),
        idempotent_send: false,
        lookup_send: false,
        receipts: Vec::new(),
        messages_per_second: MESSAGES_PER_SECOND,
        messages_per_second_per_thread: MESSAGES_PER_SECOND_PER_CHAT,
        reply_window: None,
        provider_templates: false,
    }
}
