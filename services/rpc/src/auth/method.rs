//! What each method asks of its caller: one table, and a method that is not in it is refused.

use super::caller::Scope;
use std::{collections::HashMap, sync::LazyLock};

/// What a method asks of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Nothing: health and reflection.
    Open,
    /// A token with this scope.
    Scope(Scope),
}

/// A method of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Method {
    /// Its path.
    pub(crate) path: &'static str,
    /// What it asks.
    pub(crate) access: Access,
}

const ADAPTER: Access = Access::Scope(Scope::Adapter);
const READ: Access = Access::Scope(Scope::Read);
const SEND: Access = Access::Scope(Scope::Send);
const CAMPAIGN: Access = Access::Scope(Scope::Campaign);
const ADMIN: Access = Access::Scope(Scope::Admin);
const INTERNAL: Access = Access::Scope(Scope::Internal);

/// Every method of every server.
///
/// Sending through edge is for dispatch alone: a token with scope `send` must not get around policy and ledger.
const METHODS: &[(&str, Access)] = &[
    ("/omnigate.v1.IngestService/Push", ADAPTER),
    ("/omnigate.v1.SessionService/Acquire", ADAPTER),
    ("/omnigate.v1.SessionService/Renew", ADAPTER),
    ("/omnigate.v1.SessionService/Checkpoint", ADAPTER),
    ("/omnigate.v1.SessionService/Release", ADAPTER),
    ("/omnigate.v1.SessionService/Locate", INTERNAL),
    // Adapters of others bring their own credentials.
    ("/omnigate.v1.CredentialService/GetAccessToken", INTERNAL),
    ("/omnigate.v1.AdapterService/Send", INTERNAL),
    ("/omnigate.v1.AdapterService/GetCapabilities", INTERNAL),
    ("/omnigate.v1.AdapterService/LookupSend", INTERNAL),
    ("/omnigate.v1.AdapterService/LookupTemplate", INTERNAL),
    ("/omnigate.v1.MessageService/SendMessage", SEND),
    ("/omnigate.v1.MessageService/CancelMessage", SEND),
    ("/omnigate.v1.MessageService/GetMessage", READ),
    ("/omnigate.v1.MessageService/ExplainMessage", READ),
    ("/omnigate.v1.CustomerService/ResolveCustomer", READ),
    ("/omnigate.v1.CustomerService/GetCustomer", READ),
    ("/omnigate.v1.CustomerService/GetCustomerOverview", READ),
    ("/omnigate.v1.CustomerService/ListCustomers", READ),
    ("/omnigate.v1.CustomerService/UpdateCustomer", SEND),
    ("/omnigate.v1.CustomerService/MergeCustomers", ADMIN),
    ("/omnigate.v1.CustomerService/SplitCustomer", ADMIN),
    ("/omnigate.v1.CustomerService/LinkIdentifier", ADMIN),
    ("/omnigate.v1.CustomerService/UnlinkIdentifier", ADMIN),
    ("/omnigate.v1.CustomerService/ListConflicts", READ),
    ("/omnigate.v1.CustomerService/ResolveConflict", ADMIN),
    ("/omnigate.v1.CustomerService/ListIdentityEvents", READ),
    ("/omnigate.v1.CustomerService/ExportCustomer", ADMIN),
    ("/omnigate.v1.CustomerService/EraseCustomer", ADMIN),
    // What undoes a refusal asks for more, which the service looks at itself.
    ("/omnigate.v1.ConsentService/SetConsent", SEND),
    ("/omnigate.v1.ConsentService/GetConsent", READ),
    ("/omnigate.v1.ConsentService/ListConsents", READ),
    ("/omnigate.v1.ConsentService/SetMarketingRefusal", SEND),
    ("/omnigate.v1.ConsentService/Suppress", SEND),
    ("/omnigate.v1.ConsentService/Unsuppress", ADMIN),
    ("/omnigate.v1.ConsentService/GetSuppression", READ),
    ("/omnigate.v1.ConsentService/ListSuppressions", READ),
    ("/omnigate.v1.TemplateService/CreateTemplate", CAMPAIGN),
    ("/omnigate.v1.TemplateService/UpdateTemplate", CAMPAIGN),
    ("/omnigate.v1.TemplateService/GetTemplate", READ),
    ("/omnigate.v1.TemplateService/ListTemplates", READ),
    ("/omnigate.v1.TemplateService/ArchiveTemplate", CAMPAIGN),
    ("/omnigate.v1.TemplateService/PreviewTemplate", READ),
    ("/omnigate.v1.TemplateService/TestSend", SEND),
    ("/omnigate.v1.AudienceService/CreateAudience", CAMPAIGN),
    ("/omnigate.v1.AudienceService/GetAudience", READ),
    ("/omnigate.v1.AudienceService/ListAudiences", READ),
    ("/omnigate.v1.AudienceService/UpdateAudience", CAMPAIGN),
    ("/omnigate.v1.AudienceService/DeleteAudience", CAMPAIGN),
    ("/omnigate.v1.AudienceService/ImportAudience", CAMPAIGN),
    ("/omnigate.v1.AudienceService/GetImport", READ),
    ("/omnigate.v1.AudienceService/ListMembers", READ),
    ("/omnigate.v1.AudienceService/PreviewAudience", READ),
    ("/omnigate.v1.CampaignService/CreateCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/GetCampaign", READ),
    ("/omnigate.v1.CampaignService/ListCampaigns", READ),
    ("/omnigate.v1.CampaignService/UpdateCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/ScheduleCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/UnscheduleCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/StartCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/PauseCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/ResumeCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/CancelCampaign", CAMPAIGN),
    ("/omnigate.v1.CampaignService/GetCampaignProgress", READ),
    ("/omnigate.v1.CampaignService/WatchCampaign", READ),
    ("/omnigate.v1.CampaignService/ListRecipients", READ),
    ("/omnigate.v1.CampaignService/RetryRecipients", CAMPAIGN),
    ("/omnigate.v1.TimelineService/ListEntries", READ),
    ("/omnigate.v1.TimelineService/GetEntry", READ),
    ("/omnigate.v1.TimelineService/Watch", READ),
    ("/omnigate.v1.ConversationService/GetConversation", READ),
    ("/omnigate.v1.ConversationService/ListConversations", READ),
    ("/omnigate.v1.ConversationService/CreateConversation", SEND),
    ("/omnigate.v1.ConversationService/AssignConversation", SEND),
    ("/omnigate.v1.ConversationService/UpdateConversation", SEND),
    ("/omnigate.v1.ConversationService/SetConversationStatus", SEND),
    ("/omnigate.v1.ConversationService/JoinThread", SEND),
    ("/omnigate.v1.ConversationService/LeaveThread", SEND),
    ("/omnigate.v1.TimelineService/AddNote", SEND),
    ("/omnigate.v1.TimelineService/EditNote", SEND),
    ("/omnigate.v1.TimelineService/DeleteNote", SEND),
    ("/omnigate.v1.EventService/Subscribe", READ),
    ("/omnigate.v1.EventService/Acknowledge", READ),
    ("/omnigate.v1.EventService/ListEventGroups", READ),
    ("/omnigate.v1.EventService/DeleteEventGroup", ADMIN),
    ("/omnigate.v1.EventWebhookService/ListEventWebhooks", READ),
    ("/omnigate.v1.EventWebhookService/EnableEventWebhook", ADMIN),
    ("/omnigate.v1.EventWebhookService/DisableEventWebhook", ADMIN),
    ("/omnigate.v1.EventWebhookService/ReplayEventWebhook", ADMIN),
    ("/omnigate.v1.AccountService/ListAccounts", READ),
    ("/omnigate.v1.AccountService/ListProviderTemplates", READ),
    ("/omnigate.v1.AccountService/AuthorizeAccount", ADMIN),
    ("/omnigate.v1.ParkedService/ListParked", ADMIN),
    ("/omnigate.v1.ParkedService/GetParked", ADMIN),
    ("/omnigate.v1.ParkedService/ReplayParked", ADMIN),
    ("/omnigate.v1.ParkedService/DiscardParked", ADMIN),
    ("/omnigate.v1.ReplayService/Replay", ADMIN),
    ("/grpc.health.v1.Health/Check", Access::Open),
    ("/grpc.health.v1.Health/Watch", Access::Open),
    ("/grpc.health.v1.Health/List", Access::Open),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Access::Open,
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Access::Open,
    ),
];

