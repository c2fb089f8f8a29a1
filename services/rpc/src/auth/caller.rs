//! Callers and scopes.

use crate::error::Problem;
use std::{fmt, str::FromStr, sync::Arc};
use tonic::Request;

/// What a token may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Push events and hold sessions.
    Adapter,
    /// Read customers, timelines, messages and events.
    Read,
    /// Send messages.
    Send,
    /// Run campaigns.
    Campaign,
    /// Operate: parked items, accounts.
    Admin,
    /// One of the gateway's own roles; includes all others.
    Internal,
}

/// A name that is no scope of tokens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a scope; scopes are adapter, read, send, campaign and admin")]
pub struct UnknownScope(pub String);

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

/// Who makes a call; cheap to clone. An extension of every request that asks for one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Name, for logs and audits.
    pub name: Arc<str>,
    /// Tenant it is bound to; `None` for the gateway's own roles in one process.
    pub tenant: Option<Arc<str>>,
    /// What it may do.
    pub scopes: Scopes,
    /// Account it is bound to, for adapters.
    pub account: Option<Arc<str>>,
}

impl Scope {
    /// All scopes that a configured token can have.
    pub const CONFIGURABLE: [Self; 5] = [Self::Adapter, Self::Read, Self::Send, Self::Campaign, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Read => "read",
            Self::Send => "send",
            Self::Campaign => "campaign",
            Self::Admin => "admin",
            Self::Internal => "internal",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut scopes = Self::CONFIGURABLE.into_iter();
        scopes
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.chars().take(40).collect()))
    }
}

impl Scopes {
    /// Every scope that a token can have, of the gateway's own roles not.
    #[must_use]
    pub fn all() -> Self {
        Scope::CONFIGURABLE.into_iter().collect()
    }

    /// Those of the gateway's own roles: everything.
    #[must_use]
    pub const fn internal() -> Self {
        Self(Scope::Internal.bit())
    }

    /// Whether a scope is among them.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Internal.bit()) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Scope::CONFIGURABLE.into_iter().chain([Scope::Internal]);
        let held = all.filter(|scope| self.0 & scope.bit() != 0).map(Scope::as_str);
        formatter.debug_set().entries(held).finish()
    }
}

impl Caller {
    /// One of the gateway's own roles, in this process.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            name: Arc::from("internal"),
            tenant: None,
            scopes: Scopes::internal(),
            account: None,
        }
    }

    /// A caller bound to a tenant.
    #[must_use]
    pub fn new(name: &str, tenant: &str, scopes: Scopes) -> Self {
        Self {
            name: Arc::from(name),
            tenant: Some(Arc::from(tenant)),
            scopes,
            account: None,
        }
    }

    /// An adapter bound to an account.
    #[must_use]
    pub fn with_account(self, account_id: &str) -> Self {
        Self {
            account: Some(Arc::from(account_id)),
            ..self
        }
    }

    /// Who makes this call.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Problem> {
        let missing =
            || Problem::unauthenticated("TOKEN_MISSING", "the call did not come through an authenticated way");
        request.extensions().get().ok_or_else(missing)
    }

    /// The tenant whose data the call is about.
    pub fn tenant(&self) -> Result<&str, Problem> {
        let missing = || Problem::denied("TENANT_MISSING", "the caller is bound to no tenant");
        self.tenant.as_deref().ok_or_else(missing)
    }

    /// Refuses a caller that is bound to another account.
    pub fn check_account(&self, account_id: &str) -> Result<(), Problem> {
        match self.account.as_deref() {
            Some(bound) if bound != account_id => {
                let problem = Problem::denied("ACCOUNT_FORBIDDEN", "the token is bound to another account");
                Err(problem.with("account_id", account_id))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_hold_what_they_were_made_of() {
        let scopes: Scopes = [Scope::Read, Scope::Send].into_iter().collect();
        assert!(scopes.contains(Scope::Read) && scopes.contains(Scope::Send));
        assert!(!scopes.contains(Scope::Admin) && !scopes.contains(Scope::Internal));
        assert!(
            !Scopes::all().contains(Scope::Internal),
            "no configured token is one of our roles"
        );
        assert!(Scopes::internal().contains(Scope::Campaign));
        assert_eq!(format!("{scopes:?}"), r#"{"read", "send"}"#);
    }

    #[test]
    fn names_lead_back_and_internal_cannot_be_configured() {
        for scope in Scope::CONFIGURABLE {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("internal".parse::<Scope>().is_err());
    }

    #[test]
    fn a_bound_caller_reaches_its_account_only() {
        let caller = Caller::new("zalo", "t", Scopes::all()).with_account("oa");
        assert!(caller.check_account("oa").is_ok());
        assert_eq!(caller.check_account("other").unwrap_err().reason, "ACCOUNT_FORBIDDEN");
        assert!(Caller::internal().check_account("other").is_ok());
        assert_eq!(Caller::internal().tenant().unwrap_err().reason, "TENANT_MISSING");
        assert_eq!(caller.tenant(), Ok("t"));
    }
}
