//! What happens to one conversation. Every function gives the words by which others are told; none when nothing changed.

use super::{MAX_HOLDERS, MAX_PAST, holder};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ConversationRecord, CycleRecord, HolderRecord};
use omnigate_proto::v1::{Assignee, ConversationStatus};

/// Words of `ConversationChanged.changed`.
pub(super) type What = Vec<&'static str>;

/// Milliseconds between two moments; nought where the later one lies before the earlier one.
fn between(earlier_ms: i64, later: Moment) -> i64 {
    later.0.saturating_sub(earlier_ms).max(0)
}

fn cycle(record: &mut ConversationRecord) -> &mut CycleRecord {
    record.cycle.get_or_insert_default()
}

/// A first cycle.
pub(super) fn begun(number: u32, at: Moment, started_by_us: bool) -> CycleRecord {
    CycleRecord {
        number,
        opened_ms: at.0,
        started_by_us,
        ..CycleRecord::default()
    }
}

/// The customer said something.
pub(super) fn heard(record: &mut ConversationRecord, at: Moment, now: Moment) -> What {
    let mut what = What::new();
    if record.status() == ConversationStatus::Snoozed {
        what.extend(wake(record, now));
    }
    record.active_ms = record.active_ms.max(at.0);
    let cycle = cycle(record);
    if cycle.first_inbound_ms == 0 || cycle.first_response_ms == 0 {
        let first = [cycle.first_inbound_ms, at.0].into_iter().filter(|at| *at != 0).min();
        cycle.first_inbound_ms = first.unwrap_or(at.0);
    }
    if cycle.waiting_since_ms == 0 {
        cycle.waiting_since_ms = at.0;
        what.push("waiting");
    }
    // Words of several threads take effect in any order.
    cycle.waiting_since_ms = cycle.waiting_since_ms.min(at.0);
    what
}

/// A human of ours answered.
pub(super) fn answered(record: &mut ConversationRecord, at: Moment) -> What {
    record.active_ms = record.active_ms.max(at.0);
    let cycle = cycle(record);
    if cycle.waiting_since_ms == 0 {
        return What::new();
    }
    if !cycle.started_by_us && cycle.first_response_ms == 0 {
        cycle.first_response_ms = at.0.max(cycle.first_inbound_ms);
    }
    let waited = between(std::mem::take(&mut cycle.waiting_since_ms), at);
    cycle.replies += 1;
    cycle.last_reply_ms = waited;
    cycle.total_reply_ms += waited;
    vec!["replied"]
}

/// Back from being put aside.
pub(super) fn wake(record: &mut ConversationRecord, now: Moment) -> What {
    end_snooze(record, now);
    record.set_status(ConversationStatus::Open);
    vec!["woken"]
}

fn end_snooze(record: &mut ConversationRecord, now: Moment) {
    if record.status() == ConversationStatus::Snoozed {
        // A timer that fires late makes no snooze longer than was asked for.
        let end = Moment(now.0.min(record.snoozed_until_ms));
        let slept = between(record.snoozed_since_ms, end);
        cycle(record).snoozed_ms += slept;
    }
    (record.snoozed_since_ms, record.snoozed_until_ms) = (0, 0);
}

/// The present cycle ends. Who waited still does not wait any more: somebody decided that there is nothing to answer.
fn end_cycle(record: &mut ConversationRecord, now: Moment) {
    end_snooze(record, now);
    let cycle = cycle(record);
    cycle.waiting_since_ms = 0;
    cycle.resolved_ms = now.0;
    let took = between(cycle.opened_ms, now);
    record.resolution_ms += took;
    if record.first_resolution_ms == 0 {
        record.first_resolution_ms = took.max(1);
    }
}

/// A new cycle begins.
pub(super) fn reopen(record: &mut ConversationRecord, at: Moment, by_us: bool) -> What {
    let number = cycle(record).number + 1;
    let past = record.cycle.replace(begun(number, at, by_us));
    record.past.extend(past);
    let surplus = record.past.len().saturating_sub(MAX_PAST);
    record.past.drain(..surplus);
    record.active_ms = record.active_ms.max(at.0);
    record.set_status(ConversationStatus::Open);
    vec!["reopened"]
}

/// Done.
pub(super) fn resolve(record: &mut ConversationRecord, now: Moment) -> What {
    end_cycle(record, now);
    record.set_status(ConversationStatus::Resolved);
    vec!["resolved"]
}

/// Done for good.
pub(super) fn close(record: &mut ConversationRecord, now: Moment) -> What {
    if record.status() != ConversationStatus::Resolved {
        end_cycle(record, now);
    }
    record.set_status(ConversationStatus::Closed);
    record.closed_ms = now.0;
    record.timer_ms = 0;
    vec!["closed"]
}

/// Put aside until a moment, or for longer or shorter than before.
pub(super) fn snooze(record: &mut ConversationRecord, until: Moment, now: Moment) -> What {
    if record.status() != ConversationStatus::Snoozed {
        cycle(record).snoozes += 1;
        record.snoozed_since_ms = now.0;
    }
    record.set_status(ConversationStatus::Snoozed);
    record.snoozed_until_ms = until.0;
    vec!["snoozed"]
}

/// Given to a bot, or back to people.
pub(super) fn hand_over(record: &mut ConversationRecord, status: ConversationStatus, now: Moment) -> What {
    let was_snoozed = record.status() == ConversationStatus::Snoozed;
    end_snooze(record, now);
    record.active_ms = record.active_ms.max(now.0);
    record.set_status(status);
    match status {
        ConversationStatus::Pending => vec!["pending"],
        _ if was_snoozed => vec!["woken"],
        _ => vec!["opened"],
    }
}

/// Given to somebody, or to nobody.
pub(super) fn assign(record: &mut ConversationRecord, assignee: Option<&Assignee>, now: Moment) -> What {
    let present = holder(record).map(|holder| holder.id.as_str());
    if present == assignee.map(|assignee| assignee.id.as_str()) {
        return What::new();
    }
    if let Some(former) = record.holders.last_mut().filter(|holder| holder.to_ms == 0) {
        former.to_ms = now.0.max(former.from_ms + 1);
    }
    record.holders.extend(assignee.map(|assignee| HolderRecord {
        id: assignee.id.clone(),
        display_name: assignee.display_name.clone(),
        from_ms: now.0,
        to_ms: 0,
    }));
    let surplus = record.holders.len().saturating_sub(MAX_HOLDERS);
    record.holders.drain(..surplus);
    vec!["assignee"]
}

/// It goes on in another one.
pub(super) fn join(record: &mut ConversationRecord, into: Bytes, now: Moment) -> What {
    record.joined = into;
    close(record, now)
}
