//! Submits messages: becomes the only submitter of an attempt, records what the provider answered, gives up what was lost.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::delivery::{Chain, Change, Changed, change, load, thread_of};
use super::receipt;
use super::resolve::{expect_record, put};
use crate::delivery::{self, Begin, Next, Submission};
use crate::id::{EventId, MessageId, hash};
use crate::keys;
use crate::shard::Shard;
use crate::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, EarlyReceipt, ProviderPointer};
use omnigate_proto::v1::{DeliveryState, SendAccepted, SendError};
use std::time::Duration;

/// Whether a message may be submitted now.
#[derive(Debug)]
pub enum Begun {
    /// Yes: call the provider within the lease, then [`answer`].
    Go(Box<DeliveryRecord>, Submission),
    /// No: it lapsed.
    Lapsed(Changed),
    /// Not before this moment.
    NotYet(Moment),
    /// Not now: another one goes first, somebody else has it, it has ended, or there is no such message.
    Nothing,
}

/// Becomes the submitter of the message's next piece if it may go now. `interval` is the least time between two messages
/// of one thread.
pub async fn begin(context: &Context<'_>, id: MessageId, interval: Duration) -> Result<Begun, Stop> {
    let lease = context.entropy.bytes();
    for _ in 0..MAX_TRIES {
        let Some(loaded) = load(context, id).await? else {
            return Ok(Begun::Nothing);
        };
        let now = context.now();
        let thread = loaded.thread();
        let quiet_until = thread.map_or(Moment(0), |thread| Moment(thread.last_submit_ms) + interval);
        match delivery::begin(&loaded.record, id, delivery::is_first(thread, id), now, &lease) {
            Begin::Go(..) if quiet_until > now && thread.is_some_and(|thread| thread.last_submit_ms != 0) => {
                return Ok(Begun::NotYet(quiet_until));
            }
            Begin::Go(record, submission) => {
                if loaded.replace(context, id, &record).await? {
                    return Ok(Begun::Go(record, submission));
                }
            }
            Begin::Lapsed(_) => {
                let lapsed = change(context, id, |record, thread, now| {
                    match delivery::begin(record, id, delivery::is_first(thread, id), now, &lease) {
                        Begin::Lapsed(next) => Some(ended(*next)),
                        _ => None,
                    }
                });
                if let Some(changed) = lapsed.await? {
                    return Ok(Begun::Lapsed(changed));
                }
            }
            Begin::NotYet(at) => return Ok(Begun::NotYet(at)),
            Begin::NotFirst | Begin::Held | Begin::Ended => return Ok(Begun::Nothing),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
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

/// Records an answer. `None` when it is not to the present attempt. Receipts that came before it are applied at once.
pub async fn answer(
    context: &Context<'_>,
    submission: &Submission,
    answer: &Answer,
    random: u8,
) -> Result<Option<Answered>, Stop> {
    let early = match &answer.outcome {
        Ok(accepted) if !accepted.provider_message_id.is_empty() => {
            point(context, submission, &accepted.provider_message_id).await?
        }
        _ => Vec::new(),
    };
    let mut next = Next::Ended;
    let changed = change(context, submission.id, |record, _, now| {
        let (after, then) = delivery::answered(record, submission, answer.piece_count, &answer.outcome, now, random)?;
        next = then;
        let state = delivery::state_of(&after);
        Some(Change {
            chain: if then == Next::Ended { Chain::Leave } else { Chain::Stay },
            announce: state != DeliveryState::Planned,
            closes_thread: delivery::closes_thread(&answer.outcome),
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
    for received in early {
        if let Some(receipt) = &received.receipt {
            let applied = receipt::apply_to(context, submission.id, Some(submission.piece), receipt).await?;
            changed.outgoing.extend(applied);
        }
    }
    Ok(Some(Answered { next, changed }))
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

/// Where the pointer of a provider's id lives.
pub(super) fn pointer(tenant_id: &str, account_id: &str, provider_id: &str) -> (Shard, bytes::Bytes) {
    let hash = hash(
        "provider message",
        &[tenant_id.as_bytes(), account_id.as_bytes(), provider_id.as_bytes()],
    );
    (Shard::new(hash[0]), keys::provider_message(hash))
}

/// Lets the provider's id lead to the message before the acceptance is recorded; gives back receipts that were faster.
async fn point(context: &Context<'_>, submission: &Submission, provider_id: &str) -> Result<Vec<EarlyReceipt>, Stop> {
    let record = super::delivery::get(context, submission.id).await?;
    let Some(delivery) = record.and_then(|record| record.delivery) else {
        return Ok(Vec::new());
    };
    let (shard, key) = pointer(&delivery.tenant_id, &delivery.account_id, provider_id);
    for _ in 0..MAX_TRIES {
        let before: Loaded<ProviderPointer> = context.record(shard, key.clone(), "provider pointer").await?;
        let known = before.value.unwrap_or_default();
        if known.message_id == submission.id.to_bytes() {
            return Ok(known.early);
        }
        let next = ProviderPointer {
            message_id: submission.id.to_bytes(),
            piece: submission.piece,
            early: known.early.clone(),
        };
        let expect = vec![expect_record(key.clone(), before.stamp)];
        let write = vec![
            put(key.clone(), &next),
            receipt::expire_pointer(key.clone(), receipt::POINTER_KEPT),
        ];
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(known.early);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// What a delivery's timer leads to.
#[derive(Debug, Default)]
pub struct Woken {
    /// Messages that may be ready: hint them.
    pub ready: Vec<DeliveryRecord>,
    /// A message of the same thread that may go now.
    pub next: Option<MessageId>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<super::outbox::Outgoing>,
}

/// Looks at a delivery whose timer fired: ends what lapsed, gives up what was lost, lets what is due join its chain, and
/// hints again what should have moved by now.
pub async fn wake(context: &Context<'_>, id: MessageId, due: Moment) -> Result<Woken, Stop> {
    let changed = change(context, id, |record, _, now| {
        if record.timer_ms != due.0 || due > now {
            return None;
        }
        if let Some(lapsed) = delivery::lapse(record, now) {
            return Some(ended(lapsed));
        }
        if let Some((given_up, next)) = delivery::recover(record, now) {
            return Some(match next {
                Next::Ended => ended(given_up),
                _ => Change {
                    announce: true,
                    ..Change::quiet(given_up)
                },
            });
        }
        let mut next = record.clone();
        next.timer_ms = match delivery::state_of(record) {
            DeliveryState::Planned | DeliveryState::Deferred => (now + delivery::LOOK_AGAIN).0,
            DeliveryState::Submitting => record.lease_until_ms + to_ms(delivery::RECOVERY_MARGIN),
            _ => 0,
        };
        let waits = !delivery::has_ended(delivery::state_of(record));
        Some(Change {
            chain: if waits { Chain::Join } else { Chain::Stay },
            ..Change::quiet(next)
        })
    });
    let Some(changed) = changed.await? else {
        let present = super::delivery::get(context, id).await?;
        if present.is_none_or(|record| record.timer_ms != due.0) {
            super::delivery::drop_timer(context, id, due).await?;
        }
        return Ok(Woken::default());
    };
    let waits = matches!(
        delivery::state_of(&changed.record),
        DeliveryState::Planned | DeliveryState::Deferred
    );
    Ok(Woken {
        ready: if waits { vec![changed.record] } else { Vec::new() },
        next: changed.next,
        outgoing: changed.outgoing,
    })
}

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Takes a message back. `Ok(None)` when it has begun to leave or does not exist.
pub async fn cancel(context: &Context<'_>, id: MessageId) -> Result<Option<Changed>, Stop> {
    change(context, id, |record, _, now| delivery::cancel(record, now).map(ended)).await
}

impl super::delivery::LoadedDelivery {
    fn thread(&self) -> Option<&omnigate_proto::state::v1::ThreadRecord> {
        self.home_record().and_then(|home| thread_of(home, &self.record))
    }
}
