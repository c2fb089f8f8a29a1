//! Consents through events, merges, splits and crashes; the suppression list; what is looked at before a message leaves.

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

#[test]
fn a_merge_creates_no_consent_and_a_split_loses_none() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        grant(&world, PHONE, 1);
        hears(&world, &[wish("b", ZALO, 2, SubscriptionState::Unsubscribed, "")]);
        let both = || [PHONE, ZALO].map(|text| (stands(&world, text), all(&world, text).len()));
        let before = both();
        assert_eq!(
            before,
            [(Some(ConsentStatus::Granted), 1), (Some(ConsentStatus::Denied), 1)]
        );
        merged(&world, older, younger);
        assert_eq!(both(), before);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("opted_out"));
        taken_apart(&world, younger);
        assert_ne!(customer(&world, PHONE), customer(&world, ZALO));
        assert_eq!(both(), before);
    }
}

#[test]
fn a_merge_makes_the_customers_word_stricter_and_a_split_gives_each_their_own_back() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        merged(&world, older, younger);
        for text in [PHONE, ZALO] {
            assert_eq!(
                code(&world, text, Purpose::Marketing),
                Some("customer_opted_out"),
                "{text}"
            );
            assert_eq!(code(&world, text, Purpose::Service), None, "{text}");
        }
        taken_apart(&world, younger);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("customer_opted_out"));
    }
}

#[test]
fn a_word_said_while_two_are_one_holds_for_both_and_is_taken_back_for_both() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        merged(&world, older, younger);
        refuses(&world, older, false);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), None);
        refuses(&world, younger, true);
        taken_apart(&world, younger);
        for text in [PHONE, ZALO] {
            assert_eq!(
                code(&world, text, Purpose::Marketing),
                Some("customer_opted_out"),
                "{text}"
            );
        }
        // Taken back for one of them now.
        refuses(&world, older, false);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("customer_opted_out"));
    }
}

/// A store that a process loses at one of its calls.
struct Lost<'a> {
    world: &'a World,
    calls: AtomicU64,
    at: u64,
}

impl Lost<'_> {
    fn call(&self) -> Result<(), StoreError> {
        match self.calls.fetch_add(1, Ordering::Relaxed) >= self.at {
            true => Err(StoreError::Unavailable("lost".into())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Store for Lost<'_> {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.call()?;
        self.world.store.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.call()?;
        self.world.store.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_word_is_written_also_where_a_split_was_left_half_done() {
    for at in 0..16 {
        let world = World::new(false);
        let [older, younger] = two(&world);
        merged(&world, older, younger);
        let store = Lost {
            world: &world,
            calls: AtomicU64::default(),
            at,
        };
        let context = Context {
            store: &store,
            ..world.context()
        };
        let whole = now(read::customer(&world.context(), "t", younger)).unwrap().unwrap();
        let step = whole.merges().next().unwrap();
        // It may end, or die on the way.
        now(split(&context, &apart(younger, step), younger, &mut Vec::new())).ok();
        refuses(&world, older, true);
        refuses(&world, younger, true);
        refuses(&world, younger, false);
    }
}

/// A store beside which something else happens before one of its calls.
struct Meddled<'a> {
    world: &'a World,
    calls: AtomicU64,
    at: u64,
    meddle: &'a (dyn Fn() + Sync),
}

impl Meddled<'_> {
    fn call(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.meddle)();
        }
    }
}

#[async_trait::async_trait]
impl Store for Meddled<'_> {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.call();
        self.world.store.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.call();
        self.world.store.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn who_was_taken_apart_meanwhile_keeps_their_word() {
    let mut kept = 0;
    for at in 0..16 {
        let world = World::new(false);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        merged(&world, older, younger);
        world.pass(10);
        let seen = Mutex::new(None);
        let meddle = || {
            taken_apart(&world, younger);
            let said = now(refusals(&world.context(), "t", &named(ZALO), younger)).unwrap();
            *seen.lock().unwrap() = Some(said.iter().any(|(_, said)| said.refuses));
        };
        let store = Meddled {
            world: &world,
            calls: AtomicU64::default(),
            at,
            meddle: &meddle,
        };
        let context = Context {
            store: &store,
            ..world.context()
        };
        now(set_refusal(&context, "t", older, &word(&world, false))).unwrap();
        let said = now(refusals(&world.context(), "t", &named(ZALO), younger)).unwrap();
        let refuses = said.iter().any(|(_, said)| said.refuses);
        let seen = *seen.lock().unwrap();
        assert!(seen.is_none_or(|seen| seen == refuses), "call {at}");
        kept += usize::from(refuses);
    }
    assert!(kept > 3, "{kept}");
}

