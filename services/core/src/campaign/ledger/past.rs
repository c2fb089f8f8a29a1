//! Steps that a recipient has behind them.

use super::{is_success, is_untouched, settle, state};
use crate::campaign::plan::Plan;
use crate::delivery::receipt::further;
use bytes::{Bytes, BytesMut};
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, RecipientReason};

/// Bytes of one step.
const WIDTH: usize = 3;
/// Bit beside the late state: the step may have left twice.
const TWICE: u8 = 0x80;

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past {
    /// State when it was left.
    pub state: DeliveryState,
    /// Why it was left.
    pub reason: RecipientReason,
    /// What a receipt said of it later.
    pub late: Option<DeliveryState>,
    /// True when it was sent again although the first attempt may have arrived.
    pub possible_duplicate: bool,
}

/// The steps before the present one, first to last.
pub fn past(row: &RecipientRow) -> impl Iterator<Item = Past> {
    row.past.chunks_exact(WIDTH).map(|step| Past {
        state: read(step[0]),
        reason: RecipientReason::try_from(i32::from(step[1])).unwrap_or_default(),
        late: (step[2] & !TWICE != 0).then(|| read(step[2] & !TWICE)),
        possible_duplicate: step[2] & TWICE != 0,
    })
}

fn read(byte: u8) -> DeliveryState {
    DeliveryState::try_from(i32::from(byte)).unwrap_or_default()
}

fn byte(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

/// The recipient at the next step, of which nothing has been attempted.
pub(super) fn step_on(row: RecipientRow, state: DeliveryState, why: RecipientReason) -> RecipientRow {
    let mut past = BytesMut::from(row.past.as_ref());
    let twice = if row.possible_duplicate { TWICE } else { 0 };
    past.extend_from_slice(&[byte(state.into()), byte(why.into()), twice]);
    RecipientRow {
        customer: row.customer,
        state: DeliveryState::Planned as u32,
        step: row.step + 1,
        past: past.freeze(),
        ..RecipientRow::default()
    }
}

/// What was heard late of a step that was left. Where it tells of success and nothing of the present step can have left, the
/// recipient has what was meant for them, and is sent nothing more. `None` when it says nothing new.
pub(super) fn late(row: &RecipientRow, plan: &Plan, step: u32, said: DeliveryState) -> Option<RecipientRow> {
    let at = usize::try_from(step).ok()? * WIDTH;
    let kept = row.past.get(at..at + WIDTH)?;
    let before = match kept[2] & !TWICE {
        0 => read(kept[0]),
        late => read(late),
    };
    let known = further(before, said);
    if known == before {
        return None;
    }
    let mut past = BytesMut::from(row.past.as_ref());
    past[at + 2] = byte(known.into()) | kept[2] & TWICE;
    let mut next = row.clone();
    next.past = past.freeze();
    let waits = matches!(state(row), DeliveryState::Planned | DeliveryState::Deferred);
    if !(is_success(plan, step, known) && waits && is_untouched(row) && !row.settled) {
        return Some(next);
    }
    if step + 1 < row.step {
        // What left in between is told of, too.
        return Some(settle(next, DeliveryState::Skipped, RecipientReason::ReachedBefore));
    }
    let back = RecipientRow {
        customer: row.customer.clone(),
        step,
        past: Bytes::copy_from_slice(&row.past[..at]),
        pieces: 1,
        proven: 1,
        reached: 1,
        possible_duplicate: kept[2] & TWICE != 0,
        ..RecipientRow::default()
    };
    Some(settle(back, known, RecipientReason::Unspecified))
}
