//! Consents: what is in the ledger, whatever comes twice, too late or from whom.

mod merges;
mod sending;

use crate::link::{arrival, event, message, named, told};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::consent::suppression::{holds, id};
use omnigate_core::consent::{
    Asked, Layers, MarketingDefault, Recorded, Said, What, effective, presently, refused_by_event, standing,
};
use omnigate_core::id::{CustomerId, EventId, MessageId, hash};
use omnigate_core::identifier;
use omnigate_core::identity::Named;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What as Splitting;
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Store, StoreError};
use omnigate_core::protocol::Context;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::consent::{self, Whom, history, layers, refusals, set_refusal};
use omnigate_core::protocol::context::as_record;
use omnigate_core::protocol::identity::{Command, Person, erase, merge, split};
use omnigate_core::protocol::read;
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::protocol::send::{self, Request, Target};
use omnigate_core::protocol::submit::{self, Begun, Rules};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{ConsentFact, DeliveryRecord, MergeStep, RefusalRecord, SuppressionCause};
use omnigate_proto::v1::{
    Alternative, ConsentStatus, DeliveryState, ErrorClass, Evidence, Lane, LegalBasis, Message, Part, Purpose,
    ReplyWindowRule, Subscription, SubscriptionState, SuppressionReason, TemplateRef, Text, UnknownPolicy, event::Kind,
    part::Content,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ZALO: &str = "zalo_uid/oa/7";
const PHONE: &str = "phone//+84912000222";

fn wish(account: &str, peer: &str, number: i64, state: SubscriptionState, topic: &str) -> Arrival {
    let kind = Kind::Subscription(Subscription {
        state: state.into(),
        topic: topic.into(),
        ..Subscription::default()
    });
    let mut arrival = arrival(event(account, peer, &[], &format!("w{number}"), kind));
    arrival.received_at = Moment(arrival.received_at.0 + number);
    arrival
}

fn hears(world: &World, arrivals: &[Arrival]) {
    now(apply(&world.context(), arrivals)).unwrap();
}

fn of(world: &World, text: &str) -> Layers {
    let identifier = named(text);
    let whom = Whom {
        tenant_id: "t",
        identifier: &identifier,
        from: None,
    };
    now(layers(&world.context(), whom)).unwrap()
}

/// What stands about advertising on the channel of the tests.
fn stands(world: &World, text: &str) -> Option<ConsentStatus> {
    let layers = of(world, text);
    let fact = standing(&layers.consent, "test", Purpose::Marketing)?;
    Some(presently(fact, world.context().now()))
}

fn all(world: &World, text: &str) -> Vec<ConsentFact> {
    let key = identifier::key("t", &named(text));
    now(history(&world.context(), key, None, 100)).unwrap()
}

fn grant(world: &World, text: &str, at: i64) {
    let said = Said {
        id: hash("test", &[text.as_bytes(), &at.to_be_bytes()])[..16]
            .try_into()
            .unwrap(),
        channel: "test".into(),
        purpose: Purpose::Marketing,
        at: Moment(1_800_000_000_000 + at),
        what: What::Recorded(Box::new(Recorded {
            status: ConsentStatus::Granted,
            basis: LegalBasis::Consent,
            source: "form".into(),
            text_version: "v1".into(),
            proof: String::new(),
            expires_at: None,
        })),
    };
    let key = identifier::key("t", &named(text));
    now(consent::record(&world.context(), key, &[said])).unwrap();
}

fn code(world: &World, text: &str, purpose: Purpose) -> Option<&'static str> {
    let asked = Asked {
        channel: "test",
        purpose,
        default: MarketingDefault::Allowed,
        now: world.context().now(),
    };
    effective(&of(world, text), &asked).code()
}

#[test]
fn a_wish_is_in_the_ledger_once_however_often_it_comes_and_whatever_answers_get_lost() {
    for loses in [false, true] {
        let world = World::new(loses);
        let stop = wish("brand", PHONE, 1, SubscriptionState::Unsubscribed, "");
        for _ in 0..3 {
            hears(&world, std::slice::from_ref(&stop));
        }
        assert_eq!(all(&world, PHONE).len(), 1);
        assert_eq!(stands(&world, PHONE), Some(ConsentStatus::Denied));
        assert!(refused_by_event(&all(&world, PHONE)[0]));
        let start = wish("brand", PHONE, 2, SubscriptionState::Subscribed, "");
        hears(&world, &[stop.clone(), start.clone()]);
        hears(&world, &[stop, start]);
        let told: Vec<_> = all(&world, PHONE)
            .iter()
            .map(|fact| (fact.number, fact.status()))
            .collect();
        assert_eq!(told, [(2, ConsentStatus::Unknown), (1, ConsentStatus::Denied)]);
    }
}

