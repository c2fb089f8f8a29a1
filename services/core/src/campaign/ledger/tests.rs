use super::*;
use crate::campaign::plan::Step;
use omnigate_proto::v1::{ErrorClass, Receipt, ReceiptState, SendAccepted, SendError};
use prost::Message as _;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn step(on: &[FallbackCause]) -> Step {
    Step {
        account_id: "account".to_owned(),
        success: DeliveryState::Delivered,
        wait: Duration::from_secs(600),
        fall_back_on: on.to_vec(),
    }
}

fn plan(steps: usize) -> Plan {
    Plan {
        steps: vec![step(&[FallbackCause::Unreachable, FallbackCause::Timeout]); steps],
        send_until: Moment(DAY),
        may_repeat: false,
    }
}

fn new() -> RecipientRow {
    planned(Bytes::from_static(&[7; 16]))
}

fn taken(row: &RecipientRow, plan: &Plan, now: i64) -> RecipientRow {
    match claim(row, plan, [1; 8], Moment(now)) {
        Claim::Taken(row) => row,
        other => panic!("{other:?}"),
    }
}

fn submitted(row: &RecipientRow, plan: &Plan, now: i64) -> RecipientRow {
    submitting(&taken(row, plan, now), [1; 8], Moment(now)).unwrap()
}

fn accepted() -> Result<SendAccepted, SendError> {
    Ok(crate::delivery::accepted("p1"))
}

fn error(class: ErrorClass) -> Result<SendAccepted, SendError> {
    Err(SendError {
        class: class.into(),
        ..SendError::default()
    })
}

fn answer(row: &RecipientRow, plan: &Plan, answer: &Result<SendAccepted, SendError>, now: i64) -> RecipientRow {
    answered(row, plan, Attempt::of(row), (1, answer), Moment(now), 128).unwrap()
}

fn says(state: ReceiptState) -> Receipt {
    Receipt {
        state: state.into(),
        ..Receipt::default()
    }
}

fn hear(row: &RecipientRow, plan: &Plan, step: u32, state: ReceiptState, now: i64) -> Option<RecipientRow> {
    receipt(row, plan, (step, 0), &says(state), Moment(now))
}

#[test]
fn rows_are_small() {
    let far = Plan {
        send_until: Moment(i64::MAX),
        ..plan(2)
    };
    let accepted = answer(&submitted(&new(), &far, 1 << 41), &far, &accepted(), 1 << 41);
    let delivered = hear(&accepted, &far, 0, ReceiptState::Delivered, 1 << 41).unwrap();
    let sizes = [new(), accepted, delivered].map(|row| row.encoded_len());
    assert_eq!(sizes, [20, 31, 29]);
}

#[test]
fn a_delivered_recipient_has_ended() {
    let plan = plan(2);
    let row = answer(&submitted(&new(), &plan, 0), &plan, &accepted(), 0);
    assert_eq!((state(&row), row.settled), (DeliveryState::Accepted, false));
    assert_eq!(wakes_at(&row, &plan), Some(Moment(10 * MINUTE)));
    let row = hear(&row, &plan, 0, ReceiptState::Delivered, 5).unwrap();
    assert_eq!((state(&row), row.settled), (DeliveryState::Delivered, true));
    assert_eq!(claim(&row, &plan, [2; 8], Moment(6)), Claim::Ended);
    let row = hear(&row, &plan, 0, ReceiptState::Read, 7).unwrap();
    assert_eq!((state(&row), row.settled), (DeliveryState::Read, true));
    assert_eq!(hear(&row, &plan, 0, ReceiptState::Sent, 8), None, "receipts go forward");
}

