use super::*;
use omnigate_proto::v1::{Note, Piece, PrivacyRequest, Reachability, Text};
use pbjson_types::Timestamp;

fn told(kind: Kind) -> String {
    what(
        &Entry::default(),
        &Event {
            kind: Some(kind),
            ..Event::default()
        },
    )
}

fn wish(state: SubscriptionState, topic: &str) -> Subscription {
    Subscription {
        state: state.into(),
        topic: topic.to_owned(),
        ..Subscription::default()
    }
}

#[test]
fn a_wish_says_what_it_is_about_and_where_it_came_from() {
    let of = |wish| told(Kind::Subscription(wish));
    assert_eq!(of(wish(SubscriptionState::Subscribed, "")), "subscribed");
    assert_eq!(of(wish(SubscriptionState::Unsubscribed, "")), "blocked us");
    let stop = Subscription {
        source: "TC".to_owned(),
        confirmation: "Da ghi nhan".to_owned(),
        ..wish(SubscriptionState::Unsubscribed, "marketing")
    };
    assert_eq!(
        of(stop),
        "opted out of marketing (by \"TC\"), confirmed with \"Da ghi nhan\""
    );
    let yes = Subscription {
        expires_at: Some(Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        }),
        ..wish(SubscriptionState::Subscribed, "orders")
    };
    assert_eq!(of(yes), "agrees to orders, until 2027-01-15 08:00:00 UTC");
}

#[test]
fn ratings_and_requests_of_the_law_are_whole_sentences() {
    let rating = Rating {
        score: 4.0,
        max_score: 5.0,
        comment: "nhanh".to_owned(),
        answers: vec!["Thân thiện".to_owned(), "Đúng giờ".to_owned()],
    };
    assert_eq!(told(Kind::Rating(rating)), "rated 4 of 5: nhanh [Thân thiện, Đúng giờ]");
    let bare = Rating {
        score: 3.5,
        ..Rating::default()
    };
    assert_eq!(told(Kind::Rating(bare)), "rated 3.5");
    let erase = PrivacyRequest {
        kind: PrivacyRequestKind::Erasure.into(),
    };
    assert!(told(Kind::PrivacyRequest(erase)).starts_with("PRIVACY: asks for everything"));
}

#[test]
fn pieces_and_what_is_missing_are_said() {
    let text = |text: &str| Part {
        content: Some(Content::Text(Text {
            text: text.to_owned(),
            ..Text::default()
        })),
    };
    let piece = Message {
        piece: Some(Piece {
            number: 2,
            total: 3,
            ..Piece::default()
        }),
        ..Message::default()
    };
    assert_eq!(message_text(&piece), "(piece 2 of 3)");
    let partial = Message {
        parts: vec![text("xin … chào")],
        is_partial: true,
        ..Message::default()
    };
    assert_eq!(message_text(&partial), "xin … chào (pieces of it did not come)");
}

#[test]
fn a_message_says_what_goes_out_instead_of_it_however_long_it_is() {
    let template = TemplateRef {
        template_id: "300001".to_owned(),
        parameters: [("name", "An"), ("code", "DH-1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..TemplateRef::default()
    };
    let message = Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: "a".repeat(500),
                ..Text::default()
            })),
        }],
        purpose: Purpose::Marketing.into(),
        alternative: Some(Alternative {
            template: Some(template),
            phone: "+84912345678".to_owned(),
        }),
        ..Message::default()
    };
    let said = message_text(&message);
    assert!(said.starts_with("(marketing) aaa"), "{said}");
    assert!(
        said.ends_with("a… (outside the reply window <template 300001 code=\"DH-1\" name=\"An\"> to +84912345678)"),
        "{said}"
    );
}

#[test]
fn a_device_is_told_apart_from_a_wish() {
    let device = |state: ReachabilityState| told(Kind::Reachability(Reachability { state: state.into() }));
    assert_eq!(device(ReachabilityState::Available), "device: can be reached");
    assert_eq!(device(ReachabilityState::Unavailable), "device: cannot be reached now");
    assert!(device(ReachabilityState::Denied).contains("lets no messages through"));
}

#[test]
fn what_came_by_no_channel_is_said() {
    let note = Note {
        text: "gọi lại\nsau 18 giờ".to_owned(),
        author: "Minh".to_owned(),
    };
    assert_eq!(told(Kind::Note(note)), "note of Minh: gọi lại ⏎ sau 18 giờ");
    let change = IdentityChange {
        kind: IdentityChangeKind::Merged.into(),
        transaction_id: "txn_1".to_owned(),
        other_customer_id: "cus_2".to_owned(),
        by_person: false,
    };
    assert_eq!(
        told(Kind::IdentityChange(change)),
        "merged with cus_2 by what a channel said (txn_1)"
    );
}
