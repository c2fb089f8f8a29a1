//! Buckets of campaigns: everybody is written to once, and nobody who must not be.

use crate::adapter::{Act, FakeAdapter};
use crate::gateway::{Gateway, eventually, text};
use omnigate_core::account::Limits;
use omnigate_core::campaign::ledger::{Verdict, past, reason, state};
use omnigate_core::campaign::life::Command;
use omnigate_core::campaign::place::Bucket;
use omnigate_core::campaign::plan::Plan;
use omnigate_core::consent::MarketingDefaults;
use omnigate_core::id::{CampaignId, CustomerId, TemplateId};
use omnigate_core::keys;
use omnigate_core::port::Clock as _;
use omnigate_core::port::store::{Commit, Expect, Stamp, Store as _, Write};
use omnigate_core::protocol::campaign::{self, Chooser, Driven, Foreseen, Foresight, Members, Page};
use omnigate_core::protocol::template_library::{self, Made};
use omnigate_core::protocol::{Context, Stop, publish, read};
use omnigate_core::shard::Shard;
use omnigate_core::tenant::{Marketing, Rules, TenantRules};
use omnigate_core::topology;
use omnigate_proto::state::v1::{CampaignRecord, RecipientRow};
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content as Words;
use omnigate_proto::v1::{
    Campaign, CampaignState, CampaignStep, DeliveryState, ErrorClass, PauseReason, Purpose, ReceiptState,
    RecipientReason, RichTemplate, TemplateDefinition, TemplatePart, TemplateText, TemplateVariable,
    TemplateVariableType, TemplateVariant, template_part,
};
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;

/// A campaign for some customers.
struct Sent<'a> {
    gateway: &'a Gateway,
    id: CampaignId,
    customers: BTreeSet<CustomerId>,
}

/// Those whom the test says.
struct People(BTreeSet<CustomerId>);

#[async_trait::async_trait]
impl Chooser for Sent<'_> {
    async fn choose(&self, _: &Context<'_>, _: &Campaign) -> Result<Result<Box<dyn Members>, String>, Stop> {
        Ok(Ok(Box::new(People(self.customers.clone()))))
    }
}

#[async_trait::async_trait]
impl Members for People {
    async fn page(&self, _: &Context<'_>, shard: Shard, after: Option<CustomerId>, most: u16) -> Result<Page, Stop> {
        let behind = self.0.iter().copied();
        let behind = behind.filter(|id| id.shard() == shard && after.is_none_or(|after| *id > after));
        Ok(Page {
            customers: behind.take(usize::from(most)).collect(),
            looked_to: None,
        })
    }
}

fn words(text: &str, required: Option<&str>) -> TemplateDefinition {
    TemplateDefinition {
        display_name: "words".to_owned(),
        variables: required
            .iter()
            .map(|name| TemplateVariable {
                name: (*name).to_owned(),
                r#type: TemplateVariableType::Text.into(),
                when_missing: Some(WhenMissing::Required(true)),
                ..TemplateVariable::default()
            })
            .collect(),
        variants: vec![TemplateVariant {
            locale: "vi".to_owned(),
            channel: "telegram".to_owned(),
            content: Some(Words::Rich(RichTemplate {
                parts: vec![TemplatePart {
                    content: Some(template_part::Content::Text(TemplateText {
                        text: text.to_owned(),
                        ..TemplateText::default()
                    })),
                }],
                ..RichTemplate::default()
            })),
        }],
        ..TemplateDefinition::default()
    }
}

impl Gateway {
    /// Customers with a thread each; they have had one message.
    async fn people(&self, count: usize) -> BTreeSet<CustomerId> {
        let mut customers = BTreeSet::new();
        for number in 0..count {
            let id = self
                .send(&format!("hello {number}"), &format!("{}", 1000 + number))
                .await;
            self.until(id, DeliveryState::Sent).await;
            let delivery = self.record(id).await.delivery.unwrap();
            customers.insert(delivery.customer_id.parse().unwrap());
        }
        customers
    }

