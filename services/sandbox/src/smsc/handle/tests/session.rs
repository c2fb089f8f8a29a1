use super::*;

#[tokio::test]
async fn binds_of_all_three_kinds() {
    let smsc = start(with_account(|_| {})).await;
    for mode in [
        command::BIND_RECEIVER,
        command::BIND_TRANSMITTER,
        command::BIND_TRANSCEIVER,
    ] {
        let mut esme = Esme::connect(&smsc).await;
        let response = esme.bind(mode, "omnigate", "sandbox1").await;
        assert_eq!(response.status, status::ROK);
        assert_eq!(&response.body[..], b"SANDBOX\0\x02\x10\x00\x01\x34");
        assert_eq!(esme.bind(mode, "omnigate", "sandbox1").await.status, status::RALYBND);
        esme.ask(command::UNBIND, b"").await;
        assert_eq!(esme.next().await.command, command::UNBIND_RESP);
        assert!(esme.read().await.is_none(), "closed after unbind");
    }
    assert_eq!((smsc.counters().binds, smsc.counters().binds_refused), (3, 3));
}

#[tokio::test]
async fn binds_are_refused_for_a_reason() {
    let smsc = start(with_account(|account| {
        account.max_binds = 1;
        account.system_type = Some(String::new());
    }))
    .await;
    let mut esme = Esme::connect(&smsc).await;
    let mode = command::BIND_TRANSCEIVER;
    let refused = esme.bind(mode, "nobody", "sandbox1").await;
    assert_eq!((refused.status, refused.body.len()), (status::RINVSYSID, 0));
    assert_eq!(esme.bind(mode, "omnigate", "wrong").await.status, status::RINVPASWD);
    assert_eq!(
        esme.bind(mode, "a-system-id-too-long", "x").await.status,
        status::RINVSYSID
    );
    let _bound = Esme::transceiver(&smsc).await;
    assert_eq!(esme.bind(mode, "omnigate", "sandbox1").await.status, status::RALYBND);
    smsc.fault(FaultRule::once(Operation::Bind, Fault::refused(status::RBINDFAIL)));
    assert_eq!(esme.bind(mode, "omnigate", "sandbox1").await.status, status::RBINDFAIL);
}

#[tokio::test]
async fn an_error_has_a_body_where_the_account_wants_one() {
    let smsc = start(with_account(|account| account.error_body = true)).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.fault(FaultRule::once(Operation::Submit, Fault::throttled()));
    let refused = esme.submit(&message("x")).await;
    assert_eq!((refused.status, &refused.body[..]), (status::RTHROTTLED, &b"\0"[..]));
}

#[tokio::test]
async fn what_comes_in_the_wrong_state_is_refused() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::connect(&smsc).await;
    assert_eq!(esme.submit(&message("x")).await.status, status::RINVBNDSTS);
    assert_eq!(
        esme.bind(command::BIND_RECEIVER, "omnigate", "sandbox1").await.status,
        status::ROK
    );
    assert_eq!(esme.submit(&message("x")).await.status, status::RINVBNDSTS);
    assert_eq!((smsc.counters().refused, smsc.counters().accepted), (2, 0));
}

#[tokio::test]
async fn unknown_commands_are_answered_and_the_session_goes_on() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    for unknown in [0x03, 0x21, 0x0999] {
        let sequence = esme.ask(unknown, b"abc").await;
        let nack = esme.next().await;
        assert_eq!((nack.command, nack.status), (command::GENERIC_NACK, status::RINVCMDID));
        assert_eq!(nack.sequence, sequence);
    }
    esme.ask(command::ENQUIRE_LINK, b"").await;
    assert_eq!(esme.next().await.command, command::ENQUIRE_LINK_RESP);
    esme.say(0x8000_0999, 0, 1, b"").await;
    smsc.wait_for(|view| view.counters().strays == 1, SOON).await.unwrap();
}

#[tokio::test]
async fn impossible_lengths_end_the_connection() {
    let smsc = start(Options {
        longest_pdu: 1000,
        ..with_account(|_| {})
    })
    .await;
    for length in [3_u32, 1001] {
        let mut esme = Esme::transceiver(&smsc).await;
        let mut out = BytesMut::new();
        out.put_u32(length);
        out.put_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]);
        esme.stream.write_all(&out).await.unwrap();
        let nack = esme.next().await;
        let told = (nack.command, nack.status, nack.sequence);
        assert_eq!(told, (command::GENERIC_NACK, status::RINVCMDLEN, 9));
        assert!(esme.read().await.is_none());
    }
}

#[tokio::test]
async fn who_never_binds_is_closed() {
    let smsc = start(Options {
        session_init: Duration::from_millis(20),
        ..with_account(|_| {})
    })
    .await;
    let mut esme = Esme::connect(&smsc).await;
    assert!(esme.read().await.is_none());
}

#[tokio::test]
async fn the_link_is_enquired_and_a_silent_one_closed() {
    let smsc = start(Options {
        enquire_link: Duration::from_millis(20),
        response_timeout: Duration::from_millis(20),
        ..with_account(|_| {})
    })
    .await;
    let mut esme = Esme::transceiver(&smsc).await;
    for _ in 0..2 {
        let enquiry = esme.next().await;
        assert_eq!(enquiry.command, command::ENQUIRE_LINK);
        esme.say(command::ENQUIRE_LINK_RESP, 0, enquiry.sequence, b"").await;
    }
    assert_eq!(esme.next().await.command, command::ENQUIRE_LINK);
    assert!(esme.read().await.is_none(), "not answered");
}

#[tokio::test]
async fn the_smsc_unbinds_on_demand_and_for_inactivity() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    assert_eq!(smsc.unbind(None).unwrap(), 1);
    let unbind = esme.next().await;
    assert_eq!(unbind.command, command::UNBIND);
    esme.say(command::UNBIND_RESP, 0, unbind.sequence, b"").await;
    assert!(esme.read().await.is_none());
    assert_eq!(smsc.unbind(Some("nobody")), Err(ControlError::UnknownAccount));

    let lazy = start(Options {
        inactivity: Duration::from_millis(20),
        response_timeout: Duration::from_millis(20),
        ..with_account(|_| {})
    })
    .await;
    let mut esme = Esme::transceiver(&lazy).await;
    assert_eq!(esme.next().await.command, command::UNBIND);
    assert!(esme.read().await.is_none(), "closed though it was not answered");
}

#[tokio::test]
async fn connections_can_be_reset_and_kept_out() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    smsc.away(true);
    assert_eq!(smsc.disconnect(), 1);
    assert!(esme.read().await.is_none());
    let mut refused = Esme::connect(&smsc).await;
    assert!(refused.read().await.is_none());
    smsc.away(false);
    let _bound = Esme::transceiver(&smsc).await;
}

#[tokio::test]
async fn a_dropped_handle_ends_the_sandbox() {
    let smsc = start(with_account(|_| {})).await;
    let mut esme = Esme::transceiver(&smsc).await;
    drop(smsc);
    assert!(esme.read().await.is_none());
}
