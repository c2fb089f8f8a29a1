//! Metric names of the role, and nothing else that has a name.

use crate::{gate::Load, line::Outlet};
use omnigate_proto::v1::PushStatus;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of one ingest.
#[derive(Clone, Debug)]
pub struct Metrics {
    events: IntCounterVec,
    batches: IntCounterVec,
    resends: IntCounter,
    turned_away: IntCounterVec,
    identifiers_removed: IntCounter,
    in_flight_events: IntGauge,
    in_flight_bytes: IntGauge,
}

impl Metrics {
    /// Registers the role's metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name, help| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let plain = |name, help| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            events: counter(
                "omnigate_ingest_events_total",
                "Events pushed, by what became of them",
                &["status"],
            )?,
            batches: counter(
                "omnigate_ingest_batches_total",
                "Messages that the broker confirmed, by kind",
                &["kind"],
            )?,
            resends: plain(
                "omnigate_ingest_resends_total",
                "Batches sent again because the broker did not confirm",
            )?,
            turned_away: counter(
                "omnigate_ingest_pushes_turned_away_total",
                "Pushes answered with an error, by reason",
                &["reason"],
            )?,
            identifiers_removed: plain(
                "omnigate_ingest_identifiers_removed_total",
                "Identifiers of events that had no canonical form",
            )?,
            in_flight_events: gauge(
                "omnigate_ingest_in_flight_events",
                "Events held until the broker confirms them",
            )?,
            in_flight_bytes: gauge(
                "omnigate_ingest_in_flight_bytes",
                "Bytes held until the broker confirms them",
            )?,
        })
    }

    pub(crate) fn answered(&self, status: PushStatus) {
        let status = match status {
            PushStatus::Unspecified | PushStatus::Accepted => "accepted",
            PushStatus::Refused => "refused",
            PushStatus::Parked => "parked",
        };
        self.events.with_label_values(&[status]).inc();
    }

    pub(crate) fn confirmed(&self, outlet: &Outlet) {
        let kind = match outlet {
            Outlet::Batches(_) => "inbound",
            Outlet::Singles(_) => "parked",
            Outlet::Log(_) => "raw",
        };
        self.batches.with_label_values(&[kind]).inc();
    }

    pub(crate) fn resent(&self) {
        self.resends.inc();
    }

    pub(crate) fn turned_away(&self, reason: &str) {
        self.turned_away.with_label_values(&[reason]).inc();
    }

    pub(crate) fn removed(&self, identifiers: usize) {
        self.identifiers_removed
            .inc_by(u64::try_from(identifiers).unwrap_or(u64::MAX));
    }

    pub(crate) fn in_flight(&self, held: Load) {
        self.in_flight_events
            .set(i64::try_from(held.events).unwrap_or(i64::MAX));
        self.in_flight_bytes.set(i64::try_from(held.bytes).unwrap_or(i64::MAX));
    }
}
