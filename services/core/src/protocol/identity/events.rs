//! Reads the identity events of a customer and looks whether their chains hold.

use super::load;
use crate::id::CustomerId;
use crate::identity::consists_of;
use crate::identity::log::hash_of;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, as_range};
use bytes::Bytes;
use omnigate_proto::state::v1::{IdentityEventRecord, Membership};
use prost::Message as _;
use std::ops::Bound;

/// Most events of one record that are read: the newest.
const MOST: u32 = 1000;

/// An event in its chain.
#[derive(Clone, PartialEq, Debug)]
pub struct Chained {
    /// The record in which it stands.
    pub customer: CustomerId,
    /// Its number there.
    pub number: u64,
    /// It.
    pub event: IdentityEventRecord,
    /// Its hash.
    pub hash: Bytes,
}

/// Identity events of every record that a customer consists of, and whether all chains hold.
pub async fn events(context: &Context<'_>, members: &[Membership]) -> Result<(Vec<Chained>, bool), StoreError> {
    let mut all = Vec::new();
    let mut intact = true;
    for customer in consists_of(members) {
        let query = Query::Range {
            key: keys::identity_log(customer),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: MOST,
            reverse: true,
        };
        // First the record: what is noted meanwhile is newer than its hash, and the chain leads there nevertheless.
        let record = load(context, customer).await?.value.unwrap_or_default();
        let answers = context.store.read(customer.shard(), vec![query]).await?;
        let mut newest_first = as_range(answers.into_iter().next())?;
        newest_first.reverse();
        let mut previous: Option<Bytes> = None;
        let mut hashes = Vec::new();
        for (member, value) in newest_first {
            let number = member.as_ref().try_into().map(u64::from_be_bytes).unwrap_or(0);
            let hash = hash_of(&value);
            let event = IdentityEventRecord::decode(value)
                .map_err(|error| StoreError::Corrupt(format!("identity event: {error}")))?;
            intact &= previous.is_none_or(|previous| previous == event.previous);
            previous = Some(hash.clone());
            hashes.push(hash.clone());
            all.push(Chained {
                customer,
                number,
                event,
                hash,
            });
        }
        intact &= record.log_hash.is_empty() || hashes.contains(&record.log_hash);
    }
    Ok((all, intact))
}
