//! What a failover lost, one story each: whoever repairs may die after any commit, and its answers may get lost.

mod meanwhile;

use crate::{World, now};
use omnigate_core::id::CustomerId;
use omnigate_core::identity::repair::{Repair, schedule};
use omnigate_core::identity::{Named, built_in, member};
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Shape, Stamp, Store as _, Write};
use omnigate_core::protocol::identity::repair::{Group, Mended, Piece, keep, piece, progress};
use omnigate_core::protocol::identity::{Person, conflicts_of, erase, events, find, load, merge, present};
use omnigate_core::protocol::resolve::{Asking, claimed, owner};
use omnigate_core::protocol::{Stop, identity};
use omnigate_core::shard::Shard;
use omnigate_core::{identifier, keys};
use omnigate_proto::state::v1::CustomerState;
use omnigate_proto::v1::{Evidence, Identifier, IdentityEventKind};

fn named(kind: &str, value: &str) -> Named {
    Named {
        identifier: Identifier {
            r#type: kind.into(),
            scope: String::new(),
            value: value.into(),
        },
        evidence: Evidence::Vouched,
        provider_form: String::new(),
    }
}

fn asking(world: &World) -> Asking<'static> {
    Asking {
        tenant_id: "t",
        received_at: world.context().now(),
        trace_id: "",
        replaces: None,
    }
}

/// Whoever has an identifier, made if nobody has. No process remembers anything.
fn customer(world: &mut World, of: &Named) -> CustomerId {
    world.cache = omnigate_core::protocol::cache::Cache::new(100);
    world.pass(1);
    let person = Person::Named(of.clone());
    now(present(&world.context(), &asking(world), &person, &mut Vec::new()))
        .unwrap()
        .unwrap()
}

fn attach(world: &World, id: CustomerId, of: &Named) {
    now(owner(&world.context(), &asking(world), of, Some(id), &mut Vec::new()))
        .unwrap()
        .unwrap();
}

/// The server that had a record is replaced by one that has it not.
fn lose(world: &World, shard: Shard, key: bytes::Bytes) {
    let answers = now(world.store.memory.read(shard, vec![Query::Record(key.clone())])).unwrap();
    let [Answer::Record(Some(found))] = answers.as_slice() else {
        panic!("there is nothing to lose");
    };
    let commit = Commit {
        stamp: Stamp([9; 8]),
        expect: vec![Expect::Record {
            key: key.clone(),
            stamp: Some(found.stamp),
        }],
        write: vec![Write::Delete {
            shape: Shape::Record,
            key,
        }],
    };
    assert_eq!(
        now(world.store.memory.commit(shard, commit)).unwrap(),
        Outcome::Committed
    );
}

fn lose_claim(world: &World, of: &Named) {
    let key = identifier::key("t", &of.identifier);
    lose(world, key.shard(), keys::claim(key));
}

fn sweep(world: &World) -> Result<Vec<Repair>, Stop> {
    let context = world.context();
    let shards: Vec<Shard> = Shard::all().collect();
    let group = Group {
        number: 0,
        shards: &shards,
        tenants: &["t".to_owned()],
    };
    let mut mended = Mended::default();
    let mut standing = now(progress(&context, 0))?;
    while standing.value.as_ref().is_none_or(|record| record.began_ms == 0) {
        let begun = schedule::begun(standing.value.as_ref(), &[], context.now());
        now(keep(&context, 0, &mut standing, begun))?;
        standing = now(progress(&context, 0))?;
    }
    loop {
        match now(piece(&context, group, &mut standing, 10, &mut mended))? {
            Piece::Ended => return Ok(mended.repairs),
            Piece::More => {}
            Piece::Lost => standing = now(progress(&context, 0))?,
        }
    }
}