#[test]
fn success_that_does_not_come_in_time_takes_the_next_way_once() {
    let plan = plan(2);
    let row = answer(&submitted(&new(), &plan, 0), &plan, &accepted(), 0);
    let early = lapse(&row, &plan, Recovery::InTheDark, Moment(10 * MINUTE - 1));
    assert_eq!(early, None);
    let row = lapse(&row, &plan, Recovery::InTheDark, Moment(10 * MINUTE)).unwrap();
    assert_eq!((state(&row), row.step), (DeliveryState::Planned, 1));
    let left = past(&row).next().unwrap();
    assert_eq!(
        (left.state, left.reason),
        (DeliveryState::Accepted, RecipientReason::Timeout)
    );
    // Late, but before anything of the second way could leave: nobody gets two.
    let back = hear(&row, &plan, 0, ReceiptState::Delivered, 11 * MINUTE).unwrap();
    assert_eq!(
        (state(&back), back.step, back.settled),
        (DeliveryState::Delivered, 0, true)
    );
    assert_eq!(
        state(&hear(&back, &plan, 0, ReceiptState::Read, 12 * MINUTE).unwrap()),
        DeliveryState::Read
    );
    // Later than that both are paid for, and it is said.
    let begun = submitted(&row, &plan, 11 * MINUTE);
    let known = hear(&begun, &plan, 0, ReceiptState::Delivered, 12 * MINUTE).unwrap();
    assert_eq!((state(&known), known.step), (DeliveryState::Submitting, 1));
    assert_eq!(past(&known).next().unwrap().late, Some(DeliveryState::Delivered));
    let ended = answer(&known, &plan, &accepted(), 12 * MINUTE);
    let ended = lapse(&ended, &plan, Recovery::InTheDark, Moment(DAY)).unwrap();
    assert_eq!((state(&ended), ended.settled), (DeliveryState::Accepted, true));
}

#[test]
fn an_address_that_is_no_good_is_left_at_once_and_a_refusal_is_not_evaded() {
    let plan = plan(2);
    let begun = submitted(&new(), &plan, 0);
    let row = answer(&begun, &plan, &error(ErrorClass::RecipientPermanent), 1);
    assert_eq!((state(&row), row.step), (DeliveryState::Planned, 1));
    for class in [
        ErrorClass::Refused,
        ErrorClass::Content,
        ErrorClass::Policy,
        ErrorClass::Expired,
    ] {
        let row = answer(&begun, &plan, &error(class), 1);
        assert!(row.settled && row.step == 0, "{class:?}");
    }
    let claimed = taken(&new(), &plan, 0);
    let refused = |why| refuse(&claimed, &plan, [1; 8], why, Moment(1)).unwrap();
    assert_eq!(refused(RecipientReason::NoAddress).step, 1);
    assert_eq!(refused(RecipientReason::WindowClosed).step, 1);
    for why in [
        RecipientReason::OptedOut,
        RecipientReason::Suppressed,
        RecipientReason::MissingData,
    ] {
        let row = refused(why);
        assert_eq!(
            (state(&row), row.settled, reason(&row)),
            (DeliveryState::Skipped, true, why)
        );
    }
}

#[test]
fn what_may_have_left_is_unknown_and_stays_so_whatever_becomes_of_the_campaign() {
    let plan = plan(2);
    let begun = submitted(&new(), &plan, 0);
    let row = answer(&begun, &plan, &error(ErrorClass::Ambiguous), 1);
    assert_eq!((state(&row), row.settled), (DeliveryState::Unknown, false));
    let cancelled = cancel(&row).unwrap();
    assert_eq!((state(&cancelled), cancelled.settled), (DeliveryState::Unknown, true));
    let over = lapse(&row, &plan, Recovery::InTheDark, Moment(11 * MINUTE)).unwrap();
    assert_eq!(
        (state(&over), over.settled, over.step),
        (DeliveryState::Unknown, true, 0)
    );
    let heard = hear(&over, &plan, 0, ReceiptState::Delivered, DAY).unwrap();
    assert_eq!((state(&heard), heard.settled), (DeliveryState::Delivered, true));
    // The worker slept, and comes with the answer after it was given up.
    let woke = answered(&over, &plan, Attempt::of(&begun), (1, &accepted()), Moment(DAY), 0).unwrap();
    assert_eq!(state(&woke), DeliveryState::Accepted);
}

