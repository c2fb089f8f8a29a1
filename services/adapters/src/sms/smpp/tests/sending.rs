use super::*;
use omnigate_proto::v1::{ErrorClass, ReceiptState};

async fn class(sent: Sent) -> ErrorClass {
    timeout(PATIENCE, sent).await.unwrap().unwrap().unwrap_err().class()
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_has_its_id() {
    let mut rig = Rig::new(json!({ "submit_id": "decimal" }));
    let (mut smsc, _run) = rig.bound(0).await;
    let sent = rig.send("hello");
    let submit = smsc.expect(command::SUBMIT_SM).await;
    smsc.answer(&submit, 0, b"0489708364\0").await;
    let accepted = sent.await.unwrap().unwrap();
    assert_eq!(accepted.provider_message_id, "1d305b4c");
    assert_eq!(accepted.state(), ReceiptState::Accepted);
}

#[tokio::test(start_paused = true)]
async fn answers_may_come_in_any_order_and_without_body() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, _run) = rig.bound(0).await;
    let first = rig.send("first");
    let one = smsc.expect(command::SUBMIT_SM).await;
    let second = rig.send("second");
    let two = smsc.expect(command::SUBMIT_SM).await;
    let third = rig.send("third");
    let three = smsc.expect(command::SUBMIT_SM).await;
    smsc.answer(&three, 0x0b, b"").await;
    smsc.answer(&two, 0, b"b\0").await;
    smsc.answer(&one, 0, b"a").await;
    assert_eq!(first.await.unwrap().unwrap().provider_message_id, "a");
    assert_eq!(second.await.unwrap().unwrap().provider_message_id, "b");
    let error = third.await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::RecipientPermanent);
    assert_eq!(error.provider_code, "0x0b");
    assert!(error.text.contains("ESME_RINVDSTADR"));
}

