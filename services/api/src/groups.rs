//! Consumer groups: subscribing as a member, acknowledging, listing, deleting.

mod log;
mod member;
mod places;
mod token;

pub(crate) use places::Places;

use crate::{Api, problems};
use data_encoding::HEXLOWER;
use futures_util::future::try_join_all;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use member::{Member, Told};
use omnigate_core::consumer_group::{Position, is_name};
use omnigate_core::protocol::consumer_group::{self, GroupError, Sent};
use omnigate_core::protocol::lease::{self, LeaseError};
use omnigate_core::topology;
use omnigate_proto::v1::{AcknowledgeResponse, EventGroup, SubscribeRequest};
use omnigate_rpc::error::Problem;
use omnigate_runtime::stop::Phase;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Responses that wait for the subscriber to read them.
const WAITING: usize = 16;
/// When to come back after a refusal for want of room.
const LATER: Duration = Duration::from_secs(1);
/// Most tokens of one call.
const MAX_TOKENS: usize = 1000;

impl Api {
    /// Subscribes as a member of a group.
    pub(crate) async fn join_group(
        &self,
        tenant_id: &str,
        asked: &SubscribeRequest,
    ) -> Result<BoxStream<'static, Told>, Problem> {
        named(&asked.group)?;
        if !asked.resume_token.is_empty() {
            let problem = "must be empty with a group, which keeps its place itself";
            return Err(Problem::invalid("resume_token", problem));
        }
        let limit = self.settings.max_unacknowledged;
        let most = match usize::try_from(asked.max_unacknowledged).unwrap_or(limit) {
            0 => limit,
            wanted => wanted.min(limit),
        };
        let made = consumer_group::ensure(&self.context(), tenant_id, &asked.group, asked.from_oldest).await;
        let group = made.map_err(|error| not_changed(&error))?;
        let owner = HEXLOWER.encode(&self.ports.entropy.bytes());
        let (out, told) = mpsc::channel(WAITING);
        // A stop waits until it has given its logs back.
        let member = Member::new(self.clone(), group, owner, most, out);
        self.stop.tasks(Phase::Flush).spawn(member.run());
        let told = stream::unfold(told, async |mut told| told.recv().await.map(|next| (next, told)));
        Ok(told.boxed())
    }

    /// Moves the places of a group.
    pub(crate) async fn acknowledge_events(
        &self,
        tenant_id: &str,
        group: &str,
        tokens: &[String],
    ) -> Result<AcknowledgeResponse, Problem> {
        named(group)?;
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(Problem::invalid("ack_tokens", format!("must be 1 to {MAX_TOKENS}")));
        }
        let logs = topology::event_log_count(self.partitions);
        let mut tokens_of: BTreeMap<Sent, (Position, Vec<String>)> = BTreeMap::new();
        for token in tokens {
            let read = token::decode(token).filter(|(sent, _)| sent.log.0 < logs);
            let (sent, position) =
                read.ok_or_else(|| Problem::invalid("ack_tokens", "has one that is no token of this gateway"))?;
            let (furthest, of_log) = tokens_of.entry(sent).or_default();
            *furthest = (*furthest).max(position);
            of_log.push(token.clone());
        }
        let context = self.context();
        let moves = tokens_of.into_iter().map(|(sent, (position, tokens))| {
            let context = &context;
            async move {
                let moved = consumer_group::acknowledge(context, (tenant_id, group), sent, position).await?;
                if moved {
                    self.places.acknowledged(sent, position);
                }
                Ok(if moved { Vec::new() } else { tokens })
            }
        });
        let lost: Vec<Vec<String>> = try_join_all(moves).await.map_err(|error| not_moved(&error))?;
        let handed_over = lost.into_iter().flatten().collect();
        Ok(AcknowledgeResponse { handed_over })
    }

    /// Groups of a tenant, with how many subscribe to each.
    pub(crate) async fn groups(&self, tenant_id: &str) -> Result<Vec<EventGroup>, Problem> {
        let context = self.context();
        let groups = consumer_group::list(&context, tenant_id).await;
        let groups = groups.map_err(|error| problems::store(&error))?;
        let shown = groups.into_iter().map(async |group| {
            let members = lease::members(&context, &group.membership()).await;
            let members = members.map_err(|error| problems::store(&error))?;
            Ok(EventGroup {
                group: group.name,
                created_at: Some(group.created_at.to_timestamp()),
                members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            })
        });
        try_join_all(shown).await
    }

    /// Forgets a group.
    pub(crate) async fn delete_group(&self, tenant_id: &str, group: &str) -> Result<(), Problem> {
        named(group)?;
        let logs = topology::event_logs(self.partitions);
        let deleted = consumer_group::delete(&self.context(), tenant_id, group, logs).await;
        deleted.map(drop).map_err(|error| not_changed(&error))
    }
}

fn named(group: &str) -> Result<(), Problem> {
    match is_name(group) {
        true => Ok(()),
        false => Err(Problem::invalid(
            "group",
            "must be 1 to 64 letters, digits, `.`, `_` or `-`",
        )),
    }
}

/// A consumer group was not made or not deleted.
fn not_changed(error: &GroupError) -> Problem {
    let text = error.to_string();
    match error {
        GroupError::Full => Problem::exhausted("GROUPS_FULL", text, LATER),
        GroupError::Missing => Problem::not_found("GROUP_NOT_FOUND", text),
        GroupError::InUse => Problem::failed_precondition("GROUP_IN_USE", text),
        GroupError::Stop(reason) => problems::stop(reason),
    }
}

/// A lease was not taken, kept or moved.
fn not_moved(error: &LeaseError) -> Problem {
    match error {
        LeaseError::Stop(reason) => problems::stop(reason),
        LeaseError::Held { .. } | LeaseError::Lost(_) => {
            Problem::aborted("LEASE_LOST", "another member has it; try again")
        }
        LeaseError::CursorTooLong(_) => {
            tracing::error!(%error, "a lease was not kept");
            Problem::internal()
        }
    }
}
