use super::*;
use crate::id::{Birth, CustomerId, ThreadId};
use crate::shard::Shard;
use omnigate_proto::state::v1::ThreadRecord;
use omnigate_proto::v1::{Identifier, Lane, Message, Receipt, UnknownPolicy, WaitReason};

fn plan() -> Plan {
    Plan {
        id: MessageId::new(Shard::new(1), "t", "r"),
        tenant_id: "t".into(),
        thread_id: ThreadId([1; 24]),
        customer: CustomerId([1; 16]),
        home: CustomerId([1; 16]),
        birth: Birth([2; 16]),
        account_id: "bot".into(),
        channel: "telegram".into(),
        peer: Identifier::default(),
        peer_provider_form: String::new(),
        message: Message::default(),
        send_at: Moment(1000),
        expire_at: Moment(1_000_000),
        lane: Lane::Transactional,
        on_unknown: UnknownPolicy::Report,
        traceparent: String::new(),
        trace_id: String::new(),
    }
}

fn go(record: &DeliveryRecord, now: i64) -> (DeliveryRecord, Submission) {
    match begin(record, plan().id, FIRST.terms(), Moment(now), &[7; 16]) {
        Begin::Go(record, submission) => (*record, submission),
        other => panic!("must go: {other:?}"),
    }
}

fn failed(class: ErrorClass) -> Result<SendAccepted, SendError> {
    Err(SendError {
        class: class.into(),
        ..SendError::default()
    })
}

fn receipt(state: ReceiptState) -> Receipt {
    Receipt {
        state: state.into(),
        ..Receipt::default()
    }
}

#[test]
fn an_attempt_begins_once_and_only_in_turn() {
    let record = plan().record(Moment(1000));
    assert_eq!(
        begin(&record, plan().id, Terms::default(), Moment(1000), &[7; 16]),
        Begin::NotFirst
    );
    assert_eq!(
        begin(&record, plan().id, FIRST.terms(), Moment(999), &[7; 16]),
        Begin::NotYet(Moment(1000))
    );
    let (record, submission) = go(&record, 1000);
    assert_eq!((submission.piece, submission.attempt), (0, 1));
    assert_eq!(
        begin(&record, plan().id, FIRST.terms(), Moment(1001), &[8; 16]),
        Begin::Held
    );
}

#[test]
fn pieces_go_one_after_the_other_and_keep_their_keys() {
    let (record, first) = go(&plan().record(Moment(1000)), 1000);
    let (record, next) = answered(&record, &first, 2, &Ok(accepted("a")), Moment(1001), 0).unwrap();
    assert_eq!(next, Next::Piece);
    let (record, second) = go(&record, 1002);
    assert_eq!((second.piece, second.attempt), (1, 1));
    assert_ne!(first.send_key, second.send_key);
    let (record, next) = answered(&record, &second, 2, &failed(ErrorClass::NotSent), Moment(1003), 0).unwrap();
    assert!(matches!(next, Next::At(_)) && state_of(&record) == DeliveryState::Deferred);
    let (record, again) = go(&record, 100_000);
    assert_eq!((again.piece, again.attempt, &again.send_key), (1, 2, &second.send_key));
    let (record, next) = answered(&record, &again, 2, &Ok(accepted("b")), Moment(100_001), 0).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Ended, DeliveryState::Accepted));
    assert_eq!(
        begin(&record, plan().id, FIRST.terms(), Moment(100_002), &[7; 16]),
        Begin::Ended
    );
}

#[test]
fn a_lost_worker_leaves_unknown_and_a_late_answer_settles_it() {
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    assert_eq!(recover(&record, Moment(70_000)), None);
    let (record, next) = recover(&record, Moment(1000) + LEASE_TIME + RECOVERY_MARGIN).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Ended, DeliveryState::Unknown));
    assert_eq!(
        answered(&record, &submission, 1, &failed(ErrorClass::NotSent), Moment(90_000), 0),
        None
    );
    let (record, _) = answered(&record, &submission, 1, &Ok(accepted("a")), Moment(90_000), 0).unwrap();
    assert_eq!(state_of(&record), DeliveryState::Accepted);
}

