//! Rows of an import: what they may hold, and what is wrong with those that are not taken.

use crate::identifier::{self, NotAnIdentifier, canonical};
use crate::identity::Named;
use crate::sms::phone;
use crate::template::locale::is_tag;
use crate::tenant::Rules;
use crate::time::zone;
use omnigate_proto::v1::{Evidence, Identifier, ImportRow};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

/// Most identifiers of a row.
const MAX_IDENTIFIERS: usize = 10;
/// Most variables of a row.
const MAX_VARIABLES: usize = 50;
/// Longest name of a variable, in bytes.
const MAX_VARIABLE_NAME: usize = 64;
/// Longest value of a variable, in bytes.
const MAX_VARIABLE: usize = 1024;
/// Most bytes of all variables.
const MAX_VARIABLES_BYTES: usize = 8 * 1024;
/// Longest name, in characters.
const MAX_DISPLAY_NAME: usize = 256;
/// Longest problem that a reader of files tells, in characters, and longest place of one.
const MAX_PROBLEM: usize = 256;
const MAX_PROBLEM_FIELD: usize = 128;

/// Why a row is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A field holds what it may not.
    FieldInvalid,
    /// Nothing tells who it is.
    NoIdentifier,
    /// An identifier stands for nobody in particular.
    IdentifierBlocked,
    /// Its identifiers belong to several customers.
    CustomersDiffer,
    /// They do, and rules forbid to merge them.
    CustomersApart,
    /// Somebody else got an identifier meanwhile.
    IdentifierTaken,
    /// The customer has no room for an identifier.
    NoRoom,
    /// The person was erased since the import began.
    Erased,
    /// Whoever reads the file could not read it.
    Unreadable,
}

impl Reason {
    /// As the contract names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldInvalid => "FIELD_INVALID",
            Self::NoIdentifier => "NO_IDENTIFIER",
            Self::IdentifierBlocked => "IDENTIFIER_BLOCKED",
            Self::CustomersDiffer => "CUSTOMERS_DIFFER",
            Self::CustomersApart => "CUSTOMERS_APART",
            Self::IdentifierTaken => "IDENTIFIER_TAKEN",
            Self::NoRoom => "NO_ROOM",
            Self::Erased => "ERASED",
            Self::Unreadable => "UNREADABLE",
        }
    }
}

/// What is wrong with a row. None of it repeats what stands in the row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where; empty for the row as a whole.
    pub field: String,
    /// Which kind.
    pub reason: Reason,
    /// Why, for a person.
    pub text: String,
}

impl Problem {
    /// Of the row as a whole.
    #[must_use]
    pub fn of_row(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            field: String::new(),
            reason,
            text: text.into(),
        }
    }

    /// Of an identifier of the row.
    #[must_use]
    pub fn of_identifier(place: usize, reason: Reason, text: impl Into<String>) -> Self {
        Self {
            field: format!("identifiers[{place}]"),
            reason,
            text: text.into(),
        }
    }

    fn of(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: Reason::FieldInvalid,
            text: text.into(),
        }
    }
}

/// A row that can be taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// Its identifiers with their place in the row, in the order in which they are tried; at least one.
    pub identifiers: Vec<(usize, Named)>,
    /// What it says of the customer.
    pub said: Said,
}

/// What a row says of a customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// What templates may say of them.
    pub variables: BTreeMap<String, String>,
    /// Language tag; may be empty.
    pub locale: String,
    /// IANA time zone; may be empty.
    pub time_zone: String,
    /// Name to address them by; may be empty.
    pub display_name: String,
}

/// The row as it is taken, or the first thing that is wrong with it.
pub fn check(row: &ImportRow, rules: &Rules) -> Result<Row, Problem> {
    if !row.problem.is_empty() {
        let cut = |text: &str, most| text.chars().take(most).collect();
        return Err(Problem {
            field: cut(&row.problem_field, MAX_PROBLEM_FIELD),
            reason: Reason::Unreadable,
            text: cut(&row.problem, MAX_PROBLEM),
        });
    }
    Ok(Row {
        number: row.row,
        identifiers: identifiers(&row.identifiers, rules)?,
        said: Said {
            variables: variables(&row.variables)?,
            locale: locale(&row.locale)?,
            time_zone: time_zone(&row.time_zone)?,
            display_name: display_name(&row.display_name)?,
        },
    })
}

