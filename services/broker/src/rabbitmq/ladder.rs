//! Delays: queues in which messages wait until their time to live is over and then go where they are due.
//!
//! Time to live is only looked at at the head of a queue, so each queue holds one delay. A longer delay takes several
//! rungs: a message that comes back too early goes up again.

use std::time::Duration;

/// Delays of the rungs, longest first.
pub(super) const RUNGS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(30),
    Duration::from_secs(5),
    Duration::from_secs(1),
];
/// Messages that wait on one rung at most; a retry beyond that is given back at once.
pub(super) const MAX_WAITING: i64 = 1_000_000;

/// The rung to wait on next: the longest that does not take too long, else the shortest.
pub(super) fn rung(left: Duration) -> Duration {
    let [.., shortest] = RUNGS;
    RUNGS.into_iter().find(|rung| *rung <= left).unwrap_or(shortest)
}

/// Name of a rung's exchange and of its queue.
pub(super) fn name(namespace: &str, rung: Duration) -> String {
    format!("{namespace}.retry.{}s", rung.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_never_add_up_to_less_than_the_delay_nor_to_a_second_more() {
        for delay in [
            0, 1, 999, 1000, 1001, 4999, 5000, 6500, 29_999, 36_000, 59_000, 61_000, 754_321,
        ] {
            let delay = Duration::from_millis(delay);
            let mut waited = Duration::ZERO;
            let mut rungs = 0;
            while waited < delay {
                waited += rung(delay - waited);
                rungs += 1;
            }
            assert!(
                waited >= delay && waited < delay + Duration::from_secs(1),
                "{delay:?}: {waited:?}"
            );
            assert!(rungs <= 12 + 2 + 6 + 5, "{delay:?}: {rungs} rungs");
        }
        assert_eq!(name("omnigate", rung(Duration::from_secs(45))), "omnigate.retry.30s");
    }
}
