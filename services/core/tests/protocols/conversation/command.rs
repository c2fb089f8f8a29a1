//! What people do with conversations takes effect once, and only on what they saw.

use super::{HOUR, PEER, SECOND, answers, assign, carry_out, id_of, of, only, says, set, stands, thread, words};
use crate::{World, now};
use omnigate_core::conversation::{Command, Refusal};
use omnigate_core::id::CustomerId;
use omnigate_core::keys;
use omnigate_core::protocol::conversation::{self, Asked, Done, NotDone};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{ConversationRecord, HomeRecord};
use omnigate_proto::v1::{ConversationPriority, ConversationStatus};
use prost::Message as _;

fn update(add: &[&str], remove: &[&str], etag: &str) -> Command {
    let all = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    Command::Update {
        priority: ConversationPriority::Unspecified,
        add: all(add),
        remove: all(remove),
        etag: etag.into(),
    }
}

fn create(world: &World, request_id: &str, account: &str) -> Result<Done, NotDone> {
    let asked = Asked {
        tenant_id: "t",
        request_id,
        body_hash: [9; 32],
        trace_id: "trace",
    };
    let place = (thread(PEER, account), account, "test");
    let written = (None, ConversationPriority::High, vec!["call".to_owned()]);
    now(conversation::create(&world.context(), &asked, place, written))
}

#[test]
fn two_who_take_the_same_one_do_not_both_get_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let id = id_of(&only(&world));
        let lan = carry_out(&world, "r1", id, &assign("", Some("lan"))).unwrap();
        assert_eq!(lan.conversation.assignee.unwrap().id, "lan");
        let refused = carry_out(&world, "r2", id, &assign("", Some("minh"))).unwrap_err();
        assert!(
            matches!(&refused, NotDone::Refused(Refusal::AssignedElsewhere(who)) if who == "lan"),
            "{refused:?}"
        );
        // Who was refused may ask again, once it is free.
        world.pass(SECOND);
        carry_out(&world, "r3", id, &assign("lan", None)).unwrap();
        carry_out(&world, "r2", id, &assign("", Some("minh"))).unwrap();
        let held = only(&world);
        let holders: Vec<_> = held
            .holders
            .iter()
            .map(|holder| holder.assignee.clone().unwrap().id)
            .collect();
        assert_eq!(holders, ["lan", "minh"]);
        assert!(held.holders[0].to.is_some() && held.holders[1].to.is_none());
        assert_eq!(words(&world), ["opened waiting", "assignee", "assignee", "assignee"]);
    }
}

#[test]
fn a_repeated_request_is_answered_and_changes_nothing() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let id = id_of(&only(&world));
        carry_out(&world, "r1", id, &assign("", Some("lan"))).unwrap();
        // Many others later, when the conversation itself has forgotten it.
        for number in 0..20 {
            let tag = format!("t{number}");
            carry_out(&world, &tag, id, &update(&[&tag], &[], "")).unwrap();
        }
        carry_out(&world, "r2", id, &assign("lan", None)).unwrap();
        let again = carry_out(&world, "r1", id, &assign("", Some("lan"))).unwrap();
        assert_eq!(again.conversation.assignee, None);
        assert!(again.outgoing.is_empty());
        let other = carry_out(&world, "r1", id, &assign("", Some("minh"))).unwrap_err();
        assert!(matches!(other, NotDone::RequestIdReused), "{other:?}");
    }
}

