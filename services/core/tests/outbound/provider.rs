//! The provider, and edge in front of it: what truly happened, whatever anybody was told.

use crate::rng::Rng;
use omnigate_core::id::MessageId;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ErrorClass, ReceiptState, SendAccepted, SendError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A submission as it arrives at edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub id: MessageId,
    pub piece: u32,
    pub attempt: u32,
    /// It is the message's alternative that arrives.
    pub is_alternative: bool,
    /// Messages must not be submitted after it; `None` when edge does not look.
    pub deadline: Option<Moment>,
    pub now: Moment,
}

/// What edge says, and when; `None` for never.
pub(crate) type Said = (u32, Result<SendAccepted, SendError>, Option<Duration>);

/// What the provider says later about a piece.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub after: Duration,
    pub state: ReceiptState,
    pub provider_id: String,
}

#[derive(Default)]
pub(crate) struct Provider {
    /// Ids under which each piece was taken.
    pub taken: BTreeMap<(MessageId, u32), Vec<String>>,
    /// Pieces and attempts that left, or of which nobody was told whether they did.
    pub may_have_left: BTreeMap<MessageId, BTreeSet<(u32, u32)>>,
    /// Messages with an attempt of which nobody was told what became.
    pub in_doubt: BTreeSet<MessageId>,
    /// First pieces in the order in which they were taken.
    pub order: Vec<MessageId>,
    next_id: u64,
    /// It has reply windows.
    pub has_windows: bool,
}

/// True for messages whose reply window the provider takes for closed, whatever we know.
fn is_closed_there(id: MessageId) -> bool {
    id.0[5].is_multiple_of(4)
}

/// How many pieces a message has.
pub(crate) fn pieces(id: MessageId) -> u32 {
    match id.0[3] % 5 {
        0..=2 => 1,
        3 => 2,
        _ => 3,
    }
}

/// What becomes of a submission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Taken,
    TakenWithoutId,
    TakenAnswerLost,
    TakenInDoubt,
    NotTakenInDoubt,
    NotTakenAnswerLost,
    Refused(ErrorClass),
}

impl Provider {
    /// Attempts at this piece that may have left.
    pub(crate) fn copies(&self, id: MessageId, piece: u32) -> usize {
        let all = self.may_have_left.get(&id);
        all.map_or(0, |all| all.iter().filter(|(number, _)| *number == piece).count())
    }

    /// How often pieces of a message may have left once more.
    pub(crate) fn repetitions(&self, id: MessageId) -> usize {
        (0..pieces(id))
            .map(|piece| self.copies(id, piece).saturating_sub(1))
            .sum()
    }

    /// One submission; also what will be reported about it.
    pub(crate) fn submit(&mut self, arrived: Arrived, faulty: usize, rng: &mut Rng) -> (Said, Vec<Report>) {
        let count = if arrived.is_alternative { 1 } else { pieces(arrived.id) };
        if arrived.deadline.is_some_and(|deadline| arrived.now > deadline) {
            return ((count, Err(error(ErrorClass::NotSent)), quickly(rng)), Vec::new());
        }
        // A template needs no window; that one of the messages is one the provider does not know here, and takes it.
        if self.has_windows && !arrived.is_alternative && arrived.piece == 0 && is_closed_there(arrived.id) {
            let closed = SendError {
                outside_window: true,
                ..error(ErrorClass::Policy)
            };
            return ((count, Err(closed), quickly(rng)), Vec::new());
        }
        let fate = if rng.per_mille(faulty) {
            misfortune(rng)
        } else {
            Fate::Taken
        };
        let taken = !matches!(
            fate,
            Fate::Refused(_) | Fate::NotTakenInDoubt | Fate::NotTakenAnswerLost
        );
        let late = taken && rng.per_mille(faulty / 10);
        let in_doubt = late || !matches!(fate, Fate::Taken | Fate::TakenWithoutId | Fate::Refused(_));
        if in_doubt {
            self.in_doubt.insert(arrived.id);
        }
        if taken || in_doubt {
            let attempt = (arrived.piece, arrived.attempt);
            self.may_have_left.entry(arrived.id).or_default().insert(attempt);
        }
        let mut reports = Vec::new();
        let mut provider_id = String::new();
        if taken {
            self.next_id += 1;
            provider_id = format!("p{}", self.next_id);
            let all = self.taken.entry((arrived.id, arrived.piece)).or_default();
            if all.is_empty() && arrived.piece == 0 {
                self.order.push(arrived.id);
            }
            all.push(provider_id.clone());
            reports = reported(&provider_id, rng);
        }
        let mut accepted = |provider_message_id| SendAccepted {
            provider_message_id,
            state: rng
                .pick(&[ReceiptState::Accepted, ReceiptState::Sent, ReceiptState::Unspecified])
                .into(),
            ..SendAccepted::default()
        };
        let outcome = match fate {
            Fate::Taken => Ok(accepted(provider_id)),
            Fate::TakenWithoutId => Ok(accepted(String::new())),
            Fate::Refused(class) => Err(error(class)),
            _ => Err(error(ErrorClass::Ambiguous)),
        };
        let after = match fate {
            Fate::TakenAnswerLost | Fate::NotTakenAnswerLost => None,
            _ if late => Some(Duration::from_secs(31 + rng.next() % 120)),
            _ => quickly(rng),
        };
        ((count, outcome, after), reports)
    }
}

fn quickly(rng: &mut Rng) -> Option<Duration> {
    Some(Duration::from_millis(rng.next() % 3000))
}

fn misfortune(rng: &mut Rng) -> Fate {
    rng.pick(&[
        Fate::TakenWithoutId,
        Fate::TakenAnswerLost,
        Fate::TakenAnswerLost,
        Fate::TakenInDoubt,
        Fate::TakenInDoubt,
        Fate::NotTakenInDoubt,
        Fate::NotTakenAnswerLost,
        Fate::Refused(ErrorClass::Throttled),
        Fate::Refused(ErrorClass::Throttled),
        Fate::Refused(ErrorClass::NotSent),
        Fate::Refused(ErrorClass::NotSent),
        Fate::Refused(ErrorClass::RecipientTemporary),
        Fate::Refused(ErrorClass::RecipientPermanent),
        Fate::Refused(ErrorClass::Refused),
        Fate::Refused(ErrorClass::Content),
        Fate::Refused(ErrorClass::Account),
        Fate::Refused(ErrorClass::Policy),
        Fate::Refused(ErrorClass::Expired),
    ])
}

/// Receipts of one accepted piece, in any order, some twice.
fn reported(provider_id: &str, rng: &mut Rng) -> Vec<Report> {
    let states = rng.pick::<&[ReceiptState]>(&[
        &[],
        &[ReceiptState::Delivered],
        &[ReceiptState::Sent, ReceiptState::Delivered, ReceiptState::Read],
        &[ReceiptState::Failed],
        &[ReceiptState::Failed, ReceiptState::Delivered],
    ]);
    let mut reports: Vec<Report> = states
        .iter()
        .map(|state| Report {
            after: Duration::from_millis(rng.next() % rng.pick(&[1, 2_000, 120_000])),
            state: *state,
            provider_id: provider_id.to_owned(),
        })
        .collect();
    if rng.per_mille(300)
        && let Some(twice) = reports.first().cloned()
    {
        reports.push(twice);
    }
    rng.shuffle(&mut reports);
    reports
}

pub(crate) fn error(class: ErrorClass) -> SendError {
    SendError {
        class: class.into(),
        ..SendError::default()
    }
}
