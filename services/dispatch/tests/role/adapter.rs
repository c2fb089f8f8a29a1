//! An adapter that answers as a test says.

use crate::fakes::FakeBroker;
use omnigate_core::topology;
use omnigate_proto::state::v1::IntentBatch;
use omnigate_proto::v1::{
    Capabilities, ErrorClass, GetCapabilitiesRequest, GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse,
    LookupTemplateRequest, LookupTemplateResponse, ReceiptState, SendAccepted, SendError, SendRequest, SendResponse,
    send_response::Outcome,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use prost::Message as _;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// What the adapter does with the next submission; accepts it when nothing is said.
pub(crate) enum Act {
    Fail(ErrorClass, u64),
    Status(Status),
    Panic,
    Never,
}

/// A submission, its traceparent, and when it came.
pub(crate) type Sent = (SendRequest, String, Instant);

pub(crate) struct FakeAdapter {
    broker: FakeBroker,
    pieces: u32,
    pub(crate) away: AtomicBool,
    pub(crate) acts: Mutex<VecDeque<Act>>,
    sent: Mutex<Vec<Sent>>,
    /// Calls wait for a permit.
    pub(crate) gate: Semaphore,
}

impl FakeAdapter {
    pub(crate) fn new(broker: &FakeBroker, pieces: u32) -> Arc<Self> {
        Arc::new(Self {
            broker: broker.clone(),
            pieces,
            away: AtomicBool::new(false),
            acts: Mutex::default(),
            sent: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    pub(crate) fn will(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    fn announced(&self, request: &SendRequest) -> bool {
        let log = self.broker.log(&topology::intents());
        let intents = log
            .into_iter()
            .flat_map(|body| IntentBatch::decode(body).unwrap().intents);
        intents.flat_map(|intent| intent.items).any(|item| {
            item.send_key == request.send_key && item.attempt == request.attempt && item.piece == request.piece
        })
    }
}

#[async_trait::async_trait]
impl AdapterService for FakeAdapter {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let trace = request
            .metadata()
            .get("traceparent")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let request = request.into_inner();
        assert!(self.announced(&request), "the intent must be durable before the call");
        self.gate.acquire().await.unwrap().forget();
        let id = format!("p{}", self.count());
        self.sent.lock().unwrap().push((request, trace, Instant::now()));
        let act = self.acts.lock().unwrap().pop_front();
        let outcome = match act {
            None => Outcome::Accepted(SendAccepted {
                provider_message_id: id,
                state: ReceiptState::Sent.into(),
                ..SendAccepted::default()
            }),
            Some(Act::Fail(class, retry_after_ms)) => Outcome::Error(SendError {
                class: class.into(),
                retry_after_ms,
                ..SendError::default()
            }),
            Some(Act::Status(status)) => return Err(status),
            Some(Act::Panic) => panic!("the test says so"),
            Some(Act::Never) => std::future::pending().await,
        };
        Ok(Response::new(SendResponse {
            piece_count: self.pieces,
            outcome: Some(outcome),
        }))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the test says so"));
        }
        Ok(Response::new(GetCapabilitiesResponse {
            capabilities: Some(Capabilities::default()),
        }))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn lookup_template(
        &self,
        _: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
