//! Where conversations are found, also after merges, splits and erasure.

use super::{PEER, SECOND, carry_out, id_of, of, only, says, set, stands, update_tags, whole};
use crate::link::named;
use crate::{World, now};
use omnigate_core::id::ConversationId;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::keys;
use omnigate_core::port::store::Query;
use omnigate_core::protocol::context::as_range;
use omnigate_core::protocol::conversation::{self, Filter};
use omnigate_core::protocol::identity::{Command as Split, Merged, Outcome, Person, erase, merge, split};
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Conversation, ConversationStatus};
use std::ops::Bound;

fn asking() -> Asking<'static> {
    Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    }
}

/// All of the tenant, in pages of this size.
fn of_tenant(world: &World, filter: &Filter, size: usize) -> Vec<Conversation> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..200 {
        let page = now(conversation::of_tenant(&world.context(), "t", filter, after, size)).unwrap();
        assert!(page.conversations.len() <= size);
        all.extend(page.conversations);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
    panic!("pages without end");
}

/// Members of the tenant's list in all shards.
fn outlined(world: &World) -> usize {
    let all = Query::Range {
        key: keys::open_conversations("t"),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 100,
        reverse: false,
    };
    let of_shard = |number| {
        let answers = now(world.context().store.read(Shard::new(number), vec![all.clone()])).unwrap();
        as_range(answers.into_iter().next()).unwrap().len()
    };
    (0..=255).map(of_shard).sum()
}

fn ids(conversations: &[Conversation]) -> Vec<ConversationId> {
    conversations.iter().map(id_of).collect()
}

#[test]
fn the_list_of_the_tenant_has_each_open_one_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        let peer = |number: usize| format!("phone//+8491200{number:04}");
        for number in 0..30 {
            says(&world, "a", &peer(number), "1");
            world.pass(1);
        }
        let first = id_of(&of(&world, &peer(3))[0]);
        carry_out(&world, "r1", first, &stands(ConversationStatus::Closed, Moment(0))).unwrap();
        let second = id_of(&of(&world, &peer(4))[0]);
        carry_out(&world, "r2", second, &stands(ConversationStatus::Resolved, Moment(0))).unwrap();
        carry_out(&world, "r3", second, &update_tags(&["vip"])).unwrap();
        let all = of_tenant(&world, &Filter::default(), 7);
        let mut once = ids(&all);
        once.sort_unstable();
        once.dedup();
        assert_eq!((all.len(), once.len()), (29, 29));
        assert!(!once.contains(&first));
        assert_eq!(outlined(&world), 29, "closed ones leave the list itself");
        let customer = whole(&world, &peer(4)).id.to_string();
        let resolved = Filter {
            statuses: vec![ConversationStatus::Resolved],
            ..Filter::default()
        };
        let tagged = Filter {
            tag: Some("vip".into()),
            ..Filter::default()
        };
        for filter in [resolved, tagged] {
            let found = of_tenant(&world, &filter, 7);
            assert_eq!(ids(&found), [second]);
            assert_eq!(found[0].customer_id, customer);
        }
        let free = Filter {
            assignee_id: Some(String::new()),
            ..Filter::default()
        };
        assert_eq!(of_tenant(&world, &free, 100).len(), 29);
        let others = now(conversation::of_tenant(
            &world.context(),
            "other",
            &Filter::default(),
            None,
            10,
        ))
        .unwrap();
        assert!(others.conversations.is_empty());
        assert_eq!(now(conversation::get(&world.context(), "other", second)).unwrap(), None);
    }
}

