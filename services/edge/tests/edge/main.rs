//! The role from outside: webhooks and outbound HTTP over real sockets, sessions and sending against fakes.

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod holders;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod webhooks;
