//! Deadlines of calls: read from metadata, kept with the request, passed on.

use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Status};

use crate::error::{ErrorCode, Problem};

/// Name of gRPC's header.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// When the caller stops waiting; an extension of every request that came through a server or a local port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of a request, if it has one.
    #[must_use]
    pub fn of<T>(request: &Request<T>) -> Option<Self> {
        request.extensions().get().copied()
    }

    /// How long until then; zero when it is over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The time a `grpc-timeout` header gives: at most eight digits and a unit; `None` when it is malformed.
pub(crate) fn parse(header: &str) -> Option<Duration> {
    let (digits, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The answer when it is over.
pub(crate) fn exceeded() -> Status {
    Problem::new(
        ErrorCode::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline is over; it may have happened",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_protocol_says() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for malformed in ["", "S", "5", "5s", "-5S", "+5S", "123456789S", "5 S", "5é"] {
            assert_eq!(parse(malformed), None, "{malformed}");
        }
    }
}
