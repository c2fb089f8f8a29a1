//! RabbitMQ: one node.

mod process;

use process::Node;
use std::{io, sync::Arc};
use tokio::sync::OnceCell;

/// A RabbitMQ of a test, or the shared one of a test run.
pub struct RabbitMq {
    url: String,
    /// `None` for one that somebody else runs.
    own: Option<Node>,
}

impl RabbitMq {
    /// Starts one; `None` where RabbitMQ is not installed. Takes 4 to 10 seconds.
    pub async fn start() -> Option<Self> {
        let own = Node::start().await?;
        let url = format!("amqp://guest:guest@{}", own.addr());
        Some(Self { url, own: Some(own) })
    }

    /// The one that `OMNIGATE_TEST_RABBITMQ` names, else one for this process. Others use it at the same time: keep to
    /// names of your own, and do not declare `omnigate.…`.
    pub async fn shared() -> Option<Arc<Self>> {
        static SHARED: OnceCell<Option<Arc<RabbitMq>>> = OnceCell::const_new();
        let start = async || {
            let shared = match std::env::var("OMNIGATE_TEST_RABBITMQ") {
                Ok(url) if !url.is_empty() => Some(Self { url, own: None }),
                _ => Self::start().await,
            };
            shared.map(Arc::new)
        };
        SHARED.get_or_init(start).await.clone()
    }

    /// Where it listens, for clients: `amqp://guest:guest@127.0.0.1:PORT`, virtual host `/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same with another address, such as that of a proxy.
    #[must_use]
    pub fn url_through(&self, addr: impl std::fmt::Display) -> String {
        self.url.replacen(self.addr(), &addr.to_string(), 1)
    }

    /// Where it listens, for a proxy: `127.0.0.1:PORT`.
    #[must_use]
    pub fn addr(&self) -> &str {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Process id of the node; `None` when it is not ours or does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.own.as_ref().and_then(Node::pid)
    }

    /// Ends it as `kill -9` does, and waits until it is gone. Does nothing to a shared one.
    pub fn kill9(&mut self) {
        if let Some(own) = &mut self.own {
            own.kill9();
        }
    }

    /// Starts it again on the same ports with the same data, killing it first if it still runs.
    ///
    /// # Errors
    /// When it does not come back, or is not ours.
    pub async fn restart(&mut self) -> io::Result<()> {
        match &mut self.own {
            Some(own) => own.restart().await,
            None => Err(not_ours()),
        }
    }

    /// Closes all clients' connections from its side.
    ///
    /// # Errors
    /// When it is not ours or does not answer.
    pub async fn close_all_connections(&self) -> io::Result<()> {
        self.control(&["close_all_connections", "test"]).await.map(drop)
    }

    /// Creates an empty virtual host and returns its URL: the way to a broker of one's own on a server of ours.
    ///
    /// # Errors
    /// When it is not ours or does not answer.
    pub async fn virtual_host(&self, name: &str) -> io::Result<String> {
        let create = format!(
            "rabbit_vhost:add(<<\"{name}\">>, <<\"test\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"{name}\">>, \
             <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>)."
        );
        self.control(&["eval", &create]).await?;
        Ok(format!("{}/{name}", self.url))
    }

    /// Runs `rabbitmqctl` with these arguments and returns what it printed.
    ///
    /// # Errors
    /// When it is not ours or `rabbitmqctl` fails.
    pub async fn control(&self, arguments: &[&str]) -> io::Result<String> {
        match &self.own {
            Some(own) => own.control(arguments).await,
            None => Err(not_ours()),
        }
    }
}

fn not_ours() -> io::Error {
    io::Error::other("a shared rabbitmq is not ours to control")
}
