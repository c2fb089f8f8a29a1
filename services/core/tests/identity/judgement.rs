//! What must hold when everybody is done and what was left frozen is recovered.

use crate::oracle::{Oracle, holds};
use crate::people::{Worker, shown, text_of};
use crate::scenario::{Scenario, identifier, is_command};
use crate::store::Sim;
use crate::told::TENANT;
use crate::world::{alone, last_worker};
use omnigate_core::id::CustomerId;
use omnigate_core::identifier::{cap, key, text};
use omnigate_core::identity::{built_in, built_in_of, has_room, is_held};
use omnigate_core::protocol::identity::{erase, find, recover};
use omnigate_core::protocol::read;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Membership};
use omnigate_proto::v1::Identifier;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) type Views = BTreeMap<CustomerId, Vec<Membership>>;
/// Owners by the text of an identifier.
pub(crate) type Owners = BTreeMap<String, CustomerId>;

pub(crate) fn held(members: &[Membership]) -> impl Iterator<Item = (&Membership, &Identifier)> {
    let held = members.iter().filter(|member| is_held(member));
    held.filter_map(|member| Some((member, member.identifier.as_ref()?)))
}

pub(crate) fn judge(sim: &Arc<Sim>, scenario: Scenario) -> Result<(), String> {
    let last = last_worker(sim);
    let ids: Vec<CustomerId> = sim.oracle().customers.keys().copied().collect();
    for id in &ids {
        alone(recover(&last.context(), *id))?;
        let state = sim.oracle().customers[id].state();
        if state == CustomerState::Erased {
            alone(erase(&last.context(), TENANT, *id))?;
        }
    }
    sim.oracle().check();
    let (views, owners) = led(sim, &last, &ids)?;
    let mut shows: Vec<(CustomerId, Vec<String>)> = Vec::new();
    for id in views.keys() {
        let whole = alone(async { Ok(read::customer(&last.context(), TENANT, *id).await?) })?;
        let whole = whole.ok_or_else(|| format!("{id} cannot be read"))?;
        shows.push((*id, alone(shown(&last, &whole))?));
    }
    messages(&sim.oracle(), scenario, &views, &shows)?;
    linked(&sim.oracle(), scenario, &owners, &views)
}

/// Records are settled and within their limits, old ids and claims lead to whom they belong: what every customer shows, and
/// who has which identifier.
pub(crate) fn led(sim: &Arc<Sim>, last: &Worker, ids: &[CustomerId]) -> Result<(Views, Owners), String> {
    let views = sim.oracle().views();
    let mut owners = Owners::new();
    for (id, members) in &views {
        owners.extend(held(members).map(|(_, identifier)| (text(identifier), *id)));
    }
    records(&sim.oracle(), &views)?;
    for id in ids {
        let itself = built_in(*id);
        // One that a split prepared, or a verdict made, was never anybody.
        let state = sim.oracle().customers[id].state();
        let prepared = matches!(
            state,
            CustomerState::Prepared | CustomerState::Unspecified | CustomerState::Frozen
        );
        let found = alone(find(&last.context(), TENANT, &itself, *id))?;
        if !prepared && found != owners.get(&text(&itself)).copied() {
            return Err(format!("{id} leads to {found:?}"));
        }
    }
    for (id, members) in &views {
        for (member, identifier) in held(members).filter(|(_, identifier)| built_in_of(identifier).is_none()) {
            let claim = sim.oracle().claims.get(&key(TENANT, identifier)).cloned();
            let from = claim.as_ref().and_then(|claim| CustomerId::from_bytes(&claim.customer));
            let Some((claim, from)) = claim.zip(from) else {
                return Err(format!("nothing leads to {}", text(identifier)));
            };
            let found = alone(find(&last.context(), TENANT, identifier, from))?;
            if found != Some(*id) || claim.birth != member.birth || claim.home != member.home {
                return Err(format!(
                    "the claim of {} leads to {found:?}, not {id}",
                    text(identifier)
                ));
            }
        }
    }
    Ok((views, owners))
}

