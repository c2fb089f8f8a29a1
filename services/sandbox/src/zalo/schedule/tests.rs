use super::*;

const LADDER: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(300)];

fn event(number: u64) -> Event {
    Event {
        number,
        oa_id: String::new(),
        server: EventServer::OaOpenApi,
        timestamp: String::new(),
        body: Arc::from("{}"),
    }
}

fn next(schedule: &mut Schedule, now: Instant) -> Option<(u64, usize)> {
    schedule.next(now).map(|(event, failures)| (event.number, failures))
}

#[test]
fn first_attempts_of_one_person_do_not_overlap_and_a_failure_holds_up_nothing() {
    let now = Instant::now();
    let mut schedule = Schedule::new(10, 10);
    for number in 1..=2 {
        assert!(schedule.add(event(number), Some("lan"), now));
    }
    assert!(schedule.add(event(3), Some("minh"), now));
    assert_eq!(next(&mut schedule, now), Some((1, 0)));
    assert_eq!(next(&mut schedule, now), Some((3, 0)));
    assert_eq!(next(&mut schedule, now), None, "the second waits for the first");
    assert_eq!(schedule.failed(1, &LADDER, 1, now), Failed::Retried);
    assert_eq!(next(&mut schedule, now), Some((2, 0)));
    schedule.succeeded(2, now);
    schedule.succeeded(3, now);
    assert_eq!(schedule.wakes_at(), Some(now + LADDER[0]));
    assert_eq!((schedule.len(), schedule.in_flight()), (1, 0));
}

#[test]
fn the_ladder_is_climbed_at_the_speed_asked_for_and_then_ends() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(1, 10);
    assert!(schedule.add(event(1), None, now));
    for (failures, delay) in LADDER.into_iter().enumerate() {
        assert_eq!(next(&mut schedule, now), Some((1, failures)));
        assert_eq!(schedule.failed(1, &LADDER, 10, now), Failed::Retried);
        assert_eq!(next(&mut schedule, now), None);
        now += delay / 10;
    }
    assert_eq!(next(&mut schedule, now), Some((1, 2)));
    assert_eq!(schedule.failed(1, &LADDER, 10, now), Failed::Exhausted);
    assert_eq!(schedule.len(), 0);
    assert!(schedule.add(event(2), None, now));
    assert_eq!(next(&mut schedule, now), Some((2, 0)));
    assert_eq!(schedule.failed(2, &[], 10, now), Failed::Dropped, "retries are off");
}

#[test]
fn connections_and_room_are_bounded() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, 2);
    assert!(schedule.add(event(1), None, now));
    assert!(schedule.add(event(2), None, now));
    assert!(!schedule.add(event(3), None, now));
    assert_eq!(next(&mut schedule, now), Some((1, 0)));
    assert_eq!((next(&mut schedule, now), schedule.wakes_at()), (None, None));
    assert_eq!(schedule.clear(), 2);
    assert_eq!((schedule.len(), schedule.in_flight()), (0, 0));
}
