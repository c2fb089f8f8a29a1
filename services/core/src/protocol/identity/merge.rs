//! Merges, and the recovery of what was left frozen.

use super::find::{Person, present};
use super::record::{News, change, change_and_tell, load};
use super::{PATIENCE, split};
use crate::customer_event::Happened;
use crate::id::{CustomerId, TransactionId};
use crate::identity::merge::{Decided, Freezing, Merge, Rule, Word, abort, decide, freeze, settle, survivor_and_loser};
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::Asking;
use omnigate_proto::state::v1::{CustomerRecord, Freeze, Verdict};

/// How a merge ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Merged {
    /// They are one, now or since before.
    One(CustomerId),
    /// Rules keep them apart.
    Apart {
        /// The older one.
        survivor: CustomerId,
        /// The younger one.
        loser: CustomerId,
        /// The rules.
        forbidden_by: Vec<String>,
    },
    /// One of them is not there, or was erased.
    Gone,
}

/// Makes two people one customer, on somebody's word. CustomerEvents that came to be are added to `outgoing`.
pub async fn merge(
    context: &Context<'_>,
    asking: &Asking<'_>,
    [one, other]: [&Person; 2],
    word: Word,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Merged, Stop> {
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        let of_one = present(context, asking, one, outgoing).await?;
        let of_other = present(context, asking, other, outgoing).await?;
        let (Some((of_one, _)), Some((of_other, _))) = (of_one, of_other) else {
            return Ok(Merged::Gone);
        };
        if of_one == of_other {
            return Ok(Merged::One(of_one));
        }
        let (survivor, loser) = survivor_and_loser(of_one, of_other);
        let merge = Merge {
            transaction: TransactionId(context.entropy.bytes()),
            survivor,
            loser,
            evidence: [one.identifier(), other.identifier()],
            word,
        };
        if let Some(verdict) = attempt(context, &merge, asking.trace_id, &mut waited, outgoing).await? {
            if verdict.commit {
                return Ok(Merged::One(survivor));
            }
            if !verdict.forbidden_by.is_empty() {
                return Ok(Merged::Apart {
                    survivor,
                    loser,
                    forbidden_by: verdict.forbidden_by,
                });
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// One transaction: freeze, decide, settle. `None` when the loser could not be frozen.
pub async fn attempt(
    context: &Context<'_>,
    merge: &Merge,
    trace_id: &str,
    waited: &mut u32,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Option<Verdict>, Stop> {
    let frozen = change(context, merge.loser, |record, now| {
        let record = record.cloned().unwrap_or_default();
        match freeze(&record, merge, now) {
            Freezing::Frozen(Some(next)) => (Ok((*next).clone()), Some(*next)),
            Freezing::Frozen(None) => (Ok(record), None),
            Freezing::Busy(_) => (Err(true), None),
            Freezing::Changed => (Err(false), None),
        }
    });
    let loser = match frozen.await? {
        Ok(loser) => loser,
        Err(busy) => {
            *waited += u32::from(busy);
            if *waited > PATIENCE {
                recover(context, merge.loser).await?;
            }
            return Ok(None);
        }
    };
    let verdict = verdict_of(context, merge, &loser, trace_id, waited, outgoing).await?;
    settle_loser(context, merge.loser, &merge.transaction.to_bytes(), &verdict).await?;
    Ok(Some(verdict))
}

/// Has the survivor decide; waits while it is frozen itself.
async fn verdict_of(
    context: &Context<'_>,
    merge: &Merge,
    loser: &CustomerRecord,
    trace_id: &str,
    waited: &mut u32,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Verdict, Stop> {
    let (transaction, loser_id) = (merge.transaction, merge.loser);
    for _ in 0..MAX_TRIES {
        let decided = change_and_tell(context, merge.survivor, trace_id, outgoing, |record, now| match decide(
            record, merge, loser, now,
        ) {
            Decided::Busy(_) => News {
                answer: None,
                next: None,
                tells: None,
            },
            Decided::Verdict(verdict, next) => News {
                tells: verdict.commit.then(|| {
                    Box::new(move |happened: &Happened<'_>| happened.customer_merged(loser_id, transaction)) as _
                }),
                answer: Some(*verdict),
                next: next.map(|next| *next),
            },
        });
        if let Some(verdict) = decided.await? {
            return Ok(verdict);
        }
        *waited += 1;
        if *waited > PATIENCE {
            recover(context, merge.survivor).await?;
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn settle_loser(
    context: &Context<'_>,
    loser: CustomerId,
    transaction: &[u8],
    verdict: &Verdict,
) -> Result<(), Stop> {
    change(context, loser, |record, _| {
        ((), record.and_then(|record| settle(record, transaction, verdict)))
    })
    .await
}

/// Ends what a record is frozen for: without effect, unless it was decided before.
pub async fn recover(context: &Context<'_>, id: CustomerId) -> Result<(), Stop> {
    let record = load(context, id).await?.value.unwrap_or_default();
    let Some(Freeze {
        transaction,
        decider,
        split: is_split,
        ..
    }) = record.freeze
    else {
        return Ok(());
    };
    let Some(decider) = CustomerId::from_bytes(&decider) else {
        return Ok(());
    };
    let verdict = change(context, decider, |record, now| {
        let record = record.cloned().unwrap_or_default();
        match abort(&record, &transaction, now) {
            Decided::Verdict(verdict, next) => (*verdict, next.map(|next| *next)),
            Decided::Busy(_) => (Verdict::default(), None),
        }
    })
    .await?;
    if is_split {
        split::settle(context, &record.tenant_id, id, &transaction, &verdict).await
    } else {
        settle_loser(context, id, &transaction, &verdict).await
    }
}

/// The rules that would forbid it now; empty when it would be done. Changes nothing.
pub async fn check(context: &Context<'_>, one: CustomerId, other: CustomerId, word: Word) -> Result<Vec<Rule>, Stop> {
    let (survivor, loser) = survivor_and_loser(one, other);
    let survivor = load(context, survivor).await?.value.unwrap_or_default();
    let loser = load(context, loser).await?.value.unwrap_or_default();
    Ok(crate::identity::merge::forbidden(
        &survivor,
        &loser,
        word,
        context.now(),
    ))
}
