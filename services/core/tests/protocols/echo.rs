//! Echoes of our own messages that are faster than the provider's answer.

use crate::link::{arrival, message};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::delivery;
use omnigate_core::id::MessageId;
use omnigate_core::identity::Named;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::context::Context;
use omnigate_core::protocol::submit::{Answer, Begun, Rules, answer, begin};
use omnigate_core::protocol::{echo, send};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Direction, Evidence, Identifier, Lane, Message, Part, Text, UnknownPolicy, part::Content};

const PEER: &str = "zalo_user/oa/77";

pub(crate) fn peer() -> Identifier {
    Identifier {
        r#type: "zalo_user".into(),
        scope: "oa".into(),
        value: "77".into(),
    }
}

fn echo_of(id: &str) -> Arrival {
    let mut event = message("oa", PEER, &[], id);
    event.set_direction(Direction::Outbound);
    arrival(event)
}

pub(crate) fn sent(world: &World) -> MessageId {
    sent_in(&world.context())
}

pub(crate) fn sent_in(context: &Context<'_>) -> MessageId {
    let text = Text {
        text: "Chào chị".into(),
        ..Text::default()
    };
    let now_is = context.now();
    let request = send::Request {
        tenant_id: "t".into(),
        request_id: "r".into(),
        body_hash: [1; 32],
        target: send::Target::Identifier {
            named: Named {
                identifier: peer(),
                evidence: Evidence::Stated,
                provider_form: String::new(),
            },
            account_id: "oa".into(),
            channel: "test".into(),
        },
        message: Message {
            parts: vec![Part {
                content: Some(Content::Text(text)),
            }],
            ..Message::default()
        },
        send_at: now_is,
        expire_at: Moment(now_is.0 + 60_000),
        lane: Lane::Transactional,
        on_unknown: UnknownPolicy::Unspecified,
        traceparent: String::new(),
        trace_id: String::new(),
    };
    let accepted = now(send::accept(context, &request)).unwrap();
    accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap()
}

#[test]
fn an_echo_waits_for_the_answer_and_is_no_second_message() {
    for loses in [false, true] {
        let world = World::new(loses);
        let context = world.context();
        let early = |id: &str| now(echo::is_early(&context, &[echo_of(id)])).unwrap();
        now(apply(&context, &[arrival(message("oa", PEER, &[], "1"))])).unwrap();
        assert!(!early("2"), "nothing is being sent");
        let id = sent(&world);
        assert!(!early("2"), "nothing has begun to leave");
        let Begun::Go(_, submission) = now(begin(&context, id, &Rules::default(), &[7; 16])).unwrap() else {
            panic!("nothing stands before it");
        };
        assert!(early("2"), "it may be of the message that is leaving");
        assert!(!now(echo::is_early(&context, &[arrival(message("oa", PEER, &[], "3"))])).unwrap());
        let accepted = Answer {
            piece_count: 1,
            outcome: Ok(delivery::accepted("2")),
        };
        // `None` where our own commit stood already.
        now(answer(&context, &submission, &accepted, 0)).unwrap();
        assert!(!early("2") && !early("4"), "the answer is there");
        let applied = now(apply(&context, &[echo_of("2")])).unwrap();
        assert_eq!((applied.applied.len(), applied.repeated), (0, 1), "it is known");
    }
}
