//! Who is in an audience: each customer once, whatever was merged since, and who of them an exclusion leaves out.

use super::NotDone;
use super::define::{Audience, get};
use super::forget::decode;
use crate::audience as decide;
use crate::details::Schema;
use crate::filter::Filter;
use crate::id::{AudienceId, CustomerId};
use crate::identity::{built_in, consists_of};
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, as_range};
use crate::protocol::read::{self, holder};
use crate::protocol::walk::Walk;
use crate::shard::Shard;
use bytes::Bytes;
use futures_util::future::join_all;
use omnigate_proto::state::v1::{AudiencePartRecord, MemberRecord};
use omnigate_proto::v1::Customer;
use std::collections::BTreeSet;

/// Candidates that are looked at together.
const AT_ONCE: u32 = 200;

/// What makes somebody one of an audience.
#[derive(Clone, Debug)]
pub enum Of {
    /// A row in this list.
    List(AudienceId),
    /// This filter.
    Segment(Filter),
}

/// An audience with its exclusions, ready to be asked.
#[derive(Clone, Debug)]
pub struct Selection {
    of: Of,
    excluded: Vec<Of>,
}

/// Who may be in an audience: a customer record, with its row where the audience is a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// The record.
    pub at: CustomerId,
    /// Encoded `state.v1.MemberRecord`; empty for segments.
    pub row: Bytes,
}

/// Somebody in an audience.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The record they were found by.
    pub at: CustomerId,
    /// The present customer.
    pub customer: CustomerId,
    /// What the list says of them; `None` for segments.
    pub member: Option<MemberRecord>,
    /// True when an exclusion leaves them out.
    pub excluded: bool,
}

/// Some of an audience.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// They.
    pub found: Vec<Found>,
    /// Candidates that were looked at.
    pub looked_at: usize,
    /// The last one that was looked at, where there may be more.
    pub next: Option<CustomerId>,
}

/// Reads what an audience is made of. An exclusion that is not there any more is an error: without it too many would be
/// written to.
pub async fn select(
    context: &Context<'_>,
    audience: &Audience,
    schema: &Schema,
    with_exclusions: bool,
) -> Result<Selection, NotDone> {
    let mut excluded = Vec::new();
    let exclusions = decide::excluded(&audience.record).filter(|_| with_exclusions);
    for id in exclusions {
        let other = get(context, &audience.record.tenant_id, id).await?;
        excluded.push(made_of(&other.ok_or(NotDone::NoSuchExclusion(id))?, schema)?);
    }
    Ok(Selection {
        of: made_of(audience, schema)?,
        excluded,
    })
}

fn made_of(audience: &Audience, schema: &Schema) -> Result<Of, NotDone> {
    if !decide::is_segment(&audience.record) {
        return Ok(Of::List(audience.id));
    }
    let filter = Filter::new(&audience.record.filter, schema);
    filter
        .map(Of::Segment)
        .map_err(|wrong| NotDone::Filter(audience.id, wrong))
}

/// Rows of a list in all shards.
pub async fn size(context: &Context<'_>, id: AudienceId) -> Result<u64, StoreError> {
    let shards: Vec<Shard> = Shard::all().collect();
    let parts = shards
        .iter()
        .map(|shard| context.record::<AudiencePartRecord>(*shard, keys::audience_part(id), "audience part"));
    let mut rows = 0;
    for part in join_all(parts).await {
        rows += part?.value.map_or(0, |part| part.members);
    }
    Ok(rows)
}

/// Index of each shard in which those stand who may be in an audience.
fn index(tenant_id: &str, of: &Of) -> Bytes {
    match of {
        Of::List(id) => keys::members_of(*id),
        Of::Segment(_) => keys::customers(tenant_id),
    }
}

/// Candidates of one shard behind `after`, by id: at most so many.
pub async fn candidates(
    context: &Context<'_>,
    (tenant_id, selection): (&str, &Selection),
    (shard, after): (Shard, Option<CustomerId>),
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let query = Query::Range {
        key: index(tenant_id, &selection.of),
        from: after.map_or(std::ops::Bound::Unbounded, |id| {
            std::ops::Bound::Excluded(id.to_bytes())
        }),
        to: std::ops::Bound::Unbounded,
        limit,
        reverse: false,
    };
    let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
    Ok(as_candidates(members).collect())
}

fn as_candidates(members: Vec<(Bytes, Bytes)>) -> impl Iterator<Item = Candidate> {
    members.into_iter().filter_map(|(member, row)| {
        let at = CustomerId::from_bytes(&member)?;
        Some(Candidate { at, row })
    })
}

