//! Merges, and the recovery of what was left frozen.

use super::find::{Person, present};
use super::record::{News, Next, Shows, change, change_and_tell, load};
use super::{PATIENCE, apart, split};
use crate::customer_event::Happened;
use crate::id::{CustomerId, TransactionId};
use crate::identity::log::Note;
use crate::identity::member;
use crate::identity::merge::{
    Decided, Freezing, Merge, Rule, Word, abort, decide, forbidden, freeze, settle, survivor_and_loser,
};
use crate::keys;
use crate::port::store::Write;
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::Asking;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ConflictRecord, CustomerRecord, Freeze, Verdict};
use omnigate_proto::v1::{IdentityChangeKind, IdentityEventKind};
use prost::Message as _;

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
        let (Some(of_one), Some(of_other)) = (of_one, of_other) else {
            return Ok(Merged::Gone);
        };
        if of_one == of_other {
            return Ok(Merged::One(of_one));
        }
        let (survivor, loser) = survivor_and_loser(of_one, of_other);
        if word != Word::Person
            && let Some(forbidden_by) = known_conflict(context, asking.tenant_id, [survivor, loser], word).await?
        {
            return Ok(Merged::Apart {
                survivor,
                loser,
                forbidden_by,
            });
        }
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

/// The rules that keep two apart, where they were told before: events that bring them up again and again change nothing.
async fn known_conflict(
    context: &Context<'_>,
    tenant_id: &str,
    [survivor, loser]: [CustomerId; 2],
    word: Word,
) -> Result<Option<Vec<String>>, Stop> {
    let Some(conflict) = apart::conflict(context, tenant_id, [survivor, loser]).await? else {
        return Ok(None);
    };
    let [rules] = check(context, (survivor, loser), [word]).await?;
    let names: Vec<String> = rules.iter().map(|rule| rule.name().to_owned()).collect();
    let is_told = conflict.settled || conflict.rules == names;
    Ok((is_told && !names.is_empty()).then_some(names))
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
            Freezing::Frozen(Some(next)) => (Ok((*next).clone()), Some((*next).into())),
            Freezing::Frozen(None) => (Ok(record), None),
            Freezing::Busy => (Err(true), None),
            Freezing::Changed => (Err(false), None),
        }
    });
    let loser = match frozen.await? {
        Ok(loser) => loser,
        Err(is_busy) => {
            if is_busy {
                wait(context, merge.loser, waited).await?;
            }
            return Ok(None);
        }
    };
    let decide = |record: &CustomerRecord, now| decide(record, merge, &loser, now);
    let given = |verdict, next, now| given(merge, &loser, (verdict, next), trace_id, now);
    let verdict = verdict_of(context, (merge.survivor, trace_id), waited, outgoing, decide, given).await?;
    settle_loser(context, merge.loser, &merge.transaction.to_bytes(), &verdict).await?;
    Ok(Some(verdict))
}

