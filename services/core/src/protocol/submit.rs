//! Submits messages: becomes the only submitter of an attempt, records what the provider answered, gives up what was lost.

mod gate;

use super::consent::note_fault;
use super::context::{Context, MAX_TRIES, Stop};
use super::delivery::{Chain, Change, Changed, cached, change, load};
use super::outbox::Outgoing;
use super::receipt::{self, Pointer};
use crate::consent::{self, MarketingDefault};
use crate::delivery::{self, Begin, Next, Submission, Terms};
use crate::id::{EventId, MessageId};
use crate::keys::Timer;
use crate::time::Moment;
use gate::Claimed;
use omnigate_proto::state::v1::{DeliveryRecord, ThreadRecord};
use omnigate_proto::v1::{DeliveryState, ReplyWindowRule, SendAccepted, SendError};
use std::sync::Arc;
use std::time::Duration;

/// Whether a message may be submitted now.
#[derive(Debug)]
pub enum Begun {
    /// Yes: call the provider within the lease, then [`answer`].
    Go(Arc<DeliveryRecord>, Submission),
    /// No: it lapsed, or a rule forbids it.
    Lapsed(Box<Changed>),
    /// Not before this moment.
    NotYet(Moment),
    /// Not now: another one goes first, somebody else has it, it has ended, or there is no such message.
    Nothing,
}

/// The account's rules for its threads.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// Least time between two messages of one thread.
    pub interval: Duration,
    /// When a peer may be written to; `None` when always.
    pub window: Option<ReplyWindowRule>,
    /// What holds for advertising to a peer of whom nothing is known.
    pub marketing: MarketingDefault,
}

