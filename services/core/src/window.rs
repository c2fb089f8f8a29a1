//! Reply windows: for how long after a person acted they may be written to, and at what price.

use crate::time::Moment;
use omnigate_proto::state::v1::ThreadRecord;
use omnigate_proto::v1::{
    Direction, Event, Message, ReplyWindow, ReplyWindowRule, ReplyWindowState, SubscriptionState, event::Kind,
    part::Content,
};
use std::time::Duration;

/// True when the event opens its thread's window: the person wrote, pressed, called or followed. Reading does not.
#[must_use]
pub fn opens(event: &Event) -> bool {
    let theirs = event.direction() != Direction::Outbound;
    match &event.kind {
        Some(Kind::Message(_) | Kind::Postback(_) | Kind::Call(_)) => theirs,
        Some(Kind::Subscription(subscription)) => {
            subscription.topic.is_empty() && subscription.state() == SubscriptionState::Subscribed
        }
        _ => false,
    }
}

/// When the window was opened by an event: the provider's time, which is the one that counts there, unless it lies ahead.
#[must_use]
pub fn opened_at(event: &Event, received_at: Moment) -> Moment {
    let said = event.occurred_at.as_ref().map_or(received_at, Moment::from_timestamp);
    said.min(received_at)
}

/// How a window was opened, and what the provider said of it since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Opening {
    /// When; `None` if never.
    pub at: Option<Moment>,
    /// How many more answers are free, where the provider counts them.
    pub free_replies_left: Option<u32>,
}

impl Opening {
    /// As the thread knows it.
    #[must_use]
    pub fn of(thread: &ThreadRecord) -> Self {
        Self {
            at: (thread.window_opened_ms > 0).then_some(Moment(thread.window_opened_ms)),
            free_replies_left: thread.free_replies_left,
        }
    }

    /// Back from [`Opening::shown`].
    #[must_use]
    pub fn read(window: Option<&ReplyWindow>) -> Self {
        let at = window.and_then(|window| window.opened_at.as_ref());
        Self {
            at: at.map(Moment::from_timestamp),
            free_replies_left: window.and_then(|window| window.free_replies_left),
        }
    }

    /// What a window counts from; how it stands is for whoever knows the account's rule.
    #[must_use]
    pub fn shown(self) -> Option<ReplyWindow> {
        self.at.map(|at| ReplyWindow {
            opened_at: Some(at.to_timestamp()),
            free_replies_left: self.free_replies_left,
            ..ReplyWindow::default()
        })
    }
}

/// How a thread's window stands; `None` where the rule does not concern the peer.
#[must_use]
pub fn of(rule: &ReplyWindowRule, peer_type: &str, opened: Opening, now: Moment) -> Option<ReplyWindow> {
    if !rule.peer_type.is_empty() && rule.peer_type != peer_type {
        return None;
    }
    let free_replies_left = opened.free_replies_left;
    // Never seen open: the provider may know better, it decides.
    let Some(opened) = opened.at else {
        return Some(ReplyWindow::default());
    };
    let free_until = opened + Duration::from_millis(rule.free_ms);
    let open_until = opened + Duration::from_millis(rule.open_ms.max(rule.free_ms));
    let state = if now < free_until && free_replies_left != Some(0) {
        ReplyWindowState::Free
    } else if now < open_until {
        ReplyWindowState::Billable
    } else {
        ReplyWindowState::Closed
    };
    Some(ReplyWindow {
        state: state.into(),
        opened_at: Some(opened.to_timestamp()),
        free_until: Some(free_until.to_timestamp()),
        open_until: Some(open_until.to_timestamp()),
        free_replies_left: free_replies_left.filter(|_| now < free_until),
        template_needed: state == ReplyWindowState::Closed,
    })
}

