//! Law and custom at the moment of sending: when, how often and with what mark somebody may be written to.
//!
//! What a law says is data by country, channel and purpose ([`law`]); what the company says comes on top and can only be
//! stricter. Whether somebody may be written to at all is [`crate::consent`].

pub mod caps;
pub mod hours;
pub mod law;
pub mod zone;
