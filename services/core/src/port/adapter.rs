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
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

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

/// No adapter serves a channel as it is named.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoKind {
    /// The channel is unknown.
    #[error("no adapter serves channel {channel:?}; there are {known}")]
    Channel {
        /// What was asked for.
        channel: String,
        /// What there is.
        known: String,
    },
    /// The channel has several providers and none was named, or one that is unknown.
    #[error("channel {channel} has no provider {provider:?}; there are {known}")]
    Provider {
        /// The channel.
        channel: String,
        /// What was asked for; may be empty.
        provider: String,
        /// What there is.
        known: String,
    },
    /// The channel has only one provider, which has no name.
    #[error("channel {channel} has only one provider; leave {provider:?} out")]
    NoProviders {
        /// The channel.
        channel: String,
        /// What was asked for.
        provider: String,
    },
}

/// The adapter of a channel and provider.
pub fn select(kinds: &[&'static dyn Kind], channel: &str, provider: &str) -> Result<&'static dyn Kind, NoKind> {
    let of_channel: Vec<&'static dyn Kind> = kinds.iter().copied().filter(|kind| kind.channel() == channel).collect();
    if let Some(kind) = of_channel.iter().find(|kind| kind.provider() == provider) {
        return Ok(*kind);
    }
    if of_channel.is_empty() {
        let mut known: Vec<&str> = kinds.iter().map(|kind| kind.channel()).collect();
        known.dedup();
        return Err(NoKind::Channel {
            channel: channel.to_owned(),
            known: known.join(", "),
        });
    }
    let (channel, provider) = (channel.to_owned(), provider.to_owned());
    let known: Vec<&str> = of_channel.iter().map(|kind| kind.provider()).collect();
    Err(if known == [""] {
        NoKind::NoProviders { channel, provider }
    } else {
        NoKind::Provider {
            channel,
            provider,
            known: known.join(", "),
        }
    })
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

    /// Submits one piece; at most one attempt to submit per call.
    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError>;
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

/// A token of calls. Printing does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(pub String);

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(***)")
    }
}

/// Why there is no access token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAccessToken {
    /// A person has to authorise the account.
    #[error("the account has to be authorised: {0}")]
    Unauthorized(String),
    /// Not now; it will be there soon.
    #[error("no access token yet: {0}")]
    NotReady(String),
}

/// A pair of tokens as a provider hands it out. Printing does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// Token of calls.
    pub access_token: String,
    /// How long it holds; `None` when the provider does not say.
    pub access_for: Option<Duration>,
    /// Token that fetches the next pair.
    pub refresh_token: String,
    /// How long that one holds; `None` when the provider does not say.
    pub refresh_for: Option<Duration>,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenPair")
            .field("access_for", &self.access_for)
            .field("refresh_for", &self.refresh_for)
            .finish_non_exhaustive()
    }
}

/// What a pair of tokens is fetched with. Printing does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Grant {
    /// A refresh token.
    RefreshToken(String),
    /// The code of a redirect and the secret of its challenge.
    AuthorizationCode {
        /// The code.
        code: String,
        /// The secret; empty for none.
        verifier: String,
    },
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RefreshToken(_) => "RefreshToken(***)",
            Self::AuthorizationCode { .. } => "AuthorizationCode(***)",
        })
    }
}

/// Why no pair was handed out. Texts carry no secrets.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoTokens {
    /// The grant is dead: used before, expired, revoked. A person has to authorise the account.
    #[error("{0}")]
    Dead(String),
    /// The provider was not reached or is not able to answer; the same grant may still work.
    #[error("{0}")]
    Unavailable(String),
}

/// What a process with a store does for an account.
#[async_trait::async_trait]
pub trait Custodian: Send + Sync {
    /// The configured first refresh token; `None` when somebody authorises the account in another way.
    fn first_refresh_token(&self) -> Option<&str>;

    /// Where a person can agree that the gateway acts for the account; `None` when the settings do not say enough.
    fn authorization_url(&self) -> Option<String>;

    /// Fetches a pair of tokens; one call to the provider.
    async fn fetch(&self, grant: &Grant, transport: &dyn Transport) -> Result<TokenPair, NoTokens>;

    /// Copies the provider's templates; `None` when it has none.
    async fn templates(&self, host: &dyn ChannelHost) -> Result<Option<Vec<ProviderTemplate>>, SendError>;
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
    /// Opens a connection.
    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError>;
    /// The present moment.
    fn now(&self) -> Moment;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// Completes when the session must end.
    async fn stopped(&self);
}

/// Where a session connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Host name or address, as configured.
    pub host: String,
    /// Port.
    pub port: u16,
    /// True for TLS from the first byte on.
    pub tls: bool,
}

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

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
    /// `application/x-www-form-urlencoded`: names and values in order.
    Form(Vec<(String, String)>),
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

/// Outbound connections that are not HTTP. Every place comes from the configuration.
#[async_trait::async_trait]
pub trait Dialer: Send + Sync {
    /// Opens a connection, within a time of its own.
    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError>;
}
