//! AccountService: channel accounts as configured.

use crate::messages::MAX_REQUEST_ID;
use crate::{Api, problems};
use futures_util::future::try_join_all;
use omnigate_core::account::{Account, AdapterRef};
use omnigate_core::credential::{Standing, handed_in, standing};
use omnigate_core::id::ThreadId;
use omnigate_core::port::adapter::Grant;
use omnigate_core::protocol::{credential, templates};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CredentialRecord;
use omnigate_proto::v1::authorize_account_request::Grant as Granted;
use omnigate_proto::v1::{
    Account as Shown, AccountState, AuthorizeAccountRequest, AuthorizeAccountResponse, ListAccountsRequest,
    ListAccountsResponse, ListProviderTemplatesRequest, ListProviderTemplatesResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::v1::account_service_server::AccountService;
use tonic::{Request, Response, Status};

/// Longest code or token that can be handed in, in bytes.
const MAX_GRANT: usize = 4096;

#[tonic::async_trait]
impl AccountService for Api {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let ours = self.directory.accounts.values();
        let ours = ours.filter(|account| account.tenant_id == tenant_id);
        // Side by side: adapters that do not answer take their time.
        let shown = ours.map(async |account| {
            let standing = self.standing(account).await?;
            Ok::<_, Problem>(Shown {
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
                ..standing
            })
        });
        let accounts = try_join_all(shown).await?;
        Ok(Response::new(ListAccountsResponse { accounts }))
    }

    async fn authorize_account(
        &self,
        request: Request<AuthorizeAccountRequest>,
    ) -> Result<Response<AuthorizeAccountResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        let account = self.account(&tenant_id, &asked.account_id)?;
        if !self.authorized.contains_key(&account.id) {
            let problem = "nobody has to authorise the account: its settings say all it needs";
            return Err(Problem::failed_precondition("NO_TOKENS_NEEDED", problem).into());
        }
        let (grant, request_id) = grant(asked)?;
        credential::hand_in(&self.context(), &account.id, &grant, &request_id)
            .await
            .map_err(|refused| problems::not_taken(&refused))?;
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
        let answers = capabilities.is_some();
        let shown = match self.authorized.get(&account.id) {
            None => Shown {
                state: AccountState::Active.into(),
                ..Shown::default()
            },
            Some(address) => {
                let record = credential::read(&self.context(), &account.id).await;
                let record = record.map_err(|error| problems::store(&error))?;
                Shown {
                    authorization_url: address.clone(),
                    ..with_tokens(record.as_ref(), self.ports.clock.now())
                }
            }
        };
        let shown = if shown.state() == AccountState::Active && !answers {
            Shown {
                state: AccountState::Unreachable.into(),
                problem: "its adapter does not answer".to_owned(),
                ..shown
            }
        } else {
            shown
        };
        Ok(Shown { capabilities, ..shown })
    }

    /// The account a thread belongs to: its id holds a hash of the account's.
    pub(crate) fn account_of(&self, tenant_id: &str, id: ThreadId) -> Option<&Account> {
        let mut accounts = self.directory.accounts.values();
        accounts.find(|account| account.tenant_id == tenant_id && ThreadId::new(id.peer(), &account.id) == id)
    }
}

/// What was handed in, and under which request.
fn grant(asked: AuthorizeAccountRequest) -> Result<(Grant, String), Problem> {
    let request_id = asked.request_id;
    if request_id.is_empty() || request_id.chars().count() > MAX_REQUEST_ID {
        return Err(Problem::invalid("request_id", "must have 1 to 128 characters"));
    }
    let (field, secret) = match &asked.grant {
        Some(Granted::AuthorizationCode(code)) => ("authorization_code", code),
        Some(Granted::RefreshToken(token)) => ("refresh_token", token),
        None => {
            return Err(Problem::invalid(
                "grant",
                "authorization_code or refresh_token must be set",
            ));
        }
    };
    for (field, text) in [(field, secret), ("code_verifier", &asked.code_verifier)] {
        if text.len() > MAX_GRANT || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Problem::invalid(
                field,
                format!("must have at most {MAX_GRANT} bytes and no white space"),
            ));
        }
    }
    if secret.is_empty() {
        return Err(Problem::invalid(field, "must not be empty"));
    }
    let grant = match asked.grant {
        Some(Granted::AuthorizationCode(code)) => Grant::AuthorizationCode {
            code,
            verifier: asked.code_verifier,
        },
        Some(Granted::RefreshToken(_)) if !asked.code_verifier.is_empty() => {
            return Err(Problem::invalid("code_verifier", "belongs to authorization_code alone"));
        }
        Some(Granted::RefreshToken(token)) => Grant::RefreshToken(token),
        None => {
            return Err(Problem::invalid(
                "grant",
                "authorization_code or refresh_token must be set",
            ));
        }
    };
    Ok((grant, request_id))
}

/// How an account stands that works with tokens.
fn with_tokens(record: Option<&CredentialRecord>, now: Moment) -> Shown {
    let tried = "what was configured or handed in is being tried";
    let (state, problem) = match standing(record, None, now) {
        Standing::Good | Standing::Coming => (AccountState::Active, String::new()),
        Standing::Tried => (
            AccountState::Unauthorized,
            match record.map_or("", |record| record.problem.as_str()) {
                "" => tried.to_owned(),
                problem => format!("{tried}: {problem}"),
            },
        ),
        Standing::Failing(why) => (
            AccountState::Unreachable,
            format!("its provider hands out no tokens at present: {why}"),
        ),
        Standing::Person(why) => (AccountState::Unauthorized, why.to_owned()),
    };
    let token_ends = record.map_or(0, |record| record.access_until_ms);
    Shown {
        state: state.into(),
        problem,
        token_expires_at: (token_ends > 0).then(|| Moment(token_ends).to_timestamp()),
        authorization_pending: record.is_some_and(|record| handed_in(record).is_some()),
        authorization_problem: record.map(|record| record.grant_problem.clone()).unwrap_or_default(),
        ..Shown::default()
    }
}

#[cfg(test)]
mod tests;
