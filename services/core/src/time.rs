//! Points in time as the domain counts them.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use pbjson_types::Timestamp;
use std::{
    fmt,
    ops::{Add, Sub},
    sync::LazyLock,
    time::Duration,
};

/// The rules of all time zones as this release knows them, so that nothing hangs on the machine that asks.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The time zone of an IANA name, in whatever case; `None` for what is none.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// A moment, in milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment a protobuf timestamp names, cut to milliseconds.
    #[must_use]
    pub fn from_timestamp(timestamp: &Timestamp) -> Self {
        Self(
            timestamp
                .seconds
                .saturating_mul(1000)
                .saturating_add(i64::from(timestamp.nanos / 1_000_000)),
        )
    }

    /// The moment as a protobuf timestamp.
    #[must_use]
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp {
            seconds: self.0.div_euclid(1000),
            nanos: i32::try_from(self.0.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
        }
    }

    /// As a key part that sorts by time: 8 bytes, big endian; moments before 1970 count as 1970.
    #[must_use]
    pub fn to_key(self) -> [u8; 8] {
        u64::try_from(self.0).unwrap_or(0).to_be_bytes()
    }

    /// Back from [`Moment::to_key`].
    #[must_use]
    pub fn from_key(key: [u8; 8]) -> Self {
        Self(i64::try_from(u64::from_be_bytes(key)).unwrap_or(i64::MAX))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ms", self.0)
    }
}
