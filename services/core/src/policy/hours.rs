//! Hours in which somebody may be written to, by the clock on their wall.
//!
//! Computed from the time zone database at the moment of sending, never ahead: laws about summer time change.

use crate::time::Moment;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::fmt;
use std::str::FromStr;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Somebody who may be in many zones is looked at in all of them, each of which may put the moment off; more often than this
/// means that no moment suits all.
const MOST_ROUNDS: usize = 64;

/// The part of every day in which something may be sent: from one minute to another, which may lie in the next day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hours {
    from: u16,
    to: u16,
}

/// Not the hours of a day.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} are no hours: write them as 07:00-22:00")]
pub struct NotHours(pub String);

impl FromStr for Hours {
    type Err = NotHours;

    fn from_str(text: &str) -> Result<Self, NotHours> {
        let minutes = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
        };
        let ends = text.split_once('-');
        let read = ends.and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        match read {
            Some((from, to)) if from != to && from < DAY => Ok(Self { from, to }),
            _ => Err(NotHours(text.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(
            formatter,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

impl Hours {
    /// Hours of a day from minute to minute. `None` when they are none.
    #[must_use]
    pub const fn new(from: u16, to: u16) -> Option<Self> {
        if from < DAY && to <= DAY && from != to {
            Some(Self { from, to })
        } else {
            None
        }
    }
}

/// The first moment, not before `now`, at which all these hours have come in every zone. `None` when there is none: they have
/// nothing in common.
#[must_use]
pub fn opens(hours: &[Hours], zones: &[TimeZone], now: Moment) -> Option<Moment> {
    let mut at = now;
    for _ in 0..MOST_ROUNDS {
        let mut next = at;
        for zone in zones {
            for hours in hours {
                next = next.max(opens_in(*hours, zone, next)?);
            }
        }
        if next == at {
            return Some(at);
        }
        at = next;
    }
    None
}

/// The first moment, not before `at`, within the hours in one zone.
fn opens_in(hours: Hours, zone: &TimeZone, at: Moment) -> Option<Moment> {
    let local = zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?);
    let before = local.date().yesterday().ok()?;
    let mut days = std::iter::successors(Some(before), |date| date.tomorrow().ok()).take(4);
    days.find_map(|date| {
        let (begins, ends) = on(hours, zone, date)?;
        (at < ends && begins < ends).then(|| at.max(begins))
    })
}

/// The hours that begin on a date. Where the clock is put forward they begin after the gap and end before it; where it is put
/// back they begin the second time and end the first: nobody is written to in an hour that is in doubt.
fn on(hours: Hours, zone: &TimeZone, date: Date) -> Option<(Moment, Moment)> {
    let wall = |minutes: u16| -> Option<DateTime> {
        let date = date.checked_add(i64::from(minutes / DAY).days()).ok()?;
        let minutes = i8::try_from(minutes % DAY / 60)
            .ok()
            .zip(i8::try_from(minutes % 60).ok())?;
        Some(date.to_datetime(Time::new(minutes.0, minutes.1, 0, 0).ok()?))
    };
    let to = if hours.to > hours.from {
        hours.to
    } else {
        hours.to + DAY
    };
    let begins = zone.to_ambiguous_timestamp(wall(hours.from)?).later().ok()?;
    let ends = zone.to_ambiguous_timestamp(wall(to)?).earlier().ok()?;
    Some((Moment(begins.as_millisecond()), Moment(ends.as_millisecond())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::zone as named;

    fn at(text: &str) -> Moment {
        Moment(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn opens_at(hours: &str, zones: &[&str], now: &str) -> Option<String> {
        let zones: Vec<TimeZone> = zones.iter().map(|name| named(name).unwrap()).collect();
        let opens = opens(&[hours.parse().unwrap()], &zones, at(now))?;
        Some(Timestamp::from_millisecond(opens.0).unwrap().to_string())
    }

    fn check(hours: &str, zones: &[&str], now: &str, expected: &str) {
        assert_eq!(
            opens_at(hours, zones, now).as_deref(),
            Some(expected),
            "{hours} in {zones:?} at {now}"
        );
    }

    #[test]
    fn hours_are_those_on_the_recipients_wall() {
        let vn = &["Asia/Ho_Chi_Minh"];
        check("07:00-22:00", vn, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z");
        check("07:00-22:00", vn, "2026-11-29T23:59:59.999Z", "2026-11-30T00:00:00Z");
        check("07:00-22:00", vn, "2026-11-30T14:59:59Z", "2026-11-30T14:59:59Z");
        check("07:00-22:00", vn, "2026-11-30T15:00:00Z", "2026-12-01T00:00:00Z");
        check("22:00-02:00", vn, "2026-11-30T17:30:00Z", "2026-11-30T17:30:00Z");
        check("22:00-02:00", vn, "2026-11-30T19:00:00Z", "2026-12-01T15:00:00Z");
        check("00:00-24:00", vn, "2026-11-30T17:00:00Z", "2026-11-30T17:00:00Z");
    }

    #[test]
    fn summer_time_moves_the_hours_with_the_wall() {
        let paris = &["Europe/Paris"];
        // The night to 29 March has no 02:00 to 03:00, that to 25 October has it twice.
        check("08:00-20:00", paris, "2026-03-28T20:00:00Z", "2026-03-29T06:00:00Z");
        check("08:00-20:00", paris, "2026-03-27T20:00:00Z", "2026-03-28T07:00:00Z");
        check("08:00-20:00", paris, "2026-10-24T19:00:00Z", "2026-10-25T07:00:00Z");
        check("08:00-20:00", paris, "2026-10-23T19:00:00Z", "2026-10-24T06:00:00Z");
        // An hour in doubt is no hour to write in.
        check("02:30-20:00", paris, "2026-03-29T00:50:00Z", "2026-03-29T01:30:00Z");
        check("02:30-20:00", paris, "2026-10-25T00:40:00Z", "2026-10-25T01:30:00Z");
        check("20:00-02:30", paris, "2026-10-25T00:40:00Z", "2026-10-25T19:00:00Z");
        check("20:00-02:30", paris, "2026-10-25T00:20:00Z", "2026-10-25T00:20:00Z");
    }

    #[test]
    fn whoever_may_be_in_several_zones_is_written_to_when_it_suits_all() {
        let coasts = &["America/New_York", "America/Los_Angeles"];
        check("08:00-21:00", coasts, "2026-11-30T13:30:00Z", "2026-11-30T16:00:00Z");
        check("08:00-21:00", coasts, "2026-12-01T02:30:00Z", "2026-12-01T16:00:00Z");
        let apart = &["Pacific/Auckland", "Europe/London"];
        assert_eq!(
            opens_at("09:00-17:00", apart, "2026-11-30T00:00:00Z"),
            None,
            "never at one time"
        );
        let nowhere = opens(
            &["08:00-10:00".parse().unwrap(), "11:00-12:00".parse().unwrap()],
            &[TimeZone::UTC],
            Moment(0),
        );
        assert_eq!(nowhere, None);
    }

    #[test]
    fn what_opens_is_open_and_nothing_before_it_was() {
        let zones = [
            "Europe/Paris",
            "America/New_York",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
        ];
        for name in zones {
            let zone = [named(name).unwrap()];
            let hours: Hours = "01:15-03:45".parse().unwrap();
            let mut now = at("2026-01-01T00:00:00Z");
            for _ in 0..3_000 {
                now = now + std::time::Duration::from_secs(3 * 3600 + 701);
                let opens = opens(&[hours], &zone, now).unwrap();
                assert_eq!(super::opens(&[hours], &zone, opens), Some(opens), "{name} {now}");
                let local = zone[0].to_datetime(Timestamp::from_millisecond(opens.0).unwrap());
                let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
                assert!((75..225).contains(&minute), "{name} {local}");
                assert!(opens.since(now).as_secs() < 27 * 3600, "{name}: there is one every day");
            }
        }
    }

    #[test]
    fn hours_are_read_strictly() {
        for wrong in [
            "",
            "7-22",
            "07:00",
            "07:00-07:00",
            "07:60-22:00",
            "25:00-26:00",
            "24:00-07:00",
            "07:00-24:01",
        ] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
        for right in ["07:00-22:00", "22:00-06:00", "00:00-24:00"] {
            assert_eq!(right.parse::<Hours>().unwrap().to_string(), right);
        }
    }
}
