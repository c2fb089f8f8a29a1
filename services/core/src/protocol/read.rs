//! Reads customers across the homes they are spread over.

mod shown;

use super::context::{Context, Loaded, as_record};
use super::identity::load;
use super::walk::Walk;
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::{self, Shown};
use crate::keys;
use crate::port::store::{Query, Stamp, StoreError};
use omnigate_proto::state::v1::{CustomerRecord, DetailsRecord, HomeRecord, Verdict};
use omnigate_proto::v1::{Customer, Identifier};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// Longest way from a former id to the present customer.
const MAX_FORWARDS: usize = 100;

/// A customer with everything that is read to show it.
pub struct Whole {
    /// Present id.
    pub id: CustomerId,
    /// Its record.
    pub record: CustomerRecord,
    /// Version of the record.
    pub(super) stamp: Option<Stamp>,
    /// What is known besides, by the record that keeps it; only those that exist.
    pub(super) details: BTreeMap<CustomerId, (Stamp, DetailsRecord)>,
    homes: BTreeMap<CustomerId, HomeRecord>,
}

/// How many of a tenant's customers are looked at for one page, however few a filter lets through.
const MAX_SCANNED: usize = 1000;
/// Ids that are read in one step.
const AT_ONCE: u32 = 100;
/// Most bytes of a page: attributes may be long, and an answer has a largest size.
const MAX_PAGE: usize = 4 * 1024 * 1024;

/// A page of customers.
pub struct Page {
    /// As they are shown.
    pub customers: Vec<(Whole, Customer)>,
    /// The last one that was looked at, where there may be more.
    pub next: Option<CustomerId>,
}

/// The present customer behind an id of the tenant; `None` when there is none. It is seen as it was at one moment, also
/// while a merge or a split is under way.
pub async fn customer(context: &Context<'_>, tenant_id: &str, id: CustomerId) -> Result<Option<Whole>, StoreError> {
    owner(context, tenant_id, &identity::built_in(id), id).await
}

/// The owner of an identifier, looked for from a record that once owned it.
async fn owner(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    from: CustomerId,
) -> Result<Option<Whole>, StoreError> {
    let Some((id, loaded)) = owning(context, tenant_id, identifier, from).await? else {
        return Ok(None);
    };
    let record = loaded.value.unwrap_or_default();
    let (homes, details) = homes(context, &record).await?;
    Ok(Some(Whole {
        id,
        record,
        stamp: loaded.stamp,
        details,
        homes,
    }))
}

/// The owner of an identifier with its record alone, looked for from a record that once owned it.
pub(super) async fn holder(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    from: CustomerId,
) -> Result<Option<(CustomerId, CustomerRecord)>, StoreError> {
    let found = owning(context, tenant_id, identifier, from).await?;
    Ok(found.map(|(id, loaded)| (id, loaded.value.unwrap_or_default())))
}

/// Who has an identifier, with the record alone; `None` when nobody has.
pub(super) async fn holder_of(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: Option<&Identifier>,
) -> Result<Option<(CustomerId, CustomerRecord)>, StoreError> {
    let Some(identifier) = identifier else {
        return Ok(None);
    };
    let claim = super::resolve::claimed(context, identifier::key(tenant_id, identifier)).await?;
    match identity::read_claim(claim.as_ref(), context.now()) {
        identity::Claimed::Settled { customer, .. } => holder(context, tenant_id, identifier, customer).await,
        _ => Ok(None),
    }
}

async fn owning(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    from: CustomerId,
) -> Result<Option<(CustomerId, Loaded<CustomerRecord>)>, StoreError> {
    let mut at = from;
    for _ in 0..MAX_FORWARDS {
        let loaded = load(context, at).await?;
        let Some(record) = loaded.value.filter(|record| record.tenant_id == tenant_id) else {
            return Ok(None);
        };
        let decided = decided(context, &record).await?;
        match identity::shown(&record, identifier, decided.as_ref()) {
            Shown::Gone(next) => at = next,
            Shown::Nothing => return Ok(None),
            Shown::Here(members) => {
                let stamp = loaded.stamp;
                let value = Some(CustomerRecord { members, ..record });
                return Ok(Some((at, Loaded { stamp, value })));
            }
        }
    }
    Err(StoreError::Corrupt(format!("{from} forwards without end")))
}

