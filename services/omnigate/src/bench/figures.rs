//! What pushes were measured to take, and the medians.

use super::load::Latency;
use super::table::{self, BARE, Line, median};
use crate::cli::Output;
use serde::Serialize;
use std::time::Duration;

/// One round.
#[derive(Clone, Default, Debug, Serialize)]
pub(super) struct Round {
    /// Messages per second of the bare loop, one event each.
    pub(super) bare: f64,
    /// Events per second from push to confirm, gathered as edge does it.
    pub(super) confirmed: f64,
    /// Processor time of this process for each, pushing side included, in microseconds.
    pub(super) confirmed_cpu_us: f64,
    /// The same with one event a call.
    pub(super) confirmed_singly: f64,
    /// …
    pub(super) confirmed_singly_cpu_us: f64,
    /// Events per second from push to CustomerEvent, gathered as edge does it.
    pub(super) published: f64,
    /// …
    pub(super) published_cpu_us: f64,
    /// At half of that rate, milliseconds to the confirm.
    pub(super) confirmed_p50_ms: f64,
    /// …
    pub(super) confirmed_p99_ms: f64,
    /// At half of that rate, milliseconds to the CustomerEvent.
    pub(super) published_p50_ms: f64,
    /// …
    pub(super) published_p99_ms: f64,
    /// Resident memory of this process at the end of the load, pushing side included, in MiB.
    pub(super) resident_mib: f64,
}

impl Round {
    pub(super) fn latencies(&mut self, latencies: &[Latency]) {
        let of = |which: fn(&Latency) -> Duration| {
            let mut times: Vec<Duration> = latencies.iter().map(which).collect();
            times.sort_unstable();
            move |percent: usize| {
                let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
                times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
            }
        };
        let (confirmed, published) = (of(|latency| latency.confirmed), of(|latency| latency.published));
        (self.confirmed_p50_ms, self.confirmed_p99_ms) = (confirmed(50), confirmed(99));
        (self.published_p50_ms, self.published_p99_ms) = (published(50), published(99));
    }
}

/// All rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) servers: &'static str,
    pub(super) concurrency: usize,
    pub(super) customers: usize,
    pub(super) seconds: u64,
    /// Resident memory before any load, in MiB.
    pub(super) resident_at_start_mib: f64,
    pub(super) rounds: Vec<Round>,
}

type Figure = fn(&Round) -> f64;

impl Figures {
    pub(super) fn print(&self, output: Output) -> anyhow::Result<()> {
        let title = format!(
            "inbound, {}, {} pushes in flight, {} customers, {} rounds of {} s each",
            self.servers,
            self.concurrency,
            self.customers,
            self.rounds.len(),
            self.seconds
        );
        table::print(output, &title, self, &self.lines())
    }

    fn lines(&self) -> Vec<Line> {
        let rate = |what: &str, figure: Figure| {
            let ratio = self.median(|round| figure(round) / round.bare);
            Line::new(what, self.median(figure), "events/s").beside(BARE, ratio)
        };
        let plain = |what: &str, figure: Figure, unit| Line::new(what, self.median(figure), unit);
        let worked = |what: &str, figure: Figure| plain(what, figure, "µs/event");
        let late = |what: &str, figure: Figure| plain(what, figure, "ms");
        vec![
            rate("bare publisher, confirmed", |round| round.bare),
            rate("push → confirmed", |round| round.confirmed).at_least(BARE, 1.5),
            rate("push, one a call → confirmed", |round| round.confirmed_singly),
            rate("push → unified → published", |round| round.published).at_least(BARE, 1.0),
            worked("processor: push → confirmed", |round| round.confirmed_cpu_us),
            worked("processor: push, one a call", |round| round.confirmed_singly_cpu_us),
            worked("processor: push → published", |round| round.published_cpu_us),
            late("half load: confirmed, p50", |round| round.confirmed_p50_ms),
            late("half load: confirmed, p99", |round| round.confirmed_p99_ms).below(25.0),
            late("half load: published, p50", |round| round.published_p50_ms),
            late("half load: published, p99", |round| round.published_p99_ms).below(25.0),
            plain("resident memory", |round| round.resident_mib, "MiB"),
        ]
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rounds: &[(f64, f64, f64)]) -> Figures {
        let round = |(bare, confirmed, published): &(f64, f64, f64)| Round {
            bare: *bare,
            confirmed: *confirmed,
            published: *published,
            ..Round::default()
        };
        Figures {
            servers: "embedded",
            concurrency: 1,
            customers: 1,
            seconds: 1,
            resident_at_start_mib: 0.0,
            rounds: rounds.iter().map(round).collect(),
        }
    }

    #[test]
    fn ratios_are_of_the_same_round_and_goals_are_judged_by_them() {
        let lines = figures(&[(100.0, 160.0, 90.0), (50.0, 90.0, 60.0), (200.0, 280.0, 180.0)]).lines();
        let told = |line: &Line| (line.ratios[0].times, line.goals.first().map(|goal| goal.is_met));
        assert_eq!((lines[0].median, told(&lines[0])), (100.0, (1.0, None)));
        assert_eq!(told(&lines[1]), (1.6, Some(true)));
        assert_eq!(told(&lines[3]), (0.9, Some(false)));
    }

    #[test]
    fn percentiles_are_of_what_happened() {
        let mut round = Round::default();
        round.latencies(&[]);
        let latency = |ms| Latency {
            confirmed: Duration::from_millis(ms),
            published: Duration::from_millis(2 * ms),
        };
        round.latencies(&(0..100).map(latency).collect::<Vec<_>>());
        assert_eq!((round.confirmed_p50_ms, round.published_p99_ms), (50.0, 198.0));
    }
}
