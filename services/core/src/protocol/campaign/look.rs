//! What the scheduler does when the timer of a bucket fires: lets pass what time has passed for, stops what was cancelled, and
//! says through which accounts somebody waits to be written to.

use super::bucket::{Change, Rows, read, timer, timer_at, writes};
use super::control::runs;
use super::plan_of;
use crate::campaign::ledger::{self, Recovery, wakes_at};
use crate::campaign::life::has_ended;
use crate::campaign::place::Bucket;
use crate::campaign::plan::Plan;
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Write};
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop};
use crate::time::Moment;
use omnigate_proto::state::v1::{ControlRecord, RecipientRow};
use omnigate_proto::v1::{CampaignState, DeliveryState};
use std::collections::BTreeSet;

/// What was found in a bucket.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Looked {
    /// Accounts through which somebody may be written to now: hint the bucket in their queues.
    pub accounts: BTreeSet<String>,
    /// Recipients that have not ended.
    pub open: usize,
}

/// Looks at a bucket whose timer fired. `recovery` tells what an account's provider makes of a repeated send key.
pub async fn look(
    context: &Context<'_>,
    bucket: Bucket,
    due: Moment,
    recovery: impl Fn(&str) -> Recovery,
) -> Result<Looked, Stop> {
    for _ in 0..MAX_TRIES {
        let fired = Timer::Bucket(bucket.campaign, bucket.number);
        let Some(rows) = read(context, bucket).await? else {
            context.drop_timer(bucket.shard, due, fired).await?;
            return Ok(Looked::default());
        };
        let Some((_, plan)) = plan_of(context, &rows.control).await? else {
            context.drop_timer(bucket.shard, due, fired).await?;
            return Ok(Looked::default());
        };
        let now = context.now();
        let (changes, looked, wakes) = found(&rows, &plan, &recovery, now);
        let (mut expect, mut write) = writes(context, bucket, &changes, Some(&plan));
        let (key, member) = (keys::timers(), keys::timer_member(due, fired));
        expect.push(Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: true,
        });
        write.push(Write::Remove { key, member });
        write.extend(wakes.map(|at| timer(bucket, timer_at(at, now))));
        match context.commit(bucket.shard, expect, write).await? {
            Ended::Committed(_) => return Ok(looked),
            // Somebody else looked: what is to be hinted they hint, too.
            Ended::Conflict(conflicts) if conflicts.iter().any(|(position, _)| *position == changes.len()) => {
                return Ok(Looked {
                    open: looked.open,
                    ..Looked::default()
                });
            }
            Ended::Conflict(_) | Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// What has become of the rows of a bucket, and when it has to be looked at next.
fn found(
    rows: &Rows,
    plan: &Plan,
    recovery: &impl Fn(&str) -> Recovery,
    now: Moment,
) -> (Vec<Change>, Looked, Option<Moment>) {
    let mut changes = Vec::new();
    let mut looked = Looked::default();
    let mut wakes: Option<Moment> = None;
    for recipient in &rows.recipients {
        let after = passed(&recipient.row, plan, &rows.control, recovery, now);
        let row = after.as_ref().unwrap_or(&recipient.row);
        if !row.settled {
            looked.open += 1;
        }
        if let Some(at) = wakes_at(row, plan).filter(|_| wakes_by_itself(row, &rows.control)) {
            wakes = Some(wakes.map_or(at, |before| before.min(at)));
        }
        if runs(&rows.control) && is_due(row, now) {
            looked
                .accounts
                .extend(plan.step(row.step).map(|step| step.account_id.clone()));
        }
        changes.extend(after.map(|after| Change::of(recipient, after)));
    }
    (changes, looked, wakes)
}

/// What time, or a cancellation, has made of a recipient.
fn passed(
    row: &RecipientRow,
    plan: &Plan,
    control: &ControlRecord,
    recovery: &impl Fn(&str) -> Recovery,
    now: Moment,
) -> Option<RecipientRow> {
    let of_account = plan
        .step(row.step)
        .map_or(Recovery::InTheDark, |step| recovery(&step.account_id));
    let lapsed = ledger::lapse(row, plan, of_account, now);
    let stops = matches!(control.state(), CampaignState::Cancelling) || has_ended(control.state());
    let cancelled = stops.then(|| ledger::cancel(lapsed.as_ref().unwrap_or(row))).flatten();
    cancelled.or(lapsed)
}

/// True when a row may be claimed now.
fn is_due(row: &RecipientRow, now: Moment) -> bool {
    let waits = matches!(ledger::state(row), DeliveryState::Planned | DeliveryState::Deferred);
    waits && !row.settled && Moment(row.until_ms) <= now
}

/// True when somebody has to look again although nothing is sent: while a campaign is paused or planned nobody waits for their
/// turn, and its going on wakes every bucket.
fn wakes_by_itself(row: &RecipientRow, control: &ControlRecord) -> bool {
    let waits = matches!(ledger::state(row), DeliveryState::Planned | DeliveryState::Deferred);
    !waits || runs(control)
}
