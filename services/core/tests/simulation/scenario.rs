//! What customers write: small worlds in which every rule of the protocol matters.

use crate::oracle::TENANT;
use crate::pieces;
use crate::rng::Rng;
use crate::time::BEGINNING;
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, Limits, Settings};
use omnigate_core::append::Arrival;
use omnigate_core::event::normalise;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Deletion, Direction, Edit, Event, Evidence, Identifier, IdentifierEvidence, Message, Part, ProfileUpdate, Reaction,
    Text, event::Kind, part::Content,
};
use prost::Message as _;

pub(crate) const PARTITIONS: u16 = 8;

/// Events that ingest took at once, in order.
pub(crate) type Push = Vec<Event>;

/// A kind of world.
pub(crate) struct Scenario {
    pub name: &'static str,
    pub script: fn(&mut Rng) -> Vec<Push>,
    /// Minutes may pass at once.
    pub leaps: bool,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "first_contact",
        script: first_contact,
        leaps: false,
    },
    Scenario {
        name: "several_identifiers",
        script: several_identifiers,
        leaps: false,
    },
    Scenario {
        name: "caps",
        script: caps,
        leaps: false,
    },
    Scenario {
        name: "room_is_made_later",
        script: room_is_made_later,
        leaps: false,
    },
    Scenario {
        name: "moved",
        script: moved,
        leaps: false,
    },
    Scenario {
        name: "amendments",
        script: amendments,
        leaps: false,
    },
    Scenario {
        name: "duplicates",
        script: duplicates,
        leaps: false,
    },
    Scenario {
        name: "batches",
        script: batches,
        leaps: false,
    },
    Scenario {
        name: "one_home",
        script: one_home,
        leaps: false,
    },
    Scenario {
        name: "anything",
        script: anything,
        leaps: false,
    },
    Scenario {
        name: "long_messages",
        script: pieces::long_messages,
        leaps: true,
    },
    Scenario {
        name: "missing_pieces",
        script: pieces::missing_pieces,
        leaps: true,
    },
];

/// An event as unify gets it.
pub(crate) fn arrival(event: Event, received_at: Moment) -> Arrival {
    let bytes: Bytes = event.encode_to_vec().into();
    Arrival {
        id: event.event_id.parse().unwrap(),
        event,
        bytes,
        received_at,
    }
}

fn named(text: &str) -> Identifier {
    let mut parts = text.split('/');
    Identifier {
        r#type: parts.next().unwrap().into(),
        scope: parts.next().unwrap().into(),
        value: parts.next().unwrap().into(),
    }
}

/// An event of `account` with this peer, which the channel vouches for, as it does for the others.
pub(crate) fn event(account: &str, peer: &str, others: &[&str], message_id: &str, kind: Kind) -> Event {
    let vouched = |text: &&str| IdentifierEvidence {
        identifier: Some(named(text)),
        evidence: Evidence::Vouched.into(),
        provider_form: String::new(),
    };
    let event = Event {
        peer: Some(named(peer)),
        identifiers: [peer].iter().chain(others).map(vouched).collect(),
        provider_message_id: message_id.into(),
        kind: Some(kind),
        ..Event::default()
    };
    stamped(event, account)
}

