//! Replays of the journal: interrupted, and where there is none.

use crate::gateway::{Gateway, Process, TENANT, of};
use futures_util::StreamExt as _;
use omnigate_api::{Copies, Settings};
use omnigate_core::port::broker::Broker as _;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::{Event, ReplayRequest, ReplayResponse};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::replay_service_server::ReplayService as _;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

fn with_journal() -> Settings {
    Settings {
        copies: vec![Copies {
            place: "journal",
            kept: Duration::from_hours(72),
        }],
        ..Settings::default()
    }
}

/// So many entries of the journal, each with one event.
async fn journal(gateway: &Gateway, process: &Process, count: usize) {
    let received_at_ms = process.ports.clock.now().0 - 1_000;
    for number in 0..count {
        let event = Event {
            event_id: format!("{number:032x}"),
            tenant_id: TENANT.to_owned(),
            account_id: "bot".to_owned(),
            ..Event::default()
        };
        let stamped = Stamped {
            event: event.encode_to_vec().into(),
            received_at_ms,
            ..Stamped::default()
        };
        let body = EventBatch { events: vec![stamped] }.encode_to_vec().into();
        gateway
            .broker
            .append(&topology::journal(), vec![body])
            .await
            .remove(0)
            .unwrap();
    }
}

fn asked() -> ReplayRequest {
    ReplayRequest {
        from: Some(Moment(0).to_timestamp()),
        account_id: "bot".to_owned(),
        ..ReplayRequest::default()
    }
}

/// Everything that is told, and how it ended.
async fn told(process: &Process, asked: ReplayRequest, most: usize) -> (Vec<ReplayResponse>, Option<Status>) {
    let stream = process.api.replay(of(TENANT, asked)).await.unwrap().into_inner();
    let mut told = Vec::new();
    let mut stream = stream.take(most);
    while let Some(next) = stream.next().await {
        match next {
            Ok(next) => told.push(next),
            Err(status) => return (told, Some(status)),
        }
    }
    (told, None)
}

fn replayed(gateway: &Gateway) -> usize {
    let queues = topology::partitions(16).map(topology::inbound);
    let bodies = queues.flat_map(|queue| gateway.broker.waiting(&queue));
    bodies.map(|body| EventBatch::decode(body).unwrap().events.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_was_given_up_goes_on_where_it_was() {
    let gateway = Gateway::new();
    let process = gateway.process_with(with_journal());
    journal(&gateway, &process, 100).await;
    let (first, _) = told(&process, asked(), 1).await;
    let put = first[0].replayed;
    assert!(put > 0 && put < 100 && !first[0].done, "{first:?}");
    let resumed = ReplayRequest {
        resume_token: first[0].resume_token.clone(),
        ..asked()
    };
    let (rest, _) = told(&process, resumed, 100).await;
    let last = rest.last().unwrap();
    assert!(last.done && put + last.replayed == 100, "{rest:?}");
    assert_eq!(replayed(&gateway), 100, "each is on its way once");
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_there_is_nothing_to_replay() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let refused = process.api.replay(of(TENANT, asked())).await.err().unwrap();
    assert_eq!(reason(&refused).as_deref(), Some("JOURNAL_OFF"));
    let process = gateway.process_with(with_journal());
    gateway.broker.refuse(&topology::journal(), true);
    let refused = process.api.replay(of(TENANT, asked())).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_falls_silent_is_said_and_not_waited_for_without_end() {
    let gateway = Gateway::new();
    let process = gateway.process_with(with_journal());
    journal(&gateway, &process, 3).await;
    let (told, _) = told(&process, asked(), 10).await;
    assert!(told.last().unwrap().done);
    // A token from behind the end of a journal that was lost since.
    let elsewhere = Gateway::new();
    let other = elsewhere.process_with(with_journal());
    let resumed = ReplayRequest {
        resume_token: told.last().unwrap().resume_token.clone(),
        ..asked()
    };
    let stream = other.api.replay(of(TENANT, resumed)).await.unwrap();
    let last = stream.into_inner().next().await.unwrap();
    assert_eq!(
        last.err().and_then(|status| reason(&status)).as_deref(),
        Some("BROKER_SILENT")
    );
}
