//! A new key of the operator.

use crate::gateway::{Gateway, eventually};
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::keys;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::{Context, append, read};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::HomeRecord;
use omnigate_proto::v1::{Event, Evidence, Identifier, IdentifierEvidence, Message, event::Kind};
use prost::Message as _;
use std::time::Duration;

const FORMER: [u8; 32] = [1; 32];
const PRESENT: [u8; 32] = [2; 32];
const NEEDED: &str = "omnigate_scheduler_former_keys_needed";

fn peer(number: usize) -> Identifier {
    Identifier {
        r#type: "tg_chat".to_owned(),
        scope: "bot".to_owned(),
        value: format!("{number}"),
    }
}

/// Somebody writes, to a process with the former key.
async fn writes(gateway: &Gateway, number: usize) {
    let keyring = Gateway::keyring(&[FORMER]);
    let context = Context {
        keyring: &keyring,
        ..gateway.context()
    };
    let event = Event {
        event_id: format!("{number:032x}"),
        tenant_id: "t".to_owned(),
        account_id: "bot".to_owned(),
        channel: "telegram".to_owned(),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(peer(number)),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        peer: Some(peer(number)),
        kind: Some(Kind::Message(Message::default())),
        ..Event::default()
    };
    let arrival = Arrival {
        bytes: event.encode_to_vec().into(),
        id: event.event_id.parse().unwrap(),
        received_at: Moment(gateway.clock.now().0),
        event,
    };
    append::apply(&context, &[arrival]).await.unwrap();
}

/// How many data keys the key seals.
async fn sealed_with(gateway: &Gateway, key: [u8; 32], people: usize) -> usize {
    let keyring = Gateway::keyring(&[key]);
    let mut count = 0;
    for number in 0..people {
        let whole = read::resolve(&gateway.context(), "t", &peer(number))
            .await
            .unwrap()
            .unwrap();
        let home = CustomerId::from_bytes(&whole.id.to_bytes()).unwrap();
        let context = gateway.context();
        let record = context.record::<HomeRecord>(home.shard(), keys::home(home), "home");
        let threads = record.await.unwrap().value.unwrap().threads;
        count += threads
            .iter()
            .filter(|thread| keyring.is_present(&thread.data_key))
            .count();
    }
    count
}

#[tokio::test(start_paused = true)]
async fn former_keys_are_needed_until_everything_is_sealed_with_the_present_one() {
    let mut gateway = Gateway::new();
    for number in 0..20 {
        writes(&gateway, number).await;
    }
    assert_eq!(sealed_with(&gateway, FORMER, 20).await, 20);
    gateway.keys = vec![PRESENT, FORMER];
    // One dies in the middle, another one goes on.
    let dies = gateway.schedule();
    eventually(|| async { sealed_with(&gateway, PRESENT, 20).await > 3 }).await;
    dies.kill();
    let running = gateway.schedule();
    eventually(|| async { sealed_with(&gateway, PRESENT, 20).await == 20 }).await;
    assert_eq!(
        running.gauge(NEEDED),
        1,
        "a process with the former key may still write"
    );
    writes(&gateway, 20).await;
    // The pass that finds this one is followed by another.
    tokio::time::sleep(Duration::from_mins(15)).await;
    assert_eq!(running.gauge(NEEDED), 1);
    eventually(|| async { running.gauge(NEEDED) == 0 }).await;
    assert_eq!(sealed_with(&gateway, PRESENT, 21).await, 21);
    running.stop().await;
    // Whoever comes later knows it at once.
    let began = gateway.clock.now();
    let later = gateway.schedule();
    eventually(|| async { later.gauge(NEEDED) == 0 }).await;
    assert!(gateway.clock.now().since(began) < Duration::from_mins(1));
    later.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_keys_there_is_nothing_to_seal() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(running.gauge("omnigate_scheduler_groups"), 16);
    running.stop().await;
}