    /// A campaign that runs.
    async fn campaign(
        &self,
        name: &str,
        customers: &BTreeSet<CustomerId>,
        what: (Purpose, TemplateDefinition),
    ) -> Sent<'_> {
        self.campaign_at(name, customers, what, 0.0).await
    }

    /// A campaign that runs at a pace of its own.
    async fn campaign_at(
        &self,
        name: &str,
        customers: &BTreeSet<CustomerId>,
        (purpose, words): (Purpose, TemplateDefinition),
        messages_per_second: f64,
    ) -> Sent<'_> {
        let context = self.context();
        let mut command = [0; 16];
        command[..name.len()].copy_from_slice(name.as_bytes());
        let template = TemplateId::new("t", self.clock.now(), command);
        let made = Made {
            tenant_id: "t".to_owned(),
            command: command.to_vec().into(),
            at: self.clock.now(),
            definition: words,
        };
        template_library::create(&context, template, &made).await.unwrap();
        let id = CampaignId::new("t", name);
        let campaign = Campaign {
            campaign_id: id.to_string(),
            tenant_id: "t".to_owned(),
            purpose: purpose.into(),
            messages_per_second,
            steps: vec![CampaignStep {
                account_id: "bot".to_owned(),
                template_id: template.to_string(),
                template_version: 1,
                success: ReceiptState::Accepted.into(),
                ..CampaignStep::default()
            }],
            state: CampaignState::Draft.into(),
            ..Campaign::default()
        };
        let record = CampaignRecord {
            campaign: Some(campaign),
            environment: "here".to_owned(),
            ..CampaignRecord::default()
        };
        let commit = Commit {
            stamp: Stamp::from([1; 16]),
            expect: vec![Expect::Record {
                key: keys::campaign::campaign(id),
                stamp: None,
            }],
            write: vec![Write::Put {
                key: keys::campaign::campaign(id),
                value: record.encode_to_vec().into(),
            }],
        };
        self.store.commit(id.shard(), commit).await.unwrap();
        let sent = Sent {
            gateway: self,
            id,
            customers: customers.clone(),
        };
        sent.told(Command::Start).await;
        while sent.state().await == CampaignState::Planning {
            campaign::drive(&context, id, &sent, "here").await.unwrap();
        }
        assert_eq!(sent.state().await, CampaignState::Running);
        sent
    }
}

impl Sent<'_> {
    async fn told(&self, command: Command<'_>) {
        let told = campaign::command(&self.gateway.context(), self.id, command, "here", "").await;
        told.unwrap().unwrap().unwrap();
    }

    async fn state(&self) -> CampaignState {
        self.stands().await.state()
    }

    async fn stands(&self) -> Campaign {
        let record = campaign::get(&self.gateway.context(), self.id).await.unwrap();
        record.value.unwrap().campaign.unwrap()
    }

    fn buckets(&self) -> BTreeSet<Bucket> {
        let shards = self.customers.iter().map(|id| id.shard());
        shards
            .map(|shard| Bucket {
                campaign: self.id.handle(),
                shard,
                number: 0,
            })
            .collect()
    }

    async fn hint(&self) {
        let hints = self.buckets().into_iter().map(|bucket| ("bot", bucket));
        publish::hint_buckets(&self.gateway.broker, hints).await.unwrap();
    }

    async fn rows(&self) -> Vec<RecipientRow> {
        let mut rows = Vec::new();
        for bucket in self.buckets() {
            let found = campaign::recipients(&self.gateway.context(), bucket).await.unwrap();
            rows.extend(found.into_iter().map(|recipient| recipient.row));
        }
        rows
    }

    /// What would become of everybody now.
    async fn foreseen(&self) -> Vec<Foreseen> {
        let (context, stands) = (self.gateway.context(), self.stands().await);
        let sight = Foresight {
            campaign: &stands,
            id: self.id,
            plan: &Plan::new(&stands, self.gateway.clock.now() + Duration::from_secs(3600)),
            script: &campaign::script(&context, &stands).await.unwrap(),
            directory: &Gateway::directory(Limits::default()),
            marketing: &MarketingDefaults::default(),
        };
        let before = self.gateway.store.snapshot();
        let mut foreseen = Vec::new();
        for shard in self.buckets().into_iter().map(|bucket| bucket.shard) {
            let of_shard = self.customers.iter().copied().filter(|id| id.shard() == shard);
            let customers: Vec<CustomerId> = of_shard.collect();
            foreseen.extend(campaign::foresee(&context, sight, shard, &customers).await.unwrap());
        }
        assert_eq!(self.gateway.store.snapshot(), before, "nothing is written by looking");
        foreseen
    }

    /// Waits until all recipients stand so.
    async fn until(&self, wanted: DeliveryState, why: RecipientReason) {
        eventually(|| async {
            let rows = self.rows().await;
            rows.iter().all(|row| (state(row), reason(row)) == (wanted, why))
        })
        .await;
    }
}

const NO_REASON: RecipientReason = RecipientReason::Unspecified;