/// Those of some candidates who are in the audience.
pub async fn look(
    context: &Context<'_>,
    (tenant_id, selection): (&str, &Selection),
    candidates: &[Candidate],
) -> Result<Vec<Found>, StoreError> {
    let looks = candidates
        .iter()
        .map(|candidate| look_at(context, tenant_id, selection, candidate));
    let found: Result<Vec<Option<Found>>, StoreError> = join_all(looks).await.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

async fn look_at(
    context: &Context<'_>,
    tenant_id: &str,
    selection: &Selection,
    candidate: &Candidate,
) -> Result<Option<Found>, StoreError> {
    let Some(asked) = asked(context, tenant_id, selection, candidate.at).await? else {
        return Ok(None);
    };
    let is_in = match &selection.of {
        // Of several rows of one customer the oldest record's counts.
        Of::List(id) => rows_of(context, *id, &asked.consists_of).await?.first() == Some(&candidate.at),
        // One that was merged away is found as its survivor only.
        Of::Segment(filter) => asked.customer == candidate.at && asked.holds(context, filter),
    };
    if !is_in {
        return Ok(None);
    }
    let mut excluded = false;
    for other in &selection.excluded {
        excluded = match other {
            Of::List(id) => !rows_of(context, *id, &asked.consists_of).await?.is_empty(),
            Of::Segment(filter) => asked.holds(context, filter),
        };
        if excluded {
            break;
        }
    }
    let member = match &selection.of {
        Of::List(_) => Some(decode(candidate.row.clone())?),
        Of::Segment(_) => None,
    };
    Ok(Some(Found {
        at: candidate.at,
        customer: asked.customer,
        member,
        excluded,
    }))
}

/// A candidate with what is asked about them.
struct Asked {
    customer: CustomerId,
    consists_of: BTreeSet<CustomerId>,
    /// As filters look at them; `None` where none does.
    shown: Option<Customer>,
}

impl Asked {
    fn holds(&self, context: &Context<'_>, filter: &Filter) -> bool {
        self.shown
            .as_ref()
            .is_some_and(|shown| filter.holds(shown, context.now()))
    }
}

async fn asked(
    context: &Context<'_>,
    tenant_id: &str,
    selection: &Selection,
    at: CustomerId,
) -> Result<Option<Asked>, StoreError> {
    let is_segment = |of: &Of| matches!(of, Of::Segment(_));
    if is_segment(&selection.of) || selection.excluded.iter().any(is_segment) {
        let whole = read::customer(context, tenant_id, at).await?;
        return Ok(whole.map(|whole| Asked {
            customer: whole.id,
            consists_of: consists_of(&whole.record.members).collect(),
            shown: Some(whole.to_customer()),
        }));
    }
    // Nobody asks about more than who it is.
    let held = holder(context, tenant_id, &built_in(at), at).await?;
    Ok(held.map(|(customer, record)| Asked {
        customer,
        consists_of: consists_of(&record.members).collect(),
        shown: None,
    }))
}

/// Those of a customer's records that have a row in a list, oldest first.
async fn rows_of(
    context: &Context<'_>,
    list: AudienceId,
    ids: &BTreeSet<CustomerId>,
) -> Result<Vec<CustomerId>, StoreError> {
    let mut found = Vec::new();
    for id in ids {
        let query = Query::member(keys::members_of(list), id.to_bytes());
        let answers = context.store.read(id.shard(), vec![query]).await?;
        if !as_range(answers.into_iter().next())?.is_empty() {
            found.push(*id);
        }
    }
    Ok(found)
}

/// A page of an audience, by shard and record: at most so many customers, after a look at about so many candidates. `after`
/// is the last one that was looked at for the page before.
pub async fn page(
    context: &Context<'_>,
    (tenant_id, selection): (&str, &Selection),
    after: Option<CustomerId>,
    (limit, most_looked_at): (usize, usize),
) -> Result<Page, StoreError> {
    let after = after.map(|id| (id.shard(), id.to_bytes()));
    let at_once = u32::try_from(limit).unwrap_or(AT_ONCE).min(AT_ONCE);
    let mut walk = Walk::new(index(tenant_id, &selection.of), after, at_once);
    let mut page = Page::default();
    while let Some(members) = walk.next(context).await? {
        let candidates: Vec<Candidate> = as_candidates(members).collect();
        let Some(last) = candidates.last().map(|candidate| candidate.at) else {
            continue;
        };
        page.looked_at += candidates.len();
        let found = look(context, (tenant_id, selection), &candidates).await?;
        page.found.extend(found);
        // What was read together is looked at together, so a page may hold a few less than it might.
        if page.found.len() + at_once as usize > limit || page.looked_at >= most_looked_at {
            page.next = Some(last);
            return Ok(page);
        }
    }
    Ok(page)
}
