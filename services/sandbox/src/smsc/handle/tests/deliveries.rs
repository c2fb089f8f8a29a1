use super::{
    super::super::{flood::Flood, people::unhex},
    *,
};

fn plan(plan: ReceiptPlan) -> ReceiptRule {
    ReceiptRule {
        destination: None,
        times: None,
        plan,
    }
}

#[tokio::test]
async fn a_receipt_follows_the_answer_and_names_the_id() {
    let options = with_account(|account| {
        account.ids = IdForms {
            tlv: IdForm::Hex,
            ..IdForms::default()
        };
    });
    let smsc = start(Options {
        latency: Duration::from_millis(30),
        ..options
    })
    .await;
    let mut esme = Esme::transceiver(&smsc).await;
    let response = esme.submit(&with_receipt("hello")).await;
    assert_eq!(&response.body[..], b"0489708364\0");
    let (receipt, sequence) = esme.delivered().await;
    assert_eq!(receipt.esm_class, 0x04);
    assert!(text_of(&receipt).starts_with("id:0489708364 "));
    assert_eq!(&receipt.tlv(tag::RECEIPTED_MESSAGE_ID).unwrap()[..], b"1d305b4c\0");
    assert_eq!(
        (receipt.source.address.as_str(), receipt.destination.address.as_str()),
        ("84912345678", "OMNIGATE")
    );
    esme.acknowledge(sequence, status::ROK).await;
    smsc.wait_for(|view| view.pending() == 0 && view.counters().acknowledged == 1, SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn receipts_come_as_they_were_asked_for() {
    let smsc = start(with_account(|account| account.window = 0)).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let submit = async |esme: &mut Esme, registered_delivery| {
        let asks = ShortMessage {
            registered_delivery,
            ..message("x")
        };
        esme.submit(&asks).await;
    };
    submit(&mut esme, 0).await;
    submit(&mut esme, 2).await;
    smsc.receipts(ReceiptRule {
        destination: Some("+84912".to_owned()),
        times: Some(1),
        plan: ReceiptPlan {
            state: State::Undeliverable,
            error: "27A".to_owned(),
            intermediate: vec![State::Enroute],
            copies: 2,
            ..ReceiptPlan::default()
        },
    });
    submit(&mut esme, 0x12).await;
    let (notification, _) = esme.delivered().await;
    assert_eq!(notification.esm_class, 0x20);
    assert!(text_of(&notification).contains("stat:ENROUTE"));
    for _ in 0..2 {
        let (receipt, _) = esme.delivered().await;
        assert!(
            text_of(&receipt).contains("id:0489708366 sub:001 dlvrd:000 "),
            "{}",
            text_of(&receipt)
        );
        assert!(text_of(&receipt).contains("stat:UNDELIV err:27A"));
    }
    submit(&mut esme, 1).await;
    assert!(
        text_of(&esme.delivered().await.0).contains("stat:DELIVRD"),
        "the rule was for one message"
    );
}

#[tokio::test]
async fn a_receipt_can_come_before_the_answer() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.receipts(plan(ReceiptPlan {
        before_response: true,
        form: ReceiptForm {
            in_payload: true,
            ..ReceiptForm::default()
        },
        ..ReceiptPlan::default()
    }));
    esme.ask(command::SUBMIT_SM, &with_receipt("x").deliver_body()).await;
    let (receipt, _) = esme.delivered().await;
    assert!(receipt.short_message.is_empty());
    assert!(text_of(&receipt).starts_with("id:0489708364 "));
    assert_eq!(&esme.next().await.body[..], b"0489708364\0");
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_after_the_next_bind() {
    let smsc = start(with_account(|account| account.deliver_window = 2)).await;
    let written: Vec<u64> = (0..3)
        .flat_map(|number| {
            smsc.writes("+84912345678", "8088", &format!("tin {number}"))
                .unwrap()
                .deliveries
        })
        .collect();
    assert_eq!(smsc.look(|view| view.pending()), 3, "nobody is bound");
    let mut esme = Esme::bound(&smsc, command::BIND_RECEIVER).await;
    let (first, sequence) = esme.delivered().await;
    assert_eq!(
        (text_of(&first).as_str(), first.source.address.as_str()),
        ("tin 0", "84912345678")
    );
    assert_eq!(text_of(&esme.delivered().await.0), "tin 1");
    esme.ask(command::ENQUIRE_LINK, b"").await;
    assert_eq!(
        esme.next().await.command,
        command::ENQUIRE_LINK_RESP,
        "the window is closed"
    );
    esme.acknowledge(sequence, status::ROK).await;
    assert_eq!(text_of(&esme.delivered().await.0), "tin 2", "the window opened");
    drop(esme);
    smsc.wait_for(|view| view.bound() == 0, SOON).await.unwrap();
    let _transmits = Esme::bound(&smsc, command::BIND_TRANSMITTER).await;
    let mut esme = Esme::transceiver(&smsc).await;
    for expected in ["tin 1", "tin 2"] {
        let (again, sequence) = esme.delivered().await;
        assert_eq!(text_of(&again), expected);
        esme.acknowledge(sequence, status::ROK).await;
    }
    smsc.wait_for(|view| view.pending() == 0, SOON).await.unwrap();
    let attempts = |delivery: u64| smsc.look(|view| view.settled_as(delivery).map(|settled| settled.attempts));
    assert_eq!(
        [attempts(written[0]), attempts(written[1]), attempts(written[2])],
        [Some(1), Some(2), Some(2)]
    );
    assert_eq!((smsc.counters().redeliveries, smsc.counters().acknowledged), (2, 3));
}

#[tokio::test]
async fn the_esme_decides_whether_it_comes_again() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let delivery = smsc.writes("84912345678", "8088", "x").unwrap().deliveries[0];
    for again in [status::RX_T_APPN, status::RMSGQFUL, status::RTHROTTLED] {
        let (_, sequence) = esme.delivered().await;
        esme.acknowledge(sequence, again).await;
    }
    let (_, sequence) = esme.delivered().await;
    esme.acknowledge(sequence, 0x65).await;
    smsc.wait_for(|view| view.settled_as(delivery).is_some(), SOON)
        .await
        .unwrap();
    let expected = Settled {
        delivery,
        attempts: 4,
        status: Some(0x65),
    };
    assert_eq!(smsc.settled(), [expected]);
    assert_eq!((smsc.counters().retried, smsc.counters().rejected), (3, 1));
    esme.acknowledge(sequence, status::ROK).await;
    smsc.wait_for(|view| view.counters().strays == 1, SOON).await.unwrap();
}

#[tokio::test]
async fn what_is_not_answered_in_time_comes_again_until_it_is_given_up() {
    let smsc = start(Options {
        response_timeout: Duration::from_millis(20),
        enquire_link: Duration::ZERO,
        attempts: 2,
        ..with_account(|_| {})
    })
    .await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.writes("84912345678", "8088", "x").unwrap();
    esme.delivered().await;
    esme.delivered().await;
    smsc.wait_for(|view| view.counters().dropped == 1, SOON).await.unwrap();
    assert_eq!(smsc.settled()[0].status, None);
}

#[tokio::test]
async fn people_write_long_and_badly_ordered() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let written = smsc
        .write(&Writes {
            from: "+84912345678".to_owned(),
            to: "8088".to_owned(),
            text: "đ".repeat(200),
            reversed: true,
            twice: vec![3],
            missing: vec![2],
            tlvs: vec![(0x1454, "00ff".to_owned())],
            trailing: "000000".to_owned(),
            ..Writes::default()
        })
        .unwrap();
    assert_eq!((written.pieces, written.deliveries.len()), (3, 3));
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let frame = esme.next().await;
        let body = frame.body.strip_suffix(b"\0\0\0").unwrap();
        let piece = ShortMessage::read(command::SUBMIT_SM, &Bytes::copy_from_slice(body)).unwrap();
        assert_eq!((piece.esm_class, piece.data_coding), (0x40, 8));
        assert_eq!(&piece.tlv(0x1454).unwrap()[..], [0, 0xFF]);
        numbers.push(piece.short_message[5]);
    }
    assert_eq!(numbers, [3, 3, 1]);
    let binary = Writes {
        octets: Some("00ff80".to_owned()),
        as_data_sm: true,
        ..Writes::default()
    };
    smsc.write(&binary).unwrap();
    let data = esme.next().await;
    assert_eq!(data.command, command::DATA_SM);
    let data = ShortMessage::read(command::DATA_SM, &data.body).unwrap();
    assert_eq!((&data.octets()[..], data.data_coding), (&[0, 0xFF, 0x80][..], 4));
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let smsc = start(with_account(|_| {})).await;
    let refused = |change: &dyn Fn(&mut Writes)| {
        let mut writes = Writes::default();
        change(&mut writes);
        smsc.write(&writes).unwrap_err()
    };
    assert_eq!(
        refused(&|writes| writes.account = Some("x".to_owned())),
        ControlError::UnknownAccount
    );
    for change in [
        &(|writes: &mut Writes| (writes.text, writes.coding) = ("đ".to_owned(), super::super::super::Coding::Gsm7))
            as &dyn Fn(&mut Writes),
        &|writes| writes.octets = Some("0".to_owned()),
        &|writes| writes.trailing = "zz".to_owned(),
        &|writes| writes.text = "a".repeat(40_000),
    ] {
        assert!(matches!(refused(change), ControlError::Impossible(_)));
    }
    assert_eq!(smsc.malformed(None, &Malformed::NoBody), Err(ControlError::NotBound));
    assert_eq!(unhex("0aF0"), Ok(vec![0x0A, 0xF0]));
}

