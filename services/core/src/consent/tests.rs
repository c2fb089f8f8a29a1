use super::suppression::{HashKey, holds, id, lift, suppress};
use super::*;
use crate::id::{CustomerId, EventId};
use crate::shard::Shard;
use omnigate_proto::state::v1::{ConsentFact, ConsentRecord, RefusedTopic, SuppressionCause, SuppressionRecord};
use omnigate_proto::v1::{ConsentLayerKind, ConsentStatus, Identifier, LegalBasis, SuppressionReason};
use proptest::prelude::*;

const EVENT: EventId = EventId([3; 16]);

fn said(at: i64, what: What) -> Said {
    Said {
        id: [0; 16],
        channel: "sms".to_owned(),
        purpose: Purpose::Marketing,
        at: Moment(at),
        what,
    }
}

fn written(status: ConsentStatus, expires_at: Option<i64>) -> What {
    What::Recorded(Box::new(Recorded {
        status,
        basis: LegalBasis::Consent,
        source: "form".to_owned(),
        text_version: "v1".to_owned(),
        proof: "scan/7".to_owned(),
        expires_at: expires_at.map(Moment),
    }))
}

/// Records all of it, in order.
fn ledger(all: &[(i64, What)]) -> (ConsentRecord, Vec<ConsentFact>) {
    let mut ledger = ConsentRecord::default();
    let mut history = Vec::new();
    for (at, what) in all {
        if let Some((next, fact)) = record(&ledger, &said(*at, what.clone()), Moment(1_000)).unwrap() {
            ledger = next;
            history.push(fact);
        }
    }
    (ledger, history)
}

fn status(ledger: &ConsentRecord, now: i64) -> Option<ConsentStatus> {
    standing(ledger, "sms", Purpose::Marketing).map(|fact| presently(fact, Moment(now)))
}

#[test]
fn an_older_fact_is_kept_and_does_not_stand() {
    let (record, history) = ledger(&[
        (20, written(ConsentStatus::Denied, None)),
        (10, written(ConsentStatus::Granted, None)),
    ]);
    assert_eq!(status(&record, 30), Some(ConsentStatus::Denied));
    let told: Vec<_> = history.iter().map(|fact| (fact.number, fact.stood)).collect();
    assert_eq!(told, [(1, true), (2, false)]);
}

#[test]
fn of_two_from_the_same_moment_the_stricter_stands() {
    for (first, second) in [
        (ConsentStatus::Denied, ConsentStatus::Granted),
        (ConsentStatus::Granted, ConsentStatus::Denied),
    ] {
        let (record, _) = ledger(&[(10, written(first, None)), (10, written(second, None))]);
        assert_eq!(status(&record, 30), Some(ConsentStatus::Denied), "{first:?} {second:?}");
    }
}

#[test]
fn what_a_wish_took_comes_back_and_no_more() {
    let (refused, back) = (What::Refused(EVENT), What::TookBack(EVENT));
    // Nothing was there: nothing comes back.
    let (record, _) = ledger(&[(10, refused.clone()), (20, back.clone())]);
    assert_eq!(status(&record, 30), Some(ConsentStatus::Unknown));
    // What was granted comes back as it was, also after a second refusal.
    let granted = (5, written(ConsentStatus::Granted, Some(50)));
    let (record, _) = ledger(&[
        granted.clone(),
        (10, refused.clone()),
        (11, refused.clone()),
        (20, back.clone()),
    ]);
    let fact = standing(&record, "sms", Purpose::Marketing).unwrap();
    assert_eq!(
        (fact.status(), fact.basis(), fact.proof.as_str(), fact.at_ms),
        (ConsentStatus::Granted, LegalBasis::Consent, "scan/7", 20)
    );
    assert_eq!(
        status(&record, 60),
        Some(ConsentStatus::Expired),
        "not for longer than it was"
    );
    // What somebody else wrote down the channel does not take back.
    let (record, history) = ledger(&[(10, written(ConsentStatus::Denied, None)), (20, back.clone())]);
    assert_eq!((status(&record, 30), history.len()), (Some(ConsentStatus::Denied), 1));
    let (record, _) = ledger(&[
        (10, written(ConsentStatus::Denied, None)),
        (15, refused.clone()),
        (20, back.clone()),
    ]);
    assert_eq!(status(&record, 30), Some(ConsentStatus::Denied));
    // A wish that comes late takes nothing back that was refused since.
    let (record, _) = ledger(&[(30, refused), (20, back)]);
    assert_eq!(status(&record, 40), Some(ConsentStatus::Denied));
}

#[test]
fn facts_are_bounded() {
    let mut ledger = ConsentRecord::default();
    for number in 0..MAX_FACTS {
        let fact = Said {
            channel: format!("c{number}"),
            ..said(1, written(ConsentStatus::Granted, None))
        };
        ledger = record(&ledger, &fact, Moment(1)).unwrap().unwrap().0;
    }
    let one_more = said(1, written(ConsentStatus::Granted, None));
    assert_eq!(record(&ledger, &one_more, Moment(1)), Err(TooManyChannels));
    let known = Said {
        channel: "c7".to_owned(),
        ..said(2, written(ConsentStatus::Denied, None))
    };
    assert!(record(&ledger, &known, Moment(1)).is_ok());
}

