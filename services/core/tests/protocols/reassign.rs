//! Phone numbers that were given to somebody else, and those that only look so.

use crate::link::{message, named};
use crate::stories::{asking, by_id, merged};
use crate::trim::received;
use crate::{World, now};
use omnigate_core::consent::{Asked, MarketingDefault, Recorded, Said, What as Told, effective};
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identifier;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::reassign::REASSIGNED;
use omnigate_core::identity::split::What;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::consent::{self, Whom, layers};
use omnigate_core::protocol::identity::reassign::{Given, answer_as_one, answer_as_two, between, give};
use omnigate_core::protocol::identity::{Command, Merged, Person, conflicts, keep_apart, merge};
use omnigate_core::protocol::read;
use omnigate_core::tenant::{self, TenantRules};
use omnigate_proto::v1::{ConsentLayerKind, ConsentStatus, LegalBasis, Purpose};

const PHONE: &str = "phone//+84901234567";
const OLD: &str = "zalo_uid/oa/1";
const NEW: &str = "zalo_uid/oa/2";
const DAY: i64 = 24 * 3_600_000;

/// Somebody writes on Zalo, who vouches for their number.
fn writes(world: &World, peer: &str, id: &str) {
    told(world, peer, &[PHONE], id);
}

fn told(world: &World, peer: &str, others: &[&str], id: &str) {
    let event = received(world, message("oa", peer, others, id));
    now(apply(&world.context(), &[event])).unwrap();
}

fn of(world: &World, identifier: &str) -> CustomerId {
    now(read::resolve(&world.context(), "t", &named(identifier)))
        .unwrap()
        .unwrap()
        .id
}

fn granted(world: &World) {
    let said = Said {
        id: [1; 16],
        channel: "sms".into(),
        purpose: Purpose::Marketing,
        at: world.context().now(),
        what: Told::Recorded(Box::new(Recorded {
            status: ConsentStatus::Granted,
            basis: LegalBasis::Consent,
            source: "form".into(),
            text_version: String::new(),
            proof: String::new(),
            expires_at: None,
        })),
    };
    now(consent::record(
        &world.context(),
        identifier::key("t", &named(PHONE)),
        &[said],
    ))
    .unwrap();
}

/// Why advertising by SMS does not go to the number, and what the ledger's grant is worth.
fn advertising(world: &World) -> (Option<&'static str>, String) {
    let phone = named(PHONE);
    let whom = Whom {
        tenant_id: "t",
        identifier: &phone,
        from: None,
    };
    let layers = now(layers(&world.context(), whom)).unwrap();
    let asked = Asked {
        channel: "sms",
        purpose: Purpose::Marketing,
        default: MarketingDefault::Required,
        now: world.context().now(),
    };
    let effective = effective(&layers, &asked);
    let grant = effective
        .layers
        .iter()
        .find(|seen| seen.kind == ConsentLayerKind::Grant);
    (effective.code(), grant.unwrap().detail.clone())
}

fn rules(world: &World) -> Vec<Vec<String>> {
    let found = now(conflicts(&world.context(), "t", None, 10)).unwrap();
    found.into_iter().map(|(_, _, conflict)| conflict.rules).collect()
}

/// A customer who was silent for so many days, and somebody new who is known by their number.
fn somebody_new(loses: bool, days: i64) -> World {
    let world = World::new(loses);
    writes(&world, OLD, "1");
    granted(&world);
    world.pass(days * DAY);
    writes(&world, NEW, "2");
    world
}

fn is_asked(world: &World) {
    let (old, new) = (of(world, OLD), of(world, NEW));
    assert_ne!(old, new);
    assert_eq!(of(world, PHONE), old, "the number stays until somebody decides");
    assert_eq!(rules(world), [vec![REASSIGNED.to_owned()]]);
    let (code, grant) = advertising(world);
    assert_eq!(code, Some("suppressed"));
    assert!(grant.starts_with("what was granted lapsed"), "{grant}");
}

#[test]
fn somebody_new_after_a_long_silence_is_a_conflict_and_waits_for_a_person() {
    for loses in [false, true] {
        let world = somebody_new(loses, 91);
        is_asked(&world);
        // However often they come, and whatever else they do.
        for number in 3..6 {
            world.pass(61_000);
            writes(&world, NEW, &number.to_string());
        }
        is_asked(&world);
        let history = by_id(&world, of(&world, OLD)).record.log_number;
        world.pass(61_000);
        writes(&world, NEW, "9");
        assert_eq!(by_id(&world, of(&world, OLD)).record.log_number, history, "asked once");
        // The old one comes back: the question stays.
        writes(&world, OLD, "10");
        world.pass(61_000);
        writes(&world, NEW, "11");
        is_asked(&world);
    }
}

