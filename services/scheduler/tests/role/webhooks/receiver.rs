//! A receiver of outgoing webhooks that fails as it is told, and events to tell it.

use crate::fakes::TestClock;
use crate::gateway::Gateway;
use omnigate_core::event_webhook::{Endpoint, SigningKey};
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{HttpBody, HttpRequest, HttpResponse, Transport, TransportError};
use omnigate_core::port::broker::Broker as _;
use omnigate_core::shard::Partition;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::CustomerEventBatch;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::{CustomerCreated, CustomerEvent, Delivery, DeliveryChanged};
use prost::Message as _;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A call that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    /// Thread of the event.
    pub(crate) thread: String,
    /// Its number there.
    pub(crate) number: u64,
    pub(crate) at: Moment,
    /// Status that was answered; 0 for no answer.
    pub(crate) status: u16,
}

type Rule = dyn Fn(&Call) -> u16 + Send + Sync;

pub(crate) struct Receiver {
    clock: Arc<TestClock>,
    calls: Mutex<Vec<Call>>,
    rule: Mutex<Box<Rule>>,
    pub(crate) retry_after: Mutex<Option<u64>>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) fn new(gateway: &Gateway) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(&gateway.clock),
            calls: Mutex::default(),
            rule: Mutex::new(Box::new(|_| 200)),
            retry_after: Mutex::default(),
        })
    }

    /// Answers as a rule says, from now on.
    pub(crate) fn answers(&self, rule: impl Fn(&Call) -> u16 + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Numbers of a thread that were taken, in order.
    pub(crate) fn taken(&self, thread: &str) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        let taken = calls.iter().filter(|call| call.thread == thread && call.status == 200);
        taken.map(|call| call.number).collect()
    }
}

#[async_trait::async_trait]
impl Transport for Receiver {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let HttpBody::Json(body) = request.body else {
            panic!("a body");
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let header = |name: &str| {
            request
                .headers
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap()
                .1
                .clone()
        };
        assert!(header("webhook-signature").starts_with("v1,"));
        let (thread, number) = header("webhook-id")
            .rsplit_once('/')
            .map(|(t, n)| (t.to_owned(), n.to_owned()))
            .unwrap();
        assert_eq!(body["data"]["eventId"], header("webhook-id"));
        let at = self.clock.now();
        assert_eq!(header("webhook-timestamp"), at.0.div_euclid(1000).to_string());
        let mut call = Call {
            thread,
            number: number.parse().unwrap(),
            at,
            status: 0,
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        call.status = (self.rule.lock().unwrap())(&call);
        let status = call.status;
        self.calls.lock().unwrap().push(call);
        if status == 0 {
            return Err(TransportError::Ambiguous("timed out".to_owned()));
        }
        let retry_after = *self.retry_after.lock().unwrap();
        let headers = retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
        Ok(HttpResponse {
            status,
            headers: headers.into_iter().collect(),
            body: bytes::Bytes::new(),
        })
    }
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint {
        id: "crm".to_owned(),
        tenant_id: "t".to_owned(),
        url: "https://crm.example/hooks".to_owned(),
        shown_url: "https://crm.example".to_owned(),
        keys: vec![SigningKey::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()],
        kinds: std::collections::BTreeSet::new(),
        description: String::new(),
    }
}

/// An event of a thread.
pub(crate) fn changed(thread: &str, number: u64) -> CustomerEvent {
    let delivery = Delivery {
        thread_id: thread.to_owned(),
        ..Delivery::default()
    };
    CustomerEvent {
        event_id: format!("{thread}/{number}"),
        tenant_id: "t".to_owned(),
        customer_id: "home".to_owned(),
        home_seq: number,
        kind: Some(Kind::DeliveryChanged(DeliveryChanged {
            delivery: Some(delivery),
        })),
        ..CustomerEvent::default()
    }
}

/// An event of a home alone.
pub(crate) fn created(home: &str, number: u64) -> CustomerEvent {
    CustomerEvent {
        customer_id: home.to_owned(),
        kind: Some(Kind::CustomerCreated(CustomerCreated::default())),
        ..changed(home, number)
    }
}

impl Gateway {
    /// Publishes events in one entry of a log.
    pub(crate) async fn tell(&self, log: u16, events: Vec<CustomerEvent>) {
        let at = Some(self.clock.now().to_timestamp());
        let stamped = events.into_iter().map(|event| CustomerEvent { at, ..event });
        let events = stamped.map(|event| event.encode_to_vec().into()).collect();
        let body = CustomerEventBatch { events }.encode_to_vec().into();
        let answers = self.broker.append(&topology::events(Partition(log)), vec![body]).await;
        assert!(answers.iter().all(Result::is_ok));
    }
}
