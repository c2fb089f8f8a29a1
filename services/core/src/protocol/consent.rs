//! Consents in the store. What is said about an identifier lives in the identifier's own shard, so that a message needs one
//! read there; what a customer said lives with the customer, and with everybody who was merged into them.

mod fault;
mod forget;
mod layers;
mod ledger;
mod refusal;
mod suppression;

pub(super) use fault::note_fault;
pub(super) use forget::{forget, forget_refusal};
pub use layers::{Whom, advertising, layers, suppressed};
pub use ledger::{NotRecorded, history, record, recorded};
pub(super) use ledger::{lapse, record_wishes};
pub use refusal::{refusals, set_refusal};
pub(super) use suppression::written;
pub use suppression::{NotListed, hash_key, id, lift, list, listed, suppress};
