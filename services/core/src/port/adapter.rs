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
use omnigate_proto::v1::{Capabilities, Event, Message, ProviderTemplate, SendAccepted, SendError};
use std::{net::IpAddr, sync::Arc, time::Duration};

mod outside;
mod select;
mod session;
mod token;

pub use outside::{Dialer, FormPart, HttpBody, HttpRequest, HttpResponse, Place, Stream, Transport, TransportError};
pub use select::{NoKind, select};
pub use session::{PushFailed, Session, SessionError, SessionHost};
pub use token::{AccessToken, Custodian, Grant, NoAccessToken, NoTokens, TokenPair};

/// A configured value that the adapter cannot work with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Invalid {
    /// Setting that is wrong, such as `bot_token`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// One provider of a channel; what the list of adapters holds.
pub trait Kind: Send + Sync {
    /// Name of the channel: `telegram`, `sms`, ….
    fn channel(&self) -> &'static str;

    /// Name of the provider where the channel has several: `smpp`, `twilio`, …; empty where it has one.
    fn provider(&self) -> &'static str {
        ""
    }

    /// Names of settings that hold secrets.
    fn secret_settings(&self) -> &'static [&'static str];

    /// Settings of an account that nobody configured, for translating payloads offline.
    fn offline_settings(&self) -> Settings {
        Settings::default()
    }

    /// Prepares the webhook of an app with the accounts it carries; `None` when the channel has no webhooks.
    fn open_webhook(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid>;

    /// Prepares what translates payloads offline; the webhook, or for sessions something that reads what would come over
    /// their connection, as hexadecimal digits.
    fn open_offline(&self, app: &App, accounts: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        self.open_webhook(app, accounts)
    }

    /// Prepares an account for sending, and the sessions it holds. `app` is the one whose webhook carries the account.
    fn open_account(&self, app: &App, account: &Account) -> Result<Opened, Invalid>;

    /// Prepares what only a process with a store may do for an account: fetching tokens and copying templates. `None` when
    /// the account needs nothing of the kind.
    fn open_custodian(&self, _app: &App, _account: &Account) -> Result<Option<Box<dyn Custodian>>, Invalid> {
        Ok(None)
    }
}

/// An account ready for work.
pub struct Opened {
    /// Sends.
    pub channel: Arc<dyn Channel>,
    /// Connections or cursors, each with one owner among all edges; their names tell them apart and are empty where there
    /// is one.
    pub sessions: Vec<(String, Arc<dyn Session>)>,
}

impl Opened {
    /// An account that holds no session.
    #[must_use]
    pub fn sending(channel: impl Channel + 'static) -> Self {
        Self {
            channel: Arc::new(channel),
            sessions: Vec::new(),
        }
    }
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
    /// Address at the other end of the connection; `None` when the request did not come over one. Behind a proxy it is the
    /// proxy's.
    pub remote: Option<IpAddr>,
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

    /// A request was answered that had events with these stable keys. `kept` is false when the provider must be expected to
    /// make it again: they are not durable, or nobody can say that it heard so.
    fn answered(&self, _stable_keys: &[String], _kept: bool) {}

    /// Names of request headers that must not be kept because they carry a secret, in lower case.
    fn secret_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Names of query parameters that must not be kept because they carry a secret.
    fn secret_parameters(&self) -> &'static [&'static str] {
        &[]
    }
}

/// One message to send, or one piece of it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Type of the peer's identifier: `phone`, `tg_chat`, ….
    pub peer_type: String,
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

    /// How many calls of [`Channel::send`] may run at once; `None` leaves it to the host.
    fn calls_at_once(&self) -> Option<usize> {
        None
    }

    /// Names of the account's sessions through any one of which it sends; empty when sending needs none.
    fn sends_through(&self) -> Vec<String> {
        Vec::new()
    }

    /// True while [`Channel::send`] can submit from this process: always, unless it sends through sessions and none of them
    /// is up here.
    fn is_connected(&self) -> bool {
        true
    }

    /// Submits one piece; at most one attempt to submit per call.
    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError>;

    /// Asks the provider for one template: one for each language, none when it has no such template. `Ok(None)` when it
    /// cannot be asked for a single one; an error means that nobody knows.
    async fn look_up_template(
        &self,
        _template_id: &str,
        _host: &dyn ChannelHost,
    ) -> Result<Option<Vec<ProviderTemplate>>, SendError> {
        Ok(None)
    }
}

/// What a channel is given.
#[async_trait::async_trait]
pub trait ChannelHost: Send + Sync {
    /// Outbound HTTP.
    fn transport(&self) -> &dyn Transport;
    /// The present moment.
    fn now(&self) -> Moment;
    /// The account's access token. `refused` is one that the provider has just refused: another one is fetched.
    async fn access_token(&self, refused: Option<&str>) -> Result<AccessToken, NoAccessToken>;
}
