//! Keys of what has no id.

use super::*;

const OK: Said = [1; 16];
const WINDOW: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Moment {
    Moment(1_767_323_040_000 + seconds * 1000)
}

fn arrivals() -> Arrivals {
    Arrivals::new(WINDOW)
}

#[test]
fn the_same_words_twice_are_two_messages() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    let in_hand = arrivals.arrive(OK, "bind-1", 1, at(0));
    arrivals.acknowledged(first, 1, 33, at(0));
    let acknowledged = arrivals.arrive(OK, "bind-1", 1, at(1));
    arrivals.proven(1, 33);
    let proven = arrivals.arrive(OK, "bind-1", 1, at(2));
    let later = arrivals.arrive(OK, "bind-1", 1, at(600));
    let keys = [first, in_hand, acknowledged, proven, later].map(|arrival| arrival.key());
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
        assert_eq!(key.len(), 32);
    }
}

#[test]
fn what_was_not_acknowledged_comes_again_over_any_bind() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    let second = arrivals.arrive(OK, "bind-1", 1, at(0));
    arrivals.ended(1, at(1));
    assert_eq!(arrivals.arrive(OK, "bind-2", 2, at(5)), first);
    assert_eq!(arrivals.arrive(OK, "bind-1", 3, at(5)), second);
    let third = arrivals.arrive(OK, "bind-1", 3, at(5));
    assert!(third != first && third != second);
}

#[test]
fn what_was_refused_comes_again_over_the_same_connection() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    arrivals.refused(first, at(0));
    assert_eq!(arrivals.arrive(OK, "bind-1", 1, at(30)), first);
    assert_ne!(arrivals.arrive(OK, "bind-1", 1, at(31)), first);
}

#[test]
fn an_acknowledgement_that_was_read_is_the_end() {
    let arrivals = arrivals();
    let read = arrivals.arrive(OK, "bind-1", 1, at(0));
    arrivals.acknowledged(read, 1, 100, at(0));
    let unread = arrivals.arrive([2; 16], "bind-1", 1, at(0));
    arrivals.acknowledged(unread, 1, 117, at(0));
    arrivals.proven(1, 99);
    arrivals.proven(1, 100);
    arrivals.ended(1, at(1));
    assert_ne!(arrivals.arrive(OK, "bind-1", 2, at(2)), read);
    assert_eq!(arrivals.arrive([2; 16], "bind-1", 2, at(2)), unread);
}

#[test]
fn nothing_is_remembered_for_ever() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    arrivals.ended(1, at(1));
    assert_ne!(arrivals.arrive(OK, "bind-1", 2, at(62)), first);
    let many = Arrivals::new(WINDOW);
    for number in 0..70_000_u32 {
        let mut said = [0; 16];
        said[..4].copy_from_slice(&number.to_be_bytes());
        let arrival = many.arrive(said, "bind-1", 1, at(0));
        many.acknowledged(arrival, 1, 0, at(0));
    }
    let memory = many.memory();
    assert!(memory.open.len() <= MAX_REMEMBERED + 1 && memory.counts.len() <= MAX_REMEMBERED);
    assert!(memory.acknowledged[&1].len() <= MAX_REMEMBERED + 1);
}

#[test]
fn after_a_restart_the_same_words_have_the_same_key_within_the_window() {
    let before = arrivals().arrive(OK, "bind-1", 1, at(0));
    let restarted = arrivals();
    assert_eq!(restarted.arrive(OK, "bind-1", 1, at(20)), before);
    let restarted = arrivals();
    restarted.arrive([9; 16], "bind-1", 1, at(59));
    assert_eq!(
        restarted.arrive(OK, "bind-1", 1, at(70)),
        before,
        "counted as at the start"
    );
    assert_ne!(
        arrivals().arrive(OK, "bind-2", 1, at(20)),
        before,
        "another bind may be another process's"
    );
    assert_ne!(arrivals().arrive(OK, "bind-1", 1, at(61)), before, "the next window");
}

#[test]
fn without_a_window_a_restart_begins_anew() {
    let none = || Arrivals::new(Duration::ZERO);
    let before = none().arrive(OK, "bind-1", 1, at(0));
    assert_ne!(none().arrive(OK, "bind-1", 1, at(1)), before);
    let arrivals = none();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    assert_ne!(arrivals.arrive(OK, "bind-1", 1, at(0)), first);
}

#[test]
fn a_clock_that_goes_back_makes_no_two_messages_one() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "bind-1", 1, at(0));
    let second = arrivals.arrive(OK, "bind-1", 1, at(120));
    let third = arrivals.arrive(OK, "bind-1", 1, at(1));
    assert!(first != second && second != third && first != third);
}

#[test]
fn what_is_kept_for_good_does_not_come_again() {
    let arrivals = arrivals();
    let first = arrivals.arrive(OK, "", 0, at(0));
    let in_hand = arrivals.arrive(OK, "", 0, at(0));
    arrivals.kept_for_good(first);
    arrivals.refused(in_hand, at(1));
    assert_eq!(arrivals.arrive(OK, "", 0, at(2)), in_hand);
    let next = arrivals.arrive(OK, "", 0, at(2));
    assert!(next != first && next != in_hand);
    let other_edge = self::arrivals();
    assert_eq!(
        other_edge.arrive(OK, "", 0, at(10)),
        first,
        "of all edges, the first within a window"
    );
}

#[test]
fn an_arrival_leads_back_from_its_text() {
    let arrival = arrivals().arrive(OK, "", 0, at(0));
    assert_eq!(Arrival::parse(&arrival.whole()), Some(arrival));
    for text in [
        "",
        "01",
        &arrival.key(),
        &format!("{}/1", arrival.whole()),
        &"g".repeat(64),
        &"đ".repeat(32),
    ] {
        assert_eq!(Arrival::parse(text), None, "{text}");
    }
}
