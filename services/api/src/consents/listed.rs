//! The suppression list.

use super::{MAX_SOURCE, channel, short};
use crate::customers::{Asked, canonical_of};
use crate::{Api, problems};
use omnigate_core::consent::suppression::{cause, holds};
use omnigate_core::id::SuppressionId;
use omnigate_core::protocol::consent::{self, NotListed};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{SuppressionCause, SuppressionRecord};
use omnigate_proto::v1::{
    GetSuppressionRequest, Identifier, SuppressRequest, Suppression, SuppressionReason, UnsuppressRequest,
    get_suppression_request, unsuppress_request,
};
use omnigate_rpc::error::Problem;
use std::time::Duration;

/// When to come back after a refusal for want of room.
const LATER: Duration = Duration::from_secs(60);

impl Api {
    pub(super) async fn put_on_list(
        &self,
        tenant_id: &str,
        mut request: SuppressRequest,
    ) -> Result<Suppression, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "suppress", &request)?;
        let identifier = request.identifier.clone().unwrap_or_default();
        let now = self.ports.clock.now();
        place(&request.channel, request.reason())?;
        short("source", &request.source, MAX_SOURCE)?;
        let until = request.until.as_ref().map(Moment::from_timestamp);
        if until.is_some_and(|until| until <= now) {
            return Err(Problem::invalid("until", "must lie ahead"));
        }
        let id = self.suppression_id(tenant_id, &identifier).await?;
        let command = self.remember(&asked, asked.record(self)).await?;
        let added = SuppressionCause {
            channel: request.channel.clone(),
            reason: request.reason,
            marketing_only: request.marketing_only,
            at_ms: command.at_ms,
            source: request.source.clone(),
            until_ms: until.map_or(0, |until| until.0),
            lifted_at_ms: 0,
            events: Vec::new(),
        };
        let list = consent::suppress(&self.context(), tenant_id, id, &added).await;
        let list = list.map_err(|refused| not_listed(&refused))?;
        let stands = cause(&list, &request.channel, request.reason());
        stands.map(|cause| one(id, cause, now)).ok_or_else(Problem::internal)
    }

    pub(super) async fn take_off_list(
        &self,
        tenant_id: &str,
        mut request: UnsuppressRequest,
    ) -> Result<Vec<Suppression>, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "unsuppress", &request)?;
        place(&request.channel, request.reason())?;
        let id = match &request.of {
            Some(unsuppress_request::Of::Identifier(identifier)) => self.suppression_id(tenant_id, identifier).await?,
            Some(unsuppress_request::Of::SuppressionId(id)) => problems::id("suppression_id", id)?,
            None => return Err(Problem::invalid("of", "must be an identifier or its hash")),
        };
        let command = self.remember(&asked, asked.record(self)).await?;
        let entry = (request.channel.as_str(), request.reason());
        let left = consent::lift(&self.context(), tenant_id, id, entry, Moment(command.at_ms)).await;
        let left = left.map_err(|refused| not_listed(&refused))?;
        Ok(shown(id, &left, self.ports.clock.now()).collect())
    }

    pub(super) async fn on_list(
        &self,
        tenant_id: &str,
        request: GetSuppressionRequest,
    ) -> Result<(SuppressionId, Vec<Suppression>), Problem> {
        let id = match &request.of {
            Some(get_suppression_request::Of::Identifier(identifier)) => {
                self.suppression_id(tenant_id, identifier).await?
            }
            Some(get_suppression_request::Of::SuppressionId(id)) => problems::id("suppression_id", id)?,
            None => return Err(Problem::invalid("of", "must be an identifier or its hash")),
        };
        Ok((id, self.suppressions_under(tenant_id, id).await?))
    }

    /// What the list says of a canonical identifier.
    pub(crate) async fn suppressions_of(
        &self,
        tenant_id: &str,
        identifier: &Identifier,
    ) -> Result<Vec<Suppression>, Problem> {
        let id = self.hashed(tenant_id, identifier).await?;
        self.suppressions_under(tenant_id, id).await
    }

    async fn suppressions_under(&self, tenant_id: &str, id: SuppressionId) -> Result<Vec<Suppression>, Problem> {
        let record = consent::listed(&self.context(), tenant_id, id).await;
        let record = record.map_err(|error| problems::store(&error))?;
        Ok(shown(id, &record, self.ports.clock.now()).collect())
    }

    async fn suppression_id(&self, tenant_id: &str, given: &Identifier) -> Result<SuppressionId, Problem> {
        self.hashed(tenant_id, &canonical_of(given, "identifier")?).await
    }

    async fn hashed(&self, tenant_id: &str, identifier: &Identifier) -> Result<SuppressionId, Problem> {
        let id = consent::id(&self.context(), tenant_id, identifier).await;
        id.map_err(|stop| problems::stop(&stop))
    }
}

/// Which entry is meant.
fn place(name: &str, reason: SuppressionReason) -> Result<(), Problem> {
    if !name.is_empty() {
        channel(name)?;
    }
    if reason == SuppressionReason::Unspecified {
        return Err(Problem::invalid("reason", "must be set"));
    }
    Ok(())
}

fn not_listed(refused: &NotListed) -> Problem {
    match refused {
        NotListed::TooManyCauses(_) => Problem::exhausted("TOO_MANY_CHANNELS", refused.to_string(), LATER),
        NotListed::Stop(reason) => problems::stop(reason),
    }
}

/// Everything that is said about one identifier, as readers see it.
pub(super) fn shown(
    id: SuppressionId,
    record: &SuppressionRecord,
    now: Moment,
) -> impl Iterator<Item = Suppression> + '_ {
    record.causes.iter().map(move |cause| one(id, cause, now))
}

fn one(id: SuppressionId, cause: &SuppressionCause, now: Moment) -> Suppression {
    let time = |ms: i64| (ms != 0).then(|| Moment(ms).to_timestamp());
    Suppression {
        suppression_id: id.to_string(),
        channel: cause.channel.clone(),
        reason: cause.reason,
        marketing_only: cause.marketing_only,
        at: time(cause.at_ms),
        source: cause.source.clone(),
        until: time(cause.until_ms),
        holds: holds(cause, now),
        lifted_at: time(cause.lifted_at_ms),
    }
}
