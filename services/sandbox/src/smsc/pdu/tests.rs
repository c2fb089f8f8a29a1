use super::*;

fn message() -> ShortMessage {
    ShortMessage {
        source: Address::of("OMNIGATE"),
        destination: Address::of("+84912345678"),
        registered_delivery: 1,
        short_message: Bytes::from_static(b"chao"),
        tlvs: vec![Tlv::new(0x1454, &b"\xff\x00"[..]), Tlv::new(0x0427, &b"\x02"[..])],
        ..ShortMessage::default()
    }
}

#[test]
fn a_body_comes_back_as_it_went() {
    let body = Bytes::from(message().deliver_body());
    assert_eq!(ShortMessage::read(command::SUBMIT_SM, &body), Ok(message()));
}

#[test]
fn every_shorter_body_is_refused_or_has_fewer_parameters() {
    let body = Bytes::from(message().deliver_body());
    for length in 0..body.len() {
        match ShortMessage::read(command::SUBMIT_SM, &body.slice(..length)) {
            Ok(read) => assert!(read.tlvs.len() < 2, "{length}"),
            Err(status) => assert!(
                matches!(
                    status,
                    status::RINVCMDLEN | status::RINVMSGLEN | status::RINVOPTPARSTREAM
                ),
                "{length}: {status:#x}"
            ),
        }
    }
}

#[test]
fn strings_end_at_their_limit() {
    let read = |text: &[u8]| Reader(Bytes::copy_from_slice(text)).c_string(4, status::RINVSRCADR);
    assert_eq!(read(b"abc\0x"), Ok("abc".to_owned()));
    assert_eq!(read(b"abcd\0"), Err(status::RINVSRCADR));
    assert_eq!(read(b"abcdef"), Err(status::RINVSRCADR));
    assert_eq!(read(b"ab"), Err(status::RINVCMDLEN));
    assert_eq!(read(b""), Err(status::RINVCMDLEN));
}

#[test]
fn frames_are_told_apart_however_they_arrive() {
    let mut whole = BytesMut::new();
    put(&mut whole, command::ENQUIRE_LINK, 0, 7, b"");
    put(&mut whole, command::SUBMIT_SM_RESP, 0x58, 8, b"ab\0");
    let mut buffer = BytesMut::new();
    let mut seen = Vec::new();
    for byte in whole {
        buffer.put_u8(byte);
        while let Framed::Frame(frame) = next_frame(&mut buffer, 100) {
            seen.push((frame.command, frame.status, frame.sequence, frame.body));
        }
    }
    let expected = [
        (command::ENQUIRE_LINK, 0, 7, Bytes::new()),
        (command::SUBMIT_SM_RESP, 0x58, 8, Bytes::from_static(b"ab\0")),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn impossible_lengths_are_told() {
    for length in [0_u32, 15, 101, u32::MAX] {
        let mut buffer = BytesMut::new();
        buffer.put_u32(length);
        buffer.put_slice(&[0; 8]);
        assert!(matches!(next_frame(&mut buffer, 100), Framed::Incomplete));
        buffer.put_u32(9);
        assert!(
            matches!(next_frame(&mut buffer, 100), Framed::BadLength { sequence: 9 }),
            "{length}"
        );
    }
}

#[test]
fn numbers_are_typed_as_an_smsc_types_them() {
    assert_eq!(
        (Address::of("+84912345678").ton, Address::of("+84912345678").npi),
        (1, 1)
    );
    assert_eq!((Address::of("8088").ton, Address::of("8088").npi), (6, 0));
    assert_eq!((Address::of("BRAND").ton, Address::of("BRAND").npi), (5, 0));
}
