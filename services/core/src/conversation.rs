//! Conversations: what has to be done for a customer, from opening to closing.
//!
//! A conversation lives in the record of the home where it began, and so is opened, reopened and answered in the same commit
//! as the message that does it: once, like the message. Closed ones move to an index of the home.
//!
//! Times are wall clock. Business hours have their place here once departments have calendars: a second set of durations
//! beside those of a cycle, counted by the same functions.

mod afar;
mod command;
mod desk;
mod life;
mod rules;
mod show;
mod word;

pub use afar::{Carried, away, carried, has_words, seen};
pub use command::{Command, Mark, Opening, Refusal, is_tag};
pub use desk::{Changes, Desk};
pub use rules::{AccountRules, DEFAULT_RULES, Reopen, Rules};
pub use show::{etag, show};
pub use word::{Word, answer, of_event};

use crate::id::ConversationKey;
use omnigate_proto::state::v1::{ConversationOutline, ConversationRecord, HolderRecord};
use omnigate_proto::v1::ConversationStatus;

/// Most conversations of a home that are not closed.
pub const MAX_PRESENT: usize = 16;
/// Most threads of a conversation.
pub const MAX_THREADS: usize = 16;
/// Most tags of a conversation.
pub const MAX_TAGS: usize = 32;
/// Holders that are remembered.
const MAX_HOLDERS: usize = 32;
/// Cycles that are remembered beside the present one.
const MAX_PAST: usize = 8;
/// Commands that are remembered in the conversation itself, for those that come again after a crash.
const MAX_COMMANDS: usize = 8;

/// The key of a record.
#[must_use]
pub fn key_of(record: &ConversationRecord) -> Option<ConversationKey> {
    ConversationKey::from_bytes(&record.key)
}

/// Who has it now.
#[must_use]
pub fn holder(record: &ConversationRecord) -> Option<&HolderRecord> {
    record.holders.last().filter(|holder| holder.to_ms == 0)
}

/// What lists are narrowed by; `None` for what they do not have.
#[must_use]
pub fn outline(record: &ConversationRecord) -> Option<ConversationOutline> {
    (record.status() != ConversationStatus::Closed).then(|| ConversationOutline {
        status: record.status,
        assignee_id: holder(record).map(|holder| holder.id.clone()).unwrap_or_default(),
        tags: record.tags.clone(),
    })
}

/// True while it is neither resolved nor closed.
#[must_use]
pub fn is_open(record: &ConversationRecord) -> bool {
    !matches!(
        record.status(),
        ConversationStatus::Resolved | ConversationStatus::Closed
    )
}
