//! Errors as callers see them: a small set of codes, a stable reason, and which field is wrong.

use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Domain of all our reasons in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "omnigate";

/// What kind of error it is; decides what the caller does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// The request is wrong whatever the state is.
    InvalidArgument,
    /// It does not exist.
    NotFound,
    /// It exists with other content.
    AlreadyExists,
    /// The state forbids it; changing the state first may help.
    FailedPrecondition,
    /// The caller lost a race; read again and retry.
    Aborted,
    /// A value lies beyond what there is.
    OutOfRange,
    /// Too much at once; retry later.
    ResourceExhausted,
    /// Something we need is away; retry later.
    Unavailable,
    /// It took too long; it may have happened.
    DeadlineExceeded,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not.
    PermissionDenied,
    /// We cannot do this.
    Unimplemented,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// As a gRPC code.
    #[must_use]
    pub const fn grpc(self) -> Code {
        match self {
            Self::InvalidArgument => Code::InvalidArgument,
            Self::NotFound => Code::NotFound,
            Self::AlreadyExists => Code::AlreadyExists,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::Aborted => Code::Aborted,
            Self::OutOfRange => Code::OutOfRange,
            Self::ResourceExhausted => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::Unimplemented => Code::Unimplemented,
            Self::Internal => Code::Internal,
        }
    }

    /// As an HTTP status, as `google.rpc.Code` maps them.
    #[must_use]
    pub const fn http(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

/// An error to answer with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Kind.
    pub code: ErrorCode,
    /// Stable, for programs: `UPPER_SNAKE_CASE`.
    pub reason: &'static str,
    /// For people; no secrets, no personal data.
    pub message: String,
    /// What only some errors have; apart, so that results stay small.
    pub details: Box<Details>,
}

/// What only some errors have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// More for programs.
    pub metadata: HashMap<String, String>,
    /// Fields of the request that are wrong, with what is wrong about each.
    pub fields: Vec<(String, String)>,
    /// When to try again at the earliest.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// An error of this kind with a stable reason.
    #[must_use]
    pub fn new(code: ErrorCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Box::default(),
        }
    }

    /// A field of the request is wrong.
    #[must_use]
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::new(
            ErrorCode::InvalidArgument,
            "FIELD_INVALID",
            format!("{field}: {problem}"),
        )
        .field(field, problem)
    }

    /// It does not exist. `reason` is such as `CUSTOMER_NOT_FOUND`.
    #[must_use]
    pub fn not_found(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, reason, message)
    }

    /// It exists with other content.
    #[must_use]
    pub fn already_exists(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AlreadyExists, reason, message)
    }

    /// The state forbids it.
    #[must_use]
    pub fn failed_precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::FailedPrecondition, reason, message)
    }

    /// The caller lost a race.
    #[must_use]
    pub fn aborted(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Aborted, reason, message)
    }

    /// Too much at once.
    #[must_use]
    pub fn exhausted(reason: &'static str, message: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(ErrorCode::ResourceExhausted, reason, message);
        problem.details.retry_after = Some(retry_after);
        problem
    }

    /// Something we need is away.
    #[must_use]
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, reason, message)
    }

    /// The caller may not.
    #[must_use]
    pub fn denied(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::PermissionDenied, reason, message)
    }

    /// The caller is not known.
    #[must_use]
    pub fn unauthenticated(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthenticated, reason, message)
    }

    /// We cannot do this.
    #[must_use]
    pub fn unimplemented(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unimplemented, reason, message)
    }

    /// A fault of ours. The cause goes to the log, not to the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "INTERNAL", "internal error; the log says more")
    }

    /// With one more wrong field.
    #[must_use]
    pub fn field(mut self, field: &str, problem: impl Into<String>) -> Self {
        self.details.fields.push((field.to_owned(), problem.into()));
        self
    }

    /// With one more value for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.details.metadata.insert(key.to_owned(), value.into());
        self
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::with_error_info(problem.reason, DOMAIN, problem.details.metadata);
        for (field, what) in problem.details.fields {
            details.add_bad_request_violation(field, what);
        }
        if problem.details.retry_after.is_some() {
            details.set_retry_info(problem.details.retry_after);
        }
        Self::with_error_details(problem.code.grpc(), problem.message, details)
    }
}

/// The stable reason in a status, when it is one of ours.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// The fields that a status calls wrong, with what is wrong about each.
#[must_use]
pub fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().into_iter();
    let violations = details.flat_map(|details| details.field_violations);
    violations.map(|wrong| (wrong.field, wrong.description)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_is_told_to_programs_and_people() {
        let status = Status::from(Problem::invalid("page_size", "must not be negative"));
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "page_size: must not be negative")
        );
        assert_eq!(reason(&status).as_deref(), Some("FIELD_INVALID"));
        let wrong = ("page_size".to_owned(), "must not be negative".to_owned());
        assert_eq!(violations(&status), [wrong]);
        assert_eq!(violations(&Status::not_found("x")), []);
    }

    #[test]
    fn retry_and_metadata_travel() {
        let problem = Problem::exhausted("PUSHES_IN_FLIGHT", "too many pushes", Duration::from_millis(250));
        let status = Status::from(problem.with("limit", "50000"));
        assert_eq!(
            status.get_details_retry_info().unwrap().retry_delay,
            Some(Duration::from_millis(250))
        );
        assert_eq!(status.get_details_error_info().unwrap().metadata["limit"], "50000");
    }

    #[test]
    fn a_status_of_somebody_else_has_no_reason() {
        assert_eq!(reason(&Status::not_found("x")), None);
    }

    #[test]
    fn codes_map_to_http() {
        assert_eq!(ErrorCode::ResourceExhausted.http(), 429);
        assert_eq!(ErrorCode::AlreadyExists.http(), 409);
        assert_eq!(ErrorCode::Internal.http(), 500);
    }
}