#[test]
fn a_wish_that_took_effect_before_a_crash_is_in_the_ledger_when_its_event_comes_again() {
    let world = World::new(false);
    let stop = wish("brand", PHONE, 1, SubscriptionState::Unsubscribed, "marketing");
    // The process died between the thread and the ledger: what it wrote last is taken away again.
    hears(&world, std::slice::from_ref(&stop));
    let key = identifier::key("t", &named(PHONE));
    forget(&world, key.shard(), &keys::consent(key), &keys::consent_history(key));
    assert_eq!(stands(&world, PHONE), None);
    hears(&world, &[stop]);
    assert_eq!(stands(&world, PHONE), Some(ConsentStatus::Denied));
}

fn forget(world: &World, shard: Shard, record: &bytes::Bytes, history: &bytes::Bytes) {
    use omnigate_core::port::store::{Expect, Shape, Write};
    let answers = now(world.context().store.read(shard, vec![Query::Record(record.clone())])).unwrap();
    let stamp = as_record(answers.into_iter().next()).unwrap().map(|found| found.stamp);
    let expect = vec![Expect::Record {
        key: record.clone(),
        stamp,
    }];
    let delete = |shape, key: &bytes::Bytes| Write::Delete {
        shape,
        key: key.clone(),
    };
    let write = vec![
        delete(Shape::Record, record),
        delete(Shape::Map, history),
        delete(Shape::Index, history),
    ];
    now(world.context().commit(shard, expect, write)).unwrap();
}

#[test]
fn a_wish_through_one_account_holds_for_all_accounts_of_the_channel() {
    let world = World::new(false);
    told(&world, message("brand", PHONE, &[], "1"));
    told(&world, message("care", PHONE, &[], "2"));
    hears(&world, &[wish("brand", PHONE, 1, SubscriptionState::Unsubscribed, "")]);
    let (begun, record) = sent(&world, "care", PHONE, Purpose::Marketing);
    assert!(matches!(begun, Begun::Lapsed(_)));
    refused_as(&record, "opted_out");
    let (begun, _) = sent(&world, "care", PHONE, Purpose::Service);
    assert!(matches!(begun, Begun::Go(..)), "answers still reach them");
}

#[test]
fn a_wish_never_gives_what_was_not_there_and_takes_back_what_it_took() {
    let world = World::new(false);
    hears(&world, &[wish("brand", PHONE, 1, SubscriptionState::Subscribed, "")]);
    assert!(
        all(&world, PHONE).is_empty(),
        "a word that takes nothing back is no consent"
    );
    grant(&world, PHONE, 2);
    hears(&world, &[wish("brand", PHONE, 3, SubscriptionState::Unsubscribed, "")]);
    assert_eq!(stands(&world, PHONE), Some(ConsentStatus::Denied));
    hears(&world, &[wish("brand", PHONE, 4, SubscriptionState::Subscribed, "")]);
    assert_eq!(stands(&world, PHONE), Some(ConsentStatus::Granted));
    hears(
        &world,
        &[wish("brand", PHONE, 5, SubscriptionState::Unsubscribed, "call")],
    );
    assert_eq!(
        stands(&world, PHONE),
        Some(ConsentStatus::Granted),
        "a provider's own subject"
    );
}

fn asking() -> Asking<'static> {
    Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    }
}

fn customer(world: &World, text: &str) -> CustomerId {
    now(read::resolve(&world.context(), "t", &named(text)))
        .unwrap()
        .unwrap()
        .id
}

fn two(world: &World) -> [CustomerId; 2] {
    told(world, message("a", PHONE, &[], "1"));
    world.pass(10);
    told(world, message("b", ZALO, &[], "2"));
    world.pass(10);
    [customer(world, PHONE), customer(world, ZALO)]
}

fn merged(world: &World, one: CustomerId, other: CustomerId) {
    let people = [Person::Customer(one), Person::Customer(other)];
    let both = [&people[0], &people[1]];
    now(merge(&world.context(), &asking(), both, Word::Person, &mut Vec::new())).unwrap();
}

fn taken_apart(world: &World, gets: CustomerId) {
    let whole = now(read::customer(&world.context(), "t", gets)).unwrap().unwrap();
    let step = whole.merges().next().unwrap();
    now(split(&world.context(), &apart(gets, step), gets, &mut Vec::new())).unwrap();
}

/// The command that undoes a merge.
fn apart(gets: CustomerId, step: MergeStep) -> Command {
    Command {
        name: "apart".into(),
        tenant_id: "t".into(),
        gets,
        what: Splitting::Merge { step, only: None },
        birth: omnigate_core::id::Birth(gets.0),
        trace_id: String::new(),
    }
}

