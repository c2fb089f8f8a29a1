//! What the role counts, and nothing else that has a name.

use omnigate_proto::v1::ErrorClass;
use omnigate_runtime::{role::Role, telemetry::metrics::Metrics as Shared};
use std::time::Duration;

/// Counters of one edge.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Shared);

/// Where an account's session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SessionState {
    /// Asking for the lease.
    Waiting,
    /// Another process holds it.
    HeldElsewhere,
    /// Runs here.
    Running,
    /// Ended and starts again soon.
    Pausing,
    /// Will not work until somebody changes something.
    Misconfigured,
}

impl SessionState {
    const fn gauge(self) -> &'static str {
        match self {
            Self::Waiting => "sessions_waiting",
            Self::HeldElsewhere => "sessions_held_elsewhere",
            Self::Running => "sessions_running",
            Self::Pausing => "sessions_pausing",
            Self::Misconfigured => "sessions_misconfigured",
        }
    }
}

/// Counts one session among those of its state, as long as it lives.
#[derive(Debug)]
pub(crate) struct SessionGauge {
    shared: Shared,
    state: Option<SessionState>,
}

impl SessionGauge {
    pub(crate) fn set(&mut self, state: SessionState) {
        self.leave();
        self.shared.in_flight(Role::Edge, state.gauge()).inc();
        self.state = Some(state);
    }

    fn leave(&mut self) {
        if let Some(state) = self.state.take() {
            self.shared.in_flight(Role::Edge, state.gauge()).dec();
        }
    }
}

impl Drop for SessionGauge {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Metrics {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self(shared)
    }

    /// A webhook request of a channel was answered; the channel of an unknown app is empty.
    pub(crate) fn webhook(&self, channel: &str, outcome: &'static str, took: Duration) {
        let red = self.0.red(Role::Edge, channel);
        red.requests.inc();
        red.duration.observe(took.as_secs_f64());
        if !matches!(outcome, "accepted" | "empty") {
            red.errors.inc();
        }
        self.0.outcome(Role::Edge, channel, outcome).inc();
    }

    pub(crate) fn pushed(&self, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.0.outcome(Role::Edge, "", "push_confirmed").inc();
        self.0.outcome(Role::Edge, "", "event_confirmed").inc_by(events);
    }

    pub(crate) fn not_pushed(&self) {
        self.0.outcome(Role::Edge, "", "push_failed").inc();
    }

    /// Ingest refused an event; it was pushed again as an unsupported one.
    pub(crate) fn refused(&self) {
        self.0.outcome(Role::Edge, "", "event_refused").inc();
    }

    /// A piece was sent through a channel, or was not.
    pub(crate) fn sent(&self, channel: &str, error: Option<ErrorClass>) {
        let outcome = match error {
            None => "send_accepted",
            Some(ErrorClass::Throttled) => "send_throttled",
            Some(ErrorClass::NotSent) => "send_not_sent",
            Some(ErrorClass::Unspecified | ErrorClass::Ambiguous) => "send_ambiguous",
            Some(_) => "send_refused",
        };
        self.0.outcome(Role::Edge, channel, outcome).inc();
    }

    /// A piece was sent by another edge, which counts what became of it.
    pub(crate) fn handed_on(&self, channel: &str) {
        self.0.outcome(Role::Edge, channel, "send_handed_on").inc();
    }

    pub(crate) fn session(&self) -> SessionGauge {
        SessionGauge {
            shared: self.0.clone(),
            state: None,
        }
    }
}
