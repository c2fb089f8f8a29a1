//! What campaigns do by themselves: they start, are written down, hinted, cancelled, and end.

use crate::gateway::{Gateway, Running, eventually};
use bytes::Bytes;
use omnigate_core::campaign::life::{self, Command};
use omnigate_core::campaign::place::Bucket;
use omnigate_core::campaign::{ledger, tally};
use omnigate_core::delivery::accepted;
use omnigate_core::id::{AudienceId, CampaignId, CustomerId};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::Clock as _;
use omnigate_core::port::broker::Broker as _;
use omnigate_core::port::store::{Expect, Query, Write};
use omnigate_core::protocol::audience::{self, Batch, Session};
use omnigate_core::protocol::campaign::{self, Answer, Recipient, Submission, Verdict};
use omnigate_core::protocol::context::as_range;
use omnigate_core::shard::Shard;
use omnigate_core::tenant::Rules;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::{AudienceRecord, CampaignRecord, Hint, Intent, IntentBatch, IntentItem};
use omnigate_proto::v1::{
    Campaign, CampaignState, CampaignStep, DeliveryState, Identifier, ImportRow, Lane, PauseReason, ReceiptState,
};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HERE: &str = "default";
const SECOND: Duration = Duration::from_secs(1);

/// A list of customers with these addresses.
async fn list(gateway: &Gateway, name: &str, people: &[u32], excluded: &[AudienceId]) -> AudienceId {
    let id = audience(gateway, name, "", excluded).await;
    let rows: Vec<ImportRow> = people
        .iter()
        .enumerate()
        .map(|(number, who)| row(number, *who))
        .collect();
    let context = gateway.context();
    let mut session = Session::begin(&context, ("t", id), ("import", false), "")
        .await
        .unwrap();
    let batch = Batch::new(&rows, &Rules::DEFAULT).unwrap();
    session.take(&context, &batch, &mut Vec::new()).await.unwrap();
    session.finish(&context).await.unwrap();
    assert_eq!(session.record().failed, 0);
    id
}

fn row(number: usize, who: u32) -> ImportRow {
    ImportRow {
        row: u64::try_from(number).unwrap() + 1,
        identifiers: vec![Identifier {
            r#type: "email".into(),
            scope: String::new(),
            value: format!("p{who}@example.com"),
        }],
        ..ImportRow::default()
    }
}

async fn audience(gateway: &Gateway, name: &str, filter: &str, excluded: &[AudienceId]) -> AudienceId {
    let record = AudienceRecord {
        tenant_id: "t".into(),
        display_name: name.into(),
        filter: filter.into(),
        excluded: excluded.iter().map(|id| id.to_bytes()).collect(),
        ..AudienceRecord::default()
    };
    let created = audience::create(&gateway.context(), AudienceId::new("t", name), record).await;
    created.unwrap().id
}

/// Records of a list's members.
async fn members(gateway: &Gateway, list: AudienceId) -> BTreeSet<CustomerId> {
    let mut found = BTreeSet::new();
    for shard in Shard::all() {
        let members = index(gateway, shard, keys::members_of(list)).await;
        found.extend(members.iter().map(|member| CustomerId::from_bytes(member).unwrap()));
    }
    found
}

async fn index(gateway: &Gateway, shard: Shard, key: Bytes) -> Vec<Bytes> {
    let query = Query::Range {
        key,
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 10_000,
        reverse: false,
    };
    let answers = gateway.context().store.read(shard, vec![query]).await.unwrap();
    let members = as_range(answers.into_iter().next()).unwrap();
    members.into_iter().map(|(member, _)| member).collect()
}

