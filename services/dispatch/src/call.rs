//! One call of an adapter, and what it proves.

use omnigate_core::{
    delivery::{self, CALL_TIME, Submission},
    protocol::submit::Answer,
    time::Moment,
    trace::TraceContext,
};
use omnigate_proto::{
    state::v1::DeliveryRecord,
    v1::{ErrorClass, SendError, SendRequest, SendResponse, send_response::Outcome},
};
use omnigate_rpc::{remote::never_connected, v1::adapter_service_server::AdapterService};
use std::time::Duration;
use tonic::{Code, Request, Status};

/// Name of the W3C header.
const TRACEPARENT: &str = "traceparent";
/// An adapter answers this long before we stop waiting, so that the answer still arrives.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// Longest text of an error that is kept.
const MAX_TEXT: usize = 500;

/// Calls the adapter once with a stored message.
pub(crate) async fn send(
    adapter: &dyn AdapterService,
    record: &DeliveryRecord,
    submission: &Submission,
    now: Moment,
    trace: Option<TraceContext>,
) -> Answer {
    match request(record, submission, deadline(now)) {
        Some(message) => submit(adapter, message, trace).await,
        None => not_sent("the stored message cannot be read"),
    }
}

/// Nothing is submitted after this moment by a call that begins now.
pub(crate) fn deadline(now: Moment) -> Moment {
    now + (CALL_TIME - ANSWER_MARGIN)
}

/// Calls the adapter once and waits for at most [`CALL_TIME`].
pub(crate) async fn submit(adapter: &dyn AdapterService, message: SendRequest, trace: Option<TraceContext>) -> Answer {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIME - ANSWER_MARGIN);
    if let Some(Ok(value)) = trace.map(|trace| trace.to_string().parse()) {
        request.metadata_mut().insert(TRACEPARENT, value);
    }
    match tokio::time::timeout(CALL_TIME, adapter.send(request)).await {
        Ok(Ok(response)) => answer(response.into_inner()),
        Ok(Err(status)) => failed(0, of_status(&status)),
        Err(_) => failed(0, error(ErrorClass::Ambiguous, "the adapter did not answer in time")),
    }
}

fn request(record: &DeliveryRecord, submission: &Submission, deadline: Moment) -> Option<SendRequest> {
    let leaving = delivery::leaving(record)?;
    Some(SendRequest {
        account_id: record.delivery.as_ref()?.account_id.clone(),
        peer: Some(leaving.peer),
        peer_provider_form: leaving.peer_provider_form,
        message: Some(leaving.message),
        piece: submission.piece,
        send_key: submission.send_key.clone(),
        attempt: submission.attempt,
        deadline: Some(deadline.to_timestamp()),
        message_id: submission.id.to_string(),
        handed_on: false,
    })
}

fn answer(response: SendResponse) -> Answer {
    match response.outcome {
        Some(Outcome::Accepted(accepted)) => Answer {
            piece_count: response.piece_count,
            outcome: Ok(accepted),
        },
        Some(Outcome::Error(mut said)) => {
            said.text = said.text.chars().take(MAX_TEXT).collect();
            failed(response.piece_count, said)
        }
        None => failed(
            response.piece_count,
            error(ErrorClass::Ambiguous, "the adapter's answer says nothing"),
        ),
    }
}

/// Nothing left.
pub(crate) fn not_sent(text: &str) -> Answer {
    failed(0, error(ErrorClass::NotSent, text))
}

const fn failed(piece_count: u32, error: SendError) -> Answer {
    Answer {
        piece_count,
        outcome: Err(error),
    }
}

fn error(class: ErrorClass, text: &str) -> SendError {
    SendError {
        class: class.into(),
        text: text.chars().take(MAX_TEXT).collect(),
        ..SendError::default()
    }
}

/// A gRPC error says nothing about the message, unless it proves that the adapter never saw it.
fn of_status(status: &Status) -> SendError {
    let text = format!("{:?}: {}", status.code(), status.message());
    let class = match status.code() {
        _ if never_connected(status) => ErrorClass::NotSent,
        // Said by a server before it looks at the message: wrong token, no such service.
        Code::Unauthenticated | Code::Unimplemented => ErrorClass::Account,
        _ => ErrorClass::Ambiguous,
    };
    error(class, &text)
}

/// True when the adapter cannot be reached at all, so that others need not find out one by one.
pub(crate) fn adapter_is_away(answer: &Answer) -> bool {
    answer.piece_count == 0
        && matches!(&answer.outcome, Err(error) if error.class() == ErrorClass::NotSent
            || error.class() == ErrorClass::Ambiguous)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, sync::Arc};

    #[test]
    fn only_a_refused_connection_proves_that_nothing_left() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut status = Status::unavailable("tcp connect error");
        status.set_source(Arc::new(refused));
        assert_eq!(of_status(&status).class(), ErrorClass::NotSent);
        let mut status = Status::unavailable("reset");
        status.set_source(Arc::new(io::Error::from(io::ErrorKind::ConnectionReset)));
        assert_eq!(of_status(&status).class(), ErrorClass::Ambiguous);
        assert_eq!(of_status(&Status::unavailable("x")).class(), ErrorClass::Ambiguous);
        assert_eq!(of_status(&Status::internal("x")).class(), ErrorClass::Ambiguous);
        assert_eq!(of_status(&Status::unauthenticated("x")).class(), ErrorClass::Account);
    }

    #[test]
    fn an_answer_that_says_nothing_is_in_doubt() {
        let said = answer(SendResponse::default()).outcome.unwrap_err();
        assert_eq!(said.class(), ErrorClass::Ambiguous);
    }
}
