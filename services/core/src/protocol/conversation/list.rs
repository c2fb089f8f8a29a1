//! Lists of conversations.

use super::{decode, shown};
use crate::conversation::{holder, key_of, show};
use crate::id::{ConversationId, ConversationKey, CustomerId};
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, Loaded, as_range};
use crate::protocol::entries::View;
use crate::protocol::read::Whole;
use crate::protocol::walk::Walk;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ConversationOutline, ConversationRecord, HomeRecord};
use omnigate_proto::v1::{Conversation, ConversationStatus};
use prost::Message as _;
use std::cmp::Reverse;
use std::ops::Bound;

/// Conversations looked at for one page, at most; a list that is narrowed goes on with the next page.
const LOOKED_AT: usize = 10_000;

/// Members of the tenant's list that are read at once, at least: a narrow list of small pages reads many for each it shows.
const AT_ONCE: usize = 100;

/// What a list is narrowed by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only with one of these; all when empty.
    pub statuses: Vec<ConversationStatus>,
    /// Only those of this assignee; empty for nobody.
    pub assignee_id: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
}

/// Some conversations.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// They.
    pub conversations: Vec<Conversation>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<ConversationId>,
}

impl Filter {
    fn takes(&self, status: i32, assignee_id: &str, tags: &[String]) -> bool {
        let wanted = |wanted: &ConversationStatus| i32::from(*wanted) == status;
        (self.statuses.is_empty() || self.statuses.iter().any(wanted))
            && self.assignee_id.as_ref().is_none_or(|wanted| wanted == assignee_id)
            && self.tag.as_ref().is_none_or(|wanted| tags.contains(wanted))
    }

    fn takes_record(&self, record: &ConversationRecord) -> bool {
        let assignee = holder(record).map_or("", |holder| holder.id.as_str());
        self.takes(record.status, assignee, &record.tags)
    }
}

/// Conversations of the tenant that are not closed, by shard and id.
pub async fn of_tenant(
    context: &Context<'_>,
    tenant_id: &str,
    filter: &Filter,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Page, StoreError> {
    let after = after.map(|id| (id.home().shard(), id.to_bytes()));
    let at_once = u32::try_from(limit.max(AT_ONCE)).unwrap_or(u32::MAX);
    let mut walk = Walk::new(keys::open_conversations(tenant_id), after, at_once);
    let (mut page, mut looked_at) = (Page::default(), 0);
    while let Some(members) = walk.next(context).await? {
        for (member, value) in members {
            looked_at += 1;
            let Some(id) = ConversationId::from_bytes(&member) else {
                continue;
            };
            let outline = ConversationOutline::decode(value);
            let outline = outline.map_err(|error| StoreError::Corrupt(format!("conversation {id}: {error}")))?;
            if filter.takes(outline.status, &outline.assignee_id, &outline.tags) {
                page.conversations
                    .extend(standing(context, tenant_id, id, filter).await?);
            }
            if page.conversations.len() >= limit || looked_at >= LOOKED_AT {
                page.next = Some(id);
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// One that is not closed, if it still is what was asked for.
async fn standing(
    context: &Context<'_>,
    tenant_id: &str,
    id: ConversationId,
    filter: &Filter,
) -> Result<Option<Conversation>, StoreError> {
    let home: Loaded<HomeRecord> = context.record(id.home().shard(), keys::home(id.home()), "home").await?;
    let Some(home) = home.value.filter(|home| home.tenant_id == tenant_id) else {
        return Ok(None);
    };
    let key = id.key();
    let mut present = home.conversations.iter();
    match present.find(|record| record.key == key.0.as_slice() && filter.takes_record(record)) {
        Some(record) => Ok(Some(shown(context, &home, id.home(), record).await?)),
        None => Ok(None),
    }
}

/// A customer's conversations, the youngest first, from all homes they are spread over.
pub async fn of_customer(
    context: &Context<'_>,
    whole: &Whole,
    filter: &Filter,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut found = Vec::new();
    for view in whole.views() {
        found.extend(of_home(context, whole, &view, (filter, after, limit)).await?);
    }
    found.sort_by_key(|(id, _, _)| Reverse(place(*id)));
    found.truncate(limit);
    let next = found.last().filter(|_| found.len() >= limit).map(|(id, _, _)| *id);
    let theirs = found.into_iter().filter(|(_, is_theirs, _)| *is_theirs);
    let wanted = theirs.filter(|(_, _, record)| filter.takes_record(record));
    let conversations = wanted
        .map(|(id, _, record)| show(&whole.record.tenant_id, id.home(), whole.id, &record))
        .collect();
    Ok(Page { conversations, next })
}

/// Where a conversation stands among a customer's.
fn place(id: ConversationId) -> (Moment, ConversationId) {
    (id.key().opened(), id)
}

/// The youngest conversations of a home behind a place, and which of them are the customer's.
async fn of_home(
    context: &Context<'_>,
    whole: &Whole,
    view: &View,
    (filter, after, limit): (&Filter, Option<ConversationId>, usize),
) -> Result<Vec<(ConversationId, bool, ConversationRecord)>, StoreError> {
    let wants_closed = filter.statuses.is_empty() || filter.statuses.contains(&ConversationStatus::Closed);
    let query = Query::Range {
        key: keys::closed_conversations(view.home),
        from: Bound::Unbounded,
        to: after.map_or(Bound::Unbounded, |after| before_place(after, view.home)),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        reverse: true,
    };
    let closed = match wants_closed {
        true => as_range(
            context
                .store
                .read(view.home.shard(), vec![query])
                .await?
                .into_iter()
                .next(),
        )?,
        false => Vec::new(),
    };
    let mut records = closed
        .into_iter()
        .map(|(_, value)| decode(value))
        .collect::<Result<Vec<_>, _>>()?;
    records.extend(
        whole
            .home(view.home)
            .into_iter()
            .flat_map(|home| home.conversations.clone()),
    );
    let placed = records.into_iter().filter_map(|record| {
        let key = key_of(&record)?;
        let id = ConversationId::new(view.home, key);
        let is_theirs = view
            .intervals
            .iter()
            .any(|interval| interval.covers(&record.birth, key.opened()));
        let is_behind = after.is_none_or(|after| place(id) < place(after));
        is_behind.then_some((id, is_theirs, record))
    });
    // One that was closed between two reads may be there twice.
    let mut placed: Vec<_> = placed.collect();
    placed.sort_by_key(|(id, _, _)| Reverse(*id));
    placed.dedup_by_key(|(id, _, _)| *id);
    Ok(placed)
}

/// Up to where a home has conversations behind a place: among those of one moment the larger home comes first.
fn before_place(after: ConversationId, home: CustomerId) -> Bound<Bytes> {
    let ConversationKey(key) = after.key();
    let (moment, _) = key.split_at(6);
    match home.cmp(&after.home()) {
        std::cmp::Ordering::Equal => Bound::Excluded(after.key().to_bytes()),
        std::cmp::Ordering::Less => Bound::Included([moment, &[0xff; 6]].concat().into()),
        std::cmp::Ordering::Greater => Bound::Excluded([moment, &[0; 6]].concat().into()),
    }
}
