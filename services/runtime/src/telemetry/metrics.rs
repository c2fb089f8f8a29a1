//! Metrics and all their names. Handles are cheap to clone; labels come from configuration and code, never from callers,
//! so their number is bounded.

use crate::role::Role;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::sync::Arc;

/// Requests a role took.
const REQUESTS: &str = "omnigate_requests_total";
/// Requests that failed.
const ERRORS: &str = "omnigate_errors_total";
/// How long requests took.
const DURATION: &str = "omnigate_request_duration_seconds";
/// What became of the items of requests: events, messages.
const OUTCOMES: &str = "omnigate_outcomes_total";
/// Work that waits.
const QUEUED: &str = "omnigate_queued";
/// Items that an operator must look at.
const PARKED: &str = "omnigate_parked";
/// Work that was begun and not settled.
const IN_FLIGHT: &str = "omnigate_in_flight";
/// Tasks that ended before they should.
const TASK_ENDS: &str = "omnigate_task_ends_total";
/// Version of the process.
const BUILD: &str = "omnigate_build_info";

/// Bounds of durations, in seconds: half a millisecond to half a minute.
const BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// All metrics of this process; clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Registry,
    requests: IntCounterVec,
    errors: IntCounterVec,
    duration: HistogramVec,
    outcomes: IntCounterVec,
    queued: IntGaugeVec,
    parked: IntGaugeVec,
    in_flight: IntGaugeVec,
    task_ends: IntCounterVec,
}

/// Rate, errors and duration of one role on one channel.
#[derive(Clone, Debug)]
pub struct Red {
    /// Requests taken.
    pub requests: IntCounter,
    /// Of these, failed.
    pub errors: IntCounter,
    /// Seconds they took.
    pub duration: Histogram,
}

/// A metric cannot be registered or written: a fault in this file.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

impl Metrics {
    /// Metrics in a registry of their own.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let gauge = |name, help, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let duration = HistogramOpts::new(DURATION, "seconds that requests took").buckets(BOUNDS.to_vec());
        let duration = HistogramVec::new(duration, &["role", "channel"])?;
        registry.register(Box::new(duration.clone()))?;
        let build = gauge(BUILD, "always 1; the version is a label", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self(Arc::new(Families {
            requests: counter(REQUESTS, "requests taken", &["role", "channel"])?,
            errors: counter(ERRORS, "requests that failed", &["role", "channel"])?,
            duration,
            outcomes: counter(
                OUTCOMES,
                "what became of events and messages",
                &["role", "channel", "outcome"],
            )?,
            queued: gauge(QUEUED, "work that waits", &["role", "queue"])?,
            parked: gauge(PARKED, "items that an operator must look at", &["role"])?,
            in_flight: gauge(IN_FLIGHT, "work begun and not settled", &["role", "work"])?,
            task_ends: counter(TASK_ENDS, "tasks that ended before they should", &["task"])?,
            registry,
        })))
    }

    /// The registry, for what a role counts beyond this.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Rate, errors and duration of a role on a channel; the channel is empty where there is none.
    #[must_use]
    pub fn red(&self, role: Role, channel: &str) -> Red {
        let labels = &[role.as_str(), channel];
        Red {
            requests: self.0.requests.with_label_values(labels),
            errors: self.0.errors.with_label_values(labels),
            duration: self.0.duration.with_label_values(labels),
        }
    }

    /// Counts one kind of outcome, such as `accepted`, `refused`, `duplicate`, `unknown`.
    #[must_use]
    pub fn outcome(&self, role: Role, channel: &str, outcome: &'static str) -> IntCounter {
        self.0.outcomes.with_label_values(&[role.as_str(), channel, outcome])
    }

    /// How much waits in a queue, as far as the role knows.
    #[must_use]
    pub fn queued(&self, role: Role, queue: &str) -> IntGauge {
        self.0.queued.with_label_values(&[role.as_str(), queue])
    }

    /// How many items a role has parked.
    #[must_use]
    pub fn parked(&self, role: Role) -> IntGauge {
        self.0.parked.with_label_values(&[role.as_str()])
    }

    /// How much of a kind of work is in flight, such as `pushes` or `sends`.
    #[must_use]
    pub fn in_flight(&self, role: Role, work: &'static str) -> IntGauge {
        self.0.in_flight.with_label_values(&[role.as_str(), work])
    }

    /// Counts the early ends of a supervised task.
    #[must_use]
    pub fn task_ends(&self, task: &'static str) -> IntCounter {
        self.0.task_ends.with_label_values(&[task])
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.0.registry.gather())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_the_same_labels_count_together() {
        let metrics = Metrics::new().unwrap();
        metrics.red(Role::Ingest, "sms").errors.inc();
        metrics.clone().red(Role::Ingest, "sms").errors.inc();
        metrics.red(Role::Ingest, "sms").duration.observe(0.002);
        metrics.outcome(Role::Unify, "sms", "duplicate").inc_by(5);
        metrics.in_flight(Role::Ingest, "pushes").set(7);
        metrics.queued(Role::Unify, "omnigate.inbound.03").set(2);
        metrics.parked(Role::Unify).inc();
        metrics.task_ends("consumer").inc();
        let text = metrics.render().unwrap();
        for line in [
            r#"omnigate_errors_total{channel="sms",role="ingest"} 2"#,
            r#"omnigate_request_duration_seconds_bucket{channel="sms",role="ingest",le="0.0025"} 1"#,
            r#"omnigate_outcomes_total{channel="sms",outcome="duplicate",role="unify"} 5"#,
            r#"omnigate_in_flight{role="ingest",work="pushes"} 7"#,
            r#"omnigate_queued{queue="omnigate.inbound.03",role="unify"} 2"#,
            r#"omnigate_parked{role="unify"} 1"#,
            r#"omnigate_task_ends_total{task="consumer"} 1"#,
            "omnigate_build_info{version=",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
