//! Recipients: walked over page by page, and given another turn.

use super::{Stage, order, state};
use crate::now;
use omnigate_core::campaign::ledger;
use omnigate_core::campaign::life::{Command, Refused};
use omnigate_core::campaign::place::{Bucket, Place};
use omnigate_core::id::{CampaignId, CustomerId};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::Query;
use omnigate_core::protocol::campaign::{
    self as protocol, Answer, Chooser, Driven, Filter, Members, NotDone, Page, Recipient, Retried, Verdict,
};
use omnigate_core::protocol::context::{Context, Stop, as_range};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Campaign, CampaignState, DeliveryState, ErrorClass, RecipientReason, SendError};
use std::collections::BTreeSet;
use std::ops::Bound;

/// So many in each of some shards.
struct People(Vec<(u8, u16)>);

#[async_trait::async_trait]
impl Chooser for People {
    async fn choose(&self, _: &Context<'_>, _: &Campaign) -> Result<Result<Box<dyn Members>, String>, Stop> {
        Ok(Ok(Box::new(Self(self.0.clone()))))
    }
}

#[async_trait::async_trait]
impl Members for People {
    async fn page(&self, _: &Context<'_>, shard: Shard, after: Option<CustomerId>, most: u16) -> Result<Page, Stop> {
        let count = self.0.iter().find(|(number, _)| *number == shard.number());
        let count = count.map_or(0, |(_, count)| *count);
        let customer = |number: u16| CustomerId::new(Moment(i64::from(number)), shard, [7; 16]);
        let behind = (0..count)
            .map(customer)
            .filter(|id| after.is_none_or(|after| *id > after));
        let customers: Vec<CustomerId> = behind.take(usize::from(most)).collect();
        let looked_to = customers
            .last()
            .copied()
            .filter(|_| customers.len() == usize::from(most));
        Ok(Page { customers, looked_to })
    }
}

/// A campaign that runs, over one step, with these recipients.
fn running(stage: &Stage, people: &[(u8, u16)]) -> CampaignId {
    let definition = Campaign {
        steps: vec![stage.step("brand")],
        ..stage.definition()
    };
    let made = stage.create("r", &definition).unwrap();
    let id = super::shown(&made).campaign_id.parse().unwrap();
    stage.start(id, "start").unwrap();
    let people = People(people.to_vec());
    let context = stage.world.context();
    while state(&stage.stands(id)) == CampaignState::Planning {
        let driven = now(protocol::drive(&context, id, &people, super::HERE)).unwrap();
        assert!(matches!(driven, Driven::Again(_)), "{driven:?}");
    }
    id
}

