//! AccountService: channel accounts as configured.

use crate::{Api, problems};
use omnigate_core::account::{Account, AdapterRef};
use omnigate_core::id::ThreadId;
use omnigate_proto::v1::{
    Account as Shown, Capabilities, GetCapabilitiesRequest, ListAccountsRequest, ListAccountsResponse,
};
use omnigate_rpc::v1::account_service_server::AccountService;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AccountService for Api {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut accounts = Vec::new();
        for account in self
            .directory
            .accounts
            .values()
            .filter(|account| account.tenant_id == tenant_id)
        {
            accounts.push(Shown {
                account_id: account.id.clone(),
                tenant_id: account.tenant_id.clone(),
                channel: account.channel.clone(),
                display_name: account.display_name.clone(),
                adapter: match &account.adapter {
                    AdapterRef::Builtin => "builtin".to_owned(),
                    AdapterRef::Grpc(address) => address.clone(),
                },
                app_id: account.app_id.clone(),
                capabilities: self.capabilities(account).await,
            });
        }
        Ok(Response::new(ListAccountsResponse { accounts }))
    }
}

impl Api {
    /// What an account can do; `None` while its adapter does not answer.
    async fn capabilities(&self, account: &Account) -> Option<Capabilities> {
        let adapters = self.adapters.as_ref()?;
        let asked = GetCapabilitiesRequest {
            account_id: account.id.clone(),
        };
        let answer = adapters.get_capabilities(Request::new(asked)).await.ok()?;
        answer.into_inner().capabilities
    }

    /// The account a thread belongs to: its id holds a hash of the account's.
    pub(crate) fn account_of(&self, tenant_id: &str, id: ThreadId) -> Option<&Account> {
        let mut accounts = self.directory.accounts.values();
        accounts.find(|account| account.tenant_id == tenant_id && ThreadId::new(id.peer(), &account.id) == id)
    }
}