/// How many customers and identifiers a sweep looks at that finds nothing, so many in a piece, each piece by another process.
fn looked_at(world: &World, at_once: u32) -> (u64, u64) {
    let context = world.context();
    let shards: Vec<Shard> = Shard::all().collect();
    let group = Group {
        number: 0,
        shards: &shards,
        tenants: &["t".to_owned()],
    };
    let mut mended = Mended::default();
    let mut standing = now(progress(&context, 0)).unwrap();
    let begun = schedule::begun(standing.value.as_ref(), &[], context.now());
    assert!(now(keep(&context, 0, &mut standing, begun)).unwrap());
    loop {
        let mut standing = now(progress(&context, 0)).unwrap();
        if now(piece(&context, group, &mut standing, at_once, &mut mended)).unwrap() == Piece::Ended {
            assert_eq!(mended.repairs, []);
            return (mended.customers, mended.identifiers);
        }
    }
}

/// Sweeps, killed after more and more commits; then a sweep finds nothing more. What was put right in all.
fn repaired(world: &World) -> Vec<Repair> {
    let mut repairs = Vec::new();
    for commits in 0..12 {
        world.store.stops_after(commits);
        repairs.extend(sweep(world).unwrap_or_default());
    }
    world.store.goes_on();
    repairs.extend(sweep(world).unwrap());
    assert_eq!(sweep(world).unwrap(), [], "there is more to repair");
    repairs
}

fn leads_to(world: &World, of: &Named) -> Option<CustomerId> {
    let claim = now(claimed(&world.context(), identifier::key("t", &of.identifier))).unwrap()?;
    let from = CustomerId::from_bytes(&claim.customer)?;
    now(find(&world.context(), "t", &of.identifier, from)).unwrap()
}

fn state(world: &World, id: CustomerId) -> CustomerState {
    now(load(&world.context(), id))
        .unwrap()
        .value
        .unwrap_or_default()
        .state()
}

/// What the identity events of a customer say was repaired; their chain holds.
fn told(world: &World, id: CustomerId) -> Vec<String> {
    let record = now(load(&world.context(), id)).unwrap().value.unwrap();
    let (events, intact) = now(events(&world.context(), &record.members)).unwrap();
    assert!(intact);
    let repaired = events
        .into_iter()
        .filter(|one| one.event.kind() == IdentityEventKind::Repaired);
    repaired.flat_map(|one| one.event.rules).collect()
}

#[test]
fn a_claim_that_was_lost_leads_to_its_member_again() {
    for loses in [false, true] {
        let mut world = World::new(loses);
        let phone = named("phone", "+84901234567");
        let id = customer(&mut world, &phone);
        assert_eq!(sweep(&world).unwrap(), []);
        lose_claim(&world, &phone);
        repaired(&world);
        assert_eq!(leads_to(&world, &phone), Some(id));
        assert_eq!(customer(&mut world, &phone), id);
    }
}

#[test]
fn who_was_born_anew_is_one_with_the_older_again() {
    for loses in [false, true] {
        let mut world = World::new(loses);
        let (mail, chat) = (named("email", "a@b.vn"), named("tg_chat", "1"));
        let older = customer(&mut world, &mail);
        attach(&world, older, &chat);
        lose_claim(&world, &chat);
        let younger = customer(&mut world, &chat);
        assert_ne!(older, younger);
        repaired(&world);
        assert_eq!(leads_to(&world, &chat), Some(older));
        assert_eq!(state(&world, younger), CustomerState::Merged);
        let itself = now(find(&world.context(), "t", &built_in(younger), younger)).unwrap();
        assert_eq!(itself, Some(older));
        let record = now(load(&world.context(), older)).unwrap().value.unwrap();
        let held = member(&record.members, &chat.identifier).unwrap();
        assert_eq!(held.home, older.to_bytes());
        assert!(told(&world, older).contains(&"CLAIM_RESTORED".to_owned()));
    }
}

#[test]
fn where_rules_forbid_it_the_older_keeps_the_identifier_and_there_is_a_conflict() {
    let mut world = World::new(false);
    let (crm, other, chat) = (named("crm", "1"), named("crm", "2"), named("tg_chat", "1"));
    let older = customer(&mut world, &crm);
    attach(&world, older, &chat);
    lose_claim(&world, &chat);
    let younger = customer(&mut world, &other);
    attach(&world, younger, &chat);
    repaired(&world);
    assert_eq!(leads_to(&world, &chat), Some(older));
    assert_eq!(state(&world, younger), CustomerState::Active);
    let record = now(load(&world.context(), younger)).unwrap().value.unwrap();
    assert_eq!(member(&record.members, &chat.identifier), None);
    let conflicts = now(conflicts_of(&world.context(), "t", older, 10)).unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!((conflicts[0].0, conflicts[0].1), (older, younger));
    assert_eq!(told(&world, younger), ["BORN_TWICE"]);
}

