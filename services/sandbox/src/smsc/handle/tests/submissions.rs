use super::*;

#[tokio::test]
async fn a_submission_is_recorded_as_it_was_sent() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let mut sent = with_receipt("Xin chào, đường số 5");
    sent.tlvs = vec![
        Tlv::new(tag::USER_MESSAGE_REFERENCE, &b"\x00\x07"[..]),
        Tlv::new(0x1454, &b"zz"[..]),
    ];
    let response = esme.submit(&sent).await;
    assert_eq!(
        (response.status, &response.body[..]),
        (status::ROK, &b"0489708364\0"[..])
    );
    let taken = smsc.submissions();
    assert_eq!(taken[0].message_id, "0489708364");
    assert_eq!(taken[0].text.as_deref(), Some("Xin chào, đường số 5"));
    assert_eq!((taken[0].data_coding, taken[0].registered_delivery), (8, 1));
    assert_eq!(
        taken[0].tlvs,
        [(0x0204, "0007".to_owned()), (0x1454, "7a7a".to_owned())]
    );
    let texts = smsc.texts_to("+84912345678");
    assert_eq!((texts.len(), texts[0].copies), (1, 1));
    assert!(smsc.texts_to("+849123456789").is_empty());
    esme.delivered().await;
    esme.submit(&message("another")).await;
    assert!(smsc.repeated_texts().is_empty(), "another text is no copy");
}

#[tokio::test]
async fn a_payload_and_data_sm_are_taken() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let long = "a".repeat(500);
    let mut payload = message("");
    payload.tlvs = vec![Tlv::new(tag::MESSAGE_PAYLOAD, long.clone())];
    assert_eq!(esme.submit(&payload).await.status, status::ROK);
    let sequence = esme.ask(command::DATA_SM, &payload.data_body()).await;
    let response = esme.next().await;
    let told = (response.command, response.status, response.sequence);
    assert_eq!(told, (command::DATA_SM_RESP, status::ROK, sequence));
    let texts = smsc.texts();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|text| text.text.as_deref() == Some(&long)));
    assert_eq!(smsc.repeated_texts().len(), 1, "the second is a copy of the first");
}

#[tokio::test]
async fn long_messages_are_put_together_in_whichever_way_they_were_cut() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let text = "Đơn hàng của bạn đã được xác nhận. ".repeat(6);
    for (reference, long) in [(1, Long::Udh8), (2, Long::Udh16), (3, Long::Sar)] {
        let (_, octets) = encode(&text, super::super::super::Coding::Ucs2).unwrap();
        let template = ShortMessage {
            short_message: Bytes::new(),
            data_coding: 8,
            ..message("")
        };
        let mut pieces = cut(&template, &octets, long, reference).unwrap();
        assert!(pieces.len() > 2);
        pieces.reverse();
        // The network made one of them twice.
        pieces.insert(1, pieces[0].clone());
        for piece in &pieces {
            assert_eq!(esme.submit(piece).await.status, status::ROK);
        }
    }
    let texts = smsc.texts_to("84912345678");
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|whole| whole.text.as_ref() == Some(&text)));
    assert_eq!(texts.iter().map(|whole| whole.copies).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(smsc.counters().repeated_pieces, 3);
    assert_eq!(smsc.look(|view| view.incomplete()), 0);
}

#[tokio::test]
async fn ids_are_written_as_the_account_will_have_them() {
    for (form, expected) in [
        (IdForm::Plain, "489708364\0"),
        (IdForm::Hex, "1d305b4c\0"),
        (IdForm::Uuid, "5a4d0c1e-7b2f-4c6d-9e8a-00001d305b4c\0"),
    ] {
        let smsc = start(with_account(|account| account.ids.response = form)).await;
        let mut esme = Esme::transceiver(&smsc).await;
        assert_eq!(esme.submit(&message("x")).await.body, expected);
    }
}

#[tokio::test]
async fn too_many_unanswered_and_too_many_a_second_are_throttled() {
    let smsc = start(Options {
        latency: Duration::from_millis(50),
        ..with_account(|account| account.window = 2)
    })
    .await;
    let mut esme = Esme::transceiver(&smsc).await;
    let body = message("x").deliver_body();
    for _ in 0..3 {
        esme.ask(command::SUBMIT_SM, &body).await;
    }
    let first = esme.next().await;
    assert_eq!((first.status, first.sequence), (status::RTHROTTLED, 4));
    for sequence in [2, 3] {
        let answer = esme.next().await;
        assert_eq!((answer.status, answer.sequence), (status::ROK, sequence));
    }
    esme.submit(&message("x")).await;

    let slow = start(with_account(|_| {})).await;
    slow.limits(None, 0, 2).unwrap();
    let mut esme = Esme::transceiver(&slow).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(esme.submit(&message("x")).await.status);
    }
    assert_eq!(statuses, [status::ROK, status::ROK, status::RTHROTTLED]);
    assert_eq!(slow.counters().throttled, 1);
}

