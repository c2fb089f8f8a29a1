//! What messages of ours say lies sealed in the store, and whoever works on them reads it.

use crate::echo::{peer, sent, sent_in};
use crate::link::{message, told};
use crate::{World, now};
use omnigate_core::delivery;
use omnigate_core::id::{CustomerId, MessageId};
use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::keys;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::context::Context;
use omnigate_core::protocol::delivery::get;
use omnigate_core::protocol::submit::{Answer, Begun, Rules, answer, begin};
use omnigate_core::protocol::{identity, read};
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{DeliveryState, part::Content};

const PEER: &str = "zalo_user/oa/77";
const SAYS: &str = "Chào chị";

/// The record as it lies in the store.
fn lies(world: &World, id: MessageId) -> Option<DeliveryRecord> {
    let loaded = now(world.context().record(id.shard(), keys::delivery(id), "delivery"));
    loaded.unwrap().value
}

fn says(record: &DeliveryRecord) -> Option<&str> {
    let message = record.delivery.as_ref()?.message.as_ref()?;
    match message.parts.first()?.content.as_ref()? {
        Content::Text(text) => Some(&text.text),
        _ => None,
    }
}

fn is_whole(record: &DeliveryRecord) -> bool {
    let reaches = record.delivery.as_ref().and_then(|delivery| delivery.peer.as_ref());
    says(record) == Some(SAYS) && reaches == Some(&peer())
}

#[test]
fn a_message_is_sealed_once_and_read_by_every_process_through_its_whole_life() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("oa", PEER, &[], "1"));
        let id = sent(&world);
        let sealed = lies(&world, id).unwrap();
        assert!(!sealed.sealed.is_empty());
        // Another process, which remembers nothing.
        let cache = Cache::new(100);
        let elsewhere = Context {
            cache: &cache,
            ..world.context()
        };
        let Begun::Go(record, submission) = now(begin(&elsewhere, id, &Rules::default(), &[7; 16])).unwrap() else {
            panic!("nothing stands before it");
        };
        assert!(is_whole(&record));
        let accepted = Answer {
            piece_count: 1,
            outcome: Ok(delivery::accepted("2")),
        };
        now(answer(&world.context(), &submission, &accepted, 0)).unwrap();
        let stands = lies(&world, id).unwrap();
        let delivery = stands.delivery.as_ref().unwrap();
        assert_eq!(delivery.state(), DeliveryState::Accepted);
        assert!(delivery.message.is_none() && delivery.peer.is_none());
        assert_eq!(stands.sealed, sealed.sealed, "what never changes is sealed once");
        assert!(is_whole(&now(get(&world.context(), id)).unwrap().unwrap()));
    }
}

#[test]
fn messages_of_before_are_read_as_they_are() {
    let world = World::new(false);
    told(&world, message("oa", PEER, &[], "1"));
    let before = Keyring::new(&[7; KEY_BYTES], &[]).unwrap();
    let id = {
        let before = Context {
            keyring: &before,
            ..world.context()
        };
        sent_in(&before)
    };
    assert!(is_whole(&lies(&world, id).unwrap()));
    let cache = Cache::new(100);
    let elsewhere = Context {
        cache: &cache,
        ..world.context()
    };
    let begun = now(begin(&elsewhere, id, &Rules::default(), &[7; 16])).unwrap();
    assert!(matches!(&begun, Begun::Go(record, _) if is_whole(record)), "{begun:?}");
}

#[test]
fn a_message_opens_for_itself_alone_and_ends_with_its_thread() {
    let world = World::new(false);
    told(&world, message("oa", PEER, &[], "1"));
    let id = sent(&world);
    let sealed = lies(&world, id).unwrap();
    let home_id = CustomerId::from_bytes(&sealed.home).unwrap();
    let home = now(world.context().record(home_id.shard(), keys::home(home_id), "home")).unwrap();
    let home = home.value.unwrap();
    let context = world.context();
    let stored = context.stored(home_id, &home);
    let mut other = id;
    other.0[9] ^= 1;
    assert!(stored.open_delivery(other, &mut sealed.clone()).is_err());
    let mut opened = sealed.clone();
    stored.open_delivery(id, &mut opened).unwrap();
    assert!(is_whole(&opened));
    // A copy that outlives the erasure, in a backup for one, says nothing without the thread.
    let customer = now(read::resolve(&context, "t", &peer())).unwrap().unwrap().id;
    now(identity::erase(&context, "t", customer)).unwrap();
    assert_eq!(lies(&world, id), None);
    let home = now(context.record(home_id.shard(), keys::home(home_id), "home")).unwrap();
    let home = home.value.unwrap();
    let mut copy = sealed;
    context.stored(home_id, &home).open_delivery(id, &mut copy).unwrap();
    assert_eq!(says(&copy), None);
}
