//! Conversations that go on in threads of another home.

use super::{HOUR, PEER, SECOND, answers, id_of, of, says, scheduled, stands, thread, told, whole};
use crate::link::named;
use crate::{World, now};
use omnigate_core::conversation::Refusal;
use omnigate_core::id::{Birth, ConversationId, CustomerId};
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::conversation::{self, Asked, Done, NotDone};
use omnigate_core::protocol::identity::{Command as Split, Outcome, Person, merge, split};
use omnigate_core::protocol::read;
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Conversation, ConversationStatus, Message, event::Kind};

/// The other line of the same person, with a home of its own.
const LINE: &str = "email//a@b.vn";

/// A customer who wrote by a phone and by mail, each in a home of its own, before anybody knew that they are one.
fn one_of_two_homes(world: &World) -> [ConversationId; 2] {
    says(world, "a", PEER, "1");
    world.pass(SECOND);
    says(world, "b", LINE, "1");
    let both = [PEER, LINE].map(|peer| id_of(&of(world, peer)[0]));
    merged(world);
    both
}

fn asking() -> Asking<'static> {
    Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    }
}

fn merged(world: &World) {
    let people = [PEER, LINE].map(|peer| Person::Customer(whole(world, peer).id));
    now(merge(
        &world.context(),
        &asking(),
        [&people[0], &people[1]],
        Word::Person,
        &mut Vec::new(),
    ))
    .unwrap();
}

fn parted(world: &World, younger: CustomerId) {
    let step = whole(world, PEER).merges().next().unwrap();
    let undo = Split {
        name: "txn".into(),
        tenant_id: "t".into(),
        gets: younger,
        birth: Birth(younger.0),
        what: What::Merge { step, only: None },
        trace_id: "trace".into(),
    };
    let outcome = now(split(&world.context(), &undo, younger, &mut Vec::new())).unwrap();
    assert_ne!(outcome, Outcome::Nothing);
}

fn asked(request_id: &str) -> Asked<'_> {
    Asked {
        tenant_id: "t",
        request_id,
        body_hash: [3; 32],
        trace_id: "trace",
    }
}

fn join(world: &World, request_id: &str, id: ConversationId, (account, peer): (&str, &str)) -> Result<Done, NotDone> {
    let place = (thread(peer, account), account, "test");
    now(conversation::join(&world.context(), &asked(request_id), id, place))
}

fn leave(world: &World, request_id: &str, id: ConversationId, (account, peer): (&str, &str)) -> Result<Done, NotDone> {
    let place = (thread(peer, account), account, "test");
    now(conversation::leave(&world.context(), &asked(request_id), id, place))
}

fn get(world: &World, id: ConversationId) -> Conversation {
    now(conversation::get(&world.context(), "t", id)).unwrap().unwrap()
}

fn set(world: &World, request_id: &str, id: ConversationId, status: ConversationStatus) {
    super::carry_out(world, request_id, id, &stands(status, Moment(0))).unwrap();
}

#[test]
fn what_is_said_in_another_home_takes_effect_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [by_phone, by_mail] = one_of_two_homes(&world);
        assert_ne!(by_phone.home(), by_mail.home());
        answers(&world, "a", "r0");
        let joined = join(&world, "r1", by_phone, ("b", LINE)).unwrap().conversation;
        assert_eq!(joined.thread_ids.len(), 2);
        // Who waited there waits here, since then.
        let former = get(&world, by_mail);
        assert_eq!(former.status(), ConversationStatus::Closed);
        assert_eq!(former.joined_conversation_id, by_phone.to_string());
        assert_eq!(joined.cycle.unwrap().waiting_since, former.opened_at);
        world.pass(9 * SECOND);
        let word = super::received(&world, "b", LINE, "2", Kind::Message(Message::default()));
        told(&world, &word);
        set(&world, "r2", by_phone, ConversationStatus::Resolved);
        // The same word again, after it was dealt with.
        assert_eq!(told(&world, &word).repeated, 1);
        scheduled(&world);
        assert_eq!(get(&world, by_phone).status(), ConversationStatus::Resolved);
        world.pass(HOUR);
        says(&world, "b", LINE, "3");
        let reopened = get(&world, by_phone);
        assert_eq!(
            (reopened.status(), reopened.cycle.unwrap().number),
            (ConversationStatus::Open, 2)
        );
        assert_eq!(of(&world, PEER).len(), 2, "nothing else was opened");
    }
}