#[test]
fn pages_of_a_customer_have_each_one_once_the_youngest_first() {
    let world = World::new(false);
    let other = "zalo_uid/oa/1";
    for number in 0..9 {
        let peer = if number % 2 == 0 { PEER } else { other };
        says(&world, "a", peer, &number.to_string());
        let is_open = |one: &&Conversation| one.status() == ConversationStatus::Open;
        let opened = id_of(of(&world, peer).iter().find(is_open).unwrap());
        if number < 7 {
            let closed = stands(ConversationStatus::Closed, Moment(0));
            carry_out(&world, &format!("r{number}"), opened, &closed).unwrap();
        }
        // Some begin in the same moment.
        world.pass(i64::from(number % 3 == 0));
    }
    merged(&world, PEER, other);
    let whole = whole(&world, PEER);
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (context, all_of_them) = (world.context(), Filter::default());
        let page = now(conversation::of_customer(&context, &whole, &all_of_them, after, 2)).unwrap();
        all.extend(page.conversations);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 9);
    let opened: Vec<_> = all.iter().map(|one| (id_of(one).key().opened(), id_of(one))).collect();
    assert!(opened.is_sorted_by(|one, other| one > other), "{opened:?}");
    assert_eq!(ids(&of(&world, PEER)), ids(&all));
}

fn merged(world: &World, one: &str, other: &str) {
    let people = [one, other].map(|peer| Person::Customer(whole(world, peer).id));
    let both = [&people[0], &people[1]];
    let merged = now(merge(&world.context(), &asking(), both, Word::Person, &mut Vec::new())).unwrap();
    assert!(matches!(merged, Merged::One(_)), "{merged:?}");
}

#[test]
fn both_stay_open_through_a_merge_and_go_back_at_a_split() {
    for loses in [false, true] {
        let world = World::new(loses);
        let other = "email//a@b.vn";
        says(&world, "a", PEER, "1");
        world.pass(SECOND);
        says(&world, "b", other, "1");
        let (ours, theirs) = (id_of(&only(&world)), id_of(&of(&world, other)[0]));
        let younger = whole(&world, other).id;
        merged(&world, PEER, other);
        let one = whole(&world, PEER);
        let both = of(&world, PEER);
        assert_eq!(ids(&both), [theirs, ours]);
        for conversation in &both {
            assert_eq!(conversation.status(), ConversationStatus::Open);
            assert_eq!(conversation.customer_id, one.id.to_string());
            let got = now(conversation::get(&world.context(), "t", id_of(conversation))).unwrap();
            assert_eq!(got.as_ref(), Some(conversation));
        }
        // What is said goes to where it was said before.
        world.pass(SECOND);
        says(&world, "b", other, "2");
        assert_eq!(of(&world, PEER).len(), 2);
        let step = one.merges().next().unwrap();
        let undo = Split {
            name: "txn".into(),
            tenant_id: "t".into(),
            gets: younger,
            birth: omnigate_core::id::Birth(younger.0),
            what: What::Merge { step, only: None },
            trace_id: "trace".into(),
        };
        let outcome = now(split(&world.context(), &undo, younger, &mut Vec::new())).unwrap();
        assert_ne!(outcome, Outcome::Nothing);
        assert_eq!(ids(&of(&world, PEER)), [ours]);
        let back = of(&world, other);
        assert_eq!(
            (ids(&back), back[0].customer_id.clone()),
            (vec![theirs], younger.to_string())
        );
    }
}

#[test]
fn erasure_takes_conversations_along() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let closed = id_of(&set(&world, "r1", ConversationStatus::Closed));
        world.pass(SECOND);
        says(&world, "a", PEER, "2");
        let open = id_of(&of(&world, PEER)[0]);
        assert!(now(erase(&world.context(), "t", open.home())).unwrap().is_some());
        for id in [closed, open] {
            assert_eq!(now(conversation::get(&world.context(), "t", id)).unwrap(), None);
        }
        assert!(of_tenant(&world, &Filter::default(), 10).is_empty());
        world.pass(SECOND);
        says(&world, "a", PEER, "3");
        assert_eq!(ids(&of(&world, PEER)).len(), 1);
        assert!(
            now(omnigate_core::protocol::read::resolve(
                &world.context(),
                "t",
                &named(PEER)
            ))
            .unwrap()
            .is_some()
        );
    }
}
