//! Campaigns: one message to many, exactly as meant.
//!
//! [`definition`] says what a campaign may be, [`progress`] how far it is. [`life`] decides what a campaign may do, [`ledger`]
//! what happens to one recipient, [`place`] where a recipient stands.
//! A recipient is never attempted but through their row, and every change of a row is a compare-and-set on it.

pub mod breaker;
pub mod definition;
pub mod ledger;
pub mod letter;
pub mod life;
pub mod place;
pub mod plan;
pub mod progress;
pub mod tally;
