//! Consumer groups and outgoing webhooks over stand-ins for store and broker, on a clock that runs ahead while nothing happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is surprised"
)]

mod event_webhooks;
#[path = "../../../dispatch/tests/role/fakes.rs"]
mod fakes;
mod gateway;
mod parked;
mod reassigned;
mod refused;
mod replay;
mod schedule;

use gateway::{Gateway, LOGS, Received, TENANT, of, shown};
use omnigate_api::Settings;
use omnigate_proto::v1::{ListEventGroupsRequest, SubscribeRequest};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::event_service_server::EventService as _;
use omnigate_runtime::stop::Reason;
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Code;

/// Well within a lease.
const SOON: Duration = Duration::from_secs(2);
/// Longer than a lease and all that hangs on it.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_does_not_come_again_and_the_rest_does() {
    let gateway = Gateway::new();
    gateway.publish(0, &[("a", 1), ("b", 1), ("a", 2)]).await;
    gateway.publish(0, &[("a", 3)]).await;
    let process = gateway.process();
    let mut first = process.subscribe("crm").await;
    let events = first.some(4).await;
    assert_eq!(shown(&events), [("a", 1), ("b", 1), ("a", 2), ("a", 3)]);
    // In the middle of an entry.
    assert!(process.acknowledge("crm", &events[1..2]).await.is_empty());
    drop(first);
    let mut second = process.subscribe("crm").await;
    let events = second.some(2).await;
    assert_eq!(shown(&events), [("a", 2), ("a", 3)]);
    process.acknowledge("crm", &events).await;
    drop(second);
    // Nothing that was acknowledged is lost with the process that was told.
    process.die();
    let mut third = gateway.process().subscribe("crm").await;
    gateway.publish(0, &[("a", 4)]).await;
    assert_eq!(shown(&third.some(1).await), [("a", 4)]);
    assert_eq!(third.within(LONG).await, None);
}

