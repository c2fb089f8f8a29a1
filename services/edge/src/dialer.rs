//! Outbound connections of sessions, in plain text or under TLS with the system's authorities.

use omnigate_core::port::adapter::{Dialer, Place, Stream, TransportError};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
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
        let config = match &place.authority {
            Some(pem) => trusting(pem)?,
            None => self.tls(),
        };
        let secured = TlsConnector::from(config).connect(name, connection).await?;
        Ok(Box::new(secured))
    }

    fn tls(&self) -> Arc<ClientConfig> {
        let config = self.tls.get_or_init(|| {
            let mut authorities = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for problem in &found.errors {
                tracing::warn!(%problem, "a trusted authority of the system cannot be read");
            }
            authorities.add_parsable_certificates(found.certs);
            config_of(authorities)
        });
        Arc::clone(config)
    }
}

fn config_of(authorities: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder().with_root_certificates(authorities);
    Arc::new(config.with_no_client_auth())
}

/// Trusts these authorities and nobody else.
fn trusting(pem: &str) -> io::Result<Arc<ClientConfig>> {
    let unreadable = |problem: String| {
        let text = format!("the configured authority cannot be read: {problem}");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|problem| unreadable(problem.to_string()))?;
        let added = authorities.add(certificate);
        added.map_err(|problem| unreadable(problem.to_string()))?;
    }
    match authorities.is_empty() {
        true => Err(unreadable("it holds no certificate".to_owned())),
        false => Ok(config_of(authorities)),
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
mod tests;
