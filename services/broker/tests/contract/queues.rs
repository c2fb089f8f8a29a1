//! Laws 1 to 7 and 10: queues.

use crate::rig::{Rig, ack, next, nothing_for, publication, take, text};
use omnigate_core::port::broker::{
    BrokerError, Delivery, Publication, PublishError, QueueName, QueueSpec, Settled, Topology,
};
use std::{collections::BTreeSet, time::Duration};

const MOMENT: Duration = Duration::from_millis(300);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) async fn body_and_trace_come_as_published(rig: Rig) {
    let queue = rig.queue(true).await;
    let bodies = [&b""[..], b"\x00\xff binary", &[7; 200_000]];
    let messages = bodies.map(|body| Publication {
        queue: queue.clone(),
        body: body.to_vec().into(),
        traceparent: TRACE.to_owned(),
    });
    for confirmed in rig.broker().publish(messages.to_vec()).await {
        confirmed.unwrap();
    }
    rig.publish(&queue, ["without trace"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 10).await.unwrap();
    for body in bodies {
        let delivery = next(&mut subscription).await;
        assert_eq!(
            (&delivery.body[..], &*delivery.traceparent, delivery.attempt),
            (body, TRACE, 1)
        );
        ack(delivery).await;
    }
    assert_eq!(next(&mut subscription).await.traceparent, "");
}

pub(crate) async fn a_publication_that_no_queue_takes_is_an_error(rig: Rig) {
    let queue = rig.queue(true).await;
    let unknown = QueueName(rig.name("unknown"));
    let long = QueueName("x".repeat(256));
    let messages = vec![
        publication(&unknown, "a"),
        publication(&queue, "b"),
        publication(&long, "c"),
    ];
    let answers = rig.broker().publish(messages).await;
    assert!(
        matches!(&answers[0], Err(PublishError::Unroutable(name)) if *name == unknown.0),
        "{answers:?}"
    );
    assert!(answers[1].is_ok(), "{answers:?}");
    assert!(matches!(&answers[2], Err(PublishError::Unroutable(_))), "{answers:?}");
    assert!(matches!(
        rig.broker().subscribe(&unknown, 1).await,
        Err(BrokerError::Unusable(_))
    ));
}

pub(crate) async fn names_and_arguments_that_cannot_be_are_refused(rig: Rig) {
    let spec = |name: &str, ordered| QueueSpec {
        name: QueueName(name.to_owned()),
        ordered,
        journal: None,
        max_length: 10,
    };
    let broker = rig.broker();
    let declare = async |spec: QueueSpec| {
        broker
            .declare(Topology {
                queues: vec![spec],
                logs: vec![],
            })
            .await
    };
    let long = "long".repeat(64);
    assert!(matches!(declare(spec(&long, true)).await, Err(BrokerError::Unusable(text)) if text.contains("256 bytes")));
    let name = rig.name("ordered");
    declare(spec(&name, true)).await.unwrap();
    declare(spec(&name, true)).await.unwrap();
    let error = declare(spec(&name, false)).await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::Unusable(text) if text.contains(&name)),
        "{error}"
    );
    rig.publish(&QueueName(name), ["still works"]).await;
}

pub(crate) async fn what_is_acknowledged_does_not_come_again_after_a_restart(mut rig: Rig) {
    let queue = rig.queue(true).await;
    rig.publish(&queue, ["a", "b", "c", "d"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 10).await.unwrap();
    let mut taken = take(&mut subscription, 3).await;
    ack(taken.remove(1)).await;
    ack(taken.remove(0)).await;
    drop((subscription, taken));
    rig.reopen().await;
    rig.queue(true).await;
    let mut subscription = rig.broker().subscribe(&queue, 10).await.unwrap();
    let again = take(&mut subscription, 2).await;
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["c", "d"]);
    assert!(again[0].attempt >= 2, "it was out before the restart");
    nothing_for(&mut subscription, MOMENT).await;
}

pub(crate) async fn a_dropped_delivery_comes_again_with_a_higher_attempt(rig: Rig) {
    for ordered in [true, false] {
        let queue = rig.queue_of(ordered).await;
        rig.publish(&queue, ["a"]).await;
        let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
        let mut last = 0;
        for _ in 0..4 {
            let delivery = next(&mut subscription).await;
            assert!(
                delivery.attempt > last,
                "{queue}: attempt {} after {last}",
                delivery.attempt
            );
            assert_eq!(text(&delivery), "a");
            last = delivery.attempt;
        }
        drop(subscription);
        let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
        let delivery = next(&mut subscription).await;
        assert!(delivery.attempt > 1, "{queue}: its subscriber ended");
        ack(delivery).await;
        nothing_for(&mut subscription, MOMENT).await;
    }
}

pub(crate) async fn attempts_are_counted_on_after_a_restart(mut rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["a"]).await;
    let mut last = 0;
    for _ in 0..3 {
        let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
        let delivery = next(&mut subscription).await;
        assert!(delivery.attempt > last, "attempt {} after {last}", delivery.attempt);
        last = delivery.attempt;
        drop((delivery, subscription));
        rig.reopen().await;
        rig.queue(false).await;
    }
}

