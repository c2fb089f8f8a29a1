//! Addresses that providers say are no good to write to.

use crate::erasure::answer as request;
use crate::link::{event, named};
use crate::trim::received;
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::consent::suppression::{cause, holds};
use omnigate_core::delivery::{self, Submission};
use omnigate_core::id::MessageId;
use omnigate_core::protocol::consent::{self, lift, listed};
use omnigate_core::protocol::submit::{self, Answer, Begun, Rules, begin};
use omnigate_core::protocol::{receipt, send};
use omnigate_proto::v1::{
    DeliveryState, ErrorClass, Receipt, ReceiptState, RecipientFault, SendError, SuppressionReason, event::Kind,
};

const PHONE: &str = "phone//+84901234567";

fn leaves(world: &World) -> (MessageId, Submission) {
    let number = world.store.commits.load(std::sync::atomic::Ordering::Relaxed);
    let accepted = now(send::accept(
        &world.context(),
        &request(world, &format!("r{number}"), 0),
    ))
    .unwrap();
    let id: MessageId = accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap();
    let Begun::Go(_, submission) = now(begin(&world.context(), id, &Rules::default(), &[7; 16])).unwrap() else {
        panic!("nothing stands before it");
    };
    (id, submission)
}

fn answers(world: &World, submission: &Submission, outcome: Result<&str, SendError>) {
    let answer = Answer {
        piece_count: 1,
        outcome: outcome.map(delivery::accepted),
    };
    now(submit::answer(&world.context(), submission, &answer, 0)).unwrap();
}

fn error(class: ErrorClass, fault: RecipientFault) -> SendError {
    SendError {
        class: class.into(),
        recipient_fault: fault.into(),
        ..SendError::default()
    }
}

/// A receipt as SMS providers send them: of a message, and of nobody.
fn told(world: &World, provider_id: &str, state: ReceiptState, error: SendError) -> Arrival {
    let receipt = Receipt {
        provider_message_id: provider_id.into(),
        state: state.into(),
        error: Some(error),
        ..Receipt::default()
    };
    let mut arrival = received(world, event("sms", PHONE, &[], provider_id, Kind::Receipt(receipt)));
    arrival.event.peer = None;
    arrival.event.identifiers.clear();
    arrival
}

fn applies(world: &World, arrival: &Arrival) {
    now(receipt::apply(&world.context(), arrival)).unwrap();
}

/// The reasons that hold, on the channel of the message.
fn reasons(world: &World) -> Vec<SuppressionReason> {
    let id = now(consent::id(&world.context(), "t", &named(PHONE))).unwrap();
    let list = now(listed(&world.context(), "t", id)).unwrap();
    let all = [SuppressionReason::HardBounce, SuppressionReason::Complaint];
    let holding = |reason: &SuppressionReason| {
        cause(&list, "test", *reason).is_some_and(|cause| holds(cause, world.context().now()) && !cause.marketing_only)
    };
    assert!(list.causes.len() <= 2);
    all.into_iter().filter(holding).collect()
}

fn state(world: &World, id: MessageId) -> DeliveryState {
    let record = now(omnigate_core::protocol::delivery::get(&world.context(), id)).unwrap();
    delivery::state_of(&record.unwrap())
}

#[test]
fn a_hard_bounce_is_on_the_list_once_and_never_again_after_somebody_lifted_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (id, submission) = leaves(&world);
        answers(&world, &submission, Ok("1"));
        let bounced = error(ErrorClass::RecipientPermanent, RecipientFault::NoSuchAddress);
        let arrival = told(&world, "1", ReceiptState::Failed, bounced.clone());
        for _ in 0..2 {
            applies(&world, &arrival);
            assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
        }
        assert_eq!(state(&world, id), DeliveryState::Failed);
        // What is sent there next does not leave.
        let accepted = now(send::accept(&world.context(), &request(&world, "next", 0))).unwrap();
        let next: MessageId = accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap();
        let begun = now(begin(&world.context(), next, &Rules::default(), &[7; 16])).unwrap();
        assert!(matches!(begun, Begun::Lapsed(_)), "{begun:?}");
        world.pass(10);
        let list = now(consent::id(&world.context(), "t", &named(PHONE))).unwrap();
        let entry = ("test", SuppressionReason::HardBounce);
        now(lift(&world.context(), "t", list, entry, world.context().now())).unwrap();
        applies(&world, &arrival);
        assert_eq!(reasons(&world), [], "the same event, late");
        let repeated = Arrival {
            received_at: world.context().now(),
            ..arrival
        };
        applies(&world, &repeated);
        assert_eq!(reasons(&world), [], "and as the provider says it again");
        // Another message that fails says it anew.
        world.pass(10);
        let (_, submission) = leaves(&world);
        answers(&world, &submission, Ok("2"));
        applies(&world, &told(&world, "2", ReceiptState::Failed, bounced));
        assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
    }
}

