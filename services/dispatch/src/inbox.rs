//! Hints of one account, transactional ones first.

use crate::shared::Pauses;
use omnigate_core::{
    port::broker::{Broker, Delivery, QueueName, Settle},
    topology,
};
use omnigate_proto::{state::v1::Hint, v1::Lane};
use prost::Message as _;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};

/// One hint in this many is taken from the bulk lane first, so that it never starves.
const BULK_TURN: u32 = 8;
/// Hints of a lane at hand: enough that the other lane does not go first only because a task had no turn.
const AT_HAND: usize = 32;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Dropping it gives back what was not taken.
pub(crate) struct Inbox {
    transactional: Source,
    bulk: Source,
    taken: u32,
    _pumps: JoinSet<()>,
}

struct Source {
    arrivals: mpsc::Receiver<Task>,
    held: Option<Task>,
}

/// One hint, and the message of the broker that brought it.
pub(crate) struct Task {
    pub(crate) hint: Hint,
    message: Arc<Message>,
}

/// A message of the broker with the hints it brought. It is acknowledged once all of them are done; else it comes again.
struct Message {
    settle: Mutex<Option<Box<dyn Settle>>>,
    open: AtomicUsize,
}

impl Task {
    /// The hint did its work.
    pub(crate) async fn done(self) {
        if self.message.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let settle = self
            .message
            .settle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(settle) = settle {
            settle.ack().await;
        }
    }

    /// Nobody can read the hint: it is kept for people, with the others of its message, whose timers make up for it.
    pub(crate) async fn park(self, reason: &str) {
        let settle = self
            .message
            .settle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(settle) = settle {
            settle.park(reason).await;
        }
    }
}

/// The hints of a message, one by one.
fn tasks(delivery: Delivery) -> Vec<Task> {
    let mut first = Hint::decode(delivery.body).unwrap_or_default();
    let others = std::mem::take(&mut first.others);
    let message = Arc::new(Message {
        open: AtomicUsize::new(others.len() + 1),
        settle: Mutex::new(Some(delivery.settle)),
    });
    let hints = std::iter::once(first).chain(others);
    let task = |hint| Task {
        hint,
        message: Arc::clone(&message),
    };
    hints.map(task).collect()
}

impl Inbox {
    /// Subscribes to both lanes of an account, again and again where that fails.
    pub(crate) fn open(broker: &Arc<dyn Broker>, account_id: &str, prefetch: u16) -> Self {
        let mut pumps = JoinSet::new();
        let mut source = |lane| {
            let (sender, arrivals) = mpsc::channel(AT_HAND);
            let queue = topology::outbound(account_id, lane);
            pumps.spawn(pump(Arc::clone(broker), queue, prefetch, sender));
            Source { arrivals, held: None }
        };
        Self {
            transactional: source(Lane::Transactional),
            bulk: source(Lane::Bulk),
            taken: 0,
            _pumps: pumps,
        }
    }

    /// Waits until there is something to take.
    pub(crate) async fn wait(&mut self) {
        if self.transactional.held.is_some() || self.bulk.held.is_some() {
            return;
        }
        tokio::select! {
            Some(delivery) = self.transactional.arrivals.recv() => self.transactional.held = Some(delivery),
            Some(delivery) = self.bulk.arrivals.recv() => self.bulk.held = Some(delivery),
            // Pumps end only when they are dropped.
            else => std::future::pending().await,
        }
    }

    /// What goes first.
    pub(crate) fn take(&mut self) -> Option<Task> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(BULK_TURN) {
            self.bulk.take().or_else(|| self.transactional.take())
        } else {
            self.transactional.take().or_else(|| self.bulk.take())
        }
    }
}

impl Source {
    fn take(&mut self) -> Option<Task> {
        self.held.take().or_else(|| self.arrivals.try_recv().ok())
    }
}

async fn pump(broker: Arc<dyn Broker>, queue: QueueName, prefetch: u16, arrivals: mpsc::Sender<Task>) {
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match broker.subscribe(&queue, prefetch).await {
            Ok(mut subscription) => {
                while let Some(delivery) = subscription.next().await {
                    pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
                    for task in tasks(delivery) {
                        if arrivals.send(task).await.is_err() {
                            return;
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(%queue, %error, "not subscribed, trying again"),
        }
        pauses.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::port::broker::Settled;

    /// Notes what became of a message: acknowledged, or dropped and so given back.
    struct Noting(Arc<Mutex<Vec<&'static str>>>, bool);

    #[async_trait::async_trait]
    impl Settle for Noting {
        async fn ack(mut self: Box<Self>) -> Settled {
            self.1 = true;
            self.0.lock().unwrap().push("acknowledged");
            Settled::Done
        }

        async fn retry(self: Box<Self>, _: Duration) -> Settled {
            Settled::Done
        }

        async fn park(mut self: Box<Self>, _: &str) -> Settled {
            self.1 = true;
            self.0.lock().unwrap().push("parked");
            Settled::Done
        }
    }

    impl Drop for Noting {
        fn drop(&mut self) {
            if !self.1 {
                self.0.lock().unwrap().push("given back");
            }
        }
    }

    fn message(noted: &Arc<Mutex<Vec<&'static str>>>) -> Vec<Task> {
        let hint = |id: &str| Hint {
            message_id: id.to_owned(),
            ..Hint::default()
        };
        let body = Hint {
            others: vec![hint("b"), hint("c")],
            ..hint("a")
        };
        tasks(Delivery {
            body: body.encode_to_vec().into(),
            traceparent: String::new(),
            attempt: 1,
            settle: Box::new(Noting(Arc::clone(noted), false)),
        })
    }

    #[tokio::test]
    async fn a_message_is_acknowledged_when_all_its_hints_are_done() {
        let noted = Arc::default();
        let tasks = message(&noted);
        let ids: Vec<&str> = tasks.iter().map(|task| task.hint.message_id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(noted.lock().unwrap().len(), 0, "before {number}");
            task.done().await;
        }
        assert_eq!(*noted.lock().unwrap(), ["acknowledged"]);
    }

    #[tokio::test]
    async fn a_message_comes_again_when_one_of_its_hints_was_interrupted() {
        let noted = Arc::default();
        let mut tasks = message(&noted);
        drop(tasks.pop());
        for task in tasks {
            task.done().await;
        }
        assert_eq!(*noted.lock().unwrap(), ["given back"]);
    }
}
