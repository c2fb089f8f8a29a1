//! What the role counts, and nothing else that has a name.

use crate::{gate::Load, line::Outlet};
use omnigate_proto::v1::PushStatus;
use omnigate_runtime::{
    role::Role,
    telemetry::metrics::{Metrics as Shared, Red},
};
use std::time::Duration;

/// Counters of one ingest.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    shared: Shared,
    pushes: Red,
}

impl Metrics {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            pushes: shared.red(Role::Ingest, ""),
            shared,
        }
    }

    /// A push was answered, after this long.
    pub(crate) fn push(&self, took: Duration, error: Option<&'static str>) {
        self.pushes.requests.inc();
        self.pushes.duration.observe(took.as_secs_f64());
        if let Some(reason) = error {
            self.pushes.errors.inc();
            self.shared.outcome(Role::Ingest, "", reason).inc();
        }
    }

    /// So many events of a channel ended like this; the channel of a parked event is not known.
    pub(crate) fn events(&self, channel: &str, status: PushStatus, count: u64) {
        let outcome = match status {
            PushStatus::Unspecified | PushStatus::Accepted => "accepted",
            PushStatus::Refused => "refused",
            PushStatus::Parked => "parked",
        };
        self.shared.outcome(Role::Ingest, channel, outcome).inc_by(count);
    }

    pub(crate) fn identifiers_removed(&self, channel: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.shared
            .outcome(Role::Ingest, channel, "identifier_removed")
            .inc_by(count);
    }

    pub(crate) fn confirmed(&self, outlet: &Outlet) {
        let outcome = match outlet {
            Outlet::Batches(_) => "batch_confirmed",
            Outlet::Singles(_) => "parked_confirmed",
            Outlet::Log(_) => "raw_confirmed",
        };
        self.shared.outcome(Role::Ingest, "", outcome).inc();
    }

    pub(crate) fn resent(&self) {
        self.shared.outcome(Role::Ingest, "", "batch_resent").inc();
    }

    pub(crate) fn in_flight(&self, held: Load) {
        let gauge = |work, count| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.shared.in_flight(Role::Ingest, work).set(count);
        };
        gauge("events", held.events);
        gauge("bytes", held.bytes);
    }
}
