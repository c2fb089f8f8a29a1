//! What operators see of outgoing webhooks and do about them.

use crate::gateway::{Gateway, TENANT, of};
use omnigate_core::event_webhook::failed;
use omnigate_core::protocol::event_webhook;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    DisableEventWebhookRequest, EnableEventWebhookRequest, EventWebhook, EventWebhookState, ListEventWebhooksRequest,
    ReplayEventWebhookRequest,
};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::event_webhook_service_server::EventWebhookService as _;
use tonic::{Code, Status};

#[tokio::test(start_paused = true)]
async fn endpoints_are_listed_with_how_they_stand() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let list = async |tenant| {
        let asked = of(tenant, ListEventWebhooksRequest {});
        process
            .api
            .list_event_webhooks(asked)
            .await
            .unwrap()
            .into_inner()
            .event_webhooks
    };
    assert_eq!(list("other").await, []);
    let active = EventWebhook {
        event_webhook_id: "crm".to_owned(),
        url: "https://crm.example".to_owned(),
        description: "for people".to_owned(),
        state: EventWebhookState::Active.into(),
        ..EventWebhook::default()
    };
    assert_eq!(list(TENANT).await, [active]);
    let context = process.ports.context();
    event_webhook::change(&context, "crm", |record, now| failed(record, "status 500", now))
        .await
        .unwrap();
    let failing = list(TENANT).await.remove(0);
    assert_eq!(
        (failing.state(), failing.problem.as_str()),
        (EventWebhookState::Failing, "status 500")
    );
    assert!(failing.failing_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operator_disables_and_enables() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let id = || "crm".to_owned();
    let asked = of(TENANT, DisableEventWebhookRequest { event_webhook_id: id() });
    let disabled = process
        .api
        .disable_event_webhook(asked)
        .await
        .unwrap()
        .into_inner()
        .event_webhook
        .unwrap();
    assert_eq!(
        (disabled.state(), disabled.problem.as_str()),
        (EventWebhookState::Disabled, "an operator disabled it")
    );
    let asked = of(TENANT, EnableEventWebhookRequest { event_webhook_id: id() });
    let enabled = process
        .api
        .enable_event_webhook(asked)
        .await
        .unwrap()
        .into_inner()
        .event_webhook
        .unwrap();
    assert_eq!(
        (enabled.state(), enabled.disabled_at),
        (EventWebhookState::Active, None)
    );
    let asked = of("other", EnableEventWebhookRequest { event_webhook_id: id() });
    let refused = process.api.enable_event_webhook(asked).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::NotFound, Some("EVENT_WEBHOOK_NOT_FOUND"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_asked_for_once_a_request_and_never_of_the_future() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let now = process.ports.clock.now();
    let replay = async |since: Option<Moment>, request_id: &str| {
        let asked = ReplayEventWebhookRequest {
            event_webhook_id: "crm".to_owned(),
            since: since.map(Moment::to_timestamp),
            request_id: request_id.to_owned(),
        };
        process.api.replay_event_webhook(of(TENANT, asked)).await.map(drop)
    };
    let invalid = |refused: Result<(), Status>| refused.unwrap_err().code() == Code::InvalidArgument;
    assert!(invalid(replay(None, "a").await));
    assert!(invalid(replay(Some(now), "").await));
    assert!(invalid(replay(Some(Moment(now.0 + 60_000)), "a").await));
    for _ in 0..2 {
        replay(Some(Moment(now.0 - 60_000)), "a").await.unwrap();
    }
    let record = event_webhook::get(&process.ports.context(), "crm").await.unwrap();
    assert_eq!((record.replay, record.replay_since_ms), (1, now.0 - 60_000));
}
