use super::*;
use proptest::prelude::*;

const NOW: Moment = Moment(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn limits(max_entries: Option<u64>, max_age: Option<Duration>) -> Limits {
    Limits { max_entries, max_age }
}

fn home(entries: u64) -> HomeRecord {
    HomeRecord {
        entry_count: entries,
        newest_shown_ms: NOW.0,
        threads: vec![ThreadRecord {
            number: 1,
            thread_seq: entries,
            ..ThreadRecord::default()
        }],
        ..HomeRecord::default()
    }
}

fn seen(number: u64, shown_at: Moment) -> Seen {
    Seen {
        spot: Spot {
            shown_at,
            home_seq: number,
        },
        event: EventId(u128::from(number).to_be_bytes()),
        entry: EntryRecord {
            thread: 1,
            received_at_ms: shown_at.0,
            ..EntryRecord::default()
        },
        delivery: None,
    }
}

#[test]
fn a_timer_is_set_once_and_moved_only_to_be_sooner() {
    let both = limits(Some(10), Some(DAY));
    let mut home = home(1);
    assert_eq!(note_due(&mut home, &Limits::NONE, NOW), None);
    let moved = note_due(&mut home, &both, NOW).unwrap();
    assert_eq!((moved.from, moved.to), (None, Some(NOW + DAY)));
    home.entry_count = 10;
    assert_eq!(note_due(&mut home, &both, NOW), None);
    home.entry_count = 11;
    let moved = note_due(&mut home, &both, NOW).unwrap();
    assert_eq!((moved.from, moved.to), (Some(NOW + DAY), Some(NOW + AT_MOST_TOO_MANY)));
    home.entry_count = 500;
    assert_eq!(note_due(&mut home, &both, NOW + Duration::from_secs(1)), None);
}

#[test]
fn what_is_left_says_when_to_look_again() {
    let both = limits(Some(10), Some(DAY));
    let nothing = Left {
        more: false,
        oldest: None,
        forgets: None,
    };
    let next = |left: Left, entries| note_next(&mut home(entries), &both, left, NOW).to;
    assert_eq!(next(nothing, 0), None);
    let old = Left {
        oldest: Some(NOW - DAY / 2),
        ..nothing
    };
    assert_eq!(next(old, 3), Some(NOW + DAY / 2));
    let forgets = Left {
        forgets: Some(NOW),
        ..old
    };
    assert_eq!(next(forgets, 3), Some(NOW + AT_MOST_TOO_OLD));
    let more = Left { more: true, ..forgets };
    assert_eq!(next(more, 3), Some(NOW + Duration::from_secs(1)));
}

#[test]
fn entries_of_a_thread_that_erasure_emptied_are_not_counted_twice() {
    let mut home = home(2);
    home.threads.push(ThreadRecord {
        number: 2,
        ..ThreadRecord::default()
    });
    let mut of_shell = seen(1, NOW);
    of_shell.entry.thread = 2;
    let trimmed = trim(
        &mut home,
        &limits(Some(1), None),
        &[of_shell, seen(2, NOW), seen(3, NOW)],
        NOW,
    );
    assert_eq!((trimmed.entries.len(), home.entry_count), (2, 1));
    assert!(trimmed.finished);
}

proptest! {
    #[test]
    fn what_goes_is_the_oldest_and_no_more_than_has_to(
        count in 0_u64..60,
        most in proptest::option::of(1_u64..40),
        days in proptest::option::of(1_u32..40),
    ) {
        let limits = limits(most, days.map(|days| DAY * days));
        let mut home = home(count);
        let oldest: Vec<Seen> = (0..count)
            .map(|number| seen(number, NOW - DAY * u32::try_from(count - number).unwrap_or(0)))
            .collect();
        let trimmed = trim(&mut home, &limits, &oldest, NOW);
        let gone = u64::try_from(trimmed.entries.len()).unwrap_or(u64::MAX);
        let too_many = most.map_or(0, |most| count.saturating_sub(most));
        let too_old = days.map_or(0, |days| (count + 1).saturating_sub(u64::from(days)).min(count));
        prop_assert_eq!(gone, too_many.max(too_old));
        prop_assert_eq!(home.entry_count, count - gone);
        prop_assert_eq!(kept(&home.threads[0]), count - gone);
        let numbers: Vec<u64> = trimmed.entries.iter().map(|(spot, _)| spot.home_seq).collect();
        prop_assert_eq!(numbers, (0..gone).collect::<Vec<_>>());
        // Each of them is remembered until a week after its receipt, and then forgotten at once.
        let old = trimmed.forgotten.len();
        prop_assert_eq!(old + trimmed.remembered.len(), trimmed.entries.len());
        prop_assert!(trimmed.remembered.iter().all(|(until, ..)| *until > NOW));
    }
}