#[test]
fn a_repeated_request_does_not_undo_what_came_after_it() {
    let world = World::new(false);
    let [older, _] = two(&world);
    let first = word(&world, true);
    let set = |word: &RefusalRecord| now(set_refusal(&world.context(), "t", older, word)).unwrap().unwrap().1;
    assert!(set(&first));
    world.pass(5);
    assert!(!set(&word(&world, false)));
    assert!(!set(&first), "the caller repeats what was answered already");
    let nobody = CustomerId::new(Moment(1), Shard::new(9), [1; 16]);
    assert_eq!(now(set_refusal(&world.context(), "t", nobody, &first)).unwrap(), None);
    assert_eq!(
        now(set_refusal(&world.context(), "u", older, &first)).unwrap(),
        None,
        "another tenant"
    );
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

#[test]
fn the_list_outlives_erasure_and_names_nobody() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("a", PHONE, &[], "1"));
        suppressed(&world, PHONE);
        assert!(
            now(erase(&world.context(), "t", customer(&world, PHONE)))
                .unwrap()
                .is_some()
        );
        assert_eq!(code(&world, PHONE, Purpose::Service), Some("suppressed"));
        let listed = now(consent::list(&world.context(), "t", None, 10)).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(!format!("{listed:?}").contains("84912000222"));
        assert!(now(consent::list(&world.context(), "u", None, 10)).unwrap().is_empty());
        // Another tenant learns nothing by the id.
        let record = now(consent::listed(&world.context(), "u", listed[0].0)).unwrap();
        assert!(record.causes.is_empty());
        let at = (Moment(9), ("", SuppressionReason::Manual));
        now(consent::lift(&world.context(), "u", listed[0].0, at.1, at.0)).unwrap();
        assert_eq!(code(&world, PHONE, Purpose::Service), Some("suppressed"));
        let left = now(consent::lift(&world.context(), "t", listed[0].0, at.1, at.0)).unwrap();
        assert!(left.causes.iter().any(|cause| !holds(cause, Moment(10))));
        assert_eq!(code(&world, PHONE, Purpose::Service), None);
    }
}

#[test]
fn erasure_forgets_what_was_said_and_keeps_advertising_away() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("a", PHONE, &[], "1"));
        grant(&world, PHONE, 1);
        let erased = customer(&world, PHONE);
        refuses(&world, erased, true);
        assert!(now(erase(&world.context(), "t", erased)).unwrap().is_some());
        let key = keys::refusal(erased);
        let answers = now(world.context().store.read(erased.shard(), vec![Query::Record(key)])).unwrap();
        assert_eq!(as_record(answers.into_iter().next()).unwrap(), None);
        assert!(all(&world, PHONE).is_empty() && stands(&world, PHONE).is_none());
        assert_eq!(code(&world, PHONE, Purpose::Marketing), Some("suppressed"));
        // They come back by themselves: answers reach them, advertising does not, and a late repetition changes nothing.
        world.pass(10_000);
        let mut back = arrival(message("a", PHONE, &[], "2"));
        back.received_at = world.context().now();
        hears(&world, &[back]);
        grant(&world, PHONE, 5_000);
        assert!(now(erase(&world.context(), "t", erased)).unwrap().is_some());
        assert_eq!(all(&world, PHONE).len(), 1);
        assert_eq!(code(&world, PHONE, Purpose::Service), None);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), Some("suppressed"));
        let id = now(consent::id(&world.context(), "t", &named(PHONE))).unwrap();
        let entry = ("", SuppressionReason::Erased);
        now(consent::lift(&world.context(), "t", id, entry, world.context().now())).unwrap();
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
    }
}

