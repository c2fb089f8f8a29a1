use super::*;
use omnigate_proto::state::v1::{CustomerEventBatch, Parked, RawBatch};
use omnigate_proto::v1::{CustomerEvent, Event, ParkedItem};

const QUEUE: &str = "omnigate.inbound.03";

fn key(byte: u8) -> HourKey {
    HourKey::new(&[byte; KEY_BYTES]).unwrap()
}

fn stamped(tenant_id: &str, account_id: &str) -> Stamped {
    let event = Event {
        event_id: "e".to_owned(),
        tenant_id: tenant_id.to_owned(),
        account_id: account_id.to_owned(),
        ..Event::default()
    };
    Stamped {
        event: event.encode_to_vec().into(),
        received_at_ms: 5,
        traceparent: "t".to_owned(),
        ..Stamped::default()
    }
}

fn batch(of: &[(&str, &str)]) -> Bytes {
    let events = of.iter().map(|(tenant, account)| stamped(tenant, account)).collect();
    EventBatch { events }.encode_to_vec().into()
}

#[test]
fn a_body_of_one_tenant_is_one_portion_as_it_is() {
    let body = batch(&[("a", "1"), ("a", "2")]);
    let cut = portions(QUEUE, &body).unwrap();
    assert_eq!(cut.len(), 1);
    assert_eq!((cut[0].tenant_id.as_str(), &cut[0].body), ("a", &body));
}