#[test]
fn whoever_lost_the_lease_moves_nothing() {
    let plan = plan(1);
    let claimed = taken(&new(), &plan, 0);
    assert_eq!(claim(&claimed, &plan, [2; 8], Moment(1)), Claim::Held);
    assert_eq!(submitting(&claimed, [2; 8], Moment(1)), None);
    assert_eq!(submitting(&claimed, [1; 8], Moment(MINUTE)), None, "its lease is over");
    let back = lapse(&claimed, &plan, Recovery::InTheDark, Moment(MINUTE)).unwrap();
    assert_eq!(back, new());
    assert_eq!(submitting(&back, [1; 8], Moment(MINUTE)), None);
    assert_eq!(release(&back, [1; 8]), None);
    assert_eq!(release(&claimed, [1; 8]), Some(new()));
}

#[test]
fn a_wait_beyond_the_end_ends_it_and_says_why() {
    let plan = plan(2);
    let claimed = taken(&new(), &plan, 0);
    let off = |until| put_off(&claimed, &plan, [1; 8], (Moment(until), RecipientReason::QuietHours)).unwrap();
    assert_eq!(state(&off(DAY - 1)), DeliveryState::Deferred);
    assert_eq!(
        claim(&off(DAY - 1), &plan, [2; 8], Moment(5)),
        Claim::NotYet(Moment(DAY - 1))
    );
    let over = off(DAY);
    assert_eq!(
        (state(&over), reason(&over), over.settled),
        (DeliveryState::Expired, RecipientReason::QuietHours, true)
    );
}

#[test]
fn a_long_message_is_as_far_as_its_last_piece() {
    let plan = plan(1);
    let mut row = new();
    for number in 0..3 {
        let begun = submitted(&row, &plan, 0);
        assert_eq!(begun.piece, number);
        row = answered(&begun, &plan, Attempt::of(&begun), (3, &accepted()), Moment(1), 0).unwrap();
    }
    assert_eq!(state(&row), DeliveryState::Accepted);
    for number in [2, 0, 0] {
        row = receipt(&row, &plan, (0, number), &says(ReceiptState::Delivered), Moment(2)).unwrap_or(row);
        assert_eq!(state(&row), DeliveryState::Accepted);
    }
    row = receipt(&row, &plan, (0, 1), &says(ReceiptState::Delivered), Moment(2)).unwrap();
    assert_eq!((state(&row), row.settled), (DeliveryState::Delivered, true));
}

#[test]
fn a_receipt_that_is_faster_than_the_answer_is_not_lost() {
    let plan = plan(2);
    let begun = submitted(&new(), &plan, 0);
    let heard = hear(&begun, &plan, 0, ReceiptState::Delivered, 1).unwrap();
    let ended = answer(&heard, &plan, &accepted(), 2);
    assert_eq!((state(&ended), ended.settled), (DeliveryState::Delivered, true));
    let recovered = lapse(&heard, &plan, Recovery::InTheDark, Moment(2 * MINUTE)).unwrap();
    assert_eq!((state(&recovered), recovered.settled), (DeliveryState::Delivered, true));
    let heard = hear(&begun, &plan, 0, ReceiptState::Failed, 1).unwrap();
    let ended = answer(&heard, &plan, &accepted(), 2);
    assert_eq!(
        (state(&ended), ended.step),
        (DeliveryState::Planned, 1),
        "on to the next way"
    );
}

/// A recipient whose step has ended so.
fn ended(state: DeliveryState, why: RecipientReason) -> RecipientRow {
    RecipientRow {
        state: state as u32,
        reason: why as u32,
        settled: true,
        attempts: 4,
        failures: 3,
        unsent: 2,
        ..new()
    }
}

fn again(row: &RecipientRow) -> Option<RecipientRow> {
    retry(row, &plan(2), false, Moment(5))
}

