use super::*;
use crate::sms::smpp::pdu::{tag, tests::Deliver};
use omnigate_proto::v1::{ReachabilityState, ReceiptState, event::Kind, part::Content};

fn deliver(sequence: u32, text: &str) -> Vec<u8> {
    let deliver = Deliver {
        sequence,
        text: text.as_bytes().to_vec(),
        ..Deliver::default()
    };
    deliver.octets()
}

fn words(event: &Event) -> String {
    let Some(Kind::Message(message)) = &event.kind else {
        panic!("{event:?}")
    };
    let Some(Content::Text(text)) = &message.parts[0].content else {
        panic!("{message:?}")
    };
    text.text.clone()
}

/// Status and sequence number of the next answers to deliveries.
async fn answers(smsc: &mut Smsc, count: usize) -> Vec<(u32, u32)> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let answer = smsc.expect(command::DELIVER_SM | command::RESPONSE).await;
        assert_eq!(answer.body(), b"\0");
        answers.push((answer.status, answer.sequence));
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn what_one_read_brings_is_one_push_and_answered_after_it() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, _run) = rig.bound(0).await;
    rig.host.pushes.send_replace(Pushes::Hang);
    smsc.write(&[deliver(5, "one"), deliver(6, "two"), deliver(7, "three")].concat())
        .await;
    // An answer would come before this one.
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 8, b"")).await;
    smsc.expect(command::ENQUIRE_LINK_RESP).await;
    rig.host.pushes.send_replace(Pushes::Work);
    let events = rig.pushed().await;
    let texts: Vec<String> = events.iter().map(words).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(answers(&mut smsc, 3).await, [(0, 5), (0, 6), (0, 7)]);
    assert_eq!(events[0].peer.as_ref().unwrap().value, "+84912345678");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_pushed_is_refused_and_comes_again_as_the_same() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    rig.host.pushes.send_replace(Pushes::Fail);
    smsc.write(&[deliver(5, "ok"), deliver(6, "ok")].concat()).await;
    assert_eq!(answers(&mut smsc, 2).await, [(0x64, 5), (0x64, 6)]);
    // What comes while the bind is given up is refused too.
    smsc.write(&deliver(7, "third")).await;
    let unbind = loop {
        let pdu = smsc.next().await;
        if pdu.command == command::UNBIND {
            break pdu;
        }
        assert_eq!((pdu.status, pdu.sequence), (0x64, 7));
    };
    smsc.answer(&unbind, 0, b"").await;
    assert!(matches!(run.await.unwrap(), Err(SessionError::Retry { .. })));

    let tried = rig.host.tried.lock().unwrap().clone();
    rig.host.pushes.send_replace(Pushes::Work);
    let (mut smsc, _run) = rig.bound(0).await;
    smsc.write(&[deliver(1, "ok"), deliver(2, "ok"), deliver(3, "ok")].concat())
        .await;
    let events = rig.pushed().await;
    let keys: Vec<String> = events.iter().map(|event| event.stable_key.clone()).collect();
    assert_eq!(keys[..2], tried[..]);
    assert!(!tried.contains(&keys[2]));
    assert_eq!(answers(&mut smsc, 3).await, [(0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_message_keeps_its_key_across_connections() {
    let mut rig = Rig::new(json!({ "binds": 2 }));
    let (mut smsc, run) = rig.bound(0).await;
    smsc.write(&deliver(5, "ok")).await;
    let first = rig.pushed().await.remove(0);
    assert_eq!(answers(&mut smsc, 1).await, [(0, 5)]);
    // The SMSC may not have read the answer: nothing that came after it was answered.
    drop(smsc);
    assert!(run.await.unwrap().is_err());
    let (mut smsc, _run) = rig.bound(1).await;
    smsc.write(&deliver(9, "ok")).await;
    let again = rig.pushed().await.remove(0);
    assert_eq!(again.stable_key, first.stable_key);
    answers(&mut smsc, 1).await;
    smsc.write(&deliver(10, "ok")).await;
    let new = rig.pushed().await.remove(0);
    assert_ne!(new.stable_key, first.stable_key);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_the_smsc_has_read_is_the_end() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    smsc.write(&deliver(5, "ok")).await;
    let first = rig.pushed().await.remove(0);
    answers(&mut smsc, 1).await;
    let sent = rig.send("hello");
    let submit = smsc.expect(command::SUBMIT_SM).await;
    smsc.answer(&submit, 0, b"a\0").await;
    sent.await.unwrap().unwrap();
    drop(smsc);
    assert!(run.await.unwrap().is_err());
    let (mut smsc, _run) = rig.bound(0).await;
    smsc.write(&deliver(9, "ok")).await;
    assert_ne!(rig.pushed().await.remove(0).stable_key, first.stable_key);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_costs_only_itself() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, _run) = rig.bound(0).await;
    let broken = frame(command::DELIVER_SM, 0, 6, b"no message");
    smsc.write(&[deliver(5, "one"), broken.clone(), deliver(7, "two")].concat())
        .await;
    let events = rig.pushed().await;
    assert_eq!(
        (words(&events[0]), words(&events[2])),
        ("one".to_owned(), "two".to_owned())
    );
    let Some(Kind::Unsupported(unsupported)) = &events[1].kind else {
        panic!("{events:?}")
    };
    assert_eq!(
        (unsupported.type_name.as_str(), unsupported.reason.as_str()),
        ("deliver_sm", "malformed")
    );
    assert_eq!(unsupported.raw, broken);
    assert_eq!(answers(&mut smsc, 3).await, [(0, 5), (0, 6), (0, 7)]);
}

#[tokio::test(start_paused = true)]
async fn data_sm_and_alerts_come_too() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, _run) = rig.bound(0).await;
    let data = Deliver {
        command: command::DATA_SM,
        sequence: 5,
        tlvs: vec![(tag::MESSAGE_PAYLOAD, b"hello".to_vec())],
        ..Deliver::default()
    };
    let alert = frame(
        command::ALERT_NOTIFICATION,
        0,
        6,
        b"\x01\x0184912345678\0\x01\x018041\0\x04\x22\0\x01\x02",
    );
    smsc.write(&[data.octets(), alert].concat()).await;
    let events = rig.pushed().await;
    assert_eq!(words(&events[0]), "hello");
    let Some(Kind::Reachability(told)) = &events[1].kind else {
        panic!("{events:?}")
    };
    assert_eq!(told.state(), ReachabilityState::Unavailable);
    assert_eq!(events[1].peer.as_ref().unwrap().value, "+84912345678");
    let answer = smsc.expect(command::DATA_SM | command::RESPONSE).await;
    assert_eq!((answer.sequence, answer.status), (5, 0));
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 8, b"")).await;
    smsc.expect(command::ENQUIRE_LINK_RESP).await;
}

