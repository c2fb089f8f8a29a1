//! Gives a customer an identifier on a person's word.

use super::command::NotDone;
use super::find::{Person, present};
use super::load;
use super::merge::{Merged, merge};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::merge::{Rule, Word};
use crate::identity::{Named, has_room, member};
use crate::protocol::context::Context;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, claimed, owner};

/// Makes an identifier the customer's; who has it already is merged with the customer. CustomerEvents that came to be are
/// added to `outgoing`.
pub async fn link(
    context: &Context<'_>,
    asking: &Asking<'_>,
    customer: CustomerId,
    named: &Named,
    outgoing: &mut Vec<Outgoing>,
) -> Result<CustomerId, NotDone> {
    let person = Person::Customer(customer);
    let found = present(context, asking, &person, outgoing).await?;
    let id = found.ok_or(NotDone::NoSuchCustomer)?;
    let record = load(context, id).await?.value.unwrap_or_default();
    if member(&record.members, &named.identifier).is_some() {
        return Ok(id);
    }
    let claim = claimed(context, identifier::key(asking.tenant_id, &named.identifier)).await?;
    let is_free = claim.is_none_or(|claim| claim.customer.is_empty());
    if is_free && !has_room(&record.members, &named.identifier) {
        // Tried nevertheless, it would begin a customer of its own.
        return Err(NotDone::Apart(vec![Rule::Cap.name().to_owned()]));
    }
    let joined = owner(context, asking, named, Some(id), outgoing).await?;
    if joined.is_some_and(|owner| owner.customer == id) {
        return Ok(id);
    }
    let named = Person::Named(named.clone());
    match merge(context, asking, [&person, &named], Word::Person, outgoing).await? {
        Merged::One(id) => Ok(id),
        Merged::Apart { forbidden_by, .. } => Err(NotDone::Apart(forbidden_by)),
        Merged::Gone => Err(NotDone::NoSuchCustomer),
    }
}