#[test]
fn what_provably_did_not_leave_has_another_turn_once() {
    for why in [
        RecipientReason::NotSent,
        RecipientReason::Throttled,
        RecipientReason::Account,
        RecipientReason::Content,
        RecipientReason::Temporary,
    ] {
        let row = again(&ended(DeliveryState::Failed, why)).unwrap();
        assert_eq!(
            (state(&row), reason(&row)),
            (DeliveryState::Planned, RecipientReason::Unspecified)
        );
        assert!(!row.settled && !row.possible_duplicate && !row.in_doubt);
        assert_eq!((row.failures, row.unsent), (0, 0), "its patience is whole again");
        assert_eq!(
            row.attempts, 4,
            "late answers to earlier attempts are known by their numbers"
        );
        assert_eq!(again(&row), None, "said twice, it is done once");
    }
    let expired = ended(DeliveryState::Expired, RecipientReason::QuietHours);
    assert_eq!(again(&expired).map(|row| state(&row)), Some(DeliveryState::Planned));
}

#[test]
fn whoever_may_have_it_or_must_not_has_no_other_turn() {
    for why in [
        RecipientReason::Permanent,
        RecipientReason::Refused,
        RecipientReason::Policy,
        RecipientReason::Ambiguous,
    ] {
        assert_eq!(again(&ended(DeliveryState::Failed, why)), None);
    }
    for state in [
        DeliveryState::Skipped,
        DeliveryState::Cancelled,
        DeliveryState::Unknown,
        DeliveryState::Delivered,
        DeliveryState::Accepted,
    ] {
        assert_eq!(again(&ended(state, RecipientReason::NotSent)), None);
    }
    let failed = ended(DeliveryState::Failed, RecipientReason::Temporary);
    let by_receipt = RecipientRow {
        proven: 1,
        ..failed.clone()
    };
    assert_eq!(again(&by_receipt), None, "the provider had it");
    let in_doubt = RecipientRow {
        in_doubt: true,
        ..failed.clone()
    };
    assert_eq!(again(&in_doubt), None);
    let open = RecipientRow {
        settled: false,
        ..failed.clone()
    };
    assert_eq!(again(&open), None, "it goes on by itself");
    assert_eq!(retry(&failed, &plan(2), true, Moment(DAY)), None, "its time is over");
}

#[test]
fn whoever_was_reached_on_an_earlier_step_has_no_other_turn() {
    let plan = plan(2);
    let row = answer(&submitted(&new(), &plan, 0), &plan, &accepted(), 0);
    let second = lapse(&row, &plan, Recovery::InTheDark, Moment(10 * MINUTE)).unwrap();
    let failed = RecipientRow {
        state: DeliveryState::Failed as u32,
        reason: RecipientReason::NotSent as u32,
        settled: true,
        ..second
    };
    assert!(again(&failed).is_some(), "nothing was heard of the first step");
    let heard = hear(&failed, &plan, 0, ReceiptState::Delivered, 11 * MINUTE).unwrap();
    assert_eq!(again(&heard), None);
}

#[test]
fn who_may_get_it_twice_is_marked_and_is_never_told_to_have_nothing() {
    let plan = plan(1);
    let begun = submitted(&new(), &plan, 0);
    let dark = answer(&begun, &plan, &error(ErrorClass::Ambiguous), 1);
    assert_eq!(retry(&dark, &plan, false, Moment(5)), None);
    let row = retry(&dark, &plan, true, Moment(5)).unwrap();
    assert_eq!((state(&row), row.until_ms), (DeliveryState::Deferred, 5));
    assert!(row.possible_duplicate && row.in_doubt && !row.settled);
    assert_eq!(retry(&row, &plan, true, Moment(6)), None, "said twice, it is done once");
    // Late news of the first attempt ends it before the second.
    let heard = hear(&row, &plan, 0, ReceiptState::Delivered, 6).unwrap();
    assert_eq!((state(&heard), heard.settled), (DeliveryState::Delivered, true));
    let late = answered(&row, &plan, Attempt::of(&begun), (1, &accepted()), Moment(6), 0).unwrap();
    assert_eq!(state(&late), DeliveryState::Accepted);
    // The second one fails: whether the first arrived is as unknown as before.
    let refused = answer(
        &submitted(&row, &plan, 6),
        &plan,
        &error(ErrorClass::RecipientPermanent),
        7,
    );
    assert_eq!(state(&refused), DeliveryState::Unknown);
}

