//! Sends back to a peer that their wish was heard, once.

use super::context::Context;
use super::destination::Target;
use super::send::{self, Accepted, NotAccepted, Request};
use crate::append::Confirmation;
use crate::id::{ThreadId, hash};
use omnigate_proto::v1::{Lane, Message, Part, Purpose, Text, UnknownPolicy, Writer, WriterKind, part::Content};
use std::time::Duration;

/// A confirmation that comes later than this after its event confuses more than it tells; it also bounds how long its
/// request has to be remembered, so that the confirmation of a repeated event is never sent twice.
const TIMELY: Duration = Duration::from_secs(12 * 3600);
/// How long it may wait to leave.
const LIFE: Duration = Duration::from_secs(3600);

/// A confirmation and where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Tenant.
    pub tenant_id: String,
    /// Thread.
    pub thread: ThreadId,
    /// Its account.
    pub account_id: String,
    /// Kind of its channel.
    pub channel: String,
    /// Trace of the event.
    pub trace_id: String,
    /// What is sent.
    pub confirmation: Confirmation,
}

/// Accepts a confirmation for sending; `None` when it is too late for it. Accepting it again changes nothing.
pub async fn accept(context: &Context<'_>, due: &Due) -> Result<Option<Accepted>, NotAccepted> {
    let now = context.now();
    if now.since(due.confirmation.received_at) > TIMELY {
        return Ok(None);
    }
    let message = Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: due.confirmation.text.clone(),
                ..Text::default()
            })),
        }],
        is_automatic: true,
        purpose: Purpose::Service.into(),
        writer: Some(Writer {
            kind: WriterKind::System.into(),
            ..Writer::default()
        }),
        ..Message::default()
    };
    let request = Request {
        tenant_id: due.tenant_id.clone(),
        request_id: format!("confirm/{}", due.confirmation.event),
        body_hash: hash("confirmation", &[&due.confirmation.event.0]),
        target: Target::Thread {
            id: due.thread,
            account_id: due.account_id.clone(),
            channel: due.channel.clone(),
        },
        message,
        send_at: now,
        expire_at: now + LIFE,
        lane: Lane::Transactional,
        on_unknown: UnknownPolicy::Report,
        traceparent: String::new(),
        trace_id: due.trace_id.clone(),
    };
    send::accept(context, &request).await.map(Some)
}
