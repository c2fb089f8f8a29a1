//! Protocols: several decisions in a row over the store port.
//!
//! Nothing here reads a clock or makes randomness by itself, and every await is one call of a port; a process may die, be
//! repeated or sleep at each of them. All loops are bounded: a protocol that meets nothing but conflicts gives up with
//! [`Stop::Contended`] and is tried again by whoever called it.

pub mod append;
pub mod audience;
pub mod cache;
pub mod campaign;
pub mod confirm;
pub mod consent;
pub mod consumer_group;
pub mod context;
pub mod conversation;
pub mod credential;
pub mod delivery;
mod destination;
pub mod details;
pub mod echo;
pub mod entries;
pub mod event_webhook;
pub mod gateway;
pub mod hasten;
pub mod hourly;
pub mod identity;
pub mod lease;
pub mod notes;
pub mod outbox;
pub mod pace;
pub mod park;
pub mod publish;
pub mod read;
pub mod receipt;
pub mod replay;
pub mod reseal;
pub mod resolve;
pub mod send;
pub mod submit;
pub mod template_library;
pub mod templates;
pub mod trim;
mod walk;

pub use context::{Context, Ports, Stop};
