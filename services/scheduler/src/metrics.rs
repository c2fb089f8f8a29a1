//! Metric names of the role, and nothing else that has a name.

use omnigate_core::protocol::campaign::Forgotten;
use omnigate_core::protocol::identity::repair::Mended;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of one scheduler.
#[derive(Clone, Debug)]
pub struct Metrics {
    groups: IntGauge,
    timers: IntCounter,
    hints: IntCounter,
    leftovers: IntCounter,
    parked: IntCounter,
    failures: IntCounter,
    delivered: IntCounter,
    undelivered: IntCounter,
    given_up: IntCounter,
    resealed: IntCounter,
    former_keys: IntGauge,
    trimmed: IntCounter,
    sweeps: Sweeps,
    forgotten: IntCounterVec,
}

/// Counters of sweeps for what a failover of the store lost.
#[derive(Clone, Debug)]
struct Sweeps {
    begun: IntCounterVec,
    customers: IntCounter,
    identifiers: IntCounter,
    repairs: IntCounterVec,
}

/// Submissions that were announced, and that the store had forgotten at a failover.
fn forgotten(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let options = Opts::new(
        "omnigate_scheduler_forgotten_submissions_total",
        "Announced submissions of campaigns that a failover of the store had lost, by what was made of them",
    );
    let counters = IntCounterVec::new(options, &["kind"])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

impl Sweeps {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name, help, label| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        Ok(Self {
            begun: counters(
                "omnigate_scheduler_identity_sweeps_total",
                "Sweeps of a group of shards for what a failover of the store lost, by cause",
                "cause",
            )?,
            customers: counter(
                "omnigate_scheduler_identity_swept_customers_total",
                "Customers that sweeps looked at",
            )?,
            identifiers: counter(
                "omnigate_scheduler_identity_swept_identifiers_total",
                "Identifiers that sweeps looked at",
            )?,
            repairs: counters(
                "omnigate_scheduler_identity_repairs_total",
                "What sweeps put right, by kind",
                "kind",
            )?,
        })
    }
}

impl Metrics {
    /// Registers the role's metrics.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let groups = IntGauge::new(
            "omnigate_scheduler_groups",
            "Groups of shards that this process looks after",
        )?;
        registry.register(Box::new(groups.clone()))?;
        let former_keys = IntGauge::new(
            "omnigate_scheduler_former_keys_needed",
            "1 until this process knows that everything is sealed with the present key of the operator",
        )?;
        former_keys.set(1);
        registry.register(Box::new(former_keys.clone()))?;
        Ok(Self {
            groups,
            timers: counter("omnigate_scheduler_timers_total", "Timers that fired")?,
            hints: counter("omnigate_scheduler_hints_total", "Messages hinted because of a timer")?,
            leftovers: counter(
                "omnigate_scheduler_leftovers_total",
                "Customer events published because their committer did not",
            )?,
            parked: counter(
                "omnigate_scheduler_parked_total",
                "Parked messages carried to the store",
            )?,
            delivered: counter(
                "omnigate_scheduler_webhooks_delivered_total",
                "Events that receivers of outgoing webhooks took",
            )?,
            undelivered: counter(
                "omnigate_scheduler_webhooks_failed_total",
                "Attempts at outgoing webhooks that failed; they are repeated for a day",
            )?,
            given_up: counter(
                "omnigate_scheduler_webhooks_given_up_total",
                "Events that a receiver of outgoing webhooks did not take for a day",
            )?,
            former_keys,
            resealed: counter(
                "omnigate_scheduler_resealed_total",
                "Threads sealed anew with the present key of the operator",
            )?,
            trimmed: counter(
                "omnigate_scheduler_trimmed_total",
                "Entries taken from timelines because their tenant keeps no more, or not for so long",
            )?,
            sweeps: Sweeps::new(registry)?,
            forgotten: forgotten(registry)?,
            failures: counter(
                "omnigate_scheduler_failures_total",
                "Timers that could not be looked at; they are looked at again",
            )?,
        })
    }

    pub(crate) fn groups(&self, held: usize) {
        self.groups.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    pub(crate) fn fired(&self) {
        self.timers.inc();
    }

    pub(crate) fn hinted(&self) {
        self.hints.inc();
    }

    pub(crate) fn left_over(&self, events: usize) {
        self.leftovers.inc_by(u64::try_from(events).unwrap_or(u64::MAX));
    }

    pub(crate) fn parked(&self) {
        self.parked.inc();
    }

    pub(crate) fn delivered(&self) {
        self.delivered.inc();
    }

    pub(crate) fn undelivered(&self) {
        self.undelivered.inc();
    }

    pub(crate) fn trimmed(&self, entries: usize) {
        self.trimmed.inc_by(u64::try_from(entries).unwrap_or(u64::MAX));
    }

    pub(crate) fn gave_up(&self) {
        self.given_up.inc();
    }

    pub(crate) fn resealed(&self, threads: u64) {
        self.resealed.inc_by(threads);
    }

    pub(crate) fn all_sealed(&self) {
        self.former_keys.set(0);
    }

    pub(crate) fn sweeps(&self, cause: &str) {
        self.sweeps.begun.with_label_values(&[cause]).inc();
    }

    pub(crate) fn mended(&self, mended: &Mended) {
        self.sweeps.customers.inc_by(mended.customers);
        self.sweeps.identifiers.inc_by(mended.identifiers);
        for repair in &mended.repairs {
            self.sweeps.repairs.with_label_values(&[repair.name()]).inc();
        }
    }

    pub(crate) fn made_up(&self, found: Forgotten) {
        let kinds = [
            ("submission", found.submissions),
            ("row", found.rows),
            ("unplaced", found.unplaced),
        ];
        for (kind, count) in kinds {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.forgotten.with_label_values(&[kind]).inc_by(count);
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
