//! Which server answers. The client library does not pass on what a server says of itself, so we greet it once and read
//! that.

use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use lapin::{
    runtime::default_runtime,
    tcp::AMQPUriTcpExt as _,
    types::{AMQPValue, FieldTable, parsing::parse_field_table},
    uri::AMQPUri,
};
use omnigate_core::port::broker::BrokerError;
use std::io;

/// First with streams, quorum queues with message time to live, and at-least-once dead-lettering.
const OLDEST: (u32, u32) = (3, 10);
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Frame type, channel and size.
const FRAME_HEADER: usize = 7;
/// A server's first frame holds a few hundred bytes.
const MAX_FRAME: usize = 64 << 10;
/// Class and method `connection.start`, version 0.9.
const START: [u8; 6] = [0, 10, 0, 10, 0, 9];

/// Refuses a server that is no RabbitMQ or too old.
pub(super) async fn check_server(uri: &AMQPUri) -> Result<(), BrokerError> {
    let failed = |error: io::Error| BrokerError::Unavailable(format!("greeting: {error}"));
    let properties = greet(uri).await.map_err(failed)?;
    let says = properties
        .as_ref()
        .map(|properties| (text(properties, "product"), text(properties, "version")));
    match says {
        Some((product, version)) if product == "RabbitMQ" && is_new_enough(&version) => Ok(()),
        Some((product, version)) => Err(BrokerError::Unusable(format!(
            "the server is {product} {version}, but RabbitMQ {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        ))),
        None => Err(BrokerError::Unusable(
            "the server does not answer as a message broker".to_owned(),
        )),
    }
}

/// What the server says of itself; `None` when it does not speak AMQP 0.9.1.
async fn greet(uri: &AMQPUri) -> io::Result<Option<FieldTable>> {
    let runtime = default_runtime().map_err(io::Error::other)?;
    let mut stream = uri.connect_async(&runtime).await?;
    stream.write_all(GREETING).await?;
    stream.flush().await?;
    let mut header = [0; FRAME_HEADER];
    stream.read_exact(&mut header).await?;
    let [kind, _, _, size @ ..] = header;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if kind != 1 || size > MAX_FRAME {
        return Ok(None);
    }
    let mut payload = vec![0; size];
    stream.read_exact(&mut payload).await?;
    let Some(properties) = payload.strip_prefix(&START) else {
        return Ok(None);
    };
    Ok(parse_field_table(properties).ok().map(|(_, properties)| properties))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

fn text(properties: &FieldTable, name: &str) -> String {
    match properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).chars().take(40).collect(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, enough) in [
            ("3.10.8", true),
            ("3.9.29", false),
            ("4.0.5", true),
            ("3.13.0-rc.2", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), enough, "{version}");
        }
    }
}
