//! Campaigns as people make, change, start and look at them; what happens to recipients at once is the simulation's.

mod defined;
mod recipients;
mod told;

use crate::{World, now};
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, Directory, Limits};
use omnigate_core::id::{AudienceId, CampaignId, TemplateId};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::Query;
use omnigate_core::protocol::campaign::{self as protocol, Known, NotDone, Order};
use omnigate_core::protocol::context::{Context, as_range};
use omnigate_core::protocol::template_library::{self as library, Made};
use omnigate_core::protocol::{audience, campaign};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{AudienceRecord, CampaignRecord, ControlRecord};
use omnigate_proto::v1::{
    Campaign, CampaignState, CampaignStep, Purpose, ReceiptState, TemplateDefinition, TemplateVariant,
};
use std::collections::BTreeMap;
use std::ops::Bound;

const HERE: &str = "here";

/// An audience, a template for SMS and Zalo, accounts of both.
struct Stage {
    world: World,
    directory: Directory,
    audience: AudienceId,
    template: TemplateId,
}

impl Stage {
    fn new(loses: bool) -> Self {
        let world = World::new(loses);
        let template = template(&world, 1, &["sms", "zalo"], Purpose::Service);
        Self {
            audience: list(&world, "t", "everybody"),
            template,
            directory: Directory {
                accounts: [
                    account("brand", "t", "sms"),
                    account("oa", "t", "zalo"),
                    account("other", "u", "sms"),
                ]
                .into(),
                ..Directory::default()
            },
            world,
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            directory: &self.directory,
            receipts: BTreeMap::from([
                ("brand".to_owned(), vec![]),
                ("oa".to_owned(), vec![ReceiptState::Delivered, ReceiptState::Read]),
            ]),
        }
    }

    fn step(&self, account: &str) -> CampaignStep {
        CampaignStep {
            account_id: account.to_owned(),
            template_id: self.template.to_string(),
            ..CampaignStep::default()
        }
    }

    fn definition(&self) -> Campaign {
        Campaign {
            display_name: "Tết".to_owned(),
            audience_id: self.audience.to_string(),
            purpose: Purpose::Service.into(),
            steps: vec![self.step("oa"), self.step("brand")],
            ..Campaign::default()
        }
    }

    fn create_on(
        &self,
        context: &Context<'_>,
        request_id: &str,
        definition: &Campaign,
    ) -> Result<CampaignRecord, NotDone> {
        let id = CampaignId::new("t", request_id);
        let hash = omnigate_core::id::hash("test", &[&prost::Message::encode_to_vec(definition)]);
        let at = Moment(1_800_000_000_000 + i64::try_from(request_id.len()).unwrap());
        now(protocol::create(
            context,
            id,
            (&order(request_id, ""), at, hash),
            definition,
            &self.known(),
        ))
    }

    fn create(&self, request_id: &str, definition: &Campaign) -> Result<CampaignRecord, NotDone> {
        self.create_on(&self.world.context(), request_id, definition)
    }

    fn made(&self, request_id: &str) -> CampaignId {
        let made = self.create(request_id, &self.definition()).unwrap();
        shown(&made).campaign_id.parse().unwrap()
    }

    fn stands(&self, id: CampaignId) -> CampaignRecord {
        now(protocol::get(&self.world.context(), id)).unwrap().value.unwrap()
    }

    fn start(&self, id: CampaignId, name: &str) -> Result<CampaignRecord, NotDone> {
        let context = self.world.context();
        now(campaign::start(&context, id, &order(name, ""), &self.known()))
    }

    /// When the timers of a campaign fire.
    fn timers(&self, id: CampaignId) -> Vec<i64> {
        let query = Query::Range {
            key: keys::timers(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 100,
            reverse: false,
        };
        let answers = now(self.world.context().store.read(id.shard(), vec![query])).unwrap();
        let members = as_range(answers.into_iter().next()).unwrap();
        let timers = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
        let own = timers.filter(|(_, timer)| *timer == Timer::Campaign(id));
        own.map(|(at, _)| at.0).collect()
    }

    fn control(&self, shard: Shard, id: CampaignId) -> Option<ControlRecord> {
        let loaded = now(protocol::control(&self.world.context(), shard, id.handle()));
        loaded.unwrap().value
    }
}

fn order<'a>(name: &str, etag: &'a str) -> Order<'a> {
    Order {
        tenant_id: "t",
        name: Bytes::copy_from_slice(name.as_bytes()),
        etag,
        environment: HERE,
        cause: "trace",
    }
}

fn shown(record: &CampaignRecord) -> &Campaign {
    record.campaign.as_ref().unwrap()
}

fn state(record: &CampaignRecord) -> CampaignState {
    shown(record).state()
}

fn account(id: &str, tenant_id: &str, channel: &str) -> (String, Account) {
    let account = Account {
        id: id.to_owned(),
        tenant_id: tenant_id.to_owned(),
        channel: channel.to_owned(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: id.to_owned(),
        settings: omnigate_core::account::Settings::default(),
        limits: Limits::default(),
    };
    (id.to_owned(), account)
}

fn list(world: &World, tenant_id: &str, request_id: &str) -> AudienceId {
    let record = AudienceRecord {
        tenant_id: tenant_id.to_owned(),
        ..AudienceRecord::default()
    };
    let id = AudienceId::new(tenant_id, request_id);
    now(audience::create(&world.context(), id, record)).unwrap();
    id
}

fn words(world: &World, command: u8, channels: &[&str], purpose: Purpose) -> Made {
    let variants = channels.iter().map(|channel| TemplateVariant {
        locale: "vi".to_owned(),
        channel: (*channel).to_owned(),
        ..TemplateVariant::default()
    });
    Made {
        tenant_id: "t".to_owned(),
        command: Bytes::from(vec![command; 16]),
        at: world.context().now(),
        definition: TemplateDefinition {
            purpose: purpose.into(),
            variants: variants.collect(),
            ..TemplateDefinition::default()
        },
    }
}

fn template(world: &World, command: u8, channels: &[&str], purpose: Purpose) -> TemplateId {
    let id = TemplateId::new("t", world.context().now(), [command; 16]);
    now(library::create(
        &world.context(),
        id,
        &words(world, command, channels, purpose),
    ))
    .unwrap();
    id
}