#[test]
fn a_topic_without_a_name_takes_everything_but_what_the_law_needs() {
    assert_eq!(purposes_of(""), [Purpose::Marketing]);
    assert_eq!(purposes_of("marketing"), [Purpose::Marketing]);
    assert!(purposes_of("call").is_empty());
    for purpose in [Purpose::Unspecified, Purpose::Service] {
        assert!(!needs_consent(purpose) && !purposes_of("").contains(&purpose));
    }
}

#[test]
fn a_newer_word_of_the_customer_stands_and_a_repeated_one_changes_nothing() {
    let word = |at_ms, refuses| RefusalRecord {
        refuses,
        at_ms,
        ..RefusalRecord::default()
    };
    let refused = refuse(None, &word(10, true)).unwrap();
    assert_eq!(refuse(Some(&refused), &word(10, true)), None);
    assert_eq!(refuse(Some(&refused), &word(10, false)), None, "the refusal stands");
    let back = refuse(Some(&refused), &word(20, false)).unwrap();
    assert_eq!(refuse(Some(&back), &word(10, true)), None, "a repeated request");
    assert_eq!(refuse(Some(&back), &word(20, true)), Some(word(20, true)));
}

fn cause(channel: &str, reason: SuppressionReason, at_ms: i64) -> SuppressionCause {
    SuppressionCause {
        channel: channel.to_owned(),
        reason: reason.into(),
        at_ms,
        ..SuppressionCause::default()
    }
}

#[test]
fn each_reason_stands_for_itself_and_a_late_request_changes_nothing() {
    let (manual, register) = (SuppressionReason::Manual, SuppressionReason::LegalRegister);
    let list = suppress(&SuppressionRecord::default(), &cause("", manual, 10))
        .unwrap()
        .unwrap();
    let list = suppress(&list, &cause("", register, 10)).unwrap().unwrap();
    let lifted = lift(&list, "", manual, Moment(20)).unwrap();
    let holding = |list: &SuppressionRecord| list.causes.iter().filter(|cause| holds(cause, Moment(30))).count();
    assert_eq!((holding(&list), holding(&lifted)), (2, 1));
    assert_eq!(
        suppress(&lifted, &cause("", manual, 10)),
        Ok(None),
        "repeated after it was lifted"
    );
    assert_eq!(lift(&lifted, "", manual, Moment(40)), None);
    assert_eq!(lift(&list, "sms", manual, Moment(40)), None, "another channel");
    let again = suppress(&lifted, &cause("", manual, 21)).unwrap().unwrap();
    assert_eq!(
        lift(&again, "", manual, Moment(20)),
        None,
        "a late request to lift the one before"
    );
    let ends = SuppressionCause {
        until_ms: 30,
        ..cause("", manual, 1)
    };
    assert!(holds(&ends, Moment(29)) && !holds(&ends, Moment(30)));
}

fn phone(value: &str) -> Identifier {
    Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: value.to_owned(),
    }
}

#[test]
fn the_list_knows_identifiers_by_a_keyed_hash() {
    let (key, other) = (HashKey([1; 32]), HashKey([2; 32]));
    let known = id(key, "t", &phone("+84900000001"));
    assert_eq!(known, id(key, "t", &phone("+84900000001")));
    assert_ne!(
        known.0[1..],
        id(other, "t", &phone("+84900000001")).0[1..],
        "without the key nobody finds it"
    );
    assert_ne!(known, id(key, "u", &phone("+84900000001")));
    assert_ne!(known, id(key, "t", &phone("+84900000002")));
    let plain = crate::identifier::key("t", &phone("+84900000001"));
    assert_eq!(known.shard(), plain.shard());
    assert_ne!(known.0[1..], plain.0[1..]);
    assert_eq!(format!("{key:?}"), "HashKey(***)");
}

fn asked(purpose: Purpose, default: MarketingDefault) -> Asked<'static> {
    Asked {
        channel: "sms",
        purpose,
        default,
        now: Moment(100),
    }
}

/// Layers in which those of this mask refuse: list, ledger, customer, thread; and grant.
fn layers(mask: u8) -> Layers {
    let mut layers = Layers::default();
    if mask & 1 != 0 {
        layers.suppression.causes.push(cause("", SuppressionReason::Manual, 5));
    }
    if mask & 16 != 0 {
        layers.consent = ledger(&[(5, written(ConsentStatus::Granted, None))]).0;
    }
    if mask & 2 != 0 {
        layers.consent = ledger(&[(5, written(ConsentStatus::Denied, None))]).0;
    }
    if mask & 4 != 0 {
        let refuses = RefusalRecord {
            refuses: true,
            at_ms: 5,
            ..RefusalRecord::default()
        };
        let id = CustomerId::new(Moment(1), Shard::new(1), [1; 16]);
        layers.refusals = vec![(id, RefusalRecord::default()), (id, refuses)];
    }
    if mask & 8 != 0 {
        layers.threads.push(ThreadWord {
            account_id: "brand".to_owned(),
            refused: vec![RefusedTopic::default()],
        });
    }
    layers
}

