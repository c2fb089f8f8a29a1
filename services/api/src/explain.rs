//! MessageService.ExplainMessage: the whole story of a message.

use crate::{Api, problems};
use omnigate_core::id::{EntryId, MessageId};
use omnigate_core::protocol::{delivery, entries};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, EntryRecord};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{Entry, ExplainMessageResponse, StoryStep};
use omnigate_rpc::error::Problem;

impl Api {
    /// The story of an outbound message or of a timeline entry.
    pub(crate) async fn story(&self, tenant_id: &str, id: &str) -> Result<ExplainMessageResponse, Problem> {
        let missing = || Problem::not_found("MESSAGE_NOT_FOUND", "there is no such message");
        if let Ok(message) = id.parse::<MessageId>() {
            let record = self.delivery(tenant_id, message).await?;
            return Ok(of_delivery(id, &record));
        }
        let entry_id: EntryId = id
            .parse()
            .map_err(|_| Problem::invalid("message_id", "must be a message id (msg_…) or an entry id (ent_…)"))?;
        let found = entries::entry(&self.context(), tenant_id, entry_id).await;
        let (entry, record) = found.map_err(|error| problems::store(&error))?.ok_or_else(missing)?;
        match entries::delivery_of(&record) {
            Some(message) => Ok(of_delivery(id, &self.delivery(tenant_id, message).await?)),
            None => Ok(of_entry(id, &entry, &record)),
        }
    }

    /// A delivery of the tenant.
    pub(crate) async fn delivery(&self, tenant_id: &str, id: MessageId) -> Result<DeliveryRecord, Problem> {
        let found = delivery::get(&self.context(), id)
            .await
            .map_err(|stop| problems::stop(&stop))?;
        let ours = found.filter(|record| {
            record
                .delivery
                .as_ref()
                .is_some_and(|found| found.tenant_id == tenant_id)
        });
        ours.ok_or_else(|| Problem::not_found("MESSAGE_NOT_FOUND", "there is no such message"))
    }
}

fn of_delivery(id: &str, record: &DeliveryRecord) -> ExplainMessageResponse {
    let steps = record.history.iter().map(|step| StoryStep {
        at: Some(Moment(step.at_ms).to_timestamp()),
        role: step.role.clone(),
        what: step.what.clone(),
        detail: step.detail.clone(),
    });
    ExplainMessageResponse {
        message_id: id.to_owned(),
        trace_id: record
            .delivery
            .as_ref()
            .map(|delivery| delivery.trace_id.clone())
            .unwrap_or_default(),
        steps: steps.collect(),
    }
}

fn of_entry(id: &str, entry: &Entry, record: &EntryRecord) -> ExplainMessageResponse {
    let event = entry.event.clone().unwrap_or_default();
    let mut steps = Vec::new();
    let mut step = |at_ms: i64, role: &str, what: &str, detail: String| {
        steps.push(StoryStep {
            at: Some(Moment(at_ms).to_timestamp()),
            role: role.to_owned(),
            what: what.to_owned(),
            detail,
        });
    };
    if let Some(occurred) = &event.occurred_at {
        let detail = format!("on {} through account {}", event.channel, event.account_id);
        step(Moment::from_timestamp(occurred).0, "provider", "occurred", detail);
    }
    if let Some(received) = &event.received_at {
        step(
            Moment::from_timestamp(received).0,
            "edge",
            "received",
            format!("event {}", event.event_id),
        );
    }
    step(
        record.received_at_ms,
        "ingest",
        "accepted",
        "confirmed by the broker".to_owned(),
    );
    let late = if record.arrived_late {
        ", shown before earlier entries"
    } else {
        ""
    };
    let gap = if record.follows_gap {
        ", after a parked event"
    } else {
        ""
    };
    let partial = match &event.kind {
        Some(Kind::Message(message)) if message.is_partial => ", put together without all its pieces",
        _ => "",
    };
    let detail = format!("entry {} of its thread{late}{gap}{partial}", record.thread_seq);
    step(record.applied_at_ms, "unify", "resolved", detail);
    if record.revision > 0 {
        step(
            record.edited_at_ms,
            "unify",
            "edited",
            format!("revision {}", record.revision),
        );
    }
    steps.sort_by_key(|step| step.at.as_ref().map(|at| (at.seconds, at.nanos)));
    ExplainMessageResponse {
        message_id: id.to_owned(),
        trace_id: event.trace_id,
        steps,
    }
}
