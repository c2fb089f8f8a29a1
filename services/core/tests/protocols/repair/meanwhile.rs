//! Repairs beside which something else happens, and what a merge or a split has covered before a repair looks.

use super::{asking, attach, customer, leads_to, named, repaired, state};
use crate::meddled::Meddled;
use crate::{World, now};
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::identity::stored::{put_claim, put_customer};
use omnigate_core::identity::{Named, built_in, member, pointed};
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Stamp, Store as _, Write};
use omnigate_core::protocol::context::Loaded;
use omnigate_core::protocol::identity::repair::{self, Mended};
use omnigate_core::protocol::identity::{Command, Person, find, load, merge, split};
use omnigate_core::shard::Shard;
use omnigate_core::{identifier, keys};
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Forward, HomeRecord, ThreadRecord};
use prost::Message as _;

fn record(world: &World, id: CustomerId) -> CustomerRecord {
    now(load(&world.context(), id)).unwrap().value.unwrap()
}

/// Splits an identifier off to somebody new.
fn parts(world: &World, owner: CustomerId, of: &Named, what: What) -> CustomerId {
    world.pass(10);
    let record = record(world, owner);
    let held = member(&record.members, &of.identifier).unwrap();
    let shard = identifier::key("t", &of.identifier).shard();
    let gets = CustomerId::new(world.context().now(), shard, [9; 16]);
    let command = Command {
        name: "part".to_owned(),
        tenant_id: "t".to_owned(),
        gets,
        what,
        birth: Birth::from_bytes(&held.birth).unwrap(),
        trace_id: String::new(),
    };
    now(split(&world.context(), &command, owner, &mut Vec::new())).unwrap();
    gets
}

fn joins(world: &World, one: CustomerId, other: CustomerId) {
    let people = [Person::Customer(one), Person::Customer(other)];
    let people = [&people[0], &people[1]];
    now(merge(
        &world.context(),
        &asking(world),
        people,
        Word::Person,
        &mut Vec::new(),
    ))
    .unwrap();
}

/// Writes something in the place of what stands there.
fn set(world: &World, shard: Shard, write: Write) {
    let Write::Put { key, .. } = &write else {
        panic!("not a record")
    };
    let answers = now(world.store.memory.read(shard, vec![Query::Record(key.clone())])).unwrap();
    let stamp = match &answers[..] {
        [Answer::Record(found)] => found.as_ref().map(|found| found.stamp),
        other => panic!("{other:?}"),
    };
    let commit = Commit {
        stamp: Stamp([8; 8]),
        expect: vec![Expect::Record {
            key: key.clone(),
            stamp,
        }],
        write: vec![write],
    };
    assert_eq!(
        now(world.store.memory.commit(shard, commit)).unwrap(),
        Outcome::Committed
    );
}

/// Two customers hold one identifier at no moment; but who is read early and who is read late may seem to.
#[test]
fn who_was_merged_while_a_repair_looked_on_loses_nothing() {
    for at in 0..12 {
        let mut world = World::new(false);
        let (mail, phone) = (named("email", "a@b.vn"), named("phone", "+84901234567"));
        let owner = customer(&mut world, &mail);
        attach(&world, owner, &phone);
        let away = parts(&world, owner, &phone, What::Unlink(vec![phone.identifier.clone()]));
        // The claim is not led on yet.
        let key = identifier::key("t", &phone.identifier);
        let claim = now(world.context().claim(key)).unwrap().value.unwrap();
        set(&world, key.shard(), put_claim(key, &pointed(&claim, owner)));
        let meddle = || joins(&world, owner, away);
        let meddled = Meddled::new(&world, at, &meddle);
        let looked = now(repair::customer(&meddled.context(), away, &mut Mended::default()));
        looked.unwrap();
        if state(&world, away) == CustomerState::Active {
            joins(&world, owner, away);
        }
        assert_eq!(leads_to(&world, &phone), Some(owner), "before call {at}");
    }
}

/// A number got a new holder, who was one with the old one for a while: when the old one's record is lost then, what comes
/// back of it is a way to the new one, and nothing of what came before.
#[test]
fn a_former_holder_comes_back_whom_a_way_leads_past() {
    let mut world = World::new(false);
    let (chat, phone) = (named("tg_chat", "1"), named("phone", "+84901234567"));
    let old = customer(&mut world, &chat);
    attach(&world, old, &phone);
    let new = parts(&world, old, &phone, What::NewHolder(phone.identifier.clone()));
    let before = record(&world, old);
    let cut = before.members.iter().find(|member| member.to_ms != 0).unwrap().clone();
    let mut without = before.clone();
    without.members.retain(|member| member.to_ms == 0);
    let mut home = home_of(&world, old);
    home.threads.push(ThreadRecord {
        peer: Some(phone.identifier.clone()),
        birth: cut.birth.clone(),
        ..ThreadRecord::default()
    });
    set(&world, old.shard(), put_home(old, &home));
    set(&world, old.shard(), put_customer(old, &without));
    assert_ne!(before.out, [], "the way stands");
    repaired(&world);
    let back = record(&world, old);
    assert!(
        back.members
            .iter()
            .any(|member| (&member.birth, member.from_ms, member.to_ms) == (&cut.birth, 0, cut.to_ms))
    );
    assert_eq!(leads_to(&world, &phone), Some(new));
}

fn home_of(world: &World, id: CustomerId) -> HomeRecord {
    let loaded: Loaded<HomeRecord> = now(world.context().record(id.shard(), keys::home(id), "home")).unwrap();
    loaded.value.unwrap_or_default()
}

fn put_home(id: CustomerId, home: &HomeRecord) -> Write {
    Write::Put {
        key: keys::home(id),
        value: home.encode_to_vec().into(),
    }
}

/// An old id leads from record to record. Where the one it went on to was lost and begins again without it, it is somebody
/// again, and one with that one.
#[test]
fn an_old_id_comes_back_when_whoever_it_went_on_to_lost_it() {
    let mut world = World::new(false);
    let all =
        [("email", "a@b.vn"), ("tg_chat", "1"), ("phone", "+84901234567")].map(|(kind, value)| named(kind, value));
    let [oldest, middle, youngest] = all.each_ref().map(|of| customer(&mut world, of));
    joins(&world, middle, youngest);
    let of_middle = record(&world, middle);
    // The middle one gave it to the oldest, who does not know.
    let mut gave = of_middle.clone();
    let itself = built_in(youngest);
    gave.members.retain(|member| member.home != youngest.to_bytes());
    gave.out = vec![Forward {
        identifier: Some(itself.clone()),
        customer: oldest.to_bytes(),
    }];
    set(&world, middle.shard(), put_customer(middle, &gave));
    let found = |world: &World| now(find(&world.context(), "t", &itself, youngest)).unwrap();
    assert_eq!(found(&world), None);
    repaired(&world);
    assert_eq!(found(&world), Some(oldest));
    assert_eq!(leads_to(&world, &all[2]), Some(oldest));
}