#[test]
fn the_key_of_the_list_is_made_once_and_is_a_secret() {
    for loses in [false, true] {
        let world = World::new(loses);
        let key = now(consent::hash_key(&world.context())).unwrap();
        let other = omnigate_core::protocol::cache::Cache::new(1);
        let afresh = omnigate_core::protocol::Context {
            cache: &other,
            ..world.context()
        };
        assert_eq!(now(consent::hash_key(&afresh)).unwrap().0, key.0, "of another process");
        assert!(keys::is_secret(&keys::suppression_key()));
        let id = id(key, "t", &named(PHONE));
        for plain in [keys::suppression(id), keys::suppressions("t")] {
            assert!(!keys::is_secret(&plain));
        }
    }
}

#[test]
fn pages_of_the_list_go_on_where_the_one_before_ended() {
    let world = World::new(false);
    for number in 0..7 {
        suppressed(&world, &format!("phone//+8491200000{number}"));
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = now(consent::list(&world.context(), "t", after, 3)).unwrap();
        after = page.last().map(|(id, _)| *id);
        found.extend(page.iter().map(|(id, _)| *id));
        if page.len() < 3 {
            break;
        }
    }
    found.dedup();
    assert_eq!(found.len(), 7);
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
fn every_message_is_measured_against_the_list_at_the_moment_of_sending() {
    for loses in [false, true] {
        for purpose in [Purpose::Service, Purpose::Marketing] {
            let world = World::new(loses);
            // Accepted before, and remembered by the process that sends.
            let id = accepted(&world, "brand", PHONE, purpose);
            suppressed(&world, PHONE);
            let Begun::Lapsed(changed) = begun(&world, id, &Rules::default()) else {
                panic!("it leaves")
            };
            refused_as(&changed.record, "suppressed");
            let next = accepted(&world, "brand", ZALO, purpose);
            assert!(matches!(begun(&world, next, &Rules::default()), Begun::Go(..)));
        }
    }
}

#[test]
fn the_number_that_an_alternative_goes_to_is_looked_at_too() {
    let world = World::new(false);
    told(&world, message("oa", ZALO, &[], "1"));
    world.pass(1_000);
    let rules = Rules {
        window: Some(ReplyWindowRule {
            free_ms: 1,
            open_ms: 1,
            peer_type: String::new(),
        }),
        ..Rules::default()
    };
    let message = || Message {
        alternative: Some(Alternative {
            template: Some(TemplateRef::default()),
            phone: named(PHONE).value,
        }),
        ..Message::default()
    };
    let id = accepts(&world, "oa", ZALO, message());
    suppressed(&world, PHONE);
    let Begun::Lapsed(changed) = begun(&world, id, &rules) else {
        panic!("it leaves")
    };
    refused_as(&changed.record, "suppressed");
    let open = Rules::default();
    let id = accepts(&world, "oa", ZALO, message());
    assert!(
        matches!(begun(&world, id, &open), Begun::Go(..)),
        "the message itself goes to somebody else"
    );
}

#[test]
fn advertising_is_measured_against_every_layer_at_the_moment_of_sending() {
    for loses in [false, true] {
        let world = World::new(loses);
        let id = accepted(&world, "brand", PHONE, Purpose::Marketing);
        refuses(&world, customer(&world, PHONE), true);
        let Begun::Lapsed(changed) = begun(&world, id, &Rules::default()) else {
            panic!("it leaves")
        };
        refused_as(&changed.record, "customer_opted_out");

        let rules = Rules {
            marketing: MarketingDefault::Required,
            ..Rules::default()
        };
        let id = accepted(&world, "brand", ZALO, Purpose::Marketing);
        let Begun::Lapsed(changed) = begun(&world, id, &rules) else {
            panic!("it leaves")
        };
        refused_as(&changed.record, "no_consent");
        grant(&world, ZALO, 1);
        let id = accepted(&world, "brand", ZALO, Purpose::Marketing);
        assert!(matches!(begun(&world, id, &rules), Begun::Go(..)));
    }
}

#[test]
fn the_word_of_whoever_the_customer_became_counts() {
    let world = World::new(false);
    let [older, younger] = two(&world);
    let id = accepted(&world, "b", ZALO, Purpose::Marketing);
    refuses(&world, older, true);
    merged(&world, older, younger);
    let Begun::Lapsed(changed) = begun(&world, id, &Rules::default()) else {
        panic!("it leaves")
    };
    refused_as(&changed.record, "customer_opted_out");
    let said = now(refusals(&world.context(), "t", &named(ZALO), younger)).unwrap();
    assert_eq!(said.iter().filter(|(_, said)| said.refuses).count(), 1);
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