#[tokio::test(start_paused = true)]
async fn everybody_is_written_to_once_however_often_their_bucket_is_hinted() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(40).await;
    let sent = gateway
        .campaign("c", &people, (Purpose::Service, words("Chào bạn", None)))
        .await;
    for _ in 0..3 {
        sent.hint().await;
    }
    sent.until(DeliveryState::Sent, NO_REASON).await;
    eventually(|| async { gateway.broker.left() == 0 }).await;
    let calls = adapter.sent();
    let of_campaign: Vec<_> = calls.iter().filter(|(one, ..)| text(one) == "Chào bạn").collect();
    let keys: BTreeSet<&str> = of_campaign.iter().map(|(one, ..)| one.send_key.as_str()).collect();
    assert_eq!((of_campaign.len(), keys.len()), (40, 40));
    assert!(
        sent.rows()
            .await
            .iter()
            .all(|row| row.settled && past(row).count() == 0)
    );
    let driven = campaign::drive(&gateway.context(), sent.id, &sent, "here")
        .await
        .unwrap();
    assert_eq!(driven, Driven::Again(Duration::ZERO));
    assert_eq!(sent.state().await, CampaignState::Succeeded);
    for customer in people {
        let whole = read::customer(&gateway.context(), "t", customer)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(whole.to_customer().entry_count, 2, "it stands on their timeline, once");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_after_a_pause_and_all_of_it_after_that() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(10).await;
    let sent = gateway
        .campaign("c", &people, (Purpose::Service, words("Chào", None)))
        .await;
    sent.told(Command::Pause(PauseReason::User, "")).await;
    sent.hint().await;
    eventually(|| async { gateway.broker.left() == 0 }).await;
    assert_eq!(adapter.count(), 10, "what people got before it");
    sent.told(Command::Resume).await;
    sent.hint().await;
    sent.until(DeliveryState::Sent, NO_REASON).await;
    assert_eq!(adapter.count(), 20);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_durable_intent_no_recipient_is_called() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(3).await;
    let sent = gateway
        .campaign("c", &people, (Purpose::Service, words("Chào", None)))
        .await;
    gateway.broker.refuse(&topology::intents(), true);
    sent.hint().await;
    sent.until(DeliveryState::Deferred, RecipientReason::NotSent).await;
    assert_eq!(adapter.count(), 3, "what people got before it");
    gateway.broker.refuse(&topology::intents(), false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    sent.hint().await;
    sent.until(DeliveryState::Sent, NO_REASON).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_value_is_no_empty_greeting() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(2).await;
    let words = words("Chào {{ ten }}", Some("ten"));
    let sent = gateway.campaign("c", &people, (Purpose::Service, words)).await;
    let foreseen = sent.foreseen().await;
    assert_eq!(foreseen.len(), 2);
    for one in foreseen {
        assert_eq!(one.verdict, Verdict::Refuse(RecipientReason::MissingData));
        assert_eq!(one.problem, "\"ten\" is required and not known");
    }
    sent.hint().await;
    sent.until(DeliveryState::Skipped, RecipientReason::MissingData).await;
    assert_eq!(adapter.count(), 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_campaigns_to_the_same_people_respect_how_often_they_may_be_written_to() {
    let marketing = Marketing {
        hours: None,
        caps: vec!["1/12h".parse().unwrap()],
    };
    let rules = TenantRules {
        all: Rules {
            marketing,
            ..Rules::DEFAULT
        },
        ..TenantRules::default()
    };
    let gateway = Gateway::new().with_tenants(rules);
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(5).await;
    let first = gateway
        .campaign("one", &people, (Purpose::Marketing, words("ad", None)))
        .await;
    let second = gateway
        .campaign("two", &people, (Purpose::Marketing, words("ad", None)))
        .await;
    // What provably did not leave takes no place.
    adapter.will(Act::Fail(ErrorClass::RecipientTemporary, 0));
    first.hint().await;
    eventually(|| async {
        let rows = first.rows().await;
        rows.iter().filter(|row| state(row) == DeliveryState::Sent).count() == 4
    })
    .await;
    second.hint().await;
    eventually(|| async {
        let rows = second.rows().await;
        let sent = rows.iter().filter(|row| state(row) == DeliveryState::Sent).count();
        let capped = rows.iter().filter(|row| reason(row) == RecipientReason::Cap).count();
        (sent, capped) == (1, 4)
    })
    .await;
    for row in second
        .rows()
        .await
        .iter()
        .filter(|row| reason(row) == RecipientReason::Cap)
    {
        assert_eq!(state(row), DeliveryState::Deferred);
        assert!(row.until_ms > gateway.clock.now().0, "when there is room");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_campaign_whose_words_are_gone_is_paused_and_says_so() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(2).await;
    let sent = gateway
        .campaign("c", &people, (Purpose::Service, words("Chào", None)))
        .await;
    let context = gateway.context();
    let record = campaign::get(&context, sent.id).await.unwrap();
    let mut changed = record.value.unwrap();
    changed.campaign.as_mut().unwrap().steps[0].template_version = 7;
    let commit = Commit {
        stamp: Stamp::from([9; 16]),
        expect: vec![Expect::Record {
            key: keys::campaign::campaign(sent.id),
            stamp: record.stamp,
        }],
        write: vec![Write::Put {
            key: keys::campaign::campaign(sent.id),
            value: changed.encode_to_vec().into(),
        }],
    };
    gateway.store.commit(sent.id.shard(), commit).await.unwrap();
    sent.hint().await;
    eventually(|| async { sent.state().await == CampaignState::Paused }).await;
    let stands = sent.stands().await;
    assert_eq!(stands.pause_reason(), PauseReason::Content);
    assert!(
        stands.problem.contains("version 7 of steps[0] is not there"),
        "{}",
        stands.problem
    );
    sent.until(DeliveryState::Planned, NO_REASON).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_campaign_keeps_the_pace_that_it_has_set_itself() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let people = gateway.people(30).await;
    let sent = gateway
        .campaign_at("c", &people, (Purpose::Service, words("Chào", None)), 5.0)
        .await;
    sent.hint().await;
    let begun = tokio::time::Instant::now();
    eventually(|| async {
        sent.hint().await;
        adapter.count() == 60
    })
    .await;
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(3),
        "thirty at five a second, and some at once: {took:?}"
    );
    running.stop().await;
}
