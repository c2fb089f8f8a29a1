//! Which customer the identifiers of an event come to.

use crate::{World, now};
use omnigate_core::account::{Account, AdapterRef, Limits, Settings};
use omnigate_core::append::Arrival;
use omnigate_core::event::normalise;
use omnigate_core::identifier;
use omnigate_core::protocol::append::apply;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Event, Evidence, Identifier, IdentifierEvidence, Message, ProfileUpdate, event::Kind};
use prost::Message as _;

pub(crate) fn named(text: &str) -> Identifier {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap().to_owned();
    Identifier {
        r#type: next(),
        scope: next(),
        value: next(),
    }
}

pub(crate) fn event(account: &str, peer: &str, others: &[&str], id: &str, kind: Kind) -> Event {
    let account = Account {
        id: account.into(),
        tenant_id: "t".into(),
        channel: "test".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: account.into(),
        settings: Settings::default(),
        limits: Limits::default(),
    };
    let vouched = |text: &&str| IdentifierEvidence {
        identifier: Some(named(text)),
        evidence: Evidence::Vouched.into(),
        provider_form: String::new(),
    };
    let mut event = Event {
        peer: Some(named(peer)),
        identifiers: [peer].iter().chain(others).map(vouched).collect(),
        provider_message_id: id.into(),
        kind: Some(kind),
        ..Event::default()
    };
    normalise(
        &mut event,
        &account,
        Moment(1_800_000_000_000),
        "4bf92f3577b34da6a3ce929d0e0e4736",
    )
    .unwrap();
    event
}

pub(crate) fn message(account: &str, peer: &str, others: &[&str], id: &str) -> Event {
    event(account, peer, others, id, Kind::Message(Message::default()))
}

pub(crate) fn arrival(event: Event) -> Arrival {
    Arrival {
        bytes: event.encode_to_vec().into(),
        id: event.event_id.parse().unwrap(),
        received_at: Moment(1_800_000_000_000),
        event,
    }
}

fn owner(world: &World, text: &str) -> Vec<u8> {
    let key = identifier::key("t", &named(text));
    let claim = now(world.context().claim(key)).unwrap();
    claim.value.unwrap().home.to_vec()
}

pub(crate) fn told(world: &World, event: Event) {
    now(apply(&world.context(), &[arrival(event)])).unwrap();
}

#[test]
fn a_stronger_identifier_that_is_new_joins_the_customer_that_is_known() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("bot", "tg_chat/bot/1", &[], "1"));
        told(
            &world,
            message("bot", "tg_chat/bot/1", &["phone//+84900000001", "crm/erp/7"], "2"),
        );
        told(&world, message("mail", "email//a@b.vn", &["crm/erp/7"], "1"));
        let first = owner(&world, "tg_chat/bot/1");
        for other in ["phone//+84900000001", "crm/erp/7", "email//a@b.vn"] {
            assert_eq!(owner(&world, other), first, "{other}");
        }
    }
}

#[test]
fn a_moved_chat_stays_the_same_customer() {
    let world = World::new(false);
    told(&world, message("bot", "tg_chat/bot/1", &[], "1"));
    let moved_to = Some(named("tg_chat/bot/-100"));
    let moved = Kind::ProfileUpdate(ProfileUpdate {
        moved_to,
        moved_from: None,
    });
    told(&world, event("bot", "tg_chat/bot/1", &[], "2", moved));
    told(&world, message("bot", "tg_chat/bot/-100", &[], "1"));
    assert_eq!(owner(&world, "tg_chat/bot/1"), owner(&world, "tg_chat/bot/-100"));
}

#[test]
fn a_new_chat_that_says_where_it_came_from_is_the_same_customer() {
    let world = World::new(false);
    told(&world, message("bot", "tg_chat/bot/1", &[], "1"));
    let moved_from = Some(named("tg_chat/bot/1"));
    let moved = Kind::ProfileUpdate(ProfileUpdate {
        moved_to: None,
        moved_from,
    });
    told(&world, event("bot", "tg_chat/bot/-100", &[], "1", moved));
    assert_eq!(owner(&world, "tg_chat/bot/1"), owner(&world, "tg_chat/bot/-100"));
}

#[test]
fn what_a_tenant_blocks_brings_nobody_together_and_who_writes_from_it_is_somebody() {
    let mut world = World::new(false);
    let mut blocked = omnigate_core::identifier::blocked::Blocked::NONE;
    blocked.block("phone", "+8419001234");
    world.tenants.all.blocked = blocked;
    told(&world, message("a", "zalo_uid/oa/1", &["phone//+8419001234"], "1"));
    told(&world, message("b", "psid/page/2", &["phone//+8419001234"], "2"));
    assert_ne!(owner(&world, "zalo_uid/oa/1"), owner(&world, "psid/page/2"));
    let key = identifier::key("t", &named("phone//+8419001234"));
    let claim = now(world.context().claim(key)).unwrap();
    assert!(claim.value.is_none(), "it is nobody's");
    told(&world, message("sms", "phone//+8419001234", &[], "3"));
    let hotline = owner(&world, "phone//+8419001234");
    assert!(hotline != owner(&world, "zalo_uid/oa/1") && hotline != owner(&world, "psid/page/2"));
}
