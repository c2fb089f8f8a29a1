//! Puts the events of one thread on its timeline, once each, in order.

use super::confirm::Due;
use super::consent;
use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use super::conversation;
use super::identity::find;
use super::outbox::Outgoing;
use super::resolve::{expect_record, insert_outgoing, put, to_outbox};
use super::trim;
use crate::append::{self as decide, Appended, Arrival, ThreadKey, append, is_gone};
use crate::id::{CustomerId, EventId, ThreadId};
use crate::identifier;
use crate::identity::Named;
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Found, StoreError, Write};
use crate::time::Moment;
use crate::timeline::Spot;
use crate::timeline::stored::give_keys;
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord};
use omnigate_proto::v1::{Event, Evidence};
use std::sync::Arc;

mod doubt;
mod known;
mod link;

use known::Known;
pub use known::one_member;
use link::link;

/// What became of a thread's events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// CustomerEvents to publish, in order.
    pub outgoing: Vec<Outgoing>,
    /// What is to be sent back, see [`super::confirm`].
    pub confirmations: Vec<Due>,
    /// Events that took effect now.
    pub applied: Vec<EventId>,
    /// Events that had taken effect before.
    pub repeated: usize,
    /// Events of an erased interval.
    pub dropped: usize,
}

/// Resolves the customer behind events of one thread (same account and peer) and appends them. `peer` must be set on all.
pub async fn apply(context: &Context<'_>, arrivals: &[Arrival]) -> Result<Applied, Stop> {
    let mut applied = Applied::default();
    let Some(first) = arrivals.first() else {
        return Ok(applied);
    };
    let Some(peer) = peer_of(&first.event) else {
        return Ok(applied);
    };
    for _ in 0..MAX_TRIES {
        let Some(owner) = link(context, arrivals, &peer, &mut applied.outgoing).await? else {
            applied.dropped += arrivals.len();
            return Ok(applied);
        };
        let thread = ThreadKey {
            account_id: first.event.account_id.clone(),
            channel: first.event.channel.clone(),
            peer: peer.identifier.clone(),
            birth: owner.birth,
            provider_form: peer.provider_form.clone(),
        };
        let appended = append_at(context, &first.event.tenant_id, owner.home, &thread, arrivals).await?;
        let Some(appended) = appended else {
            // Its owner was erased since: that is carried out, and the owner asked for again.
            let tenant_id = &first.event.tenant_id;
            find(context, tenant_id, &peer.identifier, owner.customer).await?;
            context.cache.forget_owner(identifier::key(tenant_id, &peer.identifier));
            continue;
        };
        let of = (&peer.identifier, thread.birth);
        consent::record_wishes(context, &first.event.tenant_id, of, &appended.wishes).await?;
        let due = |confirmation| Due {
            tenant_id: first.event.tenant_id.clone(),
            thread: ThreadId::new(
                identifier::key(&first.event.tenant_id, &thread.peer),
                &thread.account_id,
            ),
            account_id: thread.account_id.clone(),
            channel: thread.channel.clone(),
            trace_id: first.event.trace_id.clone(),
            confirmation,
        };
        applied.confirmations = appended.confirmations.into_iter().map(due).collect();
        applied.applied = appended.applied;
        applied.repeated = appended.repeated;
        applied.dropped = appended.dropped;
        let numbered = appended.outbox.into_iter();
        applied
            .outgoing
            .extend(numbered.map(|(number, event)| to_outbox(owner.home, number, event)));
        if appended.carries {
            let carried = conversation::carry(context, owner.home, &first.event.trace_id).await?;
            applied.outgoing.extend(carried);
        }
        return Ok(applied);
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// The peer with the evidence the event gives for it.
#[must_use]
pub fn peer_of(event: &Event) -> Option<Named> {
    let peer = event.peer.as_ref()?;
    let said = event
        .identifiers
        .iter()
        .find(|said| said.identifier.as_ref() == Some(peer));
    Some(Named {
        identifier: peer.clone(),
        evidence: said.map_or(Evidence::Stated, |said| said.evidence()),
        provider_form: said.map(|said| said.provider_form.clone()).unwrap_or_default(),
    })
}

/// Appends at a home until it succeeds; `None` when the whole birth is erased there.
pub(super) async fn append_at(
    context: &Context<'_>,
    tenant_id: &str,
    id: CustomerId,
    thread: &ThreadKey,
    arrivals: &[Arrival],
) -> Result<Option<Appended>, Stop> {
    let mut known = Known::default();
    let mut home = match context.cache.home(id) {
        Some(home) => home,
        None => context.home(id).await?,
    };
    for _ in 0..MAX_TRIES {
        known.load(context, (id, home.value.as_deref()), arrivals).await?;
        let state = known.state(id, home.value.as_deref().cloned());
        let now = context.now();
        if home.value.as_ref().is_some_and(|record| is_gone(record, thread.birth)) {
            return Ok(None);
        }
        let mut appended = append(state, tenant_id, thread, arrivals, (context.rules, now));
        if appended.applied.is_empty() {
            return Ok(Some(appended));
        }
        let (expect, write) = commit_of(context, id, home.stamp, &mut appended)?;
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(stamp) => {
                // Nobody after this asks for the record: it goes to the cache without being copied.
                let home = Loaded {
                    stamp: Some(stamp),
                    value: Some(Arc::new(std::mem::take(&mut appended.home))),
                };
                context.cache.keep_home(id, home);
                return Ok(Some(appended));
            }
            Ended::Conflict(found) => {
                known.learn(&found, &appended.places)?;
                if let Some(record) = found_record(&found, 0) {
                    home = Loaded::decode(record, "home")?.shared();
                    known.entries.clear();
                    known.forget_pieces(arrivals);
                }
            }
            Ended::Unknown => {
                home = context.home(id).await?;
                known = Known::asking_for_all(arrivals);
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

pub(super) fn commit_of(
    context: &Context<'_>,
    id: CustomerId,
    stamp: Option<crate::port::store::Stamp>,
    appended: &mut Appended,
) -> Result<(Vec<Expect>, Vec<Write>), StoreError> {
    give_keys(&mut appended.home, id, context.keyring, context.entropy);
    let trims = trim::schedule(context, id, &mut appended.home);
    let mut expect = vec![expect_record(keys::home(id), stamp)];
    let mut write = vec![put(keys::home(id), &appended.home)];
    for change in &appended.places {
        expect.push(Expect::Field {
            key: keys::places(id),
            field: change.event.to_bytes(),
            value: change.before.as_ref().map(|place| place.encode(change.event)),
        });
        write.push(Write::SetField {
            key: keys::places(id),
            field: change.event.to_bytes(),
            value: change.after.encode(change.event),
        });
    }
    for (event, spot, entry) in &appended.entries {
        write.push(insert_entry(context, (id, &appended.home), *event, *spot, entry)?);
    }
    write.extend(trims);
    write.extend(appended.due.iter().map(|due| Write::Insert {
        key: keys::timers(),
        member: keys::timer_member(*due, Timer::Pieces(id)),
        value: Bytes::new(),
    }));
    let numbered = appended.outbox.iter();
    write.extend(numbered.map(|(number, event)| insert_outgoing(&to_outbox(id, *number, event.clone()))));
    let conversations = std::mem::take(&mut appended.conversations);
    write.extend(conversation::writes(&appended.home.tenant_id, id, conversations));
    Ok((expect, write))
}

/// Puts together what waits too long for its missing pieces, and forgets the timer. CustomerEvents to publish.
pub async fn give_up_pieces(context: &Context<'_>, id: CustomerId, due: Moment) -> Result<Vec<Outgoing>, Stop> {
    if due > context.now() {
        return Ok(Vec::new());
    }
    let timer = keys::timer_member(due, Timer::Pieces(id));
    for _ in 0..MAX_TRIES {
        let home: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let mut given_up = home
            .value
            .and_then(|record| decide::give_up_pieces(id, record, context.rules, context.now()));
        let (mut expect, mut write) = match &mut given_up {
            Some(appended) => commit_of(context, id, home.stamp, appended)?,
            None => (Vec::new(), Vec::new()),
        };
        expect.push(Expect::Member {
            key: keys::timers(),
            member: timer.clone(),
            present: true,
        });
        write.push(Write::Remove {
            key: keys::timers(),
            member: timer.clone(),
        });
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(stamp) => {
                let Some(appended) = given_up else {
                    return Ok(Vec::new());
                };
                let kept = Loaded {
                    stamp: Some(stamp),
                    value: Some(Arc::new(appended.home)),
                };
                context.cache.keep_home(id, kept);
                let numbered = appended.outbox.into_iter();
                return Ok(numbered.map(|(number, event)| to_outbox(id, number, event)).collect());
            }
            // Without the timer somebody else has done it, or our own commit has.
            Ended::Conflict(found) if found.iter().any(|(_, found)| matches!(found, Found::Member(None))) => {
                return Ok(Vec::new());
            }
            Ended::Conflict(_) | Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Writes an entry to its timeline. Its thread must have its key.
pub(super) fn insert_entry(
    context: &Context<'_>,
    (id, home): (CustomerId, &HomeRecord),
    event: EventId,
    spot: Spot,
    entry: &EntryRecord,
) -> Result<Write, StoreError> {
    let member = keys::timeline_member(spot, event);
    let value = context.stored(id, home).pack(&member, entry, context.entropy)?;
    Ok(Write::Insert {
        key: keys::timeline(id),
        member,
        value,
    })
}
