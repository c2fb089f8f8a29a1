//! What must hold once everything has come to rest.

use crate::oracle::{Oracle, Receipted, TENANT};
use crate::people;
use crate::provider::Provider;
use omnigate_core::consent::{refused_by_event, standing};
use omnigate_core::delivery::receipt::{further, is_proven};
use omnigate_core::delivery::{has_ended, state_of};
use omnigate_core::id::MessageId;
use omnigate_core::{identifier, keys};
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{DeliveryState, Message, Purpose};
use std::collections::BTreeMap;

/// Complains about the first promise that is not kept.
pub(crate) fn judge(oracle: &mut Oracle, provider: &Provider) {
    let found = everything_ended(oracle)
        .and_then(|()| nothing_is_disguised(oracle, provider))
        .and_then(|()| receipts_count(oracle))
        .and_then(|()| in_order(oracle, provider))
        .and_then(|()| everything_is_published(oracle))
        .and_then(|()| wishes_are_confirmed(oracle))
        .and_then(|()| wishes_are_in_the_ledger(oracle));
    if let Err(complaint) = found {
        oracle.complain(complaint);
    }
}

type Kept = Result<(), String>;

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(complaint()) }
}

fn everything_ended(oracle: &Oracle) -> Kept {
    let mut requests: BTreeMap<MessageId, &String> = BTreeMap::new();
    for (request, (id, _)) in &oracle.accepted {
        ensure(requests.insert(*id, request).is_none(), || {
            format!("{id} answers two requests")
        })?;
    }
    for (id, record) in &oracle.deliveries {
        let state = state_of(record);
        ensure(has_ended(state), || format!("{id} was forgotten in {state:?}"))?;
        ensure(record.timer_ms == 0 && record.lease.is_empty(), || {
            format!("{id} ended with a timer or lease")
        })?;
    }
    for (id, home) in &oracle.homes {
        let empty = home.threads.iter().all(|thread| thread.chain.is_empty());
        ensure(empty, || format!("a chain of {id} holds what has ended"))?;
    }
    Ok(())
}

/// What the provider has is not called failed, and what it has not is not called accepted.
fn nothing_is_disguised(oracle: &Oracle, provider: &Provider) -> Kept {
    for (id, record) in &oracle.deliveries {
        let one = record.delivery.as_ref().unwrap();
        let state = state_of(record);
        let taken = |piece: usize| {
            let piece = u32::try_from(piece).unwrap();
            provider.taken.get(&(*id, piece)).map_or(0, Vec::len)
        };
        for (number, piece) in one.pieces.iter().enumerate() {
            let proven = is_proven(piece) && !ended_by_us(oracle, *id, number, piece.state());
            ensure(!proven || taken(number) > 0, || {
                format!("{id} piece {number} was never taken")
            })?;
            let hidden = taken(number) > 0 && !proven && state != DeliveryState::Unknown;
            ensure(!hidden, || {
                format!("{id} piece {number} was taken and is called {state:?}")
            })?;
            ensure(taken(number) < 2 || one.possible_duplicate, || {
                format!("{id} is not marked as a duplicate")
            })?;
        }
        let in_doubt = oracle.in_doubt.contains(id) || provider.in_doubt.contains(id);
        ensure(state != DeliveryState::Unknown || in_doubt, || {
            format!("{id} is called unknown without need")
        })?;
        complete(oracle, provider, *id, record)?;
        let lapses = oracle
            .accepted
            .values()
            .find(|(of, _)| of == id)
            .is_none_or(|(_, call)| call.lasts.as_secs() < 3600);
        let lapsed = record
            .history
            .last()
            .is_some_and(|step| step.detail.contains("its time passed"));
        ensure(!lapsed || lapses, || format!("{id} lapsed because it was forgotten"))?;
    }
    Ok(())
}

/// The failure of a piece was decided by an answer: no receipt speaks of one.
fn ended_by_us(oracle: &Oracle, id: MessageId, piece: usize, state: DeliveryState) -> bool {
    let about = |receipt: &&Receipted| receipt.id == id && usize::try_from(receipt.piece) == Ok(piece);
    let mut receipts = oracle.receipts.iter().filter(about);
    state == DeliveryState::Failed && !receipts.any(|receipt| receipt.said == DeliveryState::Failed)
}