#[test]
fn a_failure_that_is_not_about_the_address_puts_nobody_on_the_list() {
    for class in [
        ErrorClass::RecipientPermanent,
        ErrorClass::RecipientTemporary,
        ErrorClass::Refused,
        ErrorClass::Content,
        ErrorClass::Policy,
        ErrorClass::Account,
    ] {
        let world = World::new(false);
        let (id, submission) = leaves(&world);
        answers(&world, &submission, Ok("1"));
        let failed = error(class, RecipientFault::Unspecified);
        applies(&world, &told(&world, "1", ReceiptState::Failed, failed));
        assert_eq!(
            (state(&world, id), reasons(&world)),
            (DeliveryState::Failed, vec![]),
            "{class:?}"
        );
    }
}

#[test]
fn a_complaint_changes_nothing_about_the_delivery() {
    let world = World::new(false);
    let (id, submission) = leaves(&world);
    answers(&world, &submission, Ok("1"));
    let complained = error(ErrorClass::Refused, RecipientFault::Complained);
    let delivered = told(&world, "1", ReceiptState::Delivered, SendError::default());
    let complaint = told(&world, "1", ReceiptState::Delivered, complained);
    assert_ne!(delivered.id, complaint.id);
    applies(&world, &delivered);
    assert_eq!(reasons(&world), []);
    applies(&world, &complaint);
    assert_eq!(
        (state(&world, id), reasons(&world)),
        (DeliveryState::Delivered, vec![SuppressionReason::Complaint])
    );
}

#[test]
fn a_receipt_that_is_faster_than_the_answer_is_heard_when_the_answer_comes() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (_, submission) = leaves(&world);
        let bounced = error(ErrorClass::RecipientPermanent, RecipientFault::NoSuchAddress);
        applies(&world, &told(&world, "1", ReceiptState::Failed, bounced));
        assert_eq!(reasons(&world), []);
        answers(&world, &submission, Ok("1"));
        assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
    }
}

#[test]
fn an_answer_that_calls_the_number_invalid_is_as_good_as_a_receipt() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (id, submission) = leaves(&world);
        let invalid = error(ErrorClass::RecipientPermanent, RecipientFault::NoSuchAddress);
        answers(&world, &submission, Err(invalid));
        assert_eq!(
            (state(&world, id), reasons(&world)),
            (DeliveryState::Failed, vec![SuppressionReason::HardBounce])
        );
    }
}

#[test]
fn a_receipt_of_an_unknown_message_is_about_whom_it_names() {
    let world = World::new(false);
    let bounced = error(ErrorClass::RecipientPermanent, RecipientFault::NoSuchAddress);
    let mut arrival = told(&world, "long ago", ReceiptState::Failed, bounced);
    applies(&world, &arrival);
    assert_eq!(reasons(&world), []);
    arrival.event.peer = Some(named(PHONE));
    applies(&world, &arrival);
    assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
}

#[test]
fn whoever_is_killed_before_the_address_is_listed_has_not_acknowledged() {
    for commits in 0..20 {
        let world = World::new(false);
        let (_, submission) = leaves(&world);
        answers(&world, &submission, Ok("1"));
        let bounced = error(ErrorClass::RecipientPermanent, RecipientFault::NoSuchAddress);
        let arrival = told(&world, "1", ReceiptState::Failed, bounced);
        world.store.stops_after(commits);
        let done = now(receipt::apply(&world.context(), &arrival)).is_ok();
        world.store.goes_on();
        if done {
            assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
            return;
        }
        applies(&world, &arrival);
        assert_eq!(reasons(&world), [SuppressionReason::HardBounce]);
    }
    panic!("20 commits were not enough");
}
