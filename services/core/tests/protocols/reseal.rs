//! A new key of the operator: everything is sealed with it in the end, wherever a process dies, and it is said when the
//! former ones can go.

use crate::link::{message, named};
use crate::{Counting, World, now};
use omnigate_core::hourly::{self, Hour};
use omnigate_core::id::MessageId;
use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Query, Store};
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::context::Context;
use omnigate_core::protocol::delivery::get;
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::protocol::park::{self, Unfit, park_event};
use omnigate_core::protocol::reseal::{Realm, is_pass_over, step};
use omnigate_core::protocol::{consent, hourly as hour_keys, read};
use omnigate_proto::state::v1::{ResealCursor, Stamped};
use omnigate_proto::v1::Event;
use omnigate_store::sealed::SealedStore;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;

const PEER: &str = "zalo_user/oa/77";
const FORMER: [u8; KEY_BYTES] = [1; KEY_BYTES];
const PRESENT: [u8; KEY_BYTES] = [2; KEY_BYTES];

fn keyring(present: &[u8; KEY_BYTES], former: &[[u8; KEY_BYTES]]) -> Keyring {
    Keyring::new(present, former).unwrap().with_content(true)
}

/// The store as processes with these keys see it.
struct Keyed<'a> {
    world: &'a World,
    store: SealedStore,
    keyring: Keyring,
    cache: Cache,
    outbox: Outbox,
}

impl<'a> Keyed<'a> {
    fn new(world: &'a World, present: &[u8; KEY_BYTES], former: &[[u8; KEY_BYTES]]) -> Self {
        let inner: Arc<dyn Store> = world.store.clone();
        let sealed = SealedStore::new(
            inner,
            keyring(present, former),
            Arc::new(Counting::default()),
            keys::is_secret,
        );
        Self {
            world,
            store: sealed,
            keyring: keyring(present, former),
            cache: Cache::new(100),
            outbox: Outbox::default(),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            keyring: &self.keyring,
            cache: &self.cache,
            outbox: &self.outbox,
            ..self.world.context()
        }
    }
}

fn realm() -> Realm {
    Realm {
        tenants: vec![String::new(), "t".to_owned(), "u".to_owned()],
        accounts: vec!["oa".to_owned()],
        life: hourly::life(Duration::ZERO),
    }
}

/// Runs steps until a pass found nothing to do; the store may be lost after any commit, and then a process goes on from the
/// last cursor that was kept.
fn reseal(keyed: &Keyed<'_>, dies_after: Option<u64>) -> u64 {
    let (mut at, mut passes) = (ResealCursor::default(), 1);
    for number in 0..20_000 {
        if let Some(commits) = dies_after.filter(|_| number % 7 == 3) {
            keyed.world.store.stops_after(commits);
        }
        if let Ok(next) = now(step(&keyed.context(), &realm(), &at)) {
            passes += u64::from(is_pass_over(&at) && next.done_at_ms == 0);
            at = next;
        }
        keyed.world.store.goes_on();
        if at.done_at_ms != 0 {
            return passes;
        }
    }
    panic!("it does not end: {at:?}");
}

/// Everything that is sealed with a key of the operator: a token's place is played by the key of the suppression list.
fn lived(keyed: &Keyed<'_>) -> MessageId {
    let context = keyed.context();
    for number in 20..80 {
        let event = message("oa", &format!("zalo_user/oa/{number}"), &[], &format!("{number}"));
        let arrival = crate::link::arrival(event);
        now(omnigate_core::protocol::append::apply(&context, &[arrival])).unwrap();
    }
    now(consent::hash_key(&context)).unwrap();
    let hour = Hour::of(context.now());
    for tenant in ["", "t"] {
        now(hour_keys::obtain(&context, tenant, hour, None, realm().life)).unwrap();
    }
    let stamped = Stamped {
        event: message("oa", PEER, &[], "9").encode_to_vec().into(),
        received_at_ms: 7,
        ..Stamped::default()
    };
    let unfit = Unfit {
        stamped: &stamped,
        reason: "attempts_exhausted",
        detail: "it failed",
        attempts: 5,
        origin: "q",
    };
    now(park_event(&context, &unfit)).unwrap();
    crate::echo::sent_in(&context)
}

