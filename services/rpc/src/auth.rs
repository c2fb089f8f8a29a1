//! Who calls, and what each method asks of a caller.

mod caller;
mod local_token;
mod method;
mod tokens;

pub use caller::{Caller, Scope, Scopes, UnknownScope};
pub use local_token::{FILE as LOCAL_TOKEN_FILE, LocalTokenError, ensure_local_token, read_local_token};
pub use tokens::{Tokens, hash_token};

pub(crate) use method::{Access, Method, method};

use crate::error::Problem;
use http::{HeaderMap, header::AUTHORIZATION};

/// The caller that the headers prove, for a method; `None` when the method asks for none.
pub(crate) fn authorize(headers: &HeaderMap, method: &Method, tokens: &Tokens) -> Result<Option<Caller>, Problem> {
    let Access::Scope(scope) = method.access else {
        return Ok(None);
    };
    let caller = authenticate(headers, tokens)?;
    if caller.scopes.contains(scope) {
        return Ok(Some(caller));
    }
    let problem = Problem::denied("SCOPE_MISSING", format!("the token lacks scope {scope}"));
    Err(problem.with("scope", scope.as_str()))
}

fn authenticate(headers: &HeaderMap, tokens: &Tokens) -> Result<Caller, Problem> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let message = "no token: send metadata authorization: Bearer <token>";
        return Err(Problem::unauthenticated("TOKEN_MISSING", message));
    };
    let bytes = header.as_bytes();
    let presented = bytes.split_at_checked(BEARER.len());
    let presented = presented.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(BEARER));
    let caller = presented.and_then(|(_, token)| tokens.find(token));
    caller.ok_or_else(|| Problem::unauthenticated("TOKEN_UNKNOWN", "the token is not known here"))
}

/// What stands before the token.
const BEARER: &[u8] = b"Bearer ";