#[test]
fn the_first_layer_that_refuses_decides_and_names_the_refusal() {
    let codes = [
        (1, "suppressed"),
        (2, "opted_out"),
        (4, "customer_opted_out"),
        (8, "opted_out"),
    ];
    for mask in 0..32_u8 {
        let answer = effective(&layers(mask), &asked(Purpose::Marketing, MarketingDefault::Allowed));
        let expected = codes.iter().find(|(bit, _)| mask & bit != 0).map(|(_, code)| *code);
        assert_eq!(answer.code(), expected, "{mask:b}");
        assert_eq!(answer.layers.len(), 6, "every layer is shown");
        let error = answer.error();
        assert_eq!(error.map(|error| error.provider_code), expected.map(str::to_owned));
    }
}

#[test]
fn service_is_stopped_by_the_list_alone() {
    for mask in 0..32_u8 {
        let answer = effective(&layers(mask), &asked(Purpose::Service, MarketingDefault::Required));
        assert_eq!(answer.code(), (mask & 1 != 0).then_some("suppressed"), "{mask:b}");
    }
    let mut only = layers(1);
    only.suppression.causes[0].marketing_only = true;
    let of = |purpose| effective(&only, &asked(purpose, MarketingDefault::Allowed)).code();
    assert_eq!(
        (of(Purpose::Service), of(Purpose::Marketing)),
        (None, Some("suppressed"))
    );
}

#[test]
fn the_default_holds_where_nobody_said_anything() {
    let of = |layers: &Layers, default| {
        let answer = effective(layers, &asked(Purpose::Marketing, default));
        (answer.code(), answer.layers[answer.decides].kind)
    };
    let (allowed, required) = (MarketingDefault::Allowed, MarketingDefault::Required);
    let nothing = Layers::default();
    assert_eq!(of(&nothing, allowed), (None, ConsentLayerKind::Default));
    assert_eq!(of(&nothing, required), (Some("no_consent"), ConsentLayerKind::Default));
    assert_eq!(of(&layers(16), required), (None, ConsentLayerKind::Grant));
    let over = Layers {
        consent: ledger(&[(5, written(ConsentStatus::Granted, Some(100)))]).0,
        ..Layers::default()
    };
    assert_eq!(of(&over, required), (Some("no_consent"), ConsentLayerKind::Default));
    let defaults = MarketingDefaults {
        all: allowed,
        by_channel: [("sms".to_owned(), required)].into(),
    };
    assert_eq!((defaults.of("sms"), defaults.of("zalo")), (required, allowed));
}

#[test]
fn another_channel_and_what_is_over_do_not_count() {
    let mut there = layers(2);
    there.consent.facts[0].channel = "zalo".to_owned();
    there.suppression.causes = vec![
        cause("zalo", SuppressionReason::Manual, 1),
        SuppressionCause {
            until_ms: 100,
            ..cause("sms", SuppressionReason::Manual, 1)
        },
        SuppressionCause {
            lifted_at_ms: 50,
            ..cause("", SuppressionReason::Complaint, 1)
        },
    ];
    let answer = effective(&there, &asked(Purpose::Marketing, MarketingDefault::Allowed));
    assert_eq!(answer.code(), None, "{answer:?}");
}

fn any_what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Refused(EVENT)),
        Just(What::TookBack(EVENT)),
        Just(written(ConsentStatus::Granted, None)),
        Just(written(ConsentStatus::Denied, None)),
        Just(written(ConsentStatus::Unknown, None)),
    ]
}

proptest! {
    /// Nothing but a newer word by somebody else lets advertising go to a person whom a wish or a record protects.
    #[test]
    fn no_wish_ever_grants(all in prop::collection::vec((0_i64..50, any_what()), 0..12)) {
        let (record, history) = ledger(&all);
        let granted = history.iter().any(|fact| fact.event.is_empty() && fact.status() == ConsentStatus::Granted);
        if status(&record, 60) == Some(ConsentStatus::Granted) {
            prop_assert!(granted);
        }
        let newest = history.iter().filter(|fact| fact.stood).map(|fact| fact.at_ms).max();
        let stands = standing(&record, "sms", Purpose::Marketing).map(|fact| fact.at_ms);
        prop_assert_eq!(stands, newest, "the newest fact stands");
        let numbers: Vec<_> = history.iter().map(|fact| fact.number).collect();
        prop_assert_eq!(numbers, (1..=record.number).collect::<Vec<_>>());
    }
}