fn word(world: &World, refuses: bool) -> RefusalRecord {
    RefusalRecord {
        refuses,
        at_ms: world.context().now().0,
        source: "call".into(),
        proof: String::new(),
    }
}

fn refuses(world: &World, id: CustomerId, refuses: bool) {
    world.pass(10);
    let word = word(world, refuses);
    let (_, stands) = now(set_refusal(&world.context(), "t", id, &word)).unwrap().unwrap();
    assert_eq!(stands, refuses);
}

fn cause(at_ms: i64) -> SuppressionCause {
    SuppressionCause {
        reason: SuppressionReason::Manual.into(),
        at_ms,
        ..SuppressionCause::default()
    }
}

fn suppressed(world: &World, text: &str) {
    let id = now(consent::id(&world.context(), "t", &named(text))).unwrap();
    now(consent::suppress(&world.context(), "t", id, &cause(1))).unwrap();
}

/// Accepts a message and begins to send it.
fn sent(world: &World, account: &str, peer: &str, purpose: Purpose) -> (Begun, DeliveryRecord) {
    let (id, rules) = (accepted(world, account, peer, purpose), Rules::default());
    let begun = begun(world, id, &rules);
    let record = now(omnigate_core::protocol::delivery::get(&world.context(), id))
        .unwrap()
        .unwrap();
    (begun, record)
}

fn begun(world: &World, id: MessageId, rules: &Rules) -> Begun {
    now(submit::begin(&world.context(), id, rules, &[7; 16])).unwrap()
}

fn accepted(world: &World, account: &str, peer: &str, purpose: Purpose) -> MessageId {
    let text = Content::Text(Text {
        text: "chào".into(),
        ..Text::default()
    });
    let message = Message {
        parts: vec![Part { content: Some(text) }],
        purpose: purpose.into(),
        ..Message::default()
    };
    accepts(world, account, peer, message)
}

fn accepts(world: &World, account: &str, peer: &str, message: Message) -> MessageId {
    let number = world.store.commits.load(Ordering::Relaxed);
    let request = Request {
        tenant_id: "t".into(),
        request_id: format!("r{number}"),
        body_hash: [0; 32],
        target: Target::Identifier {
            named: Named {
                identifier: named(peer),
                evidence: Evidence::Stated,
                provider_form: String::new(),
            },
            account_id: account.into(),
            channel: "test".into(),
        },
        message,
        send_at: world.context().now(),
        expire_at: world.context().now() + Duration::from_secs(3600),
        lane: Lane::Transactional,
        on_unknown: UnknownPolicy::Report,
        traceparent: String::new(),
        trace_id: String::new(),
    };
    let accepted = now(send::accept(&world.context(), &request)).unwrap();
    let delivery = accepted.record.delivery.as_ref().unwrap();
    delivery.message_id.parse().unwrap()
}

fn refused_as(record: &DeliveryRecord, code: &str) {
    let delivery = record.delivery.as_ref().unwrap();
    let error = delivery.error.as_ref().unwrap();
    assert_eq!(
        (delivery.state(), error.class(), error.provider_code.as_str()),
        (DeliveryState::Skipped, ErrorClass::Refused, code),
        "{record:?}"
    );
    assert_eq!(
        (delivery.attempts, delivery.pieces.len()),
        (0, 0),
        "nothing was attempted"
    );
    let last = record.history.last().unwrap();
    assert!(last.what == "refused" && last.detail.contains(code), "{last:?}");
    assert!(record.timer_ms == 0 && record.lease.is_empty());
}

#[test]
fn pages_of_a_history_go_from_the_newest_to_the_oldest() {
    let world = World::new(false);
    for at in 1..=5 {
        grant(&world, PHONE, at);
    }
    let key = identifier::key("t", &named(PHONE));
    let page = |before| -> Vec<u64> {
        let facts = now(history(&world.context(), key, before, 2)).unwrap();
        facts.iter().map(|fact| fact.number).collect()
    };
    assert_eq!(
        (page(None), page(Some(4)), page(Some(2))),
        (vec![5, 4], vec![3, 2], vec![1])
    );
}

#[test]
fn facts_of_one_id_are_recorded_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        for _ in 0..3 {
            grant(&world, PHONE, 1);
        }
        let facts = all(&world, PHONE);
        assert_eq!((facts.len(), facts[0].stood), (1, true));
        let key = identifier::key("t", &named(PHONE));
        let id: [u8; 16] = hash("test", &[PHONE.as_bytes(), &1_i64.to_be_bytes()])[..16]
            .try_into()
            .unwrap();
        let fact = now(consent::recorded(&world.context(), key, &id)).unwrap();
        assert_eq!(fact, Some(facts[0].clone()));
        assert_eq!(
            now(consent::recorded(&world.context(), key, &EventId([1; 16]).0)).unwrap(),
            None
        );
    }
}
