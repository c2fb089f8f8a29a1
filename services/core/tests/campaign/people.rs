//! Who the campaign is for, and what it is.

use omnigate_core::id::{CampaignId, CustomerId};
use omnigate_core::protocol::campaign::{Chooser, Members, Page};
use omnigate_core::protocol::{Context, Stop};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{Campaign, CampaignState, CampaignStep, FallbackCause, UnknownPolicy};

use crate::rng::Rng;
use crate::time::BEGINNING;

pub(crate) const TENANT: &str = "t";
pub(crate) const ACCOUNTS: [&str; 2] = ["zalo", "sms"];

/// The audience, by shard.
#[derive(Clone)]
pub(crate) struct People(pub Vec<CustomerId>);

impl People {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let shards = [rng.bytes()[0], rng.bytes()[0]];
        let count = 1 + rng.below(9);
        let mut people: Vec<CustomerId> = (0..count)
            .map(|_| {
                let shard = Shard::new(rng.pick(&shards));
                CustomerId::new(
                    Moment(BEGINNING.0 - i64::try_from(rng.below(1_000)).unwrap()),
                    shard,
                    rng.bytes(),
                )
            })
            .collect();
        people.sort_unstable();
        people.dedup();
        Self(people)
    }

    pub(crate) fn shards(&self) -> Vec<Shard> {
        let mut shards: Vec<Shard> = self.0.iter().map(|customer| customer.shard()).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
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
    /// Two at once, so that planning takes several pages.
    async fn page(&self, _: &Context<'_>, shard: Shard, after: Option<CustomerId>, _: u16) -> Result<Page, Stop> {
        let behind = self.0.iter().filter(|customer| customer.shard() == shard);
        let behind = behind.filter(|customer| after.is_none_or(|after| **customer > after));
        let mut customers: Vec<CustomerId> = behind.copied().take(3).collect();
        let looked_to = if customers.len() > 2 {
            customers.truncate(2);
            customers.last().copied()
        } else {
            None
        };
        Ok(Page { customers, looked_to })
    }
}

pub(crate) fn id() -> CampaignId {
    CampaignId::new(TENANT, "request")
}

/// A campaign over one account or over two.
pub(crate) fn campaign(rng: &mut Rng) -> CampaignRecord {
    let steps = 1 + rng.below(2);
    let step = |number: usize, on: Vec<i32>| CampaignStep {
        account_id: ACCOUNTS[number].to_owned(),
        template_id: "tpl".to_owned(),
        wait_ms: 300_000,
        fall_back_on: on,
        ..CampaignStep::default()
    };
    let mut on = vec![FallbackCause::Unreachable.into(), FallbackCause::Timeout.into()];
    if rng.per_mille(300) {
        on.push(FallbackCause::Unknown.into());
    }
    let repeats = rng.per_mille(200);
    CampaignRecord {
        campaign: Some(Campaign {
            campaign_id: id().to_string(),
            tenant_id: TENANT.to_owned(),
            steps: (0..steps).map(|number| step(number, on.clone())).collect(),
            state: CampaignState::Draft.into(),
            on_unknown: if repeats {
                UnknownPolicy::ResendOnce
            } else {
                UnknownPolicy::Report
            }
            .into(),
            send_within_ms: 6 * 3_600_000,
            ..Campaign::default()
        }),
        environment: "here".to_owned(),
        ..CampaignRecord::default()
    }
}
