//! CampaignService over stand-ins for store and broker, on a clock that runs ahead while nothing happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is surprised"
)]

#[path = "../../../dispatch/tests/role/fakes.rs"]
mod fakes;
mod stage;

use futures_util::StreamExt as _;
use omnigate_core::campaign::life::Command;
use omnigate_core::campaign::place::Bucket;
use omnigate_core::protocol::campaign::{self as protocol, Verdict};
use omnigate_core::shard::Shard;
use omnigate_proto::v1::{
    Campaign, CampaignProgress, CampaignState, CampaignSteps, CancelCampaignRequest, CreateCampaignRequest,
    DeliveryState, GetCampaignProgressRequest, GetCampaignRequest, ListCampaignsRequest, ListRecipientsRequest,
    PauseReason, ReceiptState, RecipientReason, RetryRecipientsRequest, ScheduleCampaignRequest,
    UnscheduleCampaignRequest, UpdateCampaignRequest, WatchCampaignRequest,
};
use omnigate_rpc::error::{reason, violations};
use omnigate_rpc::v1::campaign_service_server::CampaignService as _;
use omnigate_runtime::stop::Reason;
use stage::{Stage, TENANT, of};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Code, Status};

fn is(status: &Status, code: Code, because: &str) {
    assert_eq!(
        (status.code(), reason(status).as_deref()),
        (code, Some(because)),
        "{status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_makes_one_campaign_and_another_body_is_refused() {
    let stage = Stage::new().await;
    let made = stage.create("r", stage.definition()).await.unwrap();
    assert_eq!((made.state(), made.tenant_id.as_str()), (CampaignState::Draft, TENANT));
    assert!(!made.etag.is_empty() && made.created_at.is_some());
    let mut said = stage.definition();
    said.state = CampaignState::Running.into();
    said.epoch = 9;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(
        stage.create("r", said).await.unwrap(),
        made,
        "what is output only makes no other body"
    );
    let mut other = stage.definition();
    other.weight = 3;
    is(
        &stage.create("r", other).await.unwrap_err(),
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
    is(
        &stage.create("", stage.definition()).await.unwrap_err(),
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    let without = CreateCampaignRequest {
        request_id: "q".to_owned(),
        campaign: None,
    };
    let refused = stage.api.create_campaign(of(TENANT, without)).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_names_its_field_and_what_is_not_there_its_kind() {
    let stage = Stage::new().await;
    let refused = async |wrong: fn(&mut Campaign)| {
        let mut definition = stage.definition();
        wrong(&mut definition);
        stage.create("r", definition).await.unwrap_err()
    };
    let status = refused(|it| it.weight = 101).await;
    is(&status, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(violations(&status)[0].0, "weight");
    let status = refused(|it| it.steps[0].account_id = "nobody's".to_owned()).await;
    assert_eq!(violations(&status)[0].0, "steps[0].account_id");
    let status = refused(|it| it.audience_id = stage::nobody()).await;
    is(&status, Code::NotFound, "AUDIENCE_NOT_FOUND");
    let status = refused(|it| it.steps[0].template_version = 7).await;
    is(&status, Code::NotFound, "TEMPLATE_NOT_FOUND");
    stage.archive().await;
    let status = refused(|_| {}).await;
    is(&status, Code::FailedPrecondition, "TEMPLATE_ARCHIVED");
}

#[tokio::test(start_paused = true)]
async fn nobody_else_reads_or_moves_a_campaign() {
    let stage = Stage::new().await;
    let made = stage.create("r", stage.definition()).await.unwrap();
    let get = GetCampaignRequest {
        campaign_id: made.campaign_id.clone(),
    };
    let theirs = stage.api.get_campaign(of("u", get.clone())).await.unwrap_err();
    is(&theirs, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    let cancel = CancelCampaignRequest {
        campaign_id: made.campaign_id.clone(),
        request_id: "c".to_owned(),
        etag: String::new(),
    };
    let theirs = stage.api.cancel_campaign(of("u", cancel)).await.unwrap_err();
    is(&theirs, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    let watch = WatchCampaignRequest {
        campaign_id: made.campaign_id.clone(),
    };
    let theirs = stage.api.watch_campaign(of("u", watch)).await.map(drop).unwrap_err();
    is(&theirs, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    let listed = stage.api.list_campaigns(of("u", ListCampaignsRequest::default())).await;
    assert!(listed.unwrap().into_inner().campaigns.is_empty());
    let own = stage.api.get_campaign(of(TENANT, get)).await.unwrap();
    assert_eq!(own.into_inner().campaign, Some(made));
}

#[tokio::test(start_paused = true)]
async fn pages_of_campaigns_hold_each_once_and_keep_their_filter() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for number in 0..5 {
        tokio::time::advance(Duration::from_millis(10)).await;
        let one = stage.create(&format!("r{number}"), stage.definition()).await.unwrap();
        made.push(one.campaign_id);
    }
    made.reverse();
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListCampaignsRequest {
            page_size: 2,
            page_token: page_token.clone(),
            states: vec![CampaignState::Draft.into()],
        };
        let page = stage.api.list_campaigns(of(TENANT, asked)).await.unwrap().into_inner();
        found.extend(page.campaigns.into_iter().map(|one| one.campaign_id));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(found, made);
    let other = ListCampaignsRequest {
        page_token,
        ..ListCampaignsRequest::default()
    };
    let refused = stage.api.list_campaigns(of(TENANT, other)).await.unwrap_err();
    is(&refused, Code::InvalidArgument, "FIELD_INVALID");
    let unknown = ListCampaignsRequest {
        states: vec![77],
        ..ListCampaignsRequest::default()
    };
    let refused = stage.api.list_campaigns(of(TENANT, unknown)).await.unwrap_err();
    assert_eq!(violations(&refused)[0].0, "states");
}

#[tokio::test(start_paused = true)]
async fn words_take_effect_once_and_refusals_have_stable_reasons() {
    let stage = Stage::new().await;
    let id = stage.create("r", stage.definition()).await.unwrap().campaign_id;
    let refused = stage.pause(&id, "0", "").await.unwrap_err();
    is(&refused, Code::FailedPrecondition, "CAMPAIGN_STATE");
    let schedule = |request_id: &str, start_at: Option<i64>| ScheduleCampaignRequest {
        campaign_id: id.clone(),
        request_id: request_id.to_owned(),
        etag: String::new(),
        start_at: start_at.map(|at| omnigate_core::time::Moment(1_800_000_000_000 + at).to_timestamp()),
    };
    let scheduled = async |asked| stage.api.schedule_campaign(of(TENANT, asked)).await;
    let none = scheduled(schedule("1", None)).await.unwrap_err();
    is(&none, Code::FailedPrecondition, "NO_START_TIME");
    let past = scheduled(schedule("2", Some(-1))).await.unwrap_err();
    assert_eq!(violations(&past)[0].0, "start_at");
    let stands = scheduled(schedule("3", Some(3_600_000))).await.unwrap().into_inner();
    assert_eq!(stands.campaign.unwrap().state(), CampaignState::Scheduled);
    let back = UnscheduleCampaignRequest {
        campaign_id: id.clone(),
        request_id: "4".to_owned(),
        etag: String::new(),
    };
    let back = stage.api.unschedule_campaign(of(TENANT, back)).await.unwrap();
    assert_eq!(back.into_inner().campaign.unwrap().state(), CampaignState::Draft);
    let started = stage.start(&id, "5").await.unwrap();
    let success: Vec<_> = started
        .steps
        .iter()
        .map(|step| (step.template_version, step.success()))
        .collect();
    assert_eq!(success, [(1, ReceiptState::Delivered)], "what the adapter tells");
    let stale = stage.pause(&id, "6", "x").await.unwrap_err();
    is(&stale, Code::Aborted, "ETAG_MISMATCH");
    let paused = stage.pause(&id, "7", &started.etag).await.unwrap();
    assert_eq!(
        (paused.state(), paused.pause_reason()),
        (CampaignState::Paused, PauseReason::User)
    );
    stage.resume(&id, "8").await.unwrap();
    let again = stage.pause(&id, "7", &started.etag).await.unwrap();
    assert_eq!(again.state(), CampaignState::Planning, "it was paused once");
    let reused = stage.pause(&id, "7", "other").await.unwrap_err();
    is(&reused, Code::AlreadyExists, "REQUEST_ID_REUSED");
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_is_silent_or_has_no_receipts_keeps_a_campaign_from_its_start() {
    let stage = Stage::new().await;
    let mut wants = stage.definition();
    wants.steps[0].success = ReceiptState::Read.into();
    let id = stage.create("r", wants).await.unwrap().campaign_id;
    let never = stage.start(&id, "1").await.unwrap_err();
    is(&never, Code::FailedPrecondition, "SUCCESS_NEVER_HEARD");
    stage.adapter_is_silent().await;
    let id = stage.create("q", stage.definition()).await.unwrap().campaign_id;
    let silent = stage.start(&id, "2").await.unwrap_err();
    is(&silent, Code::Unavailable, "ACCOUNT_SILENT");
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_what_it_names_and_nothing_that_is_fixed() {
    let stage = Stage::new().await;
    let made = stage.create("r", stage.definition()).await.unwrap();
    let update = |request_id: &str| UpdateCampaignRequest {
        campaign_id: made.campaign_id.clone(),
        request_id: request_id.to_owned(),
        ..UpdateCampaignRequest::default()
    };
    let updated = async |asked| {
        let answer = stage.api.update_campaign(of(TENANT, asked)).await?;
        Ok::<Campaign, Status>(answer.into_inner().campaign.unwrap())
    };
    let named = UpdateCampaignRequest {
        display_name: Some("Tết 2027".to_owned()),
        etag: made.etag.clone(),
        ..update("1")
    };
    let changed = updated(named.clone()).await.unwrap();
    assert_eq!(changed.display_name, "Tết 2027");
    assert_eq!(changed.steps, made.steps);
    assert_eq!(updated(named).await.unwrap(), changed, "the same command once more");
    let stale = UpdateCampaignRequest {
        weight: Some(2),
        etag: made.etag.clone(),
        ..update("2")
    };
    is(&updated(stale).await.unwrap_err(), Code::Aborted, "ETAG_MISMATCH");
    let nothing = updated(update("3")).await.unwrap_err();
    is(&nothing, Code::InvalidArgument, "FIELD_INVALID");
    stage.start(&made.campaign_id, "4").await.unwrap();
    let fixed = UpdateCampaignRequest {
        steps: Some(CampaignSteps::default()),
        ..update("5")
    };
    is(
        &updated(fixed).await.unwrap_err(),
        Code::FailedPrecondition,
        "CAMPAIGN_FIXED",
    );
}

async fn report(
    reports: &mut futures_util::stream::BoxStream<'static, Result<omnigate_proto::v1::WatchCampaignResponse, Status>>,
) -> CampaignProgress {
    reports.next().await.unwrap().unwrap().progress.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_at_once_then_of_changes_and_no_longer_than_it_lasts() {
    let stage = Stage::new().await;
    let id = stage.create("r", stage.definition()).await.unwrap().campaign_id;
    let watch = WatchCampaignRequest {
        campaign_id: id.clone(),
    };
    let answer = stage.api.watch_campaign(of(TENANT, watch.clone())).await.unwrap();
    let mut reports = answer.into_inner();
    let begun = tokio::time::Instant::now();
    let state = |progress: &CampaignProgress| progress.campaign.as_ref().unwrap().state();
    assert_eq!(state(&report(&mut reports).await), CampaignState::Draft);
    assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
    assert!(
        timeout(Duration::from_secs(60), reports.next()).await.is_err(),
        "nothing has changed"
    );
    let answer = stage.api.watch_campaign(of(TENANT, watch.clone())).await.unwrap();
    let mut reports = answer.into_inner();
    report(&mut reports).await;
    stage.start(&id, "s").await.unwrap();
    let told = report(&mut reports).await;
    assert_eq!((state(&told), told.done_ten_thousandths), (CampaignState::Planning, 0));
    let first = tokio::time::Instant::now();
    stage.tell(&id, Command::Fail("no such audience")).await;
    let told = report(&mut reports).await;
    assert!(first.elapsed() >= Duration::from_secs(1), "at most once a second");
    assert_eq!(state(&told), CampaignState::Failed);
    assert!(reports.next().await.is_none(), "it has ended");
    let asked = GetCampaignProgressRequest { campaign_id: id };
    let once = stage.api.get_campaign_progress(of(TENANT, asked)).await.unwrap();
    assert_eq!(state(&once.into_inner().progress.unwrap()), CampaignState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_says_so_to_watchers() {
    let stage = Stage::new().await;
    let id = stage.create("r", stage.definition()).await.unwrap().campaign_id;
    let watch = WatchCampaignRequest { campaign_id: id };
    let mut reports = stage.api.watch_campaign(of(TENANT, watch)).await.unwrap().into_inner();
    report(&mut reports).await;
    stage.stop.request(Reason::Asked("test".to_owned()));
    let last = reports.next().await.unwrap().unwrap_err();
    is(&last, Code::Unavailable, "STOPPING");
    assert!(reports.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn recipients_are_listed_with_their_messages_and_have_another_turn_once() {
    let stage = Stage::new().await;
    let id = stage.create("r", stage.definition()).await.unwrap().campaign_id;
    stage.start(&id, "s").await.unwrap();
    let handle = stage.planned(&id, 3).await;
    let bucket = Bucket {
        campaign: handle,
        shard: Shard::new(7),
        number: 0,
    };
    let context = stage.ports.context();
    let batch = protocol::claim(&context, bucket, "brand", 1, [9; 8])
        .await
        .unwrap()
        .unwrap();
    let place = batch.recipients[0].place;
    let refuse = [(place, Verdict::Refuse(RecipientReason::OptedOut))].into();
    protocol::submit(&context, &batch, &refuse).await.unwrap();
    let list = |page_size: i32, states: Vec<i32>, page_token: &str| ListRecipientsRequest {
        campaign_id: id.clone(),
        page_size,
        page_token: page_token.to_owned(),
        states,
        ..ListRecipientsRequest::default()
    };
    let listed = async |asked| stage.api.list_recipients(of(TENANT, asked)).await;
    let first = listed(list(2, vec![], "")).await.unwrap().into_inner();
    let second = listed(list(2, vec![], &first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    let all = [first.recipients, second.recipients].concat();
    assert_eq!((all.len(), second.next_page_token.as_str()), (3, ""));
    assert!(all.iter().all(|one| one.message_id.starts_with("msg_")));
    assert_eq!(
        (all[0].state(), all[0].reason(), all[0].settled),
        (DeliveryState::Skipped, RecipientReason::OptedOut, true)
    );
    let skipped = listed(list(0, vec![DeliveryState::Skipped.into()], "")).await.unwrap();
    assert_eq!(skipped.into_inner().recipients, all[..1]);
    let misused = listed(list(2, vec![DeliveryState::Read.into()], &first.next_page_token));
    is(&misused.await.unwrap_err(), Code::InvalidArgument, "FIELD_INVALID");
    let unknown = listed(list(2, vec![99], "")).await.unwrap_err();
    assert_eq!(violations(&unknown)[0].0, "states");
    stage.content_fails(bucket).await;
    let retry = |request_id: &str| RetryRecipientsRequest {
        campaign_id: id.clone(),
        request_id: request_id.to_owned(),
        ..RetryRecipientsRequest::default()
    };
    let retried = async |asked| stage.api.retry_recipients(of(TENANT, asked)).await;
    let once = retried(retry("1")).await.unwrap().into_inner();
    assert_eq!((once.retried, once.possible_duplicates), (2, 0));
    let again = retried(retry("1")).await.unwrap().into_inner();
    assert_eq!(again, once, "the same request has the same answer");
    assert_eq!(retried(retry("2")).await.unwrap().into_inner().retried, 0);
    stage.content_fails(bucket).await;
    assert_eq!(retried(retry("1")).await.unwrap().into_inner(), once);
    tokio::time::advance(Duration::from_secs(25 * 3600)).await;
    let late = retried(retry("3")).await.unwrap_err();
    is(&late, Code::FailedPrecondition, "CAMPAIGN_TIME_OVER");
}
