//! A server on a free port, called by real clients.

use super::*;
use crate::{
    auth::{Caller, Scope, Scopes},
    error::reason,
    push::Push,
    trace,
    v1::{
        customer_service_client::CustomerServiceClient, ingest_service_client::IngestServiceClient,
        ingest_service_server::IngestService,
    },
};
use omnigate_proto::v1::{GetCustomerRequest, PushRequest, PushResponse, PushResult, RawRequest};
use std::net::SocketAddr;
use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::Notify, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    codec::CompressionEncoding,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response, health_client::HealthClient};

/// Longest wait of a test for something that must happen.
const LONG: Duration = Duration::from_secs(20);

/// Answers who called in which trace; `hang` and `panic` as app id do what they say.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// A hanging call has begun.
    pub(crate) hanging: Notify,
    /// Lets hanging calls go.
    pub(crate) go: Notify,
}

#[tonic::async_trait]
impl IngestService for Probe {
    async fn push(&self, request: Request<Push>) -> Result<Response<PushResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        assert!(
            request.metadata().get("x-stranger").is_none(),
            "metadata of whoever called before"
        );
        match request.get_ref().raw().first().map(|raw| raw.app_id.as_str()) {
            Some("hang") => {
                self.hanging.notify_one();
                self.go.notified().await;
            }
            Some("panic") => panic!("as asked"),
            _ => {}
        }
        let trace = trace::current().map(|context| context.trace_id()).unwrap_or_default();
        let results = vec![PushResult {
            event_id: trace,
            problem: caller.name.to_string(),
            status: 1,
        }];
        Ok(Response::new(PushResponse { results }))
    }
}

/// A push that makes the probe do something.
pub(crate) fn asking(what: &str) -> Push {
    let raw = RawRequest {
        app_id: what.to_owned(),
        ..RawRequest::default()
    };
    PushRequest {
        raw: vec![raw],
        ..PushRequest::default()
    }
    .into()
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) probe: Arc<Probe>,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), ServeError>>,
}

pub(crate) async fn start(change: impl FnOnce(&mut Options)) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    start_on(listener, change)
}

pub(crate) fn start_on(listener: TcpListener, change: impl FnOnce(&mut Options)) -> Running {
    let address = listener.local_addr().unwrap();
    let (ready, is_ready) = watch::channel(false);
    let mut tokens = Tokens::new();
    tokens.add(
        "adapter-token",
        Caller::new("adapter", "t", [Scope::Adapter].into_iter().collect()),
    );
    tokens.add(
        "reader-token",
        Caller::new("reader", "t", [Scope::Read].into_iter().collect()),
    );
    tokens.add("cluster-token", Caller::new("cluster", "t", Scopes::internal()));
    let mut options = Options {
        name: "test",
        tokens: Arc::new(tokens),
        ready: is_ready,
        max_connections: 10,
        calls_per_connection: 10,
        call_limit: LONG,
        tls: None,
    };
    change(&mut options);
    let probe = Arc::new(Probe::default());
    let shutdown = CancellationToken::new();
    let services = Services::new(4096).ingest(Arc::clone(&probe));
    let task = tokio::spawn(serve(listener, services, options, shutdown.clone()));
    Running {
        address,
        probe,
        ready,
        shutdown,
        task,
    }
}

impl Running {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    async fn client(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.channel().await)
    }
}

fn with_token<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", authorization.parse().unwrap());
    request
}

fn authorized<T>(message: T) -> Request<T> {
    with_token(message, "Bearer adapter-token")
}

