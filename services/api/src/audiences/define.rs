//! Audiences made, changed and deleted by people and systems.

use super::{not_done, to_audience};
use crate::customers::Asked;
use crate::{Api, problems};
use omnigate_core::audience::{Change, MAX_EXCLUDED, MAX_NAME, is_segment};
use omnigate_core::details::normal_text;
use omnigate_core::id::AudienceId;
use omnigate_core::protocol::audience::{self as protocol, NotDone};
use omnigate_core::protocol::identity::known;
use omnigate_proto::state::v1::AudienceRecord;
use omnigate_proto::v1::create_audience_request::Kind;
use omnigate_proto::v1::{Audience, CreateAudienceRequest, DeleteAudienceRequest, UpdateAudienceRequest};
use omnigate_rpc::error::Problem;

impl Api {
    pub(super) async fn create_audience_of(
        &self,
        tenant_id: &str,
        mut request: CreateAudienceRequest,
    ) -> Result<Audience, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "create audience", &request)?;
        let filter = match &request.kind {
            None => return Err(Problem::invalid("kind", "list or segment must be set")),
            Some(Kind::List(_)) => String::new(),
            Some(Kind::Segment(segment)) => self.segment_filter(&segment.filter)?,
        };
        let excluded = exclusions("excluded_audience_ids", &request.excluded_audience_ids)?;
        let mut record = AudienceRecord {
            tenant_id: tenant_id.to_owned(),
            display_name: name(&request.display_name)?,
            filter,
            excluded: excluded.iter().map(|id| id.to_bytes()).collect(),
            ..AudienceRecord::default()
        };
        let command = self.remember(&asked, asked.record(self)).await?;
        record.created_at_ms = command.at_ms;
        record.updated_at_ms = command.at_ms;
        let id = AudienceId::new(tenant_id, &asked.request_id);
        let made = protocol::create(&self.context(), id, record).await;
        let made = made.map_err(|refused| not_done(&refused))?;
        Ok(to_audience(&made, 0))
    }

    pub(super) async fn update_audience_of(
        &self,
        tenant_id: &str,
        mut request: UpdateAudienceRequest,
    ) -> Result<Audience, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "update audience", &request)?;
        let stored = self.audience(tenant_id, &request.audience_id).await?;
        let filter = match &request.segment {
            None => None,
            Some(_) if !is_segment(&stored.record) => {
                return Err(Problem::invalid("segment", "a list stays a list"));
            }
            Some(segment) => Some(self.segment_filter(&segment.filter)?),
        };
        let excluded = match &request.excluded {
            None => None,
            Some(excluded) => Some(exclusions("excluded.audience_ids", &excluded.audience_ids)?),
        };
        if excluded.as_ref().is_some_and(|excluded| excluded.contains(&stored.id)) {
            return Err(Problem::invalid(
                "excluded.audience_ids",
                "an audience cannot exclude itself",
            ));
        }
        let display_name = request.display_name.as_deref().map(name).transpose()?;
        if display_name.is_none() && filter.is_none() && excluded.is_none() {
            return Err(Problem::invalid("display_name", "nothing is to be changed"));
        }
        let command = self.command(&asked, &stored, &request.etag).await?;
        let change = Change {
            name: command,
            display_name,
            filter,
            excluded,
        };
        let changed = protocol::change(&self.context(), tenant_id, stored.id, (&change, &request.etag)).await;
        let changed = changed.map_err(|refused| not_done(&refused))?;
        self.counted(&changed).await
    }

    pub(super) async fn delete_audience_of(
        &self,
        tenant_id: &str,
        mut request: DeleteAudienceRequest,
    ) -> Result<(), Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "delete audience", &request)?;
        let id: AudienceId = problems::id("audience_id", &request.audience_id)?;
        let stands = known(&self.context(), tenant_id, &asked.request_id, asked.body_hash).await;
        let name = match stands.map_err(|refused| problems::not_done(&refused))? {
            Some(record) => record.name,
            None => {
                let stored = self.audience(tenant_id, &request.audience_id).await?;
                self.command(&asked, &stored, &request.etag).await?
            }
        };
        let deleted = protocol::delete(&self.context(), tenant_id, id, (&name, &request.etag)).await;
        deleted.map_err(|refused| not_done(&refused))
    }

    /// The name of a command, remembered; one that comes for the first time must find the version that it names.
    async fn command(
        &self,
        asked: &Asked<'_>,
        stored: &protocol::Audience,
        etag: &str,
    ) -> Result<bytes::Bytes, Problem> {
        let stands = known(&self.context(), asked.tenant_id, &asked.request_id, asked.body_hash).await;
        if let Some(record) = stands.map_err(|refused| problems::not_done(&refused))? {
            return Ok(record.name);
        }
        if !etag.is_empty() && etag != stored.etag() {
            return Err(not_done(&NotDone::Changed));
        }
        Ok(self.remember(asked, asked.record(self)).await?.name)
    }

    /// A filter that can be kept.
    fn segment_filter(&self, text: &str) -> Result<String, Problem> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Problem::invalid("segment.filter", "must not be empty"));
        }
        self.filter_of("segment.filter", text)?;
        Ok(text.to_owned())
    }
}

fn name(given: &str) -> Result<String, Problem> {
    let name = normal_text(given);
    let is_bad = name.chars().any(char::is_control);
    if name.is_empty() || name.chars().count() > MAX_NAME || is_bad {
        let text = format!("must have 1 to {MAX_NAME} characters, and no control characters");
        return Err(Problem::invalid("display_name", text));
    }
    Ok(name)
}

fn exclusions(field: &'static str, given: &[String]) -> Result<Vec<AudienceId>, Problem> {
    if given.len() > MAX_EXCLUDED {
        return Err(Problem::invalid(field, format!("at most {MAX_EXCLUDED}")));
    }
    let mut all: Vec<AudienceId> = Vec::with_capacity(given.len());
    for text in given {
        let id = problems::id(field, text)?;
        if !all.contains(&id) {
            all.push(id);
        }
    }
    Ok(all)
}
