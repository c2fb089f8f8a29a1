//! Reads the identity events of a customer and looks whether their chains hold.

use super::load;
use crate::id::CustomerId;
use crate::identity::consists_of;
use crate::identity::log::{self, Chain};
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, as_fields};
use bytes::Bytes;
use omnigate_proto::state::v1::{IdentityEventRecord, Membership};

/// Most events of one record that are read: the newest.
const MOST: u64 = 1000;

/// An event in its chain.
#[derive(Clone, PartialEq, Debug)]
pub struct Chained {
    /// The record in which it stands.
    pub customer: CustomerId,
    /// Its number there.
    pub number: u64,
    /// It.
    pub event: IdentityEventRecord,
    /// Its hash; `None` for one so old that the chain before it is not read.
    pub hash: Option<Bytes>,
}

/// Identity events of every record that a customer consists of, and whether all chains hold.
pub async fn events(context: &Context<'_>, members: &[Membership]) -> Result<(Vec<Chained>, bool), StoreError> {
    let mut all = Vec::new();
    let mut intact = true;
    for customer in consists_of(members) {
        // First the record: what is noted meanwhile is not looked at.
        let record = load(context, customer).await?.value.unwrap_or_default();
        let newest = record.log_number;
        if newest == 0 {
            continue;
        }
        let numbers: Vec<u64> = (newest.saturating_sub(MOST - 1).max(1)..=newest).collect();
        let query = Query::Fields {
            key: keys::identity_log(customer),
            fields: numbers.iter().copied().map(log::field).collect(),
        };
        let answers = context.store.read(customer.shard(), vec![query]).await?;
        let values = as_fields(answers.into_iter().next())?;
        let mut chain = Chain::default();
        for (number, value) in numbers.into_iter().zip(values) {
            let link = chain.next(number, value);
            let link = link.map_err(|error| StoreError::Corrupt(format!("identity event: {error}")))?;
            all.extend(link.map(|link| Chained {
                customer,
                number,
                event: link.event,
                hash: link.hash,
            }));
        }
        intact &= chain.holds(&record.log_hash);
    }
    Ok((all, intact))
}
