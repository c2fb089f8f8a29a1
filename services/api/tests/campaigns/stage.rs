//! An api with an audience, a template and an account.

use crate::fakes::{FakeBroker, FakeStore, TestClock, TestEntropy};
use bytes::Bytes;
use omnigate_api::{Api, Parts, Settings};
use omnigate_core::account::{Account, AdapterRef, Directory, Limits};
use omnigate_core::campaign::life::{Command, state};
use omnigate_core::campaign::place::{Bucket, Handle};
use omnigate_core::id::{AudienceId, CampaignId, CustomerId, TemplateId};
use omnigate_core::protocol::campaign::{self as protocol, Answer, Chooser, Driven, Members, Page, Verdict};
use omnigate_core::protocol::context::Context;
use omnigate_core::protocol::template_library::{self as library, Made};
use omnigate_core::protocol::{Ports, Stop as Stopped, audience};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::AudienceRecord;
use omnigate_proto::v1::{
    Campaign, CampaignState, CampaignStep, Capabilities, CreateCampaignRequest, ErrorClass, GetCapabilitiesRequest,
    GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse, LookupTemplateRequest, LookupTemplateResponse,
    PauseCampaignRequest, Purpose, ReceiptState, ResumeCampaignRequest, SendError, SendRequest, SendResponse,
    StartCampaignRequest, TemplateDefinition, TemplateVariant,
};
use omnigate_rpc::auth::{Caller, Scopes};
use omnigate_rpc::page;
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use omnigate_rpc::v1::campaign_service_server::CampaignService as _;
use omnigate_runtime::stop::{Budgets, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::{Request, Response, Status};

pub(crate) const TENANT: &str = "t";
const BUDGET: Duration = Duration::from_secs(300);

pub(crate) fn of<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .extensions_mut()
        .insert(Caller::new("program", tenant, Scopes::all()));
    request
}

/// Id of an audience that nobody made.
pub(crate) fn nobody() -> String {
    AudienceId::new(TENANT, "nobody").to_string()
}

#[derive(Default)]
struct Adapter {
    is_silent: AtomicBool,
}

#[tonic::async_trait]
impl AdapterService for Adapter {
    async fn send(&self, _: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        Ok(Response::new(GetCapabilitiesResponse {
            capabilities: Some(Capabilities {
                receipts: vec![ReceiptState::Delivered.into()],
                ..Capabilities::default()
            }),
        }))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lookup_template(
        &self,
        _: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) ports: Arc<Ports>,
    pub(crate) stop: Stop,
    adapter: Arc<Adapter>,
    audience: AudienceId,
    template: TemplateId,
}

/// The environment that settings name by themselves.
const HERE: &str = "default";

/// So many in one shard.
struct People(u16);

#[async_trait::async_trait]
impl Chooser for People {
    async fn choose(&self, _: &Context<'_>, _: &Campaign) -> Result<Result<Box<dyn Members>, String>, Stopped> {
        Ok(Ok(Box::new(Self(self.0))))
    }
}

#[async_trait::async_trait]
impl Members for People {
    async fn page(&self, _: &Context<'_>, shard: Shard, _: Option<CustomerId>, _: u16) -> Result<Page, Stopped> {
        let count = if shard == Shard::new(7) { self.0 } else { 0 };
        let customer = |number: u16| CustomerId::new(Moment(i64::from(number)), shard, [7; 16]);
        Ok(Page {
            customers: (0..count).map(customer).collect(),
            looked_to: None,
        })
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let (clock, entropy) = (Arc::new(TestClock::new()), Arc::<TestEntropy>::default());
        let ports = Arc::new(Ports::new(Arc::<FakeStore>::default(), clock, entropy));
        let stop = Stop::new(Budgets {
            intake: BUDGET,
            in_flight: BUDGET,
            flush: BUDGET,
            tokens: BUDGET,
            close: BUDGET,
            health: BUDGET,
        });
        let adapter = Arc::<Adapter>::default();
        let api = Api::new(Parts {
            ports: Arc::clone(&ports),
            broker: Arc::new(FakeBroker::default()),
            directory: Arc::new(Directory {
                accounts: [("brand".to_owned(), account())].into(),
                ..Directory::default()
            }),
            adapters: Some(Arc::<Adapter>::clone(&adapter)),
            authorized: omnigate_api::Authorized::new(),
            partitions: 16,
            tokens: page::Tokens::new(b"secret"),
            stop: stop.clone(),
            settings: Settings::default(),
            event_webhooks: Vec::new(),
            marketing: omnigate_core::consent::MarketingDefaults::default(),
        });
        let context = ports.context();
        let id = AudienceId::new(TENANT, "everybody");
        let record = AudienceRecord {
            tenant_id: TENANT.to_owned(),
            ..AudienceRecord::default()
        };
        audience::create(&context, id, record).await.unwrap();
        let template = TemplateId::new(TENANT, ports.clock.now(), [1; 16]);
        library::create(&context, template, &words(ports.clock.now()))
            .await
            .unwrap();
        Self {
            api,
            ports,
            stop,
            adapter,
            audience: id,
            template,
        }
    }