fn walked(stage: &Stage, id: CampaignId, limit: usize, filter: &Filter) -> Vec<Recipient> {
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let context = stage.world.context();
        let page = now(protocol::walk(&context, id.handle(), after, limit, filter)).unwrap();
        assert!(page.recipients.len() <= limit);
        all.extend(page.recipients);
        after = page.next;
        pages += 1;
        assert!(pages < 5_000, "it does not come to an end");
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn pages_of_recipients_hold_each_once() {
    let stage = Stage::new(false);
    let id = running(&stage, &[(0, 3), (7, 1_203), (8, 500), (255, 2)]);
    for limit in [1, 499, 500, 501, 1_000] {
        let all = walked(&stage, id, limit, &Filter::default());
        let customers: BTreeSet<_> = all.iter().map(|one| one.row.customer.clone()).collect();
        assert_eq!((all.len(), customers.len()), (1_708, 1_708), "pages of {limit}");
        assert!(all.is_sorted_by_key(|one| one.place), "pages of {limit}");
    }
    let nobody = CampaignId::new("t", "nobody");
    assert_eq!(walked(&stage, nobody, 10, &Filter::default()), []);
}

#[test]
fn a_page_looks_at_a_bounded_number() {
    let stage = Stage::new(false);
    let id = running(&stage, &[(1, 11_000)]);
    let none = Filter {
        states: vec![DeliveryState::Read],
        ..Filter::default()
    };
    let context = stage.world.context();
    let page = now(protocol::walk(&context, id.handle(), None, 10, &none)).unwrap();
    assert!(page.recipients.is_empty() && page.next.is_some());
    let rest = now(protocol::walk(&context, id.handle(), page.next, 10, &none)).unwrap();
    assert!(rest.recipients.is_empty() && rest.next.is_none());
}

fn failed(class: ErrorClass) -> Result<omnigate_proto::v1::SendAccepted, SendError> {
    Err(SendError {
        class: class.into(),
        ..SendError::default()
    })
}

/// Sends to the recipients of a bucket; what the provider says of each is in turn one of these.
fn sent(stage: &Stage, bucket: Bucket, says: &[ErrorClass]) {
    let context = stage.world.context();
    let lease = [9; 8];
    let batch = now(protocol::claim(&context, bucket, "brand", 500, lease))
        .unwrap()
        .unwrap();
    let verdicts = batch.recipients.iter().map(|one| (one.place, Verdict::Send)).collect();
    let submitted = now(protocol::submit(&context, &batch, &verdicts)).unwrap();
    let answers: Vec<Answer> = submitted
        .iter()
        .zip(says.iter().cycle())
        .map(|(submission, class)| Answer {
            sent: submission.sent,
            attempt: submission.attempt,
            piece_count: 1,
            outcome: failed(*class),
        })
        .collect();
    now(protocol::record(&context, bucket, &answers, 0)).unwrap();
}

fn first_bucket(id: CampaignId, shard: u8) -> Bucket {
    Bucket {
        campaign: id.handle(),
        shard: Shard::new(shard),
        number: 0,
    }
}

fn retry(stage: &Stage, id: CampaignId, include_unknown: bool) -> Result<Retried, NotDone> {
    let context = stage.world.context();
    now(protocol::retry(
        &context,
        id,
        &order("again", ""),
        None,
        include_unknown,
    ))
}

fn counted(stage: &Stage, id: CampaignId, state: DeliveryState) -> u64 {
    let sums = now(protocol::sums(&stage.world.context(), id.handle(), 1)).unwrap();
    sums.in_state(state)
}

fn fires_at(stage: &Stage, bucket: Bucket) -> Vec<i64> {
    let query = Query::Range {
        key: keys::timers(),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 100,
        reverse: false,
    };
    let answers = now(stage.world.context().store.read(bucket.shard, vec![query])).unwrap();
    let members = as_range(answers.into_iter().next()).unwrap();
    let timers = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
    let own = timers.filter(|(_, timer)| *timer == Timer::Bucket(bucket.campaign, bucket.number));
    own.map(|(at, _)| at.0).collect()
}

#[test]
fn who_was_sent_nothing_has_another_turn_once() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let id = running(&stage, &[(3, 8), (200, 4)]);
        let says = [
            ErrorClass::Content,
            ErrorClass::Ambiguous,
            ErrorClass::RecipientPermanent,
            ErrorClass::Account,
        ];
        sent(&stage, first_bucket(id, 3), &says);
        sent(&stage, first_bucket(id, 200), &says);
        let content = Filter {
            reasons: vec![RecipientReason::Content],
            states: vec![DeliveryState::Failed],
            step: Some(0),
        };
        assert_eq!(walked(&stage, id, 10, &content).len(), 3);
        let other_step = Filter {
            step: Some(1),
            ..content
        };
        assert_eq!(walked(&stage, id, 10, &other_step), []);
        let before = counted(&stage, id, DeliveryState::Planned);
        let failures = counted(&stage, id, DeliveryState::Failed);
        stage.world.pass(10_000);
        let once = retry(&stage, id, false).unwrap();
        assert!(once.recipients >= 3 && once.possible_duplicates == 0, "{once:?}");
        assert_eq!(counted(&stage, id, DeliveryState::Planned), before + once.recipients);
        assert_eq!(counted(&stage, id, DeliveryState::Failed), failures - once.recipients);
        let at = stage.world.context().now().0;
        assert!(
            fires_at(&stage, first_bucket(id, 3)).contains(&at),
            "somebody looks at once, and hints"
        );
        assert_eq!(retry(&stage, id, false).unwrap(), Retried::default(), "asked for again");
        let twice = retry(&stage, id, true).unwrap();
        assert_eq!((twice.recipients, twice.possible_duplicates), (3, 3));
        let marked = walked(&stage, id, 100, &Filter::default());
        let marked = marked.iter().filter(|one| one.row.possible_duplicate);
        assert!(
            marked
                .clone()
                .all(|one| ledger::state(&one.row) == DeliveryState::Deferred)
        );
        assert_eq!(marked.count(), 3);
        assert_eq!(retry(&stage, id, true).unwrap(), Retried::default());
    }
}

#[test]
fn another_turn_needs_a_campaign_that_sends_and_keeps_its_end_away() {
    let stage = Stage::new(false);
    let id = running(&stage, &[(3, 2)]);
    sent(&stage, first_bucket(id, 3), &[ErrorClass::Content]);
    let context = stage.world.context();
    // Everybody has ended, and whoever counted them is about to say so.
    assert_eq!(now(protocol::open(&context, id.handle())).unwrap(), 0);
    assert_eq!(retry(&stage, id, false).unwrap().recipients, 2);
    let ends = || now(protocol::command(&context, id, Command::Settled, super::HERE, "")).unwrap();
    assert_eq!(state(&ends().unwrap().unwrap()), CampaignState::Running);
    let driven = now(protocol::drive(&context, id, &People(vec![]), super::HERE)).unwrap();
    assert!(matches!(driven, Driven::Again(after) if !after.is_zero()), "{driven:?}");
    now(protocol::pause(&context, id, &order("p", ""))).unwrap();
    assert_eq!(
        retry(&stage, id, false).unwrap(),
        Retried::default(),
        "a pause forbids none"
    );
    stage.world.pass(24 * 3_600_000);
    assert!(matches!(retry(&stage, id, false), Err(NotDone::TimeOver)));
    now(protocol::cancel(&context, id, &order("c", ""))).unwrap();
    let refused = retry(&stage, id, false);
    assert!(
        matches!(
            refused,
            Err(NotDone::Refused(Refused::Impossible {
                state: CampaignState::Cancelling,
                ..
            }))
        ),
        "{refused:?}"
    );
    let draft = stage.made("draft");
    assert!(matches!(retry(&stage, draft, false), Err(NotDone::Refused(_))));
}

#[test]
fn another_turn_goes_on_where_the_last_call_stopped() {
    let stage = Stage::new(false);
    let id = running(&stage, &[(3, 600), (4, 1)]);
    for (shard, number) in [(3, 0), (3, 1), (4, 0)] {
        let bucket = Bucket {
            number,
            ..first_bucket(id, shard)
        };
        sent(&stage, bucket, &[ErrorClass::Content]);
    }
    let context = stage.world.context();
    let after = Place {
        bucket: first_bucket(id, 3),
        row: 499,
    };
    let behind = now(protocol::retry(&context, id, &order("a", ""), Some(after), false)).unwrap();
    assert_eq!((behind.recipients, behind.next), (101, None));
}