#[tokio::test]
async fn an_alert_has_no_answer() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    let delivery = smsc.alert(None, "84912345678", "OMNIGATE").unwrap();
    let alert = esme.next().await;
    assert_eq!(alert.command, command::ALERT_NOTIFICATION);
    assert_eq!(&alert.body[..], b"\x01\x0184912345678\0\x05\x00OMNIGATE\0");
    assert_eq!(
        smsc.look(|view| view.settled_as(delivery).map(|settled| settled.attempts)),
        Some(1)
    );
}

#[tokio::test]
async fn it_speaks_badly_on_demand() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    for malformed in [
        Malformed::UnknownCommand,
        Malformed::StrayResponse,
        Malformed::Truncated,
        Malformed::Unterminated,
        Malformed::LongAddress,
        Malformed::TlvOverrun,
        Malformed::NoBody,
        Malformed::ZeroSequence,
    ] {
        smsc.malformed(None, &malformed).unwrap();
        let frame = esme.next().await;
        if frame.command == command::DELIVER_SM {
            assert!(
                ShortMessage::read(command::SUBMIT_SM, &frame.body).is_err(),
                "{malformed:?}"
            );
        }
    }
    let hex = "00000010000000150000000000000001".to_owned();
    smsc.malformed(None, &Malformed::Octets { hex }).unwrap();
    assert_eq!(esme.next().await.command, command::ENQUIRE_LINK);
    smsc.malformed(None, &Malformed::TooShort).unwrap();
    let mut octets = [0; 16];
    timeout(SOON, esme.stream.read_exact(&mut octets))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(octets[..4], [0, 0, 0, 8]);
}