/// Plays one recipient with workers that sleep and die, answers that are lost, receipts in any order, and looks whether what
/// the provider has seen is what the row says.
struct Play {
    rng: u64,
    plan: Plan,
    row: RecipientRow,
    now: i64,
    /// Attempts whose answer is still to come.
    answers: Vec<(Attempt, Result<SendAccepted, SendError>)>,
    /// Receipts that are on their way.
    receipts: Vec<((u32, u32), Receipt)>,
    /// What reached the provider, by step and piece.
    taken: BTreeMap<(u32, u32), u32>,
    pieces: u32,
    drops_repeated: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut play = Self {
            rng: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            plan: plan(1),
            row: new(),
            now: 0,
            answers: Vec::new(),
            receipts: Vec::new(),
            taken: BTreeMap::new(),
            pieces: 1,
            drops_repeated: false,
        };
        play.plan = plan(usize::try_from(1 + play.below(3)).unwrap());
        play.plan.may_repeat = play.below(4) == 0;
        if play.below(3) == 0 {
            for step in &mut play.plan.steps {
                step.fall_back_on.push(FallbackCause::Unknown);
            }
        }
        play.pieces = if play.below(3) == 0 { 2 } else { 1 };
        play.drops_repeated = play.below(4) == 0;
        play
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng >> 11) % bound
    }

    fn recovery(&self) -> Recovery {
        match self.drops_repeated {
            true => Recovery::Repeated,
            false => Recovery::InTheDark,
        }
    }

    /// A worker takes the recipient and does something with them.
    fn work(&mut self) {
        let lease = self.below(u64::MAX).to_be_bytes();
        let claimed = match claim(&self.row, &self.plan, lease, Moment(self.now)) {
            Claim::Taken(row) => row,
            Claim::Over(row) => {
                self.row = row;
                return;
            }
            _ => return,
        };
        self.row = claimed.clone();
        let now = Moment(self.now);
        let done = match self.below(10) {
            0 => return,
            1 => put_off(
                &claimed,
                &self.plan,
                lease,
                (now + Duration::from_secs(300), RecipientReason::Cap),
            ),
            2 if self.below(4) == 0 => refuse(&claimed, &self.plan, lease, RecipientReason::OptedOut, now),
            3 => release(&claimed, lease),
            _ => submitting(&claimed, lease, now),
        };
        self.row = done.expect("nobody else was there");
        if state(&self.row) == DeliveryState::Submitting {
            self.call();
        }
    }

    fn call(&mut self) {
        let attempt = Attempt::of(&self.row);
        let (arrives, answer) = match self.below(12) {
            0..=4 => (true, accepted()),
            5 => (true, error(ErrorClass::Ambiguous)),
            6 => (false, error(ErrorClass::Ambiguous)),
            7 => (false, error(ErrorClass::NotSent)),
            8 => (false, error(ErrorClass::RecipientTemporary)),
            9 => (false, error(ErrorClass::Throttled)),
            10 => (false, error(ErrorClass::RecipientPermanent)),
            _ => (false, error(ErrorClass::Refused)),
        };
        if arrives {
            let times = self.taken.entry((attempt.step, attempt.piece)).or_default();
            // A provider that drops repeated keys has it once.
            *times = if self.drops_repeated { 1 } else { *times + 1 };
            let state = match self.below(5) {
                0 => ReceiptState::Sent,
                1 => ReceiptState::Read,
                _ => ReceiptState::Delivered,
            };
            for _ in 0..self.below(3) {
                self.receipts.push(((attempt.step, attempt.piece), says(state)));
            }
        }
        if self.below(8) != 0 {
            self.answers.push((attempt, answer));
        }
    }

    fn turn(&mut self) {
        match self.below(8) {
            0..=2 => self.work(),
            3 | 4 => self.take_answer(),
            5 => self.take_receipt(),
            6 => self.now += i64::try_from(self.below(4 * 60_000)).unwrap(),
            _ => self.lapse(),
        }
    }

    fn take_answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = usize::try_from(self.below(self.answers.len() as u64)).unwrap();
        let (attempt, answer) = self.answers.swap_remove(at);
        let of = (self.pieces, &answer);
        if let Some(row) = answered(&self.row, &self.plan, attempt, of, Moment(self.now), 9) {
            self.row = row;
        }
    }

    fn take_receipt(&mut self) {
        if self.receipts.is_empty() {
            return;
        }
        let at = usize::try_from(self.below(self.receipts.len() as u64)).unwrap();
        let (of, said) = self.receipts.swap_remove(at);
        if let Some(row) = receipt(&self.row, &self.plan, of, &said, Moment(self.now)) {
            self.row = row;
        }
    }

    fn lapse(&mut self) {
        if let Some(row) = lapse(&self.row, &self.plan, self.recovery(), Moment(self.now)) {
            self.row = row;
        }
    }

    /// Everything that is still on its way arrives, and time passes until nothing more happens.
    fn end(&mut self, cancels: bool) {
        for _ in 0..400 {
            if self.row.settled {
                return;
            }
            if cancels && let Some(row) = cancel(&self.row) {
                self.row = row;
                continue;
            }
            if !cancels {
                self.work();
            }
            if self.below(2) == 0 {
                self.take_answer();
                self.take_receipt();
            }
            match wakes_at(&self.row, &self.plan) {
                Some(at) => self.now = self.now.max(at.0),
                None => assert!(self.row.settled, "nobody will look at {:?} again", self.row),
            }
            self.lapse();
        }
        panic!("never settled: {:?}", self.row);
    }

    fn judge(&self) {
        let row = &self.row;
        assert!(row.settled);
        assert!(row.encoded_len() <= 64, "{} bytes: {row:?}", row.encoded_len());
        for ((step, piece), times) in &self.taken {
            let most = if self.plan.may_repeat { 2 } else { 1 };
            assert!(
                *times <= most,
                "step {step} piece {piece} arrived {times} times: {row:?}"
            );
            if *times == 2 && *step == row.step {
                assert!(row.possible_duplicate, "twice and nobody says so: {row:?}");
            }
        }
        // Where a whole message was taken, nobody says that it was not.
        for step in 0..=row.step {
            let whole = (0..self.pieces).all(|piece| self.taken.contains_key(&(step, piece)));
            let said = match usize::try_from(step).ok().and_then(|step| past(row).nth(step)) {
                Some(past) => past.late.unwrap_or(past.state),
                None => state(row),
            };
            let denied = matches!(
                said,
                DeliveryState::Skipped | DeliveryState::Failed | DeliveryState::Expired | DeliveryState::Cancelled
            );
            assert!(
                !(whole && denied),
                "step {step} was taken, and {said:?} is said: {row:?}"
            );
        }
        for step in row.step + 1..=2 {
            assert!(
                !self.taken.contains_key(&(step, 0)),
                "step {step} left, and is not told of"
            );
        }
    }
}

