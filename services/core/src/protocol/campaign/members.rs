//! Who the recipients of a campaign are: its audience, without those whom the audience or the campaign leaves out.

use super::drive::Chooser;
use super::plan::{Members, Page};
use crate::details::Schema;
use crate::id::{AudienceId, CustomerId};
use crate::protocol::audience::{self, NotDone, Selection, candidates, look, select};
use crate::protocol::context::{Context, Stop};
use crate::shard::Shard;
use omnigate_proto::v1::Campaign;
use std::sync::Arc;

/// Candidates that are looked at together.
const AT_ONCE: u16 = 200;

/// Chooses the recipients of campaigns by their audiences.
#[derive(Clone, Debug)]
pub struct ByAudience {
    /// Attributes that customers may have: what filters may ask for.
    pub schema: Arc<Schema>,
}

/// The recipients of a campaign, by its audience as it was when it was read.
#[derive(Clone, Debug)]
pub struct Chosen {
    tenant_id: String,
    selection: Selection,
}

#[async_trait::async_trait]
impl Chooser for ByAudience {
    async fn choose(
        &self,
        context: &Context<'_>,
        campaign: &Campaign,
    ) -> Result<Result<Box<dyn Members>, String>, Stop> {
        let chosen = choose(context, campaign, &self.schema).await?;
        Ok(chosen.map(|chosen| Box::new(chosen) as Box<dyn Members>))
    }
}

/// Reads what tells who the recipients of a campaign are. The inner error says, for people, why nobody can tell: its audience
/// or one that is excluded is gone, or a filter does not fit customers any more.
pub async fn choose(
    context: &Context<'_>,
    campaign: &Campaign,
    schema: &Schema,
) -> Result<Result<Chosen, String>, Stop> {
    let mut parsed = Vec::new();
    for id in std::iter::once(&campaign.audience_id).chain(&campaign.excluded_audience_ids) {
        match id.parse::<AudienceId>() {
            Ok(id) => parsed.push(id),
            Err(_) => return Ok(Err(format!("no such audience: {id}"))),
        }
    }
    let Some((id, excluded)) = parsed.split_first() else {
        return Ok(Err("it has no audience".to_owned()));
    };
    let Some(mut audience) = audience::get(context, &campaign.tenant_id, *id).await? else {
        return Ok(Err(format!("its audience {id} is gone")));
    };
    let known = &mut audience.record.excluded;
    known.extend(excluded.iter().map(|id| id.to_bytes()));
    match select(context, &audience, schema, true).await {
        Ok(selection) => Ok(Ok(Chosen {
            tenant_id: campaign.tenant_id.clone(),
            selection,
        })),
        Err(NotDone::Stop(stop)) => Err(stop),
        Err(problem) => Ok(Err(problem.to_string())),
    }
}

#[async_trait::async_trait]
impl Members for Chosen {
    /// A recipient is the record they were found by, so that what a list says of them lies where their row does.
    async fn page(
        &self,
        context: &Context<'_>,
        shard: Shard,
        after: Option<CustomerId>,
        most: u16,
    ) -> Result<Page, Stop> {
        let (whose, limit) = ((self.tenant_id.as_str(), &self.selection), u32::from(most.min(AT_ONCE)));
        let candidates = candidates(context, whose, (shard, after), limit).await?;
        let found = look(context, whose, &candidates).await?;
        let is_full = u32::try_from(candidates.len()).is_ok_and(|count| count >= limit);
        Ok(Page {
            customers: found.iter().filter(|one| !one.excluded).map(|one| one.at).collect(),
            looked_to: candidates.last().map(|last| last.at).filter(|_| is_full),
        })
    }
}