#[tokio::test(start_paused = true)]
async fn groups_and_tenants_do_not_touch_each_other() {
    let gateway = Gateway::new();
    gateway.publish(1, &[("a", 1)]).await;
    gateway.publish_for("other", 1, &[("x", 1)]).await;
    let process = gateway.process();
    let mut crm = process.subscribe("crm").await;
    process.acknowledge("crm", &crm.some(1).await).await;
    let mut billing = process.subscribe("billing").await;
    assert_eq!(shown(&billing.some(1).await), [("a", 1)]);
    let request = SubscribeRequest {
        group: "crm".to_owned(),
        from_oldest: true,
        ..SubscribeRequest::default()
    };
    let mut other = process.subscribe_for("other", request).await;
    assert_eq!(shown(&other.some(1).await), [("x", 1)]);
    for subscriber in [&mut crm, &mut billing, &mut other] {
        assert_eq!(subscriber.within(SOON).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn members_share_the_logs_and_hand_over_without_repeats() {
    let gateway = Gateway::new();
    let (here, there) = (gateway.process(), gateway.process());
    let mut first = here.subscribe("crm").await;
    let publish = async |number: u64| {
        for log in 0..LOGS {
            gateway.publish(log, &[(&format!("home{log}"), number)]).await;
        }
    };
    publish(1).await;
    let events = first.some(4).await;
    let mut second = there.subscribe("crm").await;
    // The first has to give up half, and does so when what it was sent is acknowledged.
    assert_eq!(second.within(SOON).await, None);
    here.acknowledge("crm", &events).await;
    tokio::time::sleep(LONG).await;
    publish(2).await;
    let (mine, theirs) = (first.some(2).await, second.some(2).await);
    let all: BTreeSet<&str> = mine.iter().chain(&theirs).map(|event| event.home.as_str()).collect();
    assert_eq!(all, BTreeSet::from(["home0", "home1", "home2", "home3"]));
    assert!(mine.iter().chain(&theirs).all(|event| event.number == 2), "no repeats");
    here.acknowledge("crm", &mine).await;
    there.acknowledge("crm", &theirs).await;
    // Who leaves leaves everything to the other.
    drop(first);
    tokio::time::sleep(SOON).await;
    publish(3).await;
    let events = second.some(4).await;
    assert!(events.iter().all(|event| event.number == 3), "{:?}", shown(&events));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_has_to_give_up_logs_waits_only_so_long_for_acknowledgements() {
    let gateway = Gateway::new();
    for log in 0..LOGS {
        gateway.publish(log, &[("a", log.into())]).await;
    }
    let process = gateway.process();
    let mut first = process.subscribe("crm").await;
    first.some(4).await;
    let mut second = process.subscribe("crm").await;
    let since = tokio::time::Instant::now();
    let events = second.some(2).await;
    assert!(since.elapsed() >= Settings::default().hand_over_within);
    assert!(since.elapsed() < LONG, "{:?}", since.elapsed());
    assert!(process.acknowledge("crm", &events).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_a_process_dies_another_member_goes_on_behind_what_was_acknowledged() {
    let gateway = Gateway::new();
    gateway.publish(2, &[("a", 1), ("a", 2), ("a", 3)]).await;
    let (here, there) = (gateway.process(), gateway.process());
    let mut first = here.subscribe("crm").await;
    let events = first.some(3).await;
    // Any process takes an acknowledgement.
    there.acknowledge("crm", &events[..1]).await;
    here.die();
    drop(first);
    let mut second = there.subscribe("crm").await;
    assert_eq!(shown(&second.some(2).await), [("a", 2), ("a", 3)]);
    // What the dead one had sent is the other's now, and says so.
    let handed_over = there.acknowledge("crm", &events[1..]).await;
    assert_eq!(handed_over, [events[1].token.clone(), events[2].token.clone()]);
    assert_eq!(second.within(SOON).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lost_the_store_sends_nothing_after_its_lease() {
    let gateway = Gateway::new();
    let (here, there) = (gateway.process(), gateway.process());
    let mut cut_off = here.subscribe("crm").await;
    gateway.publish(0, &[("a", 1)]).await;
    cut_off.next().await;
    here.die();
    let mut second = there.subscribe("crm").await;
    assert_eq!(shown(&second.some(1).await), [("a", 1)]);
    // Whoever has the log now, the other one has it no more.
    gateway.publish(0, &[("a", 2)]).await;
    assert_eq!(shown(&second.some(1).await), [("a", 2)]);
    assert_eq!(cut_off.within(LONG).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_member_has_so_many_unacknowledged_events_and_no_more() {
    let gateway = Gateway::new();
    let events: Vec<(&str, u64)> = (1..=10).map(|number| ("a", number)).collect();
    gateway.publish(3, &events).await;
    let (here, there) = (gateway.process(), gateway.process());
    let request = SubscribeRequest {
        group: "crm".to_owned(),
        from_oldest: true,
        max_unacknowledged: 3,
        ..SubscribeRequest::default()
    };
    let mut subscriber = here.subscribe_with(request).await;
    let events = subscriber.some(3).await;
    assert_eq!(subscriber.within(SOON).await, None);
    here.acknowledge("crm", &events[..2]).await;
    let since = tokio::time::Instant::now();
    let events = subscriber.some(2).await;
    assert_eq!(
        (shown(&events), since.elapsed()),
        (vec![("a", 4), ("a", 5)], Duration::ZERO)
    );
    // Acknowledged elsewhere it is noticed with the next renewal.
    there.acknowledge("crm", &events).await;
    assert_eq!(shown(&subscriber.some(3).await), [("a", 6), ("a", 7), ("a", 8)]);
    assert_eq!(subscriber.within(SOON).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_in_time_comes_again_and_whoever_never_does_is_sent_away() {
    let gateway = Gateway::new();
    gateway.publish(0, &[("a", 1), ("a", 2)]).await;
    let process = gateway.process();
    let mut subscriber = process.subscribe("crm").await;
    let first = subscriber.some(2).await;
    let since = tokio::time::Instant::now();
    let again = subscriber.some(2).await;
    assert_eq!(
        (shown(&again), since.elapsed()),
        (vec![("a", 1), ("a", 2)], Duration::from_secs(60))
    );
    // A late acknowledgement of the first sending counts.
    process.acknowledge("crm", &first[..1]).await;
    assert_eq!(shown(&subscriber.some(1).await), [("a", 2)]);
    let status = subscriber.end().await;
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::Aborted, Some("NOTHING_ACKNOWLEDGED"))
    );
    // Its logs are free at once.
    let mut other = process.subscribe("crm").await;
    assert_eq!(other.within(SOON).await.map(|event| event.number), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_new_group_begins_now_unless_it_wants_the_oldest() {
    let gateway = Gateway::new();
    gateway.publish(0, &[("a", 1)]).await;
    tokio::time::sleep(SOON).await;
    let process = gateway.process();
    let request = |from_oldest| SubscribeRequest {
        group: "crm".to_owned(),
        from_oldest,
        ..SubscribeRequest::default()
    };
    let mut subscriber = process.subscribe_with(request(false)).await;
    gateway.publish(0, &[("a", 2)]).await;
    assert_eq!(shown(&subscriber.some(1).await), [("a", 2)]);
    drop(subscriber);
    // Nothing was acknowledged, so that there is no place yet. Where the group began is known all the same.
    let mut again = process.subscribe_with(request(true)).await;
    assert_eq!(shown(&again.some(1).await), [("a", 2)]);
    assert_eq!(again.within(SOON).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_the_group_needs_no_acknowledgement() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let mut subscriber = process.subscribe("crm").await;
    for number in 1..=50 {
        gateway.publish_for("other", 0, &[("x", number)]).await;
    }
    tokio::time::sleep(LONG).await;
    let read = gateway.broker.entries_read();
    drop(subscriber);
    gateway.publish(0, &[("a", 1)]).await;
    subscriber = process.subscribe("crm").await;
    assert_eq!(shown(&subscriber.some(1).await), [("a", 1)]);
    // The next one began behind them.
    assert!(gateway.broker.entries_read() - read < 5);
}

#[tokio::test(start_paused = true)]
async fn a_stop_tells_members_and_waits_until_they_gave_everything_back() {
    let gateway = Gateway::new();
    let (here, there) = (gateway.process(), gateway.process());
    let subscriber = here.subscribe("crm").await;
    here.stop.request(Reason::Asked("a test".into()));
    let status = subscriber.end().await;
    assert_eq!(
        (status.code(), reason(&status).as_deref()),
        (Code::Unavailable, Some("STOPPING"))
    );
    let listed = there
        .api
        .list_event_groups(of(TENANT, ListEventGroupsRequest {}))
        .await
        .unwrap();
    let groups = listed.into_inner().groups;
    assert_eq!((groups[0].group.as_str(), groups[0].members), ("crm", 0));
    gateway.publish(0, &[("a", 1)]).await;
    let mut other = there.subscribe("crm").await;
    assert_eq!(other.within(SOON).await.map(|event: Received| event.number), Some(1));
}