#[test]
fn whatever_happens_the_row_tells_what_the_provider_has_seen() {
    let plays = std::env::var("OMNIGATE_SIM_SCHEDULES").ok();
    let plays = plays.and_then(|plays| plays.parse().ok()).unwrap_or(20_000);
    for seed in 0..plays {
        let play = std::panic::catch_unwind(|| {
            let mut play = Play::new(seed);
            for _ in 0..play.below(60) {
                play.turn();
            }
            let cancels = play.below(5) == 0;
            play.end(cancels);
            play.judge();
            if let Some(row) = retry(&play.row, &play.plan, false, Moment(play.now)) {
                play.row = row;
                play.end(false);
                play.judge();
            }
        });
        assert!(play.is_ok(), "seed {seed}");
    }
}

fn announced(step: u32, piece: u32, number: u32) -> Attempt {
    Attempt { step, piece, number }
}

#[test]
fn what_was_announced_and_forgotten_stands_as_submitted_by_nobody() {
    let plan = plan(2);
    let claimed = taken(&new(), &plan, 0);
    for row in [new(), claimed] {
        let next = intended(&row, &plan, announced(0, 0, 1), true, Moment(9)).unwrap();
        assert_eq!(
            (state(&next), next.attempts, next.until_ms),
            (DeliveryState::Submitting, 1, 9)
        );
        assert!(next.lease.is_empty() && !next.in_doubt && !next.settled);
        assert!(
            submitting(&next, [1; 8], Moment(9)).is_none(),
            "whoever had claimed it has lost it"
        );
        assert_eq!(intended(&next, &plan, announced(0, 0, 1), true, Moment(10)), None);
        let answered = answer(&next, &plan, &accepted(), 11);
        assert_eq!(state(&answered), DeliveryState::Accepted, "a late answer is its own");
        let lapsed = lapse(&next, &plan, Recovery::InTheDark, Moment(DAY)).unwrap();
        assert_eq!(state(&lapsed), DeliveryState::Unknown);
    }
}

