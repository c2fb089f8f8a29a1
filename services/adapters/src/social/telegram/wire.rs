//! The Bot API's objects, as far as they are read; field names are the API's own.
//!
//! Everything optional there is optional here, unknown fields are skipped, ids are 64 bits and never floats, texts are
//! borrowed from the request where they hold no escapes.

mod content;

pub(super) use content::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, ops::Deref};

/// Far beyond what Telegram uses, and within the contract's 512 bytes of an identifier's value.
const MAX_CONNECTION_ID: usize = 256;

/// A text. The wrapper is what lets an optional text borrow.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Id of a business connection; becomes part of an identifier, so it must be able to.
#[derive(Deserialize)]
#[serde(try_from = "Str<'a>")]
pub(super) struct ConnectionId<'a>(#[serde(borrow)] Str<'a>);

impl<'a> TryFrom<Str<'a>> for ConnectionId<'a> {
    type Error = &'static str;

    fn try_from(id: Str<'a>) -> Result<Self, Self::Error> {
        if (1..=MAX_CONNECTION_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(id))
        } else {
            Err("not the id of a connection")
        }
    }
}

impl Deref for ConnectionId<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// `Update`, with the kinds that are read in full; exactly one is set.
#[derive(Deserialize)]
pub(super) struct Update<'a> {
    pub(super) update_id: i64,
    #[serde(borrow)]
    pub(super) message: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) edited_message: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) channel_post: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) edited_channel_post: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) business_message: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) edited_business_message: Option<Box<Message<'a>>>,
    #[serde(borrow)]
    pub(super) deleted_business_messages: Option<DeletedMessages<'a>>,
    #[serde(borrow)]
    pub(super) business_connection: Option<BusinessConnection<'a>>,
    #[serde(borrow)]
    pub(super) message_reaction: Option<Box<MessageReaction<'a>>>,
    #[serde(borrow)]
    pub(super) callback_query: Option<Box<CallbackQuery<'a>>>,
    #[serde(borrow)]
    pub(super) my_chat_member: Option<Box<ChatMemberUpdated<'a>>>,
    #[serde(borrow)]
    pub(super) chat_join_request: Option<Box<JoinRequest<'a>>>,
}

/// `Message`.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    pub(super) message_id: i64,
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    #[serde(borrow)]
    pub(super) from: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) sender_chat: Option<Chat<'a>>,
    #[serde(borrow)]
    pub(super) sender_business_bot: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) author_signature: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) business_connection_id: Option<ConnectionId<'a>>,
    #[serde(default)]
    pub(super) date: i64,
    #[serde(default)]
    pub(super) edit_date: i64,
    pub(super) message_thread_id: Option<i64>,
    #[serde(default)]
    pub(super) is_topic_message: bool,
    #[serde(default)]
    pub(super) is_automatic_forward: bool,
    #[serde(default)]
    pub(super) is_from_offline: bool,
    #[serde(borrow)]
    pub(super) media_group_id: Option<Str<'a>>,

    #[serde(borrow)]
    pub(super) forward_origin: Option<Origin<'a>>,
    #[serde(borrow)]
    pub(super) forward_from: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) forward_from_chat: Option<Chat<'a>>,
    #[serde(borrow)]
    pub(super) forward_sender_name: Option<Str<'a>>,
    pub(super) reply_to_message: Option<ReplyTarget>,
    #[serde(borrow)]
    pub(super) external_reply: Option<ExternalReply<'a>>,
    #[serde(borrow)]
    pub(super) quote: Option<Quote<'a>>,

    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) entities: Vec<Entity<'a>>,
    #[serde(borrow)]
    pub(super) caption: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) caption_entities: Vec<Entity<'a>>,
    #[serde(borrow)]
    pub(super) photo: Option<Vec<File<'a>>>,
    #[serde(borrow)]
    pub(super) animation: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) audio: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) voice: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) video: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) video_note: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) document: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) sticker: Option<Sticker<'a>>,
    pub(super) location: Option<Location>,
    #[serde(borrow)]
    pub(super) venue: Option<Venue<'a>>,
    #[serde(borrow)]
    pub(super) contact: Option<Contact<'a>>,
    #[serde(borrow)]
    pub(super) dice: Option<Dice<'a>>,
    #[serde(borrow)]
    pub(super) poll: Option<Poll<'a>>,
    #[serde(borrow)]
    pub(super) web_app_data: Option<WebAppData<'a>>,

    pub(super) migrate_to_chat_id: Option<i64>,
    pub(super) migrate_from_chat_id: Option<i64>,
    #[serde(borrow)]
    pub(super) new_chat_title: Option<Str<'a>>,
}

/// `User`.
#[derive(Deserialize)]
pub(super) struct User<'a> {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) is_bot: bool,
    #[serde(borrow)]
    pub(super) first_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) last_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) language_code: Option<Str<'a>>,
}

