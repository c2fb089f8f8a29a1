//! Faithful fake providers for the demo, tests and benchmarks.
//!
//! Each fake answers as the provider's own server does: it checks tokens and limits, keeps the provider's order and retry
//! rules, and fails on demand. It knows no adapter and nothing of the gateway, so that an adapter is held to the provider's
//! behaviour and not to its own author's belief about it.

pub mod smsc;
pub mod telegram;
