//! Outgoing webhooks: at least once, in order within a thread, whatever fails, and an end where nobody listens.

mod receiver;
mod schedule;

use crate::gateway::{Gateway, eventually};
use omnigate_core::event_webhook::{self, Endpoint, LIFE};
use omnigate_core::port::Clock as _;
use omnigate_core::protocol;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::EventWebhookRecord;
use omnigate_proto::v1::CustomerEvent;
use omnigate_scheduler::Settings;
use receiver::{Receiver, changed, created, endpoint};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Longer than a lease and all that hangs on it.
const LONG: Duration = Duration::from_secs(60);

async fn stands(gateway: &Gateway) -> EventWebhookRecord {
    protocol::event_webhook::get(&gateway.context(), "crm").await.unwrap()
}

async fn change(
    gateway: &Gateway,
    decide: impl Fn(&EventWebhookRecord, Moment) -> Option<EventWebhookRecord>,
) -> EventWebhookRecord {
    protocol::event_webhook::change(&gateway.context(), "crm", decide)
        .await
        .unwrap()
}

async fn waiting(gateway: &Gateway) -> usize {
    let logs = omnigate_core::topology::event_logs(16);
    let places = protocol::event_webhook::places(&gateway.context(), &endpoint(), logs).await;
    let places = places.unwrap().into_iter().flatten();
    places.map(|place| place.waiting.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_told_what_it_wants_from_its_beginning_on_and_once_over_a_restart() {
    let gateway = Gateway::new();
    gateway.tell(0, vec![changed("a", 1)]).await;
    sleep(LONG).await;
    let receiver = Receiver::new(&gateway);
    let endpoint = Endpoint {
        kinds: BTreeSet::from(["delivery_changed".to_owned()]),
        ..endpoint()
    };
    let running = gateway.schedule_webhooks(vec![endpoint.clone()], receiver.clone());
    sleep(LONG).await;
    let of_another = CustomerEvent {
        tenant_id: "other".to_owned(),
        ..changed("x", 1)
    };
    gateway
        .tell(0, vec![changed("a", 2), created("b", 1), of_another, changed("a", 3)])
        .await;
    gateway.tell(3, vec![changed("c", 1)]).await;
    eventually(|| async { receiver.calls().len() == 3 }).await;
    running.stop().await;
    gateway.tell(0, vec![changed("a", 4)]).await;
    let running = gateway.schedule_webhooks(vec![endpoint], receiver.clone());
    eventually(|| async { receiver.taken("a").len() == 3 }).await;
    sleep(LONG).await;
    assert_eq!((receiver.taken("a"), receiver.taken("c")), (vec![2, 3, 4], vec![1]));
    assert_eq!(receiver.calls().len(), 4);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_holds_up_its_own_thread_for_a_day_and_no_other() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    receiver.answers(|call| {
        if (call.thread.as_str(), call.number) == ("a", 1) {
            500
        } else {
            200
        }
    });
    let running = gateway.schedule_webhooks_for_days(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    gateway
        .tell(
            0,
            vec![changed("a", 1), changed("b", 1), changed("a", 2), created("c", 1)],
        )
        .await;
    let begun = gateway.clock.now();
    sleep(LONG).await;
    assert_eq!(
        (receiver.taken("a"), receiver.taken("b"), receiver.taken("c")),
        (vec![], vec![1], vec![1])
    );
    // Others come all the time, so that the endpoint is not the one that fails.
    for number in 2..30 {
        sleep(Duration::from_hours(1)).await;
        gateway.tell(0, vec![changed("b", number)]).await;
    }
    sleep(LONG).await;
    assert_eq!((receiver.taken("a"), receiver.taken("b").len()), (vec![2], 29));
    let attempts = receiver.calls().into_iter().filter(|call| call.status == 500);
    let attempts: Vec<Moment> = attempts.map(|call| call.at).collect();
    let waits: Vec<Duration> = attempts.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    let growing = &waits[..waits.len() - 1];
    assert!(growing.is_sorted() && growing.len() > 8, "{waits:?}");
    let life = attempts.last().unwrap().since(begun);
    assert!(life >= LIFE && life < LIFE + LONG, "{life:?}");
    let record = stands(&gateway).await;
    assert_eq!((record.given_up, event_webhook::is_disabled(&record)), (1, false));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_for_hours_gets_everything_at_once_when_it_is_back() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    receiver.answers(|_| 0);
    let running = gateway.schedule_webhooks_for_days(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    for number in 1..=20 {
        gateway.tell(1, vec![changed("a", number), changed("b", number)]).await;
    }
    sleep(Duration::from_hours(20)).await;
    // Not hammered: a call every five minutes.
    assert!(receiver.calls().len() < 21 * 12, "{}", receiver.calls().len());
    assert_eq!(waiting(&gateway).await, 40);
    assert_ne!(stands(&gateway).await.failing_since_ms, 0);
    receiver.answers(|_| 200);
    sleep(Duration::from_mins(6)).await;
    let all: Vec<u64> = (1..=20).collect();
    assert_eq!((receiver.taken("a"), receiver.taken("b")), (all.clone(), all));
    let record = stands(&gateway).await;
    assert_eq!((record.failing_since_ms, record.given_up), (0, 0));
    eventually(|| async { waiting(&gateway).await == 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_for_a_day_is_disabled_and_enabled_goes_on_where_it_was() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    receiver.answers(|_| 503);
    let running = gateway.schedule_webhooks_for_days(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    gateway.tell(0, vec![changed("a", 1)]).await;
    sleep(Duration::from_hours(23)).await;
    assert!(!event_webhook::is_disabled(&stands(&gateway).await));
    sleep(Duration::from_hours(2)).await;
    let record = stands(&gateway).await;
    assert!(event_webhook::is_disabled(&record));
    assert_eq!(
        record.disabled_reason,
        "every delivery failed for 24 hours; the last one: status 503"
    );
    let calls = receiver.calls().len();
    gateway.tell(0, vec![changed("a", 2)]).await;
    receiver.answers(|_| 200);
    // Also over a restart.
    running.stop().await;
    let running = gateway.schedule_webhooks_for_days(vec![endpoint()], receiver.clone());
    sleep(Duration::from_hours(1)).await;
    assert_eq!(receiver.calls().len(), calls, "it is told nothing");
    change(&gateway, |record, _| event_webhook::enabled(record)).await;
    eventually(|| async { receiver.taken("a") == [1, 2] }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn gone_disables_at_once_and_pauses_are_kept() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    receiver.answers(|_| 429);
    *receiver.retry_after.lock().unwrap() = Some(600);
    let running = gateway.schedule_webhooks_for_days(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    gateway.tell(0, vec![changed("a", 1)]).await;
    sleep(Duration::from_secs(590)).await;
    gateway.tell(0, vec![changed("b", 1)]).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(receiver.calls().len(), 1);
    receiver.answers(|_| 410);
    sleep(LONG).await;
    let record = stands(&gateway).await;
    assert_eq!(record.disabled_reason, "the receiver answered 410 Gone");
    let calls = receiver.calls().len();
    assert_eq!(calls, 2);
    sleep(Duration::from_hours(30)).await;
    assert_eq!(receiver.calls().len(), calls);
    // Nothing was lost with it.
    receiver.answers(|_| 200);
    change(&gateway, |record, _| event_webhook::enabled(record)).await;
    eventually(|| async { (receiver.taken("a"), receiver.taken("b")) == (vec![1], vec![1]) }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_tells_again_everything_since_a_moment_in_order() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    let running = gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    gateway.tell(0, vec![changed("a", 1)]).await;
    sleep(LONG).await;
    let since = gateway.clock.now();
    gateway.tell(0, vec![changed("a", 2), changed("a", 3)]).await;
    gateway.tell(2, vec![changed("b", 1)]).await;
    eventually(|| async { receiver.calls().len() == 4 }).await;
    for _ in 0..2 {
        // Asked for twice with one request it happens once.
        change(&gateway, |record, _| event_webhook::replayed(record, since, "again")).await;
        sleep(LONG).await;
    }
    assert_eq!(
        (receiver.taken("a"), receiver.taken("b")),
        (vec![1, 2, 3, 2, 3], vec![1, 1])
    );
    gateway.tell(0, vec![changed("a", 4)]).await;
    eventually(|| async { receiver.taken("a").last() == Some(&4) }).await;
    // Neither does a restart repeat it.
    running.stop().await;
    let running = gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    assert_eq!(receiver.calls().len(), 8);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_store_nothing_is_told_beyond_the_lease() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    // The line itself has nothing to ask the store meanwhile.
    let settings = Settings {
        webhook_tick: Duration::from_hours(1),
        ..Settings::default()
    };
    let running = gateway.schedule_webhooks_with(vec![endpoint()], receiver.clone(), settings);
    sleep(LONG).await;
    gateway.tell(0, vec![changed("a", 1)]).await;
    eventually(|| async { receiver.taken("a") == [1] }).await;
    // A store that does not even refuse: nobody is told that the lease is over.
    gateway.store.hangs.store(true, Ordering::SeqCst);
    gateway.tell(0, vec![changed("a", 2)]).await;
    eventually(|| async { receiver.taken("a") == [1, 2] }).await;
    sleep(Duration::from_secs(20)).await;
    gateway.tell(0, vec![changed("a", 3)]).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(receiver.taken("a"), [1, 2], "the log may be another's by now");
    gateway.store.hangs.store(false, Ordering::SeqCst);
    eventually(|| async { receiver.taken("a") == [1, 2, 3] }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn schedulers_share_the_logs_and_take_over_what_waits() {
    let gateway = Gateway::new();
    let receiver = Receiver::new(&gateway);
    let first = gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    let second = gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    sleep(LONG).await;
    receiver.answers(|call| if call.thread == "a" { 500 } else { 200 });
    for log in 0..4 {
        gateway.tell(log, vec![changed(&format!("thread{log}"), 1)]).await;
    }
    gateway.tell(0, vec![changed("a", 1), changed("a", 2)]).await;
    sleep(LONG).await;
    assert_eq!(
        receiver.calls().iter().filter(|call| call.status == 200).count(),
        4,
        "each by one"
    );
    first.kill();
    second.kill();
    receiver.answers(|_| 200);
    let third = gateway.schedule_webhooks(vec![endpoint()], receiver.clone());
    eventually(|| async { receiver.taken("a") == [1, 2] }).await;
    sleep(LONG).await;
    assert_eq!(
        receiver.calls().iter().filter(|call| call.status == 200).count(),
        6,
        "nothing twice"
    );
    third.stop().await;
}