/// The process dies before each commit of a command in turn; the caller repeats it, after others did something else.
#[test]
fn a_command_that_died_anywhere_takes_effect_once() {
    for dies_after in 0..3 {
        let world = World::new(false);
        says(&world, "a", PEER, "1");
        let id = id_of(&only(&world));
        let resolve = stands(ConversationStatus::Resolved, Moment(0));
        world.store.stops_after(dies_after);
        let died = carry_out(&world, "r1", id, &resolve);
        assert!(matches!(died, Err(NotDone::Stop(_))), "after {dies_after}: {died:?}");
        world.store.goes_on();
        let took_effect = only(&world).status() == ConversationStatus::Resolved;
        assert_eq!(took_effect, dies_after == 2);
        if took_effect {
            says(&world, "a", PEER, "2");
        }
        carry_out(&world, "r1", id, &resolve).unwrap();
        // Reopened by the customer since: what was asked before does not resolve it again.
        let expected = if took_effect {
            ConversationStatus::Open
        } else {
            ConversationStatus::Resolved
        };
        assert_eq!(only(&world).status(), expected, "after {dies_after}");
        carry_out(&world, "r1", id, &resolve).unwrap();
        assert_eq!(only(&world).status(), expected, "after {dies_after}");
    }
}

#[test]
fn an_opening_that_died_anywhere_opens_one() {
    for dies_after in 0..3 {
        let world = World::new(false);
        says(&world, "a", PEER, "1");
        set(&world, "r0", ConversationStatus::Closed);
        world.store.stops_after(dies_after);
        let died = create(&world, "r1", "a");
        assert!(matches!(died, Err(NotDone::Stop(_))), "after {dies_after}: {died:?}");
        world.store.goes_on();
        world.pass(SECOND);
        let one = create(&world, "r1", "a").unwrap().conversation;
        let other = create(&world, "r1", "a").unwrap().conversation;
        assert_eq!(one, other);
        assert_eq!(of(&world, PEER).len(), 2, "after {dies_after}");
    }
}

#[test]
fn what_our_side_begins_has_no_first_response() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let exists = create(&world, "r1", "a").unwrap_err();
        assert!(matches!(exists, NotDone::Refused(Refusal::Exists(_))), "{exists:?}");
        set(&world, "r2", ConversationStatus::Closed);
        world.pass(SECOND);
        let ours = create(&world, "r1", "a").unwrap().conversation;
        assert_eq!(
            (ours.priority(), ours.tags.as_slice()),
            (ConversationPriority::High, ["call".to_owned()].as_slice())
        );
        answers(&world, "a", "hello");
        world.pass(SECOND);
        says(&world, "a", PEER, "2");
        world.pass(4 * SECOND);
        answers(&world, "a", "answer");
        let cycle = of(&world, PEER)[0].cycle.unwrap();
        assert!(cycle.started_by_us && cycle.first_response_time.is_none());
        assert_eq!(super::seconds(cycle.last_reply_time.as_ref()), Some(4));
    }
}

#[test]
fn a_change_of_what_was_not_seen_is_refused() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    let seen = only(&world);
    let id = id_of(&seen);
    carry_out(&world, "r1", id, &update(&["b", "a", "b"], &[], &seen.etag)).unwrap();
    assert_eq!(only(&world).tags, ["a", "b"]);
    let refused = carry_out(&world, "r2", id, &update(&["c"], &[], &seen.etag)).unwrap_err();
    assert!(matches!(refused, NotDone::Refused(Refusal::Etag)), "{refused:?}");
    carry_out(&world, "r3", id, &update(&["c"], &["a"], &only(&world).etag)).unwrap();
    assert_eq!(only(&world).tags, ["b", "c"]);
    let many: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = carry_out(&world, "r4", id, &update(&many, &[], "")).unwrap_err();
    assert!(matches!(refused, NotDone::Refused(Refusal::TooManyTags)), "{refused:?}");
}

#[test]
fn a_closed_one_changes_no_more() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    let closed = set(&world, "r1", ConversationStatus::Closed);
    assert!(closed.closed_at.is_some() && closed.cycle.as_ref().unwrap().resolved_at.is_some());
    let refused = carry_out(&world, "r2", id_of(&closed), &assign("", Some("lan"))).unwrap_err();
    assert!(matches!(refused, NotDone::Closed), "{refused:?}");
    // The same request again is answered all the same.
    let again = carry_out(
        &world,
        "r1",
        id_of(&closed),
        &stands(ConversationStatus::Closed, Moment(0)),
    );
    assert_eq!(again.unwrap().conversation, closed);
    let nowhere =
        omnigate_core::id::ConversationId::new(id_of(&closed).home(), omnigate_core::id::ConversationKey([0; 12]));
    let missing = carry_out(&world, "r3", nowhere, &assign("", None)).unwrap_err();
    assert!(matches!(missing, NotDone::NoSuchConversation), "{missing:?}");
}