#[test]
fn a_customer_of_whom_only_a_claim_tells_begins_again() {
    for loses in [false, true] {
        let mut world = World::new(loses);
        let (mail, chat) = (named("email", "a@b.vn"), named("tg_chat", "1"));
        let id = customer(&mut world, &mail);
        attach(&world, id, &chat);
        lose_claim(&world, &mail);
        lose(&world, id.shard(), keys::customer(id));
        lose(&world, id.shard(), keys::home(id));
        repaired(&world);
        assert_eq!(leads_to(&world, &chat), Some(id));
        assert_eq!(state(&world, id), CustomerState::Active);
        assert_eq!(told(&world, id), ["CUSTOMER_RESTORED"]);
    }
}

#[test]
fn a_merged_record_that_is_gone_leads_on_again() {
    for loses in [false, true] {
        let mut world = World::new(loses);
        let (mail, chat) = (named("email", "a@b.vn"), named("tg_chat", "1"));
        let (older, younger) = (customer(&mut world, &mail), customer(&mut world, &chat));
        let people = [Person::Customer(older), Person::Customer(younger)];
        let word = omnigate_core::identity::merge::Word::Person;
        now(merge(
            &world.context(),
            &asking(&world),
            [&people[0], &people[1]],
            word,
            &mut Vec::new(),
        ))
        .unwrap();
        lose(&world, younger.shard(), keys::customer(younger));
        repaired(&world);
        let itself = now(find(&world.context(), "t", &built_in(younger), younger)).unwrap();
        assert_eq!(itself, Some(older));
        assert_eq!(leads_to(&world, &chat), Some(older));
    }
}

#[test]
fn what_was_erased_stays_so() {
    for loses in [false, true] {
        let mut world = World::new(loses);
        let (mail, chat) = (named("email", "a@b.vn"), named("tg_chat", "1"));
        let id = customer(&mut world, &mail);
        attach(&world, id, &chat);
        let before = world.context().now();
        world.pass(10);
        now(erase(&world.context(), "t", id)).unwrap();
        // As if nobody had ever claimed it, and nobody had erased it.
        lose_claim(&world, &chat);
        repaired(&world);
        let late = Asking {
            received_at: before,
            ..asking(&world)
        };
        let found = now(owner(&world.context(), &late, &chat, None, &mut Vec::new())).unwrap();
        assert_eq!(found, None, "what was received before comes back");
        assert_eq!(leads_to(&world, &chat), None);
    }
}

#[test]
fn a_look_at_one_customer_is_enough_for_what_is_wrong_with_it() {
    let mut world = World::new(false);
    let phone = named("phone", "+84901234567");
    let id = customer(&mut world, &phone);
    lose_claim(&world, &phone);
    let mut mended = Mended::default();
    now(identity::repair::customer(&world.context(), id, &mut mended)).unwrap();
    assert_eq!(mended.repairs, [Repair::ClaimRestored]);
    assert_eq!(leads_to(&world, &phone), Some(id));
}

#[test]
fn a_sweep_looks_at_every_identifier_once_however_many_it_takes_at_once() {
    let mut world = World::new(false);
    // About three of a shard, which lie in as many buckets, and in one shard forty.
    let one = identifier::key("t", &named("phone", "+84900000000").identifier).shard();
    let all = (0..20_000).map(|number| named("phone", &format!("+849{number:08}")));
    let (mut others, mut of_one) = (0, 0);
    let made = all.filter(|named| {
        let is_of_one = identifier::key("t", &named.identifier).shard() == one;
        let (count, most) = if is_of_one {
            (&mut of_one, 40)
        } else {
            (&mut others, 700)
        };
        *count += 1;
        *count <= most
    });
    let made: Vec<Named> = made.collect();
    for named in &made {
        customer(&mut world, named);
    }
    for at_once in [1, 7, 1_000] {
        assert_eq!(looked_at(&world, at_once), (740, 740), "{at_once} at once");
    }
}
