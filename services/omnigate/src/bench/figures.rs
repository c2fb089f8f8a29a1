//! What was measured, its medians and how they are told.

use super::load::Latency;
use crate::cli::Output;
use crate::commands::print;
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
    pub(super) broker: &'static str,
    pub(super) store: &'static str,
    pub(super) concurrency: usize,
    pub(super) customers: usize,
    pub(super) seconds: u64,
    /// Resident memory before any load, in MiB.
    pub(super) resident_at_start_mib: f64,
    pub(super) rounds: Vec<Round>,
}

/// A figure over all rounds, with the goal it has.
#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    median: f64,
    unit: &'static str,
    /// Median of the ratios to the bare loop of the same round.
    ratio: Option<f64>,
    goal: &'static str,
    met: Option<bool>,
}

type Figure = fn(&Round) -> f64;

impl Figures {
    pub(super) fn print(&self, output: Output) -> anyhow::Result<()> {
        let lines = self.lines();
        if output == Output::Json {
            return print::json(&serde_json::json!({ "measured": self, "medians": lines }));
        }
        print::line(&format!(
            "inbound, broker {}, store {}, {} pushes in flight, {} customers, {} rounds of {} s each",
            self.broker,
            self.store,
            self.concurrency,
            self.customers,
            self.rounds.len(),
            self.seconds
        ));
        print::all(
            output,
            &lines,
            &["median of rounds", "", "", "× bare", "goal", ""],
            |line| {
                vec![
                    line.what.to_owned(),
                    format!("{:.*}", usize::from(line.median < 100.0), line.median),
                    line.unit.to_owned(),
                    line.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                    line.goal.to_owned(),
                    line.met.map_or("", |met| if met { "met" } else { "missed" }).to_owned(),
                ]
            },
        )
    }

    fn lines(&self) -> Vec<Line> {
        let rate = |what, figure: Figure, least: Option<(f64, &'static str)>| {
            let ratio = self.median(|round| figure(round) / round.bare);
            Line {
                what,
                median: self.median(figure),
                unit: "events/s",
                ratio: Some(ratio),
                goal: least.map_or("", |(_, words)| words),
                met: least.map(|(least, _)| ratio >= least),
            }
        };
        let plain = |what, figure: Figure, unit, most: Option<(f64, &'static str)>| {
            let median = self.median(figure);
            Line {
                what,
                median,
                unit,
                ratio: None,
                goal: most.map_or("", |(_, words)| words),
                met: most.map(|(most, _)| median < most),
            }
        };
        let late = Some((25.0, "< 25 ms"));
        vec![
            rate("bare publisher, confirmed", |round| round.bare, None),
            rate("push → confirmed", |round| round.confirmed, Some((1.5, "≥ 1.5"))),
            rate("push, one a call → confirmed", |round| round.confirmed_singly, None),
            rate(
                "push → unified → published",
                |round| round.published,
                Some((1.0, "≥ 1")),
            ),
            plain(
                "processor: push → confirmed",
                |round| round.confirmed_cpu_us,
                "µs/event",
                None,
            ),
            plain(
                "processor: push, one a call",
                |round| round.confirmed_singly_cpu_us,
                "µs/event",
                None,
            ),
            plain(
                "processor: push → published",
                |round| round.published_cpu_us,
                "µs/event",
                None,
            ),
            plain("half load: confirmed, p50", |round| round.confirmed_p50_ms, "ms", None),
            plain("half load: confirmed, p99", |round| round.confirmed_p99_ms, "ms", late),
            plain("half load: published, p50", |round| round.published_p50_ms, "ms", None),
            plain("half load: published, p99", |round| round.published_p99_ms, "ms", late),
            plain("resident memory", |round| round.resident_mib, "MiB", None),
        ]
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
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
            broker: "embedded",
            store: "embedded",
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
        assert_eq!((lines[0].median, lines[0].ratio), (100.0, Some(1.0)));
        assert_eq!((lines[1].ratio, lines[1].met), (Some(1.6), Some(true)));
        assert_eq!((lines[3].ratio, lines[3].met), (Some(0.9), Some(false)));
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
