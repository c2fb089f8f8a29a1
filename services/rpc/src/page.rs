//! Pages of lists: sizes and opaque tokens.
//!
//! A token is bound to the tenant and the query it was made for, and authenticated, so that nobody can read elsewhere by
//! making one up.

use crate::error::Problem;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_core::id::hash;
use sha2::Sha256;

/// Size of a page when none is asked for.
pub const DEFAULT_SIZE: usize = 50;
/// Largest page.
pub const MAX_SIZE: usize = 1000;

/// First byte of a token, for later forms.
const VERSION: u8 = 1;
/// Bytes of the query's hash.
const QUERY: usize = 8;
/// Bytes of the authentication tag.
const TAG: usize = 16;
/// Longest token taken; ours are far shorter.
const MAX_TOKEN: usize = 4096;

/// How many items a page has: 0 means the default, more than the most means the most.
pub fn size(requested: i32) -> Result<usize, Problem> {
    match usize::try_from(requested) {
        Err(_) => Err(Problem::invalid("page_size", "must not be negative")),
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
    }
}

/// Makes and reads page tokens.
#[derive(Clone)]
pub struct Tokens {
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens under a secret that all replicas share, such as the cluster's token.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        // Hashed to the block size's half, so that a secret of any length is a key.
        let key = hash("page tokens", &[secret]);
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        Self {
            keyed: Hmac::<Sha256>::new(&block.into()),
        }
    }

    /// The token of a cursor. `query` is everything that decides what is listed: tenant, method, filters.
    #[must_use]
    pub fn token(&self, query: &[&[u8]], cursor: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&query_hash(query));
        bytes.extend_from_slice(cursor);
        let tag = self.keyed.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The cursor in a token; `None` for an empty token, which asks for the first page.
    pub fn cursor(&self, query: &[&[u8]], token: &str) -> Result<Option<Vec<u8>>, Problem> {
        if token.is_empty() {
            return Ok(None);
        }
        let damaged = || Problem::invalid("page_token", "is not a token of this gateway");
        if token.len() > MAX_TOKEN {
            return Err(damaged());
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| damaged())?;
        let signed_length = bytes.len().checked_sub(TAG).ok_or_else(damaged)?;
        let (signed, tag) = bytes.split_at(signed_length);
        let check = self.keyed.clone().chain_update(signed).verify_truncated_left(tag);
        check.map_err(|_| damaged())?;
        let rest = signed.strip_prefix(&[VERSION]).ok_or_else(damaged)?;
        let (of_query, cursor) = rest.split_at_checked(QUERY).ok_or_else(damaged)?;
        if of_query != query_hash(query) {
            return Err(Problem::invalid(
                "page_token",
                "belongs to another query: repeat all other fields",
            ));
        }
        Ok(Some(cursor.to_vec()))
    }
}

fn query_hash(query: &[&[u8]]) -> [u8; QUERY] {
    let mut short = [0; QUERY];
    short.copy_from_slice(&hash("query", query)[..QUERY]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[&[u8]] = &[b"tenant", b"ListCustomers"];

    #[test]
    fn sizes_are_coerced() {
        assert_eq!((size(0), size(7), size(1_000_000)), (Ok(50), Ok(7), Ok(1000)));
        assert_eq!(size(-1).unwrap_err().details.fields[0].0, "page_size");
    }

    #[test]
    fn tokens_lead_back_to_their_cursor() {
        let tokens = Tokens::new(b"secret");
        for cursor in [&b""[..], b"x", &[0; 200]] {
            let token = tokens.token(QUERY, cursor);
            assert_eq!(tokens.cursor(QUERY, &token), Ok(Some(cursor.to_vec())));
        }
        assert_eq!(tokens.cursor(QUERY, ""), Ok(None));
    }

    #[test]
    fn every_damaged_token_is_refused() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.token(QUERY, b"cursor");
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).unwrap();
        for place in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1;
            assert!(
                tokens.cursor(QUERY, &BASE64URL_NOPAD.encode(&bytes)).is_err(),
                "byte {place}"
            );
            let cut = BASE64URL_NOPAD.encode(&bytes[..place]);
            assert!(place == 0 || tokens.cursor(QUERY, &cut).is_err(), "cut at {place}");
        }
        for text in ["x", "!", &"A".repeat(5000)] {
            assert!(tokens.cursor(QUERY, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_of_another_query_or_another_gateway_is_refused() {
        let tokens = Tokens::new(b"secret");
        let token = tokens.token(&[b"other", b"ListCustomers"], b"cursor");
        let problem = tokens.cursor(QUERY, &token).unwrap_err();
        assert!(problem.message.contains("another query"), "{problem}");
        assert!(
            Tokens::new(b"else")
                .cursor(&[b"other", b"ListCustomers"], &token)
                .is_err()
        );
    }
}
