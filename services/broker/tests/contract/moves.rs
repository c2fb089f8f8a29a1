//! Laws 8 and 9: what is retried later or parked; and bodies that nobody can take.

use crate::rig::{PATIENCE, Rig, ack, next, nothing_for, take, text};
use omnigate_core::port::broker::{Delivery, QueueName, Settled, Subscription};
use omnigate_proto::{state::v1::Parked, v1::ParkedItem};
use prost::Message as _;
use std::time::{Duration, Instant};

pub(crate) async fn a_retry_is_not_early_and_holds_nothing_up(rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["late"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
    let delivery = next(&mut subscription).await;
    let begun = Instant::now();
    let after = Duration::from_millis(1500);
    assert_eq!(delivery.settle.retry(after).await, Settled::Done);
    rig.publish(&queue, ["a", "b"]).await;
    for expected in ["a", "b"] {
        let delivery = next(&mut subscription).await;
        assert_eq!(text(&delivery), expected);
        ack(delivery).await;
    }
    assert!(begun.elapsed() < after, "others waited for the delayed one");
    let delivery = next(&mut subscription).await;
    assert!(begun.elapsed() >= after, "early: {:?}", begun.elapsed());
    assert!(
        begun.elapsed() < after + Duration::from_secs(5),
        "late: {:?}",
        begun.elapsed()
    );
    assert_eq!((text(&delivery).as_str(), delivery.attempt > 1), ("late", true));
    ack(delivery).await;
}

pub(crate) async fn a_short_retry_overtakes_a_long_one(rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["3000", "200"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 10).await.unwrap();
    let begun = Instant::now();
    for delivery in take(&mut subscription, 2).await {
        let after = Duration::from_millis(text(&delivery).parse().unwrap());
        assert_eq!(delivery.settle.retry(after).await, Settled::Done);
    }
    for expected in ["200", "3000"] {
        let delivery = next(&mut subscription).await;
        assert_eq!(text(&delivery), expected);
        assert!(
            begun.elapsed() >= Duration::from_millis(expected.parse().unwrap()),
            "early"
        );
        ack(delivery).await;
    }
}

pub(crate) async fn a_retry_survives_a_restart(mut rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["late"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
    let delivery = next(&mut subscription).await;
    let begun = Instant::now();
    assert_eq!(delivery.settle.retry(Duration::from_secs(2)).await, Settled::Done);
    drop(subscription);
    rig.reopen().await;
    rig.queue(false).await;
    let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
    let delivery = next(&mut subscription).await;
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "early: {:?}",
        begun.elapsed()
    );
    assert!(delivery.attempt > 1);
    ack(delivery).await;
}

/// A parked item and the subscription that holds it.
struct FoundParked {
    item: ParkedItem,
    delivery: Delivery,
    holder: Box<dyn Subscription>,
}

/// The parked item that came from a queue. Others, of other tests on the same broker, are given back.
async fn parked_from(rig: &Rig, origin: &QueueName) -> FoundParked {
    let mut subscription = rig.broker().subscribe(&rig.parked(), 100).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut others = Vec::new();
    while tokio::time::Instant::now() < deadline {
        let delivery = next(&mut subscription).await;
        let item = ParkedItem::decode(Parked::decode(delivery.body.clone()).unwrap().item).unwrap();
        if item.origin == origin.0 {
            return FoundParked {
                item,
                delivery,
                holder: subscription,
            };
        }
        others.push(delivery);
    }
    panic!("nothing parked from {origin}");
}

pub(crate) async fn what_is_parked_keeps_its_reason(mut rig: Rig) {
    for ordered in [true, false] {
        let queue = rig.queue_of(ordered).await;
        rig.publish(&queue, ["bad", "good"]).await;
        let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
        // The first delivery is dropped, so that two attempts are counted.
        let mut good_seen = text(&next(&mut subscription).await) == "good";
        let bad = loop {
            let delivery = next(&mut subscription).await;
            if text(&delivery) == "bad" && delivery.attempt == 2 {
                break delivery;
            }
            good_seen |= text(&delivery) == "good";
            assert!(!(ordered && good_seen), "the other came first");
        };
        assert_eq!(bad.settle.park("undecodable: field 3 is no text").await, Settled::Done);
        let good = next(&mut subscription).await;
        assert_eq!(text(&good), "good");
        ack(good).await;
        nothing_for(&mut subscription, Duration::from_millis(200)).await;
        drop(subscription);
        rig.reopen().await;
        rig.queue_of(ordered).await;
        let FoundParked {
            item,
            delivery,
            holder: _holder,
        } = parked_from(&rig, &queue).await;
        assert_eq!(
            (item.reason.as_str(), item.detail.as_str()),
            ("undecodable", "field 3 is no text")
        );
        assert_eq!((item.body.as_ref(), item.attempts), (&b"bad"[..], 2));
        assert!(item.parked_id.starts_with("prk_") && item.parked_at.is_some());
        ack(delivery).await;
    }
}

pub(crate) async fn what_is_parked_stays_until_acknowledged(rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["bad"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
    assert_eq!(
        next(&mut subscription).await.settle.park("undecodable").await,
        Settled::Done
    );
    drop(parked_from(&rig, &queue).await);
    let FoundParked { delivery, holder, .. } = parked_from(&rig, &queue).await;
    assert_eq!(
        delivery.settle.park("undecodable").await,
        Settled::Stale,
        "parked already"
    );
    drop(holder);
    let FoundParked {
        item,
        delivery,
        holder: _holder,
    } = parked_from(&rig, &queue).await;
    assert_eq!((item.body.as_ref(), item.detail.as_str()), (&b"bad"[..], ""));
    ack(delivery).await;
}

pub(crate) async fn a_poison_body_does_not_loop_for_ever(rig: Rig) {
    for ordered in [true, false] {
        let queue = rig.queue_of(ordered).await;
        rig.publish(&queue, ["poison", "good"]).await;
        let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
        let (mut poisoned, mut good) = (0, 0);
        while let Ok(delivery) = tokio::time::timeout(Duration::from_secs(3), subscription.next()).await {
            let delivery = delivery.expect("subscription ended");
            if text(&delivery) == "good" {
                good += 1;
                ack(delivery).await;
            } else {
                poisoned += 1;
                assert!(poisoned <= 1100, "it loops");
            }
        }
        assert!(
            poisoned >= 990 && good == 1,
            "poison came {poisoned} times, good {good} times"
        );
        let FoundParked {
            item,
            delivery,
            holder: _holder,
        } = parked_from(&rig, &queue).await;
        assert_eq!(
            (item.reason.as_str(), item.body.as_ref()),
            ("delivery_limit", &b"poison"[..])
        );
        assert!(item.attempts >= 990, "{}", item.attempts);
        ack(delivery).await;
    }
}
