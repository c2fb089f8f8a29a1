//! Identifiers: canonical forms and keys.

pub mod blocked;
mod variants;

pub use variants::variants;

use crate::id::{IdentifierKey, hash};
use omnigate_proto::v1::{Evidence, Identifier};
use std::cmp::Reverse;
use unicode_normalization::UnicodeNormalization as _;

/// Type of the identifier that every customer has from birth; nobody gives it one.
pub const BUILT_IN: &str = "self";
/// Type of what stands in the place of an identifier whose owner was erased.
pub const ERASED: &str = "erased";
/// Type of the ids of a system of record: two that differ prove two people.
pub const AUTHORITATIVE: &str = "crm";

/// Longest type and scope, in bytes.
const MAX_NAME: usize = 128;
/// Longest value, in bytes.
const MAX_VALUE: usize = 512;

/// Why a value cannot be an identifier.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAnIdentifier {
    /// The type is missing, too long or not lower case.
    #[error("type {0:?} must be 1 to 128 of a-z, 0-9 and _")]
    Type(String),
    /// The type is the gateway's own.
    #[error("type {0:?} is the gateway's own")]
    BuiltIn(String),
    /// The scope is too long.
    #[error("scope is longer than 128 bytes")]
    Scope,
    /// The value is empty or too long.
    #[error("value of a {0} must be 1 to 512 bytes")]
    Length(String),
    /// A phone number is not in E.164 form.
    #[error("a phone number must be in E.164 form, such as +84912345678")]
    Phone,
    /// A mail address has no local part or no domain.
    #[error("a mail address must be local@domain")]
    Email,
    /// The value is known to be shared by unrelated people.
    #[error("this value stands for nobody in particular")]
    Blocked,
}

/// Values that test systems and forms use for "nobody"; each has merged strangers somewhere (Segment ships such a list).
const NOBODY: &[&str] = &[
    "-1",
    "0",
    "null",
    "none",
    "nil",
    "undefined",
    "anonymous",
    "void",
    "test",
    "n/a",
    "unknown",
];

/// The canonical form of an identifier, or why there is none.
pub fn canonical(identifier: &Identifier) -> Result<Identifier, NotAnIdentifier> {
    let kind = identifier.r#type.trim();
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if kind.is_empty() || kind.len() > MAX_NAME || !kind.bytes().all(named) {
        return Err(NotAnIdentifier::Type(kind.chars().take(40).collect()));
    }
    if kind == BUILT_IN || kind == ERASED {
        return Err(NotAnIdentifier::BuiltIn(kind.to_owned()));
    }
    let scope = identifier.scope.trim();
    if scope.len() > MAX_NAME {
        return Err(NotAnIdentifier::Scope);
    }
    let value: String = identifier.value.trim().nfc().collect();
    if value.is_empty() || value.len() > MAX_VALUE {
        return Err(NotAnIdentifier::Length(kind.to_owned()));
    }
    if NOBODY.contains(&value.to_lowercase().as_str()) || value.chars().all(|c| matches!(c, '0' | '-' | '+' | ' ')) {
        return Err(NotAnIdentifier::Blocked);
    }
    let value = match kind {
        "phone" => canonical_phone(&value)?,
        "email" => match_form(&value)?,
        _ => value,
    };
    Ok(Identifier {
        r#type: kind.to_owned(),
        scope: scope.to_owned(),
        value,
    })
}

