//! Campaigns: who their recipients are told about by, and what a store that forgot is told again.

mod intents;
mod receipts;

use crate::{World, now};
use omnigate_core::campaign::ledger::{self, Lease};
use omnigate_core::campaign::life::{self, Command};
use omnigate_core::campaign::place::Bucket;
use omnigate_core::id::{CampaignId, CustomerId};
use omnigate_core::keys;
use omnigate_core::port::Entropy as _;
use omnigate_core::port::store::{Expect, Query, Write};
use omnigate_core::protocol::campaign::{self, Chooser, Driven, Members, Page, Submission, Verdict};
use omnigate_core::protocol::{Context, Stop};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{CampaignRecord, RecipientRow};
use omnigate_proto::v1::{Campaign, CampaignState, CampaignStep, DeliveryState};
use prost::Message as _;
use std::collections::BTreeMap;

const HERE: &str = "here";
/// Where everybody lives.
const SHARD: Shard = Shard::new(77);
/// The only bucket.
const BUCKET: u16 = 0;

/// Recipients, by id.
#[derive(Clone)]
struct People(Vec<CustomerId>);

impl People {
    fn new(count: u8) -> Self {
        let customer = |number| CustomerId::new(Moment(1_000), SHARD, [number; 16]);
        let mut people: Vec<CustomerId> = (0..count).map(customer).collect();
        people.sort_unstable();
        Self(people)
    }
}

#[async_trait::async_trait]
impl Chooser for People {
    async fn choose(&self, _: &Context<'_>, _: &Campaign) -> Result<Result<Box<dyn Members>, String>, Stop> {
        Ok(Ok(Box::new(self.clone())))
    }
}

#[async_trait::async_trait]
impl Members for People {
    async fn page(&self, _: &Context<'_>, shard: Shard, after: Option<CustomerId>, most: u16) -> Result<Page, Stop> {
        let here = self.0.iter().filter(|one| one.shard() == shard);
        let behind = here.filter(|one| after.is_none_or(|after| **one > after));
        let customers: Vec<CustomerId> = behind.copied().take(usize::from(most)).collect();
        let is_full = customers.len() == usize::from(most);
        let looked_to = customers.last().copied().filter(|_| is_full);
        Ok(Page { customers, looked_to })
    }
}

fn id() -> CampaignId {
    CampaignId::new("t", "campaign")
}

fn bucket() -> Bucket {
    Bucket {
        campaign: id().handle(),
        shard: SHARD,
        number: BUCKET,
    }
}

/// A campaign through account `sms`, then `mail`, that was written down.
fn draft(world: &World) {
    let step = |account: &str| CampaignStep {
        account_id: account.to_owned(),
        template_id: "tpl".to_owned(),
        ..CampaignStep::default()
    };
    let record = CampaignRecord {
        campaign: Some(Campaign {
            campaign_id: id().to_string(),
            tenant_id: "t".to_owned(),
            steps: vec![step("sms"), step("mail")],
            state: CampaignState::Draft.into(),
            ..Campaign::default()
        }),
        environment: HERE.to_owned(),
        ..CampaignRecord::default()
    };
    let key = keys::campaign::campaign(id());
    let expect = vec![Expect::Record {
        key: key.clone(),
        stamp: None,
    }];
    let value = record.encode_to_vec().into();
    let commit = omnigate_core::port::store::Commit {
        stamp: world.entropy.bytes().into(),
        expect,
        write: vec![
            Write::Put { key, value },
            Write::Insert {
                key: keys::campaign::campaigns("t"),
                member: id().to_bytes(),
                value: bytes::Bytes::new(),
            },
        ],
    };
    drop(world.store.memory.commit_now(id().shard(), &commit));
}

/// A campaign to these people that runs.
fn runs(world: &World, people: &People) {
    begins(world);
    goes_on(world, people);
}

/// A campaign that was started.
fn begins(world: &World) {
    draft(world);
    now(campaign::command(&world.context(), id(), Command::Start, HERE, ""))
        .unwrap()
        .unwrap()
        .unwrap();
}

/// Drives until it runs.
fn goes_on(world: &World, people: &People) {
    let context = world.context();
    for _ in 0..100 {
        if state(world) == CampaignState::Running {
            return;
        }
        assert_ne!(
            now(campaign::drive(&context, id(), people, HERE)).unwrap(),
            Driven::Ended
        );
    }
    panic!("it does not run");
}

fn state(world: &World) -> CampaignState {
    let record = now(campaign::get(&world.context(), id())).unwrap().value.unwrap();
    life::state(&record)
}

/// Claims and submits as many as there are for an account.
fn submit(world: &World, account: &str, lease: Lease) -> Vec<Submission> {
    submit_some(world, account, lease, 500)
}

fn submit_some(world: &World, account: &str, lease: Lease, most: usize) -> Vec<Submission> {
    let context = world.context();
    let batch = now(campaign::claim(&context, bucket(), account, most, lease)).unwrap();
    let Some(batch) = batch else { return Vec::new() };
    let places = batch.recipients.iter().map(|recipient| recipient.place);
    let verdicts: BTreeMap<_, _> = places.map(|place| (place, Verdict::Send)).collect();
    now(campaign::submit(&context, &batch, &verdicts)).unwrap()
}

fn rows(world: &World) -> Vec<RecipientRow> {
    let recipients = now(campaign::recipients(&world.context(), bucket())).unwrap();
    recipients.into_iter().map(|one| one.row).collect()
}

fn states(world: &World) -> Vec<DeliveryState> {
    rows(world).iter().map(ledger::state).collect()
}

/// Timers of a shard.
fn timers(world: &World, shard: Shard) -> Vec<bytes::Bytes> {
    let query = Query::Range {
        key: keys::timers(),
        from: std::ops::Bound::Unbounded,
        to: std::ops::Bound::Unbounded,
        limit: 1_000,
        reverse: false,
    };
    let answers = world.store.memory.read_now(shard, &[query]);
    let members = omnigate_core::protocol::context::as_range(answers.into_iter().next()).unwrap();
    members.into_iter().map(|(member, _)| member).collect()
}
