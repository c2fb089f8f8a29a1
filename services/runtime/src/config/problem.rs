//! What is wrong with a configuration, in words that say what to change.

use std::{fmt, path::PathBuf};

/// Everything that is wrong with a configuration, one problem a line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigError {
    /// The problems, at least one.
    pub problems: Vec<Problem>,
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Neither: a default, or the configuration as a whole.
    Nowhere,
}

/// One thing that is wrong. Texts never hold configured values that could be secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where it was said.
    pub origin: Origin,
    /// Key path, such as `accounts.support.channel`; empty for the whole file.
    pub key: String,
    /// What is wrong and what would be right.
    pub what: String,
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(file) => write!(formatter, "{}: ", file.display())?,
            Origin::Variable(name) => write!(formatter, "{name}: ")?,
            Origin::Nowhere => {}
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.what)
    }
}
