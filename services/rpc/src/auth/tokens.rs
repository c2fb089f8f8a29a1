//! The tokens that are known, as hashes.

use super::caller::Caller;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq as _;

/// Known tokens. Only their hashes are held; tokens are random, so that a plain hash cannot be guessed back.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Vec<([u8; 32], Caller)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.known.iter().map(|(_, caller)| &caller.name);
        formatter.debug_set().entries(names).finish()
    }
}

/// How a token is kept: SHA-256.
#[must_use]
pub fn hash_token(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Tokens {
    /// No token is known: every method that asks for one refuses.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a token; an empty one never.
    pub fn add(&mut self, token: &str, caller: Caller) {
        if !token.is_empty() {
            self.add_hash(hash_token(token.as_bytes()), caller);
        }
    }

    /// Adds a token by its hash.
    pub fn add_hash(&mut self, hash: [u8; 32], caller: Caller) {
        self.known.push((hash, caller));
    }

    /// The caller of a presented token. Looks at all of them, whichever it is.
    pub(crate) fn find(&self, presented: &[u8]) -> Option<Caller> {
        let presented = hash_token(presented);
        let mut found = None;
        for (hash, caller) in &self.known {
            if bool::from(hash.ct_eq(&presented)) {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scopes;

    #[test]
    fn tokens_are_found_and_never_printed() {
        let mut tokens = Tokens::new();
        tokens.add("one", Caller::new("first", "t", Scopes::all()));
        tokens.add("two", Caller::new("second", "t", Scopes::all()));
        tokens.add("", Caller::internal());
        assert_eq!(&*tokens.find(b"one").unwrap().name, "first");
        assert_eq!(&*tokens.find(b"two").unwrap().name, "second");
        assert_eq!((tokens.find(b""), tokens.find(b"three")), (None, None));
        assert_eq!(format!("{tokens:?}"), r#"{"first", "second"}"#);
    }
}