/// Records are settled, numbered and within their limits.
fn records(oracle: &Oracle, views: &Views) -> Result<(), String> {
    for (id, record) in &oracle.customers {
        match record.state() {
            // One that a split prepared and did not come to decide on was never a customer, and nobody meets it.
            CustomerState::Frozen if record.epoch == 0 && record.into.is_empty() && is_split(record) => {}
            CustomerState::Frozen => return Err(format!("{id} stays frozen")),
            CustomerState::Merged if record.into >= id.to_bytes() => {
                return Err(format!("{id} is merged into itself or a younger one"));
            }
            _ => {}
        }
    }
    for (id, members) in views {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (_, identifier) in held(members).filter(|(member, _)| !member.retired) {
            *counts.entry((&identifier.r#type, &identifier.scope)).or_default() += 1;
        }
        if let Some(((kind, _), count)) = counts.into_iter().find(|((kind, _), count)| *count > cap(kind)) {
            return Err(format!("{id} has {count} of {kind}"));
        }
    }
    for (key, claim) in &oracle.claims {
        let owned = claim.identifier.as_ref().is_some_and(|identifier| {
            let mut held = views.values().flat_map(|members| held(members));
            held.any(|(_, other)| other == identifier)
        });
        if !owned && !claim.home.is_empty() {
            return Err(format!("{key} is claimed by nobody"));
        }
    }
    let mut numbers = BTreeSet::new();
    for ((home, _), entry) in &oracle.entries {
        let newest = oracle.homes[home].home_seq;
        if !numbers.insert((*home, entry.home_seq)) || entry.home_seq == 0 || entry.home_seq > newest {
            return Err(format!("{home} has {} twice or too far", entry.home_seq));
        }
    }
    Ok(())
}

fn is_split(record: &CustomerRecord) -> bool {
    record.freeze.as_ref().is_some_and(|freeze| freeze.split)
}

/// Every message stands once, and is shown by whom it belongs to.
fn messages(
    oracle: &Oracle,
    scenario: Scenario,
    views: &Views,
    shows: &[(CustomerId, Vec<String>)],
) -> Result<(), String> {
    for (name, about) in scenario.iter().filter(|(name, _)| !is_command(name)) {
        let via = identifier(about[about.len() - 1]);
        let at = oracle.received[*name];
        let claim = oracle.claims.get(&key(TENANT, &via));
        let erased_since = claim.is_some_and(|claim| at.0 < claim.erased_at_ms);
        let gone = is_wiped(oracle, &via, at);
        let mut stored: Vec<(CustomerId, bytes::Bytes)> = Vec::new();
        for ((home, member), entry) in &oracle.entries {
            if oracle.message(member) == *name {
                stored.push((*home, entry.birth.clone()));
            }
        }
        let present = claim.map(|claim| &claim.birth);
        // Older than an erasure, it is dropped; unless it stood there before with a former holder, who was not erased.
        let kept = stored.iter().any(|(_, birth)| Some(birth) != present);
        let wanted = usize::from(!gone && (!erased_since || kept));
        if stored.len() != wanted {
            return Err(format!("{name} is stored in {stored:?}, erased: {gone} {erased_since}"));
        }
        let by: Vec<CustomerId> = shows
            .iter()
            .flat_map(|(id, shown)| shown.iter().filter(|shown| *shown == name).map(|_| *id))
            .collect();
        let owners: Vec<CustomerId> = stored
            .first()
            .map(|(_, birth)| {
                let of = views
                    .iter()
                    .filter(|(_, members)| members.iter().any(|member| holds(member, birth, at)));
                of.map(|(id, _)| *id).collect()
            })
            .unwrap_or_default();
        if by != owners || by.len() != wanted {
            return Err(format!("{name} is shown by {by:?} and belongs to {owners:?}"));
        }
        if !erased_since && stored.iter().any(|(_, birth)| Some(birth) != present) {
            return Err(format!("{name} is not in the thread of its identifier"));
        }
        if oracle.dropped.contains(*name) && !gone && !erased_since {
            return Err(format!("{name} was dropped"));
        }
    }
    Ok(())
}

/// Whether what was received then by an identifier has been erased.
fn is_wiped(oracle: &Oracle, via: &Identifier, at: Moment) -> bool {
    let mut wiped = oracle.homes.values().flat_map(|home| &home.wiped);
    wiped.any(|wiped| {
        let of = oracle.owned_ever.get(&wiped.birth);
        let until = oracle
            .wiped_at
            .get(&(wiped.birth.clone(), wiped.from_ms))
            .copied()
            .unwrap_or(i64::MAX);
        let to = if wiped.to_ms == 0 {
            until + 1
        } else {
            wiped.to_ms.min(until + 1)
        };
        of == Some(&text(via)) && wiped.from_ms <= at.0 && at.0 < to
    })
}

/// False where messages name more of a kind than one customer may have: who gets them depends on who came first.
fn fits(scenario: Scenario) -> bool {
    let named: BTreeSet<&str> = scenario.iter().flat_map(|(_, about)| about.iter().copied()).collect();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for named in named.into_iter().map(identifier) {
        *counts.entry((named.r#type, named.scope)).or_default() += 1;
    }
    counts.into_iter().all(|((kind, _), count)| count <= cap(&kind))
}

/// Where nothing keeps people apart, one message makes one customer.
fn linked(
    oracle: &Oracle,
    scenario: Scenario,
    owners: &BTreeMap<String, CustomerId>,
    views: &Views,
) -> Result<(), String> {
    let apart = oracle.conflicts || oracle.taken_apart || oracle.refused || !oracle.erasures.is_empty();
    let commanded = scenario
        .iter()
        .any(|(name, _)| is_command(name) && !name.starts_with("read"));
    if apart || commanded || !fits(scenario) {
        return Ok(());
    }
    for (name, about) in scenario {
        let of: BTreeSet<_> = about.iter().filter_map(|name| owners.get(&text_of(name))).collect();
        // One that nobody has is one too many for the customer of the others.
        let too_many = |name: &&str| {
            let named = identifier(name);
            let room = |id: &CustomerId| views.get(id).is_some_and(|members| has_room(members, &named));
            owners.contains_key(&text_of(name)) || !of.iter().any(|id| room(id))
        };
        if of.len() != 1 || !about.iter().all(too_many) {
            return Err(format!("{name} has not made one customer of {about:?}"));
        }
    }
    Ok(())
}
