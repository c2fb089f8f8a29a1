//! What must hold when a failover is repaired.

use super::sweep;
use crate::breakage::Breakage;
use crate::judgement::{Owners, Views, held, led};
use crate::oracle::part;
use crate::people::{Worker, shown};
use crate::scenario::{Scenario, is_command};
use crate::store::Sim;
use crate::told::TENANT;
use crate::world::{alone, last_worker};
use omnigate_core::id::CustomerId;
use omnigate_core::identifier::text;
use omnigate_core::identity::{CLOSED, is_held};
use omnigate_core::protocol::read;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) fn judge(sim: &Arc<Sim>, scenario: Scenario) -> Result<(), String> {
    let last = last_worker(sim);
    let ids: Vec<CustomerId> = sim.oracle().customers.keys().copied().collect();
    let (views, owners) = led(sim, &last, &ids)?;
    held_once(&views)?;
    nobody_is_lost(sim, &owners)?;
    erased_stay_erased(sim, &views)?;
    closed_births_take_nothing(sim, &views)?;
    messages(sim, scenario, &last, &views)?;
    is_over(sim)
}

/// Every part of a thread, and every identifier, belongs to one customer.
fn held_once(views: &Views) -> Result<(), String> {
    let (mut parts, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (id, members) in views {
        for member in members {
            if !parts.insert(part(member)) {
                return Err(format!("a part of {:?} has two owners, one is {id}", member.identifier));
            }
        }
        for (_, identifier) in held(members) {
            if !names.insert(text(identifier)) {
                return Err(format!("{} has two owners, one is {id}", text(identifier)));
            }
        }
    }
    Ok(())
}

/// Whatever somebody owned before belongs to somebody; an old id of which nothing is left leads nowhere.
fn nobody_is_lost(sim: &Sim, owners: &Owners) -> Result<(), String> {
    let oracle = sim.oracle();
    // What a verdict or a preparation made is nobody yet, or nobody any more: it was lost together with all that it held.
    let is_somebody = |record: &CustomerRecord| match record.state() {
        CustomerState::Unspecified | CustomerState::Prepared => false,
        CustomerState::Frozen => record.epoch != 0,
        _ => true,
    };
    let customers = oracle.customers.iter().filter(|(_, record)| is_somebody(record));
    let there: BTreeSet<String> = customers.map(|(id, _)| id.to_string()).collect();
    for name in oracle.owned.values() {
        let built_in = name.strip_prefix("self//");
        let is_gone = built_in.is_some_and(|id| !there.contains(id));
        if !owners.contains_key(name) && !is_gone && !was_erased(&oracle, name) {
            let state = oracle.customers.iter().find(|(id, _)| name.ends_with(&id.to_string()));
            let state = state.map(|(_, record)| record.state());
            return Err(format!("{name} {state:?} has no owner any more"));
        }
    }
    Ok(())
}

fn was_erased(oracle: &crate::oracle::Oracle, name: &str) -> bool {
    let is_named = |claim: &omnigate_proto::state::v1::Claim| claim.erased_at_ms != 0;
    let erased = oracle
        .customers
        .values()
        .any(|record| record.state() == CustomerState::Erased);
    !oracle.erasures.is_empty() && (erased || oracle.claims.values().any(is_named)) && !name.is_empty()
}

/// Nobody has what was erased.
fn erased_stay_erased(sim: &Sim, views: &Views) -> Result<(), String> {
    let oracle = sim.oracle();
    let erased = oracle
        .customers
        .iter()
        .filter(|(_, record)| record.state() == CustomerState::Erased);
    for (whom, record) in erased {
        let gone: BTreeSet<_> = record.members.iter().map(part).collect();
        for (id, members) in views {
            if members.iter().any(|member| gone.contains(&part(member))) {
                return Err(format!("{id} has something of {whom}, who was erased"));
            }
        }
        let finished = record.erasure.is_some_and(|erasure| erasure.finished_ms != 0);
        let claimed = |birth: &bytes::Bytes| oracle.claims.values().any(|claim| claim.birth == *birth);
        let mut held = record.members.iter().filter(|member| is_held(member));
        if finished && held.any(|member| claimed(&member.birth)) {
            return Err(format!("an identifier of {whom}, who was erased, is claimed"));
        }
    }
    Ok(())
}

/// Nothing more is written under a birth that was given up.
fn closed_births_take_nothing(sim: &Sim, views: &Views) -> Result<(), String> {
    let oracle = sim.oracle();
    for member in views.values().flatten().filter(|member| member.to_ms == CLOSED) {
        let home = CustomerId::from_bytes(&member.home).and_then(|home| oracle.homes.get(&home));
        let is_claimed = oracle.claims.values().any(|claim| claim.birth == member.birth);
        if !is_claimed && home.is_some_and(|home| !home.closed_births.contains(&member.birth)) {
            return Err(format!("a birth of {:?} was given up and is open", member.identifier));
        }
    }
    Ok(())
}

/// Every message that came again is shown.
fn messages(sim: &Arc<Sim>, scenario: Scenario, last: &Worker, views: &Views) -> Result<(), String> {
    if !sim.oracle().erasures.is_empty() {
        return Ok(());
    }
    let mut all: Vec<String> = Vec::new();
    for id in views.keys() {
        let whole = alone(async { Ok(read::customer(&last.context(), TENANT, *id).await?) })?;
        let whole = whole.ok_or_else(|| format!("{id} cannot be read"))?;
        all.extend(alone(shown(last, &whole))?);
    }
    for (name, _) in scenario.iter().filter(|(name, _)| !is_command(name)) {
        if !all.iter().any(|shown| shown == name) {
            return Err(format!("{name} is not shown"));
        }
    }
    Ok(())
}

/// Another sweep finds nothing more.
fn is_over(sim: &Arc<Sim>) -> Result<(), String> {
    if sim.breakage == Breakage::NothingRepaired {
        return Ok(());
    }
    let before = sim.written.lock().unwrap().len();
    alone(sweep(Worker::start(sim, "sweep", usize::MAX)))?;
    let written = sim.written.lock().unwrap();
    let more = written[before..].iter().find(|(_, commit)| {
        let touched = commit.write.iter().filter_map(|write| match write {
            omnigate_core::port::store::Write::Put { key, .. } => Some(key[0]),
            _ => None,
        });
        touched.into_iter().any(|kind| kind != b'R')
    });
    match more {
        Some((shard, _)) => Err(format!("a second sweep wrote to {shard} again")),
        None => Ok(()),
    }
}
