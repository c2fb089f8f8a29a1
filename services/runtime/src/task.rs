//! Supervised tasks: each has a name, belongs to a phase of the stop, and says what its early end means.

use crate::stop::{Phase, Reason, Stop};
use futures_util::FutureExt as _;
use std::{
    any::Any,
    error::Error,
    fmt,
    future::{Future, pending},
    panic::AssertUnwindSafe,
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Why a task ended.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// What the early end of a task means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExit {
    /// Without it the process is of no use: stop.
    StopNode,
    /// It is started again.
    Restart(Backoff),
    /// Its end is only logged.
    Log,
}

/// How long to wait before starting again: doubles from `least` to `most`, and begins anew after the task ran for longer
/// than `most`. A random part spreads replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// First wait.
    pub least: Duration,
    /// Longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            least: Duration::from_millis(100),
            most: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// Wait after this many failures in a row, counted from 0: half of it fixed, half by `random`.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u16) -> Duration {
        let doubled = self
            .least
            .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        let half = doubled.min(self.most) / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u16::MAX))
    }
}

/// How one run of a task ended.
enum End {
    Returned,
    Failed(TaskError),
    Panicked(String),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => formatter.write_str("returned early"),
            Self::Failed(error) => write!(formatter, "{}", chain(&**error)),
            Self::Panicked(text) => write!(formatter, "panicked: {text}"),
        }
    }
}

/// An error with its causes, as one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs a task until the phase begins in which it must end. `factory` makes one run of it and is given the token that says
/// so; a return after that is its orderly end, any other is early. Panics are ends like others.
pub fn supervise<F, R>(stop: &Stop, phase: Phase, name: &'static str, on_exit: OnExit, mut factory: F) -> JoinHandle<()>
where
    F: FnMut(CancellationToken) -> R + Send + 'static,
    R: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let token = stop.token(phase);
    let stop_node = stop.clone();
    stop.tasks(phase).spawn(async move {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let end = run(&mut factory, &token).await;
            if token.is_cancelled() {
                if !matches!(end, End::Returned) {
                    tracing::warn!(task = name, problem = %end, "task failed while stopping");
                }
                return;
            }
            tracing::error!(task = name, problem = %end, ?on_exit, "task ended early");
            let backoff = match on_exit {
                OnExit::Log => return,
                OnExit::StopNode => {
                    let problem = end.to_string();
                    return stop_node.request(Reason::TaskEnded { task: name, problem });
                }
                OnExit::Restart(backoff) => backoff,
            };
            failures = if begun.elapsed() > backoff.most { 0 } else { failures };
            tokio::select! {
                () = tokio::time::sleep(backoff.wait(failures, random())) => {}
                () = token.cancelled() => return,
            }
            failures = failures.saturating_add(1);
        }
    })
}

async fn run<F, R>(factory: &mut F, token: &CancellationToken) -> End
where
    F: FnMut(CancellationToken) -> R,
    R: Future<Output = Result<(), TaskError>>,
{
    // Nothing of the run outlives its panic but what it shares on purpose, behind locks that tell poison.
    let made = AssertUnwindSafe(async { factory(token.clone()).await });
    match made.catch_unwind().await {
        Ok(Ok(())) => End::Returned,
        Ok(Err(error)) => End::Failed(error),
        Err(panic) => End::Panicked(panic_text(&*panic)),
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// Random bits for spreading; without entropy the wait is the shortest.
fn random() -> u16 {
    let mut bytes = [0; 2];
    let drawn = getrandom::fill(&mut bytes);
    drawn.map(|()| u16::from_be_bytes(bytes)).unwrap_or_default()
}

/// Returns at a moment; never without one.
pub async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::{Budgets, Outcome};
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    fn stop() -> Stop {
        let second = Duration::from_secs(1);
        Stop::new(Budgets {
            intake: second,
            in_flight: second,
            flush: second,
            tokens: second,
            close: second,
            health: second,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_stops_the_node_says_which_task_and_why() {
        let stop = stop();
        supervise(&stop, Phase::Flush, "shipper", OnExit::StopNode, |_| async {
            Err("no ship".into())
        });
        let Outcome { reason, cut } = stop.run().await;
        assert_eq!(reason.to_string(), "task shipper ended: no ship");
        assert!(cut.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarted_task_survives_errors_panics_and_returns_until_the_stop() {
        let (stop, runs) = (stop(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let on_exit = OnExit::Restart(Backoff::default());
        let (settled, wait) = tokio::sync::oneshot::channel();
        let settled = Arc::new(std::sync::Mutex::new(Some(settled)));
        let task = supervise(&stop, Phase::Intake, "consumer", on_exit, move |token| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            let settled = Arc::clone(&settled);
            async move {
                match run {
                    0 => Err("lost".into()),
                    1 => panic!("broken"),
                    2 => Ok(()),
                    _ => {
                        settled.lock().unwrap().take().unwrap().send(()).unwrap();
                        token.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        wait.await.unwrap();
        stop.request(Reason::Asked("test".to_owned()));
        assert!(stop.run().await.cut.is_empty());
        task.await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_waiting_to_start_again_ends_at_the_stop() {
        let stop = stop();
        let on_exit = OnExit::Restart(Backoff {
            least: Duration::from_secs(3600),
            most: Duration::from_secs(3600),
        });
        let task = supervise(&stop, Phase::Intake, "slow", on_exit, |_| async { Ok(()) });
        tokio::task::yield_now().await;
        stop.request(Reason::Asked("test".to_owned()));
        assert!(stop.run().await.cut.is_empty());
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_only_logged_stops_nothing() {
        let stop = stop();
        let task = supervise(&stop, Phase::Intake, "extra", OnExit::Log, |_| async { Ok(()) });
        task.await.unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(9), stop.requested()).await;
        assert!(asked.is_err());
    }

    #[test]
    fn waits_double_up_to_the_most_and_are_spread() {
        let backoff = Backoff::default();
        let millis = |failures, random| backoff.wait(failures, random).as_millis();
        assert_eq!((millis(0, 0), millis(0, u16::MAX)), (50, 100));
        assert_eq!((millis(3, 0), millis(3, u16::MAX)), (400, 800));
        assert_eq!((millis(60, 0), millis(60, u16::MAX)), (5_000, 10_000));
    }
}
