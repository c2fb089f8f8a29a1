//! Role ingest: takes pushes and puts them durably on the broker. It is the credential boundary: channels push over
//! gRPC, and only this role writes to the inbound queues.
//!
//! A push is read ([`intake`]), let in whole or not at all ([`gate`]), cut into groups, and each group waits on the line
//! of its partition ([`line`]) until the broker has confirmed it. Only then is the push answered.

mod gate;
mod intake;
mod line;
mod metrics;
mod service;
mod settings;
mod turned_away;

pub use service::Ingest;
pub use settings::Settings;