#[test]
fn a_conversation_goes_on_in_another_thread() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        answers(&world, "a", "r0");
        world.pass(HOUR);
        says(&world, "b", PEER, "1");
        let [on_b, on_a] = of(&world, PEER).try_into().unwrap();
        let (a, b) = (id_of(&on_a), id_of(&on_b));
        let joined = carry_out(
            &world,
            "r1",
            a,
            &Command::Join {
                thread: thread(PEER, "b"),
            },
        )
        .unwrap()
        .conversation;
        assert_eq!(joined.thread_ids.len(), 2);
        // Who waited there waits here.
        assert_eq!(
            joined.cycle.as_ref().unwrap().waiting_since,
            on_b.cycle.unwrap().waiting_since
        );
        let former = of(&world, PEER).remove(0);
        assert_eq!((id_of(&former), former.status()), (b, ConversationStatus::Closed));
        assert_eq!(former.joined_conversation_id, a.to_string());
        world.pass(SECOND);
        answers(&world, "b", "r2");
        assert_eq!(of(&world, PEER)[1].cycle.as_ref().unwrap().replies, 2);
        // Alone again, the thread opens one of its own.
        carry_out(
            &world,
            "r3",
            a,
            &Command::Leave {
                thread: thread(PEER, "b"),
            },
        )
        .unwrap();
        let last = carry_out(
            &world,
            "r4",
            a,
            &Command::Leave {
                thread: thread(PEER, "a"),
            },
        )
        .unwrap_err();
        assert!(matches!(last, NotDone::Refused(Refusal::LastThread)), "{last:?}");
        world.pass(SECOND);
        says(&world, "b", PEER, "2");
        assert_eq!(of(&world, PEER).len(), 3);
    }
}

#[test]
fn a_thread_of_somebody_else_does_not_join() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let a = id_of(&only(&world));
        says(&world, "c", "zalo_uid/oa/1", "1");
        let elsewhere = Command::Join {
            thread: thread("zalo_uid/oa/1", "c"),
        };
        let refused = carry_out(&world, "r5", a, &elsewhere).unwrap_err();
        assert!(
            matches!(refused, NotDone::Refused(Refusal::ThreadElsewhere)),
            "{refused:?}"
        );
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    let id = id_of(&only(&world));
    let mut held = String::new();
    for number in 0..40 {
        let next = format!("agent-{number}");
        carry_out(&world, &format!("a{number}"), id, &assign(&held, Some(&next))).unwrap();
        set(&world, &format!("r{number}"), ConversationStatus::Resolved);
        set(&world, &format!("o{number}"), ConversationStatus::Open);
        held = next;
    }
    let one = only(&world);
    assert_eq!((one.holders.len(), one.past_cycles.len()), (32, 8));
    assert_eq!(one.cycle.unwrap().number, 41);
    assert_eq!(stored(&world, id.home()).commands.len(), 8);
}

/// The only conversation of a home as it is stored.
fn stored(world: &World, home: CustomerId) -> ConversationRecord {
    let (context, key) = (world.context(), keys::home(home));
    let read = now(context.record::<HomeRecord>(home.shard(), key, "home"));
    read.unwrap().value.unwrap().conversations.remove(0)
}

/// Homes are read and written for each message.
#[test]
fn an_ordinary_one_is_small() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    let id = id_of(&only(&world));
    carry_out(&world, "r1", id, &assign("", Some("lan"))).unwrap();
    answers(&world, "a", "r2");
    let size = stored(&world, id.home()).encoded_len();
    assert!(size <= 160, "{size} bytes");
}