/// Has a record decide a transaction; waits while it is frozen itself. `given` says what is noted and told of a new verdict.
pub(super) async fn verdict_of(
    context: &Context<'_>,
    (decider, trace_id): (CustomerId, &str),
    waited: &mut u32,
    outgoing: &mut Vec<Outgoing>,
    decide: impl Fn(&CustomerRecord, Moment) -> Decided,
    given: impl Fn(Verdict, CustomerRecord, Moment) -> News<Option<Verdict>>,
) -> Result<Verdict, Stop> {
    for _ in 0..MAX_TRIES {
        let decided = change_and_tell(context, decider, trace_id, outgoing, |record, now| {
            match decide(record, now) {
                Decided::Busy => News::none(None),
                Decided::Verdict(verdict, None) => News::none(Some(*verdict)),
                Decided::Verdict(verdict, Some(next)) => given(*verdict, *next, now),
            }
        });
        if let Some(verdict) = decided.await? {
            return Ok(verdict);
        }
        wait(context, decider, waited).await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Waits for a frozen record by looking again, and ends what it is frozen for when that was often enough.
pub(in crate::protocol) async fn wait(context: &Context<'_>, id: CustomerId, waited: &mut u32) -> Result<(), Stop> {
    *waited += 1;
    if *waited > PATIENCE {
        recover(context, id).await?;
    }
    Ok(())
}

/// A verdict with what is noted and told of it.
fn given(
    merge: &Merge,
    loser: &CustomerRecord,
    (verdict, next): (Verdict, CustomerRecord),
    trace_id: &str,
    now: Moment,
) -> News<Option<Verdict>> {
    let (transaction, id) = (merge.transaction, merge.loser);
    let mut also = Vec::new();
    let mut kind = None;
    let mut births: Vec<Bytes> = loser.members.iter().map(|member| member.birth.clone()).collect();
    if verdict.commit {
        kind = Some(IdentityEventKind::Merged);
        also.push(Write::Remove {
            key: keys::conflicts(&next.tenant_id),
            member: keys::conflict_member(merge.survivor, id),
        });
    } else if !verdict.forbidden_by.is_empty() {
        kind = Some(IdentityEventKind::KeptApart);
        births = evidence(merge, &next, loser);
        let conflict = ConflictRecord {
            rules: verdict.forbidden_by.clone(),
            at_ms: now.0,
            cause: trace_id.to_owned(),
            evidence: births.clone(),
            settled: false,
        };
        also.push(Write::Insert {
            key: keys::conflicts(&next.tenant_id),
            member: keys::conflict_member(merge.survivor, id),
            value: conflict.encode_to_vec().into(),
        });
    }
    let note = kind.map(|kind| Note {
        transaction: Some(transaction),
        other: Some(id),
        births,
        rules: verdict.forbidden_by.clone(),
        ..Note::new(kind, trace_id)
    });
    News {
        tells: verdict
            .commit
            .then(|| Box::new(move |happened: &Happened<'_>| happened.customer_merged(id, transaction)) as _),
        shows: Some(Shows {
            kind: IdentityChangeKind::Merged,
            transaction,
            other: id,
            by_person: merge.word == Word::Person,
        }),
        answer: Some(verdict),
        next: Some(Next {
            record: next,
            note,
            also,
        }),
    }
}

/// Reservation tokens of the identifiers that were seen to belong to one person.
fn evidence(merge: &Merge, survivor: &CustomerRecord, loser: &CustomerRecord) -> Vec<Bytes> {
    let of = |identifier| {
        let known = member(&survivor.members, identifier).or_else(|| member(&loser.members, identifier));
        known.map(|member| member.birth.clone())
    };
    merge.evidence.iter().filter_map(of).collect()
}

async fn settle_loser(
    context: &Context<'_>,
    loser: CustomerId,
    transaction: &[u8],
    verdict: &Verdict,
) -> Result<(), Stop> {
    change(context, loser, |record, _| {
        let settled = record.and_then(|record| settle(record, transaction, verdict));
        let next = settled.map(|next| {
            let note = verdict.commit.then(|| Note {
                transaction: TransactionId::from_bytes(transaction),
                other: CustomerId::from_bytes(&next.into),
                ..Note::new(IdentityEventKind::MergedInto, "")
            });
            Next {
                note,
                ..Next::from(next)
            }
        });
        ((), next)
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
            Decided::Verdict(verdict, next) => (*verdict, next.map(|next| Next::from(*next))),
            Decided::Busy => (Verdict::default(), None),
        }
    })
    .await?;
    if is_split {
        split::settle(context, &record.tenant_id, id, &transaction, &verdict).await
    } else {
        settle_loser(context, id, &transaction, &verdict).await
    }
}

/// The rules that would forbid it now on each of these words; none when it would be done. Changes nothing.
pub async fn check<const N: usize>(
    context: &Context<'_>,
    (one, other): (CustomerId, CustomerId),
    words: [Word; N],
) -> Result<[Vec<Rule>; N], Stop> {
    let (survivor, loser) = survivor_and_loser(one, other);
    let survivor = load(context, survivor).await?.value.unwrap_or_default();
    let loser = load(context, loser).await?.value.unwrap_or_default();
    let now = context.now();
    Ok(words.map(|word| forbidden(&survivor, &loser, word, now)))
}
