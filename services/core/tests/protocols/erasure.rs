//! Erasure: nothing of a person is left in the store, and nobody else loses anything.

use crate::link::{arrival, event, message, named, told};
use crate::{World, now};
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identity::Named;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::{Answer, Query};
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::context::{Context, as_range};
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::identity::{Command, Person, erase, go_on, merge, split};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::protocol::park::{self, Unfit, park_event};
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::protocol::send::{self, NotAccepted, Request, Target};
use omnigate_core::protocol::{outbox, read};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{Erasure, Stamped};
use omnigate_proto::v1::{
    Event, Evidence, Lane, Message, Part, Profile, Text, UnknownPolicy, event::Kind, part::Content,
};
use prost::Message as _;
use std::ops::Bound;

const PHONE: &str = "phone//+84901234567";
const MAIL: &str = "email//lan@example.vn";
const OTHER: &str = "phone//+84907654321";

fn says(text: &str) -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: text.to_owned(),
                ..Text::default()
            })),
        }],
        ..Message::default()
    }
}

fn writes(account: &str, peer: &str, id: &str, text: &str) -> Event {
    Event {
        profile: Some(Profile {
            display_name: format!("Nguyễn {text}"),
            ..Profile::default()
        }),
        ..event(account, peer, &[], id, Kind::Message(says(text)))
    }
}

fn id_of(world: &World, identifier: &str) -> Option<CustomerId> {
    let found = now(read::resolve(&world.context(), "t", &named(identifier))).unwrap();
    found.map(|whole| whole.id)
}

/// Somebody on two channels who was two customers once, with answers on their way, and an event that waits for a decision;
/// and somebody else.
fn people(world: &World) -> [CustomerId; 2] {
    told(world, writes("sms", PHONE, "1", "secret-one"));
    world.pass(10);
    told(world, writes("mail", MAIL, "1", "secret-two"));
    told(world, writes("sms", OTHER, "1", "kept-word"));
    let ids = [PHONE, MAIL].map(|identifier| id_of(world, identifier).unwrap());
    let people = ids.map(Person::Customer);
    let asking = Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    };
    let both = [&people[0], &people[1]];
    now(merge(&world.context(), &asking, both, Word::Person, &mut Vec::new())).unwrap();
    for (number, later_ms) in [0, 3_600_000].into_iter().enumerate() {
        let request = answer(world, &format!("r{number}"), later_ms);
        now(send::accept(&world.context(), &request)).unwrap();
    }
    for (peer, text) in [(PHONE, "secret-parked"), (OTHER, "kept-parked")] {
        let stamped = Stamped {
            event: writes("sms", peer, "9", text).encode_to_vec().into(),
            received_at_ms: 7,
            traceparent: String::new(),
            ..Stamped::default()
        };
        let unfit = Unfit {
            stamped: &stamped,
            reason: "attempts_exhausted",
            detail: "it failed",
            attempts: 5,
            origin: "q",
        };
        now(park_event(&world.context(), &unfit)).unwrap();
    }
    ids
}

