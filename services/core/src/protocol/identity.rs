//! Who is one customer: finding, merging, taking apart and erasing, in steps of which each is one commit in one shard.
//!
//! Every step may be repeated and may be the last one of its process: whoever meets a frozen record for long has the
//! verdict given, and settles it.

mod apart;
mod command;
mod erase;
mod events;
mod find;
mod link;
mod merge;
pub mod reassign;
mod record;
pub mod repair;
mod split;

pub use apart::{Conflict, conflicts, conflicts_of, keep_apart};
pub use command::{NotDone, known, mark_answered, mark_done, remember};
pub use erase::{erase, go_on};
pub use events::{Chained, events};
pub use find::{Person, find, present};
pub use link::link;
pub(super) use merge::wait;
pub use merge::{Merged, attempt, check, merge, recover};
pub use record::load;
pub use split::{Command, Outcome, split};

/// How often a frozen record is looked at before its transaction is ended by who waits: a merge is three calls of the store.
const PATIENCE: u32 = 5;
