//! The adapter port: how a channel plugs in.
//!
//! An adapter translates between one provider's wire format and the contract. It knows no store, no broker, no HTTP server
//! and no clock of its own. It comes in three shapes: [`Webhook`] (request in, reply and events out), [`Session`] (holds a
//! connection or a cursor) and, with the e-mail channel, a listener. Sending is one shape for all: [`Channel`].
//!
//! Laws, each proved by the adapter test kit for every adapter:
//! 1. *Verified first.* Nothing of an unsigned or wrongly signed request is interpreted.
//! 2. *Nothing dropped.* What an adapter does not know becomes `unsupported` with the provider's name and bytes; one bad
//!    element of a batch never costs its siblings.
//! 3. *Deterministic.* The same input gives the same events and the same plan.
//! 4. *Classified.* A failed send names its class; whether it may have left is never guessed to be "no".

use crate::account::{Account, App, Settings};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::v1::{Capabilities, Event, Message, SendAccepted, SendError};
use std::time::Duration;

/// A configured value that the adapter cannot work with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Invalid {
    /// Setting that is wrong, such as `bot_token`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// One kind of channel; what the list of adapters holds.
pub trait Kind: Send + Sync {
    /// Its name: `telegram`, `sms`, ….
    fn channel(&self) -> &'static str;

    /// Names of settings that hold secrets.
    fn secret_settings(&self) -> &'static [&'static str];

    /// Settings of an account that nobody configured, for translating payloads offline.
    fn offline_settings(&self) -> Settings {
        Settings::default()
    }

    /// Prepares the webhook of an app with the accounts it carries; `None` when the channel has no webhooks.
    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid>;

    /// Prepares an account for sending.
    fn open_channel(&self, account: &Account) -> Result<Box<dyn Channel>, Invalid>;

    /// Prepares the session of an account; `None` when the account holds none.
    fn open_session(&self, account: &Account) -> Result<Option<Box<dyn Session>>, Invalid>;
}

/// An HTTP request from a provider.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Method, upper case.
    pub method: String,
    /// Query string without `?`.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Bytes)>,
    /// Body as it came.
    pub body: Bytes,
    /// When it came.
    pub received_at: Moment,
}

impl WebhookRequest {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }
}

/// What to answer a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type; empty for none.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// An empty answer with this status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            content_type: "",
            body: Bytes::new(),
        }
    }
}

/// What became of a provider's request.
#[derive(Clone, PartialEq, Debug)]
pub enum Received {
    /// Genuine: push the events, then answer.
    Events {
        /// Events in order; may be empty (a probe).
        events: Vec<Event>,
        /// The answer, once they are durable.
        reply: Reply,
    },
    /// Not genuine, or not to be understood at all: answer and forget.
    Rejected {
        /// The answer.
        reply: Reply,
        /// Why, for the log; no secrets.
        problem: String,
    },
}

/// The webhook of one app.
pub trait Webhook: Send + Sync {
    /// Verifies and translates one request. `verify` is false only for offline use, where no secret is known.
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received;

    /// Names of request headers that must not be kept because they carry a secret, in lower case.
    fn secret_headers(&self) -> &'static [&'static str] {
        &[]
    }
}

/// One message to send, or one piece of it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Peer's canonical value.
    pub peer: String,
    /// Peer as the provider writes it; equal to `peer` when nothing else is known.
    pub peer_provider_form: String,
    /// The whole message.
    pub message: Message,
    /// Which piece.
    pub piece: u32,
    /// Idempotency key of the piece; letters and digits.
    pub send_key: String,
    /// How long the call may take at most.
    pub time_limit: Duration,
}

/// An account ready for sending.
#[async_trait::async_trait]
pub trait Channel: Send + Sync {
    /// What the account can do.
    fn capabilities(&self) -> Capabilities;

    /// Into how many pieces the message is split; pure, and the same at every call. Errors are of class CONTENT.
    fn piece_count(&self, message: &Message) -> Result<u32, SendError>;

    /// Submits one piece; at most one attempt to submit per call.
    async fn send(&self, outgoing: &Outgoing, transport: &dyn Transport) -> Result<SendAccepted, SendError>;
}

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
    /// The present moment.
    fn now(&self) -> Moment;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// Completes when the session must end.
    async fn stopped(&self);
}

/// An HTTP request to a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRequest {
    /// Method, upper case.
    pub method: &'static str,
    /// Address.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: HttpBody,
    /// How long the call may take at most.
    pub time_limit: Duration,
}

/// Body of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpBody {
    /// None.
    Empty,
    /// JSON text.
    Json(Bytes),
    /// `multipart/form-data`.
    Multipart(Vec<FormPart>),
}

/// A field of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormPart {
    /// Field name.
    pub name: String,
    /// File name, for files.
    pub file_name: Option<String>,
    /// MIME type, for files.
    pub mime_type: Option<String>,
    /// Content.
    pub content: Bytes,
}

/// A provider's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, at most 4 MiB.
    pub body: Bytes,
}

/// Why there is no answer. Texts carry no address: addresses may hold tokens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// Provably nothing left: no name, no connection, no TLS.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// It may have arrived: time-out or reset after sending began.
    #[error("no answer: {0}")]
    Ambiguous(String),
    /// The address is not allowed (private network).
    #[error("address refused: {0}")]
    Forbidden(String),
}

/// Outbound HTTP.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// One request, no retries, no redirects.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}