/// A campaign that was written down and told nothing yet.
async fn draft(gateway: &Gateway, audience: AudienceId, excluded: &[AudienceId], starts: Duration) -> CampaignId {
    let id = CampaignId::new("t", "campaign");
    let step = CampaignStep {
        account_id: "bot".into(),
        template_id: "tpl".into(),
        ..CampaignStep::default()
    };
    let campaign = Campaign {
        campaign_id: id.to_string(),
        tenant_id: "t".into(),
        audience_id: audience.to_string(),
        excluded_audience_ids: excluded.iter().map(ToString::to_string).collect(),
        steps: vec![step],
        state: CampaignState::Draft.into(),
        start_at: Some((gateway.clock.now() + starts).to_timestamp()),
        send_within_ms: 3_600_000,
        ..Campaign::default()
    };
    let record = CampaignRecord {
        campaign: Some(campaign),
        environment: HERE.into(),
        ..CampaignRecord::default()
    };
    let key = keys::campaign::campaign(id);
    let expect = vec![Expect::Record {
        key: key.clone(),
        stamp: None,
    }];
    let value = record.encode_to_vec().into();
    let write = vec![Write::Put { key, value }];
    gateway.context().commit(id.shard(), expect, write).await.unwrap();
    id
}

async fn tell(gateway: &Gateway, id: CampaignId, command: Command<'_>) {
    let told = campaign::command(&gateway.context(), id, command, HERE, "").await;
    told.unwrap().unwrap().unwrap();
}

async fn stands(gateway: &Gateway, id: CampaignId) -> Campaign {
    let record = campaign::get(&gateway.context(), id).await.unwrap().value;
    record.unwrap().campaign.unwrap()
}

async fn is(gateway: &Gateway, id: CampaignId, state: CampaignState) -> bool {
    stands(gateway, id).await.state() == state
}

async fn recipients(gateway: &Gateway, id: CampaignId) -> Vec<Recipient> {
    let mut all = Vec::new();
    for shard in Shard::all() {
        let bucket = Bucket {
            campaign: id.handle(),
            shard,
            number: 0,
        };
        all.extend(campaign::recipients(&gateway.context(), bucket).await.unwrap());
    }
    all
}

async fn states(gateway: &Gateway, id: CampaignId) -> BTreeSet<DeliveryState> {
    let recipients = recipients(gateway, id).await;
    recipients.iter().map(|one| ledger::state(&one.row)).collect()
}

fn hinted(gateway: &Gateway) -> Vec<Bucket> {
    let bodies = gateway.broker.waiting(&topology::outbound("bot", Lane::Bulk));
    let hints = bodies.into_iter().map(|body| Hint::decode(body).unwrap());
    hints
        .map(|hint| Bucket::from_hint(&hint.bucket.unwrap()).unwrap())
        .collect()
}

/// A dispatcher that submits everybody, and announces it.
async fn submit(gateway: &Gateway, bucket: Bucket) -> Vec<Submission> {
    let context = gateway.context();
    let mut lease = [0; 8];
    lease.copy_from_slice(&context.entropy.bytes()[..8]);
    let Some(batch) = campaign::claim(&context, bucket, "bot", 500, lease).await.unwrap() else {
        return Vec::new();
    };
    let places = batch.recipients.iter().map(|recipient| recipient.place);
    let verdicts: BTreeMap<_, _> = places.map(|place| (place, Verdict::Send)).collect();
    let submitted = campaign::submit(&context, &batch, &verdicts).await.unwrap();
    let of_row: BTreeMap<_, _> = batch.recipients.iter().map(|one| (one.place, &one.row)).collect();
    let items = submitted.iter().map(|one| IntentItem {
        message_id: one.sent.message_id().to_string(),
        piece: one.attempt.piece,
        attempt: one.attempt.number,
        customer: of_row[&one.sent.place].customer.clone(),
        ..IntentItem::default()
    });
    let intent = Intent {
        shard: u32::from(bucket.shard.number()),
        number: submitted.first().map_or(0, |one| one.intent),
        items: items.collect(),
        at_ms: context.now().0,
    };
    let entry = IntentBatch {
        intents: vec![intent],
        ..IntentBatch::default()
    };
    let entry = entry.encode_to_vec().into();
    gateway.broker.append(&topology::intents(), vec![entry]).await;
    submitted
}