#[test]
fn an_answer_to_an_older_attempt_changes_nothing() {
    let (record, first) = go(&plan().record(Moment(1000)), 1000);
    let (record, _) = answered(&record, &first, 1, &failed(ErrorClass::Throttled), Moment(1001), 0).unwrap();
    let (record, _) = go(&record, 50_000);
    assert_eq!(
        answered(&record, &first, 1, &Ok(accepted("a")), Moment(50_001), 0),
        None
    );
}

#[test]
fn what_may_have_left_is_sent_again_only_once_and_only_when_allowed() {
    let mut plan = plan();
    plan.on_unknown = UnknownPolicy::ResendOnce;
    let (record, first) = go(&plan.record(Moment(1000)), 1000);
    let (record, _) = answered(&record, &first, 1, &failed(ErrorClass::Ambiguous), Moment(1001), 0).unwrap();
    assert!(state_of(&record) == DeliveryState::Deferred && record.delivery.as_ref().unwrap().possible_duplicate);
    let (record, second) = go(&record, 50_000);
    let (record, _) = answered(&record, &second, 1, &failed(ErrorClass::Ambiguous), Moment(50_001), 0).unwrap();
    assert_eq!(state_of(&record), DeliveryState::Unknown);
}

#[test]
fn receipts_only_move_forward() {
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    let (record, _) = answered(&record, &submission, 1, &Ok(accepted("a")), Moment(1001), 0).unwrap();
    let read = receipt::apply(&record, Some(0), &receipt(ReceiptState::Read), Moment(2)).unwrap();
    assert_eq!(state_of(&read), DeliveryState::Read);
    assert_eq!(
        receipt::apply(&read, Some(0), &receipt(ReceiptState::Delivered), Moment(3)),
        None
    );
    assert_eq!(
        receipt::apply(&read, Some(0), &receipt(ReceiptState::Failed), Moment(3)),
        None
    );
    let failed = receipt::apply(&record, Some(0), &receipt(ReceiptState::Failed), Moment(2)).unwrap();
    let believed = receipt::apply(&failed, Some(0), &receipt(ReceiptState::Delivered), Moment(3)).unwrap();
    assert!(state_of(&believed) == DeliveryState::Delivered && believed.delivery.unwrap().contradicted);
}

#[test]
fn a_receipt_settles_a_submission_whose_answer_is_lost() {
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    let early = receipt::apply(&record, Some(0), &receipt(ReceiptState::Delivered), Moment(2)).unwrap();
    let given_up = Moment(1000) + LEASE_TIME + RECOVERY_MARGIN;
    let (recovered, next) = recover(&early, given_up).unwrap();
    assert_eq!((next, state_of(&recovered)), (Next::Ended, DeliveryState::Delivered));
    let lost = failed(ErrorClass::Ambiguous);
    let (answered, next) = answered(&early, &submission, 1, &lost, Moment(3), 0).unwrap();
    assert_eq!((next, state_of(&answered)), (Next::Ended, DeliveryState::Delivered));
}

#[test]
fn a_receipt_that_overtakes_the_first_answer_does_not_forget_the_other_pieces() {
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    let early = receipt::apply(&record, Some(0), &receipt(ReceiptState::Delivered), Moment(1001)).unwrap();
    let (record, next) = answered(&early, &submission, 2, &Ok(accepted("a")), Moment(1002), 0).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Piece, DeliveryState::Planned));
    let (record, second) = go(&record, 1003);
    assert_eq!(second.piece, 1);
    let early = receipt::apply(&record, Some(1), &receipt(ReceiptState::Read), Moment(1004)).unwrap();
    assert_eq!(state_of(&early), DeliveryState::Delivered);
}

#[test]
fn why_a_piece_failed_outlives_a_late_answer_and_the_receipts_of_other_pieces() {
    let why = SendError {
        provider_code: "001".to_owned(),
        ..SendError::default()
    };
    let dead = Receipt {
        error: Some(why.clone()),
        ..receipt(ReceiptState::Failed)
    };
    let reason = |record: &DeliveryRecord| record.delivery.as_ref().and_then(|delivery| delivery.error.clone());
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    let early = receipt::apply(&record, Some(0), &dead, Moment(1001)).unwrap();
    let (record, _) = answered(&early, &submission, 1, &Ok(accepted("a")), Moment(1002), 0).unwrap();
    assert_eq!(
        (state_of(&record), reason(&record)),
        (DeliveryState::Failed, Some(why.clone()))
    );
    let (record, _) = answered(&early, &submission, 2, &Ok(accepted("a")), Moment(1002), 0).unwrap();
    let (record, second) = go(&record, 1003);
    let (record, _) = answered(&record, &second, 2, &Ok(accepted("b")), Moment(1004), 0).unwrap();
    let record = receipt::apply(&record, Some(1), &receipt(ReceiptState::Delivered), Moment(1005)).unwrap();
    assert_eq!((state_of(&record), reason(&record)), (DeliveryState::Failed, Some(why)));
}

