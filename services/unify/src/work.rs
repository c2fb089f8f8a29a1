//! Applies the events of a run, and decides what becomes of one that cannot be applied.
//!
//! An event that fails for a reason of its own is tried a few times alone, each attempt written down before it begins, and
//! then parked; its thread goes on. A store that is away is nobody's own reason: nothing is counted, everything comes again.

use crate::engine::Engine;
use crate::intake::{Item, Work};
use crate::publisher::Publishers;
use futures_util::FutureExt as _;
use omnigate_core::append::Arrival;
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::append::Applied;
use omnigate_core::protocol::{Stop, append, park, receipt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Conflicts with others end by themselves: so many times the usual attempts are granted to them.
const PATIENCE: u32 = 4;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// All its events took effect, had taken it before, or are parked.
    Done,
    /// The store cannot be worked with: the events must come again.
    Away,
}

/// Why an attempt failed.
enum Failure {
    Away,
    Own { words: String, patience: u32 },
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        let patience = match stop {
            Stop::Store(StoreError::Unavailable(_)) => return Self::Away,
            Stop::Store(StoreError::Corrupt(_)) => 1,
            Stop::Contended(_) => PATIENCE,
        };
        Self::Own {
            words: stop.to_string(),
            patience,
        }
    }
}

/// Works on the events of one line.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) publishers: Publishers,
    /// Queue the events come from.
    pub(crate) origin: Arc<str>,
}

impl Worker {
    pub(crate) async fn run(&self, items: &[Item]) -> Ended {
        if items.iter().all(|item| !item.suspicious) {
            match self.apply(items).await {
                Ok(()) => return Ended::Done,
                Err(Failure::Away) => return self.away(),
                Err(Failure::Own { words, .. }) => {
                    tracing::warn!(events = items.len(), error = words, "events are tried one by one");
                }
            }
        }
        for item in items {
            if self.alone(item).await == Ended::Away {
                return Ended::Away;
            }
        }
        Ended::Done
    }

    fn away(&self) -> Ended {
        self.engine.away.report();
        Ended::Away
    }

    /// Resolve, commit, publish. A panic is a failure like any other.
    async fn apply(&self, items: &[Item]) -> Result<(), Failure> {
        let arrivals: Vec<Arrival> = items
            .iter()
            .filter_map(|item| match &item.work {
                Work::Append(arrival) | Work::Receipt(arrival) => Some(arrival.clone()),
                Work::Unfit(..) => None,
            })
            .collect();
        let Some(first) = arrivals.first() else {
            return Err(Failure::Own {
                words: "it cannot be read".to_owned(),
                patience: 0,
            });
        };
        let span = tracing::info_span!("apply", trace_id = first.event.trace_id);
        let context = self.engine.context();
        let decided = async {
            match items.first().map(|item| &item.work) {
                Some(Work::Receipt(receipt)) => receipt::apply(&context, receipt).await,
                _ => append::apply(&context, &arrivals).await,
            }
        };
        let decided = AssertUnwindSafe(Box::pin(decided.instrument(span)))
            .catch_unwind()
            .await;
        let mut applied: Applied = match decided {
            Ok(applied) => applied?,
            Err(_) => {
                return Err(Failure::Own {
                    words: "it panicked".to_owned(),
                    patience: 1,
                });
            }
        };
        self.engine.metrics.applied(&first.event.channel, &applied);
        self.publishers.publish(std::mem::take(&mut applied.outgoing)).await;
        Ok(())
    }

    /// Tries one event until it is applied or parked.
    async fn alone(&self, item: &Item) -> Ended {
        let arrival = match &item.work {
            Work::Unfit(reason, words) => return self.park(item, reason, words, 0).await,
            Work::Append(arrival) | Work::Receipt(arrival) => arrival,
        };
        let most = self.engine.settings.attempts;
        let (mut failure, mut patience) = (String::new(), 1);
        loop {
            let attempt = match park::attempt(&self.engine.context(), arrival.id, &failure).await {
                Ok(attempt) => attempt,
                Err(Stop::Store(StoreError::Unavailable(_))) => return self.away(),
                // What cannot be counted must not be tried for ever.
                Err(error) => {
                    return self.park(item, "attempts_exhausted", &error.to_string(), 0).await;
                }
            };
            if attempt > most.saturating_mul(patience) {
                let words = if failure.is_empty() {
                    "no attempt came to an end"
                } else {
                    &failure
                };
                return self.park(item, "attempts_exhausted", words, attempt - 1).await;
            }
            if attempt > 1 {
                let wait = self
                    .engine
                    .settings
                    .retry_after
                    .saturating_mul(1 << (attempt - 2).min(16));
                tokio::time::sleep(self.engine.around(wait.min(LONGEST_WAIT))).await;
            }
            match self.apply(std::slice::from_ref(item)).await {
                Ok(()) => return self.forget(arrival).await,
                Err(Failure::Away) => return self.away(),
                Err(Failure::Own {
                    words,
                    patience: granted,
                }) => (failure, patience) = (words, granted.max(1)),
            }
        }
    }

    /// Forgets the attempts; that may fail, they expire by themselves.
    async fn forget(&self, arrival: &Arrival) -> Ended {
        if let Err(error) = park::settled(&self.engine.context(), arrival.id).await {
            tracing::debug!(%error, "attempts stay written down");
        }
        Ended::Done
    }

    async fn park(&self, item: &Item, reason: &str, detail: &str, attempts: u32) -> Ended {
        let unfit = park::Unfit {
            stamped: &item.stamped,
            reason,
            detail,
            attempts,
            origin: &self.origin,
        };
        match park::park_event(&self.engine.context(), &unfit).await {
            Ok(parked_id) => {
                tracing::error!(%parked_id, reason, detail, attempts, "an event was parked");
                match &item.work {
                    Work::Append(arrival) | Work::Receipt(arrival) => {
                        self.engine.metrics.parked(&arrival.event.channel);
                        self.forget(arrival).await
                    }
                    Work::Unfit(..) => {
                        self.engine.metrics.parked("");
                        Ended::Done
                    }
                }
            }
            Err(Stop::Store(StoreError::Unavailable(_))) => self.away(),
            Err(error) => {
                tracing::error!(%error, reason, "an event could not be parked and comes again");
                Ended::Away
            }
        }
    }
}
