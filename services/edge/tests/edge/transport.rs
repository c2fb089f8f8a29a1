//! Outbound HTTP against real sockets.

use omnigate_core::port::adapter::{FormPart, HttpBody, HttpRequest, Transport as _, TransportError};
use omnigate_edge::HttpTransport;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

fn transport(configured: &[&str]) -> HttpTransport {
    // Another test may have installed it before.
    rustls::crypto::ring::default_provider().install_default().ok();
    HttpTransport::new(configured.iter().copied()).unwrap()
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET",
        url: url.to_owned(),
        headers: vec![("x-token", "t".into())],
        body: HttpBody::Empty,
        time_limit: Duration::from_secs(5),
    }
}

/// A server that reads one request, answers with these bytes and hangs up; gives back what it read.
async fn server(answer: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let count = stream.read(&mut piece).await.unwrap();
            read.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&read);
            let complete = match text.split_once("\r\n\r\n") {
                Some((head, body)) => length(head).is_none_or(|length| body.len() >= length),
                None => false,
            };
            if count == 0 || complete {
                break;
            }
        }
        stream.write_all(&answer).await.ok();
        stream.shutdown().await.ok();
        String::from_utf8_lossy(&read).into_owned()
    });
    (url, task)
}

fn length(head: &str) -> Option<usize> {
    let line = head.lines().find(|line| line.starts_with("content-length: "))?;
    line.trim_start_matches("content-length: ").parse().ok()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[tokio::test]
async fn an_answer_comes_back_whatever_its_status() {
    let (url, server) = server(answer("429 Too Many Requests\r\nRetry-After: 3", b"{}")).await;
    let response = transport(&[&url]).call(get(&url)).await.unwrap();
    assert_eq!((response.status, response.body.as_ref()), (429, &b"{}"[..]));
    assert!(response.headers.contains(&("retry-after".into(), "3".into())));
    let request = server.await.unwrap();
    assert!(request.contains("user-agent: omnigate/"), "{request}");
    assert!(request.contains("x-token: t"), "{request}");
}

#[tokio::test]
async fn bodies_are_written_as_said() {
    let (url, json) = server(answer("200 OK", b"")).await;
    let post = |url: &str, body| HttpRequest {
        method: "POST",
        body,
        ..get(url)
    };
    transport(&[&url])
        .call(post(&url, HttpBody::Json("{\"a\":1}".into())))
        .await
        .unwrap();
    let request = json.await.unwrap();
    assert!(
        request.contains("content-type: application/json") && request.ends_with("{\"a\":1}"),
        "{request}"
    );

    let (url, form) = server(answer("200 OK", b"")).await;
    let part = FormPart {
        name: "photo".into(),
        file_name: Some("a.png".into()),
        mime_type: Some("image/png".into()),
        content: "bytes".into(),
    };
    transport(&[&url])
        .call(post(&url, HttpBody::Multipart(vec![part])))
        .await
        .unwrap();
    let request = form.await.unwrap();
    assert!(
        request.contains("name=\"photo\"; filename=\"a.png\"") && request.contains("bytes"),
        "{request}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (url, _server) = server(answer("302 Found\r\nLocation: http://127.0.0.1:1/", b"")).await;
    assert_eq!(transport(&[&url]).call(get(&url)).await.unwrap().status, 302);
}

#[tokio::test]
async fn no_connection_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/bot123:secret", listener.local_addr().unwrap());
    drop(listener);
    let error = transport(&[&url]).call(get(&url)).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error:?}");
    assert!(
        !error.to_string().contains("secret") && !error.to_string().contains("127.0.0.1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_or_stays_silent_is_ambiguous() {
    let (url, _server) = server(b"".to_vec()).await;
    let error = transport(&[&url]).call(get(&url)).await.unwrap_err();
    assert!(matches!(error, TransportError::Ambiguous(_)), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret", listener.local_addr().unwrap());
    let silent = HttpRequest {
        time_limit: Duration::from_millis(50),
        ..get(&url)
    };
    let error = transport(&[&url]).call(silent).await.unwrap_err();
    assert!(matches!(error, TransportError::Ambiguous(_)), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let (url, _server) = server(answer("200 OK", &vec![b'x'; 5 * 1024 * 1024])).await;
    let error = transport(&[&url]).call(get(&url)).await.unwrap_err();
    assert!(matches!(error, TransportError::Ambiguous(_)), "{error:?}");
}

#[tokio::test]
async fn a_stranger_s_link_leads_to_no_private_network() {
    let (url, _server) = server(answer("200 OK", b"inside")).await;
    let port = url.rsplit_once(':').unwrap().1;
    let transport = transport(&["http://127.0.0.1:1"]);
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0",
    ] {
        let error = transport
            .call(get(&format!("http://{host}:{port}/")))
            .await
            .unwrap_err();
        assert!(matches!(error, TransportError::Forbidden(_)), "{host}: {error:?}");
    }
    let error = transport.call(get("file:///etc/passwd")).await.unwrap_err();
    assert!(matches!(error, TransportError::Forbidden(_)), "{error:?}");
}
