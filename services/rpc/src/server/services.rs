//! The services of one server, all with the same limits.

use crate::v1;
use std::sync::Arc;
use tonic::{
    codec::CompressionEncoding,
    server::NamedService,
    service::{Routes, RoutesBuilder},
};

/// Services to serve together.
#[derive(Debug)]
pub struct Services {
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    message_bytes: usize,
}

macro_rules! services {
    ($($(#[$doc:meta])* $method:ident: $module:ident::$service:ident by $server:ident,)+) => {
        impl Services {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(mut self, service: Arc<impl v1::$module::$service>) -> Self {
                    let server = v1::$module::$server::from_arc(service)
                        .max_decoding_message_size(self.message_bytes)
                        .accept_compressed(CompressionEncoding::Gzip);
                    self.names.push(name_of(&server));
                    self.routes.add_service(server);
                    self
                }
            )+
        }
    };
}

services! {
    /// Takes pushes.
    ingest: ingest_service_server::IngestService by IngestServiceServer,
    /// Sends through adapters.
    adapter: adapter_service_server::AdapterService by AdapterServiceServer,
    /// Gives session leases.
    session: session_service_server::SessionService by SessionServiceServer,
    /// Gives access tokens.
    credential: credential_service_server::CredentialService by CredentialServiceServer,
    /// Messages.
    message: message_service_server::MessageService by MessageServiceServer,
    /// Customers.
    customer: customer_service_server::CustomerService by CustomerServiceServer,
    /// Timelines.
    timeline: timeline_service_server::TimelineService by TimelineServiceServer,
    /// Conversations.
    conversation: conversation_service_server::ConversationService by ConversationServiceServer,
    /// The stream of customer events.
    event: event_service_server::EventService by EventServiceServer,
    /// Outgoing webhooks.
    event_webhook: event_webhook_service_server::EventWebhookService by EventWebhookServiceServer,
    /// Accounts.
    account: account_service_server::AccountService by AccountServiceServer,
    /// Consents.
    consent: consent_service_server::ConsentService by ConsentServiceServer,
    /// Templates of ours.
    template: template_service_server::TemplateService by TemplateServiceServer,
    /// Audiences.
    audience: audience_service_server::AudienceService by AudienceServiceServer,
    /// Campaigns.
    campaign: campaign_service_server::CampaignService by CampaignServiceServer,
    /// Parked items.
    parked: parked_service_server::ParkedService by ParkedServiceServer,
    /// Replays of the journal.
    replay: replay_service_server::ReplayService by ReplayServiceServer,
}

fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}

impl Services {
    /// No services yet. No message may be larger than `message_bytes`, also after decompression.
    #[must_use]
    pub fn new(message_bytes: usize) -> Self {
        Self {
            routes: Routes::builder(),
            names: Vec::new(),
            message_bytes,
        }
    }

    pub(crate) fn into_routes(self) -> (Vec<&'static str>, Routes) {
        (self.names, self.routes.routes())
    }
}
