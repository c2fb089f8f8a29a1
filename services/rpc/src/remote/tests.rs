//! One suite for the same port in this process and in another one.

use super::*;
use crate::{
    IngestPort, error, local,
    server::tests::{Probe, asking, start, start_on},
};
use std::sync::Arc;
use tokio::{net::TcpListener, task::yield_now};

/// Waits, but not for the limits of server and client, which are longer.
async fn soon<A>(work: impl Future<Output = A>) -> A {
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap()
}

/// What a caller relies on, wherever the other role runs.
async fn behaves(port: IngestPort, name: &str) {
    let context = trace::next(None);
    let mut request = Request::new(asking(""));
    request.metadata_mut().insert("x-stranger", "1".parse().unwrap());
    request
        .metadata_mut()
        .insert("authorization", "Bearer of somebody else".parse().unwrap());
    let answer = trace::scope(context, port.push(request)).await.unwrap().into_inner();
    assert_eq!((answer.results[0].problem.as_str(), answer.results.len()), (name, 1));
    assert_eq!(
        answer.results[0].event_id,
        context.trace_id(),
        "the trace is carried on"
    );

    let mut request = Request::new(asking(""));
    request.extensions_mut().insert(context);
    let answer = port.push(request).await.unwrap().into_inner();
    assert_eq!(
        answer.results[0].event_id,
        context.trace_id(),
        "also when set on the request"
    );

    let mut request = Request::new(asking("hang"));
    request.set_timeout(Duration::from_millis(100));
    let status = soon(port.push(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");

    let mut request = Request::new(asking("hang"));
    let until = Deadline(Instant::now() + Duration::from_millis(100));
    request.extensions_mut().insert(until);
    let status = soon(port.push(request)).await.unwrap_err();
    assert_eq!(
        status.code(),
        Code::DeadlineExceeded,
        "a deadline is passed on: {status:?}"
    );

    let status = port.push(Request::new(asking("panic"))).await.unwrap_err();
    assert_eq!(
        (status.code(), error::reason(&status).as_deref()),
        (Code::Internal, Some("INTERNAL"))
    );
    assert!(port.push(Request::new(asking(""))).await.is_ok());
}

#[tokio::test]
async fn a_role_of_this_process_behaves() {
    behaves(local::ingest(Arc::new(Probe::default())), "internal").await;
}

#[tokio::test]
async fn a_role_of_another_process_behaves() {
    let running = start(|_| {}).await;
    let options = Options {
        timeout: Duration::from_secs(60),
        ..Options::with_token("cluster-token")
    };
    let port = Ingest::connect(&running.address.to_string(), &options).unwrap();
    behaves(Arc::new(port), "cluster").await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_deadline_not_a_cancellation() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = tokio::spawn(async move {
        let (_kept_open, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let port = Ingest::connect(&address, &Options::with_token("cluster-token")).unwrap();
    let mut request = Request::new(asking(""));
    request.set_timeout(Duration::from_millis(50));
    let status = soon(port.push(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    silent.abort();
}

#[tokio::test]
async fn a_client_is_made_before_its_server_and_outlives_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let port = Ingest::connect(&address.to_string(), &Options::with_token("cluster-token")).unwrap();
    let status = port.push(Request::new(asking(""))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    for _ in 0..2 {
        let listener = TcpListener::bind(address).await.unwrap();
        let running = start_on(listener, |_| {});
        let answered = async {
            while port.push(Request::new(asking(""))).await.is_err() {
                yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap();
        running.shutdown.cancel();
        running.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_an_address_or_a_token_is_said_at_once() {
    let options = Options::with_token("cluster-token");
    let error = Ingest::connect("no where", &options).unwrap_err().to_string();
    assert_eq!(error, "\"no where\" is not an address host:port");
    let error = Ingest::connect("host:1", &Options::with_token("tö\nken"))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "the token is not plain ASCII");
    assert!(!format!("{options:?}").contains("cluster-token"));
}

#[tokio::test]
async fn only_what_found_no_connection_provably_never_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let port = Ingest::connect(&address, &Options::with_token("cluster-token")).unwrap();
    let refused = soon(port.push(Request::new(asking("")))).await.unwrap_err();
    assert!(never_connected(&refused), "{refused:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let port = Ingest::connect(&address, &Options::with_token("cluster-token")).unwrap();
    let cutting = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut some = [0; 64];
        // The call may have been among what was read.
        assert!(tokio::io::AsyncReadExt::read(&mut connection, &mut some).await.unwrap() > 0);
    };
    let (cut, ()) = tokio::join!(soon(port.push(Request::new(asking("")))), cutting);
    let cut = cut.unwrap_err();
    assert!(!never_connected(&cut), "{cut:?}");

    let timed_out = |inner: std::io::Error| {
        let mut status = Status::unavailable("x");
        status.set_source(Arc::new(inner));
        status
    };
    let elapsed = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
    let ours = std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed.unwrap_err());
    assert!(never_connected(&timed_out(ours)));
    let theirs = std::io::Error::from(std::io::ErrorKind::TimedOut);
    assert!(
        !never_connected(&timed_out(theirs)),
        "an established connection that died"
    );
    assert!(!never_connected(&Status::unavailable("x")));
}
