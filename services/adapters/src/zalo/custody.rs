//! Tokens of an Official Account. Refresh tokens work once: who loses the answer needs the administrator again.

use super::settings::{Credentials, OaSettings};
use super::templates;
use super::wire::{Text, object, said};
use omnigate_core::port::adapter::{
    ChannelHost, Custodian, Grant, HttpBody, HttpRequest, HttpResponse, NoTokens, TokenPair, Transport,
};
use omnigate_proto::v1::{ProviderTemplate, SendError};
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// Longest a fetch takes; less than the host gives it.
const FETCH_WITHIN: Duration = Duration::from_secs(15);
/// OAuth: a refresh token holds three months.
const REFRESH_FOR: Duration = Duration::from_hours(24 * 90);
/// Longest life of an access token that is believed.
const LONGEST_ACCESS: Duration = Duration::from_hours(24 * 366);
/// What an answer names when it refuses the grant itself; Zalo's numbers for that are not documented.
const GRANT_WORDS: &[&str] = &[
    "refresh token",
    "refresh_token",
    "authorized code",
    "authorization code",
    "auth code",
];
/// Words that say why.
const DEAD_WORDS: &[&str] = &[
    "invalid",
    "expired",
    "used",
    "revoked",
    "removed",
    "not exist",
    "not found",
];
/// OAuth: an inactive app and a wrong redirect address, whatever their words.
const OF_THE_APP: &[i64] = &[-14002, -14003];

/// Looks after one account.
pub(super) struct OaCustodian {
    credentials: Credentials,
    settings: OaSettings,
}

/// What the OAuth server answers; a failure has some of the last four.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    access_token: Option<Text<'a>>,
    #[serde(borrow)]
    refresh_token: Option<Text<'a>>,
    #[serde(borrow)]
    expires_in: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    error_name: Option<Text<'a>>,
    #[serde(borrow)]
    error_reason: Option<Text<'a>>,
    #[serde(borrow)]
    error_description: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

impl OaCustodian {
    pub(super) fn new(credentials: Credentials, settings: OaSettings) -> Self {
        Self { credentials, settings }
    }

    fn request(&self, grant: &Grant) -> HttpRequest {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut fields = match grant {
            Grant::RefreshToken(token) => vec![field("grant_type", "refresh_token"), field("refresh_token", token)],
            Grant::AuthorizationCode { code, .. } => {
                vec![field("grant_type", "authorization_code"), field("code", code)]
            }
        };
        fields.push(field("app_id", &self.credentials.app_id));
        if let Grant::AuthorizationCode { verifier, .. } = grant
            && !verifier.is_empty()
        {
            fields.push(field("code_verifier", verifier));
        }
        HttpRequest {
            method: "POST",
            url: format!("{}/v4/oa/access_token", self.settings.oauth_url),
            headers: vec![("secret_key", self.credentials.app_secret.expose().to_owned())],
            body: HttpBody::Form(fields),
            time_limit: FETCH_WITHIN,
        }
    }
}

#[async_trait::async_trait]
impl Custodian for OaCustodian {
    fn first_refresh_token(&self) -> Option<&str> {
        self.credentials.refresh_token.as_ref().map(|token| token.expose())
    }

    fn authorization_url(&self) -> Option<String> {
        let redirect = self.credentials.redirect_url.as_ref()?;
        let mut url = Url::parse(&format!("{}/v4/oa/permission", self.settings.oauth_url)).ok()?;
        url.query_pairs_mut()
            .append_pair("app_id", &self.credentials.app_id)
            .append_pair("redirect_uri", redirect.as_str());
        if let Some(challenge) = &self.credentials.code_challenge {
            url.query_pairs_mut().append_pair("code_challenge", challenge);
        }
        Some(url.into())
    }

    async fn fetch(&self, grant: &Grant, transport: &dyn Transport) -> Result<TokenPair, NoTokens> {
        let answered = transport.call(self.request(grant)).await;
        // Whether the grant is used up by now, only the next answer can tell.
        let response = answered.map_err(|problem| NoTokens::Unavailable(problem.to_string()))?;
        pair(&response)
    }

    async fn templates(&self, host: &dyn ChannelHost) -> Result<Option<Vec<ProviderTemplate>>, SendError> {
        templates::copy(&self.settings, host).await.map(Some)
    }
}

/// Success is that an access token is there; the keys of failures are not certain.
fn pair(response: &HttpResponse) -> Result<TokenPair, NoTokens> {
    let unavailable = |text: String| Err(NoTokens::Unavailable(text));
    let Ok(answer) = object::<Answer<'_>>(&response.body) else {
        return unavailable(format!(
            "zalo answered {} with something else than tokens",
            response.status
        ));
    };
    let access = said(answer.access_token.as_ref());
    if !access.is_empty() {
        let seconds = said(answer.expires_in.as_ref())
            .parse()
            .ok()
            .filter(|&seconds: &u64| seconds > 0);
        return Ok(TokenPair {
            access_token: access.to_owned(),
            access_for: seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_ACCESS)),
            refresh_token: said(answer.refresh_token.as_ref()).to_owned(),
            refresh_for: Some(REFRESH_FOR),
        });
    }
    let words = [
        &answer.error_description,
        &answer.error_reason,
        &answer.error_name,
        &answer.message,
    ];
    let words: Vec<String> = words
        .into_iter()
        .map(|words| said(words.as_ref()).to_lowercase())
        .collect();
    let code = said(answer.error.as_ref()).parse::<i64>().ok();
    let Some(code) = code.filter(|&code| code != 0) else {
        return unavailable(format!("zalo answered {} without tokens", response.status));
    };
    let says = |list: &[&str]| list.iter().any(|text| words.iter().any(|words| words.contains(text)));
    let is_oauth = (-14999..=-14000).contains(&code) && !OF_THE_APP.contains(&code);
    if matches!(response.status, 200..=299 | 400) && is_oauth && says(GRANT_WORDS) && says(DEAD_WORDS) {
        return Err(NoTokens::Dead(format!(
            "zalo does not take the token any more (error {code}): it was used, or it expired"
        )));
    }
    unavailable(format!("zalo gives no tokens (error {code})"))
}

#[cfg(test)]
mod tests;
