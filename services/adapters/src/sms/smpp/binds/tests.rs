use super::*;
use crate::sms::smpp::pdu::{command, tests::frame};
use crate::sms::smpp::settings::SmppSettings;
use bytes::Bytes;
use futures_util::{FutureExt as _, poll};
use omnigate_core::account::Settings;
use serde_json::{Value, json};
use std::pin::pin;

fn binds(own: Value, window: usize) -> Binds {
    let mut all = json!({ "host": "smsc", "system_id": "s", "password": "p" });
    all.as_object_mut()
        .unwrap()
        .append(own.clone().as_object_mut().unwrap());
    let Value::Object(map) = all else {
        panic!("not an object")
    };
    let settings = SmppSettings::read(&Settings(map)).unwrap();
    Binds::new(settings.need_bind().unwrap(), window)
}

fn pdu() -> BytesMut {
    BytesMut::from(frame(command::SUBMIT_SM, 0, 0, b"").as_slice())
}

fn response() -> Answer {
    Answer::Response {
        status: 0,
        message_id: Bytes::new(),
    }
}

#[test]
fn binds_have_names_and_pairs_have_two() {
    let names = |binds: Binds| binds.lines.into_iter().map(|line| line.name).collect::<Vec<_>>();
    assert_eq!(names(binds(json!({ "binds": 2 }), 1)), ["bind-1", "bind-2"]);
    let pairs = json!({ "binds": 2, "bind": "transmitter_receiver" });
    assert_eq!(names(binds(pairs, 1)), ["tx-1", "rx-1", "tx-2", "rx-2"]);
}

#[tokio::test]
async fn without_a_bind_nothing_leaves() {
    let binds = binds(json!({ "bind": "transmitter_receiver" }), 1);
    assert_eq!(binds.submit(pdu(), || false).await, Err(NoPlace::Down));
    binds.lines[1].open(1, 1);
    assert_eq!(
        binds.submit(pdu(), || false).await,
        Err(NoPlace::Down),
        "a receiver does not send"
    );
    binds.lines[0].open(1, 1);
    assert!(poll!(pin!(binds.submit(pdu(), || false))).is_pending());
}

#[tokio::test]
async fn submits_are_shared_among_binds_and_wait_for_a_place() {
    let binds = binds(json!({ "binds": 2 }), 1);
    binds.lines.iter().for_each(|line| line.open(1, 1));
    let mut first = pin!(binds.submit(pdu(), || false));
    let mut second = pin!(binds.submit(pdu(), || false));
    let mut third = pin!(binds.submit(pdu(), || false));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
    assert!(
        binds
            .lines
            .iter()
            .all(|line| matches!(line.submit(&mut pdu()), Claim::Full))
    );
    binds.lines[1].answer(2, response());
    binds.freed();
    assert!(poll!(&mut third).is_pending());
    assert!(
        matches!(binds.lines[1].submit(&mut pdu()), Claim::Full),
        "the third took the place"
    );
    binds.lines[0].answer(2, response());
    let done = [poll!(&mut first), poll!(&mut second)];
    assert_eq!(done.iter().filter(|poll| poll.is_ready()).count(), 2);
}

#[tokio::test]
async fn who_waits_too_long_is_told() {
    let binds = binds(json!({}), 1);
    binds.lines[0].open(1, 1);
    let mut first = pin!(binds.submit(pdu(), || false));
    assert!(poll!(&mut first).is_pending());
    assert_eq!(binds.submit(pdu(), || true).await, Err(NoPlace::Full));
    let late = std::cell::Cell::new(false);
    let mut second = pin!(binds.submit(pdu(), || late.get()));
    assert!(poll!(&mut second).is_pending());
    late.set(true);
    binds.changed();
    assert_eq!(second.await, Err(NoPlace::Full));
}

#[tokio::test]
async fn the_queue_has_an_end() {
    let binds = binds(json!({}), 1);
    binds.lines[0].open(1, 1);
    let mut waiting: Vec<_> = (0..=LEAST_WAITING)
        .map(|_| Box::pin(binds.submit(pdu(), || false)))
        .collect();
    for submit in &mut waiting {
        assert!(submit.as_mut().now_or_never().is_none());
    }
    assert_eq!(binds.submit(pdu(), || false).await, Err(NoPlace::Full));
    waiting.pop();
    assert!(
        poll!(pin!(binds.submit(pdu(), || false))).is_pending(),
        "a place in the queue is given back"
    );
    assert_eq!(binds.at_once(), 1 + LEAST_WAITING);
}

#[tokio::test]
async fn who_waits_learns_that_the_bind_is_gone() {
    let binds = binds(json!({}), 1);
    binds.lines[0].open(1, 1);
    let mut first = pin!(binds.submit(pdu(), || false));
    let mut second = pin!(binds.submit(pdu(), || false));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    binds.lines[0].close();
    binds.changed();
    assert_eq!(first.await, Ok((Answer::NotSent, 0)));
    assert_eq!(second.await, Err(NoPlace::Down));
}

#[tokio::test]
async fn a_bind_that_rests_leaves_it_to_the_others() {
    let binds = binds(json!({ "binds": 2 }), 2);
    binds.lines.iter().for_each(|line| line.open(2, 1));
    binds.lines[0].rest(8);
    for _ in 0..2 {
        assert!(poll!(pin!(binds.submit(pdu(), || false))).is_pending());
    }
    assert!(matches!(binds.lines[1].submit(&mut pdu()), Claim::Full));
    binds.lines[1].rest(4);
    assert_eq!(
        binds.submit(pdu(), || false).await,
        Err(NoPlace::Resting(Duration::from_secs(1)))
    );
}
