//! Parked items as they stand in the store: the event is sealed with a key of the item's own, which goes with it. An item
//! may lie for months, longer than any key of an hour.

use super::decode;
use crate::id::ParkedId;
use crate::keyring::{self, nonce};
use crate::keys;
use crate::port::store::{Query, Shape, StoreError, Write};
use crate::protocol::context::{Context, Loaded, as_record};
use crate::shard::Shard;
use bytes::{Bytes, BytesMut};
use omnigate_proto::state::v1::{ParkedKeyRecord, ParkedSeal};
use omnigate_proto::v1::ParkedItem;
use prost::Message as _;

/// The value of an item, and its key to be written beside it, where the operator's keys are to seal what is parked.
pub(super) fn pack(
    context: &Context<'_>,
    id: ParkedId,
    item: &ParkedItem,
) -> Result<(Bytes, Option<Write>), StoreError> {
    if !context.keyring.seals_content() {
        return Ok((item.encode_to_vec().into(), None));
    }
    let key = [context.entropy.bytes(), context.entropy.bytes()].concat();
    let mut sealed = BytesMut::with_capacity(item.body.len() + 32);
    keyring::cipher(&key)
        .and_then(|cipher| keyring::seal_with(&cipher, &id.0, nonce(context.entropy), &item.body, &mut sealed))
        .ok_or_else(|| StoreError::Corrupt("a parked item cannot be sealed".to_owned()))?;
    let outside = ParkedItem {
        body: Bytes::new(),
        ..item.clone()
    };
    let seal = ParkedSeal {
        sealed_body: sealed.freeze(),
    };
    let value = [outside.encode_to_vec(), seal.encode_to_vec()].concat();
    let record = ParkedKeyRecord { key: key.into() };
    let beside = Write::Put {
        key: keys::parked_key(id),
        value: record.encode_to_vec().into(),
    };
    Ok((value.into(), Some(beside)))
}

/// Takes the key of an item away with it.
pub(super) fn key_gone(id: ParkedId) -> Write {
    Write::Delete {
        shape: Shape::Record,
        key: keys::parked_key(id),
    }
}

/// Back from [`pack`], for items of one shard; those that cannot be read are left out. One whose key is gone is without its
/// event.
pub(super) async fn unpack(
    context: &Context<'_>,
    shard: Shard,
    members: Vec<(Bytes, Bytes)>,
) -> Result<Vec<ParkedItem>, StoreError> {
    let mut items = Vec::new();
    let mut closed = Vec::new();
    for (member, value) in members {
        let (Some(id), Ok(item)) = (ParkedId::from_bytes(&member), decode(&value)) else {
            continue;
        };
        let sealed = ParkedSeal::decode(value).unwrap_or_default().sealed_body;
        if !sealed.is_empty() {
            closed.push((items.len(), id, sealed));
        }
        items.push(item);
    }
    if closed.is_empty() {
        return Ok(items);
    }
    let queries = closed.iter().map(|(_, id, _)| Query::Record(keys::parked_key(*id)));
    let answers = context.store.read(shard, queries.collect()).await?;
    for ((position, id, sealed), answer) in closed.into_iter().zip(answers) {
        let record: Loaded<ParkedKeyRecord> = Loaded::decode(as_record(Some(answer))?, "parked key")?;
        let cipher = record.value.and_then(|record| keyring::cipher(&record.key));
        let body = cipher.and_then(|cipher| keyring::open_with(&cipher, &id.0, &sealed).ok());
        if let (Some(item), Some(body)) = (items.get_mut(position), body) {
            item.body = body;
        }
    }
    Ok(items)
}