#[test]
fn an_acceptance_without_an_id_is_an_acceptance() {
    let (record, submission) = go(&plan().record(Moment(1000)), 1000);
    let (record, next) = answered(&record, &submission, 1, &Ok(accepted("")), Moment(1001), 0).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Ended, DeliveryState::Accepted));
}

#[test]
fn a_late_acceptance_saves_the_repetition() {
    let mut plan = plan();
    plan.on_unknown = UnknownPolicy::ResendOnce;
    let (record, submission) = go(&plan.record(Moment(1000)), 1000);
    let (record, _) = recover(&record, Moment(1000) + LEASE_TIME + RECOVERY_MARGIN).unwrap();
    assert_eq!(state_of(&record), DeliveryState::Deferred);
    assert_eq!(cancel(&record, Moment(80_000)), None, "it may have left");
    let (record, next) = answered(&record, &submission, 1, &Ok(accepted("a")), Moment(80_000), 0).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Ended, DeliveryState::Accepted));
}

#[test]
fn what_may_have_left_stays_unknown_whatever_its_repetition_says() {
    let mut plan = plan();
    plan.on_unknown = UnknownPolicy::ResendOnce;
    let (record, first) = go(&plan.record(Moment(1000)), 1000);
    let (record, _) = answered(&record, &first, 1, &failed(ErrorClass::Ambiguous), Moment(1001), 0).unwrap();
    let lapsed = lapse(&record, Moment(1_000_000)).unwrap();
    assert_eq!(state_of(&lapsed), DeliveryState::Unknown);
    let (record, second) = go(&record, 50_000);
    let (record, next) = answered(&record, &second, 1, &failed(ErrorClass::Content), Moment(50_001), 0).unwrap();
    assert_eq!((next, state_of(&record)), (Next::Ended, DeliveryState::Unknown));
}

#[test]
fn a_message_that_begins_to_leave_cannot_be_taken_back() {
    let record = plan().record(Moment(1000));
    assert_eq!(state_of(&cancel(&record, Moment(1)).unwrap()), DeliveryState::Cancelled);
    assert_eq!(cancel(&go(&record, 1000).0, Moment(1001)), None);
}

#[test]
fn a_message_lapses() {
    let record = plan().record(Moment(1000));
    assert!(matches!(
        begin(&record, plan().id, FIRST.terms(), Moment(1_000_000), &[7; 16]),
        Begin::Lapsed(_)
    ));
    assert_eq!(lapse(&record, Moment(999_999)), None);
    assert_eq!(
        state_of(&lapse(&record, Moment(1_000_000)).unwrap()),
        DeliveryState::Expired
    );
}

#[test]
fn nights_and_quotas_use_up_the_life_of_a_message_and_none_of_its_attempts() {
    let night = |class: ErrorClass, reason: WaitReason| {
        Err(SendError {
            class: class.into(),
            wait_reason: reason.into(),
            retry_after_ms: 60_000,
            ..SendError::default()
        })
    };
    for answer in [
        night(ErrorClass::RecipientTemporary, WaitReason::Hours),
        night(ErrorClass::Throttled, WaitReason::AccountQuota),
    ] {
        let (mut record, mut submission) = go(&plan().record(Moment(1000)), 1000);
        let mut nights = 0;
        let mut now = 1000;
        loop {
            let (waits, next) = answered(&record, &submission, 1, &answer, Moment(now), 0).unwrap();
            assert_eq!(
                (next, waits.failures, waits.unsent),
                (Next::At(Moment(now + 60_000)), 0, 0)
            );
            assert_eq!(state_of(&waits), DeliveryState::Deferred);
            (nights, now) = (nights + 1, now + 60_000);
            if now >= 1_000_000 {
                let lapsed = lapse(&waits, Moment(now)).unwrap();
                assert_eq!(state_of(&lapsed), DeliveryState::Expired);
                assert_eq!(waits.timer_ms, 1_000_000, "its end is looked at in time");
                break;
            }
            (record, submission) = go(&waits, now);
        }
        assert!(nights > 15, "{nights} waits");
        // It is as good as new: a failure afterwards is its first.
        let (record, next) = answered(&record, &submission, 1, &failed(ErrorClass::NotSent), Moment(now), 0).unwrap();
        assert!(matches!(next, Next::At(_)) && (record.failures, record.unsent) == (0, 1));
    }
}