#[test]
fn a_number_that_was_not_silent_links_as_before() {
    let world = somebody_new(false, 89);
    assert_eq!(of(&world, OLD), of(&world, PHONE));
    // There is room for one id of an account.
    assert_eq!(rules(&world), [vec!["CAP".to_owned()]]);
    assert_eq!(advertising(&world), (None, "granted (form)".to_owned()));
    // Of another account.
    let world = World::new(false);
    writes(&world, OLD, "1");
    world.pass(89 * DAY);
    told(&world, "psid/page/7", &[PHONE], "2");
    assert_eq!(of(&world, OLD), of(&world, "psid/page/7"));
}

#[test]
fn an_sms_from_the_number_and_the_owner_who_is_known_by_it_break_the_silence() {
    let page = "psid/page/7";
    let world = World::new(false);
    writes(&world, OLD, "1");
    world.pass(60 * DAY);
    told(&world, PHONE, &[], "2");
    world.pass(60 * DAY);
    told(&world, page, &[PHONE], "3");
    assert_eq!(of(&world, OLD), of(&world, page), "an SMS");
    let world = World::new(false);
    writes(&world, OLD, "1");
    world.pass(60 * DAY);
    writes(&world, OLD, "2");
    world.pass(60 * DAY);
    told(&world, page, &[PHONE], "3");
    assert_eq!(of(&world, OLD), of(&world, page), "evidence");
    let world = World::new(false);
    writes(&world, OLD, "1");
    world.pass(60 * DAY);
    // They write, but nobody says that the number is theirs still.
    told(&world, OLD, &[], "2");
    world.pass(60 * DAY);
    told(&world, page, &[PHONE], "3");
    assert_ne!(of(&world, OLD), of(&world, page));
}

#[test]
fn what_belongs_to_the_owner_anyway_is_not_somebody_new() {
    let world = World::new(false);
    told(&world, OLD, &[PHONE, "email//lan@example.vn"], "1");
    world.pass(120 * DAY);
    told(&world, "psid/page/7", &[PHONE, "email//lan@example.vn"], "2");
    assert_eq!(of(&world, OLD), of(&world, "psid/page/7"), "the address says so");
    assert!(rules(&world).is_empty());
}

#[test]
fn it_is_off_where_the_tenant_says_so() {
    let mut world = World::new(false);
    world.tenants = TenantRules {
        all: tenant::Rules {
            reassigned_after: None,
            ..tenant::Rules::DEFAULT
        },
        ..TenantRules::default()
    };
    writes(&world, OLD, "1");
    world.pass(1000 * DAY);
    told(&world, "psid/page/7", &[PHONE], "2");
    assert_eq!(of(&world, OLD), of(&world, "psid/page/7"));
}

#[test]
fn somebody_known_before_is_not_merged_by_a_number_that_was_silent() {
    for loses in [false, true] {
        let world = World::new(loses);
        writes(&world, OLD, "1");
        told(&world, "psid/page/7", &[], "2");
        world.pass(91 * DAY);
        told(&world, "psid/page/7", &[PHONE], "3");
        assert_ne!(of(&world, OLD), of(&world, "psid/page/7"));
        assert_eq!(rules(&world), [vec![REASSIGNED.to_owned()]]);
        assert_eq!(advertising(&world).0, Some("suppressed"));
    }
}

#[test]
fn whoever_is_killed_while_asking_asks_again() {
    for commits in 0..40 {
        let world = World::new(false);
        writes(&world, OLD, "1");
        granted(&world);
        world.pass(91 * DAY);
        let event = received(&world, message("oa", NEW, &[PHONE], "2"));
        world.store.stops_after(commits);
        let done = now(apply(&world.context(), std::slice::from_ref(&event))).is_ok();
        world.store.goes_on();
        // By another process.
        let cache = Cache::new(100);
        let elsewhere = omnigate_core::protocol::Context {
            cache: &cache,
            ..world.context()
        };
        now(apply(&elsewhere, &[event])).unwrap();
        is_asked(&world);
        if done {
            assert!(commits > 3, "{commits}");
            return;
        }
    }
    panic!("40 commits were not enough");
}

#[test]
fn the_same_person_is_one_and_may_be_written_to_again() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, OLD, &[PHONE], "1");
        granted(&world);
        world.pass(91 * DAY);
        told(&world, "psid/page/7", &[PHONE], "2");
        let (old, new) = (of(&world, OLD), of(&world, "psid/page/7"));
        let people = [Person::Customer(old), Person::Customer(new)];
        // A merge with somebody else answers nothing.
        told(&world, "crm/erp/1", &[], "3");
        merged(&world, old, of(&world, "crm/erp/1"));
        now(answer_as_one(&world.context(), "t", old)).unwrap();
        assert_eq!(advertising(&world).0, Some("suppressed"));
        let both = [&people[0], &people[1]];
        let one = now(merge(&world.context(), &asking(), both, Word::Person, &mut Vec::new())).unwrap();
        assert_eq!(one, Merged::One(old));
        now(answer_as_one(&world.context(), "t", old)).unwrap();
        assert_eq!(advertising(&world), (None, "granted (form)".to_owned()));
        assert!(rules(&world).is_empty());
        world.pass(61_000);
        told(&world, "psid/page/7", &[PHONE], "4");
        assert!(rules(&world).is_empty());
    }
}

