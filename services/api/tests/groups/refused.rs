//! What is refused, each with a stable reason.

use crate::gateway::{Gateway, Process, TENANT, of, shown};
use omnigate_proto::v1::{AcknowledgeRequest, DeleteEventGroupRequest, ListEventGroupsRequest, SubscribeRequest};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::event_service_server::EventService as _;
use tonic::{Code, Status};

fn is(status: &Status, code: Code, because: &str) {
    assert_eq!(
        (status.code(), reason(status).as_deref()),
        (code, Some(because)),
        "{status:?}"
    );
}

async fn delete(process: &Process, group: &str) -> Result<(), Status> {
    let request = DeleteEventGroupRequest {
        group: group.to_owned(),
    };
    process.api.delete_event_group(of(TENANT, request)).await.map(drop)
}

async fn groups(process: &Process, tenant: &str) -> Vec<(String, u32)> {
    let listed = process
        .api
        .list_event_groups(of(tenant, ListEventGroupsRequest {}))
        .await;
    let groups = listed.unwrap().into_inner().groups;
    groups.into_iter().map(|group| (group.group, group.members)).collect()
}

#[tokio::test(start_paused = true)]
async fn requests_that_make_no_sense() {
    let gateway = Gateway::new();
    let process = gateway.process();
    let subscribe = async |group: &str, resume_token: &str| {
        let request = SubscribeRequest {
            group: group.to_owned(),
            resume_token: resume_token.to_owned(),
            ..SubscribeRequest::default()
        };
        process.api.subscribe(of(TENANT, request)).await.map(drop).unwrap_err()
    };
    is(&subscribe("a/b", "").await, Code::InvalidArgument, "FIELD_INVALID");
    is(&subscribe("crm", "AAAA").await, Code::InvalidArgument, "FIELD_INVALID");
    let acknowledge = async |group: &str, ack_tokens: Vec<String>| {
        let request = AcknowledgeRequest {
            group: group.to_owned(),
            ack_tokens,
        };
        process
            .api
            .acknowledge(of(TENANT, request))
            .await
            .map(drop)
            .unwrap_err()
    };
    is(&acknowledge("", vec![]).await, Code::InvalidArgument, "FIELD_INVALID");
    is(
        &acknowledge("crm", vec![]).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    is(
        &acknowledge("crm", vec!["x".into()]).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    is(
        &acknowledge("crm", vec!["x".into(); 1001]).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    is(
        &delete(&process, "crm").await.unwrap_err(),
        Code::NotFound,
        "GROUP_NOT_FOUND",
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_deleted_when_nobody_subscribes_and_begins_anew_under_its_name() {
    let gateway = Gateway::new();
    gateway.publish(0, &[("a", 1)]).await;
    let process = gateway.process();
    let mut subscriber = process.subscribe("crm").await;
    let events = subscriber.some(1).await;
    assert_eq!(groups(&process, TENANT).await, [("crm".to_owned(), 1)]);
    assert_eq!(groups(&process, "other").await, []);
    is(
        &delete(&process, "crm").await.unwrap_err(),
        Code::FailedPrecondition,
        "GROUP_IN_USE",
    );
    process.acknowledge("crm", &events).await;
    drop(subscriber);
    crate::gateway::until(async || groups(&process, TENANT).await == [("crm".to_owned(), 0)]).await;
    delete(&process, "crm").await.unwrap();
    assert_eq!(groups(&process, TENANT).await, []);
    let mut anew = process.subscribe("crm").await;
    assert_eq!(shown(&anew.some(1).await), [("a", 1)]);
    // What was sent by the former group says nothing about this one.
    let handed_over = process.acknowledge("crm", &events).await;
    assert_eq!(handed_over, [events[0].token.clone()]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_so_many_groups() {
    let gateway = Gateway::new();
    let process = gateway.process();
    for number in 0..1000 {
        let context = process.ports.context();
        let made = omnigate_core::protocol::consumer_group::ensure(&context, TENANT, &format!("g{number}"), true).await;
        assert!(made.unwrap().1);
    }
    let request = SubscribeRequest {
        group: "one-more".to_owned(),
        ..SubscribeRequest::default()
    };
    let refused = process.api.subscribe(of(TENANT, request)).await.map(drop).unwrap_err();
    is(&refused, Code::ResourceExhausted, "GROUPS_FULL");
    process.subscribe("g7").await;
}
