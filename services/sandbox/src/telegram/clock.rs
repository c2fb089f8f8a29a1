//! Time as the sandbox sees it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Where the sandbox reads the date that messages carry. Delays run on the runtime's monotonic clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The machine's clock: the one place that reads it, everything else is handed a `Clock`.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
        })
    }

    /// A clock that answers what `unix_time` answers: the time since 1970.
    pub fn from_fn(unix_time: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(unix_time))
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            at: Instant::now(),
            unix: i64::try_from((self.0)().as_secs()).unwrap_or(i64::MAX),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For delays, expiry and rates.
    pub(crate) at: Instant,
    /// Seconds since 1970, for dates.
    pub(crate) unix: i64,
}
