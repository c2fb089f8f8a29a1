//! OAuth v4 of Official Accounts: consent, codes, and tokens that rotate.
//!
//! The keys of an error's body and most of its codes are not documented; only `-14002` and `-14003` are. Who asks whether
//! `access_token` is there does right.

use super::{
    answer::{Outcome, Refused, Reply},
    params::Params,
    world::World,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How long a code can be exchanged.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// Codes and tokens remembered of each kind, the spent ones included.
const MOST_TOKENS: usize = 20_000;
const APP_INVALID: i32 = -14_002;
const REDIRECT_INVALID: i32 = -14_003;
const SECRET_INVALID: i32 = -14_004;
const CODE_INVALID: i32 = -14_005;
const REFRESH_INVALID: i32 = -14_014;
const GRANT_INVALID: i32 = -14_001;

/// A code or token of one OA.
#[derive(Clone, Debug)]
struct Token {
    oa: usize,
    until_ms: i64,
    /// A spent code or refresh token, a revoked access token.
    is_spent: bool,
    challenge: Option<String>,
}

/// Tokens of one kind, the oldest forgotten first.
#[derive(Debug, Default)]
struct Ring {
    by_text: HashMap<String, Token>,
    order: VecDeque<String>,
}

impl Ring {
    fn add(&mut self, text: String, token: Token) {
        self.order.push_back(text.clone());
        self.by_text.insert(text, token);
        if self.order.len() > MOST_TOKENS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_text.remove(&oldest);
        }
    }

    fn of(&mut self, oa: usize) -> impl Iterator<Item = &mut Token> {
        self.by_text.values_mut().filter(move |token| token.oa == oa)
    }
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    codes: Ring,
    access: Ring,
    refresh: Ring,
    /// The newest pair of each OA.
    newest: HashMap<usize, (String, String)>,
}

/// Why an access token opens nothing; the two APIs have other codes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Unknown,
    Expired,
    Revoked,
}

impl Tokens {
    /// The OA whose token this is.
    pub(super) fn oa(&self, access_token: &str) -> Option<usize> {
        self.access.by_text.get(access_token).map(|token| token.oa)
    }

    pub(super) fn open(&self, access_token: &str, now_ms: i64) -> Result<usize, Closed> {
        let token = self.access.by_text.get(access_token).ok_or(Closed::Unknown)?;
        if token.is_spent {
            Err(Closed::Revoked)
        } else if now_ms >= token.until_ms {
            Err(Closed::Expired)
        } else {
            Ok(token.oa)
        }
    }

    pub(super) fn newest(&self, oa: usize) -> Option<&(String, String)> {
        self.newest.get(&oa)
    }

    /// Takes back everything that `oa` has granted.
    pub(super) fn revoke(&mut self, oa: usize) {
        for ring in [&mut self.codes, &mut self.access, &mut self.refresh] {
            ring.of(oa).for_each(|token| token.is_spent = true);
        }
    }

    /// Ends the life of the access tokens of `oa`; they can be refreshed.
    pub(super) fn expire(&mut self, oa: usize) {
        self.access.of(oa).for_each(|token| token.until_ms = i64::MIN);
    }
}

fn milliseconds(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX)
}

/// `base64url(SHA-256(verifier))` without padding.
fn challenge_of(verifier: &str) -> String {
    data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(verifier))
}

/// Whether `proof` is the hex HMAC-SHA256 of the token under the app's secret.
pub(super) fn is_proof(proof: &str, app_secret: &str, access_token: &str) -> bool {
    let Ok(mut keyed) = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()) else {
        return false;
    };
    keyed.update(access_token.as_bytes());
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(proof.as_bytes())
        .is_ok_and(|proof| keyed.verify_slice(&proof).is_ok())
}

impl World {
    /// Puts the tokens of the options in force.
    pub(super) fn grant_at_start(&mut self, oa: usize, now_ms: i64) {
        let identity = &self.oas[oa].identity;
        let (Some(access), Some(refresh)) = (identity.access_token.clone(), identity.refresh_token.clone()) else {
            return;
        };
        self.put(oa, access, refresh, now_ms);
    }

    fn put(&mut self, oa: usize, access: String, refresh: String, now_ms: i64) {
        let token = |life| Token {
            oa,
            until_ms: now_ms.saturating_add(milliseconds(life)),
            is_spent: false,
            challenge: None,
        };
        self.tokens
            .access
            .add(access.clone(), token(self.options.access_token_life));
        self.tokens
            .refresh
            .add(refresh.clone(), token(self.options.refresh_token_life));
        self.tokens.newest.insert(oa, (access, refresh));
        self.oas[oa].granted = true;
    }