fn reads_everything(keyed: &Keyed<'_>, id: MessageId) -> Result<(), String> {
    let context = keyed.context();
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let whole = now(read::resolve(&context, "t", &named(PEER)))
        .map_err(|error| words(&error))?
        .ok_or("nobody")?;
    let page = now(entries::page(&context, &whole.views(), &Wanted::first(10, true))).map_err(|error| words(&error))?;
    if page.entries.is_empty() {
        return Err("no entries".to_owned());
    }
    let record = now(get(&context, id))
        .map_err(|error| words(&error))?
        .ok_or("no message")?;
    record
        .delivery
        .and_then(|delivery| delivery.message)
        .ok_or("no content")?;
    now(consent::hash_key(&context)).map_err(|error| words(&error))?;
    let hour = Hour::of(context.now());
    let keys = now(hour_keys::find(&context, "t", hour)).map_err(|error| words(&error))?;
    let (items, _) = now(park::list(&context, &["t"], None, 10)).map_err(|error| words(&error))?;
    let item = items.first().ok_or("nothing is parked")?;
    let item = now(park::get(&context, item.parked_id.parse().unwrap())).map_err(|error| words(&error))?;
    let event = item
        .and_then(|item| item.event)
        .map(|event: Event| event.provider_message_id);
    (keys.len() == 1 && event.as_deref() == Some("9"))
        .then_some(())
        .ok_or_else(|| "something is gone".to_owned())
}

#[test]
fn everything_is_sealed_with_the_new_key_in_the_end() {
    for (loses, dies_after) in [(false, None), (false, Some(0)), (false, Some(3)), (true, Some(1))] {
        let world = World::new(loses);
        let id = lived(&Keyed::new(&world, &FORMER, &[]));
        let both = Keyed::new(&world, &PRESENT, &[FORMER]);
        reads_everything(&both, id).unwrap();
        assert!(
            reads_everything(&Keyed::new(&world, &PRESENT, &[]), id).is_err(),
            "the former key is still needed"
        );
        assert_eq!(
            reseal(&both, dies_after),
            2,
            "a pass that worked is followed by one that looks"
        );
        reads_everything(&Keyed::new(&world, &PRESENT, &[]), id).unwrap();
        assert!(reads_everything(&Keyed::new(&world, &FORMER, &[]), id).is_err());
    }
}

#[test]
fn keys_of_the_hour_keep_their_end() {
    let world = World::new(false);
    lived(&Keyed::new(&world, &FORMER, &[]));
    let both = Keyed::new(&world, &PRESENT, &[FORMER]);
    reseal(&both, None);
    let hour = Hour::of(both.context().now());
    let query = || vec![Query::Record(keys::hour_key("t", hour))];
    let there = |world: &World| {
        let answers = now(world.store.read(hourly::shard_of("t", hour), query())).unwrap();
        matches!(answers.as_slice(), [Answer::Record(Some(_))])
    };
    let ends = hour.ends() + realm().life;
    world.pass(ends.0 - both.context().now().0 - 1);
    assert!(there(&world));
    world.pass(2);
    assert!(!there(&world));
}

#[test]
fn what_no_configured_key_opens_is_never_said_to_be_done() {
    let world = World::new(false);
    lived(&Keyed::new(&world, &[9; KEY_BYTES], &[]));
    let both = Keyed::new(&world, &PRESENT, &[FORMER]);
    let mut at = ResealCursor {
        stage: 1,
        ..ResealCursor::default()
    };
    while !is_pass_over(&at) {
        // Secrets of such a key cannot be read at all.
        let Ok(next) = now(step(&both.context(), &realm(), &at)) else {
            break;
        };
        at = next;
    }
    assert!(at.closed > 0 && at.resealed == 0, "{at:?}");
    let over = ResealCursor { stage: 3, ..at };
    assert_eq!(now(step(&both.context(), &realm(), &over)).unwrap().done_at_ms, 0);
}

#[test]
fn a_gateway_without_former_keys_has_nothing_to_do() {
    let world = World::new(false);
    let keyed = Keyed::new(&world, &PRESENT, &[]);
    lived(&keyed);
    assert_eq!(reseal(&keyed, None), 1);
}