pub(crate) async fn order_is_kept_and_taken_over(rig: Rig) {
    let queue = rig.queue(true).await;
    let broker = rig.broker();
    rig.publish(&queue, (0..50).map(|number| number.to_string())).await;
    let mut first = broker.subscribe(&queue, 8).await.unwrap();
    let held = take(&mut first, 8).await;
    let mut second = broker.subscribe(&queue, 8).await.unwrap();
    nothing_for(&mut second, MOMENT).await;
    for (number, delivery) in held.into_iter().enumerate() {
        assert_eq!(text(&delivery), number.to_string());
        if number < 3 {
            ack(delivery).await;
        }
    }
    // 3 to 7 were given back; 8 to 10 may be on their way. All come again in order, before later ones.
    let again = take(&mut first, 5).await;
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["3", "4", "5", "6", "7"]);
    drop((first, again));
    for number in 3..50 {
        let delivery = next(&mut second).await;
        assert_eq!(text(&delivery), number.to_string());
        ack(delivery).await;
    }
}

pub(crate) async fn returns_out_of_order_come_again_in_order(rig: Rig) {
    let queue = rig.queue(true).await;
    rig.publish(&queue, ["0", "1", "2", "3", "4", "5"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 4).await.unwrap();
    let mut held: Vec<Option<Delivery>> = take(&mut subscription, 4).await.into_iter().map(Some).collect();
    for index in [2, 0, 3, 1] {
        held[index] = None;
    }
    for number in 0..6 {
        let delivery = next(&mut subscription).await;
        assert_eq!(text(&delivery), number.to_string());
        ack(delivery).await;
    }
}

pub(crate) async fn competing_subscriptions_get_different_deliveries(rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, (0..300).map(|number| format!("{number:03}"))).await;
    let mut tasks = tokio::task::JoinSet::new();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for subscriber in 0..3 {
        let mut subscription = rig.broker().subscribe(&queue, 5).await.unwrap();
        let sender = sender.clone();
        tasks.spawn(async move {
            while let Some(delivery) = subscription.next().await {
                let text = text(&delivery);
                ack(delivery).await;
                sender.send((subscriber, text)).unwrap();
            }
        });
    }
    let (mut texts, mut subscribers) = (BTreeSet::new(), BTreeSet::new());
    while texts.len() < 300 {
        let (subscriber, text) = tokio::time::timeout(crate::rig::PATIENCE, receiver.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(texts.insert(text), "delivered twice");
        subscribers.insert(subscriber);
    }
    assert!(subscribers.len() > 1, "one subscription got everything");
    tasks.shutdown().await;
}

pub(crate) async fn prefetch_bounds_what_is_unsettled(mut rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, (0..20).map(|number| number.to_string())).await;
    for _ in 0..2 {
        let mut subscription = rig.broker().subscribe(&queue, 3).await.unwrap();
        let mut held = take(&mut subscription, 3).await;
        nothing_for(&mut subscription, MOMENT).await;
        ack(held.remove(0)).await;
        held.push(next(&mut subscription).await);
        nothing_for(&mut subscription, MOMENT).await;
        drop((subscription, held));
        rig.reopen().await;
        rig.queue(false).await;
    }
}

pub(crate) async fn a_full_queue_refuses_and_takes_again_after_settlements(rig: Rig) {
    let queue = rig.limited_queue(true, 20).await;
    let mut stored = 0;
    let full = loop {
        match rig
            .broker()
            .publish(vec![publication(&queue, stored.to_string())])
            .await
            .remove(0)
        {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "no limit");
    };
    assert!(matches!(&full, PublishError::Full(name) if *name == queue.0), "{full}");
    assert!(stored >= 20, "{stored}");
    let mut subscription = rig.broker().subscribe(&queue, 100).await.unwrap();
    for delivery in take(&mut subscription, stored).await {
        ack(delivery).await;
    }
    let deadline = tokio::time::Instant::now() + crate::rig::PATIENCE;
    while rig.broker().publish(vec![publication(&queue, "again")]).await[0].is_err() {
        assert!(tokio::time::Instant::now() < deadline, "full for ever");
    }
    assert_eq!(text(&next(&mut subscription).await), "again");
}

pub(crate) async fn a_settlement_after_a_return_is_stale(rig: Rig) {
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["a"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 5).await.unwrap();
    let held = next(&mut subscription).await;
    drop(subscription);
    let mut subscription = rig.broker().subscribe(&queue, 5).await.unwrap();
    let again = next(&mut subscription).await;
    assert_eq!(held.settle.ack().await, Settled::Stale);
    ack(again).await;
    nothing_for(&mut subscription, MOMENT).await;
}

pub(crate) async fn a_backlog_comes_whole_and_in_order(mut rig: Rig) {
    let queue = rig.queue(true).await;
    for batch in 0..10 {
        rig.publish(&queue, (0..100).map(|number| format!("{}", batch * 100 + number)))
            .await;
    }
    rig.reopen().await;
    rig.queue(true).await;
    let mut subscription = rig.broker().subscribe(&queue, 50).await.unwrap();
    for start in (0..1000).step_by(50) {
        if start == 500 {
            rig.publish(&queue, ["1000", "1001"]).await;
        }
        let held = take(&mut subscription, 50).await;
        for (offset, delivery) in held.into_iter().enumerate() {
            assert_eq!(text(&delivery), (start + offset).to_string());
            ack(delivery).await;
        }
    }
    let last = take(&mut subscription, 2).await;
    assert_eq!(last.iter().map(text).collect::<Vec<_>>(), ["1000", "1001"]);
}