static BY_PATH: LazyLock<HashMap<&'static str, Method>> = LazyLock::new(|| {
    let methods = METHODS.iter().map(|&(path, access)| (path, Method { path, access }));
    methods.collect()
});

/// The method at a path.
pub(crate) fn method(path: &str) -> Option<&'static Method> {
    BY_PATH.get(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;
    use std::collections::BTreeSet;

    /// Paths of all methods in the contract.
    fn contract() -> BTreeSet<String> {
        let files = FileDescriptorSet::decode(omnigate_proto::DESCRIPTORS).unwrap();
        let mut paths = BTreeSet::new();
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_of_the_contract_is_in_the_table_and_nothing_else_of_ours() {
        let ours = |path: &&str| path.starts_with("/omnigate.");
        let table: BTreeSet<String> = METHODS
            .iter()
            .map(|(path, _)| *path)
            .filter(ours)
            .map(String::from)
            .collect();
        assert_eq!(table, contract());
        assert!(table.len() >= 24);
        assert_eq!(BY_PATH.len(), METHODS.len(), "no path twice");
    }

    #[test]
    fn only_health_and_reflection_are_open() {
        for (path, access) in METHODS {
            assert_eq!(*access == Access::Open, path.starts_with("/grpc."), "{path}");
        }
        assert_eq!(method("/omnigate.v1.IngestService/Pushh"), None);
    }
}
