//! Whose tokens open which doors.

use omnigate_rpc::auth::{Caller, LocalTokenError, Scope, Scopes, Tokens, UnknownScope, ensure_local_token};
use omnigate_runtime::config::Config;
use omnigate_runtime::role::{Role, RoleSet};

/// The tokens of a process, and the secret that page tokens are made with.
pub(super) struct Keys {
    pub(super) tokens: Tokens,
    pub(super) page_secret: String,
}

/// Why the tokens cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The local token can be neither read nor written.
    #[error(transparent)]
    Local(#[from] LocalTokenError),
    /// A scope that is none.
    #[error("token {name:?}: {source}")]
    Scope {
        /// Name of the token.
        name: String,
        /// What is wrong.
        source: UnknownScope,
    },
}

/// Tokens of the configuration, of accounts with an adapter of their own, of the gateway's own roles, and, where people
/// call, the local one, which is made at the first start. Other roles need no writable folder.
pub(super) fn keys(config: &Config, roles: &RoleSet) -> Result<Keys, KeysError> {
    let mut tokens = Tokens::new();
    let mut page_secret = String::new();
    if roles.contains(&Role::Api) || roles.contains(&Role::Ingest) {
        page_secret = ensure_local_token(&config.data_dir)?;
        tokens.add(&page_secret, Caller::new("local", &config.tenant, Scopes::all()));
    }
    for token in &config.tokens.0 {
        let tenant = token.tenant.as_ref().unwrap_or(&config.tenant);
        let scopes = token
            .scopes
            .iter()
            .map(|scope| scope.parse::<Scope>())
            .collect::<Result<Scopes, _>>();
        let scopes = scopes.map_err(|source| KeysError::Scope {
            name: token.name.clone(),
            source,
        })?;
        let mut caller = Caller::new(&token.name, tenant, scopes);
        if let Some(account) = &token.account {
            caller = caller.with_account(account);
        }
        if let Some(secret) = &token.token {
            tokens.add(secret.expose(), caller);
        } else if let Some(hash) = &token.sha256 {
            tokens.add_hash(hash.0, caller);
        }
    }
    let directory = config.directory();
    for (id, account) in &config.accounts {
        if let (Some(token), Some(known)) = (&account.token, directory.accounts.get(id)) {
            let scopes = [Scope::Adapter].into_iter().collect();
            tokens.add(
                token.expose(),
                Caller::new(id, &known.tenant_id, scopes).with_account(id),
            );
        }
    }
    if let Some(cluster) = &config.cluster.token {
        tokens.add(cluster.expose(), Caller::internal());
        cluster.expose().clone_into(&mut page_secret);
    }
    Ok(Keys { tokens, page_secret })
}
