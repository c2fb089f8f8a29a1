//! Answers to sends that did not succeed.

use omnigate_proto::v1::{ErrorClass, SendError, SendResponse, send_response::Outcome};

/// An error of a class.
pub(crate) fn error(class: ErrorClass, text: &str) -> SendError {
    SendError {
        class: class.into(),
        text: text.to_owned(),
        ..SendError::default()
    }
}

/// The answer that says so; no pieces when none could be planned.
pub(crate) const fn failed(piece_count: u32, error: SendError) -> SendResponse {
    SendResponse {
        piece_count,
        outcome: Some(Outcome::Error(error)),
    }
}

/// Both at once.
pub(crate) fn failure(piece_count: u32, class: ErrorClass, text: &str) -> SendResponse {
    failed(piece_count, error(class, text))
}