    pub(crate) fn definition(&self) -> Campaign {
        Campaign {
            display_name: "Tết".to_owned(),
            audience_id: self.audience.to_string(),
            purpose: Purpose::Service.into(),
            steps: vec![CampaignStep {
                account_id: "brand".to_owned(),
                template_id: self.template.to_string(),
                ..CampaignStep::default()
            }],
            ..Campaign::default()
        }
    }

    pub(crate) async fn create(&self, request_id: &str, campaign: Campaign) -> Result<Campaign, Status> {
        let asked = CreateCampaignRequest {
            request_id: request_id.to_owned(),
            campaign: Some(campaign),
        };
        let made = self.api.create_campaign(of(TENANT, asked)).await?;
        Ok(made.into_inner().campaign.unwrap())
    }

    pub(crate) async fn start(&self, id: &str, request_id: &str) -> Result<Campaign, Status> {
        let asked = StartCampaignRequest {
            campaign_id: id.to_owned(),
            request_id: request_id.to_owned(),
            etag: String::new(),
        };
        let started = self.api.start_campaign(of(TENANT, asked)).await?;
        Ok(started.into_inner().campaign.unwrap())
    }

    pub(crate) async fn pause(&self, id: &str, request_id: &str, etag: &str) -> Result<Campaign, Status> {
        let asked = PauseCampaignRequest {
            campaign_id: id.to_owned(),
            request_id: request_id.to_owned(),
            etag: etag.to_owned(),
        };
        let paused = self.api.pause_campaign(of(TENANT, asked)).await?;
        Ok(paused.into_inner().campaign.unwrap())
    }

    pub(crate) async fn resume(&self, id: &str, request_id: &str) -> Result<Campaign, Status> {
        let asked = ResumeCampaignRequest {
            campaign_id: id.to_owned(),
            request_id: request_id.to_owned(),
            etag: String::new(),
        };
        let resumed = self.api.resume_campaign(of(TENANT, asked)).await?;
        Ok(resumed.into_inner().campaign.unwrap())
    }

    /// What the scheduler does.
    pub(crate) async fn tell(&self, id: &str, what: Command<'_>) {
        let id: CampaignId = id.parse().unwrap();
        let told = protocol::command(&self.ports.context(), id, what, HERE, "").await;
        told.unwrap().unwrap().unwrap();
    }

    /// Writes recipients down, as the scheduler does.
    pub(crate) async fn planned(&self, id: &str, people: u16) -> Handle {
        let id: CampaignId = id.parse().unwrap();
        // No longer than it is planned: this store counts nobody, so the campaign would end at once.
        let planning = async || {
            let stands = protocol::get(&self.ports.context(), id).await.unwrap().value.unwrap();
            state(&stands) == CampaignState::Planning
        };
        while planning().await {
            let driven = protocol::drive(&self.ports.context(), id, &People(people), HERE).await;
            assert!(matches!(driven, Ok(Driven::Again(_))), "{driven:?}");
        }
        id.handle()
    }

    /// The provider does not accept the content, for everybody who has not ended.
    pub(crate) async fn content_fails(&self, bucket: Bucket) {
        let context = self.ports.context();
        let batch = protocol::claim(&context, bucket, "brand", 500, [8; 8]).await;
        let batch = batch.unwrap().unwrap();
        let verdicts = batch.recipients.iter().map(|one| (one.place, Verdict::Send)).collect();
        let submitted = protocol::submit(&context, &batch, &verdicts).await.unwrap();
        let answers = submitted.iter().map(|submission| Answer {
            sent: submission.sent,
            attempt: submission.attempt,
            piece_count: 1,
            outcome: Err(SendError {
                class: ErrorClass::Content.into(),
                ..SendError::default()
            }),
        });
        let answers: Vec<Answer> = answers.collect();
        protocol::record(&context, bucket, &answers, 0).await.unwrap();
    }

    pub(crate) async fn archive(&self) {
        let context = self.ports.context();
        library::archive(&context, TENANT, self.template, None).await.unwrap();
    }

    /// Nobody answers for the account, and what was answered is not believed any more.
    pub(crate) async fn adapter_is_silent(&self) {
        self.adapter.is_silent.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}

fn account() -> Account {
    Account {
        id: "brand".to_owned(),
        tenant_id: TENANT.to_owned(),
        channel: "sms".to_owned(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "brand".to_owned(),
        settings: omnigate_core::account::Settings::default(),
        limits: Limits::default(),
    }
}

fn words(at: Moment) -> Made {
    Made {
        tenant_id: TENANT.to_owned(),
        command: Bytes::from_static(&[1; 16]),
        at,
        definition: TemplateDefinition {
            purpose: Purpose::Service.into(),
            variants: vec![TemplateVariant {
                locale: "vi".to_owned(),
                channel: "sms".to_owned(),
                ..TemplateVariant::default()
            }],
            ..TemplateDefinition::default()
        },
    }
}
