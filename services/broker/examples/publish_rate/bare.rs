//! The same with nothing but lapin: one channel, confirms, mandatory.

use super::{BODY, Begun, QUEUES, queue};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueDeleteOptions,
    },
    types::FieldTable,
};
use std::{sync::Arc, time::Duration};

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("connection");
    let channel = connection.create_channel().await.expect("channel");
    (connection, channel)
}

pub(crate) async fn publish(url: &str, prefix: &str, window: usize, time: Duration) -> String {
    let (_connection, channel) = channel(url).await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .expect("confirms");
    let body = vec![b'x'; BODY];
    let exchange = format!("{prefix}.journal");
    let (channel, body, exchange) = (&channel, &body, exchange.as_str());
    let send = |index: usize| async move {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let (exchange, key) = (exchange.into(), queue(prefix, index).into());
        let sent = channel.basic_publish(exchange, key, options, body, properties);
        let confirm = sent.await.expect("sent");
        assert_eq!(confirm.await.expect("confirmed"), Confirmation::Ack(None));
    };
    let begun = Begun::now();
    let mut sending: FuturesUnordered<_> = (0..window).map(send).collect();
    let (mut confirmed, mut next) = (0u64, window);
    while sending.next().await.is_some() {
        confirmed += 1;
        if begun.elapsed() < time {
            sending.push(send(next));
            next += 1;
        }
    }
    begun.rate(confirmed)
}

pub(crate) async fn consume(url: &str, prefix: &str, time: Duration) -> String {
    let (connection, _channel) = channel(url).await;
    let begun = Arc::new(Begun::now());
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..QUEUES {
        let channel = connection.create_channel().await.expect("channel");
        channel
            .basic_qos(super::PREFETCH, BasicQosOptions::default())
            .await
            .expect("prefetch");
        let (name, options) = (queue(prefix, index).into(), BasicConsumeOptions::default());
        let consuming = channel.basic_consume(name, "".into(), options, FieldTable::default());
        let mut consumer = consuming.await.expect("consumer");
        let begun = Arc::clone(&begun);
        tasks.spawn(async move {
            let mut count = 0u64;
            while begun.elapsed() < time {
                tokio::select! {
                    delivery = consumer.next() => {
                        let delivery = delivery.expect("delivery").expect("delivery");
                        delivery.ack(BasicAckOptions::default()).await.expect("ack");
                        count += 1;
                    }
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
            channel.close(200, "done".into()).await.expect("close");
            count
        });
    }
    let counts = tasks.join_all().await;
    begun.rate(counts.into_iter().sum())
}

pub(crate) async fn delete(url: &str, prefix: &str) {
    let (_connection, channel) = channel(url).await;
    let own = ["parked", "journal", "retry.1s", "retry.5s", "retry.30s", "retry.60s"];
    let names = (0..QUEUES)
        .map(|index| queue(prefix, index))
        .chain(own.map(|name| format!("{prefix}.{name}")));
    for name in names {
        channel
            .queue_delete(name.into(), QueueDeleteOptions::default())
            .await
            .expect("deleted");
    }
}
