//! The way from any record that ever owned an identifier to its present owner.

use super::erase::sweep;
use super::merge::wait;
use super::record::load;
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::{Named, Whereabouts, built_in, whereabouts};
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, Owner, owner};
use omnigate_proto::v1::Identifier;

/// The record that owns an identifier, starting from any that ever did: each move left a pointer to a later owner. `None`
/// when nobody owns it by now.
pub async fn find(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    from: CustomerId,
) -> Result<Option<CustomerId>, Stop> {
    let mut id = from;
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        let record = load(context, id).await?.value.unwrap_or_default();
        match whereabouts(&record, identifier) {
            Whereabouts::Here => return Ok(Some(id)),
            Whereabouts::Gone(next) => id = next,
            Whereabouts::Lost => return Ok(None),
            Whereabouts::Wait => wait(context, id, &mut waited).await?,
            Whereabouts::Erased => {
                sweep(context, tenant_id, &record, Some(identifier)).await?;
                return Ok(None);
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Somebody, by an identifier or by an id.
#[derive(Clone, Debug)]
pub enum Person {
    /// Whoever has this identifier; a customer is made if nobody has.
    Named(Named),
    /// This customer, by present or former id.
    Customer(CustomerId),
}

impl Person {
    /// The identifier by which the customer is held to be found.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        match self {
            Self::Named(named) => named.identifier.clone(),
            Self::Customer(id) => built_in(*id),
        }
    }
}

/// The present customer; `None` when the one who asks is older than an erasure, or there is no such customer.
pub async fn present(
    context: &Context<'_>,
    asking: &Asking<'_>,
    person: &Person,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Option<CustomerId>, Stop> {
    let named = match person {
        Person::Customer(id) => return find(context, asking.tenant_id, &built_in(*id), *id).await,
        Person::Named(named) => named,
    };
    let key = identifier::key(asking.tenant_id, &named.identifier);
    for _ in 0..MAX_TRIES {
        let Some(known) = owner(context, asking, named, None, outgoing).await? else {
            return Ok(None);
        };
        if let Some(id) = find(context, asking.tenant_id, &named.identifier, known.customer).await? {
            context.cache.keep_owner(key, Owner { customer: id, ..known });
            return Ok(Some(id));
        }
        context.cache.forget_owner(key);
    }
    Err(Stop::Contended(MAX_TRIES))
}