#[test]
fn what_waits_for_its_account_is_let_go_early_and_nothing_else_is() {
    let waits = |class| {
        let (record, submission) = go(&plan().record(Moment(1000)), 1000);
        answered(&record, &submission, 1, &failed(class), Moment(1000), 128)
            .unwrap()
            .0
    };
    let record = waits(ErrorClass::Account);
    assert_eq!(waits_for_account(&record), Some("bot"));
    let hastened = hasten(&record, Moment(2000)).unwrap();
    let (again, submission) = go(&hastened, 2000);
    assert_eq!((submission.attempt, state_of(&again)), (2, DeliveryState::Submitting));
    assert_eq!(waits_for_account(&again), None, "it is under way");
    assert_eq!(hasten(&hastened, Moment(2001)), None, "it may go already");
    for class in [
        ErrorClass::Throttled,
        ErrorClass::NotSent,
        ErrorClass::RecipientTemporary,
    ] {
        assert_eq!(
            (hasten(&waits(class), Moment(2000)), waits_for_account(&waits(class))),
            (None, None)
        );
    }
    assert_eq!(hasten(&plan().record(Moment(1000)), Moment(1000)), None);
    assert_eq!(hasten(&waits(ErrorClass::Content), Moment(2000)), None);
}

#[test]
fn the_chain_lets_one_go_at_a_time() {
    let mut thread = ThreadRecord::default();
    let (one, two) = (MessageId([1; 16]), MessageId([2; 16]));
    assert!(join(&mut thread, one) && join(&mut thread, two) && join(&mut thread, one));
    assert!(is_first(Some(&thread), one) && !is_first(Some(&thread), two));
    assert_eq!(leave(&mut thread, one), Some(two));
    assert_eq!(leave(&mut thread, two), None);
}

#[test]
fn a_history_stays_short() {
    let mut record = plan().record(Moment(1));
    for number in 0..1000 {
        note(&mut record, Moment(number), "x", "y", String::new());
    }
    assert_eq!(
        (record.history.len(), record.history[0].what.as_str()),
        (64, "received")
    );
}

/// A thread in which the message goes first.
struct InThread(std::sync::LazyLock<ThreadRecord>);

static FIRST: InThread = InThread(std::sync::LazyLock::new(|| ThreadRecord {
    chain: vec![plan().id.to_bytes()],
    ..ThreadRecord::default()
}));

impl InThread {
    fn terms(&self) -> Terms<'_> {
        Terms {
            thread: Some(&self.0),
            window: None,
        }
    }
}

mod policies {
    use super::*;
    use omnigate_proto::state::v1::RefusedTopic;
    use omnigate_proto::v1::{Alternative, Identifier, Message, Purpose, ReplyWindowRule, TemplateRef, part::Content};

    const RULE: ReplyWindowRule = ReplyWindowRule {
        free_ms: 1_000,
        open_ms: 2_000,
        peer_type: String::new(),
    };

    fn thread(opened: i64, refused: &str) -> ThreadRecord {
        ThreadRecord {
            chain: vec![plan().id.to_bytes()],
            peer: Some(Identifier::default()),
            window_opened_ms: opened,
            refused: vec![RefusedTopic {
                topic: refused.to_owned(),
                ..RefusedTopic::default()
            }],
            ..ThreadRecord::default()
        }
    }

    fn message(purpose: Purpose, alternative: Option<&str>) -> DeliveryRecord {
        let mut record = plan().record(Moment(1_000));
        let template = |id: &str| TemplateRef {
            template_id: id.to_owned(),
            ..TemplateRef::default()
        };
        of(&mut record).message = Some(Message {
            purpose: purpose.into(),
            alternative: alternative.map(|id| Alternative {
                template: Some(template(id)),
                phone: "+84912000111".to_owned(),
            }),
            ..of(&mut record).message.clone().unwrap_or_default()
        });
        record
    }