#[tokio::test(start_paused = true)]
async fn without_a_bind_nothing_leaves() {
    let rig = Rig::new(json!({}));
    let error = rig.send("hello").await.unwrap().unwrap_err();
    assert_eq!((error.class(), error.retry_after_ms), (ErrorClass::NotSent, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_writing_is_ambiguous_and_before_it_is_not() {
    let mut rig = Rig::new(json!({ "window": 2 }));
    let (mut smsc, run) = rig.bound(0).await;
    let written = rig.send("written");
    smsc.expect(command::SUBMIT_SM).await;
    let second = rig.send("second");
    smsc.expect(command::SUBMIT_SM).await;
    let waiting = rig.send("waiting for a place");
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(smsc);
    assert_eq!(class(written).await, ErrorClass::Ambiguous);
    assert_eq!(class(second).await, ErrorClass::Ambiguous);
    assert_eq!(class(waiting).await, ErrorClass::NotSent);
    assert!(run.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_cut_leaves_nobody_waiting() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    let sent = rig.send("hello");
    smsc.expect(command::SUBMIT_SM).await;
    run.abort();
    assert_eq!(class(sent).await, ErrorClass::Ambiguous);
    assert_eq!(class(rig.send("later")).await, ErrorClass::NotSent);
}

#[tokio::test(start_paused = true)]
async fn a_full_window_is_waited_for_and_not_for_ever() {
    let mut rig = Rig::new(json!({ "window": 1 }));
    let (mut smsc, _run) = rig.bound(0).await;
    let first = rig.send("first");
    let one = smsc.expect(command::SUBMIT_SM).await;
    let second = rig.send("second");
    tokio::time::sleep(Duration::from_secs(5)).await;
    smsc.answer(&one, 0, b"a\0").await;
    assert!(first.await.unwrap().is_ok());
    smsc.expect(command::SUBMIT_SM).await;
    let third = rig.send("third");
    let began = Instant::now();
    assert_eq!(class(third).await, ErrorClass::Throttled);
    assert!((14..18).contains(&began.elapsed().as_secs()), "half of its time");
    assert!(!second.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_place_without_answer_is_given_to_the_next_and_a_late_answer_to_nobody() {
    let mut rig = Rig::new(json!({ "window": 1, "response_s": 5 }));
    let (mut smsc, _run) = rig.bound(0).await;
    let lost = rig.send("lost");
    let one = smsc.expect(command::SUBMIT_SM).await;
    assert_eq!(class(lost).await, ErrorClass::Ambiguous);
    let next = rig.send("next");
    let two = smsc.expect(command::SUBMIT_SM).await;
    assert_ne!(one.sequence, two.sequence);
    smsc.answer(&one, 0, b"late\0").await;
    smsc.answer(&two, 0, b"b\0").await;
    assert_eq!(next.await.unwrap().unwrap().provider_message_id, "b");
}

#[tokio::test(start_paused = true)]
async fn a_bind_that_is_too_fast_rests() {
    for status in [0x58, 0x14] {
        let mut rig = Rig::new(json!({ "throttle_pause_ms": 2_000 }));
        let (mut smsc, _run) = rig.bound(0).await;
        let sent = rig.send("hello");
        let submit = smsc.expect(command::SUBMIT_SM).await;
        smsc.answer(&submit, status, b"").await;
        let error = sent.await.unwrap().unwrap_err();
        assert_eq!((error.class(), error.retry_after_ms), (ErrorClass::Throttled, 2_000));
        let error = rig.send("at once").await.unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Throttled);
        assert!((1..=2_000).contains(&error.retry_after_ms));
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let sent = rig.send("later");
        let submit = smsc.expect(command::SUBMIT_SM).await;
        smsc.answer(&submit, 0, b"a\0").await;
        assert!(sent.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_nack_answers_its_submit() {
    let mut rig = Rig::new(json!({ "status_classes": { "0x401": "account" } }));
    let (mut smsc, _run) = rig.bound(0).await;
    for (status, expected) in [
        (0x03, ErrorClass::Content),
        (0x00, ErrorClass::NotSent),
        (0x401, ErrorClass::Account),
    ] {
        let sent = rig.send("hello");
        let submit = smsc.expect(command::SUBMIT_SM).await;
        smsc.write(&frame(command::GENERIC_NACK, status, submit.sequence, b""))
            .await;
        assert_eq!(class(sent).await, expected, "{status:#x}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_answers_and_takes_nothing_new() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    let sent = rig.send("hello");
    let submit = smsc.expect(command::SUBMIT_SM).await;
    rig.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(class(rig.send("new")).await, ErrorClass::NotSent);
    smsc.answer(&submit, 0, b"a\0").await;
    assert!(sent.await.unwrap().is_ok());
    let unbind = smsc.expect(command::UNBIND).await;
    smsc.answer(&unbind, 0, b"").await;
    assert!(run.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn binds_share_the_work() {
    let mut rig = Rig::new(json!({ "binds": 2, "window": 1 }));
    let (mut one, _first) = rig.bound(0).await;
    let (mut two, second) = rig.bound(1).await;
    let (a, b) = (rig.send("a"), rig.send("b"));
    let at_one = one.expect(command::SUBMIT_SM).await;
    let at_two = two.expect(command::SUBMIT_SM).await;
    one.answer(&at_one, 0, b"1\0").await;
    two.answer(&at_two, 0, b"2\0").await;
    assert!(a.await.unwrap().is_ok() && b.await.unwrap().is_ok());
    drop(two);
    assert!(second.await.unwrap().is_err());
    for text in ["c", "d", "e"] {
        let sent = rig.send(text);
        let submit = one.expect(command::SUBMIT_SM).await;
        one.answer(&submit, 0, b"3\0").await;
        assert!(sent.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn many_submits_go_through_a_small_window() {
    let mut rig = Rig::new(json!({ "window": 10 }));
    let (mut smsc, _run) = rig.bound(0).await;
    let sends: Vec<Sent> = (0..70).map(|number| rig.send(&format!("number {number}"))).collect();
    let answering = tokio::spawn(async move {
        for number in 0..70 {
            let submit = smsc.expect(command::SUBMIT_SM).await;
            smsc.answer(&submit, 0, format!("{number}a\0").as_bytes()).await;
        }
        smsc
    });
    for sent in sends {
        assert!(sent.await.unwrap().is_ok());
    }
    answering.await.unwrap();
}
