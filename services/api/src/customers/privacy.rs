//! What the law gives people a right to: a copy of everything, and to be forgotten.

use super::identity::Asked;
use crate::audiences::to_member;
use crate::{Api, problems};
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, Stream};
use omnigate_core::id::{CustomerId, MessageId};
use omnigate_core::protocol::audience::memberships;
use omnigate_core::protocol::entries::{self, Position, Wanted};
use omnigate_core::protocol::identity::NotDone;
use omnigate_core::protocol::read::Whole;
use omnigate_core::protocol::{delivery, identity};
use omnigate_core::time::Moment;
use omnigate_proto::v1::exported_item::Item;
use omnigate_proto::v1::{
    AudienceMembership, EraseCustomerRequest, Erasure, ExportCustomerResponse, ExportedItem, RemainingCopy,
};
use omnigate_rpc::error::Problem;
use prost::Message as _;
use tonic::Status;

/// Entries of one part of an export.
const PART: u32 = 200;

/// Most bytes of a part, short of one larger item.
const MAX_PART: usize = 1024 * 1024;

/// How far an export has come.
enum Next {
    Head,
    Entries(Option<Position>),
    Done,
}

/// Items in parts that every client takes: most of them accept messages of 4 MiB.
fn parts(items: Vec<Item>) -> Vec<ExportCustomerResponse> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (ExportCustomerResponse::default(), 0);
    for item in items {
        let item = ExportedItem { item: Some(item) };
        let length = item.encoded_len();
        if bytes + length > MAX_PART && !part.items.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += length;
        part.items.push(item);
    }
    parts.push(part);
    parts
}

impl Api {
    /// Everything that is kept about a customer. Entries that come meanwhile are in it or not.
    pub(super) fn export(self, whole: Whole) -> impl Stream<Item = Result<ExportCustomerResponse, Status>> + Send {
        stream::try_unfold((self, whole, Next::Head), |(api, whole, next)| async move {
            let (items, next) = match next {
                Next::Head => (api.head(&whole).await?, Next::Entries(None)),
                Next::Entries(after) => api.entries(&whole, after).await?,
                Next::Done => return Ok::<_, Status>(None),
            };
            Ok(Some((
                stream::iter(parts(items).into_iter().map(Ok)),
                (api, whole, next),
            )))
        })
        .try_flatten()
    }

    async fn head(&self, whole: &Whole) -> Result<Vec<Item>, Problem> {
        let mut items = vec![Item::Customer(self.shown(whole.to_customer()).await)];
        let events = self.identity_events(whole).await?.events;
        items.extend(events.into_iter().map(Item::IdentityEvent));
        let tenant_id = &whole.record.tenant_id;
        let consents = self.all_consents(tenant_id, whole).await?;
        items.extend(consents.into_iter().map(Item::Consent));
        let refusals = self.marketing_refusals(tenant_id, whole).await?;
        items.extend(refusals.into_iter().map(Item::MarketingRefusal));
        let suppressed = self.suppressed(tenant_id, whole).await?;
        items.extend(suppressed.into_iter().map(Item::Suppressed));
        let conversations = self.conversations_of(whole, None).await?;
        items.extend(conversations.into_iter().map(Item::Conversation));
        items.extend(self.audience_memberships(whole).await?);
        Ok(items)
    }

    /// The lists that a customer is in.
    async fn audience_memberships(&self, whole: &Whole) -> Result<Vec<Item>, Problem> {
        let found = memberships(&self.context(), whole).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let items = found.into_iter().map(|membership| {
            Item::AudienceMembership(AudienceMembership {
                audience_id: membership.audience.id.to_string(),
                audience_display_name: membership.audience.record.display_name,
                member: Some(to_member(whole.id, &membership.member)),
            })
        });
        Ok(items.collect())
    }

    /// Some entries, each of ours followed by its message.
    async fn entries(&self, whole: &Whole, after: Option<Position>) -> Result<(Vec<Item>, Next), Problem> {
        let context = self.context();
        let wanted = Wanted {
            after,
            ..Wanted::first(PART, true)
        };
        let page = entries::page(&context, &whole.views(), &wanted).await;
        let page = page.map_err(|error| problems::store(&error))?;
        let next = page.next.map_or(Next::Done, |position| Next::Entries(Some(position)));
        let mut items = Vec::with_capacity(page.entries.len());
        for (_, entry) in page.entries {
            let message: Option<MessageId> = entry.message_id.parse().ok();
            items.push(Item::Entry(entry));
            if let Some(id) = message {
                let record = delivery::get(&context, id).await;
                let record = record.map_err(|stop| problems::stop(&stop))?;
                items.extend(record.and_then(|record| record.delivery).map(Item::Delivery));
            }
        }
        Ok((items, next))
    }

    /// Erases a customer; the proof of it.
    pub(super) async fn erase(&self, tenant_id: &str, mut request: EraseCustomerRequest) -> Result<Erasure, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "erase", &request)?;
        let id: CustomerId = problems::id("customer_id", &request.customer_id)?;
        self.remember(&asked, asked.record(self)).await?;
        let erased = identity::erase(&self.context(), tenant_id, id).await;
        let erased = erased.map_err(|stop| problems::stop(&stop))?;
        let erased = erased.ok_or_else(|| problems::not_done(&NotDone::NoSuchCustomer))?;
        let (began, finished) = (Moment(erased.began_ms), Moment(erased.finished_ms));
        tracing::info!(customer = %id, request = asked.request_id, "erased");
        let copies = self.settings.copies.iter().map(|copy| RemainingCopy {
            place: copy.place.to_owned(),
            gone_at: Some((finished + copy.kept).to_timestamp()),
        });
        let last = self.settings.copies.iter().map(|copy| finished + copy.kept).max();
        Ok(Erasure {
            customer_id: id.to_string(),
            began_at: Some(began.to_timestamp()),
            finished_at: Some(finished.to_timestamp()),
            identifiers: erased.identifiers,
            remaining_copies: copies.collect(),
            last_copy_gone_at: Some(last.unwrap_or(finished).to_timestamp()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::Consent;

    #[test]
    fn parts_are_small_and_hold_everything_in_order() {
        let proof = |length| {
            Item::Consent(Consent {
                proof: "x".repeat(length),
                ..Consent::default()
            })
        };
        let items: Vec<Item> = [10, MAX_PART / 2, MAX_PART / 2, 2 * MAX_PART, 10].map(proof).to_vec();
        let parts = parts(items.clone());
        let counts: Vec<usize> = parts.iter().map(|part| part.items.len()).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        let all: Vec<Item> = parts
            .into_iter()
            .flat_map(|part| part.items)
            .filter_map(|item| item.item)
            .collect();
        assert_eq!(all, items);
    }
}