pub(crate) fn answer(world: &World, request_id: &str, later_ms: i64) -> Request {
    let at = Moment(world.context().now().0 + later_ms);
    Request {
        tenant_id: "t".to_owned(),
        request_id: request_id.to_owned(),
        body_hash: [7; 32],
        target: Target::Identifier {
            named: Named {
                identifier: named(PHONE),
                evidence: Evidence::Vouched,
                provider_form: String::new(),
            },
            account_id: "sms".to_owned(),
            channel: "test".to_owned(),
        },
        message: says("secret-answer"),
        send_at: at,
        expire_at: Moment(at.0 + 3_600_000),
        lane: Lane::Transactional,
        on_unknown: UnknownPolicy::Report,
        traceparent: String::new(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    }
}

/// Everything was published.
fn published(world: &World) {
    for number in 0..=u8::MAX {
        let shard = Shard::new(number);
        let left = now(outbox::left_over(
            &world.context(),
            shard,
            std::time::Duration::ZERO,
            1000,
        ))
        .unwrap();
        world
            .outbox
            .published(shard, left.into_iter().map(|one| one.member).collect());
        while world.outbox.shards().contains(&shard) {
            now(outbox::flush(&world.context(), shard)).unwrap();
        }
    }
}

pub(crate) fn stands(world: &World, text: &str) -> bool {
    let all = world.store.memory.everything();
    all.iter()
        .any(|value| value.windows(text.len()).any(|window| window == text.as_bytes()))
}

fn timers(world: &World) -> Vec<Timer> {
    let mut found = Vec::new();
    for number in 0..=u8::MAX {
        let query = Query::Range {
            key: keys::timers(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 100,
            reverse: false,
        };
        let answers: Vec<Answer> = world.store.memory.read_now(Shard::new(number), &[query]);
        let members = as_range(answers.into_iter().next()).unwrap();
        found.extend(members.iter().filter_map(|(member, _)| keys::read_timer_member(member)));
    }
    found.into_iter().map(|(_, timer)| timer).collect()
}

fn nothing_is_left(world: &World, [one, other]: [CustomerId; 2]) {
    published(world);
    for trace in ["901234567", "lan@", "secret", "Nguyễn secret"] {
        assert!(!stands(world, trace), "{trace}");
    }
    assert_eq!(timers(world), []);
    for id in [one, other] {
        assert!(now(read::customer(&world.context(), "t", id)).unwrap().is_none());
    }
    assert_eq!([PHONE, MAIL].map(|identifier| id_of(world, identifier)), [None, None]);
    // The other one lost nothing, not even what is parked.
    assert!(id_of(world, OTHER).is_some());
    assert!(stands(world, "907654321"));
    let parked = now(park::list(&world.context(), &["t"], None, 10)).unwrap().0;
    assert_eq!(parked.len(), 1);
}

#[test]
fn nothing_of_a_person_is_left_in_the_store() {
    for loses in [false, true] {
        let world = World::new(loses);
        let ids = people(&world);
        // What people and we wrote is sealed; who they are is not.
        published(&world);
        assert!(stands(&world, "901234567") && stands(&world, "lan@"));
        assert!(!stands(&world, "secret-answer") && !stands(&world, "secret-parked"));
        world.pass(1_000);
        let erased = now(erase(&world.context(), "t", ids[1])).unwrap().unwrap();
        assert_eq!(erased.identifiers, 2);
        nothing_is_left(&world, ids);
        // By whichever of its ids, and again.
        for id in ids {
            assert_eq!(now(erase(&world.context(), "t", id)).unwrap(), Some(erased));
        }
    }
}

#[test]
fn an_erasure_that_was_only_begun_is_finished_by_its_timer() {
    for commits in 1..100 {
        let world = World::new(false);
        let ids = people(&world);
        published(&world);
        world.pass(1_000);
        world.store.stops_after(commits);
        let done = now(erase(&world.context(), "t", ids[0])).is_ok();
        world.store.goes_on();
        let world = World {
            store: world.store,
            clock: world.clock,
            ..World::new(false)
        };
        if done {
            assert!(commits > 10, "{commits} commits were enough");
            return nothing_is_left(&world, ids);
        }
        assert!(
            timers(&world).contains(&Timer::Erasure(ids[0])),
            "after {commits} commits"
        );
        world.pass(60_000);
        now(go_on(&world.context(), ids[0], world.context().now())).unwrap();
        nothing_is_left(&world, ids);
    }
    panic!("100 commits were not enough");
}

#[test]
fn what_was_on_its_way_is_dropped_and_what_comes_after_is_somebody_new() {
    let world = World::new(false);
    let ids = people(&world);
    let before = arrival(message("sms", PHONE, &[], "late"));
    world.pass(1_000);
    now(erase(&world.context(), "t", ids[0])).unwrap();
    let applied = now(apply(&world.context(), &[before])).unwrap();
    assert_eq!((applied.applied.len(), applied.dropped), (0, 1));
    assert_eq!(id_of(&world, PHONE), None);
    let mut after = arrival(message("sms", PHONE, &[], "new"));
    world.pass(1_000);
    after.received_at = world.context().now();
    now(apply(&world.context(), &[after])).unwrap();
    let new = id_of(&world, PHONE).unwrap();
    assert!(!ids.contains(&new));
}

#[test]
fn there_is_nothing_to_erase_of_nobody() {
    let world = World::new(false);
    let nobody = CustomerId([9; 16]);
    assert_eq!(now(erase(&world.context(), "t", nobody)).unwrap(), None::<Erasure>);
    // Nor of somebody of another tenant.
    let ids = people(&world);
    for id in ids {
        assert_eq!(now(erase(&world.context(), "other", id)).unwrap(), None);
    }
    assert!(id_of(&world, PHONE).is_some());
}

#[test]
fn a_message_to_somebody_erased_is_for_whoever_has_the_number_now() {
    let world = World::new(false);
    let ids = people(&world);
    world.pass(1_000);
    // By another process: this one still remembers the former owner.
    let (cache, outbox) = (Cache::new(100), Outbox::default());
    let elsewhere = Context {
        cache: &cache,
        outbox: &outbox,
        ..world.context()
    };
    now(erase(&elsewhere, "t", ids[0])).unwrap();
    world.pass(1_000);
    let sent = now(send::accept(&world.context(), &answer(&world, "after", 0))).unwrap();
    let delivery = sent.record.delivery.clone().unwrap();
    let new = id_of(&world, PHONE).unwrap();
    assert!(!ids.contains(&new));
    assert_eq!(delivery.customer_id, new.to_string());
    // What was asked for before the erasure is not sent by being asked for again.
    let again = now(send::accept(&world.context(), &answer(&world, "r0", 0)));
    assert!(matches!(again, Err(NotAccepted::Erased)), "{again:?}");
    assert_eq!(timers(&world).len(), 1);
}

#[test]
fn what_a_former_holder_of_a_number_said_outlives_the_erasure_of_the_new_one() {
    let world = World::new(false);
    told(&world, writes("sms", PHONE, "1", "old-word"));
    let old = id_of(&world, PHONE).unwrap();
    world.pass(10_000);
    let whole = now(read::customer(&world.context(), "t", old)).unwrap().unwrap();
    let birth = omnigate_core::identity::member(&whole.record.members, &named(PHONE)).unwrap();
    let command = Command {
        tenant_id: "t".to_owned(),
        birth: Birth::from_bytes(&birth.birth).unwrap(),
        gets: CustomerId::new(world.context().now(), old.shard(), [9; 16]),
        name: "split".to_owned(),
        what: What::NewHolder(named(PHONE)),
        trace_id: "trace".to_owned(),
    };
    now(split(&world.context(), &command, old, &mut Vec::new())).unwrap();
    world.pass(10_000);
    let mut says = arrival(writes("sms", PHONE, "2", "secret-word"));
    says.received_at = world.context().now();
    now(apply(&world.context(), &[says])).unwrap();
    let new = id_of(&world, PHONE).unwrap();
    assert_ne!(new, old);
    let said = |id: CustomerId| -> Vec<String> {
        let whole = now(read::customer(&world.context(), "t", id)).unwrap().unwrap();
        let page = now(entries::page(
            &world.context(),
            &whole.views(),
            &Wanted::first(10, true),
        ))
        .unwrap();
        let events = page.entries.into_iter().filter_map(|(_, entry)| entry.event);
        events
            .map(|event| event.provider_message_id)
            .filter(|id| !id.is_empty())
            .collect()
    };
    assert_eq!((said(old), said(new)), (vec!["1".to_owned()], vec!["2".to_owned()]));
    world.pass(10_000);
    now(erase(&world.context(), "t", new)).unwrap();
    assert_eq!(said(old), ["1"]);
    // And is gone with the former holder.
    now(erase(&world.context(), "t", old)).unwrap();
    published(&world);
    for trace in ["901234567", "secret-word", "old-word"] {
        assert!(!stands(&world, trace), "{trace}");
    }
}

#[test]
fn a_thread_of_another_tenant_is_no_thread() {
    let world = World::new(false);
    people(&world);
    let peer = omnigate_core::identifier::key("t", &named(PHONE));
    let id = omnigate_core::id::ThreadId::new(peer, "sms");
    let request = Request {
        tenant_id: "other".to_owned(),
        target: Target::Thread {
            id,
            account_id: "sms".to_owned(),
            channel: "test".to_owned(),
        },
        ..answer(&world, "foreign", 0)
    };
    let refused = now(send::accept(&world.context(), &request));
    assert!(matches!(refused, Err(NotAccepted::NoSuchThread)), "{refused:?}");
    let seen = |tenant_id| now(entries::thread_view(&world.context(), tenant_id, id, "sms")).unwrap();
    assert!(seen("t").is_some() && seen("other").is_none());
}
