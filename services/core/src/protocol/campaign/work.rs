//! What a dispatcher does with the recipients of a bucket: claims some, sees to it that what it submits is written down before,
//! and records what came of it. Each is one commit for all of them.

use super::bucket::{Change, Recipient, Rows, read, some, writes};
use super::control::{control, runs};
use super::plan_of;
use crate::campaign::ledger::{self, Attempt, Claim, Lease, Verdict};
use crate::campaign::place::{Bucket, Place, Sent};
use crate::campaign::plan::Plan;
use crate::keys;
use crate::port::store::StoreError;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::time::Moment;
use omnigate_proto::state::v1::{IntentsRecord, RecipientRow};
use omnigate_proto::v1::{Campaign, DeliveryState, Receipt, SendAccepted, SendError};
use prost::Message as _;
use std::collections::BTreeMap;

/// Recipients of one bucket in the hands of one worker.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Their campaign.
    pub campaign: Campaign,
    /// Its way to them.
    pub plan: Plan,
    /// Where they lie.
    pub bucket: Bucket,
    /// The worker's lease.
    pub lease: Lease,
    /// They, claimed.
    pub recipients: Vec<Recipient>,
    /// True when others of the bucket may go now as well.
    pub more: bool,
    epoch: u64,
}

/// A piece that may be submitted now, within the lease.
#[derive(Clone, PartialEq, Debug)]
pub struct Submission {
    /// The message.
    pub sent: Sent,
    /// The attempt at it.
    pub attempt: Attempt,
    /// Number of the intent of the shard that has to be announced before.
    pub intent: u64,
}

/// What a provider answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message.
    pub sent: Sent,
    /// The attempt at it.
    pub attempt: Attempt,
    /// How many pieces it has.
    pub piece_count: u32,
    /// What was said.
    pub outcome: Result<SendAccepted, SendError>,
}