/// E.164; separators are dropped, nothing is guessed: national forms are the channel's to resolve, because only it knows
/// the region.
fn canonical_phone(value: &str) -> Result<String, NotAnIdentifier> {
    let digits: String = value
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    let number = digits.strip_prefix('+').ok_or(NotAnIdentifier::Phone)?;
    let plausible = (7..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if plausible && !number.starts_with('0') {
        Ok(digits)
    } else {
        Err(NotAnIdentifier::Phone)
    }
}

/// Match form of a mail address: lower case, nothing else. The delivery form stays beside it.
fn match_form(value: &str) -> Result<String, NotAnIdentifier> {
    let (local, domain) = value.rsplit_once('@').ok_or(NotAnIdentifier::Email)?;
    if local.is_empty() || domain.is_empty() || value.contains(char::is_whitespace) {
        return Err(NotAnIdentifier::Email);
    }
    Ok(format!("{}@{}", local.to_lowercase(), domain.to_lowercase()))
}

/// Where a canonical identifier of a tenant lives.
#[must_use]
pub fn key(tenant_id: &str, identifier: &Identifier) -> IdentifierKey {
    let digest = hash(
        "identifier",
        &[
            tenant_id.as_bytes(),
            identifier.r#type.as_bytes(),
            identifier.scope.as_bytes(),
            identifier.value.as_bytes(),
        ],
    );
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    IdentifierKey(key)
}

/// Fixed order in which identifiers of one event are tried, so that two workers who see the same pair try the same record
/// first: crm, phone, email, channel ids, visitors; then stronger evidence, then the text.
#[must_use]
pub fn rank(identifier: &Identifier, evidence: Evidence) -> impl Ord + use<> {
    let kind = match identifier.r#type.as_str() {
        "crm" => 0_u8,
        "phone" => 1,
        "email" => 2,
        "web_visitor" | "device_push" => 4,
        _ => 3,
    };
    (
        kind,
        Reverse(evidence as i32),
        identifier.r#type.clone(),
        identifier.scope.clone(),
        identifier.value.clone(),
    )
}

/// True for an id that a channel gives to somebody on it; neither a number nor an address, which outlive their holders, nor
/// what stands for a device.
#[must_use]
pub fn is_of_channel(identifier: &Identifier) -> bool {
    !matches!(
        identifier.r#type.as_str(),
        "crm" | "phone" | "email" | "web_visitor" | "device_push" | BUILT_IN | ERASED
    )
}

/// How many identifiers of a type (and scope, for scoped types) one customer may have.
#[must_use]
pub fn cap(kind: &str) -> usize {
    match kind {
        "phone" | "email" => 3,
        "wa_id" | "wa_bsuid" => 2,
        "web_visitor" | "device_push" => 5,
        BUILT_IN => crate::identity::MAX_MERGED,
        _ => 1,
    }
}

/// `type/scope/value`, for actors and logs of ids that are not personal.
#[must_use]
pub fn text(identifier: &Identifier) -> String {
    format!("{}/{}/{}", identifier.r#type, identifier.scope, identifier.value)
}

/// Back from [`text`], also from `type/value`; `None` for anything else. Nothing is made canonical.
#[must_use]
pub fn read_text(text: &str) -> Option<Identifier> {
    let parts: Vec<&str> = text.splitn(3, '/').collect();
    let (kind, scope, value) = match parts.as_slice() {
        [kind, value] => (*kind, "", *value),
        [kind, scope, value] => (*kind, *scope, *value),
        _ => return None,
    };
    Some(Identifier {
        r#type: kind.to_owned(),
        scope: scope.to_owned(),
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, value: &str) -> Identifier {
        Identifier {
            r#type: kind.into(),
            scope: String::new(),
            value: value.into(),
        }
    }

    #[test]
    fn phones_keep_only_digits_and_are_never_guessed() {
        assert_eq!(
            canonical(&of("phone", "+84 (91) 234-5678")).unwrap().value,
            "+84912345678"
        );
        assert_eq!(canonical(&of("phone", "0912345678")), Err(NotAnIdentifier::Phone));
        assert_eq!(canonical(&of("phone", "+0912345678")), Err(NotAnIdentifier::Phone));
    }

    #[test]
    fn written_identifiers_are_read_with_and_without_scope() {
        let named = of("phone", "+84912345678");
        assert_eq!(read_text(&text(&named)), Some(named.clone()));
        assert_eq!(read_text("phone/+84912345678"), Some(named));
        assert_eq!(
            read_text("tg_chat/shop/a/b").map(|read| read.value).as_deref(),
            Some("a/b")
        );
        assert_eq!(read_text("phone"), None);
    }

    #[test]
    fn mail_addresses_are_matched_in_lower_case() {
        assert_eq!(
            canonical(&of("email", " An.Nguyen+x@Example.VN ")).unwrap().value,
            "an.nguyen+x@example.vn"
        );
        assert_eq!(canonical(&of("email", "@example.vn")), Err(NotAnIdentifier::Email));
    }

    #[test]
    fn values_that_stand_for_nobody_are_refused() {
        for value in ["null", "Anonymous", "-1", "0000", "--", "test"] {
            assert_eq!(canonical(&of("crm", value)), Err(NotAnIdentifier::Blocked), "{value}");
        }
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_value() {
        assert_eq!(canonical(&of("crm", "e\u{301}")), canonical(&of("crm", "é")));
    }
}