#[test]
fn two_who_are_two_keep_what_they_have() {
    let world = somebody_new(false, 91);
    let pair = [of(&world, OLD), of(&world, NEW)];
    now(keep_apart(&world.context(), "t", "two", pair, "trace")).unwrap();
    now(answer_as_two(&world.context(), "t", pair)).unwrap();
    assert_eq!(advertising(&world), (None, "granted (form)".to_owned()));
    for number in 3..6 {
        world.pass(200 * DAY);
        writes(&world, NEW, &number.to_string());
    }
    assert!(rules(&world).is_empty());
    assert_eq!(
        (of(&world, OLD), of(&world, NEW), of(&world, PHONE)),
        (pair[0], pair[1], pair[0])
    );
    assert_eq!(advertising(&world).0, None);
}

fn given(world: &World, pair: [CustomerId; 2]) -> Given {
    let found = now(between(&world.context(), "t", pair)).unwrap();
    let (number, birth, from) = found.into_iter().next().unwrap();
    assert_eq!((&number, from), (&named(PHONE), pair[0]));
    let shard = identifier::key("t", &number).shard();
    Given {
        cut: Command {
            name: "given".into(),
            tenant_id: "t".into(),
            gets: CustomerId::new(world.context().now(), shard, [9; 16]),
            what: What::NewHolder(number.clone()),
            birth: Birth::from_bytes(&birth).unwrap(),
            trace_id: String::new(),
        },
        from,
        to: pair[1],
        number,
    }
}

fn is_given(world: &World, pair: [CustomerId; 2]) {
    assert_eq!(
        [of(world, OLD), of(world, NEW), of(world, PHONE)],
        [pair[0], pair[1], pair[1]]
    );
    assert!(rules(world).is_empty());
    // What the former holder agreed to is not what the new one agrees to.
    let (code, grant) = advertising(world);
    assert_eq!(
        (code, grant.as_str()),
        (Some("no_consent"), "nothing is granted in the ledger")
    );
}

#[test]
fn a_number_that_somebody_else_has_is_given_to_them_and_consent_lapses() {
    for loses in [false, true] {
        let world = somebody_new(loses, 91);
        let pair = [of(&world, OLD), of(&world, NEW)];
        world.pass(1);
        let given = given(&world, pair);
        now(give(&world.context(), &asking(), &given, &mut Vec::new())).unwrap();
        is_given(&world, pair);
        // The new holder agrees; a command that is repeated takes nothing away.
        world.pass(1_000);
        let mut said = Said {
            id: [2; 16],
            channel: "sms".into(),
            purpose: Purpose::Marketing,
            at: world.context().now(),
            what: Told::Recorded(Box::new(Recorded {
                status: ConsentStatus::Granted,
                basis: LegalBasis::Consent,
                source: "shop".into(),
                text_version: String::new(),
                proof: String::new(),
                expires_at: None,
            })),
        };
        let key = identifier::key("t", &named(PHONE));
        now(consent::record(&world.context(), key, &[said.clone()])).unwrap();
        said.id = [3; 16];
        said.channel = "zns".into();
        now(consent::record(&world.context(), key, &[said])).unwrap();
        world.pass(1_000);
        now(give(&world.context(), &asking(), &given, &mut Vec::new())).unwrap();
        assert_eq!(advertising(&world), (None, "granted (shop)".to_owned()));
        // And they are never brought together by it again.
        world.pass(61_000);
        writes(&world, NEW, "7");
        writes(&world, OLD, "8");
        assert_eq!(
            (of(&world, OLD), of(&world, NEW), of(&world, PHONE)),
            (pair[0], pair[1], pair[1])
        );
        assert_eq!(advertising(&world).0, None);
    }
}

#[test]
fn a_number_that_is_being_given_when_its_process_dies_is_given_by_the_repeated_command() {
    for commits in 0..100 {
        let world = somebody_new(false, 91);
        let pair = [of(&world, OLD), of(&world, NEW)];
        world.pass(1);
        let given = given(&world, pair);
        world.store.stops_after(commits);
        let done = now(give(&world.context(), &asking(), &given, &mut Vec::new())).is_ok();
        world.store.goes_on();
        now(give(&world.context(), &asking(), &given, &mut Vec::new())).unwrap();
        is_given(&world, pair);
        if done {
            assert!(commits > 8, "{commits}");
            return;
        }
    }
    panic!("100 commits were not enough");
}
