//! What a message means for the conversation it belongs to.

use crate::id::EventId;
use crate::time::Moment;
use omnigate_proto::v1::{Direction, Event, Lane, Message, WriterKind, event::Kind};

/// Something that was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// The customer's: somebody has to act.
    Theirs {
        /// When it was received.
        at: Moment,
        /// Its event.
        event: EventId,
    },
    /// A human of ours answered.
    Answer {
        /// When it counts.
        at: Moment,
        /// Its message or event, as text.
        cause: String,
    },
    /// A machine of ours wrote, or the customer's did: only a sign of life.
    Aside {
        /// When.
        at: Moment,
    },
}

/// What an event from a channel means; `None` for what is no word at all.
///
/// A late message is a word like any other: however long it travelled, nobody has answered it. Its times count from when it
/// was received. What a person of ours wrote in the provider's own app comes back as an echo, and is their answer.
#[must_use]
pub fn of_event(event: &Event, id: EventId, received_at: Moment) -> Option<Word> {
    let at = received_at;
    let ours = event.direction() == Direction::Outbound;
    match &event.kind {
        Some(Kind::Message(message)) if message.is_automatic => Some(Word::Aside { at }),
        Some(Kind::Message(message)) if ours || message.is_echo => Some(Word::Answer {
            at,
            cause: id.to_string(),
        }),
        Some(Kind::Message(_) | Kind::Postback(_) | Kind::Call(_)) if !ours => Some(Word::Theirs { at, event: id }),
        _ => None,
    }
}

/// What a message that was accepted for sending means.
///
/// It counts from its acceptance: that is when the person of ours had answered. What waits for a time counts from then.
#[must_use]
pub fn answer(message: &Message, lane: Lane, at: Moment, cause: String) -> Word {
    let kind = message
        .writer
        .as_ref()
        .map_or(WriterKind::Unspecified, |writer| writer.kind());
    let is_human = match kind {
        WriterKind::Human => true,
        // The gateway cannot know who calls. Most who send single messages are people's consoles.
        WriterKind::Unspecified => lane != Lane::Bulk,
        WriterKind::Bot | WriterKind::System | WriterKind::Campaign => false,
    };
    if is_human && !message.is_automatic {
        Word::Answer { at, cause }
    } else {
        Word::Aside { at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{Call, Deletion, Edit, Postback, Rating, Reaction, Receipt, Subscription, Writer};

    const ID: EventId = EventId([7; 16]);

    fn of(kind: Kind, direction: Direction) -> Option<Word> {
        let event = Event {
            direction: direction.into(),
            kind: Some(kind),
            ..Event::default()
        };
        of_event(&event, ID, Moment(5))
    }

    #[test]
    fn only_what_the_customer_says_is_their_word() {
        let theirs = Some(Word::Theirs {
            at: Moment(5),
            event: ID,
        });
        for kind in [
            Kind::Message(Message::default()),
            Kind::Postback(Postback::default()),
            Kind::Call(Call::default()),
        ] {
            assert_eq!(of(kind, Direction::Inbound), theirs);
        }
        for kind in [
            Kind::Edit(Edit::default()),
            Kind::Deletion(Deletion::default()),
            Kind::Reaction(Reaction::default()),
            Kind::Receipt(Receipt::default()),
            Kind::Subscription(Subscription::default()),
            Kind::Rating(Rating::default()),
            Kind::PrivacyRequest(omnigate_proto::v1::PrivacyRequest::default()),
        ] {
            assert_eq!(of(kind.clone(), Direction::Inbound), None, "{kind:?}");
        }
        let automatic = Message {
            is_automatic: true,
            ..Message::default()
        };
        for direction in [Direction::Inbound, Direction::Outbound] {
            let word = of(Kind::Message(automatic.clone()), direction);
            assert_eq!(word, Some(Word::Aside { at: Moment(5) }));
        }
        let echo = Message {
            is_echo: true,
            ..Message::default()
        };
        let answered = of(Kind::Message(echo), Direction::Outbound);
        assert!(matches!(answered, Some(Word::Answer { .. })), "{answered:?}");
    }

    #[test]
    fn only_a_human_answers() {
        let written = |kind: WriterKind, lane, is_automatic| {
            let message = Message {
                is_automatic,
                writer: Some(Writer {
                    kind: kind.into(),
                    ..Writer::default()
                }),
                ..Message::default()
            };
            matches!(answer(&message, lane, Moment(1), String::new()), Word::Answer { .. })
        };
        assert!(written(WriterKind::Human, Lane::Bulk, false));
        assert!(written(WriterKind::Unspecified, Lane::Transactional, false));
        assert!(!written(WriterKind::Unspecified, Lane::Bulk, false));
        assert!(!written(WriterKind::Human, Lane::Transactional, true));
        for machine in [WriterKind::Bot, WriterKind::System, WriterKind::Campaign] {
            assert!(!written(machine, Lane::Transactional, false), "{machine:?}");
        }
    }
}
