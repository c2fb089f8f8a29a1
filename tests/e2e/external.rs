//! An adapter in a process of somebody else's: pushes events, is sent messages, and reports on them.

use crate::outbound::{message, reaches, send};
use crate::python::Example;
use crate::{KIOSK, KIOSK_TOKEN, PYTHON, PYTHON_TOKEN, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    Capabilities, DeliveryState, Event, Evidence, GetCapabilitiesRequest, GetCapabilitiesResponse, Identifier,
    IdentifierEvidence, LookupSendRequest, LookupSendResponse, LookupTemplateRequest, LookupTemplateResponse,
    PushRequest, PushResult, PushStatus, Receipt, ReceiptState, SendAccepted, SendMessageRequest, SendRequest,
    SendResponse, send_response::Outcome,
};
use omnigate_rpc::v1::adapter_service_server::{AdapterService, AdapterServiceServer};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::{arrived, customer_of, timeline, words};
use omnigate_tests::wait;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// The adapter: takes what it is sent and remembers it.
#[derive(Clone)]
pub(crate) struct Kiosk {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<SendRequest>>>,
}

impl Kiosk {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let kiosk = Self {
            address: listener.local_addr()?,
            sent: Arc::default(),
        };
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tonic::transport::Server::builder().add_service(AdapterServiceServer::new(kiosk.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        Ok(kiosk)
    }

    pub(crate) fn configure(&self, keys: &mut Keys) {
        let mut set = |key: &str, value: &str| keys.insert(format!("accounts.{KIOSK}.{key}"), value.to_owned());
        set("channel", "kiosk");
        set("adapter", &format!("grpc://{}", self.address));
        set("token", KIOSK_TOKEN);
    }

    pub(crate) fn sent(&self) -> Vec<SendRequest> {
        self.sent.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl AdapterService for Kiosk {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let shown = request
            .metadata()
            .get("authorization")
            .and_then(|shown| shown.to_str().ok());
        if shown != Some(&format!("Bearer {KIOSK_TOKEN}")) {
            return Err(Status::unauthenticated("not our gateway"));
        }
        let request = request.into_inner();
        let provider_message_id = format!("kiosk-{}", request.send_key);
        self.sent.lock().unwrap().push(request);
        Ok(Response::new(SendResponse {
            piece_count: 1,
            outcome: Some(Outcome::Accepted(SendAccepted {
                provider_message_id,
                state: ReceiptState::Accepted.into(),
                ..SendAccepted::default()
            })),
        }))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        Ok(Response::new(GetCapabilitiesResponse {
            capabilities: Some(Capabilities {
                channel: "kiosk".to_owned(),
                receipts: vec![ReceiptState::Delivered.into(), ReceiptState::Read.into()],
                ..Capabilities::default()
            }),
        }))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("the kiosk remembers nothing"))
    }

    async fn lookup_template(
        &self,
        _: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        Err(Status::unimplemented("the kiosk has no templates"))
    }
}

fn peer(value: &str) -> Identifier {
    Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value: value.to_owned(),
    }
}

fn event(phone: &str, provider_message_id: &str, kind: Kind) -> Event {
    Event {
        account_id: KIOSK.to_owned(),
        peer: Some(peer(phone)),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(peer(phone)),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        provider_message_id: provider_message_id.to_owned(),
        kind: Some(kind),
        ..Event::default()
    }
}

pub(crate) async fn push(world: &World, event: Event) -> anyhow::Result<()> {
    push_all(world, vec![event]).await
}

pub(crate) async fn push_all(world: &World, events: Vec<Event>) -> anyhow::Result<()> {
    let ingest = world.gateway.connect_ingest(KIOSK_TOKEN).await?;
    let request = PushRequest {
        events,
        raw: Vec::new(),
    };
    let answer = ingest.ingest().push(request).await?.into_inner();
    let is_taken = |result: &PushResult| result.status() == PushStatus::Accepted;
    ensure!(answer.results.iter().all(is_taken), "{:?}", answer.results);
    Ok(())
}

