//! Sends through the adapter that an account names: our own, in the edge role, or somebody else's.

use omnigate_core::account::{AdapterRef, Directory};
use omnigate_proto::v1::{
    GetCapabilitiesRequest, GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse, LookupTemplateRequest,
    LookupTemplateResponse, SendRequest, SendResponse,
};
use omnigate_rpc::AdapterPort;
use omnigate_rpc::error::Problem;
use omnigate_rpc::remote::{self, ClientError};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use omnigate_runtime::config::Config;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Adapters by account.
pub(super) struct Switchboard {
    builtin: Option<AdapterPort>,
    external: BTreeMap<String, AdapterPort>,
}

impl Switchboard {
    /// Connects lazily to every external adapter that the accounts name.
    pub(super) fn new(
        config: &Config,
        directory: &Directory,
        builtin: Option<AdapterPort>,
    ) -> Result<Self, ClientError> {
        let mut external: BTreeMap<String, AdapterPort> = BTreeMap::new();
        for account in directory.accounts.values() {
            let AdapterRef::Grpc(address) = &account.adapter else {
                continue;
            };
            let configured = config
                .accounts
                .get(&account.id)
                .and_then(|account| account.token.as_ref());
            let mut options = remote::Options::with_token("");
            if configured.is_none() {
                tracing::warn!(
                    account = account.id,
                    address,
                    "its adapter is called without a token, and has none of its own to push with: set accounts.<id>.token"
                );
            }
            options.token = configured.map(|token| token.expose().to_owned());
            external.insert(
                account.id.clone(),
                Arc::new(remote::Adapter::connect(address, &options)?),
            );
        }
        Ok(Self { builtin, external })
    }

    fn of(&self, account_id: &str) -> Result<&AdapterPort, Problem> {
        let found = self.external.get(account_id).or(self.builtin.as_ref());
        found.ok_or_else(|| {
            let text = format!("account {account_id:?} has a built-in adapter, and no edge is connected");
            Problem::failed_precondition("NO_ADAPTER", text)
        })
    }
}

#[tonic::async_trait]
impl AdapterService for Switchboard {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        self.of(&request.get_ref().account_id)?.send(request).await
    }

    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        self.of(&request.get_ref().account_id)?.get_capabilities(request).await
    }

    async fn lookup_send(&self, request: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        self.of(&request.get_ref().account_id)?.lookup_send(request).await
    }

    async fn lookup_template(
        &self,
        request: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        self.of(&request.get_ref().account_id)?.lookup_template(request).await
    }
}
