//! Graceful stop: phases in a fixed order, each with a budget, and a watchdog behind them.
//!
//! Intake is closed first, then what is in flight is settled, then publications are flushed, then fetches of tokens are
//! finished, then broker and store are closed, and health answers until the end. A phase ends when its tasks have ended or its budget is spent; a phase that is
//! cut does not keep the later ones from being run.

pub mod signal;
mod watchdog;

use crate::config;
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// A phase of the stop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Close listeners, sessions and consumers: nothing new comes in.
    Intake,
    /// Settle what is in flight.
    InFlight,
    /// Flush publications and batches.
    Flush,
    /// Finish what nobody can do again: the pair of tokens that a provider may have handed out is fetched and written down.
    Tokens,
    /// Close broker and store.
    Close,
    /// Telemetry and health, last.
    Health,
}

/// How long each phase may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budgets {
    /// For [`Phase::Intake`].
    pub intake: Duration,
    /// For [`Phase::InFlight`].
    pub in_flight: Duration,
    /// For [`Phase::Flush`].
    pub flush: Duration,
    /// For [`Phase::Tokens`].
    pub tokens: Duration,
    /// For [`Phase::Close`].
    pub close: Duration,
    /// For [`Phase::Health`].
    pub health: Duration,
}

/// Why the process stops.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Somebody asked: a signal, a test, the end of a command.
    Asked(String),
    /// A task without which the process is of no use ended.
    TaskEnded {
        /// Its name.
        task: &'static str,
        /// How it ended.
        problem: String,
    },
}

/// How a stop went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Why the process stopped.
    pub reason: Reason,
    /// Phases that were cut, with the number of tasks that had not ended; empty when the drain finished.
    pub cut: Vec<(Phase, usize)>,
}

/// The stop of one process; clones are the same.
#[derive(Clone, Debug)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    asked: CancellationToken,
    reason: OnceLock<Reason>,
    budgets: Budgets,
    phases: [Step; 6],
}

/// One phase: what says that it has begun, and who must end before it is over.
#[derive(Debug)]
struct Step {
    begun: CancellationToken,
    tasks: TaskTracker,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 6] = [
        Self::Intake,
        Self::InFlight,
        Self::Flush,
        Self::Tokens,
        Self::Close,
        Self::Health,
    ];

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Intake => "intake",
            Self::InFlight => "in flight",
            Self::Flush => "flush",
            Self::Tokens => "tokens",
            Self::Close => "close",
            Self::Health => "health",
        })
    }
}

impl From<&config::Budgets> for Budgets {
    fn from(budgets: &config::Budgets) -> Self {
        Self {
            intake: Duration::from_secs(budgets.intake_seconds),
            in_flight: Duration::from_secs(budgets.in_flight_seconds),
            flush: Duration::from_secs(budgets.flush_seconds),
            tokens: Duration::from_secs(budgets.tokens_seconds),
            close: Duration::from_secs(budgets.close_seconds),
            health: Duration::from_secs(budgets.health_seconds),
        }
    }
}

impl Budgets {
    /// Budget of a phase.
    #[must_use]
    pub const fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Intake => self.intake,
            Phase::InFlight => self.in_flight,
            Phase::Flush => self.flush,
            Phase::Tokens => self.tokens,
            Phase::Close => self.close,
            Phase::Health => self.health,
        }
    }

    /// What a task may take to finish by itself in its phase: less than the phase, at whose end it is cut off.
    #[must_use]
    pub fn drain(&self, phase: Phase) -> Duration {
        self.of(phase) * 4 / 5
    }

    /// After this long the watchdog ends the process: what the phases may take together, and five seconds.
    #[must_use]
    pub fn watchdog(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(5);
        Phase::ALL.into_iter().map(|phase| self.of(phase)).sum::<Duration>() + MARGIN
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(why) => formatter.write_str(why),
            Self::TaskEnded { task, problem } => write!(formatter, "task {task} ended: {problem}"),
        }
    }
}

impl Outcome {
    /// Exit code of the process: 0 after a finished drain that was asked for.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (&self.reason, self.cut.is_empty()) {
            (Reason::Asked(_), true) => 0,
            (Reason::Asked(_), false) => 3,
            (Reason::TaskEnded { .. }, _) => 1,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut.is_empty() {
            return formatter.write_str("drain finished");
        }
        formatter.write_str("drain was cut:")?;
        for (phase, tasks) in &self.cut {
            write!(formatter, " {phase} ({tasks} tasks had not ended)")?;
        }
        Ok(())
    }
}