/// True when a message that is no template cannot go to the thread.
#[must_use]
pub fn is_closed(rule: &ReplyWindowRule, thread: &ThreadRecord, now: Moment) -> bool {
    let peer_type = thread.peer.as_ref().map_or("", |peer| peer.r#type.as_str());
    of(rule, peer_type, Opening::of(thread), now).is_some_and(|window| window.state() == ReplyWindowState::Closed)
}

/// True when the message consists of templates alone, which need no window.
#[must_use]
pub fn needs_none(message: &Message) -> bool {
    let mut parts = message.parts.iter().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part.content, Some(Content::Template(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{Identifier, Part, Receipt, TemplateRef, Text};

    const HOUR: u64 = 3_600_000;

    fn rule() -> ReplyWindowRule {
        ReplyWindowRule {
            free_ms: 48 * HOUR,
            open_ms: 168 * HOUR,
            peer_type: "zalo_uid".to_owned(),
        }
    }

    fn state(hours: u64) -> ReplyWindowState {
        let opened = Moment(1_000_000);
        let now = opened + Duration::from_millis(hours * HOUR);
        of(&rule(), "zalo_uid", at(opened), now).unwrap().state()
    }

    fn at(opened: Moment) -> Opening {
        Opening {
            at: Some(opened),
            free_replies_left: None,
        }
    }

    #[test]
    fn a_window_is_free_then_billable_then_closed() {
        assert_eq!(state(0), ReplyWindowState::Free);
        assert_eq!(state(47), ReplyWindowState::Free);
        assert_eq!(state(48), ReplyWindowState::Billable);
        assert_eq!(state(167), ReplyWindowState::Billable);
        assert_eq!(state(168), ReplyWindowState::Closed);
    }

    #[test]
    fn free_answers_are_counted_where_the_provider_counts_them() {
        let stands = |left, hours: u64| {
            let opened = Opening {
                free_replies_left: left,
                ..at(Moment(1_000_000))
            };
            let window = of(
                &rule(),
                "zalo_uid",
                opened,
                Moment(1_000_000) + Duration::from_millis(hours * HOUR),
            )
            .unwrap();
            (window.state(), window.free_replies_left, window.template_needed)
        };
        assert_eq!(stands(None, 1), (ReplyWindowState::Free, None, false));
        assert_eq!(stands(Some(7), 1), (ReplyWindowState::Free, Some(7), false));
        assert_eq!(stands(Some(0), 1), (ReplyWindowState::Billable, Some(0), false));
        assert_eq!(stands(Some(7), 50), (ReplyWindowState::Billable, None, false));
        assert_eq!(stands(Some(7), 200), (ReplyWindowState::Closed, None, true));
    }

    #[test]
    fn a_window_that_was_never_seen_open_is_left_to_the_provider() {
        let window = of(&rule(), "zalo_uid", Opening::default(), Moment(5)).unwrap();
        assert_eq!(window.state(), ReplyWindowState::Unspecified);
        let thread = ThreadRecord {
            peer: Some(Identifier {
                r#type: "zalo_uid".to_owned(),
                ..Identifier::default()
            }),
            ..ThreadRecord::default()
        };
        assert!(!is_closed(&rule(), &thread, Moment(i64::MAX / 2)));
    }

    #[test]
    fn the_rule_concerns_its_peers_alone() {
        assert_eq!(of(&rule(), "phone", at(Moment(1)), Moment(i64::MAX / 2)), None);
    }

    #[test]
    fn reading_opens_nothing() {
        let receipt = Event {
            kind: Some(Kind::Receipt(Receipt::default())),
            ..Event::default()
        };
        assert!(!opens(&receipt));
        let ours = Event {
            direction: Direction::Outbound.into(),
            kind: Some(Kind::Message(Message::default())),
            ..Event::default()
        };
        assert!(!opens(&ours));
    }

    #[test]
    fn templates_alone_need_no_window() {
        let template = || Part {
            content: Some(Content::Template(TemplateRef::default())),
        };
        let text = || Part {
            content: Some(Content::Text(Text::default())),
        };
        let of = |parts| Message {
            parts,
            ..Message::default()
        };
        assert!(needs_none(&of(vec![template()])));
        assert!(!needs_none(&of(vec![template(), text()])));
        assert!(!needs_none(&of(vec![])));
    }
}
