//! What a filter can look at.

use super::names::nearest;
use crate::details::{Schema, ValueType};
use std::fmt;

/// Type of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
    /// Milliseconds since the epoch.
    Time,
    /// Milliseconds.
    Span,
    List(Box<Type>),
    Customer,
    Identifier,
    Attributes,
    /// Known only when it is evaluated: an attribute where none are configured.
    Any,
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => formatter.write_str("bool"),
            Self::Int => formatter.write_str("int"),
            Self::Double => formatter.write_str("double"),
            Self::Text => formatter.write_str("string"),
            Self::Time => formatter.write_str("timestamp"),
            Self::Span => formatter.write_str("duration"),
            Self::List(of) => write!(formatter, "list({of})"),
            Self::Customer => formatter.write_str("customer"),
            Self::Identifier => formatter.write_str("identifier"),
            Self::Attributes => formatter.write_str("attributes"),
            Self::Any => formatter.write_str("any"),
        }
    }
}

/// A name with its type.
type Field = (&'static str, fn() -> Type);

/// Fields of a customer.
pub(super) const CUSTOMER: &[Field] = &[
    ("accounts", texts),
    ("attributes", || Type::Attributes),
    ("channels", texts),
    ("created_at", || Type::Time),
    ("display_name", || Type::Text),
    ("entry_count", || Type::Int),
    ("id", || Type::Text),
    ("identifiers", || Type::List(Box::new(Type::Identifier))),
    ("last_inbound_at", || Type::Time),
    ("last_outbound_at", || Type::Time),
    ("locale", || Type::Text),
    ("merged", texts),
    ("reachable", || Type::Bool),
    ("tags", texts),
    ("username", || Type::Text),
];

/// Fields of an identifier; all are text.
pub(super) const IDENTIFIER: &[&str] = &["evidence", "scope", "type", "value"];

fn texts() -> Type {
    Type::List(Box::new(Type::Text))
}

/// Most names that an answer lists.
const MOST_NAMED: usize = 30;

impl Type {
    /// True for what a value of one type may be compared with or stand for.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(other)) => one.fits(other),
            (one, other) => one == other || one.is_number() && other.is_number(),
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Type of an attribute, or why there is none of this name.
    pub(super) fn of_attribute(schema: &Schema, name: &str) -> Result<Self, String> {
        if schema.attributes.is_empty() {
            return Ok(Self::Any);
        }
        match schema.attributes.get(name) {
            Some(ValueType::Text) => Ok(Self::Text),
            Some(ValueType::Number) => Ok(Self::Double),
            Some(ValueType::Flag) => Ok(Self::Bool),
            Some(ValueType::Time) => Ok(Self::Time),
            None => Err(unknown("attribute", name, schema.attributes.keys().map(String::as_str))),
        }
    }
}

/// What is said of a name that nobody knows: the one that was meant, perhaps, else those that there are.
pub(super) fn unknown<'a>(what: &str, given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let shown: String = given.chars().take(80).collect();
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(given, known.iter().copied()) {
        Some(near) => format!("unknown {what} {shown:?}; did you mean {near:?}?"),
        None if known.len() > MOST_NAMED => {
            let rest = known.len() - MOST_NAMED;
            format!(
                "unknown {what} {shown:?}; known: {}, and {rest} more",
                known[..MOST_NAMED].join(", ")
            )
        }
        None => format!("unknown {what} {shown:?}; known: {}", known.join(", ")),
    }
}