/// The process dies before each commit on the way of a word; it comes again, or a timer carries it.
#[test]
fn a_word_that_died_on_its_way_arrives_once() {
    for comes_again in [false, true] {
        for dies_after in 0..3 {
            let world = World::new(false);
            let [by_phone, _] = one_of_two_homes(&world);
            join(&world, "r1", by_phone, ("b", LINE)).unwrap();
            answers(&world, "a", "r2");
            world.pass(SECOND);
            let word = super::received(&world, "b", LINE, "2", Kind::Message(Message::default()));
            world.store.stops_after(dies_after);
            let died = now(omnigate_core::protocol::append::apply(
                &world.context(),
                std::slice::from_ref(&word),
            ));
            assert!(died.is_err(), "after {dies_after}");
            world.store.goes_on();
            // It had arrived, and was dealt with before it comes again.
            let arrived = dies_after == 2;
            if arrived {
                set(&world, "r3", by_phone, ConversationStatus::Resolved);
            }
            if comes_again || dies_after == 0 {
                told(&world, &word);
            } else {
                world.pass(60 * SECOND);
                for shard in timers_of(&world, LINE) {
                    now(conversation::ring(&world.context(), shard.0, shard.1)).unwrap();
                }
            }
            let after = get(&world, by_phone);
            assert_eq!(
                after.status() == ConversationStatus::Resolved,
                arrived,
                "after {dies_after}"
            );
            let waits = (!arrived).then(|| word.received_at.to_timestamp());
            assert_eq!(after.cycle.unwrap().waiting_since, waits, "after {dies_after}");
        }
    }
}

/// Timers of the home of a line.
fn timers_of(world: &World, peer: &str) -> Vec<(CustomerId, Moment)> {
    use omnigate_core::keys::{self, Timer};
    use omnigate_core::port::store::Query;
    let home = omnigate_core::identifier::key("t", &named(peer)).shard();
    let all = Query::Range {
        key: keys::timers(),
        from: std::ops::Bound::Unbounded,
        to: std::ops::Bound::Unbounded,
        limit: 100,
        reverse: false,
    };
    let answers = now(world.context().store.read(home, vec![all])).unwrap();
    let members = omnigate_core::protocol::context::as_range(answers.into_iter().next()).unwrap();
    let read = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
    let due = read.filter(|(due, _)| *due <= world.clock.now());
    due.filter_map(|(due, timer)| match timer {
        Timer::Conversations(home) => Some((home, due)),
        _ => None,
    })
    .collect()
}

#[test]
fn a_join_that_died_anywhere_goes_on() {
    for dies_after in 0..6 {
        let world = World::new(false);
        let [by_phone, by_mail] = one_of_two_homes(&world);
        world.store.stops_after(dies_after);
        let died = join(&world, "r1", by_phone, ("b", LINE));
        assert!(died.is_err(), "after {dies_after}: {died:?}");
        world.store.goes_on();
        let joined = join(&world, "r1", by_phone, ("b", LINE)).unwrap().conversation;
        assert_eq!(joined.thread_ids.len(), 2, "after {dies_after}");
        assert_eq!(get(&world, by_mail).status(), ConversationStatus::Closed);
        answers(&world, "a", "r2");
        world.pass(SECOND);
        says(&world, "b", LINE, "2");
        let waiting = get(&world, by_phone).cycle.unwrap().waiting_since;
        assert_eq!(waiting, Some(world.clock.now().to_timestamp()));
    }
}

#[test]
fn what_the_conversation_takes_no_more_opens_one_where_it_was_said() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [by_phone, _] = one_of_two_homes(&world);
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        set(&world, "r2", by_phone, ConversationStatus::Closed);
        world.pass(SECOND);
        says(&world, "b", LINE, "2");
        let newest = of(&world, PEER).remove(0);
        assert_eq!(newest.status(), ConversationStatus::Open);
        assert_eq!(newest.thread_ids, [thread(LINE, "b").to_string()]);

        // Too late to reopen: both are as if they had never been one.
        let world = World::new(loses);
        let [by_phone, _] = one_of_two_homes(&world);
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        set(&world, "r2", by_phone, ConversationStatus::Resolved);
        world.pass(80 * HOUR);
        says(&world, "b", LINE, "2");
        assert_eq!(get(&world, by_phone).status(), ConversationStatus::Closed);
        assert_eq!(of(&world, PEER)[0].thread_ids, [thread(LINE, "b").to_string()]);
    }
}

#[test]
fn a_thread_that_left_is_on_its_own_again() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [by_phone, _] = one_of_two_homes(&world);
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        leave(&world, "r2", by_phone, ("a", PEER)).unwrap();
        world.pass(SECOND);
        says(&world, "a", PEER, "2");
        let other = id_of(&of(&world, PEER)[0]);
        let taken = join(&world, "r3", other, ("b", LINE)).unwrap_err();
        assert!(matches!(taken, NotDone::Refused(Refusal::ThreadTaken)), "{taken:?}");

        let world = World::new(loses);
        let [by_phone, _] = one_of_two_homes(&world);
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        let left = leave(&world, "r2", by_phone, ("b", LINE)).unwrap().conversation;
        assert_eq!(left.thread_ids, [thread(PEER, "a").to_string()]);
        world.pass(SECOND);
        says(&world, "b", LINE, "2");
        assert_eq!(of(&world, PEER)[0].thread_ids, [thread(LINE, "b").to_string()]);
        // And may come again.
        let again = join(&world, "r3", by_phone, ("b", LINE)).unwrap().conversation;
        assert_eq!(again.thread_ids.len(), 2);
    }
}

