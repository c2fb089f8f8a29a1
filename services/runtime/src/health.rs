//! Health: whether the process lives, and whether it is ready for work.
//!
//! *Live* is answered by the process as such. *Ready* needs all latches opened and all checks content. Checks read what is
//! known anyway and have no side effects. The way to ready is taken at once; the way back only when it lasts, so that a
//! reconnect of a second takes no replica out of service.

pub mod admin;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long a ready process must be unwell before it says so.
const DAMPING: Duration = Duration::from_secs(3);

/// A check: `Err` says what is wrong.
type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The health of this process; clones are the same.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    damping: Duration,
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// Number of closed latches by name.
    latches: BTreeMap<&'static str, u32>,
    checks: BTreeMap<&'static str, Arc<Check>>,
    ready: bool,
    unwell_since: Option<Instant>,
    stopping: bool,
}

/// Keeps the process from being ready until it is dropped.
#[must_use = "dropping the latch says that it is ready"]
pub struct Latch {
    shared: Arc<Shared>,
    name: &'static str,
}

/// What the process says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Whether it is ready for work.
    pub ready: bool,
    /// What is unwell by name, with the reason; may have entries for a while although ready.
    pub unwell: BTreeMap<String, String>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Health")
            .field(&*self.shared.ready.borrow())
            .finish()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Latch").field(&self.name).finish()
    }
}

impl Health {
    /// Not ready, until looked at for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::with_damping(DAMPING)
    }

    /// As [`Health::new`], with another damping.
    #[must_use]
    pub fn with_damping(damping: Duration) -> Self {
        let (ready, _) = watch::channel(false);
        let state = Mutex::new(State::default());
        Self {
            shared: Arc::new(Shared { damping, state, ready }),
        }
    }

    /// Closes a latch: the process is not ready before it is dropped.
    pub fn latch(&self, name: &'static str) -> Latch {
        *self.shared.lock().latches.entry(name).or_default() += 1;
        let shared = Arc::clone(&self.shared);
        Latch { shared, name }
    }

    /// Adds a check, or replaces the one of this name. It is called often and from another thread: it only reads.
    pub fn check(&self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.shared.lock().checks.insert(name, Arc::new(Box::new(check)));
    }

    /// Readiness as it changes, for gRPC health. Somebody must look: the admin server does.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// Says "not ready" from now on, undamped: the process is about to stop.
    pub fn stop(&self) {
        self.shared.lock().stopping = true;
        self.report(Instant::now());
    }

    /// Looks at everything.
    pub fn report(&self, now: Instant) -> Report {
        let checks: Vec<(&'static str, Arc<Check>)> = {
            let state = self.shared.lock();
            state
                .checks
                .iter()
                .map(|(name, check)| (*name, Arc::clone(check)))
                .collect()
        };
        // Checks run outside the lock: a slow one must not hold up a latch.
        let mut unwell = BTreeMap::new();
        for (name, check) in checks {
            if let Err(problem) = check() {
                unwell.insert(name.to_owned(), problem);
            }
        }
        let mut state = self.shared.lock();
        for name in state.latches.keys() {
            unwell.insert((*name).to_owned(), "is starting".to_owned());
        }
        if state.stopping {
            unwell.insert("process".to_owned(), "is stopping".to_owned());
        }
        let was_ready = state.ready;
        let ready = state.decide(unwell.is_empty(), now, self.shared.damping);
        // Sent under the lock, so that reports from two threads cannot overtake each other.
        self.shared
            .ready
            .send_if_modified(|told| std::mem::replace(told, ready) != ready);
        drop(state);
        if was_ready != ready {
            tracing::info!(ready, ?unwell, "readiness changed");
        }
        Report { ready, unwell }
    }
}

impl State {
    /// Ready at once; not ready when unwell for longer than the damping, or stopping.
    fn decide(&mut self, well: bool, now: Instant, damping: Duration) -> bool {
        if well {
            self.unwell_since = None;
            self.ready = true;
        } else {
            let since = *self.unwell_since.get_or_insert(now);
            let lasts = now.saturating_duration_since(since) >= damping;
            self.ready = self.ready && !lasts && !self.stopping;
        }
        self.ready
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(count) = state.latches.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                state.latches.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Health with one check that a switch makes unwell.
    fn switched() -> (Health, Arc<AtomicBool>, Instant) {
        let health = Health::with_damping(Duration::from_secs(3));
        let broken = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&broken);
        health.check("broker", move || {
            if switch.load(Ordering::SeqCst) {
                Err("is away".to_owned())
            } else {
                Ok(())
            }
        });
        (health, broken, Instant::now())
    }

    #[test]
    fn ready_when_the_last_latch_is_dropped() {
        let health = Health::new();
        let (first, second) = (health.latch("listener"), health.latch("listener"));
        let now = Instant::now();
        assert_eq!(health.report(now).unwell["listener"], "is starting");
        drop(first);
        assert!(!health.report(now).ready);
        drop(second);
        assert_eq!(
            health.report(now),
            Report {
                ready: true,
                unwell: BTreeMap::new()
            }
        );
        assert!(*health.watch().borrow());
    }

    #[test]
    fn the_way_back_is_damped_and_the_way_to_ready_is_not() {
        let (health, broken, start) = switched();
        let at = |seconds| start + Duration::from_secs(seconds);
        broken.store(true, Ordering::SeqCst);
        assert!(!health.report(at(0)).ready, "never ready before");
        broken.store(false, Ordering::SeqCst);
        assert!(health.report(at(0)).ready, "at once");
        broken.store(true, Ordering::SeqCst);
        let report = health.report(at(1));
        assert!(report.ready && report.unwell["broker"] == "is away", "damped, but told");
        assert!(health.report(at(3)).ready);
        assert!(!health.report(at(4)).ready, "three seconds are over");
        broken.store(false, Ordering::SeqCst);
        assert!(health.report(at(5)).ready, "at once");
        broken.store(true, Ordering::SeqCst);
        assert!(health.report(at(9)).ready, "counted anew");
    }

    #[test]
    fn stopping_is_not_damped() {
        let (health, _, now) = switched();
        assert!(health.report(now).ready);
        let watch = health.watch();
        health.stop();
        assert!(!*watch.borrow());
        assert_eq!(health.report(now).unwell["process"], "is stopping");
    }
}