impl Stop {
    /// A stop that has not begun.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        let step = || Step {
            begun: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(Shared {
                asked: CancellationToken::new(),
                reason: OnceLock::new(),
                budgets,
                phases: [step(), step(), step(), step(), step(), step()],
            }),
        }
    }

    /// Asks the process to stop. The first reason counts.
    pub fn request(&self, reason: Reason) {
        if self.shared.reason.set(reason.clone()).is_ok() {
            tracing::info!(%reason, "stopping");
        }
        self.shared.asked.cancel();
    }

    /// Completes when somebody asked for the stop.
    pub async fn requested(&self) {
        self.shared.asked.cancelled().await;
    }

    /// Cancelled when the phase begins; a child, so that cancelling it touches nobody else.
    #[must_use]
    pub fn token(&self, phase: Phase) -> CancellationToken {
        self.step(phase).begun.child_token()
    }

    /// Tasks that must end before the phase is over.
    #[must_use]
    pub fn tasks(&self, phase: Phase) -> &TaskTracker {
        &self.step(phase).tasks
    }

    /// Keeps the phase from ending until it is dropped, for work that is no task.
    pub fn hold(&self, phase: Phase) -> TaskTrackerToken {
        self.step(phase).tasks.token()
    }

    /// Waits until the stop is asked for, then goes through the phases. The watchdog ends the process if that hangs.
    pub async fn run(&self) -> Outcome {
        self.requested().await;
        let watchdog = watchdog::start(self.shared.budgets.watchdog(), || {
            tracing::error!("stop took longer than its budgets, ending the process");
            std::process::exit(4);
        });
        let outcome = self.phases().await;
        drop(watchdog);
        outcome
    }

    async fn phases(&self) -> Outcome {
        let mut cut = Vec::new();
        for phase in Phase::ALL {
            let Step { begun, tasks } = self.step(phase);
            tracing::debug!(%phase, tasks = tasks.len(), "stop phase begins");
            begun.cancel();
            tasks.close();
            if tokio::time::timeout(self.shared.budgets.of(phase), tasks.wait())
                .await
                .is_err()
            {
                tracing::warn!(%phase, tasks = tasks.len(), "stop phase was cut");
                cut.push((phase, tasks.len()));
            }
        }
        let asked = || Reason::Asked("nobody said why".to_owned());
        let reason = self.shared.reason.get().cloned().unwrap_or_else(asked);
        Outcome { reason, cut }
    }

    fn step(&self, phase: Phase) -> &Step {
        &self.shared.phases[phase.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn budgets(in_flight: Duration) -> Budgets {
        let second = Duration::from_secs(1);
        Budgets {
            intake: second,
            in_flight,
            flush: second,
            tokens: second,
            close: second,
            health: second,
        }
    }

    fn asked() -> Reason {
        Reason::Asked("test".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn phases_come_in_order_and_wait_for_their_tasks() {
        let stop = Stop::new(budgets(Duration::from_secs(10)));
        let log = Arc::new(Mutex::new(Vec::new()));
        for phase in Phase::ALL.into_iter().rev() {
            let (token, log) = (stop.token(phase), Arc::clone(&log));
            stop.tasks(phase).spawn(async move {
                token.cancelled().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                log.lock().unwrap().push(phase);
            });
        }
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { stop.run().await }
        });
        tokio::task::yield_now().await;
        assert!(log.lock().unwrap().is_empty(), "nothing before it is asked for");
        stop.request(asked());
        stop.request(Reason::Asked("second".to_owned()));
        let outcome = running.await.unwrap();
        assert_eq!(*log.lock().unwrap(), Phase::ALL);
        assert_eq!(
            outcome,
            Outcome {
                reason: asked(),
                cut: vec![]
            }
        );
        assert_eq!(
            (outcome.exit_code(), outcome.to_string().as_str()),
            (0, "drain finished")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_phase_that_hangs_is_cut_and_the_rest_still_runs() {
        let stop = Stop::new(budgets(Duration::from_secs(2)));
        let held = stop.hold(Phase::InFlight);
        let closed = stop.token(Phase::Close);
        stop.request(asked());
        let outcome = stop.run().await;
        assert_eq!(outcome.cut, [(Phase::InFlight, 1)]);
        assert!(closed.is_cancelled());
        assert_eq!(outcome.exit_code(), 3);
        assert_eq!(outcome.to_string(), "drain was cut: in flight (1 tasks had not ended)");
        drop(held);
    }

    #[test]
    fn the_watchdog_waits_five_seconds_longer_than_all_phases() {
        assert_eq!(budgets(Duration::from_secs(10)).watchdog(), Duration::from_secs(20));
    }
}