/// Becomes the submitter of the message's next piece if it may go now. `lease` is fresh and random for every attempt; who calls again after an error names the same, so that an
/// attempt which was begun without anybody knowing goes on instead of being given up.
pub async fn begin(context: &Context<'_>, id: MessageId, rules: &Rules, lease: &[u8; 16]) -> Result<Begun, Stop> {
    let mut known = cached(context, id);
    for _ in 0..MAX_TRIES {
        let (loaded, is_certain) = match known.take() {
            Some(loaded) => (loaded, false),
            None => match load(context, id).await? {
                Some(loaded) => (loaded, true),
                None => return Ok(Begun::Nothing),
            },
        };
        let now = context.now();
        let thread = loaded.thread();
        let terms = Terms {
            thread,
            window: rules.window.as_ref(),
        };
        match delivery::begin(&loaded.record, id, terms, now, lease) {
            Begin::Go(record, submission) => {
                let record = Arc::new(*record);
                let quiet_until = quiet_until(&loaded.record, thread, rules);
                if quiet_until > now && is_certain {
                    return Ok(Begun::NotYet(quiet_until));
                }
                if quiet_until <= now {
                    match gate::claim(context, id, &loaded, &record, rules).await? {
                        Claimed::Taken => return Ok(Begun::Go(record, submission)),
                        Claimed::Refused(error) => {
                            if let Some(changed) = refuse(context, id, lease, &error).await? {
                                return Ok(Begun::Lapsed(Box::new(changed)));
                            }
                        }
                        Claimed::Overtaken => {}
                    }
                }
            }
            // What is remembered may be stale: only what stands in the store says no.
            _ if !is_certain => {}
            Begin::Lapsed(_) => {
                let lapsed = change(context, id, |record, thread, now| {
                    let terms = Terms {
                        thread,
                        window: rules.window.as_ref(),
                    };
                    match delivery::begin(record, id, terms, now, lease) {
                        Begin::Lapsed(next) => Some(ended(*next)),
                        _ => None,
                    }
                });
                if let Some(changed) = lapsed.await? {
                    return Ok(Begun::Lapsed(Box::new(changed)));
                }
            }
            Begin::NotYet(at) => return Ok(Begun::NotYet(at)),
            Begin::NotFirst | Begin::Held | Begin::Ended => return Ok(Begun::Nothing),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Ends a message that must not leave; `None` when it is not this submitter's any more.
async fn refuse(
    context: &Context<'_>,
    id: MessageId,
    lease: &[u8; 16],
    error: &SendError,
) -> Result<Option<Changed>, Stop> {
    change(context, id, |record, _, now| {
        delivery::refuse(record, lease, error, now).map(ended)
    })
    .await
}

/// Until when the thread has to rest; an attempt of our own that has begun does not wait.
fn quiet_until(record: &DeliveryRecord, thread: Option<&ThreadRecord>, rules: &Rules) -> Moment {
    let last = thread.map_or(0, |thread| thread.last_submit_ms);
    if last == 0 || delivery::state_of(record) == DeliveryState::Submitting {
        return Moment(0);
    }
    Moment(last) + rules.interval
}

/// A change that ends the message's turn.
fn ended(record: DeliveryRecord) -> Change {
    Change {
        chain: Chain::Leave,
        announce: true,
        ..Change::quiet(record)
    }
}

/// What the provider answered to an attempt.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How many pieces the message has.
    pub piece_count: u32,
    /// What it said.
    pub outcome: Result<SendAccepted, SendError>,
}

/// What follows.
#[derive(Debug)]
pub struct Answered {
    /// What may happen to this message now.
    pub next: Next,
    /// What was written.
    pub changed: Changed,
}

/// Records an answer. `None` when it is not to the present attempt. Receipts that came before it are applied first, so that
/// a crash in between leaves what they prove.
pub async fn answer(
    context: &Context<'_>,
    submission: &Submission,
    answer: &Answer,
    random: u8,
) -> Result<Option<Answered>, Stop> {
    let mut early = Vec::new();
    if let Err(error) = &answer.outcome {
        note_fault_of(context, submission.id, error, (context.now(), None)).await?;
    }
    if let Ok(accepted) = &answer.outcome
        && !accepted.provider_message_id.is_empty()
    {
        early = point(context, submission, &accepted.provider_message_id).await?;
    }
    let mut next = Next::Ended;
    let changed = change(context, submission.id, |record, thread, now| {
        let (after, then) = delivery::answered(record, submission, answer.piece_count, &answer.outcome, now, random)?;
        next = then;
        let state = delivery::state_of(&after);
        Some(Change {
            chain: match then {
                Next::Ended => Chain::Leave,
                // It had been given up, and its place with it.
                _ if !delivery::waits_in(thread, submission.id) => Chain::Join,
                _ => Chain::Stay,
            },
            announce: state != DeliveryState::Planned,
            closes_thread: delivery::closes_thread(&answer.outcome),
            free_replies_left: answer
                .outcome
                .as_ref()
                .ok()
                .and_then(|accepted| accepted.free_replies_left),
            known_as: answer
                .outcome
                .as_ref()
                .ok()
                .and_then(|accepted| known_as(&after, accepted)),
            record: after,
        })
    });
    let Some(mut changed) = changed.await? else {
        return Ok(None);
    };
    early.append(&mut changed.outgoing);
    changed.outgoing = early;
    Ok(Some(Answered { next, changed }))
}

/// Puts whom an answer, or a receipt that was faster, says to be no good to write to onto the suppression list. A message of a
/// campaign tells nobody's address.
pub(super) async fn note_fault_of(
    context: &Context<'_>,
    id: MessageId,
    error: &SendError,
    said: (Moment, Option<EventId>),
) -> Result<(), Stop> {
    if consent::fault(error, said).is_none() {
        return Ok(());
    }
    let record = super::delivery::get(context, id).await?;
    let reached = record.as_ref().and_then(delivery::leaving).map(|leaving| leaving.peer);
    let delivery = record.as_ref().and_then(|record| record.delivery.as_ref());
    let (Some(delivery), Some(address)) = (delivery, reached) else {
        return Ok(());
    };
    note_fault(context, (&delivery.tenant_id, &address, &delivery.channel), error, said).await
}

/// Event id under which the provider would show us this message.
fn known_as(record: &DeliveryRecord, accepted: &SendAccepted) -> Option<EventId> {
    let delivery = record.delivery.as_ref()?;
    (!accepted.provider_message_id.is_empty()).then(|| {
        crate::event::event_id_of_message(
            &delivery.tenant_id,
            &delivery.account_id,
            delivery.peer.as_ref(),
            &accepted.provider_message_id,
        )
    })
}

/// Lets the provider's id lead to the message before the acceptance is recorded; CustomerEvents to publish.
async fn point(context: &Context<'_>, submission: &Submission, provider_id: &str) -> Result<Vec<Outgoing>, Stop> {
    // Only what never changes is needed of it.
    let record = match cached(context, submission.id) {
        Some(loaded) => Some(loaded.record),
        None => super::delivery::outline(context, submission.id).await?.map(Arc::new),
    };
    let Some(delivery) = record.as_deref().and_then(|record| record.delivery.as_ref()) else {
        return Ok(Vec::new());
    };
    let pointer = Pointer {
        provider_id: provider_id.to_owned(),
        message_id: submission.id,
        piece: submission.piece,
    };
    receipt::point(context, (&delivery.tenant_id, &delivery.account_id), &pointer).await
}

/// What a delivery's timer leads to.
#[derive(Debug, Default)]
pub struct Woken {
    /// Messages that may be ready: hint them.
    pub ready: Vec<Arc<DeliveryRecord>>,
    /// A message of the same thread that may go now.
    pub next: Option<MessageId>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
}

/// Looks at a delivery whose timer fired: ends what lapsed, gives up what was lost, lets what is due join its chain, and
/// hints again what should have moved by now.
pub async fn wake(context: &Context<'_>, id: MessageId, due: Moment) -> Result<Woken, Stop> {
    let mut goes_first = false;
    let changed = change(context, id, |record, thread, now| {
        if record.timer_ms != due.0 || due > now {
            return None;
        }
        let alone = thread.is_some_and(|thread| thread.chain.is_empty());
        goes_first = alone || delivery::is_first(thread, id);
        Some(woken(record, delivery::waits_in(thread, id), now))
    });
    let Some(changed) = changed.await? else {
        let present = super::delivery::outline(context, id).await?;
        if present.is_none_or(|record| record.timer_ms != due.0) {
            context.drop_timer(id.shard(), due, Timer::Delivery(id)).await?;
        }
        return Ok(Woken::default());
    };
    let state = delivery::state_of(&changed.record);
    let waits = matches!(state, DeliveryState::Planned | DeliveryState::Deferred);
    Ok(Woken {
        ready: if waits && goes_first {
            vec![changed.record]
        } else {
            Vec::new()
        },
        next: changed.next,
        outgoing: changed.outgoing,
    })
}

/// What a timer that fired changes.
fn woken(record: &DeliveryRecord, is_in_chain: bool, now: Moment) -> Change {
    if let Some(lapsed) = delivery::lapse(record, now) {
        return ended(lapsed);
    }
    if let Some((given_up, next)) = delivery::recover(record, now) {
        return match next {
            Next::Ended => ended(given_up),
            _ => Change {
                announce: true,
                ..Change::quiet(given_up)
            },
        };
    }
    let mut next = record.clone();
    let again = now + delivery::LOOK_AGAIN;
    let given_up = Moment(record.lease_until_ms) + delivery::RECOVERY_MARGIN;
    let state = delivery::state_of(record);
    next.timer_ms = match state {
        _ if delivery::has_ended(state) => 0,
        DeliveryState::Submitting => given_up.max(again).0,
        _ => again.0,
    };
    let joins = !delivery::has_ended(state) && !is_in_chain;
    Change {
        chain: if joins { Chain::Join } else { Chain::Stay },
        ..Change::quiet(next)
    }
}

/// Takes a message back. `Ok(None)` when it has begun to leave or does not exist.
pub async fn cancel(context: &Context<'_>, id: MessageId) -> Result<Option<Changed>, Stop> {
    change(context, id, |record, _, now| delivery::cancel(record, now).map(ended)).await
}
