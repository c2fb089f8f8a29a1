//! The connection of a command to a running gateway.

use crate::cli::Remote;
use anyhow::Context as _;
use omnigate_core::identifier;
use omnigate_core::port::Entropy as _;
use omnigate_core::time::Moment;
use omnigate_proto::v1::Identifier;
use omnigate_rpc::auth::read_local_token;
use omnigate_rpc::client::{Connection, explain};
use omnigate_runtime::clock::SystemEntropy;
use tonic::Status;

/// Connects with the token that was given, or the one in the data folder.
pub async fn open(remote: &Remote) -> anyhow::Result<Connection> {
    let token = match &remote.token {
        Some(token) => Some(token.clone()),
        None => read_local_token(&remote.data_dir).ok(),
    };
    Ok(Connection::open(&remote.endpoint, token.as_deref(), None).await?)
}

/// A refused call as one line.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
pub fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!(explain(&status))
}

/// The moment that a flag gives.
pub fn moment(flag: &str, text: &str) -> anyhow::Result<Moment> {
    let time: jiff::Timestamp = text
        .parse()
        .with_context(|| format!("{flag} {text:?} is no RFC 3339 time"))?;
    Ok(Moment(time.as_millisecond()))
}

/// Reads `type/scope/value` or `type/value`.
pub fn identifier(text: &str) -> anyhow::Result<Identifier> {
    identifier::read_text(text).with_context(|| {
        format!("{text:?} is no identifier: write type/scope/value or type/value, such as phone/+84912345678")
    })
}

/// The request id that was given, or one that is made up.
pub fn request_id(given: Option<&str>) -> anyhow::Result<String> {
    match given {
        Some(id) => Ok(id.to_owned()),
        None => Ok(SystemEntropy::new()?
            .bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()),
    }
}

/// The id of the customer that a text names: an id, or an identifier to look up.
pub async fn customer_id(connection: &Connection, text: &str) -> anyhow::Result<String> {
    if text.starts_with("cus_") {
        return Ok(text.to_owned());
    }
    let asked = omnigate_proto::v1::ResolveCustomerRequest {
        identifier: Some(identifier(text)?),
    };
    let answer = connection.customers().resolve_customer(asked).await.map_err(refused)?;
    let customer = answer
        .into_inner()
        .customer
        .context("the gateway answered without a customer")?;
    Ok(customer.customer_id)
}