#[test]
fn portions_hold_every_element_of_their_tenant_in_its_order() {
    let body = batch(&[("a", "1"), ("b", "1"), ("a", "2"), ("", "1"), ("b", "2")]);
    let cut = portions(QUEUE, &body).unwrap();
    let found: Vec<(&str, Bytes)> = cut
        .iter()
        .map(|portion| (portion.tenant_id.as_str(), portion.body.clone()))
        .collect();
    let expected = [
        ("a", batch(&[("a", "1"), ("a", "2")])),
        ("b", batch(&[("b", "1"), ("b", "2")])),
        ("", batch(&[("", "1")])),
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_kind_of_body_with_content_is_cut_and_no_other() {
    let event = CustomerEvent {
        event_id: "x".to_owned(),
        tenant_id: "a".to_owned(),
        ..CustomerEvent::default()
    };
    let told = CustomerEventBatch {
        events: vec![event.encode_to_vec().into()],
    };
    let item = ParkedItem {
        parked_id: "prk".to_owned(),
        tenant_id: "b".to_owned(),
        ..ParkedItem::default()
    };
    let parked = Parked {
        item: item.encode_to_vec().into(),
    };
    let raw = RawBatch {
        requests: vec![Bytes::from_static(b"\x0a\x01x")],
    };
    let tenant = |place: &str, body: Vec<u8>| Some(portions(place, &body.into())?.first()?.tenant_id.clone());
    assert_eq!(tenant("omnigate.events.03", told.encode_to_vec()).as_deref(), Some("a"));
    assert_eq!(tenant("omnigate.parked", parked.encode_to_vec()).as_deref(), Some("b"));
    assert_eq!(tenant("omnigate.raw", raw.encode_to_vec()).as_deref(), Some(""));
    for place in ["omnigate.intents", "omnigate.outbound.shop.bulk"] {
        assert_eq!(tenant(place, batch(&[("a", "1")]).to_vec()), None);
    }
}

#[test]
fn what_cannot_be_read_is_one_portion_as_it_is() {
    for nonsense in [&b"\x0a\x7fshort"[..], b"\x12\x01x", b"\0", b"", b"\x08\x01"] {
        let body = Bytes::copy_from_slice(nonsense);
        let cut = portions(QUEUE, &body).unwrap();
        assert!(cut.len() == 1 && cut[0].tenant_id.is_empty() && cut[0].body == body);
    }
}

#[test]
fn a_part_opens_with_its_key_at_its_place_for_its_tenant_and_hour() {
    let (hour, body) = (Hour(500_000), batch(&[("a", "1")]));
    let portion = portions(QUEUE, &body).unwrap().remove(0);
    let part = seal(QUEUE, &portion, hour, &key(1), [7; 12]).unwrap();
    assert!(!part.sealed.windows(3).any(|window| window == b"\x0a\x01e"));
    let keys = [key(2), key(1)];
    assert_eq!(open(QUEUE, &part, &keys), Some(body));
    assert_eq!(open("omnigate.inbound.04", &part, &keys), None);
    assert_eq!(open(QUEUE, &part, &keys[..1]), None);
    let moved = [
        SealedPart {
            tenant_id: "b".to_owned(),
            ..part.clone()
        },
        SealedPart {
            hour: hour.next().0,
            ..part.clone()
        },
        SealedPart {
            sealed: part.sealed.slice(..part.sealed.len() - 1),
            ..part
        },
    ];
    assert!(moved.iter().all(|part| open(QUEUE, part, &keys).is_none()));
}

#[test]
fn sealed_bodies_lead_back_and_are_no_batches() {
    let sealed = SealedBody {
        place: QUEUE.to_owned(),
        parts: vec![SealedPart::default()],
    };
    let body = encode(&sealed);
    assert!(is_sealed(&body) && EventBatch::decode(body.clone()).is_err());
    assert_eq!(decode(&body), Some(sealed));
    assert_eq!(decode(&batch(&[("a", "1")])), None);
    assert!(may_lie_at(QUEUE, QUEUE) && may_lie_at(QUEUE, "omnigate.journal"));
    assert!(!may_lie_at(QUEUE, "omnigate.inbound.04") && !may_lie_at("omnigate.raw", "omnigate.journal"));
}

#[test]
fn what_does_not_open_waits_as_an_event_that_is_none() {
    let part = SealedPart {
        tenant_id: "a".to_owned(),
        hour: 7,
        ..SealedPart::default()
    };
    let closed = closed_event(QUEUE, part.clone());
    let stamped = EventBatch::decode(closed).unwrap().events.remove(0);
    assert_eq!(tenant_of(&stamped.event).as_deref(), Some("a"));
    assert_eq!(tenant_of(&batch(&[("a", "1")])), None);
    assert!(is_sealed(&stamped.event) && Event::decode(stamped.event.clone()).is_err());
    assert_eq!(Hour::of(Moment(stamped.received_at_ms)), Hour(7));
    let (place, body) = closed_in(&stamped.encode_to_vec().into()).unwrap();
    assert_eq!((place.as_str(), decode(&body).unwrap().parts), (QUEUE, vec![part]));
    assert_eq!(closed_in(&body), Some((place, body.clone())));
    assert_eq!(closed_in(&super::tests::stamped("a", "1").encode_to_vec().into()), None);
}

#[test]
fn a_key_outlives_all_that_it_seals_and_hours_follow_each_other() {
    let day = Duration::from_hours(24);
    assert_eq!(life(3 * day), 8 * day);
    assert_eq!(life(30 * day), 31 * day);
    let hour = Hour::of(Moment(1_800_000_000_000));
    assert!(hour.begins() <= Moment(1_800_000_000_000) && Moment(1_800_000_000_000) < hour.ends());
    assert_eq!((Hour::of(hour.ends()), hour.next().before()), (hour.next(), hour));
}

#[test]
fn keys_are_secrets_of_the_store() {
    use crate::id::ParkedId;
    use crate::keys::{hour_key, is_secret, parked, parked_key};
    assert!(is_secret(&hour_key("a", Hour(500_000))));
    assert!(is_secret(&parked_key(ParkedId::new(Moment(5), b"x"))));
    assert!(!is_secret(&parked()), "an index cannot be sealed as a whole");
}

#[test]
fn a_record_takes_a_key_once_and_not_too_many() {
    let mut record = None;
    for byte in 0..20 {
        record = with_key(record.as_ref(), &[byte; KEY_BYTES]).or(record);
    }
    let record = record.unwrap();
    assert_eq!(read_keys(&record).len(), MAX_KEYS);
    assert_eq!(with_key(Some(&record), &[0; KEY_BYTES]), None);
    assert_eq!(read_keys(&record)[0].bytes(), &[0; KEY_BYTES]);
}