#[tokio::test]
async fn a_token_is_asked_for_and_its_scope() {
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let refused = |status: Status| (status.code(), reason(&status).unwrap());
    let status = client.push(asking("")).await.unwrap_err();
    assert_eq!(refused(status), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
    for unknown in [
        "Bearer nobodys",
        "Bearer ",
        "Basic adapter-token",
        "adapter-token",
        "Bearer adapter-token ",
    ] {
        let status = client.push(with_token(asking(""), unknown)).await.unwrap_err();
        assert_eq!(
            refused(status),
            (Code::Unauthenticated, "TOKEN_UNKNOWN".to_owned()),
            "{unknown}"
        );
    }
    let status = client
        .push(with_token(asking(""), "Bearer reader-token"))
        .await
        .unwrap_err();
    assert_eq!(refused(status), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    for (token, name) in [("Bearer adapter-token", "adapter"), ("bearer cluster-token", "cluster")] {
        let answer = client.push(with_token(asking(""), token)).await.unwrap().into_inner();
        assert_eq!(answer.results[0].problem, name);
    }
}

#[tokio::test]
async fn an_unknown_method_is_refused_before_anything_else() {
    let running = start(|_| {}).await;
    let mut grpc = tonic::client::Grpc::new(running.channel().await);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/omnigate.v1.IngestService/Pull");
    let codec = tonic_prost::ProstCodec::<Push, PushResponse>::default();
    let status = grpc.unary(authorized(asking("")), path, codec).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).unwrap()),
        (Code::Unimplemented, "METHOD_UNKNOWN".to_owned())
    );
    let mut other = CustomerServiceClient::new(running.channel().await);
    let request = with_token(GetCustomerRequest::default(), "Bearer reader-token");
    assert_eq!(
        other.get_customer(request).await.unwrap_err().code(),
        Code::Unimplemented,
        "not served here"
    );
}

#[tokio::test]
async fn health_follows_readiness_without_a_token_and_ends_at_the_stop() {
    let running = start(|_| {}).await;
    let mut health = HealthClient::new(running.channel().await);
    for service in ["", "omnigate.v1.IngestService"] {
        let service = service.to_owned();
        let mut watch = health.watch(HealthCheckRequest { service }).await.unwrap().into_inner();
        running.ready.send_replace(false);
        let mut wait_for = async |status: health_check_response::ServingStatus| {
            let seen = async { while watch.message().await.unwrap().unwrap().status() != status {} };
            tokio::time::timeout(LONG, seen).await.unwrap();
        };
        wait_for(health_check_response::ServingStatus::NotServing).await;
        running.ready.send_replace(true);
        wait_for(health_check_response::ServingStatus::Serving).await;
    }
    let everything = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(everything).await.unwrap().into_inner();
    running.shutdown.cancel();
    tokio::time::timeout(LONG, running.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let mut last = None;
    while let Ok(Some(status)) = watch.message().await {
        last = Some(status.status());
    }
    assert_eq!(last, Some(health_check_response::ServingStatus::NotServing));
}

macro_rules! lists_services {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new($channel);
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap();
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("no list: {answer:?}");
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn reflection_answers_in_both_versions() {
    let running = start(|_| {}).await;
    for names in [
        lists_services!(v1, running.channel().await),
        lists_services!(v1alpha, running.channel().await),
    ] {
        assert!(
            names.iter().any(|name| name == "omnigate.v1.IngestService"),
            "{names:?}"
        );
        assert!(names.iter().any(|name| name == "grpc.health.v1.Health"), "{names:?}");
    }
}

#[tokio::test]
async fn messages_beyond_the_limit_are_refused_also_when_compressed() {
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let large = asking(&"x".repeat(100_000));
    let status = client.push(authorized(large.clone())).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status:?}"
    );
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    assert!(client.push(authorized(asking(""))).await.is_ok(), "gzip is taken");
    let status = client.push(authorized(large)).await.unwrap_err();
    assert_ne!(status.code(), Code::Ok, "small on the wire, large in memory");
    assert!(client.push(authorized(asking(""))).await.is_ok());
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_or_at_the_servers_limit() {
    let running = start(|options| options.call_limit = Duration::from_millis(50)).await;
    let mut client = running.client().await;
    let status = client.push(authorized(asking("hang"))).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).unwrap()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned())
    );
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let mut request = authorized(asking("hang"));
    // Set by hand: with `set_timeout` the client's own timer would run against the server's.
    request.metadata_mut().insert("grpc-timeout", "80m".parse().unwrap());
    let status = client.push(request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_connection_lives() {
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let status = client.push(authorized(asking("panic"))).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).unwrap()),
        (Code::Internal, "INTERNAL".to_owned())
    );
    assert!(!status.message().contains("as asked"), "causes stay in the log");
    assert!(client.push(authorized(asking(""))).await.is_ok());
}