/// The verdict that a record is frozen for, if it has been given.
async fn decided(context: &Context<'_>, record: &CustomerRecord) -> Result<Option<Verdict>, StoreError> {
    let Some(freeze) = &record.freeze else {
        return Ok(None);
    };
    let Some(decider) = CustomerId::from_bytes(&freeze.decider) else {
        return Ok(None);
    };
    let decider = load(context, decider).await?.value.unwrap_or_default();
    Ok(identity::verdict(&decider, &freeze.transaction).cloned())
}

/// The customer who has an identifier; `None` when nobody has.
pub async fn resolve(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
) -> Result<Option<Whole>, StoreError> {
    let key = identifier::key(tenant_id, identifier);
    let claim = super::resolve::claimed(context, key).await?;
    match identity::read_claim(claim.as_ref(), context.now()) {
        identity::Claimed::Settled { customer, .. } => owner(context, tenant_id, identifier, customer).await,
        _ => Ok(None),
    }
}

type Homes = BTreeMap<CustomerId, HomeRecord>;
type Details = BTreeMap<CustomerId, (Stamp, DetailsRecord)>;

/// The homes of a customer's identifiers, and the details of the records that it consists of, which are among them.
async fn homes(context: &Context<'_>, record: &CustomerRecord) -> Result<(Homes, Details), StoreError> {
    let ids: BTreeSet<CustomerId> = record
        .members
        .iter()
        .filter_map(|member| CustomerId::from_bytes(&member.home))
        .collect();
    let themselves: BTreeSet<CustomerId> = identity::consists_of(&record.members).collect();
    let (mut homes, mut details) = (BTreeMap::new(), BTreeMap::new());
    for id in ids {
        let mut queries = vec![Query::Record(keys::home(id))];
        if themselves.contains(&id) {
            queries.push(Query::Record(keys::details(id)));
        }
        let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
        let home: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
        homes.insert(id, home.value.unwrap_or_default());
        if let Some(answer) = answers.next() {
            let known: Loaded<DetailsRecord> = Loaded::decode(as_record(Some(answer))?, "details")?;
            details.extend(known.stamp.zip(known.value).map(|known| (id, known)));
        }
    }
    Ok((homes, details))
}

/// A page of a tenant's customers, by shard and id, of whom `keeps` says who is on it. `after` is the last one that was
/// looked at for the page before.
pub async fn customers(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<CustomerId>,
    limit: u32,
    keeps: impl Fn(&Customer) -> bool,
) -> Result<Page, StoreError> {
    let after = after.map(|id| (id.shard(), id.to_bytes()));
    let mut walk = Walk::new(keys::customers(tenant_id), after, limit.max(AT_ONCE));
    let mut page = Page {
        customers: Vec::new(),
        next: None,
    };
    let (mut scanned, mut bytes) = (0, 0);
    while let Some(members) = walk.next(context).await? {
        for (member, _) in members {
            let Some(id) = CustomerId::from_bytes(&member) else {
                continue;
            };
            scanned += 1;
            // One that was merged away is shown as its survivor only.
            if let Some(whole) = customer(context, tenant_id, id).await?.filter(|whole| whole.id == id) {
                let shown = whole.to_customer();
                if keeps(&shown) {
                    bytes += shown.encoded_len();
                    page.customers.push((whole, shown));
                }
            }
            if page.customers.len() >= limit as usize || bytes >= MAX_PAGE || scanned >= MAX_SCANNED {
                page.next = Some(id);
                return Ok(page);
            }
        }
    }
    Ok(page)
}