fn identifiers(given: &[Identifier], rules: &Rules) -> Result<Vec<(usize, Named)>, Problem> {
    if given.len() > MAX_IDENTIFIERS {
        return Err(Problem::of("identifiers", format!("at most {MAX_IDENTIFIERS}")));
    }
    let mut all: Vec<(usize, Named)> = Vec::with_capacity(given.len());
    let with_value = given
        .iter()
        .enumerate()
        .filter(|(_, given)| !given.value.trim().is_empty());
    for (place, given) in with_value {
        let identifier = identifier(place, given, rules.region.as_deref())?;
        if rules.blocked.holds(&identifier) {
            let text = "it stands for nobody in particular: it is blocked";
            return Err(Problem::of_identifier(place, Reason::IdentifierBlocked, text));
        }
        if all.iter().all(|(_, named)| named.identifier != identifier) {
            let named = Named {
                identifier,
                evidence: Evidence::Vouched,
                provider_form: String::new(),
            };
            all.push((place, named));
        }
    }
    if all.is_empty() {
        let text = "nothing tells who it is: no identifier has a value";
        return Err(Problem::of_row(Reason::NoIdentifier, text));
    }
    all.sort_by_cached_key(|(_, named)| identifier::rank(&named.identifier, named.evidence));
    Ok(all)
}

fn identifier(place: usize, given: &Identifier, region: Option<&str>) -> Result<Identifier, Problem> {
    let value = given.value.trim();
    let is_national = given.r#type.trim() == "phone" && !value.starts_with('+');
    let read = if is_national {
        let number = phone::parse(value, region);
        let number = number.map_err(|wrong| Problem::of_identifier(place, Reason::FieldInvalid, wrong.to_string()))?;
        canonical(&Identifier {
            value: number.e164().to_owned(),
            ..given.clone()
        })
    } else {
        canonical(given)
    };
    read.map_err(|wrong| {
        let reason = match wrong {
            NotAnIdentifier::Blocked => Reason::IdentifierBlocked,
            _ => Reason::FieldInvalid,
        };
        Problem::of_identifier(place, reason, wrong.to_string())
    })
}

fn variables(given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    if given.len() > MAX_VARIABLES {
        return Err(Problem::of("variables", format!("at most {MAX_VARIABLES}")));
    }
    let mut all = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in given {
        let field = || {
            format!(
                "variables[{}]",
                name.chars().take(MAX_VARIABLE_NAME).collect::<String>()
            )
        };
        if !is_variable(name) {
            let text = "a name has 1 to 64 letters, digits and _, and begins with a letter";
            return Err(Problem::of(field(), text));
        }
        let value: String = value.nfc().collect();
        if value.len() > MAX_VARIABLE {
            return Err(Problem::of(
                field(),
                format!("a value has at most {MAX_VARIABLE} bytes"),
            ));
        }
        if let Some(text) = control_problem(&value) {
            return Err(Problem::of(field(), text));
        }
        bytes += name.len() + value.len();
        all.insert(name.clone(), value);
    }
    if bytes > MAX_VARIABLES_BYTES {
        let text = format!("names and values have at most {MAX_VARIABLES_BYTES} bytes together");
        return Err(Problem::of("variables", text));
    }
    Ok(all)
}

/// True for a name that a template can ask for.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next();
    name.len() <= MAX_VARIABLE_NAME
        && first.is_some_and(|byte| byte.is_ascii_alphabetic())
        && name.bytes().all(is_usual)
}

fn locale(given: &str) -> Result<String, Problem> {
    let given = given.trim();
    if given.is_empty() || is_tag(given) {
        return Ok(given.to_owned());
    }
    Err(Problem::of(
        "locale",
        "must be a language tag of BCP 47, such as vi or en-GB",
    ))
}

fn time_zone(given: &str) -> Result<String, Problem> {
    let given = given.trim();
    if given.is_empty() {
        return Ok(String::new());
    }
    let zone = zone(given);
    let name = zone.as_ref().and_then(|zone| zone.iana_name());
    name.map(str::to_owned)
        .ok_or_else(|| Problem::of("time_zone", "must be a time zone of IANA, such as Asia/Ho_Chi_Minh"))
}

fn display_name(given: &str) -> Result<String, Problem> {
    let name: String = given.trim().nfc().collect();
    if name.chars().count() > MAX_DISPLAY_NAME {
        return Err(Problem::of(
            "display_name",
            format!("at most {MAX_DISPLAY_NAME} characters"),
        ));
    }
    match control_problem(&name) {
        Some(text) => Err(Problem::of("display_name", text)),
        None => Ok(name),
    }
}

/// Lines may be broken in what templates say; nothing else is steered by it.
fn control_problem(text: &str) -> Option<&'static str> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    text.chars().any(is_bad).then_some("must not hold control characters")
}

#[cfg(test)]
mod tests;
