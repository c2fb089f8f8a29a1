use super::*;
use crate::sms::smpp::pdu::{HEADER, command, tests::frame};

const TIMES: Times = Times {
    response: 10,
    enquire: 4,
};

fn line(window: usize) -> Line {
    let line = Line::new("bind-1".to_owned(), true, true);
    line.open(window, 1);
    line
}

fn pdu() -> BytesMut {
    BytesMut::from(frame(command::SUBMIT_SM, 0, 0, b"body").as_slice())
}

fn submit(line: &Line) -> oneshot::Receiver<Answer> {
    match line.submit(&mut pdu()) {
        Claim::Taken(answered) => answered,
        other => panic!("{other:?}"),
    }
}

fn response(message_id: &'static str) -> Answer {
    Answer::Response {
        status: 0,
        message_id: Bytes::from_static(message_id.as_bytes()),
    }
}

#[tokio::test]
async fn answers_find_their_submits_in_any_order() {
    let line = line(3);
    let (first, second) = (submit(&line), submit(&line));
    assert!(line.answer(3, response("b")).is_some());
    assert!(line.answer(2, response("a")).is_some());
    assert_eq!((first.await, second.await), (Ok(response("a")), Ok(response("b"))));
    assert_eq!(line.answer(2, response("late")), None);
    assert_eq!(line.answer(77, response("never asked")), None);
}

#[tokio::test]
async fn what_was_put_is_written_together_and_numbered() {
    let line = line(3);
    let (_first, _second) = (submit(&line), submit(&line));
    let mut written = line.next_write().await;
    let mut numbers = Vec::new();
    while let Some(pdu) = pdu::next(&mut written).unwrap() {
        numbers.push(pdu.sequence);
    }
    assert_eq!(numbers, [2, 3]);
}

#[tokio::test]
async fn a_window_has_an_end_and_places_come_back() {
    let line = line(2);
    let _waiting = (submit(&line), submit(&line));
    assert!(matches!(line.submit(&mut pdu()), Claim::Full));
    line.answer(2, response("a"));
    let _next = submit(&line);
    assert!(matches!(line.submit(&mut pdu()), Claim::Full));
    for _ in 0..=TIMES.response {
        line.tick(TIMES);
    }
    submit(&line);
}

#[tokio::test]
async fn what_was_never_handed_over_is_not_sent() {
    let line = line(9);
    let handed = submit(&line);
    line.next_write().await;
    let kept = submit(&line);
    line.close();
    assert_eq!((handed.await, kept.await), (Ok(Answer::Unknown), Ok(Answer::NotSent)));
    assert!(matches!(line.submit(&mut pdu()), Claim::Down));
}

#[tokio::test]
async fn a_late_answer_meets_nobody() {
    let line = line(1);
    let lost = submit(&line);
    let mut expired = 0;
    for _ in 0..=TIMES.response {
        expired += line.tick(TIMES).expired;
    }
    assert_eq!((expired, lost.await), (1, Ok(Answer::Unknown)));
    let mut next = submit(&line);
    line.answer(2, response("late"));
    assert!(next.try_recv().is_err(), "the late answer went to another message");
}

#[test]
fn numbers_begin_again_at_one_and_pass_by_those_in_use() {
    let line = line(9);
    let _first = submit(&line);
    if let Some(link) = line.state().as_mut() {
        link.sequence = MAX_SEQUENCE - 1;
        assert_eq!(link.next_sequence(), MAX_SEQUENCE);
        assert_eq!(link.next_sequence(), 1);
        assert_eq!(link.next_sequence(), 3, "2 is waiting for its answer");
    };
}

#[test]
fn a_bind_that_rests_says_how_long() {
    let line = line(9);
    line.rest(3);
    assert!(matches!(line.submit(&mut pdu()), Claim::Resting(3)));
    line.tick(TIMES);
    assert!(matches!(line.submit(&mut pdu()), Claim::Resting(2)));
    line.tick(TIMES);
    line.tick(TIMES);
    submit(&line);
}

#[tokio::test]
async fn silence_is_asked_and_death_is_seen() {
    let line = line(9);
    let ticks = |count: u64| (0..count).any(|_| line.tick(TIMES).is_dead);
    assert!(!ticks(3));
    assert!(line.state().as_ref().is_some_and(|link| link.out.is_empty()));
    assert!(!ticks(1));
    let mut asked = line.next_write().await;
    let asked = pdu::next(&mut asked).unwrap().unwrap();
    assert_eq!((asked.command, asked.raw.len()), (command::ENQUIRE_LINK, HEADER));
    assert_eq!(line.alive(asked.sequence + 1), None);
    assert_eq!(line.alive(asked.sequence), Some(0));
    line.heard();
    assert!(!ticks(4), "asked again");
    assert!(!ticks(4), "not dead before its time");
    assert!(ticks(1), "dead");
}

#[tokio::test]
async fn whatever_comes_is_a_sign_of_life() {
    let line = line(9);
    for _ in 0..50 {
        assert!(!line.tick(TIMES).is_dead);
        line.heard();
    }
    assert!(
        line.state().as_ref().is_some_and(|link| link.out.is_empty()),
        "nothing was asked"
    );
}
