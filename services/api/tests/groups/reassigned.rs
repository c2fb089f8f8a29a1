//! What people say of phone numbers that may have been given to somebody else.

use crate::gateway::{Gateway, Process, TENANT, of};
use omnigate_core::append::Arrival;
use omnigate_core::id::EventId;
use omnigate_core::protocol::append::apply;
use omnigate_proto::v1::{
    Conflict, ConflictResolution, ConsentDecision, Event, Evidence, GetConsentRequest, Identifier, IdentifierEvidence,
    ListConflictsRequest, Message, Purpose, ResolveConflictRequest, ResolveCustomerRequest, event::Kind,
    get_consent_request::Of,
};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::consent_service_server::ConsentService as _;
use omnigate_rpc::v1::customer_service_server::CustomerService as _;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

fn identifier(kind: &str, scope: &str, value: &str) -> Identifier {
    Identifier {
        r#type: kind.to_owned(),
        scope: scope.to_owned(),
        value: value.to_owned(),
    }
}

fn phone() -> Identifier {
    identifier("phone", "", "+84901234567")
}

/// Somebody who writes by a channel that vouches for their number.
async fn writes(process: &Process, number: u8, peer: &Identifier) {
    let context = process.ports.context();
    let vouched = |identifier: &Identifier| IdentifierEvidence {
        identifier: Some(identifier.clone()),
        evidence: Evidence::Vouched.into(),
        provider_form: String::new(),
    };
    let id = EventId([number; 16]);
    let event = Event {
        event_id: id.to_string(),
        tenant_id: TENANT.to_owned(),
        account_id: "oa".to_owned(),
        channel: "zalo".to_owned(),
        peer: Some(peer.clone()),
        identifiers: vec![vouched(peer), vouched(&phone())],
        provider_message_id: number.to_string(),
        kind: Some(Kind::Message(Message::default())),
        ..Event::default()
    };
    let arrival = Arrival {
        bytes: event.encode_to_vec().into(),
        id,
        received_at: context.now(),
        event,
    };
    apply(&context, &[arrival]).await.unwrap();
}

async fn owner(process: &Process, identifier: &Identifier) -> String {
    let asked = ResolveCustomerRequest {
        identifier: Some(identifier.clone()),
    };
    let answer = process.api.resolve_customer(of(TENANT, asked)).await.unwrap();
    answer.into_inner().customer.unwrap().customer_id
}

async fn conflicts(process: &Process) -> Vec<Conflict> {
    let asked = of(TENANT, ListConflictsRequest::default());
    process.api.list_conflicts(asked).await.unwrap().into_inner().conflicts
}

/// Whether advertising by SMS may go to the number.
async fn may_advertise(process: &Process) -> bool {
    let asked = GetConsentRequest {
        of: Some(Of::Identifier(phone())),
        channel: "sms".to_owned(),
        purpose: Purpose::Marketing.into(),
        ..GetConsentRequest::default()
    };
    let answer = process.api.get_consent(of(TENANT, asked)).await.unwrap();
    let consents = answer.into_inner().consents;
    consents
        .iter()
        .all(|consent| consent.decision() == ConsentDecision::Allowed)
}

async fn resolves(
    process: &Process,
    conflict: &Conflict,
    resolution: ConflictResolution,
    request_id: &str,
) -> Result<(), Status> {
    let asked = ResolveConflictRequest {
        customer_id: conflict.customer_id.clone(),
        other_customer_id: conflict.other_customer_id.clone(),
        resolution: resolution.into(),
        request_id: request_id.to_owned(),
    };
    process.api.resolve_conflict(of(TENANT, asked)).await.map(drop)
}

/// Somebody, and somebody new who is known by their number after a long silence.
async fn in_conflict() -> (Process, Conflict, [Identifier; 2]) {
    let process = Gateway::new().process();
    let both = [identifier("zalo_uid", "oa", "1"), identifier("psid", "page", "2")];
    writes(&process, 1, &both[0]).await;
    tokio::time::advance(Duration::from_hours(91 * 24)).await;
    writes(&process, 2, &both[1]).await;
    let found = conflicts(&process).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rules, ["PHONE_REASSIGNED"]);
    assert!(!may_advertise(&process).await);
    (process, found[0].clone(), both)
}

#[tokio::test(start_paused = true)]
async fn a_number_is_given_to_somebody_else_once() {
    let (process, conflict, [old, new]) = in_conflict().await;
    for _ in 0..2 {
        let given = resolves(&process, &conflict, ConflictResolution::NewHolder, "give").await;
        given.unwrap();
        assert_eq!(owner(&process, &phone()).await, conflict.other_customer_id);
        assert_eq!(owner(&process, &old).await, conflict.customer_id);
        assert_eq!(owner(&process, &new).await, conflict.other_customer_id);
    }
    assert!(conflicts(&process).await.is_empty() && may_advertise(&process).await);
    // There is nothing to give any more.
    let refused = resolves(&process, &conflict, ConflictResolution::NewHolder, "again").await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_deref()),
        (Code::FailedPrecondition, Some("NO_NUMBER_IN_QUESTION"))
    );
}

#[tokio::test(start_paused = true)]
async fn one_person_is_one_and_two_are_two() {
    let (process, conflict, both) = in_conflict().await;
    resolves(&process, &conflict, ConflictResolution::Merge, "one")
        .await
        .unwrap();
    for identifier in both.iter().chain([&phone()]) {
        assert_eq!(owner(&process, identifier).await, conflict.customer_id);
    }
    assert!(conflicts(&process).await.is_empty() && may_advertise(&process).await);
    let (process, conflict, [_, new]) = in_conflict().await;
    resolves(&process, &conflict, ConflictResolution::KeepApart, "two")
        .await
        .unwrap();
    assert_eq!(owner(&process, &phone()).await, conflict.customer_id);
    assert_eq!(owner(&process, &new).await, conflict.other_customer_id);
    assert!(conflicts(&process).await.is_empty() && may_advertise(&process).await);
}
