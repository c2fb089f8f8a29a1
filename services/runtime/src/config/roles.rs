//! Whether a process with some of the roles can work with what is configured.

use super::Config;
use crate::role::{Role, RoleSet};

/// Some roles cannot run with this configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot run {roles} without the other roles:\n{}", .missing.join("\n"))]
pub struct RolesError {
    /// The roles asked for.
    pub roles: String,
    /// What must be set and why, one key each.
    pub missing: Vec<String>,
}

/// Checks that a process with these roles reaches everything that the roles meet at. With all roles in one process there
/// is nothing to set: the embedded broker and store are its own.
pub fn check_roles(config: &Config, roles: &RoleSet) -> Result<(), RolesError> {
    if *roles == Role::all() {
        return Ok(());
    }
    let mut missing = Vec::new();
    let mut need = |is_set: bool, set: &str, why: &str| {
        if !is_set {
            missing.push(format!("set {set}: {why}"));
        }
    };
    if roles.is_empty() {
        need(false, "at least one role", "none was given");
    }
    let has = |role| roles.contains(&role);
    if roles.iter().any(|role| *role != Role::Edge) {
        let why = "the embedded broker serves one process only, and the other roles would never see its messages";
        need(config.broker.url.is_some(), "broker.url (such as amqp://host)", why);
    }
    if let Some(why) = store_wanted(config, roles) {
        need(config.store.url.is_some(), "store.url (such as redis://host)", why);
    }
    if has(Role::Edge) && !has(Role::Ingest) {
        let why = "edge pushes to the ingest role, which is not in this process";
        need(
            config.connect.ingest.is_some(),
            "connect.ingest (such as ingest:7401)",
            why,
        );
    }
    if has(Role::Edge) && !has(Role::Scheduler) {
        let why = "edge takes session leases from the scheduler role, which is not in this process";
        need(
            config.connect.sessions.is_some(),
            "connect.sessions (such as scheduler:7403)",
            why,
        );
    }
    if has(Role::Dispatch) && !has(Role::Edge) {
        let why = "dispatch sends through the edge role, which is not in this process";
        need(config.connect.edge.is_some(), "connect.edge (such as edge:7402)", why);
    }
    if [Role::Edge, Role::Ingest, Role::Dispatch, Role::Scheduler]
        .into_iter()
        .any(has)
    {
        let why = "roles in different processes know each other by it";
        need(config.cluster.token.is_some(), "cluster.token", why);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let roles = names.join(", ");
    Err(RolesError { roles, missing })
}

/// Why the roles need a store, where they do.
fn store_wanted(config: &Config, roles: &RoleSet) -> Option<&'static str> {
    let has = |role| roles.contains(&role);
    if [Role::Unify, Role::Dispatch, Role::Scheduler, Role::Api]
        .into_iter()
        .any(has)
    {
        return Some("the embedded store serves one process only, and the other roles would never see its records");
    }
    let seals = has(Role::Ingest) && config.broker.seal != Some(false);
    seals.then_some("it has the keys with which ingest seals what it puts on the broker; or set broker.seal = false")
}