#[tokio::test]
async fn faults_before_the_effect_leave_none() {
    let smsc = start(with_account(|account| account.window = 0)).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.fault(FaultRule {
        destination: Some("+8491".to_owned()),
        ..FaultRule::once(Operation::Submit, Fault::refused(status::RMSGQFUL))
    });
    assert_eq!(esme.submit(&message("x")).await.status, status::RMSGQFUL);
    smsc.fault(FaultRule::once(
        Operation::Submit,
        Fault::Nack {
            status: status::RSYSERR,
        },
    ));
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    let nack = esme.next().await;
    assert_eq!((nack.command, nack.status), (command::GENERIC_NACK, status::RSYSERR));
    smsc.fault(FaultRule::once(Operation::Submit, Fault::SilenceBefore));
    smsc.fault(FaultRule::once(Operation::Submit, Fault::CutBefore));
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    assert!(esme.read().await.is_none());
    smsc.wait_for(|view| view.counters().disconnections == 1, SOON)
        .await
        .unwrap();
    assert_eq!((smsc.counters().accepted, smsc.counters().faults), (0, 4));
}

#[tokio::test]
async fn faults_after_the_effect_leave_it() {
    let smsc = start(with_account(|account| account.window = 0)).await;
    let mut esme = Esme::transceiver(&smsc).await;
    for (fault, body) in [
        (Fault::NoBody, &b""[..]),
        (Fault::Unterminated, b"0489708365"),
        (Fault::Twice, b"0489708366\0"),
    ] {
        smsc.fault(FaultRule::once(Operation::Submit, fault));
        assert_eq!(esme.submit(&message("x")).await.body, body);
    }
    let again = esme.next().await;
    assert_eq!((&again.body[..], again.sequence), (&b"0489708366\0"[..], 4));
    smsc.fault(FaultRule::once(Operation::Submit, Fault::Stray));
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    assert_ne!(esme.next().await.sequence, 5);
    smsc.fault(FaultRule::once(Operation::Submit, Fault::SilenceAfter));
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    // Answered before the cut, so it arrives.
    esme.submit(&message("x")).await;
    smsc.fault(FaultRule::once(Operation::Submit, Fault::CutAfter));
    esme.ask(command::SUBMIT_SM, &message("x").deliver_body()).await;
    assert!(esme.read().await.is_none());
    assert_eq!((smsc.counters().accepted, smsc.counters().repeated_texts), (7, 6));
    assert_eq!(smsc.texts().last().unwrap().copies, 7);
}

#[tokio::test]
async fn late_answers_are_overtaken() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.fault(FaultRule::once(Operation::Submit, Fault::Late { ms: 50_000 }));
    let late = esme.ask(command::SUBMIT_SM, &message("late").deliver_body()).await;
    let early = esme.ask(command::SUBMIT_SM, &message("early").deliver_body()).await;
    assert_eq!([esme.next().await.sequence, esme.next().await.sequence], [early, late]);
}

#[tokio::test]
async fn a_null_smsc_counts_and_gives_receipts() {
    let smsc = start(Options {
        null: Some(Null {
            receipts: true,
            receipt_window: 1,
        }),
        ..with_account(|_| {})
    })
    .await;
    let mut esme = Esme::transceiver(&smsc).await;
    let first = esme.submit(&with_receipt("a")).await;
    assert_eq!(&first.body[..], b"0489708364\0");
    let (receipt, sequence) = esme.delivered().await;
    assert!(text_of(&receipt).starts_with("id:0489708364 sub:001 dlvrd:001 "));
    esme.ask(command::SUBMIT_SM, &with_receipt("b").deliver_body()).await;
    esme.ask(command::ENQUIRE_LINK, b"").await;
    assert_eq!(&esme.next().await.body[..], b"0489708365\0");
    assert_eq!(
        esme.next().await.command,
        command::ENQUIRE_LINK_RESP,
        "the window holds the receipt"
    );
    esme.acknowledge(sequence, status::ROK).await;
    let (receipt, _) = esme.delivered().await;
    assert!(text_of(&receipt).starts_with("id:0489708365 "));
    let counters = smsc.counters();
    let counted = (
        counters.submits,
        counters.accepted,
        counters.receipts,
        counters.acknowledged,
    );
    assert_eq!(counted, (2, 2, 2, 1));
    assert!(smsc.submissions().is_empty());
}

#[tokio::test]
async fn what_was_answered_before_the_cut_arrives() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.fault(FaultRule {
        after: 2,
        ..FaultRule::once(Operation::Submit, Fault::CutBefore)
    });
    let mut out = BytesMut::new();
    for sequence in 11..15 {
        put(&mut out, command::SUBMIT_SM, 0, sequence, &message("x").deliver_body());
    }
    esme.stream.write_all(&out).await.unwrap();
    assert_eq!([esme.next().await.sequence, esme.next().await.sequence], [11, 12]);
    assert!(esme.read().await.is_none());
    assert_eq!((smsc.counters().submits, smsc.counters().accepted), (3, 2));
}
