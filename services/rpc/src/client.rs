//! Clients for the command line: one connection to a running gateway, and errors that say what to do.

use crate::{
    error,
    remote::{self, ClientError},
    v1,
};
use std::error::Error as _;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// Largest answer taken, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Shows the token with every call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// A connection that shows its token.
pub type Authorized = InterceptedService<Channel, Bearer>;

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// The gateway cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// What was given cannot be used.
    #[error(transparent)]
    Unusable(#[from] ClientError),
    /// Nobody answers there.
    #[error("cannot reach the gateway at {address}: {cause}; is it running there? (--endpoint or OMNIGATE_ENDPOINT)")]
    Unreachable {
        /// Where.
        address: String,
        /// The innermost cause.
        cause: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
}

/// A connection to a running gateway.
#[derive(Clone, Debug)]
pub struct Connection {
    channel: Authorized,
}

impl Connection {
    /// Connects to the api listener at `host:port` or `https://host:port`, whose authority is `ca` (PEM) or one of the
    /// system's.
    pub async fn open(address: &str, token: Option<&str>, ca: Option<&[u8]>) -> Result<Self, ConnectError> {
        let bearer = Bearer(token.map(remote::bearer).transpose()?);
        let endpoint = remote::endpoint(address, ca)?;
        let channel = endpoint.connect().await.map_err(|source| ConnectError::Unreachable {
            address: address.to_owned(),
            cause: innermost(&source),
            source,
        })?;
        Ok(Self {
            channel: InterceptedService::new(channel, bearer),
        })
    }

    /// The channel itself, for clients of other services.
    #[must_use]
    pub fn channel(&self) -> Authorized {
        self.channel.clone()
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $method:ident: $module:ident::$client:ident,)+) => {
        impl Connection {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(&self) -> v1::$module::$client<Authorized> {
                    v1::$module::$client::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
                }
            )+
        }
    };
}

clients! {
    /// Pushes; needs the ingest listener.
    ingest: ingest_service_client::IngestServiceClient,
    /// Messages.
    messages: message_service_client::MessageServiceClient,
    /// Customers.
    customers: customer_service_client::CustomerServiceClient,
    /// Timelines.
    timelines: timeline_service_client::TimelineServiceClient,
    /// Conversations.
    conversations: conversation_service_client::ConversationServiceClient,
    /// The stream of customer events.
    events: event_service_client::EventServiceClient,
    /// Outgoing webhooks.
    event_webhooks: event_webhook_service_client::EventWebhookServiceClient,
    /// Accounts.
    accounts: account_service_client::AccountServiceClient,
    /// Consents.
    consents: consent_service_client::ConsentServiceClient,
    /// Templates of ours.
    templates: template_service_client::TemplateServiceClient,
    /// Audiences.
    audiences: audience_service_client::AudienceServiceClient,
    /// Campaigns.
    campaigns: campaign_service_client::CampaignServiceClient,
    /// Parked items.
    parked: parked_service_client::ParkedServiceClient,
    /// Replays of the journal.
    replays: replay_service_client::ReplayServiceClient,
}

/// The cause at the bottom, which is the one that helps: "connection refused".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// One line for people about a failed call.
#[must_use]
pub fn explain(status: &Status) -> String {
    let reason = error::reason(status);
    let what = match (status.code(), reason.as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_MISSING")) => {
            return "the gateway asks for a token: set OMNIGATE_TOKEN or --token, or --data-dir to the folder where it keeps one \
                    (the demo's is ./omnigate-data/demo)"
                .to_owned();
        }
        (Code::Unauthenticated, _) => {
            return "the gateway does not know this token (OMNIGATE_TOKEN or --token)".to_owned();
        }
        (Code::Unavailable, None) => {
            let cause = status.source().map_or_else(|| status.message().to_owned(), innermost);
            return format!("the connection to the gateway was lost: {cause}");
        }
        (Code::PermissionDenied, _) => "not allowed",
        (Code::NotFound, _) => "not found",
        (Code::InvalidArgument | Code::OutOfRange, _) => "wrong request",
        (Code::AlreadyExists, _) => "exists already",
        (Code::FailedPrecondition | Code::Aborted, _) => "not possible now",
        (Code::ResourceExhausted, _) => "too much at once",
        (Code::Unavailable, _) => "not available now",
        (Code::DeadlineExceeded | Code::Cancelled, _) => "took too long",
        (Code::Unimplemented, _) => "not supported by this gateway",
        _ => "failed",
    };
    match reason {
        Some(reason) => format!("{what}: {} ({reason})", status.message()),
        None => format!("{what}: {}", status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    #[tokio::test]
    async fn nobody_there_is_said_with_the_address_and_the_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let error = Connection::open(&address, None, None).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot reach the gateway at {address}: Connection refused")),
            "{error}"
        );
        assert!(error.contains("OMNIGATE_ENDPOINT"), "{error}");
        let error = Connection::open("not an address", None, None)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(error, "\"not an address\" is not an address host:port");
    }

    #[test]
    fn failed_calls_are_explained_in_one_line() {
        let missing = Problem::unauthenticated("TOKEN_MISSING", "no token");
        assert!(explain(&missing.into()).contains("OMNIGATE_TOKEN"));
        let wrong = Problem::invalid("page_size", "must not be negative");
        assert_eq!(
            explain(&wrong.into()),
            "wrong request: page_size: must not be negative (FIELD_INVALID)"
        );
        assert_eq!(explain(&Status::not_found("no such thing")), "not found: no such thing");
    }
}