/// Claims up to `most` recipients of a bucket whose step goes through an account. `lease` is fresh and random; called again with
/// it, what was claimed by it before is in the batch. `None` when the campaign does not run.
pub async fn claim(
    context: &Context<'_>,
    bucket: Bucket,
    account_id: &str,
    most: usize,
    lease: Lease,
) -> Result<Option<Batch>, Stop> {
    for _ in 0..MAX_TRIES {
        let Some(rows) = read(context, bucket).await?.filter(|rows| runs(&rows.control)) else {
            return Ok(None);
        };
        let Some((campaign, plan)) = plan_of(context, &rows.control).await? else {
            return Ok(None);
        };
        let chosen = choose(&rows, &plan, (account_id, most, lease), context.now());
        let batch = Batch {
            campaign,
            plan,
            bucket,
            lease,
            recipients: chosen.claimed,
            more: chosen.more,
            epoch: rows.control.epoch,
        };
        if chosen.changes.is_empty() {
            return Ok(Some(batch));
        }
        let (mut expect, write) = writes(context, bucket, &chosen.changes, Some(&batch.plan));
        expect.push(expect_record(keys::campaign::control(bucket.campaign), rows.stamp));
        if let Ended::Committed(_) = context.commit(bucket.shard, expect, write).await? {
            return Ok(Some(batch));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

#[derive(Default)]
struct Chosen {
    claimed: Vec<Recipient>,
    changes: Vec<Change>,
    more: bool,
}

fn choose(rows: &Rows, plan: &Plan, (account_id, most, lease): (&str, usize, Lease), now: Moment) -> Chosen {
    let mut chosen = Chosen::default();
    let of_account = |row: &RecipientRow| plan.step(row.step).is_some_and(|step| step.account_id == account_id);
    for recipient in rows.recipients.iter().filter(|recipient| of_account(&recipient.row)) {
        match ledger::claim(&recipient.row, plan, lease, now) {
            Claim::Taken(_) if chosen.claimed.len() >= most => chosen.more = true,
            Claim::Taken(row) => {
                if row != recipient.row {
                    chosen.changes.push(Change::of(recipient, row.clone()));
                }
                chosen.claimed.push(Recipient {
                    stored: row.encode_to_vec().into(),
                    row,
                    ..recipient.clone()
                });
            }
            Claim::Over(row) => chosen.changes.push(Change::of(recipient, row)),
            Claim::NotYet(_) | Claim::Held | Claim::Ended => {}
        }
    }
    chosen
}

/// Writes down what is decided about claimed recipients; what may be submitted stands as SUBMITTING then, under a number that
/// has to be announced before the provider is called. Where the campaign has stopped meanwhile, everybody is given back.
pub async fn submit(
    context: &Context<'_>,
    batch: &Batch,
    verdicts: &BTreeMap<Place, Verdict>,
) -> Result<Vec<Submission>, Stop> {
    let bucket = batch.bucket;
    let numbers: Vec<u16> = verdicts.keys().map(|place| place.row).collect();
    let mut recipients = batch.recipients.clone();
    for _ in 0..MAX_TRIES {
        let standing = control(context, bucket.shard, bucket.campaign).await?;
        let goes_on = standing
            .value
            .as_ref()
            .is_some_and(|control| runs(control) && control.epoch == batch.epoch);
        let incarnation = context.store.incarnation(bucket.shard).await?;
        let intents = intents(context, bucket).await?;
        let counts = intents.value.clone().unwrap_or_default();
        // Under another incarnation the store may have forgotten what was announced: whoever compares goes first.
        let sends = goes_on && counts.incarnation == incarnation;
        let mut submitted = mine(&recipients, batch, counts.number);
        let number = counts.number + 1;
        let mut changes = Vec::new();
        for recipient in &recipients {
            let verdict = match verdicts.get(&recipient.place) {
                Some(Verdict::Send) if !sends => Verdict::Release,
                Some(verdict) => *verdict,
                None => continue,
            };
            let Some(after) = decided(&recipient.row, batch, verdict, context.now()) else {
                continue;
            };
            if verdict == Verdict::Send {
                submitted.push(submission(recipient.place, &after, number));
            }
            changes.push(Change::of(recipient, after));
        }
        if changes.is_empty() {
            return Ok(submitted);
        }
        let (mut expect, mut write) = writes(context, bucket, &changes, Some(&batch.plan));
        if submitted.iter().any(|submission| submission.intent == number) {
            expect.push(expect_record(keys::campaign::control(bucket.campaign), standing.stamp));
            expect.push(expect_record(keys::campaign::intents(), intents.stamp));
            let next = IntentsRecord { number, incarnation };
            write.push(put(keys::campaign::intents(), &next));
        }
        if let Ended::Committed(_) = context.commit(bucket.shard, expect, write).await? {
            return Ok(submitted);
        }
        recipients = some(context, bucket, &numbers).await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn intents(context: &Context<'_>, bucket: Bucket) -> Result<Loaded<IntentsRecord>, StoreError> {
    context
        .record(bucket.shard, keys::campaign::intents(), "intents of a shard")
        .await
}

/// What of these stands as submitted by this worker already: its commit's answer was lost.
fn mine(recipients: &[Recipient], batch: &Batch, number: u64) -> Vec<Submission> {
    let is_mine =
        |row: &RecipientRow| ledger::state(row) == DeliveryState::Submitting && row.lease.as_ref() == batch.lease;
    let mine = recipients.iter().filter(|recipient| is_mine(&recipient.row));
    mine.map(|recipient| submission(recipient.place, &recipient.row, number))
        .collect()
}

fn submission(place: Place, row: &RecipientRow, intent: u64) -> Submission {
    Submission {
        sent: Sent {
            place,
            step: u8::try_from(row.step).unwrap_or(u8::MAX),
        },
        attempt: Attempt::of(row),
        intent,
    }
}

fn decided(row: &RecipientRow, batch: &Batch, verdict: Verdict, now: Moment) -> Option<RecipientRow> {
    let (plan, lease) = (&batch.plan, batch.lease);
    match verdict {
        Verdict::Send => ledger::submitting(row, lease, now),
        Verdict::Refuse(why) => ledger::refuse(row, plan, lease, why, now),
        Verdict::PutOff(until, why) => ledger::put_off(row, plan, lease, (until, why)),
        Verdict::Release => ledger::release(row, lease),
    }
}

/// Records answers to attempts in one bucket. Gives the recipients that they changed, as they stand now.
pub async fn record(
    context: &Context<'_>,
    bucket: Bucket,
    answers: &[Answer],
    random: u8,
) -> Result<Vec<(Place, RecipientRow)>, Stop> {
    let of_row: BTreeMap<u16, &Answer> = answers.iter().map(|answer| (answer.sent.place.row, answer)).collect();
    let numbers: Vec<u16> = of_row.keys().copied().collect();
    let standing = control(context, bucket.shard, bucket.campaign).await?.value;
    let Some((_, plan)) = plan_of(context, &standing.unwrap_or_default()).await? else {
        return Ok(Vec::new());
    };
    for _ in 0..MAX_TRIES {
        let mut changes = Vec::new();
        let mut recorded = Vec::new();
        for recipient in some(context, bucket, &numbers).await? {
            let Some(answer) = of_row.get(&recipient.place.row) else {
                continue;
            };
            let said = (answer.piece_count, &answer.outcome);
            let now = context.now();
            let after = ledger::answered(&recipient.row, &plan, answer.attempt, said, now, random);
            if let Some(after) = after.filter(|after| *after != recipient.row) {
                recorded.push((recipient.place, after.clone()));
                changes.push(Change::of(&recipient, after));
            }
        }
        if changes.is_empty() {
            return Ok(recorded);
        }
        let (expect, write) = writes(context, bucket, &changes, Some(&plan));
        if let Ended::Committed(_) = context.commit(bucket.shard, expect, write).await? {
            return Ok(recorded);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Applies a receipt to a message of a campaign, if it is one that went through this account. True when there is such a
/// message, whether or not the receipt was news.
pub async fn heard(
    context: &Context<'_>,
    (tenant_id, account_id): (&str, &str),
    (sent, piece): (Sent, u32),
    receipt: &Receipt,
) -> Result<bool, Stop> {
    let bucket = sent.place.bucket;
    let Some(standing) = control(context, bucket.shard, bucket.campaign).await?.value else {
        return Ok(false);
    };
    let Some((campaign, plan)) = plan_of(context, &standing).await? else {
        return Ok(false);
    };
    let step = u32::from(sent.step);
    let through = plan.step(step).is_some_and(|step| step.account_id == account_id);
    if !through || campaign.tenant_id != tenant_id {
        return Ok(false);
    }
    for _ in 0..MAX_TRIES {
        let found = some(context, bucket, &[sent.place.row]).await?.pop();
        let Some(recipient) = found else { return Ok(false) };
        let after = ledger::receipt(&recipient.row, &plan, (step, piece), receipt, context.now());
        let Some(after) = after else { return Ok(true) };
        let (expect, write) = writes(context, bucket, &[Change::of(&recipient, after)], Some(&plan));
        if let Ended::Committed(_) = context.commit(bucket.shard, expect, write).await? {
            return Ok(true);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

impl Batch {
    /// Recipients whom nobody has claimed, to be looked at only.
    pub(super) fn imagined(campaign: &Campaign, plan: &Plan, bucket: Bucket, recipients: &[Recipient]) -> Self {
        Self {
            campaign: campaign.clone(),
            plan: plan.clone(),
            bucket,
            lease: Lease::default(),
            recipients: recipients.to_vec(),
            more: false,
            epoch: 0,
        }
    }

    /// The recipients of whom nothing was said, to be given back.
    #[must_use]
    pub fn others(&self, verdicts: &BTreeMap<Place, Verdict>) -> BTreeMap<Place, Verdict> {
        let others = self.recipients.iter().map(|recipient| recipient.place);
        others
            .filter(|place| !verdicts.contains_key(place))
            .map(|place| (place, Verdict::Release))
            .collect()
    }
}