#[test]
fn after_a_split_no_word_reaches_a_conversation_of_somebody_else() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [by_phone, by_mail] = one_of_two_homes(&world);
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        parted(&world, by_mail.home());
        let before = get(&world, by_phone);
        world.pass(SECOND);
        says(&world, "b", LINE, "2");
        let after = get(&world, by_phone);
        assert_eq!(after.cycle, before.cycle);
        assert_eq!(after.thread_ids, [thread(PEER, "a").to_string()]);
        let theirs = of(&world, LINE);
        assert_eq!((theirs.len(), theirs[0].status()), (2, ConversationStatus::Open));
        assert_eq!(theirs[0].customer_id, by_mail.home().to_string());
        let refused = join(&world, "r2", by_phone, ("b", LINE)).unwrap_err();
        assert!(
            matches!(refused, NotDone::Refused(Refusal::ThreadElsewhere)),
            "{refused:?}"
        );
    }
}

/// Two lines that were born in one home, and taken apart.
#[test]
fn threads_of_one_home_are_parted_with_their_owners() {
    for loses in [false, true] {
        let world = World::new(loses);
        let mail = crate::link::message("b", LINE, &["crm/erp/7"], "1");
        told(
            &world,
            &super::received(&world, "a", PEER, "1", Kind::Message(Message::default())),
        );
        let linking = crate::link::message("a", PEER, &["crm/erp/7"], "2");
        told(&world, &crate::link::arrival(linking));
        told(&world, &crate::link::arrival(mail));
        let ours = of(&world, PEER);
        let (by_mail, by_phone) = (id_of(&ours[0]), id_of(&ours[1]));
        let (by_phone, by_mail) = match ours[0].thread_ids == [thread(PEER, "a").to_string()] {
            true => (by_mail, by_phone),
            false => (by_phone, by_mail),
        };
        assert_eq!(by_phone.home(), by_mail.home());
        join(&world, "r1", by_phone, ("b", LINE)).unwrap();
        let gets = CustomerId::new(world.clock.now(), by_phone.home().shard(), [7; 16]);
        let members = whole(&world, PEER).record.members;
        let member = members
            .iter()
            .find(|member| member.identifier == Some(named(LINE)))
            .unwrap();
        let unlink = Split {
            name: "unlink".into(),
            tenant_id: "t".into(),
            gets,
            birth: Birth::from_bytes(&member.birth).unwrap(),
            what: What::Unlink(vec![named(LINE)]),
            trace_id: "trace".into(),
        };
        now(split(
            &world.context(),
            &unlink,
            whole(&world, PEER).id,
            &mut Vec::new(),
        ))
        .unwrap();
        assert_eq!(get(&world, by_phone).thread_ids, [thread(PEER, "a").to_string()]);
        world.pass(SECOND);
        says(&world, "b", LINE, "9");
        let theirs = of(&world, LINE);
        assert_eq!(theirs[0].customer_id, gets.to_string());
        assert_eq!(theirs[0].status(), ConversationStatus::Open);
        assert!(!theirs.iter().any(|one| id_of(one) == by_phone));
    }
}

/// A number that got a new holder: the former one's conversation hears nothing of them.
#[test]
fn a_new_holder_has_conversations_of_their_own() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        world.pass(HOUR);
        let before = of(&world, PEER).remove(0);
        let old = whole(&world, PEER);
        let member = old
            .record
            .members
            .iter()
            .find(|member| member.identifier == Some(named(PEER)))
            .unwrap();
        let gets = CustomerId::new(world.clock.now(), old.id.shard(), [7; 16]);
        let cut = Split {
            name: "cut".into(),
            tenant_id: "t".into(),
            gets,
            birth: Birth::from_bytes(&member.birth).unwrap(),
            what: What::NewHolder(named(PEER)),
            trace_id: "trace".into(),
        };
        now(split(&world.context(), &cut, old.id, &mut Vec::new())).unwrap();
        world.pass(SECOND);
        says(&world, "a", PEER, "2");
        let [theirs] = of(&world, PEER).try_into().unwrap();
        assert_eq!(theirs.customer_id, gets.to_string());
        let former = get(&world, id_of(&before));
        assert_eq!((former.customer_id, former.cycle), (old.id.to_string(), before.cycle));
        let of_former = now(read::customer(&world.context(), "t", old.id)).unwrap().unwrap();
        let page = conversation::Filter::default();
        let context = world.context();
        let page = now(conversation::of_customer(&context, &of_former, &page, None, 10)).unwrap();
        assert_eq!(page.conversations.len(), 1);
    }
}