/// As ingest passes it on.
fn stamped(mut event: Event, account: &str) -> Event {
    let account = Account {
        id: account.into(),
        tenant_id: TENANT.into(),
        channel: "test".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: account.into(),
        settings: Settings::default(),
        limits: Limits::default(),
    };
    normalise(&mut event, &account, BEGINNING, "4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    event
}

fn text(text: &str) -> Message {
    let content = Content::Text(Text {
        text: text.into(),
        ..Text::default()
    });
    Message {
        parts: vec![Part { content: Some(content) }],
        ..Message::default()
    }
}

pub(crate) fn message(account: &str, peer: &str, others: &[&str], id: &str) -> Event {
    event(account, peer, others, id, Kind::Message(text(id)))
}

fn edit(account: &str, peer: &str, id: &str, words: &str, at: Option<i64>) -> Event {
    let edited_at = at.map(|at| Moment(BEGINNING.0 + at).to_timestamp());
    event(
        account,
        peer,
        &[],
        id,
        Kind::Edit(Edit {
            message: Some(text(words)),
            edited_at,
        }),
    )
}

/// The same event after a change, normalised anew.
fn again(mut event: Event, change: impl FnOnce(&mut Event)) -> Event {
    let account = event.account_id.clone();
    change(&mut event);
    stamped(event, &account)
}

fn occurred(event: Event, at: i64) -> Event {
    again(event, |event| {
        event.occurred_at = Some(Moment(BEGINNING.0 + at).to_timestamp())
    })
}

fn react(account: &str, peer: &str, id: &str, emojis: &[&str], at: i64) -> Event {
    let reaction = Reaction {
        emojis: emojis.iter().map(|emoji| (*emoji).into()).collect(),
        actor: None,
    };
    occurred(event(account, peer, &[], id, Kind::Reaction(reaction)), at)
}

fn withdraw(account: &str, peer: &str, id: &str) -> Event {
    event(account, peer, &[], id, Kind::Deletion(Deletion { for_everyone: true }))
}

fn goes_to(account: &str, peer: &str, moved_to: &str) -> Event {
    let moved_to = Some(named(moved_to));
    event(
        account,
        peer,
        &[],
        "moved",
        Kind::ProfileUpdate(ProfileUpdate {
            moved_to,
            moved_from: None,
        }),
    )
}

fn came_from(account: &str, peer: &str, moved_from: &str) -> Event {
    let moved_from = Some(named(moved_from));
    event(
        account,
        peer,
        &[],
        "came",
        Kind::ProfileUpdate(ProfileUpdate {
            moved_to: None,
            moved_from,
        }),
    )
}

/// The same new identifier from several partitions at once.
fn first_contact(_: &mut Rng) -> Vec<Push> {
    let phone = "phone//+84900000001";
    vec![
        vec![message("a", phone, &[], "1")],
        vec![message("b", phone, &[], "1")],
        vec![message("c", phone, &[], "1"), message("c", phone, &[], "2")],
        vec![message("a", phone, &[], "2")],
    ]
}

/// Several identifiers in one event, against events that name each alone.
fn several_identifiers(rng: &mut Rng) -> Vec<Push> {
    let (phone, chat, mail) = ("phone//+84900000001", "tg_chat/bot/1", "email//a@b.vn");
    let mut pushes = vec![
        vec![message("bot", chat, &[phone], "1")],
        vec![message("sms", phone, &[], "1")],
        vec![message("bot", chat, &[], "2")],
        vec![message("mail", mail, &[phone], "1")],
        vec![message("bot", chat, &[phone, mail], "3")],
        vec![message("mail", mail, &[], "2")],
        vec![message("zalo", "zalo_uid/oa/7", &[mail, "crm/erp/77"], "1")],
    ];
    rng.shuffle(&mut pushes);
    pushes
}

/// More identifiers of a kind than one customer may have.
fn caps(rng: &mut Rng) -> Vec<Push> {
    let phone = "phone//+84900000001";
    let mut pushes = vec![vec![message("sms", phone, &[], "1")]];
    for number in 1..=4 {
        pushes.push(vec![message("wa", &format!("wa_id/wa/{number}"), &[phone], "1")]);
        pushes.push(vec![message("wa", &format!("wa_id/wa/{number}"), &[], "2")]);
    }
    for number in 1..=3 {
        pushes.push(vec![message("bot", &format!("tg_chat/bot/{number}"), &[phone], "1")]);
    }
    pushes.push(vec![message("two", "tg_chat/bot/2", &[phone], "1")]);
    rng.shuffle(&mut pushes);
    pushes
}

/// A reservation is refused; later the provider moves the peer that took the room away.
fn room_is_made_later(rng: &mut Rng) -> Vec<Push> {
    let phone = "phone//+84900000001";
    let mut pushes = vec![
        vec![message("two", "tg_chat/bot/2", &[phone], "1")],
        vec![message("bot", "tg_chat/bot/2", &[phone], "1")],
        vec![message("three", "tg_chat/bot/2", &[], "1")],
        vec![goes_to("bot", "tg_chat/bot/1", "tg_group/bot/1")],
        vec![
            message("four", "tg_chat/bot/2", &[phone], "1"),
            message("four", "tg_chat/bot/2", &[], "2"),
        ],
    ];
    rng.shuffle(&mut pushes);
    pushes.insert(0, vec![message("bot", "tg_chat/bot/1", &[phone], "1")]);
    pushes
}

/// A chat is moved by its provider, while both chats write.
fn moved(rng: &mut Rng) -> Vec<Push> {
    let (phone, old, new) = ("phone//+84900000001", "tg_chat/bot/1", "tg_chat/bot/-100");
    let mut pushes = vec![
        vec![message("bot", old, &[], "2")],
        vec![goes_to("bot", old, new)],
        vec![came_from("bot", new, old), message("bot", new, &[], "1")],
        vec![message("bot", new, &[phone], "2")],
        vec![message("bot", old, &[], "3")],
    ];
    rng.shuffle(&mut pushes);
    pushes.insert(0, vec![message("bot", old, &[phone], "1")]);
    pushes
}

/// Edits, reactions and withdrawals before and after their messages, in one batch and across batches.
fn amendments(rng: &mut Rng) -> Vec<Push> {
    let mut pushes = Vec::new();
    for (account, peer) in [("bot", "tg_chat/bot/1"), ("oa", "zalo_uid/oa/1")] {
        let mut events = vec![
            message(account, peer, &[], "1"),
            message(account, peer, &[], "2"),
            edit(account, peer, "1", "one", Some(1_000)),
            edit(account, peer, "1", "two", Some(3_000)),
            edit(account, peer, "1", "three", Some(2_000)),
            edit(account, peer, "2", "same second", Some(5_000)),
            edit(account, peer, "2", "the same second", Some(5_000)),
            react(account, peer, "1", &["👍"], 1_000),
            react(account, peer, "1", &[], 4_000),
            react(account, peer, "2", &["❤", "👍"], 500),
            edit(account, peer, "1", "no time", None),
        ];
        if rng.per_mille(500) {
            events.push(withdraw(account, peer, "2"));
        }
        rng.shuffle(&mut events);
        cut(rng, events, &mut pushes);
    }
    rng.shuffle(&mut pushes);
    pushes
}

/// Cuts a sequence into pushes of a few events each.
pub(crate) fn cut(rng: &mut Rng, events: Vec<Event>, pushes: &mut Vec<Push>) {
    let mut push = Vec::new();
    for event in events {
        push.push(event);
        if rng.per_mille(400) {
            pushes.push(std::mem::take(&mut push));
        }
    }
    if !push.is_empty() {
        pushes.push(push);
    }
}

/// The same events again and again, also inside one batch; and what our own side sent.
fn duplicates(rng: &mut Rng) -> Vec<Push> {
    let chat = "tg_chat/bot/1";
    let mut echo = message("bot", chat, &[], "4");
    echo.set_direction(Direction::Outbound);
    if let Some(Kind::Message(message)) = &mut echo.kind {
        message.is_echo = true;
    }
    let originals = [
        message("bot", chat, &["phone//+84900000001"], "1"),
        message("bot", chat, &[], "2"),
        edit("bot", chat, "2", "better", Some(1)),
        again(echo, |_| ()),
        message("bot", chat, &[], "5"),
    ];
    let mut events = Vec::new();
    for (position, original) in originals.iter().enumerate() {
        events.push(original.clone());
        for _ in 0..rng.below(3) {
            events.push(originals[rng.below(position + 1)].clone());
        }
    }
    let mut pushes = Vec::new();
    cut(rng, events, &mut pushes);
    let doubled = pushes[rng.below(pushes.len())].clone();
    pushes.push(doubled);
    pushes
}

/// Long batches of a few threads, with times from far away.
fn batches(rng: &mut Rng) -> Vec<Push> {
    let far = [-30 * 86_400_000, -8 * 86_400_000, -60_000, 0, 60_000, 10 * 86_400_000];
    let mut events = Vec::new();
    for number in 0..12 {
        let (account, peer) = [("bot", "tg_chat/bot/1"), ("oa", "zalo_uid/oa/1")][rng.below(2)];
        let event = message(account, peer, &["phone//+84900000001"], &number.to_string());
        let at = rng.pick(&far);
        events.push(if rng.per_mille(700) { occurred(event, at) } else { event });
    }
    let mut pushes = Vec::new();
    cut(rng, events, &mut pushes);
    pushes
}

/// Several threads whose home is one record, written to from several partitions.
fn one_home(rng: &mut Rng) -> Vec<Push> {
    let phone = "phone//+84900000001";
    let mut pushes = Vec::new();
    for round in 1..=3 {
        for account in ["a", "b", "c"] {
            pushes.push(vec![message(account, phone, &[], &round.to_string())]);
        }
        pushes.push(vec![message("bot", "tg_chat/bot/1", &[phone], &round.to_string())]);
    }
    rng.shuffle(&mut pushes);
    pushes
}

/// A bit of everything.
fn anything(rng: &mut Rng) -> Vec<Push> {
    let peers = [
        ("sms", "phone//+84900000001"),
        ("other", "phone//+84900000001"),
        ("sms", "phone//+84900000002"),
        ("bot", "tg_chat/bot/1"),
        ("bot", "tg_chat/bot/2"),
        ("mail", "email//a@b.vn"),
        ("site", "web_visitor/site/9"),
    ];
    let others = [
        "phone//+84900000001",
        "email//a@b.vn",
        "crm/erp/1",
        "crm/erp/2",
        "wa_id/wa/1",
    ];
    let mut events: Vec<Event> = Vec::new();
    for _ in 0..8 + rng.below(8) {
        let (account, peer) = rng.pick(&peers);
        let id = rng.below(5).to_string();
        let along: Vec<&str> = (0..rng.below(3)).map(|_| rng.pick(&others)).collect();
        let at = i64::try_from(rng.below(5)).unwrap();
        let event = match rng.below(10) {
            0 => edit(account, peer, &id, &format!("edited {at}"), Some(at)),
            1 => react(account, peer, &id, &["👍"], at),
            2 => withdraw(account, peer, &id),
            3 => goes_to(account, peer, &format!("tg_chat/bot/{}", 2 + rng.below(3))),
            _ => message(account, peer, &along, &id),
        };
        // One id is one fact: it says the same whenever it comes again.
        let told = events.iter().find(|told| told.event_id == event.event_id);
        events.push(told.cloned().unwrap_or(event));
    }
    let mut pushes = Vec::new();
    cut(rng, events, &mut pushes);
    pushes
}