#[tokio::test(start_paused = true)]
async fn receipts_name_what_was_accepted() {
    let mut rig = Rig::new(json!({ "submit_id": "hex", "receipt_id": "decimal" }));
    let (mut smsc, _run) = rig.bound(0).await;
    let sent = rig.send("hello");
    let submit = smsc.expect(command::SUBMIT_SM).await;
    smsc.answer(&submit, 0, b"1D305B4C\0").await;
    let accepted = sent.await.unwrap().unwrap();
    let text = "id:0489708364 sub:001 dlvrd:001 submit date:2601021003 done date:2601021004 stat:DELIVRD err:000 text:";
    let receipt = Deliver {
        sequence: 5,
        esm_class: 4,
        text: text.as_bytes().to_vec(),
        ..Deliver::default()
    };
    smsc.write(&receipt.octets()).await;
    let event = rig.pushed().await.remove(0);
    let Some(Kind::Receipt(receipt)) = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!(receipt.provider_message_id, accepted.provider_message_id);
    assert_eq!(receipt.state(), ReceiptState::Delivered);
    assert_eq!(answers(&mut smsc, 1).await, [(0, 5)]);
}

#[tokio::test(start_paused = true)]
async fn more_than_can_wait_is_asked_to_come_again() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, _run) = rig.bound(0).await;
    rig.host.pushes.send_replace(Pushes::Hang);
    for number in 1..=1_100_u32 {
        smsc.write(&deliver(number, &format!("number {number}"))).await;
    }
    let refused = answers(&mut smsc, 100).await;
    assert!(refused.iter().all(|(status, _)| *status == 0x14));
    assert_eq!(refused[0].1, 1_001, "the first thousand wait");
    rig.host.pushes.send_replace(Pushes::Work);
    let taken = answers(&mut smsc, 1_000).await;
    let expected: Vec<(u32, u32)> = (1..=1_000).map(|number| (0, number)).collect();
    assert_eq!(taken, expected);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_a_push_end() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    rig.host.pushes.send_replace(Pushes::Hang);
    smsc.write(&deliver(5, "one")).await;
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 6, b"")).await;
    smsc.expect(command::ENQUIRE_LINK_RESP).await;
    rig.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.host.pushes.send_replace(Pushes::Work);
    assert_eq!(answers(&mut smsc, 1).await, [(0, 5)]);
    let unbind = smsc.expect(command::UNBIND).await;
    smsc.answer(&unbind, 0, b"").await;
    assert!(run.await.unwrap().is_ok());
}
