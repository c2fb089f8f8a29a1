use super::*;
use crate::telegram::backlog::Kind;
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A backlog of messages, one for each chat given.
fn backlog(chats: &[i64], now: Instant) -> Backlog {
    let mut backlog = Backlog::new(1, 1000, 0);
    for chat in chats {
        backlog.add("message", &json!({}), Kind::Message.queue(*chat), now + DAY);
    }
    backlog
}

fn all_due(schedule: &mut Schedule, backlog: &Backlog, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| schedule.next(backlog, now)).collect()
}

#[test]
fn one_update_is_in_flight_per_chat_and_chats_run_side_by_side() {
    let now = Instant::now();
    let backlog = backlog(&[7, 7, 8], now);
    let mut schedule = Schedule::new(40, 1, 1);
    assert_eq!(all_due(&mut schedule, &backlog, now), [1, 3]);
    schedule.succeeded(1, now);
    assert_eq!(all_due(&mut schedule, &backlog, now), [2]);
}

#[test]
fn a_press_does_not_wait_for_the_messages_of_its_chat() {
    let now = Instant::now();
    let mut backlog = backlog(&[7, 7], now);
    backlog.add("callback_query", &json!({}), Kind::CallbackQuery.queue(7), now + DAY);
    let mut schedule = Schedule::new(40, 1, 1);
    assert_eq!(all_due(&mut schedule, &backlog, now), [1, 3]);
}

#[test]
fn connections_are_bounded() {
    let now = Instant::now();
    let backlog = backlog(&[1, 2, 3], now);
    let mut schedule = Schedule::new(2, 1, 1);
    assert_eq!(all_due(&mut schedule, &backlog, now), [1, 2]);
    assert_eq!(schedule.wakes_at(), None);
    schedule.succeeded(2, now);
    assert_eq!(all_due(&mut schedule, &backlog, now), [3]);
}

#[test]
fn the_first_retry_is_immediate_and_then_delays_double_up_to_a_cap() {
    let start = Instant::now();
    let backlog = backlog(&[7, 7], start);
    let mut schedule = Schedule::new(1, 1, 42);
    let mut now = start;
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(
            schedule.next(&backlog, now),
            Some(1),
            "the second update waits behind the first"
        );
        assert!(!schedule.failed(1, 0, now));
        let at = schedule.wakes_at().unwrap();
        waits.push((at - now).as_secs());
        now = at;
    }
    assert_eq!(waits[..6], [0, 2, 4, 8, 16, 32]);
    for wait in &waits[6..] {
        assert!((60..=120).contains(wait), "{waits:?}");
    }
}

#[test]
fn retry_after_replaces_the_delay_and_is_clamped_to_an_hour() {
    let now = Instant::now();
    let backlog = backlog(&[7], now);
    let mut schedule = Schedule::new(1, 1, 1);
    assert_eq!(schedule.next(&backlog, now), Some(1));
    assert!(!schedule.failed(1, 30, now));
    assert_eq!(schedule.wakes_at(), Some(now + seconds(30)));
    let now = now + seconds(30);
    assert_eq!(schedule.next(&backlog, now), Some(1));
    assert!(!schedule.failed(1, 100_000, now));
    assert_eq!(schedule.wakes_at(), Some(now + seconds(3600)));
}

#[test]
fn an_update_that_would_expire_before_its_next_attempt_is_dropped_and_the_next_goes_on() {
    let now = Instant::now();
    let mut backlog = Backlog::new(1, 1000, 0);
    backlog.add(
        "callback_query",
        &json!({}),
        Kind::CallbackQuery.queue(7),
        now + Kind::CallbackQuery.lifetime(),
    );
    backlog.add("callback_query", &json!({}), Kind::CallbackQuery.queue(7), now + DAY);
    let mut schedule = Schedule::new(1, 1, 1);
    assert_eq!(schedule.next(&backlog, now), Some(1));
    assert!(!schedule.failed(1, 149, now));
    let later = now + seconds(149);
    assert_eq!(schedule.next(&backlog, later), Some(1));
    assert!(schedule.failed(1, 2, later));
    assert_eq!(schedule.next(&backlog, later), Some(2));
}

#[test]
fn speed_divides_the_delays() {
    let now = Instant::now();
    let backlog = backlog(&[7], now);
    let mut schedule = Schedule::new(1, 100, 1);
    assert_eq!(schedule.next(&backlog, now), Some(1));
    assert!(!schedule.failed(1, 10, now));
    assert_eq!(schedule.wakes_at(), Some(now + Duration::from_millis(100)));
}

#[test]
fn only_twice_the_connections_are_looked_at_so_a_failing_chat_with_many_updates_holds_up_all() {
    let now = Instant::now();
    let backlog = backlog(&[7, 7, 8], now);
    let mut schedule = Schedule::new(1, 1, 1);
    assert_eq!(schedule.next(&backlog, now), Some(1));
    assert!(!schedule.failed(1, 60, now));
    assert_eq!(schedule.next(&backlog, now), None);
    assert_eq!(schedule.next(&backlog, now + seconds(60)), Some(1));
    schedule.succeeded(1, now);
    assert_eq!(schedule.next(&backlog, now), Some(2));
}
