//! Receipts find the messages of campaigns: by the send key, by the provider's id, and before either leads anywhere.

use super::{People, rows, runs, states, submit};
use crate::link::event;
use crate::trim::received;
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::campaign::ledger;
use omnigate_core::delivery::accepted;
use omnigate_core::id::MessageId;
use omnigate_core::protocol::campaign::{self, Submission};
use omnigate_core::protocol::consent::{self, listed};
use omnigate_core::protocol::receipt::{self, Pointer};
use omnigate_proto::v1::{DeliveryState, ErrorClass, Receipt, ReceiptState, RecipientFault, SendError, event::Kind};
use std::sync::atomic::Ordering;

const PHONE: &str = "phone//+84901234567";

fn told(world: &World, account: &str, receipt: Receipt) -> Arrival {
    let name = format!("{}{}", receipt.provider_message_id, receipt.client_reference);
    let mut arrival = received(world, event(account, PHONE, &[], &name, Kind::Receipt(receipt)));
    arrival.event.peer = None;
    arrival.event.identifiers.clear();
    arrival
}

fn of_id(provider_id: &str, state: ReceiptState) -> Receipt {
    Receipt {
        provider_message_id: provider_id.to_owned(),
        state: state.into(),
        ..Receipt::default()
    }
}

fn of_key(id: MessageId, state: ReceiptState) -> Receipt {
    Receipt {
        client_reference: id.send_key(0),
        state: state.into(),
        ..Receipt::default()
    }
}

fn applies(world: &World, account: &str, receipt: Receipt) {
    let arrival = told(world, account, receipt);
    let applied = now(receipt::apply(&world.context(), &arrival)).unwrap();
    assert_eq!(applied.applied, [arrival.id], "it is acknowledged");
}

fn pointer(submission: &Submission, provider_id: &str) -> Pointer {
    Pointer {
        provider_id: provider_id.to_owned(),
        message_id: submission.sent.message_id(),
        piece: submission.attempt.piece,
    }
}

fn accepts(world: &World, submissions: &[Submission]) {
    let answers: Vec<campaign::Answer> = submissions
        .iter()
        .map(|submission| campaign::Answer {
            sent: submission.sent,
            attempt: submission.attempt,
            piece_count: 1,
            outcome: Ok(accepted("")),
        })
        .collect();
    now(campaign::record(&world.context(), super::bucket(), &answers, 0)).unwrap();
}

#[test]
fn a_send_key_leads_to_the_row_of_its_own_account_alone() {
    for loses in [false, true] {
        let world = World::new(loses);
        runs(&world, &People::new(2));
        let submissions = submit(&world, "sms", [1; 8]);
        accepts(&world, &submissions);
        let first = submissions[0].sent.message_id();
        for account in ["mail", "other"] {
            applies(&world, account, of_key(first, ReceiptState::Delivered));
        }
        assert_eq!(
            states(&world),
            [DeliveryState::Accepted; 2],
            "it went through another one"
        );
        applies(&world, "sms", of_key(first, ReceiptState::Delivered));
        assert_eq!(states(&world), [DeliveryState::Delivered, DeliveryState::Accepted]);
    }
}

#[test]
fn a_pointer_leads_to_the_row_and_receipts_that_were_faster_wait_in_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        runs(&world, &People::new(3));
        let submissions = submit(&world, "sms", [1; 8]);
        applies(&world, "sms", of_id("p0", ReceiptState::Delivered));
        assert_eq!(states(&world), [DeliveryState::Submitting; 3]);
        now(receipt::point(
            &world.context(),
            ("t", "sms"),
            &pointer(&submissions[0], "p0"),
        ))
        .unwrap();
        assert_eq!(rows(&world)[0].reached, 1, "what waited is heard");
        now(receipt::point(
            &world.context(),
            ("t", "sms"),
            &pointer(&submissions[1], "p1"),
        ))
        .unwrap();
        accepts(&world, &submissions);
        applies(&world, "sms", of_id("p1", ReceiptState::Delivered));
        applies(&world, "sms", of_id("p1", ReceiptState::Delivered));
        let reached = [
            DeliveryState::Delivered,
            DeliveryState::Delivered,
            DeliveryState::Accepted,
        ];
        assert_eq!(states(&world), reached);
    }
}

#[test]
fn many_pointers_take_a_commit_for_each_shard_and_lose_no_receipt() {
    for loses in [false, true] {
        let world = World::new(loses);
        runs(&world, &People::new(250));
        let submissions = submit(&world, "sms", [1; 8]);
        assert_eq!(submissions.len(), 250);
        for number in [3, 77] {
            applies(&world, "sms", of_id(&format!("p{number}"), ReceiptState::Delivered));
        }
        let pointers: Vec<Pointer> = submissions
            .iter()
            .enumerate()
            .map(|(number, submission)| pointer(submission, &format!("p{number}")))
            .collect();
        let before = world.store.commits.load(Ordering::Relaxed);
        now(receipt::point_all(&world.context(), ("t", "sms"), &pointers)).unwrap();
        let commits = world.store.commits.load(Ordering::Relaxed) - before;
        assert!(loses || commits < 200, "{commits} commits for 250 pointers");
        accepts(&world, &submissions);
        for number in [5, 249] {
            applies(&world, "sms", of_id(&format!("p{number}"), ReceiptState::Delivered));
        }
        let rows = rows(&world);
        let delivered: Vec<usize> = (0..250)
            .filter(|number| ledger::state(&rows[*number]) == DeliveryState::Delivered)
            .collect();
        assert_eq!(delivered, [3, 5, 77, 249]);
        // Again, as after a crash before the acceptance was recorded.
        now(receipt::point_all(&world.context(), ("t", "sms"), &pointers)).unwrap();
    }
}

#[test]
fn a_fault_is_noted_where_the_receipt_names_the_address() {
    let world = World::new(false);
    runs(&world, &People::new(1));
    let submissions = submit(&world, "sms", [1; 8]);
    accepts(&world, &submissions);
    let mut bounced = of_key(submissions[0].sent.message_id(), ReceiptState::Failed);
    bounced.error = Some(SendError {
        class: ErrorClass::RecipientPermanent.into(),
        recipient_fault: RecipientFault::NoSuchAddress.into(),
        ..SendError::default()
    });
    let causes = || {
        let id = now(consent::id(&world.context(), "t", &crate::link::named(PHONE))).unwrap();
        now(listed(&world.context(), "t", id)).unwrap().causes.len()
    };
    let nameless = told(&world, "sms", bounced.clone());
    now(receipt::apply(&world.context(), &nameless)).unwrap();
    assert_eq!(causes(), 0, "a row holds no address");
    assert_eq!(rows(&world)[0].step, 1, "the next way is taken");
    let naming = received(&world, event("sms", PHONE, &[], "named", Kind::Receipt(bounced)));
    now(receipt::apply(&world.context(), &naming)).unwrap();
    assert_eq!(causes(), 1);
}
