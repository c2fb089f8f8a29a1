//! The role from outside: webhooks and outbound HTTP over real sockets, sessions and sending against fakes.

mod fakes;
mod sending;
mod sessions;
mod transport;
mod webhooks;