/// `Chat`.
#[derive(Deserialize)]
pub(super) struct Chat<'a> {
    pub(super) id: i64,
    #[serde(borrow)]
    pub(super) r#type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) first_name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) last_name: Option<Str<'a>>,
}

impl Chat<'_> {
    /// Whether the other side is one person. Ids of persons are positive, of everything else negative.
    pub(super) fn is_private(&self) -> bool {
        self.r#type.as_deref().map_or(self.id > 0, |kind| kind == "private")
    }
}

/// `BusinessMessagesDeleted`. The ids stay raw, so that one bad id does not cost the others.
#[derive(Deserialize)]
pub(super) struct DeletedMessages<'a> {
    #[serde(borrow)]
    pub(super) business_connection_id: ConnectionId<'a>,
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    #[serde(borrow)]
    pub(super) message_ids: Vec<&'a RawValue>,
}

/// `BusinessConnection`.
#[derive(Deserialize)]
pub(super) struct BusinessConnection<'a> {
    #[serde(borrow)]
    pub(super) id: ConnectionId<'a>,
    #[serde(default)]
    pub(super) date: i64,
    #[serde(default)]
    pub(super) is_enabled: bool,
}

/// `MessageReactionUpdated`.
#[derive(Deserialize)]
pub(super) struct MessageReaction<'a> {
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    pub(super) message_id: i64,
    #[serde(borrow)]
    pub(super) user: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) actor_chat: Option<Chat<'a>>,
    #[serde(default)]
    pub(super) date: i64,
    #[serde(borrow)]
    pub(super) new_reaction: Vec<ReactionType<'a>>,
}

/// `ReactionType`, all variants.
#[derive(Deserialize)]
pub(super) struct ReactionType<'a> {
    #[serde(borrow)]
    pub(super) r#type: Str<'a>,
    #[serde(borrow)]
    pub(super) emoji: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) custom_emoji_id: Option<Str<'a>>,
}

/// `CallbackQuery`.
#[derive(Deserialize)]
pub(super) struct CallbackQuery<'a> {
    #[serde(borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) from: User<'a>,
    #[serde(borrow)]
    pub(super) message: Option<CallbackMessage<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
}

/// `MaybeInaccessibleMessage`.
#[derive(Deserialize)]
pub(super) struct CallbackMessage<'a> {
    pub(super) message_id: i64,
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    #[serde(borrow)]
    pub(super) business_connection_id: Option<ConnectionId<'a>>,
    #[serde(borrow)]
    pub(super) reply_markup: Option<InlineKeyboard<'a>>,
}

/// `InlineKeyboardMarkup`.
#[derive(Deserialize)]
pub(super) struct InlineKeyboard<'a> {
    #[serde(borrow, default)]
    pub(super) inline_keyboard: Vec<Vec<Button<'a>>>,
}

/// `InlineKeyboardButton`.
#[derive(Deserialize)]
pub(super) struct Button<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) callback_data: Option<Str<'a>>,
}

/// `ChatMemberUpdated`.
#[derive(Deserialize)]
pub(super) struct ChatMemberUpdated<'a> {
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    #[serde(borrow)]
    pub(super) from: Option<User<'a>>,
    #[serde(default)]
    pub(super) date: i64,
    #[serde(borrow)]
    pub(super) new_chat_member: ChatMember<'a>,
}

/// `ChatMember`, all variants.
#[derive(Deserialize)]
pub(super) struct ChatMember<'a> {
    #[serde(borrow)]
    pub(super) status: Str<'a>,
    pub(super) is_member: Option<bool>,
    pub(super) can_send_messages: Option<bool>,
    pub(super) can_post_messages: Option<bool>,
}

/// `ChatJoinRequest`.
#[derive(Deserialize)]
pub(super) struct JoinRequest<'a> {
    #[serde(borrow)]
    pub(super) chat: Chat<'a>,
    #[serde(borrow)]
    pub(super) from: User<'a>,
    pub(super) user_chat_id: Option<i64>,
    #[serde(default)]
    pub(super) date: i64,
    #[serde(borrow)]
    pub(super) invite_link: Option<InviteLink<'a>>,
}

/// `ChatInviteLink`.
#[derive(Deserialize)]
pub(super) struct InviteLink<'a> {
    #[serde(borrow)]
    pub(super) invite_link: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
}

/// Whom an update of any kind is about, as far as it says so in the usual places.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct About<'a> {
    #[serde(borrow)]
    pub(super) chat: Option<Chat<'a>>,
    #[serde(borrow)]
    pub(super) from: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) user: Option<User<'a>>,
    #[serde(borrow)]
    pub(super) business_connection_id: Option<ConnectionId<'a>>,
    pub(super) date: i64,
}
