//! The domain of Omnigate: everything that is decided, as functions over values, and the ports through which the roles
//! reach brokers, stores and providers.
//!
//! Decisions take state, command and time and return a change or a refusal: no I/O, no clock, no randomness inside.
//! Protocols (module [`protocol`]) run several decisions in a row over the store port; they are asynchronous because the
//! port is, and do nothing else, so that a simulation can stop, reorder and kill them at every step.

pub mod account;
pub mod append;
pub mod audience;
pub mod campaign;
pub mod consent;
pub mod consumer_group;
pub mod conversation;
pub mod credential;
pub mod customer_event;
pub mod delivery;
pub mod details;
pub mod event;
pub mod event_webhook;
pub mod filter;
pub mod hourly;
pub mod id;
pub mod identifier;
pub mod identity;
pub mod keyring;
pub mod keys;
pub mod lease;
pub mod note;
pub mod pace;
pub mod partition;
pub mod pieces;
pub mod policy;
pub mod port;
pub mod protocol;
pub mod replay;
pub mod retention;
pub mod shard;
pub mod sms;
pub mod template;
pub mod template_check;
pub mod tenant;
pub mod time;
pub mod timeline;
pub mod topology;
pub mod trace;
pub mod window;
