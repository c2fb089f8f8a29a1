//! Conversations as readers see them.

use super::holder;
use crate::id::{ConversationId, ConversationKey, CustomerId, ThreadId, hash};
use crate::time::Moment;
use data_encoding::HEXLOWER;
use omnigate_proto::state::v1::{ConversationRecord, CycleRecord, HolderRecord};
use omnigate_proto::v1::{Assignee, Conversation, ConversationCycle, ConversationHolder, ConversationStatus};
use pbjson_types::{Duration, Timestamp};
use prost::Message as _;

/// A conversation of a home, which belongs to this customer now.
#[must_use]
pub fn show(tenant_id: &str, home: CustomerId, customer: CustomerId, record: &ConversationRecord) -> Conversation {
    let id = |key: &[u8]| ConversationKey::from_bytes(key).map(|key| ConversationId::new(home, key).to_string());
    let threads = record.threads.iter().filter_map(|thread| ThreadId::from_bytes(thread));
    let opened = ConversationKey::from_bytes(&record.key).map(|key| key.opened().to_timestamp());
    let joined = ConversationId::from_bytes(&record.joined);
    let is_resolved = record.first_resolution_ms != 0;
    Conversation {
        conversation_id: id(&record.key).unwrap_or_default(),
        tenant_id: tenant_id.to_owned(),
        customer_id: customer.to_string(),
        account_id: record.account_id.clone(),
        thread_ids: threads.map(|thread| thread.to_string()).collect(),
        status: record.status,
        priority: record.priority,
        tags: record.tags.clone(),
        assignee: holder(record).map(assignee),
        holders: record.holders.iter().map(had).collect(),
        opened_at: opened,
        snoozed_until: moment(record.snoozed_until_ms).filter(|_| record.status() == ConversationStatus::Snoozed),
        closed_at: moment(record.closed_ms),
        cycle: record.cycle.as_ref().map(cycle),
        past_cycles: record.past.iter().map(cycle).collect(),
        first_resolution_time: is_resolved.then(|| duration(record.first_resolution_ms)),
        resolution_time: is_resolved.then(|| duration(record.resolution_ms)),
        etag: etag(record),
        joined_conversation_id: joined.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// Changes with everything that readers see.
#[must_use]
pub fn etag(record: &ConversationRecord) -> String {
    let seen = ConversationRecord {
        active_ms: 0,
        timer_ms: 0,
        commands: Vec::new(),
        ..record.clone()
    };
    HEXLOWER.encode(&hash("conversation etag", &[&seen.encode_to_vec()])[..8])
}

fn moment(ms: i64) -> Option<Timestamp> {
    (ms != 0).then(|| Moment(ms).to_timestamp())
}

fn duration(ms: i64) -> Duration {
    Duration {
        seconds: ms / 1000,
        nanos: i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
    }
}

fn assignee(holder: &HolderRecord) -> Assignee {
    Assignee {
        id: holder.id.clone(),
        display_name: holder.display_name.clone(),
    }
}

fn had(holder: &HolderRecord) -> ConversationHolder {
    ConversationHolder {
        assignee: Some(assignee(holder)),
        from: moment(holder.from_ms),
        to: moment(holder.to_ms),
    }
}

fn cycle(record: &CycleRecord) -> ConversationCycle {
    let responded = record.first_response_ms - record.first_inbound_ms;
    ConversationCycle {
        number: record.number,
        opened_at: moment(record.opened_ms),
        started_by_us: record.started_by_us,
        first_inbound_at: moment(record.first_inbound_ms),
        waiting_since: moment(record.waiting_since_ms),
        first_response_at: moment(record.first_response_ms),
        first_response_time: (record.first_response_ms != 0).then(|| duration(responded.max(0))),
        replies: record.replies,
        last_reply_time: (record.replies != 0).then(|| duration(record.last_reply_ms)),
        total_reply_time: (record.replies != 0).then(|| duration(record.total_reply_ms)),
        snoozes: record.snoozes,
        snoozed_time: (record.snoozed_ms != 0).then(|| duration(record.snoozed_ms)),
        resolved_at: moment(record.resolved_ms),
        resolution_time: (record.resolved_ms != 0).then(|| duration((record.resolved_ms - record.opened_ms).max(0))),
    }
}
