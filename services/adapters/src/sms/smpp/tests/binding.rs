use super::*;

/// Whether somebody has to change something, why it ended, and how long to wait.
fn problem(outcome: Result<(), SessionError>) -> (bool, String, Duration) {
    match outcome {
        Ok(()) => panic!("it stopped"),
        Err(SessionError::Misconfigured(problem)) => (true, problem, Duration::ZERO),
        Err(SessionError::Retry { problem, after }) => (false, problem, after),
    }
}

#[tokio::test(start_paused = true)]
async fn a_bind_says_who_we_are() {
    for (bind, commands) in [
        ("transceiver", vec![command::BIND_TRANSCEIVER]),
        (
            "transmitter_receiver",
            vec![command::BIND_TRANSMITTER, command::BIND_RECEIVER],
        ),
    ] {
        let mut rig = Rig::new(json!({ "bind": bind, "system_type": "VMA", "address_range": "8041" }));
        for (index, expected) in commands.into_iter().enumerate() {
            let _run = rig.run(index);
            let mut smsc = rig.smsc().await;
            let bind = smsc.expect(expected).await;
            assert_eq!(bind.body(), b"shop\0s3cret\0VMA\0\x34\0\x008041\0");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_apart() {
    for (status, is_misconfigured) in [
        (0x0e, true),
        (0x0f, true),
        (0x53, true),
        (0x03, true),
        (0x05, false),
        (0x0d, false),
        (0x08, false),
        (0x58, false),
        (0x400, false),
    ] {
        let mut rig = Rig::new(json!({}));
        let run = rig.run(0);
        let mut smsc = rig.smsc().await;
        let bind = smsc.next().await;
        smsc.answer(&bind, status, b"").await;
        let (misconfigured, words, after) = problem(run.await.unwrap());
        assert_eq!(misconfigured, is_misconfigured, "{status:#x}: {words}");
        assert!(misconfigured || after >= Duration::from_secs(5), "{status:#x}");
        assert!(!words.contains("s3cret"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bind_that_is_not_understood_is_a_matter_of_settings() {
    let mut rig = Rig::new(json!({}));
    let run = rig.run(0);
    let mut smsc = rig.smsc().await;
    let bind = smsc.next().await;
    smsc.write(&frame(command::GENERIC_NACK, 3, bind.sequence, b"")).await;
    let (misconfigured, words, _) = problem(run.await.unwrap());
    assert!(misconfigured && words.contains("transmitter_receiver"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn a_bind_without_answer_and_a_closed_connection_are_tried_again() {
    let mut rig = Rig::new(json!({ "bind_s": 5 }));
    let run = rig.run(0);
    let silent = rig.smsc().await;
    assert!(!problem(run.await.unwrap()).0);
    drop(silent);
    let run = rig.run(0);
    drop(rig.smsc().await);
    assert!(!problem(run.await.unwrap()).0);
    let unreachable = Rig::with(json!({}), false);
    assert!(!problem(unreachable.run(0).await.unwrap()).0);
}

#[tokio::test(start_paused = true)]
async fn an_smsc_may_ask_before_it_answers_the_bind() {
    let mut rig = Rig::new(json!({}));
    let _run = rig.run(0);
    let mut smsc = rig.smsc().await;
    let bind = smsc.next().await;
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 9, b"")).await;
    assert_eq!(smsc.expect(command::ENQUIRE_LINK_RESP).await.sequence, 9);
    smsc.answer(&bind, 0, b"").await;
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 10, b"")).await;
    assert_eq!(smsc.expect(command::ENQUIRE_LINK_RESP).await.sequence, 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_asked_and_given_up_when_it_is_dead() {
    let mut rig = Rig::new(json!({ "enquire_link_s": 20, "response_s": 10 }));
    let (mut smsc, run) = rig.bound(0).await;
    let began = Instant::now();
    let asked = smsc.read().await.unwrap();
    assert_eq!(asked.command, command::ENQUIRE_LINK);
    assert_eq!(began.elapsed().as_secs(), 20);
    smsc.answer(&asked, 0, b"").await;
    let again = smsc.read().await.unwrap();
    assert_eq!((again.command, began.elapsed().as_secs()), (command::ENQUIRE_LINK, 40));
    let (_, words, _) = problem(run.await.unwrap());
    assert!(words.contains("enquire_link"), "{words}");
    assert_eq!(began.elapsed().as_secs(), 50);
    assert!(smsc.is_left().await);
}

#[tokio::test(start_paused = true)]
async fn stopping_unbinds() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    rig.stop();
    let unbind = smsc.expect(command::UNBIND).await;
    smsc.answer(&unbind, 0, b"").await;
    assert!(run.await.unwrap().is_ok());
    assert!(smsc.is_left().await);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    let sent = rig.send("hello");
    smsc.expect(command::SUBMIT_SM).await;
    rig.host.pushes.send_replace(Pushes::Hang);
    let began = Instant::now();
    rig.stop();
    assert!(run.await.unwrap().is_ok());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the host cuts at five seconds"
    );
    assert!(sent.await.unwrap().is_err());
    // Also before the bind is answered.
    let run = rig.run(0);
    assert!(run.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_smsc_that_unbinds_is_answered_and_left() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    smsc.write(&frame(command::UNBIND, 0, 77, b"")).await;
    assert_eq!(smsc.expect(command::UNBIND_RESP).await.sequence, 77);
    assert!(!problem(run.await.unwrap()).0);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_refused_and_costs_nothing() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    smsc.write(&frame(0x999, 0, 5, b"abc")).await;
    let nack = smsc.expect(command::GENERIC_NACK).await;
    assert_eq!((nack.status, nack.sequence), (3, 5));
    // Answers to nothing, an invitation to bind, and a refusal of nothing.
    smsc.write(&frame(0x8000_0999, 0, 6, b"")).await;
    smsc.write(&frame(command::OUTBIND, 0, 7, b"a\0b\0")).await;
    smsc.write(&frame(command::GENERIC_NACK, 2, 0, b"x")).await;
    smsc.write(&frame(command::ENQUIRE_LINK, 0, 8, b"body")).await;
    assert_eq!(smsc.expect(command::ENQUIRE_LINK_RESP).await.sequence, 8);
    assert!(!run.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_length_that_cannot_be_ends_the_connection() {
    let mut rig = Rig::new(json!({}));
    let (mut smsc, run) = rig.bound(0).await;
    let mut absurd = frame(command::DELIVER_SM, 0, 9, b"");
    absurd[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    smsc.write(&absurd).await;
    let nack = smsc.expect(command::GENERIC_NACK).await;
    assert_eq!((nack.status, nack.sequence), (2, 9));
    assert!(!problem(run.await.unwrap()).0);
}
