use super::*;
use crate::id::EventId;
use crate::timeline::Spot;
use omnigate_proto::v1::{Direction, Event, Identifier, Message, Part, Text, event::Kind, part::Content};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_le_bytes()
    }
}

const HOME: CustomerId = CustomerId([3; 16]);
const EVENT: EventId = EventId([9; 16]);
const RECEIVED: i64 = 1_800_000_000_123;

fn peer() -> Identifier {
    Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: "+84901234567".to_owned(),
    }
}

fn home(keyring: &Keyring) -> HomeRecord {
    let thread = ThreadRecord {
        account_id: "sms-main".to_owned(),
        channel: "sms".to_owned(),
        peer: Some(peer()),
        birth: Bytes::from_static(&[5; 16]),
        peer_provider_form: "0901234567".to_owned(),
        number: 1,
        ..ThreadRecord::default()
    };
    let mut home = HomeRecord {
        tenant_id: "default".to_owned(),
        threads: vec![thread],
        threads_numbered: 1,
        ..HomeRecord::default()
    };
    give_keys(&mut home, HOME, keyring, &Counting::default());
    home
}

fn message(text: &str) -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: text.to_owned(),
                ..Text::default()
            })),
        }],
        ..Message::default()
    }
}

fn event() -> Event {
    let said = IdentifierEvidence {
        identifier: Some(peer()),
        evidence: Evidence::Vouched.into(),
        provider_form: "0901234567".to_owned(),
    };
    Event {
        event_id: EVENT.to_string(),
        tenant_id: "default".to_owned(),
        account_id: "sms-main".to_owned(),
        channel: "sms".to_owned(),
        occurred_at: Some(Moment(RECEIVED - 1_123).to_timestamp()),
        received_at: Some(Moment(RECEIVED - 4).to_timestamp()),
        direction: Direction::Inbound.into(),
        peer: Some(peer()),
        identifiers: vec![said],
        provider_message_id: "0123456789".to_owned(),
        thread_id: ThreadId::new(identifier::key("default", &peer()), "sms-main").to_string(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        kind: Some(Kind::Message(message("Cho em hỏi đơn hàng 4711 bao giờ giao ạ?"))),
        ..Event::default()
    }
}

fn entry(event: impl Into<Bytes>) -> EntryRecord {
    EntryRecord {
        event: event.into(),
        birth: Bytes::from_static(&[5; 16]),
        received_at_ms: RECEIVED,
        thread_seq: 12,
        home_seq: 34,
        applied_at_ms: RECEIVED + 7,
        thread: 1,
        ..EntryRecord::default()
    }
}

fn member() -> Bytes {
    let spot = Spot {
        shown_at: Moment(RECEIVED - 1_123),
        home_seq: 34,
    };
    keys::timeline_member(spot, EVENT)
}

fn there_and_back(entry: &EntryRecord) -> (Bytes, Option<EntryRecord>) {
    let keyring = Keyring::none();
    let home = home(&keyring);
    let stored = Stored {
        id: HOME,
        home: &home,
        keyring: &keyring,
    };
    let packed = stored.pack(&member(), entry, &Counting::default()).unwrap();
    let unpacked = stored.unpack(&member(), packed.clone()).unwrap();
    (packed, unpacked)
}

#[test]
fn a_short_message_takes_half_of_what_it_travelled_as_and_comes_back_byte_for_byte() {
    let travelled = event().encode_to_vec();
    let entry = entry(travelled.clone());
    let (packed, unpacked) = there_and_back(&entry);
    assert_eq!(unpacked, Some(entry));
    assert!(travelled.len() > 280, "{}", travelled.len());
    assert!(packed.len() <= 150, "{}", packed.len());
}

#[test]
fn nothing_that_was_written_can_be_read_in_the_store() {
    let mut entry = entry(event().encode_to_vec());
    entry.current = Some(message("Cho em hỏi đơn 4712"));
    let (packed, unpacked) = there_and_back(&entry);
    assert_eq!(unpacked, Some(entry));
    for secret in ["4711", "4712", "901234567", "0123456789", "sms-main"] {
        let found = packed.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[test]
fn what_differs_from_what_the_thread_says_stays_in_the_event() {
    let other = Identifier {
        value: "+84900000000".to_owned(),
        ..peer()
    };
    let changes: [fn(&mut Event, Identifier); 11] = [
        |event, _| event.event_id = "another".to_owned(),
        |event, _| event.tenant_id = "other".to_owned(),
        |event, _| event.account_id.clear(),
        |event, _| event.channel = "zalo".to_owned(),
        |event, _| event.occurred_at.as_mut().unwrap().nanos += 1,
        |event, _| event.received_at = None,
        |event, other| event.peer = Some(other),
        |event, other| event.identifiers[0].identifier = Some(other),
        |event, _| event.identifiers.push(event.identifiers[0].clone()),
        |event, _| event.trace_id = "NOT HEX".to_owned(),
        |event, _| event.thread_id = "thr_".to_owned(),
    ];
    for change in changes {
        let mut event = event();
        change(&mut event, other.clone());
        let entry = entry(event.encode_to_vec());
        let (_, unpacked) = there_and_back(&entry);
        assert_eq!(unpacked, Some(entry));
    }
}

#[test]
fn what_this_version_does_not_know_is_kept() {
    let mut travelled = event().encode_to_vec();
    // Field 100, length-delimited, and a second event id, which the later one is.
    travelled.extend([0xa2, 0x06, 3, b'n', b'e', b'w']);
    travelled.extend([0x0a, 2, b'i', b'd']);
    let entry = entry(travelled);
    let (_, unpacked) = there_and_back(&entry);
    let (before, after) = (entry.event.clone(), unpacked.unwrap().event);
    assert!(after.windows(3).any(|window| window == b"new"));
    assert_eq!(Event::decode(before).unwrap(), Event::decode(after).unwrap());
    let nonsense = super::tests::entry(Bytes::from_static(b"\xff\xff\xff"));
    let (_, unpacked) = there_and_back(&nonsense);
    assert_eq!(unpacked, Some(nonsense));
}

#[test]
fn an_entry_is_read_at_its_place_with_its_key_only() {
    let keyring = Keyring::new(&[1; keyring::KEY_BYTES], &[]).unwrap();
    let home = home(&keyring);
    let stored = Stored {
        id: HOME,
        home: &home,
        keyring: &keyring,
    };
    let entry = entry(event().encode_to_vec());
    let packed = stored.pack(&member(), &entry, &Counting::default()).unwrap();
    assert_eq!(stored.unpack(&member(), packed.clone()).unwrap(), Some(entry));
    let mut elsewhere = member().to_vec();
    elsewhere[20] ^= 1;
    assert!(stored.unpack(&elsewhere, packed.clone()).is_err());
    let without = Keyring::none();
    let closed = Stored {
        keyring: &without,
        ..stored
    };
    let problem = closed.unpack(&member(), packed.clone()).unwrap_err().to_string();
    assert!(problem.contains("store.seal_key"), "{problem}");
    let gone = HomeRecord::default();
    let erased = Stored { home: &gone, ..stored };
    assert_eq!(erased.unpack(&member(), packed).unwrap(), None);
}

#[test]
fn an_entry_without_a_thread_stays_as_it_is() {
    let entry = EntryRecord {
        thread: 0,
        ..entry(event().encode_to_vec())
    };
    let (packed, unpacked) = there_and_back(&entry);
    assert_eq!(packed, entry.encode_to_vec());
    assert_eq!(unpacked, Some(entry));
}

#[test]
fn a_new_key_of_the_operator_seals_the_keys_of_threads_anew() {
    let ring = |present: u8, former: &[u8]| {
        let former: Vec<_> = former.iter().map(|byte| [*byte; keyring::KEY_BYTES]).collect();
        Keyring::new(&[present; keyring::KEY_BYTES], &former).unwrap()
    };
    fn stored<'a>(home: &'a HomeRecord, keyring: &'a Keyring) -> Stored<'a> {
        Stored {
            id: HOME,
            home,
            keyring,
        }
    }
    let entry = entry(event().encode_to_vec());
    for (first, then, last) in [
        (ring(1, &[]), ring(2, &[1]), ring(2, &[])),
        (Keyring::none(), ring(1, &[]), ring(1, &[])),
    ] {
        let mut home = home(&first);
        let packed = stored(&home, &first)
            .pack(&member(), &entry, &Counting::default())
            .unwrap();
        let before = home.threads[0].data_key.clone();
        give_keys(&mut home, HOME, &then, &Counting::default());
        assert_ne!(home.threads[0].data_key, before);
        assert_eq!(
            stored(&home, &last).unpack(&member(), packed).unwrap().as_ref(),
            Some(&entry)
        );
        let sealed = home.threads[0].data_key.clone();
        give_keys(&mut home, HOME, &last, &Counting::default());
        assert_eq!(home.threads[0].data_key, sealed);
    }
}
