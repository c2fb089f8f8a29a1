//! Sessions: accounts that hold a connection or a cursor.

use super::{Place, Stream, Transport, TransportError};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::v1::Event;
use std::time::Duration;

/// The session of one account: runs until told to stop or until it fails; the host starts it again with backoff.
#[async_trait::async_trait]
pub trait Session: Send + Sync {
    /// Receives until [`SessionHost::stopped`] completes. Pushes before it acknowledges or checkpoints.
    async fn run(&self, host: &dyn SessionHost) -> Result<(), SessionError>;
}

/// Why a session ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    /// The provider cannot be reached or asks to wait; start again after this long at least.
    #[error("{problem}")]
    Retry {
        /// Why.
        problem: String,
        /// How long to wait at least.
        after: Duration,
    },
    /// It will not work until somebody changes something: wrong token, webhook set.
    #[error("{0}")]
    Misconfigured(String),
}

/// A push was not confirmed: nothing may be acknowledged to the provider.
#[derive(Clone, Debug, thiserror::Error)]
#[error("push was not confirmed: {0}")]
pub struct PushFailed(pub String);

/// What a session is given.
#[async_trait::async_trait]
pub trait SessionHost: Send + Sync {
    /// The last durable cursor; empty at the first time.
    fn cursor(&self) -> Bytes;
    /// Pushes events and waits until they are durable.
    async fn push(&self, events: Vec<Event>) -> Result<(), PushFailed>;
    /// Makes the cursor durable.
    async fn checkpoint(&self, cursor: Bytes) -> Result<(), PushFailed>;
    /// Outbound HTTP.
    fn transport(&self) -> &dyn Transport;
    /// Opens a connection.
    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError>;
    /// The present moment.
    fn now(&self) -> Moment;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// Completes when the session must end.
    async fn stopped(&self);
}
