//! What goes wrong in the domain, as callers see it.

use omnigate_core::conversation::Refusal;
use omnigate_core::id::NotAnId;
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::{
    Stop, conversation, credential::NotTaken, details::NotChanged, identity::NotDone, send::NotAccepted,
    template_library::NotMade,
};
use omnigate_rpc::auth::Caller;
use omnigate_rpc::error::Problem;
use std::str::FromStr;
use std::time::Duration;
use tonic::Request;

/// When to come back after a refusal for want of room.
const LATER: Duration = Duration::from_secs(1);

/// The tenant whose data a call is about.
pub(crate) fn tenant<T>(request: &Request<T>) -> Result<String, Problem> {
    Ok(Caller::of(request)?.tenant()?.to_owned())
}

/// The store did not answer, or has nonsense in it.
pub(crate) fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => Problem::unavailable("STORE_UNAVAILABLE", "the store does not answer; try again"),
        StoreError::Corrupt(_) => {
            tracing::error!(%error, "stored value cannot be read");
            Problem::internal()
        }
    }
}

/// A protocol did not finish.
pub(crate) fn stop(stop: &Stop) -> Problem {
    match stop {
        Stop::Store(error) => store(error),
        Stop::Contended(_) => Problem::aborted("CONTENDED", "others changed the same thing again and again; try again"),
    }
}

/// A message was not accepted for sending.
pub(crate) fn not_accepted(refused: &NotAccepted) -> Problem {
    let text = refused.to_string();
    match refused {
        NotAccepted::RequestIdReused => Problem::already_exists("REQUEST_ID_REUSED", text),
        NotAccepted::NoSuchThread => Problem::not_found("THREAD_NOT_FOUND", text),
        NotAccepted::Erased => Problem::not_found("RECIPIENT_ERASED", text),
        NotAccepted::NoSuchCustomer => Problem::not_found("CUSTOMER_NOT_FOUND", text),
        NotAccepted::NoThread => Problem::failed_precondition("NO_REACHABLE_THREAD", text),
        NotAccepted::ChainFull => Problem::exhausted("THREAD_FULL", text, LATER),
        NotAccepted::Stop(reason) => stop(reason),
    }
}

/// A change of who is who was not made.
pub(crate) fn not_done(refused: &NotDone) -> Problem {
    let text = refused.to_string();
    match refused {
        NotDone::RequestIdReused => Problem::already_exists("REQUEST_ID_REUSED", text),
        NotDone::NoSuchCustomer => Problem::not_found("CUSTOMER_NOT_FOUND", text),
        NotDone::NotTwo => Problem::failed_precondition("NOT_TWO_CUSTOMERS", text),
        NotDone::Apart(_) => Problem::failed_precondition("APART", text),
        NotDone::Stop(reason) => stop(reason),
    }
}

/// A command on a conversation was not carried out.
pub(crate) fn conversation(refused: &conversation::NotDone) -> Problem {
    use conversation::NotDone;
    let text = refused.to_string();
    match refused {
        NotDone::RequestIdReused => Problem::already_exists("REQUEST_ID_REUSED", text),
        NotDone::NoSuchConversation => Problem::not_found("CONVERSATION_NOT_FOUND", text),
        NotDone::NoSuchThread => Problem::not_found("THREAD_NOT_FOUND", text),
        NotDone::Closed => Problem::failed_precondition("CONVERSATION_CLOSED", text),
        NotDone::Refused(refusal) => conversation_refusal(refusal, text),
        NotDone::Stop(reason) => stop(reason),
    }
}

fn conversation_refusal(refusal: &Refusal, text: String) -> Problem {
    match refusal {
        Refusal::Gone => Problem::not_found("CONVERSATION_NOT_FOUND", text),
        Refusal::Etag => Problem::aborted("ETAG_MISMATCH", text),
        Refusal::AssignedElsewhere(id) => Problem::aborted("ASSIGNED_ELSEWHERE", text).with("assignee_id", id),
        Refusal::TooManyTags => Problem::failed_precondition("TOO_MANY_TAGS", text),
        Refusal::TooManyThreads => Problem::failed_precondition("TOO_MANY_THREADS", text),
        Refusal::Exists(_) => Problem::failed_precondition("CONVERSATION_EXISTS", text),
        Refusal::Full => Problem::failed_precondition("TOO_MANY_CONVERSATIONS", text),
        Refusal::ThreadTaken => Problem::failed_precondition("THREAD_TAKEN", text),
        Refusal::ThreadElsewhere => Problem::failed_precondition("THREAD_ELSEWHERE", text),
        Refusal::LastThread => Problem::failed_precondition("LAST_THREAD", text),
    }
}

/// What is known about a customer was not changed.
pub(crate) fn not_changed(refused: &NotChanged) -> Problem {
    let text = refused.to_string();
    match refused {
        NotChanged::NoSuchCustomer => Problem::not_found("CUSTOMER_NOT_FOUND", text),
        NotChanged::Changed => Problem::aborted("ETAG_MISMATCH", text),
        NotChanged::TooMany(_) => Problem::failed_precondition("TOO_MANY_DETAILS", text),
        NotChanged::Stop(reason) => stop(reason),
    }
}

/// A template was not made or changed.
pub(crate) fn not_made(refused: &NotMade) -> Problem {
    let text = refused.to_string();
    match refused {
        NotMade::NoSuchTemplate => Problem::not_found("TEMPLATE_NOT_FOUND", text),
        NotMade::Changed => Problem::aborted("ETAG_MISMATCH", text),
        NotMade::Archived => Problem::failed_precondition("TEMPLATE_ARCHIVED", text),
        NotMade::TooManyVersions => Problem::failed_precondition("TOO_MANY_VERSIONS", text),
        NotMade::Stop(reason) => stop(reason),
    }
}

/// What a person handed in was not taken.
pub(crate) fn not_taken(refused: &NotTaken) -> Problem {
    match refused {
        NotTaken::RequestIdReused => Problem::already_exists("REQUEST_ID_REUSED", refused.to_string()),
        NotTaken::Stop(reason) => stop(reason),
    }
}

/// An id of the wanted kind, or which field holds something else.
pub(crate) fn id<T: FromStr<Err = NotAnId>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|error: NotAnId| Problem::invalid(field, error.to_string()))
}
