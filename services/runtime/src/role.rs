//! The roles a process can take.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// One part of the gateway that can run alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Hosts adapters and faces the Internet.
    Edge,
    /// Puts pushes durably on the broker.
    Ingest,
    /// Applies events to customers.
    Unify,
    /// Sends.
    Dispatch,
    /// Does everything that happens by itself.
    Scheduler,
    /// Answers internal services.
    Api,
}

/// Roles of one process.
pub type RoleSet = BTreeSet<Role>;

/// No role has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{given:?} is not a role; roles are edge, ingest, unify, dispatch, scheduler and api")]
pub struct UnknownRole {
    /// What was given.
    pub given: String,
}

impl Role {
    /// All roles, in the order in which they start.
    #[must_use]
    pub fn all() -> RoleSet {
        RoleSet::from([
            Self::Edge,
            Self::Ingest,
            Self::Unify,
            Self::Dispatch,
            Self::Scheduler,
            Self::Api,
        ])
    }

    /// Its name, as the command line and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Ingest => "ingest",
            Self::Unify => "unify",
            Self::Dispatch => "dispatch",
            Self::Scheduler => "scheduler",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::all()
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole {
                given: text.chars().take(40).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        assert_eq!(Role::all().len(), 6);
        for role in Role::all() {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
    }

    #[test]
    fn an_unknown_name_lists_every_role() {
        let error = "worker".parse::<Role>().unwrap_err().to_string();
        for role in Role::all() {
            assert!(error.contains(role.as_str()), "{error} names {role}");
        }
    }
}
