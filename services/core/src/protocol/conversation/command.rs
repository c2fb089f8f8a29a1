//! Commands of people and bots of the company on conversations: each takes effect once.
//!
//! The request id is remembered first, in its own shard. The command takes effect in the home's commit, where the
//! conversation remembers it, too: whoever repeats it after a crash finds that. At last the request is marked as done, so
//! that it changes nothing however much later it comes again.

use super::carry::{Read, write};
use super::{Found, find, shown};
use crate::conversation::{Command, Desk, Mark, Opening, Refusal};
use crate::id::{ConversationId, ConversationKey, ThreadId, hash};
use crate::port::store::StoreError;
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::identity::{self, NotDone as NotRemembered};
use crate::protocol::outbox::Outgoing;
use omnigate_proto::state::v1::CommandRecord;
use omnigate_proto::v1::{Assignee, Conversation, ConversationPriority};

/// Who asks for what, apart from what it is.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Chosen by the caller.
    pub request_id: &'a str,
    /// Hash of everything else.
    pub body_hash: [u8; 32],
    /// Trace of the call.
    pub trace_id: &'a str,
}

/// What came of a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Done {
    /// The conversation as it stands.
    pub conversation: Conversation,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The request id was used for something else.
    #[error("request id was used with another body")]
    RequestIdReused,
    /// There is no such conversation.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// There is no such thread.
    #[error("there is no such thread")]
    NoSuchThread,
    /// It is closed.
    #[error("the conversation is closed")]
    Closed,
    /// Its state forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<NotRemembered> for NotDone {
    fn from(error: NotRemembered) -> Self {
        match error {
            NotRemembered::Stop(stop) => Self::Stop(stop),
            _ => Self::RequestIdReused,
        }
    }
}

impl Asked<'_> {
    pub(super) fn mark(&self) -> Mark {
        let mut mark = Mark::default();
        let parts = [self.tenant_id.as_bytes(), self.request_id.as_bytes()];
        mark.copy_from_slice(&hash("conversation command", &parts)[..8]);
        mark
    }

    /// The command as it was first asked for.
    pub(super) async fn remember(&self, context: &Context<'_>, id: ConversationId) -> Result<CommandRecord, NotDone> {
        let record = CommandRecord {
            body_hash: bytes::Bytes::copy_from_slice(&self.body_hash),
            conversation: id.to_bytes(),
            at_ms: context.now().0,
            ..CommandRecord::default()
        };
        Ok(identity::remember(context, self.tenant_id, self.request_id, record).await?)
    }
}

/// Carries a command out on a conversation.
pub async fn carry_out(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: ConversationId,
    command: &Command,
) -> Result<Done, NotDone> {
    let found = find(context, asked.tenant_id, id).await?;
    if found.and_then(|found| found.record(id).map(drop)).is_none() {
        return Err(NotDone::NoSuchConversation);
    }
    let stands = asked.remember(context, id).await?;
    let mut outgoing = Vec::new();
    if !stands.done {
        let mark = asked.mark();
        let decide = |desk: &mut Desk<'_>| desk.carry_out(id.key(), mark, command);
        change(context, asked, id, decide, &mut outgoing).await?;
        identity::mark_done(context, asked.tenant_id, asked.request_id).await?;
    }
    finished(context, asked, id, outgoing).await
}

/// Opens a conversation in a thread of this account.
pub async fn create(
    context: &Context<'_>,
    asked: &Asked<'_>,
    (thread, account_id, channel): (ThreadId, &str, &str),
    (assignee, priority, tags): (Option<Assignee>, ConversationPriority, Vec<String>),
) -> Result<Done, NotDone> {
    let place = super::join::place(context, asked.tenant_id, (thread, account_id, channel)).await?;
    let key = ConversationKey::new(context.now(), thread, &asked.mark());
    let stands = asked
        .remember(context, ConversationId::new(place.owner.home, key))
        .await?;
    let id = ConversationId::from_bytes(&stands.conversation).ok_or(NotDone::RequestIdReused)?;
    let mut outgoing = Vec::new();
    if !stands.done {
        let mark = asked.mark();
        let opening = Opening {
            key: id.key(),
            thread,
            assignee,
            priority,
            tags,
        };
        let decide = |desk: &mut Desk<'_>| match desk.find(opening.key) {
            Some(_) => Ok(false),
            None => desk.open_by_us(&opening, mark).map(|()| true),
        };
        change(context, asked, id, decide, &mut outgoing).await?;
        identity::mark_done(context, asked.tenant_id, asked.request_id).await?;
    }
    finished(context, asked, id, outgoing).await
}

pub(super) async fn finished(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: ConversationId,
    outgoing: Vec<Outgoing>,
) -> Result<Done, NotDone> {
    let found = find(context, asked.tenant_id, id).await?;
    let found = found.ok_or(NotDone::NoSuchConversation)?;
    let record = found.record(id).ok_or(NotDone::NoSuchConversation)?;
    let conversation = shown(context, &found.home, id.home(), record).await?;
    Ok(Done { conversation, outgoing })
}

/// Decides over the home of a conversation and writes what follows. One that was closed by the same command before is left.
pub(super) async fn change(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: ConversationId,
    mut decide: impl FnMut(&mut Desk<'_>) -> Result<bool, Refusal>,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), NotDone> {
    for _ in 0..MAX_TRIES {
        let found = find(context, asked.tenant_id, id).await?;
        let Found { home, stamp, closed } = found.ok_or(NotDone::NoSuchConversation)?;
        if let Some(closed) = closed {
            let by_this = closed.commands.iter().any(|done| done.as_ref() == asked.mark());
            return if by_this { Ok(()) } else { Err(NotDone::Closed) };
        }
        let id = id.home();
        let mut refused = None;
        let decided = |desk: &mut Desk<'_>| match decide(desk) {
            Ok(_) => true,
            Err(refusal) => {
                refused = Some(refusal);
                false
            }
        };
        let written = write(context, Read { id, home, stamp }, asked.trace_id, decided, outgoing).await?;
        if let Some(refusal) = refused {
            return Err(refusal.into());
        }
        if written {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}