#[tokio::test]
async fn the_callers_trace_is_carried_on() {
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let mut request = authorized(asking(""));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request
        .metadata_mut()
        .insert(trace::TRACEPARENT, traceparent.parse().unwrap());
    let answer = client.push(request).await.unwrap().into_inner();
    assert_eq!(answer.results[0].event_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    let answer = client.push(authorized(asking(""))).await.unwrap().into_inner();
    assert_eq!(answer.results[0].event_id.len(), 32, "a new trace otherwise");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_are_given_back() {
    let running = start(|options| options.max_connections = 1).await;
    let mut first = running.client().await;
    first.push(authorized(asking(""))).await.unwrap();
    let mut second = TcpStream::connect(running.address).await.unwrap();
    let read = tokio::time::timeout(LONG, second.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "closed without a word: {read:?}");
    drop(first);
    let again = async {
        loop {
            let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
            let mut client = IngestServiceClient::new(endpoint.connect_lazy());
            if client.push(authorized(asking(""))).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let running = start(|_| {}).await;
    let begun = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut answer = Vec::new();
    // The server may greet first; what matters is that it ends.
    let ended = tokio::time::timeout(LONG, silent.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_call_under_way_ends_before_the_server_does() {
    let running = start(|_| {}).await;
    let mut client = running.client().await;
    let call = tokio::spawn(async move { client.push(authorized(asking("hang"))).await });
    tokio::time::timeout(LONG, running.probe.hanging.notified())
        .await
        .unwrap();
    running.shutdown.cancel();
    let refused = async {
        while TcpStream::connect(running.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, refused).await.unwrap();
    assert!(!running.task.is_finished() && !call.is_finished());
    running.probe.go.notify_one();
    call.await.unwrap().unwrap();
    tokio::time::timeout(LONG, running.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

/// A certificate for localhost and the authority that signed it, as PEM.
fn certificates() -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    (authority_pem, pem, key.serialize_pem())
}

#[tokio::test]
async fn with_tls_callers_need_the_authority_and_with_mtls_a_certificate() {
    let (authority, pem, key) = certificates();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let (cert_file, key_file) = (file("cert.pem", &pem), file("key.pem", &key));
    let client_ca_file = Some(file("ca.pem", &authority));
    let running = start(|options| {
        options.tls = Some(Tls {
            cert_file,
            key_file,
            client_ca_file,
        });
    })
    .await;
    let address = format!("https://localhost:{}", running.address.port());
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority));
    let proven = trusting.clone().identity(Identity::from_pem(&pem, &key));
    for (config, is_let_in) in [(proven, true), (trusting, false), (ClientTlsConfig::new(), false)] {
        let endpoint = Endpoint::from_shared(address.clone())
            .unwrap()
            .tls_config(config)
            .unwrap();
        let mut client = IngestServiceClient::new(endpoint.connect_lazy());
        let answer = client.push(authorized(asking(""))).await;
        assert_eq!(answer.is_ok(), is_let_in, "{answer:?}");
    }
}

#[tokio::test]
async fn a_missing_certificate_is_named() {
    let running = start(|options| {
        options.tls = Some(Tls {
            cert_file: PathBuf::from("/nowhere/cert.pem"),
            key_file: PathBuf::from("/nowhere/key.pem"),
            client_ca_file: None,
        });
    })
    .await;
    let error = running.task.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nowhere/cert.pem: "), "{error}");
}