/// A message that is called accepted, or more, left with all its pieces. Only where the worker died before anybody knew how
/// many there are may a receipt have ended it early.
fn complete(oracle: &Oracle, provider: &Provider, id: MessageId, record: &DeliveryRecord) -> Kept {
    let good = matches!(
        state_of(record),
        DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read
    );
    let is_alternative = record.delivery.as_ref().is_some_and(|one| one.alternative_used);
    let count = if is_alternative { 1 } else { crate::provider::pieces(id) };
    let all = (0..count).all(|piece| provider.taken.contains_key(&(id, piece)));
    let in_doubt = oracle.in_doubt.contains(&id) || provider.in_doubt.contains(&id);
    let count_lost = in_doubt && record.delivery.as_ref().unwrap().pieces.len() == 1;
    ensure(!good || all || count_lost, || {
        format!("{id} is called {:?} with pieces missing", state_of(record))
    })
}

/// Every receipt that could find its message moved it as far as it says.
fn receipts_count(oracle: &Oracle) -> Kept {
    let mut said: BTreeMap<(MessageId, u32), Vec<&Receipted>> = BTreeMap::new();
    for receipt in &oracle.receipts {
        if receipt.by_reference || oracle.pointed.contains(&receipt.provider_id) {
            said.entry((receipt.id, receipt.piece)).or_default().push(receipt);
        }
    }
    for ((id, piece), receipts) in said {
        let pieces = &oracle.deliveries[&id].delivery.as_ref().unwrap().pieces;
        let state = pieces[usize::try_from(piece).unwrap()].state();
        let says = |said| receipts.iter().any(|receipt| receipt.said == said);
        let expected = [
            DeliveryState::Read,
            DeliveryState::Delivered,
            DeliveryState::Failed,
            DeliveryState::Sent,
        ];
        let expected = expected
            .into_iter()
            .find(|one| says(*one))
            .unwrap_or(DeliveryState::Accepted);
        let at_least = expected == DeliveryState::Accepted || further(state, expected) == state;
        ensure(at_least, || {
            format!("{id} piece {piece} is {state:?} although receipts said {expected:?}")
        })?;
    }
    Ok(())
}

/// First pieces of a thread left in the order in which their messages joined its chain.
fn in_order(oracle: &Oracle, provider: &Provider) -> Kept {
    for joined in oracle.joined.values() {
        let place = |id: &MessageId| joined.iter().position(|one| one == id);
        let left: Vec<usize> = provider.order.iter().filter_map(place).collect();
        ensure(left.is_sorted(), || {
            format!("a thread's messages left in the order {left:?}")
        })?;
    }
    Ok(())
}

/// Who opts out is told so, once.
fn wishes_are_confirmed(oracle: &Oracle) -> Kept {
    ensure(oracle.acts.is_empty(), || {
        "something that people did took no effect".into()
    })?;
    let is_confirmation = |message: &Message| message.is_automatic;
    let text = |message: &Message| match &message.parts[0].content {
        Some(Content::Text(text)) => text.text.clone(),
        _ => String::new(),
    };
    let messages = oracle
        .deliveries
        .values()
        .filter_map(|record| record.delivery.as_ref()?.message.as_ref());
    let mut sent: Vec<String> = messages.filter(|message| is_confirmation(message)).map(text).collect();
    let mut expected = oracle.to_confirm.clone();
    sent.sort();
    expected.sort();
    ensure(sent == expected, || format!("confirmed are {sent:?}, not {expected:?}"))
}

/// Who stands as refused in a thread stands so in the ledger.
fn wishes_are_in_the_ledger(oracle: &Oracle) -> Kept {
    let refused = oracle.stands.iter().filter(|(_, stands)| stands.refused_by.is_some());
    for ((account, peer), _) in refused {
        let key = keys::consent(identifier::key(TENANT, &people::peer(*account, *peer)));
        let ledger = oracle.ledgers.get(&key).cloned().unwrap_or_default();
        let fact = standing(&ledger, "telegram", Purpose::Marketing);
        ensure(fact.is_some_and(refused_by_event), || {
            format!("what {peer} of account {account} refused is not in the ledger")
        })?;
    }
    Ok(())
}

fn everything_is_published(oracle: &Oracle) -> Kept {
    for (id, home) in &oracle.homes {
        for number in 1..=home.home_seq {
            let event = format!("{id}/{number}");
            ensure(oracle.published.contains_key(&event), || {
                format!("event {event} was not published")
            })?;
        }
    }
    Ok(())
}
