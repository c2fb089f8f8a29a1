//! Campaigns: one message to many, exactly as meant.
//!
//! [`life`] decides what a campaign may do, [`ledger`] what happens to one recipient, [`place`] where a recipient stands.
//! A recipient is never attempted but through their row, and every change of a row is a compare-and-set on it.

pub mod breaker;
pub mod ledger;
pub mod life;
pub mod place;
pub mod plan;
pub mod tally;