pub(crate) async fn an_adapter_in_another_process_works_both_ways(world: &World) -> anyhow::Result<()> {
    let phone = "+84901234567";
    push(world, event(phone, "k1", Kind::Message(message("quầy số 3 xin chào")))).await?;
    let customer = arrived(&world.connection, &peer(phone)).await?;
    let entries = timeline(&world.connection, &customer.customer_id).await?;
    ensure!(words(&entries[0]) == "quầy số 3 xin chào", "{entries:?}");
    let request = SendMessageRequest {
        request_id: "kiosk-1".to_owned(),
        target: Some(Target::Identifier(peer(phone))),
        account_id: KIOSK.to_owned(),
        message: Some(message("chào bạn")),
        ..SendMessageRequest::default()
    };
    let delivery = send(world, request).await?;
    reaches(world, &delivery.message_id, &[DeliveryState::Accepted]).await?;
    let sent = world.kiosk.sent();
    ensure!(sent.len() == 1 && sent[0].message_id == delivery.message_id, "{sent:?}");
    let foreign = Event {
        account_id: crate::SHOP.to_owned(),
        ..event(phone, "k2", Kind::Message(message("giả")))
    };
    let ingest = world.gateway.connect_ingest(KIOSK_TOKEN).await?;
    let request = PushRequest {
        events: vec![foreign],
        raw: Vec::new(),
    };
    let refused = ingest.ingest().push(request).await;
    ensure!(
        refused.is_err_and(|status| status.code() == tonic::Code::PermissionDenied),
        "a token bound to one account pushed for another"
    );
    Ok(())
}

pub(crate) async fn receipts_move_forward_whenever_they_come(world: &World) -> anyhow::Result<()> {
    let phone = "+84907654321";
    let request = SendMessageRequest {
        request_id: "kiosk-2".to_owned(),
        target: Some(Target::Identifier(peer(phone))),
        account_id: KIOSK.to_owned(),
        message: Some(message("đơn đã giao")),
        ..SendMessageRequest::default()
    };
    let delivery = send(world, request).await?;
    reaches(world, &delivery.message_id, &[DeliveryState::Accepted]).await?;
    let sent = world.kiosk.sent();
    let key = &sent.last().context("nothing was sent")?.send_key;
    let receipt = |state: ReceiptState| {
        let receipt = Receipt {
            provider_message_id: format!("kiosk-{key}"),
            state: state.into(),
            ..Receipt::default()
        };
        event(phone, &format!("kiosk-{key}"), Kind::Receipt(receipt))
    };
    push(world, receipt(ReceiptState::Read)).await?;
    reaches(world, &delivery.message_id, &[DeliveryState::Read]).await?;
    // Late, and behind: changes nothing. The next one is told apart by its effect.
    push(world, receipt(ReceiptState::Delivered)).await?;
    push(world, event(phone, "k9", Kind::Message(message("cảm ơn")))).await?;
    wait::until("what came after the receipt", async || {
        let customer = customer_of(&world.connection, peer(phone))
            .await?
            .context("no customer")?;
        let entries = timeline(&world.connection, &customer.customer_id).await?;
        let said: Vec<String> = entries.iter().map(words).collect();
        Ok(if said.iter().any(|said| said == "cảm ơn") {
            Ok(())
        } else {
            Err(said)
        })
    })
    .await?;
    reaches(world, &delivery.message_id, &[DeliveryState::Read]).await?;
    Ok(())
}

/// The port that the example in Python listens on is fixed before the gateway starts, because its account names it.
pub(crate) async fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}

pub(crate) async fn an_adapter_in_python_works_both_ways(world: &World) -> anyhow::Result<()> {
    let ingest = &world.gateway.addresses["listen.ingest"];
    let Some(mut example) = Example::start(ingest, &world.python, PYTHON, PYTHON_TOKEN)? else {
        return Ok(());
    };
    example.says("listening")?;
    let phone = "+84933333333";
    example.writes(phone, "xin chào từ Python")?;
    example.says("pushed PUSH_STATUS_ACCEPTED")?;
    let customer = arrived(&world.connection, &peer(phone)).await?;
    let request = SendMessageRequest {
        request_id: "python-1".to_owned(),
        target: Some(Target::CustomerId(customer.customer_id)),
        message: Some(message("chào Python")),
        ..SendMessageRequest::default()
    };
    let delivery = send(world, request).await?;
    let said = example.says("sent")?;
    ensure!(said == format!("sent {phone} chào Python"), "{said}");
    reaches(world, &delivery.message_id, &[DeliveryState::Read]).await?;
    Ok(())
}
