//! What an event tells about its thread: when the peer last acted, what they wish, what they are called.

use super::{Arrival, ThreadKey, is_thread};
use crate::id::EventId;
use crate::time::Moment;
use crate::window;
use omnigate_proto::state::v1::{HomeRecord, RefusedTopic, ThreadRecord};
use omnigate_proto::v1::{Direction, Profile, Subscription, SubscriptionState, event::Kind};

/// Most topics a peer can have opted out of.
const MAX_REFUSED: usize = 32;

/// A text that goes back to a peer whose wish took effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// Event that is confirmed.
    pub event: EventId,
    /// What is sent.
    pub text: String,
    /// When the event was received.
    pub received_at: Moment,
}

/// The confirmations that the arrivals ask for. An event whose wish held already is not confirmed; one that comes again is,
/// because nobody knows whether its confirmation was accepted before. Accepting is idempotent.
pub(super) fn confirmations(home: &HomeRecord, key: &ThreadKey, arrivals: &[Arrival]) -> Vec<Confirmation> {
    let is_ours = |thread: &&ThreadRecord| is_thread(thread, &key.birth.0, &key.account_id);
    let Some(thread) = home.threads.iter().find(is_ours) else {
        return Vec::new();
    };
    let refused = |id: EventId| thread.refused.iter().any(|refused| refused.event == id.to_bytes());
    let asked = arrivals.iter().filter_map(|arrival| match &arrival.event.kind {
        Some(Kind::Subscription(wish)) if !wish.confirmation.is_empty() && refused(arrival.id) => Some(Confirmation {
            event: arrival.id,
            text: wish.confirmation.clone(),
            received_at: arrival.received_at,
        }),
        _ => None,
    });
    asked.collect()
}

/// What an event tells about its thread: when the peer last wrote, whether we may write, what they are called.
pub(super) fn note_on_thread(thread: &mut ThreadRecord, arrival: &Arrival) {
    let event = &arrival.event;
    if window::opens(event) {
        let opened = window::opened_at(event, arrival.received_at);
        if opened.0 > thread.window_opened_ms {
            thread.window_opened_ms = opened.0;
            // The provider counts anew, and says so with the next answer.
            thread.free_replies_left = None;
        }
    }
    if let Some(Kind::Subscription(wish)) = &event.kind {
        note_wish(thread, wish, arrival);
    }
    let inbound = event.direction() != Direction::Outbound;
    match &event.kind {
        Some(Kind::Message(_) | Kind::Postback(_)) if inbound => {
            thread.last_inbound_ms = thread.last_inbound_ms.max(arrival.received_at.0);
            thread
                .last_inbound_provider_message_id
                .clone_from(&event.provider_message_id);
            thread.inbound_count += 1;
            thread.unreachable = false;
        }
        Some(Kind::Message(_)) => {
            thread.last_outbound_ms = thread.last_outbound_ms.max(arrival.received_at.0);
            thread.outbound_count += 1;
        }
        Some(Kind::Subscription(subscription)) if subscription.topic.is_empty() => match subscription.state() {
            SubscriptionState::Unsubscribed => thread.unreachable = true,
            SubscriptionState::Subscribed => thread.unreachable = false,
            _ => {}
        },
        Some(Kind::ProfileUpdate(update)) => {
            if let Some(moved) = &update.moved_to {
                thread.moved_to.clone_from(&moved.value);
                thread.unreachable = true;
            }
        }
        _ => {}
    }
    if let Some(said) = &event.profile {
        learn(thread.profile.get_or_insert_default(), said);
    }
}

/// Keeps what the peer does not want to hear of. The one topic without a name is everything.
fn note_wish(thread: &mut ThreadRecord, wish: &Subscription, arrival: &Arrival) {
    let known = thread.refused.iter().any(|refused| refused.topic == wish.topic);
    match wish.state() {
        SubscriptionState::Unsubscribed if !known && thread.refused.len() < MAX_REFUSED => {
            thread.refused.push(RefusedTopic {
                topic: wish.topic.clone(),
                since_ms: arrival.received_at.0,
                event: arrival.id.to_bytes(),
            });
        }
        SubscriptionState::Subscribed => thread.refused.retain(|refused| refused.topic != wish.topic),
        _ => {}
    }
}

/// Takes over what a profile says; an empty field is unknown and never erases.
pub(crate) fn learn(known: &mut Profile, said: &Profile) {
    for (known, said) in [
        (&mut known.display_name, &said.display_name),
        (&mut known.avatar_url, &said.avatar_url),
        (&mut known.locale, &said.locale),
        (&mut known.username, &said.username),
    ] {
        if !said.is_empty() {
            known.clone_from(said);
        }
    }
}
