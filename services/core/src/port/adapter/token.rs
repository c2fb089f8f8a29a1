//! Tokens of providers that rotate them, and who looks after them.

use super::{ChannelHost, Transport};
use omnigate_proto::v1::{ProviderTemplate, SendError};
use std::{fmt, time::Duration};

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