/// A dispatcher whose provider delivers at once.
async fn dispatch(gateway: &Gateway, bucket: Bucket) {
    let context = gateway.context();
    let submitted = submit(gateway, bucket).await;
    let answers: Vec<Answer> = submitted
        .iter()
        .map(|submission| {
            let mut said = accepted("");
            said.state = ReceiptState::Delivered.into();
            Answer {
                sent: submission.sent,
                attempt: submission.attempt,
                piece_count: 1,
                outcome: Ok(said),
            }
        })
        .collect();
    campaign::record(&context, bucket, &answers, 0).await.unwrap();
}

/// Timers of the campaign itself.
async fn own_timers(gateway: &Gateway, id: CampaignId) -> usize {
    let timers = index(gateway, id.shard(), keys::timers()).await;
    let read = timers.iter().filter_map(|member| keys::read_timer_member(member));
    read.filter(|(_, timer)| *timer == Timer::Campaign(id)).count()
}

/// A campaign to these people that runs.
async fn runs(gateway: &Gateway, people: &[u32]) -> (CampaignId, Running) {
    let audience = list(gateway, "all", people, &[]).await;
    let id = draft(gateway, audience, &[], Duration::ZERO).await;
    let running = gateway.schedule();
    tell(gateway, id, Command::Start).await;
    eventually(|| is(gateway, id, CampaignState::Running)).await;
    (id, running)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_scheduled_starts_in_its_time_and_ends_when_everybody_has() {
    let gateway = Gateway::new();
    let people: Vec<u32> = (0..40).collect();
    let staff = list(&gateway, "staff", &people[..3], &[]).await;
    let buyers = list(&gateway, "buyers", &people[2..6], &[]).await;
    let all = list(&gateway, "all", &people, &[staff]).await;
    let id = draft(&gateway, all, &[buyers], SECOND * 90).await;
    let running = gateway.schedule();
    tell(&gateway, id, Command::Schedule).await;
    let due = gateway.clock.now() + SECOND * 90;
    tokio::time::sleep(SECOND * 89).await;
    assert!(is(&gateway, id, CampaignState::Scheduled).await && recipients(&gateway, id).await.is_empty());
    assert_eq!(own_timers(&gateway, id).await, 1);

    eventually(|| is(&gateway, id, CampaignState::Running)).await;
    let started = Moment::from_timestamp(&stands(&gateway, id).await.started_at.unwrap());
    assert!(started.since(due) < SECOND * 2, "{:?} late", started.since(due));
    let written: Vec<CustomerId> = recipients(&gateway, id)
        .await
        .iter()
        .map(|one| CustomerId::from_bytes(&one.row.customer).unwrap())
        .collect();
    let mut wanted = members(&gateway, all).await;
    for list in [staff, buyers] {
        let left_out = members(&gateway, list).await;
        wanted.retain(|one| !left_out.contains(one));
    }
    assert_eq!((written.len(), wanted.len()), (34, 34));
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), wanted);

    let buckets: BTreeSet<Bucket> = recipients(&gateway, id)
        .await
        .iter()
        .map(|one| one.place.bucket)
        .collect();
    eventually(|| async { hinted(&gateway).into_iter().collect::<BTreeSet<_>>() == buckets }).await;
    for bucket in buckets {
        assert!(is(&gateway, id, CampaignState::Running).await);
        dispatch(&gateway, bucket).await;
    }
    eventually(|| is(&gateway, id, CampaignState::Succeeded)).await;
    let sums = campaign::sums(&gateway.context(), id.handle(), 1).await.unwrap();
    let mut moves = tally::Moves::default();
    let rows = recipients(&gateway, id).await;
    rows.iter().for_each(|one| moves.row(None, &one.row));
    let mut counted = tally::Sums::default();
    moves.deltas().for_each(|(cell, count)| counted.add(cell, count));
    assert_eq!(sums, counted);
    eventually(|| async { gateway.store.members(&keys::timers()) == 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_whose_hint_nobody_takes_is_hinted_again() {
    let gateway = Gateway::new();
    let (_, running) = runs(&gateway, &[1]).await;
    eventually(|| async { hinted(&gateway).len() == 1 }).await;
    tokio::time::sleep(SECOND * 15).await;
    assert_eq!(hinted(&gateway).len(), 1, "it is waited for somebody who takes it");
    eventually(|| async { hinted(&gateway).len() == 3 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_ends_with_everybody_to_whom_nothing_was_sent() {
    let gateway = Gateway::new();
    let (id, running) = runs(&gateway, &[1, 2, 3, 4, 5, 6, 7, 8]).await;
    let first = recipients(&gateway, id).await[0].place.bucket;
    dispatch(&gateway, first).await;
    tell(&gateway, id, Command::Cancel).await;
    eventually(|| is(&gateway, id, CampaignState::Cancelled)).await;
    let both = BTreeSet::from([DeliveryState::Delivered, DeliveryState::Cancelled]);
    assert_eq!(states(&gateway, id).await, both);
    eventually(|| async { gateway.store.members(&keys::timers()) == 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn timers_of_several_commands_become_one() {
    let gateway = Gateway::new();
    let (id, running) = runs(&gateway, &[1]).await;
    for _ in 0..3 {
        tell(&gateway, id, Command::Pause(PauseReason::User, "")).await;
        tell(&gateway, id, Command::Resume).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(own_timers(&gateway, id).await, 1);
    tell(&gateway, id, Command::Pause(PauseReason::User, "")).await;
    eventually(|| async { own_timers(&gateway, id).await == 0 }).await;
    tokio::time::sleep(SECOND * 60).await;
    tell(&gateway, id, Command::Resume).await;
    dispatch(&gateway, recipients(&gateway, id).await[0].place.bucket).await;
    eventually(|| is(&gateway, id, CampaignState::Succeeded)).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_has_lost_its_audience_or_an_exclusion_is_not_started() {
    for gone in ["all", "staff", "filter"] {
        let gateway = Gateway::new();
        let staff = list(&gateway, "staff", &[1], &[]).await;
        let all = match gone {
            "filter" => audience(&gateway, "all", "customer.attributes.points > 3 &&", &[]).await,
            _ => list(&gateway, "all", &[1, 2], &[]).await,
        };
        let id = draft(&gateway, all, &[staff], Duration::ZERO).await;
        let context = gateway.context();
        let delete = |id| audience::delete(&context, "t", id, (&DELETION, ""));
        let problem = match gone {
            "all" => {
                delete(all).await.unwrap();
                format!("its audience {all} is gone")
            }
            "staff" => {
                delete(staff).await.unwrap();
                format!("no such audience: {staff}, which is to be excluded")
            }
            _ => format!("the filter of {all} does not fit customers any more"),
        };
        let running = gateway.schedule();
        tell(&gateway, id, Command::Start).await;
        eventually(|| is(&gateway, id, CampaignState::Failed)).await;
        let said = stands(&gateway, id).await.problem;
        assert!(said.starts_with(&problem), "{said}");
        assert!(recipients(&gateway, id).await.is_empty() && hinted(&gateway).is_empty());
        running.stop().await;
    }
}

static DELETION: Bytes = Bytes::from_static(b"deletion");

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_store_under_another_name_sends_nothing() {
    let gateway = Gateway::new();
    let audience = list(&gateway, "all", &[1], &[]).await;
    let id = draft(&gateway, audience, &[], SECOND * 10).await;
    tell(&gateway, id, Command::Schedule).await;
    let copy = gateway.schedule_in("staging");
    eventually(|| is(&gateway, id, CampaignState::Paused)).await;
    assert_eq!(stands(&gateway, id).await.pause_reason(), PauseReason::Environment);
    tokio::time::sleep(SECOND * 60).await;
    assert!(recipients(&gateway, id).await.is_empty() && hinted(&gateway).is_empty());
    copy.stop().await;
    let resumed = life::decide(
        &campaign::get(&gateway.context(), id).await.unwrap().value.unwrap(),
        Command::Resume,
        "staging",
        (gateway.clock.now(), ""),
    );
    assert!(resumed.unwrap().is_some(), "somebody may say so");
}

#[tokio::test(start_paused = true)]
async fn recipients_of_an_account_that_is_gone_lapse_with_the_campaign() {
    let gateway = Gateway::new();
    let audience = list(&gateway, "all", &[1, 2], &[]).await;
    let id = draft(&gateway, audience, &[], Duration::ZERO).await;
    let running = gateway.schedule_without_accounts();
    tell(&gateway, id, Command::Start).await;
    tokio::time::sleep(Duration::from_mins(59)).await;
    assert!(is(&gateway, id, CampaignState::Running).await && hinted(&gateway).is_empty());
    eventually(|| is(&gateway, id, CampaignState::Succeeded)).await;
    assert_eq!(states(&gateway, id).await, BTreeSet::from([DeliveryState::Expired]));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_goes_on_with_what_was_begun() {
    let gateway = Gateway::new();
    let people: Vec<u32> = (0..600).collect();
    let audience = list(&gateway, "all", &people, &[]).await;
    let id = draft(&gateway, audience, &[], Duration::ZERO).await;
    let first = gateway.schedule();
    tell(&gateway, id, Command::Start).await;
    eventually(|| async { !recipients(&gateway, id).await.is_empty() }).await;
    first.kill();
    let second = gateway.schedule();
    eventually(|| is(&gateway, id, CampaignState::Running)).await;
    let written = recipients(&gateway, id).await;
    let each: BTreeSet<Bytes> = written.iter().map(|one| one.row.customer.clone()).collect();
    assert_eq!((written.len(), each.len()), (600, 600));
    second.stop().await;
}

/// What forgotten submissions were made of, all kinds together.
const FORGOTTEN: &str = "omnigate_scheduler_forgotten_submissions_total";

#[tokio::test(start_paused = true)]
async fn after_a_failover_nobody_is_sent_anything_again() {
    let gateway = Gateway::new();
    gateway.store.failovers.store(1, Ordering::SeqCst);
    let people: Vec<u32> = (0..30).collect();
    let (id, running) = runs(&gateway, &people).await;
    let mut buckets: Vec<Bucket> = recipients(&gateway, id)
        .await
        .iter()
        .map(|one| one.place.bucket)
        .collect();
    buckets.dedup();
    let replica = gateway.store.replica();
    let mut sent = BTreeSet::new();
    for bucket in &buckets[..10] {
        sent.extend(submit(&gateway, *bucket).await.iter().map(|one| one.sent));
    }
    gateway.store.fail_over(&replica);
    tokio::time::sleep(SECOND * 50).await;
    assert!(
        submit(&gateway, buckets[20]).await.is_empty(),
        "not before whoever submitted has ended"
    );
    eventually(|| async { running.counted(FORGOTTEN) == u64::try_from(sent.len()).unwrap() }).await;
    eventually(|| is(&gateway, id, CampaignState::Running)).await;
    for bucket in &buckets {
        for one in submit(&gateway, *bucket).await {
            assert!(sent.insert(one.sent), "submitted twice");
        }
    }
    assert_eq!(sent.len(), 30);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_log_cannot_be_read_campaigns_wait() {
    let gateway = Gateway::new();
    gateway.store.failovers.store(1, Ordering::SeqCst);
    gateway.broker.refuse(&topology::intents(), true);
    let audience = list(&gateway, "all", &[1], &[]).await;
    let id = draft(&gateway, audience, &[], Duration::ZERO).await;
    let running = gateway.schedule();
    tell(&gateway, id, Command::Start).await;
    tokio::time::sleep(SECOND * 30).await;
    assert!(is(&gateway, id, CampaignState::Planning).await && recipients(&gateway, id).await.is_empty());
    gateway.broker.refuse(&topology::intents(), false);
    eventually(|| is(&gateway, id, CampaignState::Running)).await;
    running.stop().await;
}
