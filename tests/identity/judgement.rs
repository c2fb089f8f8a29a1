//! What must hold when everything is done, read from the store.

use crate::told::TENANT;
use crate::work::Work;
use omnigate_core::id::{CustomerId, EventId};
use omnigate_core::identifier::{cap, key, text};
use omnigate_core::identity::{built_in_of, is_held};
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Query};
use omnigate_core::protocol::entries::{Wanted, page};
use omnigate_core::protocol::identity::{events, load, recover};
use omnigate_core::protocol::read::Whole;
use omnigate_core::protocol::resolve::claimed;
use omnigate_core::protocol::{Ports, read};
use omnigate_core::shard::Shard;
use omnigate_proto::state::v1::{Claim, CustomerState, HomeRecord};
use omnigate_proto::v1::event::Kind;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Every customer id there ever was.
async fn all_ids(ports: &Ports) -> Vec<CustomerId> {
    let mut ids = Vec::new();
    for shard in Shard::all() {
        let query = Query::Range {
            key: keys::customers(TENANT),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: u32::MAX,
            reverse: false,
        };
        let answers = ports.store.read(shard, vec![query]).await.unwrap();
        let Some(Answer::Range(members)) = answers.into_iter().next() else {
            panic!("a range was asked for");
        };
        ids.extend(members.iter().filter_map(|(member, _)| CustomerId::from_bytes(member)));
    }
    ids
}

pub(crate) async fn judge(ports: &Ports, work: &Work) {
    let context = ports.context();
    let ids = all_ids(ports).await;
    let mut present: BTreeMap<CustomerId, Whole> = BTreeMap::new();
    for id in &ids {
        // What a dropped worker left is ended by whoever meets it.
        recover(&context, *id).await.unwrap();
    }
    for id in &ids {
        let record = load(&context, *id).await.unwrap().value.unwrap();
        assert!(
            matches!(record.state(), CustomerState::Active | CustomerState::Merged),
            "{id} is {:?}",
            record.state()
        );
        let whole = read::customer(&context, TENANT, *id).await.unwrap();
        let whole = whole.unwrap_or_else(|| panic!("{id} leads nowhere"));
        present.entry(whole.id).or_insert(whole);
    }
    let merged = ids.len() - present.len();
    println!(
        "{} customer ids, {} customers, {merged} of them merged",
        ids.len(),
        present.len()
    );
    assert!(merged > 10 && present.len() > 10, "too little happened");
    identifiers_have_one_owner(ports, &present).await;
    messages_are_shown_once(ports, work, &present).await;
    for whole in present.values() {
        let (_, intact) = events(&context, &whole.record.members).await.unwrap();
        assert!(intact, "the identity events of {} are not chained", whole.id);
    }
}

/// The same after failovers, when a sweep has ended: nothing is left frozen, nobody has what was erased, and every message
/// that came again is shown by somebody, unless its sender was erased.
pub(crate) async fn judge_repaired(ports: &Ports, work: &Work) {
    let context = ports.context();
    let ids = all_ids(ports).await;
    let mut present: BTreeMap<CustomerId, Whole> = BTreeMap::new();
    let mut erased = BTreeSet::new();
    for id in &ids {
        let record = load(&context, *id).await.unwrap().value.unwrap();
        match record.state() {
            CustomerState::Erased => erased.extend(record.members.into_iter().map(|member| member.birth)),
            CustomerState::Active | CustomerState::Merged => {
                if let Some(whole) = read::customer(&context, TENANT, *id).await.unwrap() {
                    present.entry(whole.id).or_insert(whole);
                }
            }
            state => panic!("{id} is {state:?}"),
        }
    }
    println!("{} customer ids, {} customers", ids.len(), present.len());
    assert!(present.len() > 10, "too little happened");
    identifiers_have_one_owner(ports, &present).await;
    let mut shown: BTreeSet<EventId> = BTreeSet::new();
    let mut twice = 0;
    for whole in present.values() {
        for member in &whole.record.members {
            assert!(
                !erased.contains(&member.birth),
                "{} has something that was erased",
                whole.id
            );
        }
        let found = page(&context, &whole.views(), &Wanted::first(u32::MAX, true))
            .await
            .unwrap();
        for (_, entry) in found.entries {
            let event = entry.event.unwrap_or_default();
            twice += usize::from(!shown.insert(event.event_id.parse().unwrap()));
        }
        let (_, intact) = events(&context, &whole.record.members).await.unwrap();
        assert!(intact, "the identity events of {} are not chained", whole.id);
    }
    let messages = work.messages.lock().unwrap().clone();
    let mut missing = 0;
    for (id, peer) in &messages {
        let claim = claimed(&context, key(TENANT, peer)).await.unwrap().unwrap_or_default();
        // A former holder of an address may have been erased, and its present one not.
        let is_erased = claim.erased_at_ms != 0 || is_wiped(ports, &claim).await;
        if !shown.contains(id) && !is_erased {
            missing += 1;
            println!("a message of {} is missing", text(peer));
        }
    }
    println!("{} messages, {missing} missing, {twice} shown twice", messages.len());
    assert_eq!(missing, 0, "of {} messages", messages.len());
}

