//! Outbound connections of sessions, in plain text or under TLS with the system's authorities.

use omnigate_core::port::adapter::{Dialer, Place, Stream, TransportError};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Outbound connections.
#[derive(Clone, Default)]
pub struct TcpDialer {
    /// The system's authorities, read when TLS is first needed.
    tls: Arc<std::sync::OnceLock<Arc<ClientConfig>>>,
}

impl std::fmt::Debug for TcpDialer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TcpDialer").finish_non_exhaustive()
    }
}

impl TcpDialer {
    async fn connect(&self, place: &Place) -> io::Result<Box<dyn Stream>> {
        let connection = TcpStream::connect((place.host.as_str(), place.port)).await?;
        connection.set_nodelay(true)?;
        if !place.tls {
            return Ok(Box::new(connection));
        }
        let name = ServerName::try_from(place.host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is no name for TLS"))?;
        let secured = TlsConnector::from(self.tls()).connect(name, connection).await?;
        Ok(Box::new(secured))
    }

    fn tls(&self) -> Arc<ClientConfig> {
        let config = self.tls.get_or_init(|| {
            let mut authorities = rustls::RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for problem in &found.errors {
                tracing::warn!(%problem, "a trusted authority of the system cannot be read");
            }
            authorities.add_parsable_certificates(found.certs);
            let config = ClientConfig::builder().with_root_certificates(authorities);
            Arc::new(config.with_no_client_auth())
        });
        Arc::clone(config)
    }
}

#[async_trait::async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        match timeout(CONNECT_WITHIN, self.connect(place)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(TransportError::NotSent(error.to_string())),
            Err(_) => Err(TransportError::NotSent("timed out".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
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
        };
        let refused = TcpDialer::default().dial(&place).await.err().unwrap();
        assert!(matches!(refused, TransportError::NotSent(_)), "{refused:?}");
    }
}
