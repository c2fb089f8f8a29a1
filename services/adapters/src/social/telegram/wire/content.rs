//! The objects a message carries.

use super::{Chat, Str, User};
use serde::Deserialize;

/// `MessageEntity`; offset and length count UTF-16 units.
#[derive(Deserialize)]
pub(in super::super) struct Entity<'a> {
    #[serde(borrow)]
    pub(in super::super) r#type: Str<'a>,
    pub(in super::super) offset: usize,
    pub(in super::super) length: usize,
    #[serde(borrow)]
    pub(in super::super) url: Option<Str<'a>>,
}

/// `PhotoSize`, `Animation`, `Audio`, `Voice`, `Video`, `VideoNote` and `Document` in one.
#[derive(Deserialize)]
pub(in super::super) struct File<'a> {
    #[serde(borrow)]
    pub(in super::super) file_id: Str<'a>,
    #[serde(borrow)]
    pub(in super::super) file_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) mime_type: Option<Str<'a>>,
    pub(in super::super) file_size: Option<u64>,
    pub(in super::super) duration: Option<u64>,
    pub(in super::super) width: Option<u32>,
    pub(in super::super) height: Option<u32>,
    pub(in super::super) length: Option<u32>,
}

/// `Sticker`.
#[derive(Deserialize)]
pub(in super::super) struct Sticker<'a> {
    #[serde(borrow)]
    pub(in super::super) file_id: Str<'a>,
    #[serde(borrow)]
    pub(in super::super) emoji: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) set_name: Option<Str<'a>>,
    #[serde(default)]
    pub(in super::super) is_animated: bool,
    #[serde(default)]
    pub(in super::super) is_video: bool,
}

/// `Location`.
#[derive(Deserialize)]
pub(in super::super) struct Location {
    pub(in super::super) latitude: f64,
    pub(in super::super) longitude: f64,
    pub(in super::super) live_period: Option<u32>,
}

/// `Venue`.
#[derive(Deserialize)]
pub(in super::super) struct Venue<'a> {
    pub(in super::super) location: Location,
    #[serde(borrow)]
    pub(in super::super) title: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) address: Option<Str<'a>>,
}

/// `Contact`.
#[derive(Deserialize)]
pub(in super::super) struct Contact<'a> {
    #[serde(borrow)]
    pub(in super::super) phone_number: Str<'a>,
    #[serde(borrow)]
    pub(in super::super) first_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) last_name: Option<Str<'a>>,
    pub(in super::super) user_id: Option<i64>,
    #[serde(borrow)]
    pub(in super::super) vcard: Option<Str<'a>>,
}

/// `Dice`.
#[derive(Deserialize)]
pub(in super::super) struct Dice<'a> {
    #[serde(borrow)]
    pub(in super::super) emoji: Str<'a>,
    pub(in super::super) value: i64,
}

/// `Poll`.
#[derive(Deserialize)]
pub(in super::super) struct Poll<'a> {
    #[serde(borrow)]
    pub(in super::super) question: Str<'a>,
    #[serde(borrow, default)]
    pub(in super::super) options: Vec<PollOption<'a>>,
}

/// `PollOption`.
#[derive(Deserialize)]
pub(in super::super) struct PollOption<'a> {
    #[serde(borrow)]
    pub(in super::super) text: Str<'a>,
}

/// `WebAppData`.
#[derive(Deserialize)]
pub(in super::super) struct WebAppData<'a> {
    #[serde(borrow)]
    pub(in super::super) data: Str<'a>,
    #[serde(borrow)]
    pub(in super::super) button_text: Option<Str<'a>>,
}

/// `MessageOrigin`, all variants.
#[derive(Deserialize)]
pub(in super::super) struct Origin<'a> {
    #[serde(borrow)]
    pub(in super::super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) sender_user: Option<User<'a>>,
    #[serde(borrow)]
    pub(in super::super) sender_user_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(in super::super) sender_chat: Option<Chat<'a>>,
    #[serde(borrow)]
    pub(in super::super) chat: Option<Chat<'a>>,
}

/// The message a reply answers; it is a whole `Message`, of which the id matters.
#[derive(Deserialize)]
pub(in super::super) struct ReplyTarget {
    pub(in super::super) message_id: i64,
}

/// `ExternalReplyInfo`.
#[derive(Deserialize)]
pub(in super::super) struct ExternalReply<'a> {
    #[serde(borrow)]
    pub(in super::super) chat: Option<Chat<'a>>,
    pub(in super::super) message_id: Option<i64>,
}

/// `TextQuote`.
#[derive(Deserialize)]
pub(in super::super) struct Quote<'a> {
    #[serde(borrow)]
    pub(in super::super) text: Option<Str<'a>>,
}