/// True when something that came under the birth of a claim was erased in its home.
async fn is_wiped(ports: &Ports, claim: &Claim) -> bool {
    let Some(home) = CustomerId::from_bytes(&claim.home) else {
        return false;
    };
    let query = vec![Query::Record(keys::home(home))];
    let answers = ports.store.read(home.shard(), query).await.unwrap();
    let Some(Answer::Record(Some(record))) = answers.into_iter().next() else {
        return false;
    };
    let home = HomeRecord::decode(record.value).unwrap();
    home.wiped.iter().any(|wiped| wiped.birth == claim.birth)
}

async fn identifiers_have_one_owner(ports: &Ports, present: &BTreeMap<CustomerId, Whole>) {
    let mut owners: BTreeMap<String, CustomerId> = BTreeMap::new();
    for whole in present.values() {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut sides: BTreeSet<(&str, u32)> = BTreeSet::new();
        for member in &whole.record.members {
            sides.extend(member.tags.iter().map(|tag| (tag.split.as_str(), tag.side)));
            let identifier = member.identifier.as_ref().unwrap();
            if !is_held(member) || member.retired {
                continue;
            }
            *counts.entry((&identifier.r#type, &identifier.scope)).or_default() += 1;
            let other = owners.insert(text(identifier), whole.id);
            assert!(
                other.is_none(),
                "{} belongs to {other:?} and {}",
                text(identifier),
                whole.id
            );
            if built_in_of(identifier).is_none() {
                let found = read::resolve(&ports.context(), TENANT, identifier).await.unwrap();
                let found = found.map(|whole| whole.id);
                assert_eq!(found, Some(whole.id), "{}", text(identifier));
            }
        }
        for (of, count) in counts {
            assert!(count <= cap(of.0), "{} has {count} of {of:?}", whole.id);
        }
        let both = sides
            .iter()
            .filter(|(split, side)| *side == 0 && sides.contains(&(split, 1)));
        assert_eq!(both.count(), 0, "{} holds both sides of a split", whole.id);
    }
}

async fn messages_are_shown_once(ports: &Ports, work: &Work, present: &BTreeMap<CustomerId, Whole>) {
    let mut shown: BTreeMap<EventId, CustomerId> = BTreeMap::new();
    // Merges and splits, which nobody wrote.
    let mut changes = 0;
    for whole in present.values() {
        let all = Wanted::first(u32::MAX, true);
        let found = page(&ports.context(), &whole.views(), &all).await.unwrap();
        for (_, entry) in found.entries {
            let event = entry.event.unwrap_or_default();
            let id: EventId = event.event_id.parse().unwrap();
            let other = shown.insert(id, whole.id);
            assert!(other.is_none(), "{id} is shown by {other:?} and {}", whole.id);
            if let Some(Kind::IdentityChange(_)) = event.kind {
                changes += 1;
            }
        }
    }
    let messages = work.messages.lock().unwrap().clone();
    let missing: Vec<_> = messages.keys().filter(|id| !shown.contains_key(id)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} messages are not shown",
        missing.len(),
        messages.len()
    );
    assert_eq!(
        shown.len() - changes,
        messages.len(),
        "something is shown that nobody wrote"
    );
}
