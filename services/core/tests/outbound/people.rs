//! What the people do who are written to: they write, they opt out of advertising, and in again. And what may be sent to
//! them then: the world's own account of it, beside what the gateway keeps.

use crate::oracle::{Oracle, TENANT};
use crate::rng::Rng;
use omnigate_core::append::Arrival;
use omnigate_core::delivery::receipt::is_proven;
use omnigate_core::delivery::state_of;
use omnigate_core::id::{EventId, hash};
use omnigate_core::time::Moment;
use omnigate_core::window;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{
    DeliveryState, Event, Identifier, Message, Purpose, ReplyWindowRule, Subscription, SubscriptionState, event::Kind,
};
use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// For how long a person may be written to after they acted, where there is a rule.
const OPEN: Duration = Duration::from_secs(60);

/// What somebody does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Writes,
    OptsOut,
    OptsIn,
}

/// Somebody does something in a thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Act {
    pub number: usize,
    pub salt: u64,
    pub account: usize,
    pub peer: usize,
    pub deed: Deed,
}

/// Acts of a thread in order; the first may be in hand.
#[derive(Default)]
pub(crate) struct Line {
    pub acts: VecDeque<(Act, Moment)>,
    pub in_hand: bool,
}

pub(crate) type Thread = (usize, usize);

/// How the world sees a thread.
#[derive(Clone, Default, Debug)]
pub(crate) struct Stands {
    pub opened: Option<Moment>,
    /// The act that opted out.
    pub refused_by: Option<usize>,
    /// True once an act opted out: the ledger hears of what is taken back a moment later than the thread.
    pub was_refused: bool,
}

pub(crate) fn rule() -> ReplyWindowRule {
    let milliseconds = u64::try_from(OPEN.as_millis()).unwrap();
    ReplyWindowRule {
        free_ms: milliseconds / 2,
        open_ms: milliseconds,
        peer_type: "tg_chat".into(),
    }
}

pub(crate) fn draw(rng: &mut Rng, threads: &[Thread], salt: u64) -> BTreeMap<Thread, Vec<Act>> {
    let mut acts: BTreeMap<Thread, Vec<Act>> = BTreeMap::new();
    let mut number = 0;
    if rng.per_mille(500) {
        return acts;
    }
    for &(account, peer) in threads {
        for _ in 0..rng.below(4) {
            number += 1;
            let deed = rng.pick(&[Deed::Writes, Deed::Writes, Deed::OptsOut, Deed::OptsOut, Deed::OptsIn]);
            acts.entry((account, peer)).or_default().push(Act {
                number,
                salt,
                account,
                peer,
                deed,
            });
        }
    }
    acts
}

pub(crate) fn peer(account: usize, peer: usize) -> Identifier {
    Identifier {
        r#type: "tg_chat".into(),
        scope: format!("a{account}"),
        value: format!("{peer}"),
    }
}

impl Act {
    pub(crate) fn id(&self) -> EventId {
        let hash = hash("act", &[&self.number.to_be_bytes(), &self.salt.to_be_bytes()]);
        EventId(hash[..16].try_into().unwrap())
    }

    /// The text that confirms it.
    pub(crate) fn confirmation(&self) -> String {
        format!("no more since act {}", self.number)
    }

    pub(crate) fn arrival(&self, received_at: Moment) -> Arrival {
        let wish = |state: SubscriptionState, confirmation: String| {
            Kind::Subscription(Subscription {
                state: state.into(),
                topic: "marketing".into(),
                confirmation,
                ..Subscription::default()
            })
        };
        let event = Event {
            event_id: self.id().to_string(),
            tenant_id: TENANT.into(),
            account_id: format!("a{}", self.account),
            channel: "telegram".into(),
            peer: Some(peer(self.account, self.peer)),
            kind: Some(match self.deed {
                Deed::Writes => Kind::Message(Message::default()),
                Deed::OptsOut => wish(SubscriptionState::Unsubscribed, self.confirmation()),
                Deed::OptsIn => wish(SubscriptionState::Subscribed, String::new()),
            }),
            ..Event::default()
        };
        Arrival {
            bytes: event.encode_to_vec().into(),
            id: self.id(),
            event,
            received_at,
        }
    }
}

fn thread_of(record: &DeliveryRecord) -> Option<Thread> {
    let peer = record.delivery.as_ref()?.peer.as_ref()?;
    Some((peer.scope.strip_prefix('a')?.parse().ok()?, peer.value.parse().ok()?))
}

impl Oracle {
    /// An entry was written: if somebody's act stands behind it, it took effect.
    pub(crate) fn took_effect(&mut self, event: EventId) {
        let Some((act, received_at)) = self.acts.remove(&event) else {
            return;
        };
        let stands = self.stands.entry((act.account, act.peer)).or_default();
        match act.deed {
            Deed::Writes => stands.opened = stands.opened.max(Some(received_at)),
            Deed::OptsOut if stands.refused_by.is_none() => {
                stands.refused_by = Some(act.number);
                stands.was_refused = true;
                self.to_confirm.push(act.confirmation());
            }
            Deed::OptsOut => {}
            Deed::OptsIn => stands.refused_by = None,
        }
    }

    /// What law and wishes say to what becomes of a delivery; the home that was decided on is the one that stands.
    pub(crate) fn against_law_and_wishes(
        &self,
        before: Option<&DeliveryRecord>,
        next: &DeliveryRecord,
    ) -> Option<String> {
        let stands = self.stands.get(&thread_of(next)?).cloned().unwrap_or_default();
        let one = next.delivery.as_ref()?;
        let message = one.message.as_ref()?;
        let at = Moment::from_timestamp(one.updated_at.as_ref()?);
        let closed = self.has_windows && stands.opened.is_some_and(|opened| at >= opened + OPEN);
        let has_begun = one.attempts
            > before
                .and_then(|record| record.delivery.as_ref())
                .map_or(0, |one| one.attempts);
        if has_begun && !one.pieces.iter().any(is_proven) {
            if message.purpose() == Purpose::Marketing && stands.refused_by.is_some() {
                return Some("advertises to somebody who opted out".into());
            }
            if closed && !one.alternative_used && !window::needs_none(message) {
                return Some("leaves outside the reply window".into());
            }
            if one.alternative_used && message.alternative.is_none() {
                return Some("leaves as an alternative that it has not".into());
            }
        }
        if state_of(next) != DeliveryState::Skipped
            || before.is_some_and(|record| state_of(record) == DeliveryState::Skipped)
        {
            return None;
        }
        let unfounded = match one.error.as_ref()?.provider_code.as_str() {
            "opted_out" => !stands.was_refused || message.purpose() != Purpose::Marketing,
            "suppressed" => !thread_of(next).is_some_and(|thread| self.suppressed.contains_key(&thread)),
            "window_closed" => !closed || message.alternative.is_some() || window::needs_none(message),
            _ => false,
        };
        unfounded.then(|| format!("was refused without a reason: {:?}", one.error))
    }
}
