//! Metric names of the role, and nothing else that has a name.

use omnigate_proto::v1::SendError;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use std::time::Duration;

/// Counters of one dispatch.
#[derive(Clone, Debug)]
pub struct Metrics {
    hints: IntCounterVec,
    submissions: IntCounterVec,
    call_seconds: Histogram,
    in_flight: IntGauge,
    intents_unconfirmed: IntCounter,
    news_left: IntCounter,
}

impl Metrics {
    /// Registers the role's metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name, help, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let counter = |name, help| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let call_seconds = Histogram::with_opts(HistogramOpts::new(
            "omnigate_dispatch_call_seconds",
            "How long adapters take to answer a submission",
        ))?;
        registry.register(Box::new(call_seconds.clone()))?;
        let in_flight = IntGauge::new("omnigate_dispatch_in_flight", "Messages that are worked on")?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
            hints: counters(
                "omnigate_dispatch_hints_total",
                "Hints taken, by what came of them",
                &["result"],
            )?,
            submissions: counters(
                "omnigate_dispatch_submissions_total",
                "Submissions of pieces, by what the provider said",
                &["account", "outcome"],
            )?,
            call_seconds,
            in_flight,
            intents_unconfirmed: counter(
                "omnigate_dispatch_intents_unconfirmed_total",
                "Intent records sent again because the broker did not confirm",
            )?,
            news_left: counter(
                "omnigate_dispatch_news_left_total",
                "Hints and customer events left to the scheduler because too many waited",
            )?,
        })
    }

    pub(crate) fn hint(&self, result: &str) {
        self.hints.with_label_values(&[result]).inc();
    }

    pub(crate) fn submitted(&self, account: &str, failure: Option<&SendError>, took: Duration) {
        let outcome = failure.map_or("ACCEPTED", |error| error.class().as_str_name());
        self.submissions.with_label_values(&[account, outcome]).inc();
        self.call_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn in_flight(&self, change: i64) {
        self.in_flight.add(change);
    }

    pub(crate) fn intent_unconfirmed(&self) {
        self.intents_unconfirmed.inc();
    }

    pub(crate) fn news_left(&self) {
        self.news_left.inc();
    }
}
