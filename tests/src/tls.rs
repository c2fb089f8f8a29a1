//! TLS in front of a server that speaks none.

use rustls::pki_types::PrivateKeyDer;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Takes TLS as `localhost` and passes what it reads on in plain text.
pub struct Front {
    /// Where it listens.
    pub port: u16,
    /// The authority that signed its certificate, as PEM.
    pub authority: NamedTempFile,
}

impl Front {
    /// Starts one before `upstream`; it ends with the runtime.
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            // Another test of this process was faster.
        }
        let authority_key = rcgen::KeyPair::generate()?;
        let mut authority = rcgen::CertificateParams::new(Vec::new())?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&authority_key)?.pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate()?;
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = params.signed_by(&key, &issuer)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key)?;
        let mut file = NamedTempFile::new()?;
        file.write_all(pem.as_bytes())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((accepted, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), accepted, upstream));
            }
        });
        Ok(Self { port, authority: file })
    }
}

/// Until one side ends the connection.
async fn pass_on(acceptor: TlsAcceptor, accepted: TcpStream, upstream: SocketAddr) -> anyhow::Result<()> {
    let mut behind = TcpStream::connect(upstream).await?;
    let mut secured = acceptor.accept(accepted).await?;
    tokio::io::copy_bidirectional(&mut secured, &mut behind).await?;
    Ok(())
}
