//! Recipients who became one customer after the campaign was planned: one of them gets the message.
//!
//! Who looks holds their own row, claimed, and reads the customer after that. So of two who became one before either was claimed
//! both see the other; of two who became one between, the later sees what the earlier does.

use crate::campaign::ledger::{Verdict, is_untouched, past, state};
use crate::campaign::place::{Bucket, Handle};
use crate::delivery::LEASE_TIME;
use crate::id::CustomerId;
use crate::identity::consists_of;
use crate::port::store::StoreError;
use crate::protocol::campaign::bucket::{Recipient, recipients, some};
use crate::protocol::campaign::control::control;
use crate::protocol::context::Context;
use crate::protocol::read::Whole;
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, RecipientReason};

/// What another row of the same customer means for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Other {
    /// Nothing is sent there, and nothing will be.
    Idle,
    /// It waits for its turn.
    Waits,
    /// A worker has it.
    Held,
    /// Something was sent there, or may have been.
    Sent,
}

fn what(row: &RecipientRow) -> Other {
    use DeliveryState::{Cancelled, Claimed, Deferred, Expired, Failed, Planned, Skipped};
    let sent_before = past(row).any(|step| !matches!(step.state, Skipped | Failed | Expired));
    if sent_before || !is_untouched(row) {
        return Other::Sent;
    }
    match state(row) {
        Planned | Deferred if !row.settled => Other::Waits,
        Claimed => Other::Held,
        Planned | Deferred | Skipped | Failed | Expired | Cancelled => Other::Idle,
        _ => Other::Sent,
    }
}

/// Decides by another row of the same customer. The older record goes first.
fn decide(is_older: bool, other: Other, at: Moment) -> Option<Verdict> {
    match other {
        Other::Idle => None,
        Other::Sent => Some(Verdict::Refuse(RecipientReason::Duplicate)),
        Other::Waits if is_older => None,
        // Its worker may have looked before the two became one: what it does is seen when its lease is over.
        Other::Held if is_older => Some(Verdict::PutOff(at + LEASE_TIME, RecipientReason::Duplicate)),
        Other::Waits | Other::Held => Some(Verdict::Refuse(RecipientReason::Duplicate)),
    }
}

/// Looks for other recipients who are the same customer now; what that means for the one at `at`, if anything.
pub(super) async fn look(
    context: &Context<'_>,
    campaign: Handle,
    at: CustomerId,
    whole: &Whole,
) -> Result<Option<Verdict>, StoreError> {
    for other in consists_of(&whole.record.members).filter(|other| *other != at) {
        let Some(found) = find(context, campaign, other).await? else {
            continue;
        };
        let verdict = decide(at < other, what(&found.row), context.now());
        if verdict.is_some() {
            return Ok(verdict);
        }
    }
    Ok(None)
}

/// The row of a recipient: rows of a shard stand in the order of their customers.
async fn find(context: &Context<'_>, campaign: Handle, wanted: CustomerId) -> Result<Option<Recipient>, StoreError> {
    let shard = wanted.shard();
    let control = control(context, shard, campaign).await?.value.unwrap_or_default();
    let (mut from, mut to) = (0, u16::try_from(control.buckets).unwrap_or(u16::MAX));
    let bucket = |number| Bucket {
        campaign,
        shard,
        number,
    };
    // The last bucket that does not begin behind them.
    while from + 1 < to {
        let middle = from + (to - from) / 2;
        let first = some(context, bucket(middle), &[0]).await?.pop();
        let is_behind = first.is_none_or(|first| first.row.customer.as_ref() > wanted.0.as_slice());
        if is_behind {
            to = middle;
        } else {
            from = middle;
        }
    }
    let rows = recipients(context, bucket(from)).await?;
    Ok(rows
        .into_iter()
        .find(|recipient| recipient.row.customer.as_ref() == wanted.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_who_became_one_exactly_one_is_written_to() {
        let all = [Other::Idle, Other::Waits, Other::Held, Other::Sent];
        for other in all {
            // Whatever the other does, the younger gives way unless nothing comes of the other.
            let younger = decide(false, other, Moment(0));
            assert_eq!(younger.is_none(), other == Other::Idle, "{other:?}");
        }
        assert_eq!(decide(true, Other::Waits, Moment(0)), None);
        let held = decide(true, Other::Held, Moment(5));
        assert_eq!(
            held,
            Some(Verdict::PutOff(Moment(5) + LEASE_TIME, RecipientReason::Duplicate))
        );
        let sent = decide(true, Other::Sent, Moment(0));
        assert_eq!(sent, Some(Verdict::Refuse(RecipientReason::Duplicate)));
    }

    #[test]
    fn what_a_row_did_is_read_from_it() {
        let row = |state: DeliveryState| RecipientRow {
            state: state as u32,
            ..RecipientRow::default()
        };
        assert_eq!(what(&row(DeliveryState::Planned)), Other::Waits);
        assert_eq!(what(&row(DeliveryState::Claimed)), Other::Held);
        assert_eq!(what(&row(DeliveryState::Submitting)), Other::Sent);
        assert_eq!(what(&row(DeliveryState::Accepted)), Other::Sent);
        assert_eq!(what(&row(DeliveryState::Unknown)), Other::Sent);
        assert_eq!(what(&row(DeliveryState::Skipped)), Other::Idle);
        let fell_back = RecipientRow {
            past: vec![DeliveryState::Skipped as u8, 0, 0].into(),
            ..row(DeliveryState::Planned)
        };
        assert_eq!(what(&fell_back), Other::Waits, "nothing left at the first step");
        let sent_before = RecipientRow {
            past: vec![DeliveryState::Sent as u8, 0, 0].into(),
            ..row(DeliveryState::Planned)
        };
        assert_eq!(what(&sent_before), Other::Sent);
        let in_doubt = RecipientRow {
            in_doubt: true,
            ..row(DeliveryState::Deferred)
        };
        assert_eq!(what(&in_doubt), Other::Sent);
    }
}
