use super::*;
use proptest::prelude::*;

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn piece_of(reference: &str, total: u32, number: u32, units: &[u16], salt: u8) -> Arrival {
    let mut id = [salt; 16];
    id[..4].copy_from_slice(&hash("test", &[reference.as_bytes(), &number.to_be_bytes()])[..4]);
    let id = EventId(id);
    let event = Event {
        event_id: id.to_string(),
        kind: Some(Kind::Message(Message {
            piece: Some(Piece {
                reference: reference.to_owned(),
                total,
                number,
                utf16: units
                    .iter()
                    .flat_map(|unit| unit.to_be_bytes())
                    .collect::<Vec<u8>>()
                    .into(),
            }),
            ..Message::default()
        })),
        ..Event::default()
    };
    Arrival {
        bytes: event.encode_to_vec().into(),
        event,
        id,
        received_at: Moment(i64::from(number)),
    }
}

fn words(whole: &Whole) -> (String, bool) {
    let Some(Kind::Message(message)) = &whole.arrival.event.kind else {
        panic!("no message")
    };
    let Some(Content::Text(text)) = &message.parts[0].content else {
        panic!("no text")
    };
    assert_eq!(message.piece, None);
    (text.text.clone(), message.is_partial)
}

proptest! {
    #[test]
    fn pieces_in_any_order_and_more_than_once_become_one_message(
        text in "\\PC{2,60}",
        cuts in prop::collection::vec(0usize..60, 1..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let units = utf16(&text);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(units.len())).collect();
        cuts.extend([0, units.len()]);
        cuts.sort_unstable();
        let total = u32::try_from(cuts.len() - 1).unwrap();
        let pieces: Vec<Arrival> = cuts
            .windows(2)
            .zip(1..)
            .map(|(cut, number)| piece_of("r", total, number, &units[cut[0]..cut[1]], 0))
            .collect();
        let mut thread = ThreadRecord::default();
        let mut told = Vec::new();
        let picked = order.iter().map(|index| index.get(&pieces)).chain(&pieces);
        let mut seen = std::collections::BTreeSet::new();
        for arrival in picked {
            // What took effect is known by its place and does not get here again.
            if told.is_empty() || !seen.contains(&arrival.id) {
                told.extend(take(&mut thread, arrival, Moment(0)));
            }
            seen.insert(arrival.id);
        }
        prop_assert_eq!(told.len(), 1);
        let expected: String = text.nfc().collect();
        prop_assert_eq!(words(&told[0]), (expected, false));
        prop_assert!(thread.pending_pieces.is_empty());
    }
}

#[test]
fn a_surrogate_pair_cut_in_two_is_joined() {
    let units = utf16("a😀b");
    let mut thread = ThreadRecord::default();
    assert!(take(&mut thread, &piece_of("r", 2, 1, &units[..2], 0), Moment(0)).is_empty());
    let whole = take(&mut thread, &piece_of("r", 2, 2, &units[2..], 0), Moment(0));
    assert_eq!(words(&whole[0]).0, "a😀b");
}

#[test]
fn what_is_missing_too_long_is_gone_without() {
    let mut thread = ThreadRecord::default();
    take(&mut thread, &piece_of("r", 3, 3, &utf16("end"), 0), Moment(0));
    take(&mut thread, &piece_of("r", 3, 1, &utf16("begin "), 0), Moment(1_000));
    assert!(overdue(&mut thread, Moment(0) + WAIT - Duration::from_millis(1)).is_empty());
    let told = overdue(&mut thread, Moment(0) + WAIT);
    assert_eq!(words(&told[0]), ("begin end".to_owned(), true));
    assert!(thread.pending_pieces.is_empty());
}

#[test]
fn a_piece_that_the_network_repeats_as_a_fact_of_its_own_is_not_a_new_message() {
    let mut thread = ThreadRecord::default();
    let pieces = [("một ", 1, 0), ("hai ", 2, 1), ("hai ", 2, 2), ("ba", 3, 3)];
    let mut told = Vec::new();
    for (text, number, salt) in pieces.into_iter().rev() {
        let arrival = piece_of("r", 3, number, &utf16(text), salt);
        told.extend(take(&mut thread, &arrival, Moment(0)));
    }
    assert_eq!(
        told.iter().map(words).collect::<Vec<_>>(),
        [("một hai ba".to_owned(), false)]
    );
    assert!(thread.pending_pieces.is_empty());
}

#[test]
fn a_reference_that_is_used_again_begins_a_new_message() {
    let mut thread = ThreadRecord::default();
    take(&mut thread, &piece_of("r", 2, 1, &utf16("old"), 0), Moment(0));
    let told = take(&mut thread, &piece_of("r", 2, 1, &utf16("new "), 1), Moment(0));
    assert_eq!(words(&told[0]), ("old".to_owned(), true));
    let told = take(&mut thread, &piece_of("r", 2, 2, &utf16("one"), 1), Moment(0));
    assert_eq!(words(&told[0]), ("new one".to_owned(), false));
}

#[test]
fn a_flood_of_first_pieces_is_bounded() {
    let mut thread = ThreadRecord::default();
    let mut told = 0;
    for number in 0..50 {
        let arrival = piece_of(&format!("r{number}"), 255, 1, &utf16("x"), 0);
        told += take(&mut thread, &arrival, Moment(0)).len();
    }
    assert_eq!((told, thread.pending_pieces.len()), (50 - MAX_PENDING, MAX_PENDING));
}

#[test]
fn a_piece_that_comes_again_after_its_message_is_whole_is_known() {
    let mut thread = ThreadRecord::default();
    take(&mut thread, &piece_of("r", 2, 1, &utf16("one "), 0), Moment(0));
    assert_eq!(
        take(&mut thread, &piece_of("r", 2, 2, &utf16("two"), 0), Moment(0)).len(),
        1
    );
    // As a fact of its own, because the network gives no ids.
    let again = piece_of("r", 2, 2, &utf16("two"), 9);
    assert!(take(&mut thread, &again, Moment(1_000)).is_empty());
    assert!(thread.pending_pieces.is_empty(), "{:?}", thread.pending_pieces);
    // Other words under the same reference are another message.
    assert!(take(&mut thread, &piece_of("r", 2, 2, &utf16("four"), 9), Moment(1_000)).is_empty());
    assert_eq!(thread.pending_pieces.len(), 1);
    // After a while nothing is remembered.
    take(&mut thread, &again, Moment(0) + WAIT);
    assert!(
        thread
            .whole_pieces
            .iter()
            .all(|whole| whole.until_ms > (Moment(0) + WAIT).0)
    );
}

#[test]
fn a_piece_that_was_missing_is_taken_when_it_comes_late() {
    let mut thread = ThreadRecord::default();
    take(&mut thread, &piece_of("r", 2, 1, &utf16("one "), 0), Moment(0));
    assert_eq!(overdue(&mut thread, Moment(0) + WAIT).len(), 1);
    take(&mut thread, &piece_of("r", 2, 2, &utf16("two"), 0), Moment(1) + WAIT);
    assert_eq!(thread.pending_pieces.len(), 1);
}
