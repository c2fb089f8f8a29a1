//! Conversations: what opens, answers, moves and closes them, each once.

mod afar;
mod command;
mod life;
mod listed;

use crate::link::{event, named};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::conversation::Command;
use omnigate_core::id::{ConversationId, CustomerId, ThreadId, hash};
use omnigate_core::identifier;
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::Clock as _;
use omnigate_core::port::store::Query;
use omnigate_core::protocol::append::{Applied, apply};
use omnigate_core::protocol::context::as_range;
use omnigate_core::protocol::conversation::{self, Asked, Done, Filter, NotDone, ring};
use omnigate_core::protocol::outbox;
use omnigate_core::protocol::read::{self, Whole};
use omnigate_core::protocol::send::{self, Request, Target};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Assignee, Conversation, ConversationChanged, ConversationStatus, CustomerEvent, Lane, Message, Part, Text,
    UnknownPolicy, Writer, WriterKind, customer_event::Kind as Told, event::Kind, part::Content,
};
use pbjson_types::Duration;
use prost::Message as _;
use std::ops::Bound;

const PEER: &str = "phone//+84912000111";
const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;

/// An event that is received now.
fn received(world: &World, account: &str, peer: &str, id: &str, kind: Kind) -> Arrival {
    let event = event(account, peer, &[], id, kind);
    Arrival {
        bytes: event.encode_to_vec().into(),
        id: event.event_id.parse().unwrap(),
        received_at: world.clock.now(),
        event,
    }
}

fn told(world: &World, arrival: &Arrival) -> Applied {
    now(apply(&world.context(), std::slice::from_ref(arrival))).unwrap()
}

/// The customer says something in a thread.
fn says(world: &World, account: &str, peer: &str, id: &str) {
    told(
        world,
        &received(world, account, peer, id, Kind::Message(Message::default())),
    );
}

/// Our side writes.
fn writes(world: &World, account: &str, request_id: &str, kind: WriterKind, lane: Lane) {
    let now_at = world.clock.now();
    let request = Request {
        tenant_id: "t".into(),
        request_id: request_id.into(),
        body_hash: [0; 32],
        target: Target::Thread {
            id: thread(PEER, account),
            account_id: account.into(),
            channel: "test".into(),
        },
        message: Message {
            parts: vec![Part {
                content: Some(Content::Text(Text::default())),
            }],
            writer: Some(Writer {
                kind: kind.into(),
                ..Writer::default()
            }),
            ..Message::default()
        },
        send_at: now_at,
        expire_at: Moment(now_at.0 + HOUR),
        lane,
        on_unknown: UnknownPolicy::Report,
        traceparent: String::new(),
        trace_id: String::new(),
    };
    now(send::accept(&world.context(), &request)).unwrap();
}

fn answers(world: &World, account: &str, request_id: &str) {
    writes(world, account, request_id, WriterKind::Human, Lane::Transactional);
}

fn thread(peer: &str, account: &str) -> ThreadId {
    ThreadId::new(identifier::key("t", &named(peer)), account)
}

fn whole(world: &World, peer: &str) -> Whole {
    now(read::resolve(&world.context(), "t", &named(peer)))
        .unwrap()
        .unwrap()
}

/// A customer's conversations, the youngest first.
fn of(world: &World, peer: &str) -> Vec<Conversation> {
    let whole = whole(world, peer);
    let (context, all) = (world.context(), Filter::default());
    let page = now(conversation::of_customer(&context, &whole, &all, None, 100));
    page.unwrap().conversations
}

/// The only one.
fn only(world: &World) -> Conversation {
    let [one] = of(world, PEER).try_into().unwrap();
    one
}

fn id_of(conversation: &Conversation) -> ConversationId {
    conversation.conversation_id.parse().unwrap()
}

fn carry_out(world: &World, request_id: &str, id: ConversationId, command: &Command) -> Result<Done, NotDone> {
    let asked = Asked {
        tenant_id: "t",
        request_id,
        body_hash: hash("test", &[format!("{command:?}").as_bytes()]),
        trace_id: "trace",
    };
    now(conversation::carry_out(&world.context(), &asked, id, command))
}

fn assign(from: &str, to: Option<&str>) -> Command {
    Command::Assign {
        assignee: to.map(|id| Assignee {
            id: id.into(),
            display_name: String::new(),
        }),
        expected: from.into(),
        etag: String::new(),
    }
}

fn stands(status: ConversationStatus, until: Moment) -> Command {
    Command::SetStatus {
        status,
        until,
        etag: String::new(),
    }
}

fn set(world: &World, request_id: &str, status: ConversationStatus) -> Conversation {
    let id = id_of(&of(world, PEER)[0]);
    carry_out(world, request_id, id, &stands(status, Moment(0)))
        .unwrap()
        .conversation
}

/// What others are told of conversations, in order.
fn changes(world: &World, home: CustomerId) -> Vec<ConversationChanged> {
    let left = now(outbox::left_over(
        &world.context(),
        home.shard(),
        std::time::Duration::ZERO,
        1000,
    ))
    .unwrap();
    let mut events: Vec<CustomerEvent> = left
        .iter()
        .map(|left| CustomerEvent::decode(left.event.clone()).unwrap())
        .filter(|event| event.customer_id == home.to_string())
        .collect();
    events.sort_by_key(|event| event.home_seq);
    let numbers: Vec<u64> = events.iter().map(|event| event.home_seq).collect();
    assert_eq!(
        numbers,
        (1..=numbers.len() as u64).collect::<Vec<_>>(),
        "numbers have no gaps"
    );
    let changes = events.into_iter().filter_map(|event| match event.kind {
        Some(Told::ConversationChanged(changed)) => Some(changed),
        _ => None,
    });
    changes.collect()
}

fn words(world: &World) -> Vec<String> {
    let home = whole(world, PEER).id;
    let changes = changes(world, home).into_iter();
    changes.map(|changed| changed.changed.join(" ")).collect()
}

/// Timers of a home's conversations.
fn timers(world: &World) -> Vec<(CustomerId, Moment)> {
    let all = Query::Range {
        key: keys::timers(),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 100,
        reverse: false,
    };
    let shard = whole(world, PEER).id.shard();
    let answers = now(world.context().store.read(shard, vec![all])).unwrap();
    let members = as_range(answers.into_iter().next()).unwrap();
    let read = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
    let ours = read.filter_map(|(due, timer)| match timer {
        Timer::Conversations(home) => Some((home, due)),
        _ => None,
    });
    ours.collect()
}

/// The scheduler looks at every timer that is due, until none is.
fn scheduled(world: &World) {
    for _ in 0..10 {
        let due = timers(world).into_iter().find(|(_, due)| *due <= world.clock.now());
        let Some((home, due)) = due else { return };
        now(ring(&world.context(), home, due)).unwrap();
    }
    panic!("timers fire without end");
}

fn seconds(duration: Option<&Duration>) -> Option<i64> {
    duration.map(|duration| duration.seconds)
}

fn update_tags(add: &[&str]) -> Command {
    Command::Update {
        priority: omnigate_proto::v1::ConversationPriority::Unspecified,
        add: add.iter().map(|tag| (*tag).to_owned()).collect(),
        remove: Vec::new(),
        etag: String::new(),
    }
}
