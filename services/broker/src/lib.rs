//! The broker port on two brokers: one embedded in this process and RabbitMQ.
//!
//! The contract suite in `tests/` states the port's laws once and runs them against both.

pub mod bare;
pub mod embedded;
mod parked;
pub mod rabbitmq;
pub mod sealed;
mod topology;

use embedded::{EmbeddedBroker, EmbeddedError};
use omnigate_core::port::{
    Clock,
    broker::{Broker, BrokerError},
};
use rabbitmq::{Options, RabbitBroker};
use std::{path::Path, sync::Arc};

/// Why no broker could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded broker.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// RabbitMQ.
    #[error(transparent)]
    RabbitMq(#[from] BrokerError),
    /// The setting names no broker that exists.
    #[error("broker.url must be empty or `embedded`, or begin with amqp:// or amqps://, but begins with {0:?}")]
    Url(String),
}

/// Opens the broker that a setting names: empty or `embedded` for the one in this process with its data in `data_dir`,
/// `amqp://…` or `amqps://…` for RabbitMQ.
///
/// # Errors
///
/// When it cannot be reached or used; the message says what to do.
pub async fn open(url: &str, data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn Broker>, OpenError> {
    let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
    match scheme {
        "" | "embedded" => Ok(Arc::new(EmbeddedBroker::open(data_dir, clock)?)),
        "amqp" | "amqps" => Ok(Arc::new(RabbitBroker::connect(url, Options::new(clock)).await?)),
        other => Err(OpenError::Url(other.chars().take(20).collect())),
    }
}