#[test]
fn a_row_that_says_as_much_stays_as_it_is() {
    let plan = plan(2);
    let submitted = submitted(&new(), &plan, 0);
    let accepted = answer(&submitted, &plan, &accepted(), 1);
    let failed = answer(&submitted, &plan, &error(ErrorClass::RecipientPermanent), 1);
    assert_eq!(failed.step, 1);
    let waits = answer(&submitted, &plan, &error(ErrorClass::NotSent), 1);
    for row in [submitted, accepted, failed.clone(), waits] {
        assert_eq!(
            intended(&row, &plan, announced(0, 0, 1), true, Moment(9)),
            None,
            "{row:?}"
        );
    }
    // Success of the first step that was heard late took the recipient back there.
    let back = hear(&failed, &plan, 0, ReceiptState::Delivered, 2).unwrap();
    assert!(back.settled && back.step == 0);
    assert_eq!(intended(&back, &plan, announced(1, 0, 1), false, Moment(9)), None);
}

#[test]
fn attempts_that_were_forgotten_leave_a_doubt() {
    for may_repeat in [false, true] {
        let plan = Plan { may_repeat, ..plan(1) };
        let next = intended(&new(), &plan, announced(0, 0, 3), true, Moment(9)).unwrap();
        assert!(next.in_doubt && next.possible_duplicate == may_repeat);
        let first = intended(&new(), &plan, announced(0, 0, 1), true, Moment(9)).unwrap();
        let second = intended(&first, &plan, announced(0, 0, 2), true, Moment(9)).unwrap();
        assert!(
            second.in_doubt && second.possible_duplicate == may_repeat,
            "the answer to the first is forgotten"
        );
        let refused = answer(&next, &plan, &error(ErrorClass::RecipientPermanent), 10);
        assert_eq!(state(&refused), DeliveryState::Unknown, "one before may have left");
    }
}

#[test]
fn steps_and_pieces_before_the_announced_one_are_told_of() {
    let plan = plan(3);
    let accepted = answer(&submitted(&new(), &plan, 0), &plan, &accepted(), 1);
    let next = intended(&accepted, &plan, announced(2, 1, 1), true, Moment(9)).unwrap();
    assert_eq!((next.step, next.piece, next.attempts), (2, 1, 1));
    assert_eq!((next.proven, next.pieces), (1, 2));
    let states: Vec<DeliveryState> = past(&next).map(|past| past.state).collect();
    assert_eq!(states, [DeliveryState::Accepted, DeliveryState::Unknown]);
}

#[test]
fn whoever_has_ended_meanwhile_is_unknown_and_does_not_begin_anew() {
    let plan = plan(2);
    let cancelled = cancel(&new()).unwrap();
    let next = intended(&cancelled, &plan, announced(0, 0, 1), true, Moment(9)).unwrap();
    assert_eq!((state(&next), next.settled), (DeliveryState::Unknown, true));
    let heard = hear(&next, &plan, 0, ReceiptState::Delivered, 10).unwrap();
    assert_eq!(state(&heard), DeliveryState::Delivered, "a receipt is heard");
    assert_eq!(intended(&cancelled, &plan, announced(0, 0, 1), false, Moment(9)), None);
}
