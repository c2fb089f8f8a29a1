//! The suppression list, and what is looked at before a message leaves.

use super::*;

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
