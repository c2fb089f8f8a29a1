//! What errors of the client mean for us.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::ShortString,
};
use omnigate_core::port::broker::BrokerError;

/// Classifies an error that came while something was done. Nothing of the URL is in it.
pub(super) fn failure(doing: &str, error: &Error) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => {
            let text = format!("{doing}: {}", refusal.get_message());
            if is_lasting(refusal.kind()) {
                BrokerError::Unusable(text)
            } else {
                BrokerError::Unavailable(text)
            }
        }
        ErrorKind::AuthProviderError(_) | ErrorKind::ChannelsLimitReached | ErrorKind::InvalidProtocolVersion(_) => {
            BrokerError::Unusable(format!("{doing}: {error}"))
        }
        _ => BrokerError::Unavailable(format!("{doing}: {error}")),
    }
}

/// True for refusals that come again however often one asks.
fn is_lasting(kind: &AMQPErrorKind) -> bool {
    match kind {
        AMQPErrorKind::Soft(soft) => {
            matches!(
                soft,
                AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::PRECONDITIONFAILED
            )
        }
        AMQPErrorKind::Hard(hard) => {
            matches!(
                hard,
                AMQPHardError::NOTALLOWED | AMQPHardError::NOTIMPLEMENTED | AMQPHardError::COMMANDINVALID
            )
        }
    }
}

/// True when the server says that something exists with other arguments.
pub(super) fn is_mismatch(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(refusal) if *refusal.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    )
}

/// A name as AMQP carries it.
pub(super) fn short(name: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(name).map_err(|_| {
        let start: String = name.chars().take(40).collect();
        BrokerError::Unusable(format!(
            "a name has {} bytes, but must have 1 to 255: {start}…",
            name.len()
        ))
    })
}

/// A name of ours that is certainly short enough.
pub(super) fn own(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}
