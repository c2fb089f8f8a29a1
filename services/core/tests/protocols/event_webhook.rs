use crate::{World, now};
use bytes::Bytes;
use omnigate_core::event_webhook::{Endpoint, disabled, enabled, failed, is_disabled, replayed, succeeded};
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::event_webhook::{change, get, places};
use omnigate_core::protocol::lease::{COMMON, Wish, acquire, checkpoint};
use omnigate_core::shard::Partition;
use omnigate_proto::state::v1::EventWebhookPlace;
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn how_an_endpoint_stands_is_changed_once_whatever_answers_get_lost() {
    for loses in [false, true] {
        let world = World::new(loses);
        let context = world.context();
        let present = world.clock.now();
        let failing = now(change(&context, "crm", |record, now| failed(record, "status 500", now))).unwrap();
        assert_eq!(
            (failing.failing_since_ms, failing.error.as_str()),
            (present.0, "status 500")
        );
        world.pass(1000);
        now(change(&context, "crm", |record, now| failed(record, "status 502", now))).unwrap();
        assert_eq!(now(get(&context, "crm")).unwrap(), failing, "no news");
        now(change(&context, "crm", |record, now| {
            disabled(record, "as the test asked", now)
        }))
        .unwrap();
        assert!(is_disabled(&now(get(&context, "crm")).unwrap()));
        now(change(&context, "crm", |record, _| enabled(record))).unwrap();
        now(change(&context, "crm", succeeded)).unwrap();
        for _ in 0..2 {
            now(change(&context, "crm", |record, _| replayed(record, present, "a"))).unwrap();
        }
        let record = now(get(&context, "crm")).unwrap();
        assert_eq!(
            (record.replay, record.failing_since_ms, is_disabled(&record)),
            (1, 0, false)
        );
        assert_eq!(now(get(&context, "another")).unwrap().replay, 0);
    }
}

#[test]
fn places_are_those_of_the_leases() {
    let world = World::new(false);
    let endpoint = Endpoint {
        id: "crm".to_owned(),
        tenant_id: "t".to_owned(),
        url: "https://crm.example/hooks?key=secret".to_owned(),
        shown_url: "https://crm.example".to_owned(),
        keys: Vec::new(),
        kinds: BTreeSet::new(),
        description: String::new(),
    };
    assert!(!format!("{endpoint:?}").contains("secret"));
    let place = EventWebhookPlace {
        offset: Some(7),
        ..EventWebhookPlace::default()
    };
    let name = endpoint.lease(Partition(1));
    let wish = Wish {
        shard: COMMON,
        name: &name,
        owner: "a",
        address: "",
    };
    let (context, ttl) = (world.context(), Duration::from_secs(10));
    let held = now(acquire(&context, wish, ttl)).unwrap();
    let cursor = Bytes::from(place.encode_to_vec());
    now(checkpoint(&context, wish, held.epoch, cursor, ttl)).unwrap();
    let found = now(places(&context, &endpoint, [Partition(0), Partition(1)].into_iter())).unwrap();
    assert_eq!(found, [None, Some(place)]);
}
