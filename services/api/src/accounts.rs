//! AccountService: channel accounts as configured.

use crate::{Api, problems};
use omnigate_core::account::{Account, AdapterRef};
use omnigate_core::id::ThreadId;
use omnigate_core::port::adapter::Grant;
use omnigate_core::protocol::{credential, templates};
use omnigate_core::time::Moment;
use omnigate_proto::v1::authorize_account_request::Grant as Granted;
use omnigate_proto::v1::{
    Account as Shown, AccountState, AuthorizeAccountRequest, AuthorizeAccountResponse, ListAccountsRequest,
    ListAccountsResponse, ListProviderTemplatesRequest, ListProviderTemplatesResponse,
};
use omnigate_rpc::error::Problem;
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
                provider: account.provider.clone(),
                ..self.standing(account).await?
            });
        }
        Ok(Response::new(ListAccountsResponse { accounts }))
    }

    async fn authorize_account(
        &self,
        request: Request<AuthorizeAccountRequest>,
    ) -> Result<Response<AuthorizeAccountResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        let account = self.account(&tenant_id, &asked.account_id)?;
        let grant = match asked.grant {
            Some(Granted::AuthorizationCode(code)) if !code.is_empty() => Grant::AuthorizationCode {
                code,
                verifier: asked.code_verifier,
            },
            Some(Granted::RefreshToken(token)) if !token.is_empty() => Grant::RefreshToken(token),
            _ => return Err(Problem::invalid("grant", "authorization_code or refresh_token must be set").into()),
        };
        credential::hand_in(&self.context(), &account.id, &grant)
            .await
            .map_err(|stop| problems::stop(&stop))?;
        Ok(Response::new(AuthorizeAccountResponse {}))
    }

    async fn list_provider_templates(
        &self,
        request: Request<ListProviderTemplatesRequest>,
    ) -> Result<Response<ListProviderTemplatesResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let account = self.account(&tenant_id, &request.get_ref().account_id)?;
        let copied = templates::read(&self.context(), &account.id)
            .await
            .map_err(|stop| problems::stop(&stop))?
            .unwrap_or_default();
        Ok(Response::new(ListProviderTemplatesResponse {
            templates: copied.templates,
            synced_at: copied.synced_at,
        }))
    }
}

impl Api {
    /// How an account stands and what it can do.
    async fn standing(&self, account: &Account) -> Result<Shown, Problem> {
        let capabilities = self.abilities.ask(&account.id).await;
        let credential = credential::read(&self.context(), &account.id).await;
        let credential = credential.map_err(|error| problems::store(&error))?;
        let authorized = self.authorized.get(&account.id);
        let (state, problem) = match (authorized, &credential) {
            (Some(_), None) => (
                AccountState::Unauthorized,
                "it has no tokens yet: set settings.refresh_token, or let somebody authorise it".to_owned(),
            ),
            (_, Some(record)) if !record.dead.is_empty() => (AccountState::Unauthorized, record.dead.clone()),
            _ if capabilities.is_none() => (AccountState::Unreachable, "its adapter does not answer".to_owned()),
            _ => (AccountState::Active, String::new()),
        };
        let token_ends = credential.as_ref().map_or(0, |record| record.access_until_ms);
        Ok(Shown {
            capabilities,
            state: state.into(),
            problem,
            token_expires_at: (token_ends > 0).then(|| Moment(token_ends).to_timestamp()),
            authorization_url: authorized.cloned().unwrap_or_default(),
            ..Shown::default()
        })
    }

    /// The account a thread belongs to: its id holds a hash of the account's.
    pub(crate) fn account_of(&self, tenant_id: &str, id: ThreadId) -> Option<&Account> {
        let mut accounts = self.directory.accounts.values();
        accounts.find(|account| account.tenant_id == tenant_id && ThreadId::new(id.peer(), &account.id) == id)
    }
}
