//! Connections in plain text and under TLS.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[tokio::test]
async fn what_is_written_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        tls: false,
        authority: None,
    };
    let mut stream = TcpDialer::default().dial(&place).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    stream.write_all(b"xin").await.unwrap();
    let mut read = [0; 3];
    accepted.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"xin");
}

#[tokio::test]
async fn a_place_where_nobody_listens_got_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let place = Place {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
        authority: None,
    };
    let refused = TcpDialer::default().dial(&place).await.err().unwrap();
    assert!(matches!(refused, TransportError::NotSent(_)), "{refused:?}");
}

/// An authority as PEM, and a server under TLS that returns what it is told once; its certificate is for `localhost`.
async fn secured() -> (String, u16) {
    let provider = rustls::crypto::ring::default_provider();
    drop(provider.install_default());
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((accepted, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(accepted).await {
                let mut said = [0; 3];
                stream.read_exact(&mut said).await.unwrap();
                stream.write_all(&said).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    (pem, port)
}

fn place(host: &str, port: u16, authority: Option<&str>) -> Place {
    Place {
        host: host.to_owned(),
        port,
        tls: true,
        authority: authority.map(str::to_owned),
    }
}

#[tokio::test]
async fn under_tls_both_sides_understand_each_other() {
    let (authority, port) = secured().await;
    let place = place("localhost", port, Some(&authority));
    let mut stream = TcpDialer::default().dial(&place).await.unwrap();
    stream.write_all(b"xin").await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"xin");
}

#[tokio::test]
async fn whoever_cannot_prove_the_name_is_not_spoken_to() {
    let (authority, port) = secured().await;
    let (other, _) = secured().await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut accepted, _) = plain.accept().await.unwrap();
        accepted.write_all(b"I speak no TLS\r\n").await.unwrap();
    });
    for (place, why) in [
        (place("localhost", port, Some(&other)), "signed by somebody else"),
        (place("localhost", port, None), "unknown to the system"),
        (place("127.0.0.1", port, Some(&authority)), "for another name"),
        (place("localhost", plain_port, Some(&authority)), "no TLS at all"),
        (place("localhost", port, Some("no PEM")), "no certificate"),
        (
            place(
                "localhost",
                port,
                Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ),
            "a certificate that is none",
        ),
    ] {
        let refused = TcpDialer::default().dial(&place).await.err();
        assert!(
            matches!(refused, Some(TransportError::NotSent(_))),
            "{why}: {refused:?}"
        );
    }
}
