//! Reads what is known about an identifier, as it stands at this moment.

use super::refusal::refusals;
use super::suppression;
use crate::consent::Layers;
use crate::id::{CustomerId, SuppressionId};
use crate::identifier;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, Loaded, Stop, as_record};
use crate::protocol::resolve::claimed;
use futures_util::future::try_join;
use omnigate_proto::state::v1::{ConsentRecord, SuppressionRecord};
use omnigate_proto::v1::Identifier;

/// Whom a message goes to.
#[derive(Clone, Copy, Debug)]
pub struct Whom<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Canonical identifier.
    pub identifier: &'a Identifier,
    /// A record that once owned it, from which the way to the present owner begins; `None` when its claim has to tell.
    pub from: Option<CustomerId>,
}

/// What every message is measured against: one read of one record.
pub async fn suppressed(context: &Context<'_>, whom: Whom<'_>) -> Result<Layers, Stop> {
    let id = suppression::id(context, whom.tenant_id, whom.identifier).await?;
    let loaded: Loaded<SuppressionRecord> = context.record(id.shard(), keys::suppression(id), "suppression").await?;
    Ok(Layers {
        suppression: loaded.value.unwrap_or_default(),
        ..Layers::default()
    })
}

/// What advertising is measured against: one read in the identifier's shard, and beside it what the customer said. Threads
/// are left to whoever has them.
pub async fn advertising(context: &Context<'_>, whom: Whom<'_>) -> Result<Layers, Stop> {
    let id = suppression::id(context, whom.tenant_id, whom.identifier).await?;
    let said = async {
        match whom.from {
            Some(from) => refusals(context, whom.tenant_id, whom.identifier, from).await,
            None => Ok(Vec::new()),
        }
    };
    let (mut layers, refusals) = try_join(of_identifier(context, whom, id), said).await?;
    layers.refusals = refusals;
    Ok(layers)
}

/// The same for somebody who asks: the claim tells who owns the identifier.
pub async fn layers(context: &Context<'_>, whom: Whom<'_>) -> Result<Layers, Stop> {
    let key = identifier::key(whom.tenant_id, whom.identifier);
    let from = match whom.from {
        None => claimed(context, key)
            .await?
            .and_then(|claim| CustomerId::from_bytes(&claim.customer)),
        from => from,
    };
    advertising(context, Whom { from, ..whom }).await
}

async fn of_identifier(context: &Context<'_>, whom: Whom<'_>, id: SuppressionId) -> Result<Layers, StoreError> {
    let key = identifier::key(whom.tenant_id, whom.identifier);
    let queries = vec![Query::Record(keys::consent(key)), Query::Record(keys::suppression(id))];
    let mut answers = context.store.read(key.shard(), queries).await?.into_iter();
    let consent: Loaded<ConsentRecord> = Loaded::decode(as_record(answers.next())?, "consent")?;
    let suppression: Loaded<SuppressionRecord> = Loaded::decode(as_record(answers.next())?, "suppression")?;
    Ok(Layers {
        suppression: suppression.value.unwrap_or_default(),
        consent: consent.value.unwrap_or_default(),
        ..Layers::default()
    })
}
