//! Listeners, bound before anything else is started, so that a taken port is said at once.

use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {source}{}", hint(.source))]
pub struct BindError {
    /// Address as configured.
    pub address: String,
    /// Configuration key that says so.
    pub key: String,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

/// What the usual causes mean for who started us.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process, maybe another gateway, has the port",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has the address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    }
}

/// Listens on `address` (`host:port`, port 0 for any free one), which the configuration key `key` names.
pub async fn bind(key: &str, address: &str) -> Result<TcpListener, BindError> {
    let failed = |source| BindError {
        address: address.to_owned(),
        key: key.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound: SocketAddr = listener.local_addr().map_err(failed)?;
    tracing::info!(key, address = %bound, "listening");
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_address_key_and_cause() {
        let first = bind("listen.api", "127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = bind("listen.edge", &address).await.unwrap_err().to_string();
        assert!(error.contains(&address), "{error}");
        assert!(error.contains("(listen.edge)"), "{error}");
        assert!(error.contains("another process"), "{error}");
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_an_error_too() {
        let error = bind("listen.api", "nowhere.invalid:1").await.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot listen on nowhere.invalid:1 (listen.api): "),
            "{error}"
        );
    }
}
