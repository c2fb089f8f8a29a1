//! What a failover of the store lost is put right: when it is time, and at once when one was seen.

use crate::gateway::{Gateway, eventually};
use omnigate_core::id::{CustomerId, IdentifierKey};
use omnigate_core::identity::Named;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::identity::Person;
use omnigate_core::protocol::identity::present;
use omnigate_core::protocol::resolve::{Asking, claimed};
use omnigate_core::{identifier, keys};
use omnigate_proto::v1::{Evidence, Identifier};
use std::sync::atomic::Ordering;
use std::time::Duration;

const SWEEPS: &str = "omnigate_scheduler_identity_sweeps_total";
const REPAIRS: &str = "omnigate_scheduler_identity_repairs_total";
const CUSTOMERS: &str = "omnigate_scheduler_identity_swept_customers_total";
/// Groups of shards; each is swept by itself.
const GROUPS: u64 = 16;

/// A customer, with the key of its identifier.
async fn customer(gateway: &Gateway, value: &str) -> (CustomerId, IdentifierKey) {
    let identifier = Identifier {
        r#type: "tg_chat".into(),
        scope: "bot".into(),
        value: value.into(),
    };
    let key = identifier::key("t", &identifier);
    let asking = Asking {
        tenant_id: "t",
        received_at: gateway.clock.now(),
        trace_id: "",
        replaces: None,
    };
    let person = Person::Named(Named {
        identifier,
        evidence: Evidence::Vouched,
        provider_form: String::new(),
    });
    let found = present(&gateway.context(), &asking, &person, &mut Vec::new()).await;
    (found.unwrap().unwrap(), key)
}

async fn leads_to(gateway: &Gateway, key: IdentifierKey) -> Option<CustomerId> {
    let claim = claimed(&gateway.context(), key).await.unwrap()?;
    CustomerId::from_bytes(&claim.customer)
}

#[tokio::test(start_paused = true)]
async fn a_failover_is_seen_and_what_it_lost_is_put_right() {
    let gateway = Gateway::new();
    let running = gateway.schedule_sweeps(Duration::ZERO);
    let (id, key) = customer(&gateway, "42").await;
    eventually(|| async { running.groups() == 16 }).await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(running.counted(SWEEPS), 0, "nothing has happened to the store");

    gateway.store.lose(key.shard(), &keys::claim(key));
    gateway.store.failovers.fetch_add(1, Ordering::SeqCst);
    eventually(|| async { leads_to(&gateway, key).await == Some(id) }).await;
    eventually(|| async { running.counted(SWEEPS) == GROUPS }).await;
    assert_eq!(running.counted(REPAIRS), 1);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(running.counted(SWEEPS), GROUPS, "one failover is swept once");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn everybody_is_looked_at_when_it_is_time() {
    let gateway = Gateway::new();
    let (id, key) = customer(&gateway, "42").await;
    let running = gateway.schedule_sweeps(Duration::from_hours(1));
    eventually(|| async { running.counted(CUSTOMERS) == 1 }).await;
    gateway.store.lose(key.shard(), &keys::claim(key));
    tokio::time::sleep(Duration::from_mins(50)).await;
    assert_eq!(leads_to(&gateway, key).await, None);
    tokio::time::sleep(Duration::from_mins(20)).await;
    assert_eq!(leads_to(&gateway, key).await, Some(id));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_where_the_one_before_it_was_ended() {
    let gateway = Gateway::new();
    let (id, key) = customer(&gateway, "42").await;
    let first = gateway.schedule_sweeps(Duration::ZERO);
    eventually(|| async { first.groups() == 16 }).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    gateway.store.lose(key.shard(), &keys::claim(key));
    gateway.store.failovers.fetch_add(1, Ordering::SeqCst);
    eventually(|| async { first.counted(SWEEPS) > 0 }).await;
    first.kill();
    tokio::time::sleep(Duration::from_mins(11)).await;
    let second = gateway.schedule_sweeps(Duration::ZERO);
    eventually(|| async { leads_to(&gateway, key).await == Some(id) }).await;
    second.stop().await;
}
