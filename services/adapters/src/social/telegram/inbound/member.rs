//! Whether we may write: the bot's own membership, requests to be let in, presses of buttons.

use super::super::wire::{CallbackQuery, ChatMember, ChatMemberUpdated, JoinRequest};
use super::text::nfc;
use super::{Translator, timestamp, unsupported};
use omnigate_proto::v1::{Event, Postback, Subscription, SubscriptionState, event::Kind};

impl Translator<'_> {
    /// `my_chat_member`: blocked, unblocked, added to or removed from a chat.
    pub(super) fn own_membership(&self, key: String, update: &ChatMemberUpdated<'_>, raw: &[u8]) -> Event {
        let mut event = Event {
            occurred_at: timestamp(update.date),
            stable_key: key,
            ..self.event()
        };
        self.with_chat(&mut event, &update.chat, None, update.from.as_ref());
        event.kind = Some(match state(&update.new_chat_member) {
            Some(state) => Kind::Subscription(Subscription {
                state: state.into(),
                ..Subscription::default()
            }),
            None => unsupported("my_chat_member", raw, ""),
        });
        event
    }

    /// `chat_join_request`: the peer is the person who asks, who may be written to for a while; the topic is the chat.
    pub(super) fn join_request(&self, key: String, update: &JoinRequest<'_>) -> Event {
        let mut event = Event {
            occurred_at: timestamp(update.date),
            stable_key: key,
            ..self.event()
        };
        self.with_user(&mut event, &update.from);
        if let Some(id) = update.user_chat_id.filter(|&id| id != update.from.id) {
            event.peer = self.chat_identifier(id).or(event.peer);
        }
        let link = update.invite_link.as_ref();
        let source = link.and_then(|link| link.name.as_deref().or(link.invite_link.as_deref()));
        event.kind = Some(Kind::Subscription(Subscription {
            state: SubscriptionState::Requested.into(),
            topic: update.chat.id.to_string(),
            source: source.unwrap_or_default().to_owned(),
            ..Subscription::default()
        }));
        event
    }

    /// `callback_query`. Telegram gives no time of the press.
    pub(super) fn callback(&self, key: String, query: &CallbackQuery<'_>, raw: &[u8]) -> Event {
        let mut event = Event {
            stable_key: key,
            ..self.event()
        };
        match &query.message {
            Some(message) => {
                let business = message.business_connection_id.as_deref();
                event.provider_message_id = message.message_id.to_string();
                self.with_chat(&mut event, &message.chat, business, Some(&query.from));
            }
            None => self.with_user(&mut event, &query.from),
        }
        event.kind = Some(match &query.data {
            Some(data) => Kind::Postback(Postback {
                payload: data.to_string(),
                title: label(query, data),
                callback_id: query.id.to_string(),
            }),
            // A game's button carries no data.
            None => unsupported("callback_query", raw, ""),
        });
        event
    }
}

/// What stood on the pressed button.
fn label(query: &CallbackQuery<'_>, data: &str) -> String {
    let keyboard = query.message.as_ref().and_then(|message| message.reply_markup.as_ref());
    let mut buttons = keyboard
        .iter()
        .flat_map(|keyboard| keyboard.inline_keyboard.iter().flatten());
    let pressed = buttons.find(|button| button.callback_data.as_deref() == Some(data));
    let text = pressed.and_then(|button| button.text.as_deref());
    nfc(text.unwrap_or_default()).into_owned()
}

/// Whether a member of this status may write; `None` for a status the Bot API 10.0 does not have.
fn state(member: &ChatMember<'_>) -> Option<SubscriptionState> {
    let may_write = match &*member.status {
        "member" | "creator" => true,
        // In channels an administrator needs the right to post; elsewhere the field is absent.
        "administrator" => member.can_post_messages != Some(false),
        "restricted" => member.is_member != Some(false) && member.can_send_messages != Some(false),
        "left" | "kicked" => false,
        _ => return None,
    };
    Some(if may_write {
        SubscriptionState::Subscribed
    } else {
        SubscriptionState::Unsubscribed
    })
}
