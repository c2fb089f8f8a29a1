//! Applies the events of a run, and decides what becomes of one that cannot be applied.
//!
//! An event that fails for a reason of its own is tried a few times alone, each attempt written down before it begins, and
//! then parked; its thread goes on. A store that is away is nobody's own reason: nothing is counted, everything comes again.

use crate::engine::Engine;
use crate::intake::{Item, Work};
use crate::publisher::Publisher;
use futures_util::FutureExt as _;
use omnigate_core::append::Arrival;
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::append::Applied;
use omnigate_core::protocol::send::NotAccepted;
use omnigate_core::protocol::{Stop, append, confirm, echo, park, publish, receipt};
use omnigate_proto::state::v1::Stamped;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Conflicts with others end by themselves: so many times the usual attempts are granted to them.
const PATIENCE: u32 = 4;
/// How long an echo waits for the answer to a submission that is under way: providers send it at about the same time.
const ECHO_WAITS: Duration = Duration::from_secs(3);
/// First and longest pause between two looks for that answer.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

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
    pub(crate) publisher: Publisher,
    /// Queue the events come from.
    pub(crate) origin: Arc<str>,
}

/// Why an event is parked.
struct Fault<'a> {
    reason: &'a str,
    detail: &'a str,
    attempts: u32,
}

/// What the events of a run have in common.
#[derive(Clone, Copy)]
enum Kind {
    Append,
    Receipt,
}

impl Worker {
    pub(crate) async fn run(&self, items: Vec<Item>) -> Ended {
        let (mut kind, mut suspicious) = (Kind::Append, false);
        let (mut stamped, mut arrivals) = (Vec::new(), Vec::new());
        for item in items {
            match item.work {
                Work::Append(arrival) => arrivals.push(arrival),
                Work::Receipt(arrival) => {
                    kind = Kind::Receipt;
                    arrivals.push(arrival);
                }
                Work::Unfit(reason, words) => {
                    let (detail, attempts) = (words.as_str(), 0);
                    return self
                        .park(
                            &item.stamped,
                            None,
                            &Fault {
                                reason,
                                detail,
                                attempts,
                            },
                        )
                        .await;
                }
            }
            suspicious |= item.suspicious;
            stamped.push(item.stamped);
        }
        if !suspicious {
            match self.apply(kind, &arrivals).await {
                Ok(()) => return Ended::Done,
                Err(Failure::Away) => return self.away(),
                Err(Failure::Own { words, .. }) => {
                    tracing::warn!(events = arrivals.len(), error = words, "events are tried one by one");
                }
            }
        }
        for (stamped, arrival) in stamped.iter().zip(&arrivals) {
            if self.alone(kind, stamped, arrival).await == Ended::Away {
                return Ended::Away;
            }
        }
        Ended::Done
    }

    fn away(&self) -> Ended {
        self.engine.away.report();
        Ended::Away
    }

    /// Holds the thread up while it echoes a message of ours whose answer is about to be recorded.
    async fn let_answers_be_first(&self, arrivals: &[Arrival]) -> Result<(), Failure> {
        let until = Instant::now() + ECHO_WAITS;
        let (mut pause, longest) = LOOK_AGAIN;
        while echo::is_early(&self.engine.context(), arrivals).await? && Instant::now() < until {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
        Ok(())
    }

    /// Resolve, commit, publish. A panic is a failure like any other.
    async fn apply(&self, kind: Kind, arrivals: &[Arrival]) -> Result<(), Failure> {
        let Some(first) = arrivals.first() else {
            return Ok(());
        };
        let span = tracing::info_span!("apply", trace_id = first.event.trace_id);
        let context = self.engine.context();
        if matches!(kind, Kind::Append) {
            self.let_answers_be_first(arrivals).await?;
        }
        let decided = async {
            match kind {
                Kind::Append => append::apply(&context, arrivals).await,
                Kind::Receipt => receipt::apply(&context, first).await,
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
        self.publisher.publish(std::mem::take(&mut applied.outgoing)).await;
        for due in &applied.confirmations {
            self.confirm(due).await?;
        }
        Ok(())
    }

    /// Sends back that a wish was heard. The events count as applied only once it was accepted.
    async fn confirm(&self, due: &confirm::Due) -> Result<(), Failure> {
        match confirm::accept(&self.engine.context(), due).await {
            Ok(Some(accepted)) => {
                self.publisher.publish(accepted.outgoing).await;
                if let Err(error) = publish::hint(self.engine.broker.as_ref(), &accepted.record).await {
                    tracing::warn!(%error, "hint was not confirmed; the timer will look at it");
                }
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(NotAccepted::Stop(stop)) => Err(stop.into()),
            Err(refused) => {
                tracing::warn!(%refused, event = %due.confirmation.event, "a wish is not confirmed");
                Ok(())
            }
        }
    }

    /// Tries one event until it is applied or parked.
    async fn alone(&self, kind: Kind, stamped: &Stamped, arrival: &Arrival) -> Ended {
        const REASON: &str = "attempts_exhausted";
        let most = self.engine.settings.attempts;
        let (mut failure, mut patience) = (String::new(), 1);
        loop {
            let attempt = match park::attempt(&self.engine.context(), arrival.id, &failure).await {
                Ok(attempt) => attempt,
                Err(Stop::Store(StoreError::Unavailable(_))) => return self.away(),
                // What cannot be counted must not be tried for ever.
                Err(error) => {
                    let fault = Fault {
                        reason: REASON,
                        detail: &error.to_string(),
                        attempts: 0,
                    };
                    return self.park(stamped, Some(arrival), &fault).await;
                }
            };
            if attempt > most.saturating_mul(patience) {
                let detail = if failure.is_empty() {
                    "no attempt came to an end"
                } else {
                    &failure
                };
                let fault = Fault {
                    reason: REASON,
                    detail,
                    attempts: attempt - 1,
                };
                return self.park(stamped, Some(arrival), &fault).await;
            }
            if attempt > 1 {
                let wait = self
                    .engine
                    .settings
                    .retry_after
                    .saturating_mul(1 << (attempt - 2).min(16));
                tokio::time::sleep(self.engine.around(wait.min(LONGEST_WAIT))).await;
            }
            match self.apply(kind, std::slice::from_ref(arrival)).await {
                Ok(()) => return self.forget(arrival).await,
                Err(Failure::Away) => return self.away(),
                Err(Failure::Own {
                    words,
                    patience: granted,
                }) => (failure, patience) = (words, granted),
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

    async fn park(&self, stamped: &Stamped, arrival: Option<&Arrival>, fault: &Fault<'_>) -> Ended {
        let Fault {
            reason,
            detail,
            attempts,
        } = *fault;
        let unfit = park::Unfit {
            stamped,
            reason,
            detail,
            attempts,
            origin: &self.origin,
        };
        match park::park_event(&self.engine.context(), &unfit).await {
            Ok(parked_id) => {
                tracing::error!(%parked_id, reason, detail, attempts, "an event was parked");
                let channel = arrival.map_or("", |arrival| &arrival.event.channel);
                self.engine.metrics.parked(channel);
                match arrival {
                    Some(arrival) => self.forget(arrival).await,
                    None => Ended::Done,
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