    fn begun(record: &DeliveryRecord, thread: &ThreadRecord, now: i64) -> Begin {
        let terms = Terms {
            thread: Some(thread),
            window: Some(&RULE),
        };
        begin(record, plan().id, terms, Moment(now), &[7; 16])
    }

    fn refused(begun: Begin) -> (DeliveryState, String) {
        match begun {
            Begin::Lapsed(mut record) => {
                let delivery = of(&mut record);
                (
                    delivery.state(),
                    delivery.error.clone().unwrap_or_default().provider_code,
                )
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_opted_out_of_marketing_gets_none_but_is_still_answered() {
        for topic in ["marketing", ""] {
            let thread = thread(1_000, topic);
            let outcome = refused(begun(&message(Purpose::Marketing, None), &thread, 1_500));
            assert_eq!(outcome, (DeliveryState::Skipped, "opted_out".to_owned()), "{topic:?}");
        }
        let thread = thread(1_000, "marketing");
        assert!(matches!(
            begun(&message(Purpose::Service, None), &thread, 1_500),
            Begin::Go(..)
        ));
    }

    #[test]
    fn a_closed_window_refuses_what_has_no_alternative() {
        let thread = thread(1_000, "other");
        assert!(matches!(
            begun(&message(Purpose::Service, None), &thread, 2_999),
            Begin::Go(..)
        ));
        let outcome = refused(begun(&message(Purpose::Service, None), &thread, 3_000));
        assert_eq!(outcome, (DeliveryState::Skipped, "window_closed".to_owned()));
    }

    #[test]
    fn a_closed_window_lets_the_alternative_out_to_its_phone() {
        let thread = thread(1_000, "other");
        let Begin::Go(record, _) = begun(&message(Purpose::Service, Some("300001")), &thread, 3_000) else {
            panic!("must go")
        };
        let leaving = leaving(&record).unwrap();
        assert_eq!(
            (leaving.peer.r#type.as_str(), leaving.peer.value.as_str()),
            ("phone", "+84912000111")
        );
        assert!(
            matches!(&leaving.message.parts[0].content, Some(Content::Template(one)) if one.template_id == "300001")
        );
        // While it is open the message itself goes.
        let Begin::Go(record, _) = begun(&message(Purpose::Service, Some("300001")), &thread, 1_500) else {
            panic!("must go")
        };
        assert_ne!(super::leaving(&record).unwrap().peer.r#type, "phone");
    }

    #[test]
    fn a_provider_that_says_closed_gets_the_alternative_at_once_and_only_once() {
        let thread = thread(1_000, "other");
        let Begin::Go(record, submission) = begun(&message(Purpose::Service, Some("300001")), &thread, 1_500) else {
            panic!("must go")
        };
        let closed = || {
            Err(SendError {
                class: ErrorClass::Policy.into(),
                outside_window: true,
                ..SendError::default()
            })
        };
        let (record, next) = answered(&record, &submission, 1, &closed(), Moment(1_600), 0).unwrap();
        assert_eq!(next, Next::At(Moment(1_600)));
        let Begin::Go(record, again) = begun(&record, &thread, 1_600) else {
            panic!("must go")
        };
        assert_eq!(leaving(&record).unwrap().peer.value, "+84912000111");
        let (record, next) = answered(&record, &again, 1, &closed(), Moment(1_700), 0).unwrap();
        assert_eq!((state_of(&record), next), (DeliveryState::Skipped, Next::Ended));
    }

    #[test]
    fn what_may_have_left_is_not_called_refused_when_its_repetition_is() {
        let open = thread(1_000, "");
        let mut record = message(Purpose::Service, None);
        of(&mut record).on_unknown = UnknownPolicy::ResendOnce.into();
        let Begin::Go(record, submission) = begun(&record, &open, 1_500) else {
            panic!("must go");
        };
        let lost = failed(ErrorClass::Ambiguous);
        let (record, _) = answered(&record, &submission, 1, &lost, Moment(1_600), 0).unwrap();
        assert_eq!(state_of(&record), DeliveryState::Deferred);
        let (state, code) = refused(begun(&record, &open, 100_000));
        assert_eq!((state, code.as_str()), (DeliveryState::Unknown, "window_closed"));
    }
}
