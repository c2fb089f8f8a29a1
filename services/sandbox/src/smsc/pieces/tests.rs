use super::{super::coding::decode, *};

fn round(text: &str, coding: Coding, long: Long) -> Vec<ShortMessage> {
    let (data_coding, octets) = encode(text, coding).unwrap();
    let template = ShortMessage {
        data_coding,
        ..ShortMessage::default()
    };
    let messages = cut(&template, &octets, long, 0x1234).unwrap();
    let mut whole = Vec::new();
    for (number, message) in (1_u8..).zip(&messages) {
        let (piece, text) = piece_of(message);
        if messages.len() > 1 {
            let piece = piece.unwrap();
            let reference = if long == Long::Udh8 { 0x34 } else { 0x1234 };
            assert_eq!((piece.by, piece.reference, piece.number), (long, reference, number));
            assert_eq!(usize::from(piece.total), messages.len());
        } else {
            assert_eq!(piece, None);
        }
        assert!(decode(data_coding, &text).is_some(), "no piece ends inside a character");
        whole.extend_from_slice(&text);
    }
    assert_eq!(decode(data_coding, &whole).as_deref(), Some(text));
    messages
}

#[test]
fn long_messages_are_cut_where_characters_end() {
    for long in [Long::Udh8, Long::Udh16, Long::Sar, Long::Payload] {
        for length in [1, 70, 71, 152, 153, 160, 161, 306, 400] {
            round(&"a".repeat(length), Coding::Auto, long);
            round(&"€".repeat(length), Coding::Gsm7, long);
            round(&"đ".repeat(length), Coding::Ucs2, long);
            round(&format!("đ{}", "👋".repeat(length)), Coding::Ucs2, long);
            round(&"é".repeat(length), Coding::Latin1, long);
        }
    }
}

#[test]
fn pieces_are_as_long_as_they_may_be() {
    for (text, coding, long, first, count) in [
        ("a".repeat(160), Coding::Gsm7, Long::Udh8, 160, 1),
        ("a".repeat(161), Coding::Gsm7, Long::Udh8, 6 + 153, 2),
        ("a".repeat(161), Coding::Gsm7, Long::Udh16, 7 + 152, 2),
        ("a".repeat(161), Coding::Gsm7, Long::Sar, 153, 2),
        ("đ".repeat(70), Coding::Ucs2, Long::Udh8, 140, 1),
        ("đ".repeat(71), Coding::Ucs2, Long::Udh8, 6 + 134, 2),
        ("đ".repeat(71), Coding::Ucs2, Long::Udh16, 7 + 132, 2),
        ("a".repeat(900), Coding::Gsm7, Long::Payload, 0, 1),
    ] {
        let messages = round(&text, coding, long);
        assert_eq!((messages[0].short_message.len(), messages.len()), (first, count));
    }
}

#[test]
fn headers_that_make_no_sense_are_no_pieces() {
    for header in [
        &[][..],
        &[9, 0, 3, 1, 2, 1][..],
        &[5, 0, 3, 1, 2, 3][..],
        &[5, 0, 3, 1, 0, 0][..],
        &[5, 0, 9, 1, 2, 1][..],
        &[4, 0, 2, 1, 2][..],
        &[2, 8, 0][..],
    ] {
        let message = ShortMessage {
            esm_class: UDHI,
            short_message: Bytes::copy_from_slice(header),
            ..ShortMessage::default()
        };
        assert_eq!(piece_of(&message).0, None, "{header:?}");
    }
    let behind_another = ShortMessage {
        esm_class: UDHI,
        short_message: Bytes::from_static(&[9, 0x24, 1, 1, 8, 4, 0, 7, 2, 1, b'x']),
        ..ShortMessage::default()
    };
    let (piece, text) = piece_of(&behind_another);
    assert_eq!((piece.map(|piece| piece.reference), &text[..]), (Some(7), &b"x"[..]));
}

#[test]
fn more_than_255_pieces_are_refused() {
    assert!(cut(&ShortMessage::default(), &vec![b'a'; 153 * 256], Long::Udh8, 1).is_none());
}