    /// A code, as the callback gets it once an admin of `oa` has consented.
    pub(super) fn authorize(&mut self, oa: usize, challenge: Option<String>) -> String {
        let code = self.new_secret();
        let token = Token {
            oa,
            until_ms: self.now().unix_ms + milliseconds(CODE_LIFE),
            is_spent: false,
            challenge,
        };
        self.tokens.codes.add(code.clone(), token);
        code
    }

    /// `GET /v4/oa/permission`: the admin consents at once, for the OA that `oa_id` names or for the app's first.
    /// Answers where the browser is sent, as `location`.
    pub(super) fn permission(&mut self, params: &Params) -> Outcome {
        let field = |name: &str| params.query.get(name).and_then(|value| value.as_str());
        let app = self.active_app(field("app_id"))?;
        let identity = &self.apps[app].identity;
        let challenge = field("code_challenge").map(str::to_owned);
        let redirect = field("redirect_uri").unwrap_or_default();
        let matches = |expected: &Option<String>, given: Option<&str>| {
            expected.as_deref().is_none_or(|expected| given == Some(expected))
        };
        let invalid = || Refused::new(REDIRECT_INVALID, "Invalid redirect uri");
        if !matches(&identity.redirect_uri, Some(redirect)) || !matches(&identity.code_challenge, challenge.as_deref())
        {
            return Err(invalid());
        }
        let mut url = url::Url::parse(redirect).map_err(|_| invalid())?;
        let named = field("oa_id");
        let oa = self
            .oas
            .iter()
            .position(|oa| oa.app == app && named.is_none_or(|named| oa.identity.oa_id == named))
            .ok_or_else(|| Refused::new(APP_INVALID, "Invalid oa"))?;
        let code = self.authorize(oa, challenge.clone());
        url.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("oa_id", &self.oas[oa].identity.oa_id);
        for (name, value) in [("state", field("state")), ("code_challenge", challenge.as_deref())] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(Reply::default().with("location", json!(url.as_str())))
    }

    fn active_app(&self, app_id: Option<&str>) -> Result<usize, Refused> {
        self.apps
            .iter()
            .position(|app| Some(app.identity.app_id.as_str()) == app_id && app.identity.active)
            .ok_or_else(|| Refused::new(APP_INVALID, "Invalid app id"))
    }

    /// `POST /v4/oa/access_token`.
    pub(super) fn exchange(&mut self, params: &Params, secret_key: Option<&str>) -> Outcome {
        let app = self.active_app(params.form("app_id"))?;
        if secret_key != Some(self.apps[app].identity.app_secret.as_str()) {
            return Err(Refused::new(SECRET_INVALID, "Invalid secret key"));
        }
        let oa = match params.form("grant_type") {
            Some("authorization_code") => self.spend_code(params)?,
            Some("refresh_token") => self.spend_refresh_token(params)?,
            _ => return Err(Refused::new(GRANT_INVALID, "Invalid grant type")),
        };
        let (access, refresh) = (self.new_secret(), self.new_secret());
        let now_ms = self.now().unix_ms;
        self.put(oa, access.clone(), refresh.clone(), now_ms);
        self.journal.counters.tokens += 1;
        let life = self.options.access_token_life.as_secs().to_string();
        Ok(Reply::default()
            .with("access_token", json!(access))
            .with("refresh_token", json!(refresh))
            .with("expires_in", json!(life)))
    }

    fn spend_code(&mut self, params: &Params) -> Result<usize, Refused> {
        let invalid = || Refused::new(CODE_INVALID, "Invalid authorization code");
        let app = self.active_app(params.form("app_id"))?;
        let now_ms = self.now().unix_ms;
        let code = params.form("code").ok_or_else(invalid)?;
        let token = self.tokens.codes.by_text.get_mut(code).ok_or_else(invalid)?;
        if token.is_spent || now_ms >= token.until_ms || self.oas[token.oa].app != app {
            return Err(invalid());
        }
        if let Some(challenge) = &token.challenge
            && params.form("code_verifier").map(challenge_of).as_ref() != Some(challenge)
        {
            return Err(Refused::new(CODE_INVALID, "Invalid code verifier"));
        }
        token.is_spent = true;
        Ok(token.oa)
    }

    fn spend_refresh_token(&mut self, params: &Params) -> Result<usize, Refused> {
        let invalid = || Refused::new(REFRESH_INVALID, "Invalid refresh token");
        let app = self.active_app(params.form("app_id"))?;
        let now_ms = self.now().unix_ms;
        let refresh = params.form("refresh_token").ok_or_else(invalid)?;
        let token = self.tokens.refresh.by_text.get_mut(refresh).ok_or_else(invalid)?;
        if token.is_spent {
            self.journal.counters.refresh_reuse += 1;
            return Err(invalid());
        }
        if now_ms >= token.until_ms || self.oas[token.oa].app != app {
            return Err(invalid());
        }
        token.is_spent = true;
        Ok(token.oa)
    }
}
