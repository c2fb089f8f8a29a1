//! Role dispatch: sends messages.
//!
//! A hint says that a message may be ready; the store says whether it is. For each one: a token of the account's pace, the
//! claim in the store ([`submission`]), the intent in the broker's log ([`intents`]), one call of the adapter within the
//! claim's lease ([`call`]), and the answer in the store. A hint that is lost or comes twice changes nothing; a process that
//! dies leaves what recovery settles.

mod account;
mod bucket;
mod call;
mod calls;
mod dispatch;
mod inbox;
mod intents;
mod metrics;
mod news;
mod pacing;
mod script;
mod settings;
mod shared;
mod submission;

pub use dispatch::{Adapters, Dispatch, Parts};
pub use metrics::Metrics;
pub use settings::Settings;