#[tokio::test]
async fn a_flood_is_acknowledged_to_the_last_over_a_lost_connection() {
    const COUNT: u64 = 1000;
    let smsc = start(with_account(|_| {})).await;
    smsc.flood(Flood {
        count: COUNT,
        people: 7,
        window: 50,
        ..Flood::default()
    })
    .unwrap();
    let mut seen = std::collections::BTreeMap::<u64, u32>::new();
    let mut sources = std::collections::BTreeSet::new();
    for stop in [300, u64::MAX] {
        let mut esme = Esme::transceiver(&smsc).await;
        let mut answered = 0;
        while smsc.counters().acknowledged < COUNT && answered < stop {
            let (flooded, sequence) = esme.delivered().await;
            let text = text_of(&flooded);
            let number: u64 = text.strip_prefix("flood ").unwrap().parse().unwrap();
            *seen.entry(number).or_default() += 1;
            sources.insert(flooded.source.address);
            // The first one is put off, once.
            let put_off = number == 0 && seen[&0] == 1;
            esme.acknowledge(sequence, if put_off { status::RX_T_APPN } else { 0 })
                .await;
            answered += 1;
            if seen.len() as u64 == COUNT && seen[&0] > 1 {
                smsc.wait_for(|view| view.counters().acknowledged == COUNT, SOON)
                    .await
                    .unwrap();
            }
        }
        drop(esme);
        smsc.wait_for(|view| view.connected() == 0, SOON).await.unwrap();
    }
    assert_eq!((seen.len() as u64, sources.len()), (COUNT, 7));
    assert_eq!((smsc.counters().acknowledged, smsc.counters().retried), (COUNT, 1));
}
