//! Sends whose connection another edge holds.

use crate::fakes::{FakeIngest, FakeKind, FakeSessions, NOON, account, parts, peer, start, text, until};
use omnigate_edge::{Edge, Edges, Parts, Sending, Settings};
use omnigate_proto::v1::{
    ErrorClass, GetCapabilitiesRequest, GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse,
    LookupTemplateRequest, LookupTemplateResponse, SendAccepted, SendError, SendRequest, SendResponse,
    send_response::Outcome,
};
use omnigate_rpc::{
    AdapterPort,
    remote::{Adapter, Options},
    v1::adapter_service_server::AdapterService,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tonic::{Request, Response, Status};

/// Other edges by address; whatever is not among them is called over the network.
#[derive(Clone, Default)]
struct Fleet(Arc<Mutex<BTreeMap<String, AdapterPort>>>);

impl Fleet {
    fn add(&self, address: &str, edge: AdapterPort) {
        self.0.lock().unwrap().insert(address.to_owned(), edge);
    }

    fn edges(&self) -> Edges {
        let fleet = self.clone();
        Arc::new(move |address| match fleet.0.lock().unwrap().get(address) {
            Some(edge) => Ok(Arc::clone(edge)),
            None => Ok(Arc::new(Adapter::connect(address, &Options::with_token("x"))?)),
        })
    }
}

/// An edge whose answers the test gives, the last one again and again.
struct Scripted {
    calls: Mutex<Vec<SendRequest>>,
    answers: Mutex<Vec<Result<Outcome, Status>>>,
}

impl Scripted {
    fn new(answers: Vec<Result<Outcome, Status>>) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            answers: Mutex::new(answers),
        })
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl AdapterService for Scripted {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        self.calls.lock().unwrap().push(request.into_inner());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        let outcome = Some(answer?);
        Ok(Response::new(SendResponse {
            piece_count: 2,
            outcome,
        }))
    }

    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn lookup_template(
        &self,
        _: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

fn taken() -> Outcome {
    Outcome::Accepted(SendAccepted {
        provider_message_id: "theirs".into(),
        ..SendAccepted::default()
    })
}

fn error(class: ErrorClass) -> Outcome {
    Outcome::Error(SendError {
        class: class.into(),
        ..SendError::default()
    })
}

/// An edge without its connection, or with it, and what it knows of others.
fn edge(is_up: bool, fleet: &Fleet, holders: &[&str]) -> (Arc<Sending>, Arc<FakeSessions>, Arc<AtomicBool>) {
    let kind = FakeKind::connected(is_up);
    let connected = kind.connected.clone().unwrap();
    let sessions = Arc::new(FakeSessions::default());
    *sessions.holders.lock().unwrap() = holders.iter().map(ToString::to_string).collect();
    let given = parts(kind, vec![account("shop")], FakeIngest::open(), Settings::default());
    let edge = Edge::new(Parts {
        sessions: Some(sessions.clone()),
        edges: fleet.edges(),
        ..given
    });
    (edge.unwrap().sending(), sessions, connected)
}

fn request() -> SendRequest {
    SendRequest {
        account_id: "shop".into(),
        peer: Some(peer()),
        message: Some(text("hello")),
        send_key: "key".into(),
        attempt: 1,
        deadline: Some((NOON + Duration::from_secs(20)).to_timestamp()),
        ..SendRequest::default()
    }
}

async fn send(sending: &Sending) -> Outcome {
    let response = sending.send(Request::new(request())).await.unwrap().into_inner();
    assert_eq!(response.piece_count, 2);
    response.outcome.unwrap()
}

fn class(outcome: &Outcome) -> ErrorClass {
    match outcome {
        Outcome::Error(error) => error.class(),
        Outcome::Accepted(accepted) => panic!("accepted as {}", accepted.provider_message_id),
    }
}

fn id(outcome: Outcome) -> String {
    match outcome {
        Outcome::Accepted(accepted) => accepted.provider_message_id,
        Outcome::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_reaches_the_edge_that_holds_the_connection() {
    let fleet = Fleet::default();
    let (holder, ..) = edge(true, &fleet, &[]);
    fleet.add("http://b", holder);
    let (called, sessions, connected) = edge(false, &fleet, &["http://b"]);
    // The holder has a little less time, so that its answer arrives in ours.
    assert_eq!(id(send(&called).await), "key:0:19750");
    connected.store(true, Ordering::SeqCst);
    assert_eq!(id(send(&called).await), "key:0:20000");
    assert_eq!(sessions.count("locate"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_on_stays_where_it_is() {
    let fleet = Fleet::default();
    let (first, first_sessions, _) = edge(false, &fleet, &["http://b"]);
    let (second, second_sessions, _) = edge(false, &fleet, &["http://a"]);
    fleet.add("http://a", first.clone());
    fleet.add("http://b", second);
    let outcome = send(&first).await;
    assert_eq!(class(&outcome), ErrorClass::NotSent);
    assert_eq!(first_sessions.count("locate"), 1);
    assert_eq!(second_sessions.count("locate"), 0, "nobody asks further");
}

#[tokio::test(start_paused = true)]
async fn only_what_was_not_sent_is_tried_with_another_holder() {
    let fleet = Fleet::default();
    let refusing = Scripted::new(vec![Ok(error(ErrorClass::NotSent))]);
    let taking = Scripted::new(vec![Ok(taken())]);
    fleet.add("http://b", refusing.clone());
    fleet.add("http://c", taking.clone());
    let (called, ..) = edge(false, &fleet, &["http://b", "http://c"]);
    assert_eq!(id(send(&called).await), "theirs");
    assert_eq!((refusing.calls(), taking.calls()), (1, 1));
    assert!(taking.calls.lock().unwrap()[0].handed_on);

    for doubtful in [
        Err(Status::unavailable("reset")),
        Err(Status::internal("x")),
        Ok(error(ErrorClass::Ambiguous)),
        Ok(error(ErrorClass::Throttled)),
    ] {
        let fleet = Fleet::default();
        let said = doubtful.as_ref().map_or(ErrorClass::Ambiguous, class);
        let first = Scripted::new(vec![doubtful]);
        let second = Scripted::new(vec![Ok(taken())]);
        fleet.add("http://b", first.clone());
        fleet.add("http://c", second.clone());
        let (called, ..) = edge(false, &fleet, &["http://b", "http://c"]);
        assert_eq!(class(&send(&called).await), said);
        assert_eq!((first.calls(), second.calls()), (1, 0), "{said:?}");
    }
}

#[tokio::test]
async fn an_address_where_nobody_is_any_more_is_passed_over() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let fleet = Fleet::default();
    let taking = Scripted::new(vec![Ok(taken())]);
    fleet.add("http://c", taking.clone());
    let (called, sessions, _) = edge(false, &fleet, &[&gone, "not an address", "http://c"]);
    assert_eq!(id(send(&called).await), "theirs");
    *sessions.holders.lock().unwrap() = vec![gone];
    let (called, ..) = edge(false, &Fleet::default(), &[&sessions.holders.lock().unwrap()[0]]);
    assert_eq!(class(&send(&called).await), ErrorClass::NotSent);
}

#[tokio::test(start_paused = true)]
async fn leases_are_looked_at_once_for_all_who_wait_and_again_when_they_are_in_doubt() {
    let fleet = Fleet::default();
    let holder = Scripted::new(vec![
        Ok(taken()),
        Ok(taken()),
        Ok(taken()),
        Ok(error(ErrorClass::NotSent)),
    ]);
    fleet.add("http://b", holder.clone());
    let (called, sessions, _) = edge(false, &fleet, &["http://b"]);
    let all = futures_util::future::join_all((0..3).map(|_| send(&called))).await;
    assert_eq!(all.into_iter().map(id).collect::<Vec<_>>(), ["theirs"; 3]);
    assert_eq!(sessions.count("locate"), 1);
    // The connection moved on.
    let next = Scripted::new(vec![Ok(taken())]);
    fleet.add("http://c", next.clone());
    *sessions.holders.lock().unwrap() = vec!["http://c".to_owned()];
    assert_eq!(class(&send(&called).await), ErrorClass::NotSent);
    assert_eq!(class(&send(&called).await), ErrorClass::NotSent);
    assert_eq!(sessions.count("locate"), 1, "not at every send");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(id(send(&called).await), "theirs");
    assert_eq!((sessions.count("locate"), next.calls()), (2, 1));
    // Who cannot be asked leaves what was known.
    *sessions.away.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(id(send(&called).await), "theirs");
    assert_eq!(sessions.count("locate"), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_on_without_time_for_the_answer() {
    let fleet = Fleet::default();
    let holder = Scripted::new(vec![Ok(taken())]);
    fleet.add("http://b", holder.clone());
    let (called, ..) = edge(false, &fleet, &["http://b"]);
    let late = SendRequest {
        deadline: Some((NOON + Duration::from_millis(200)).to_timestamp()),
        ..request()
    };
    let response = called.send(Request::new(late)).await.unwrap().into_inner();
    assert_eq!(class(&response.outcome.unwrap()), ErrorClass::NotSent);
    assert_eq!(holder.calls(), 0);
}

struct Idle;

#[async_trait::async_trait]
impl omnigate_core::port::adapter::Session for Idle {
    async fn run(
        &self,
        host: &dyn omnigate_core::port::adapter::SessionHost,
    ) -> Result<(), omnigate_core::port::adapter::SessionError> {
        host.stopped().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_with_the_address_of_the_edge() {
    let sessions = Arc::new(FakeSessions::default());
    let kind = FakeKind {
        session: Some(Arc::new(Idle)),
        ..FakeKind::new()
    };
    let given = parts(kind, vec![account("shop")], FakeIngest::open(), Settings::default());
    let running = start(Parts {
        sessions: Some(sessions.clone()),
        address: "http://10.0.0.7:7402".into(),
        ..given
    })
    .await;
    until("a lease", || sessions.count("acquire") > 0).await;
    assert_eq!(*sessions.address.lock().unwrap(), "http://10.0.0.7:7402");
    running.stop.cancel();
    running.task.await.unwrap();
}
