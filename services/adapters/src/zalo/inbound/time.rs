//! Zalo's times.

use super::super::wire::{Text, said};
use omnigate_core::time::Moment;
use omnigate_proto::v1::Event;

/// Ten digits are seconds, thirteen milliseconds. Zalo's documentation shows samples of eleven and twelve digits, which
/// are no times of any kind.
const SECONDS: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;
/// From 2001 to the end of the year 9999, the latest that a protobuf timestamp can name.
const MILLISECONDS: std::ops::Range<i64> = 1_000_000_000_000..253_402_300_800_000;
/// The contract's limit of `Event.provider_time`.
const MAX_TIME: usize = 2048;

/// The moment that a text names, when it can be one.
pub(in super::super) fn moment(text: Option<&Text<'_>>) -> Option<Moment> {
    let number: i64 = said(text).parse().ok()?;
    if MILLISECONDS.contains(&number) {
        Some(Moment(number))
    } else {
        SECONDS.contains(&number).then(|| Moment(number * 1000))
    }
}

/// Says when an event happened; what cannot be a time is kept as it was written.
pub(super) fn set(event: &mut Event, text: Option<&Text<'_>>) {
    let at = moment(text);
    event.occurred_at = at.map(Moment::to_timestamp);
    let written = said(text);
    event.provider_time = match at {
        None if written.len() <= MAX_TIME => written.to_owned(),
        _ => String::new(),
    };
}

/// Says when an event happened, where it has a time of its own beside that of the call.
pub(super) fn set_own(event: &mut Event, text: Option<&Text<'_>>) {
    if moment(text).is_some() {
        set(event, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_size() {
        let of = |text: &str| {
            let json = format!("\"{text}\"");
            moment(serde_json::from_str::<Text<'_>>(&json).ok().as_ref()).map(|moment| moment.0)
        };
        assert_eq!(of("1790000000123"), Some(1_790_000_000_123));
        assert_eq!(of("1790000000"), Some(1_790_000_000_000));
        assert_eq!(of("154390853474"), None);
        assert_eq!(of("99999999999999999999"), None);
        assert_eq!(of("9223372036854775807"), None);
        assert_eq!(of("-1790000000123"), None);
        assert_eq!(of("soon"), None);
        assert_eq!(of(""), None);
    }
}
