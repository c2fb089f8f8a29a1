//! Conversations, changed by people and bots of the company.

use crate::messages::MAX_REQUEST_ID;
use crate::{Api, problems};
use omnigate_core::conversation::{Command, MAX_TAGS, is_tag};
use omnigate_core::id::{ConversationId, ThreadId, hash};
use omnigate_core::protocol::conversation::{self, Asked, Done, NotDone};
use omnigate_core::protocol::identity;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Assignee, Conversation, ConversationStatus, CreateConversationRequest, SetConversationStatusRequest,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::trace;
use prost::Message as _;
use std::time::Duration;

/// Longest id of an assignee, in characters.
const MAX_ID: usize = 128;
/// Longest name of an assignee, in characters.
const MAX_NAME: usize = 256;
/// Farthest end of a snooze.
const MAX_SNOOZE: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a thread does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Join,
    Leave,
}

/// Refuses an assignee who cannot be named.
pub(super) fn check_assignee(assignee: &Assignee) -> Result<(), Problem> {
    if !(1..=MAX_ID).contains(&assignee.id.chars().count()) {
        return Err(Problem::invalid("assignee.id", "must have 1 to 128 characters"));
    }
    if assignee.display_name.chars().count() > MAX_NAME {
        return Err(Problem::invalid(
            "assignee.display_name",
            "must have at most 256 characters",
        ));
    }
    Ok(())
}

/// Refuses what is no tag.
pub(super) fn check_tags(field: &str, tags: &[String]) -> Result<(), Problem> {
    if tags.len() > MAX_TAGS {
        return Err(Problem::invalid(field, format!("has more than {MAX_TAGS} tags")));
    }
    if tags.iter().all(|tag| is_tag(tag)) {
        return Ok(());
    }
    let what = "each must have 1 to 64 characters, none of them control characters, and no space at either end";
    Err(Problem::invalid(field, what))
}

/// Until when a conversation is put aside.
pub(super) fn until(request: &SetConversationStatusRequest, now: Moment) -> Result<Moment, Problem> {
    let until = request.snoozed_until.as_ref().map(Moment::from_timestamp);
    match (request.status(), until) {
        (ConversationStatus::Unspecified, _) => Err(Problem::invalid("status", "must be set")),
        (ConversationStatus::Snoozed, Some(until)) if until > now && until <= now + MAX_SNOOZE => Ok(until),
        (ConversationStatus::Snoozed, _) => {
            let what = "must be set with SNOOZED, lie ahead, and within a year";
            Err(Problem::invalid("snoozed_until", what))
        }
        (_, Some(_)) => Err(Problem::invalid("snoozed_until", "is only for SNOOZED")),
        (_, None) => Ok(Moment(0)),
    }
}

impl Api {
    /// A thread of the tenant with its account and channel.
    pub(super) fn thread(&self, tenant_id: &str, id: &str) -> Result<(ThreadId, &str, &str), Problem> {
        let id: ThreadId = problems::id("thread_id", id)?;
        let account = self.account_of(tenant_id, id);
        let account = account.ok_or_else(|| problems::conversation(&NotDone::NoSuchThread))?;
        Ok((id, &account.id, &account.channel))
    }

    /// True when the same was asked for, and done, before.
    pub(super) async fn was_asked(
        &self,
        tenant_id: &str,
        (request_id, method, body): &(String, &str, Vec<u8>),
    ) -> Result<bool, Problem> {
        let known = identity::known(&self.context(), tenant_id, request_id, hash(method, &[body])).await;
        let known = known.map_err(|refused| problems::not_done(&refused))?;
        Ok(known.is_some_and(|known| known.done))
    }

    /// Carries out what is asked for under a request id; `body` is the request without it.
    pub(super) async fn change_conversation(
        &self,
        tenant_id: &str,
        conversation_id: &str,
        (request_id, method, body): (String, &str, Vec<u8>),
        command: Command,
    ) -> Result<Conversation, Problem> {
        let id: ConversationId = problems::id("conversation_id", conversation_id)?;
        check_request_id(&request_id)?;
        let trace_id = trace::next(trace::current()).trace_id();
        let asked = Asked {
            tenant_id,
            request_id: &request_id,
            body_hash: hash(method, &[&body]),
            trace_id: &trace_id,
        };
        let done = conversation::carry_out(&self.context(), &asked, id, &command).await;
        self.tell_of(done).await
    }

    /// Lets a thread join a conversation, or leave it.
    pub(super) async fn move_thread(
        &self,
        tenant_id: &str,
        (conversation_id, thread_id): (&str, &str),
        (request_id, method, body): (String, &str, Vec<u8>),
        way: Way,
    ) -> Result<Conversation, Problem> {
        let id: ConversationId = problems::id("conversation_id", conversation_id)?;
        check_request_id(&request_id)?;
        let thread = self.thread(tenant_id, thread_id)?;
        let trace_id = trace::next(trace::current()).trace_id();
        let asked = Asked {
            tenant_id,
            request_id: &request_id,
            body_hash: hash(method, &[&body]),
            trace_id: &trace_id,
        };
        let context = self.context();
        let done = match way {
            Way::Join => conversation::join(&context, &asked, id, thread).await,
            Way::Leave => conversation::leave(&context, &asked, id, thread).await,
        };
        self.tell_of(done).await
    }

    pub(super) async fn create_conversation_of(
        &self,
        tenant_id: &str,
        mut request: CreateConversationRequest,
    ) -> Result<Conversation, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        check_request_id(&request_id)?;
        check_tags("tags", &request.tags)?;
        if let Some(assignee) = &request.assignee {
            check_assignee(assignee)?;
        }
        let thread = self.thread(tenant_id, &request.thread_id)?;
        let trace_id = trace::next(trace::current()).trace_id();
        let asked = Asked {
            tenant_id,
            request_id: &request_id,
            body_hash: hash("create conversation", &[&request.encode_to_vec()]),
            trace_id: &trace_id,
        };
        let priority = request.priority();
        let written = (request.assignee, priority, request.tags);
        let done = conversation::create(&self.context(), &asked, thread, written).await;
        self.tell_of(done).await
    }

    async fn tell_of(&self, done: Result<Done, NotDone>) -> Result<Conversation, Problem> {
        let done = done.map_err(|refused| problems::conversation(&refused))?;
        self.announcer.tell(done.outgoing, None).await;
        Ok(done.conversation)
    }
}

fn check_request_id(request_id: &str) -> Result<(), Problem> {
    if request_id.is_empty() || request_id.chars().count() > MAX_REQUEST_ID {
        return Err(Problem::invalid("request_id", "must have 1 to 128 characters"));
    }
    Ok(())
}
