//! Why a template says nothing to somebody.

use crate::sms::segment::TooLong;
use crate::template::syntax::Place;
use crate::template::value::NotAValue;

/// Why a template says nothing to somebody. None of the texts holds a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// A value that is required is not known, or empty.
    #[error("{0:?} is required and not known")]
    MissingData(String),
    /// A value is not of its variable's type.
    #[error("{variable:?} {problem}")]
    InvalidData {
        /// Name of the variable.
        variable: String,
        /// What is wrong.
        problem: NotAValue,
    },
    /// There is nothing in a language that they read.
    #[error("the template has nothing for channel {channel:?} in {locale:?} or the tenant's language")]
    NoVariant {
        /// Kind of channel.
        channel: String,
        /// Their language.
        locale: String,
    },
    /// The text takes more SMS segments than allowed.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It cannot be worked out for them.
    #[error("{field}: {problem}")]
    NotRendered {
        /// Field of the definition, with the line.
        field: String,
        /// What happened.
        problem: &'static str,
    },
}

impl Refusal {
    /// Its name, for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::MissingData(_) => "MISSING_DATA",
            Self::InvalidData { .. } => "INVALID_DATA",
            Self::NoVariant { .. } => "NO_VARIANT",
            Self::TooLong(_) => "TOO_LONG",
            Self::NotRendered { .. } => "NOT_RENDERED",
        }
    }

    /// The variable that it is about; empty when about none.
    #[must_use]
    pub fn variable(&self) -> &str {
        match self {
            Self::MissingData(variable) | Self::InvalidData { variable, .. } => variable,
            Self::NoVariant { .. } | Self::TooLong(_) | Self::NotRendered { .. } => "",
        }
    }
}

/// A place where a text failed, and why in the engine's words, which may hold values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::template) struct Fault {
    pub(in crate::template) field: String,
    pub(in crate::template) place: Place,
    pub(in crate::template) problem: &'static str,
    pub(in crate::template) detail: String,
}

/// A refusal that is due to somebody's data, or a fault of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::template) enum Failed {
    Refused(Refusal),
    Fault(Fault),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(refusal) => refusal,
            Failed::Fault(fault) => Self::NotRendered {
                field: match fault.place.line {
                    0 => fault.field,
                    line => format!("{}, line {line}", fault.field),
                },
                problem: fault.problem,
            },
        }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
