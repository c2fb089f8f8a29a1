//! The side of the fake that whoever runs it holds.

use super::{
    callback::{Forgery, SentCallback},
    desk::{Fate, Incoming},
    fault::FaultRule,
    journal::{Counters, JournalEntry, SentMessage},
    server::{Shared, request},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such callback, or it was forgotten.
    #[error("unknown callback")]
    UnknownCallback,
    /// Nobody answered.
    #[error("no answer from the webhook")]
    NoAnswer,
    /// The address cannot be called.
    #[error("impossible: {0}")]
    Impossible(&'static str),
    /// A condition did not come to hold.
    #[error("{0}")]
    DeadlinePassed(String),
}

/// A condition did not come to hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the condition did not hold within {after:?}; counters: {counters:?}")]
pub struct DeadlinePassed {
    after: Duration,
    counters: Box<Counters>,
}

/// A fake as whoever runs it sees it. Clones speak of the same one.
#[derive(Clone)]
pub struct SmsHandle {
    pub(super) shared: Arc<Shared>,
    /// Absent in handles that the fake makes for itself, which must not keep it alive.
    _guard: Option<Arc<DropGuard>>,
}

impl SmsHandle {
    pub(super) fn outer(shared: Arc<Shared>, guard: DropGuard) -> Self {
        Self {
            shared,
            _guard: Some(Arc::new(guard)),
        }
    }

    pub(super) fn inner(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            _guard: None,
        }
    }

    /// Where the fake listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:PORT` and the path that the provider's API has: put this where its address would stand.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.shared.address, self.shared.prefix)
    }

    /// Somebody writes. Answers the id of the message.
    #[must_use]
    pub fn receive(&self, incoming: &Incoming) -> String {
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        let (face, desk) = inner.split();
        let (id, callback) = face.incoming(desk, incoming, now);
        desk.journal.counters.received += 1;
        if let Some(callback) = callback {
            desk.call_back(Duration::ZERO, callback, now);
        }
        drop(inner);
        self.shared.changed();
        id
    }

    /// Somebody writes a text.
    #[must_use]
    pub fn text(&self, from: &str, to: &str, text: &str) -> String {
        self.receive(&Incoming {
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            media: Vec::new(),
        })
    }

    /// Decides what becomes of messages to a number.
    pub fn set_fate(&self, to: &str, fate: Fate) {
        self.shared.lock().desk.set_fate(to, fate);
    }

    /// Adds a fault.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.lock().desk.faults.add(rule);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.shared.lock().desk.faults.clear();
    }

    /// Switches the rates on or off.
    pub fn rate_limits(&self, on: bool) {
        self.shared.lock().desk.options.rate_limits = on;
    }

    /// Whether every callback is made twice.
    pub fn deliver_twice(&self, on: bool) {
        self.shared.lock().desk.deliver_twice = on;
    }

    /// Where messages from people are told to from now on.
    pub fn set_webhook(&self, url: Option<String>) {
        self.shared.lock().desk.options.webhook = url;
    }

    /// Makes a past callback once more. Answers the HTTP status.
    ///
    /// # Errors
    /// When it is forgotten or nobody answered.
    pub async fn redeliver(&self, number: u64) -> Result<u16, ControlError> {
        let sent = self.callbacks().into_iter().find(|sent| sent.number == number);
        let sent = sent.ok_or(ControlError::UnknownCallback)?;
        self.forge(&Forgery {
            method: sent.method,
            url: sent.url,
            headers: sent.headers,
            body: sent.body,
        })
        .await
    }

    /// Makes a request as somebody would who is not the provider. Answers the HTTP status.
    ///
    /// # Errors
    /// When the address cannot be called or nobody answered.
    pub async fn forge(&self, forged: &Forgery) -> Result<u16, ControlError> {
        let method = if forged.method.is_empty() {
            "POST"
        } else {
            &forged.method
        };
        let headers = forged
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let request = request(method, &forged.url, headers, &forged.body);
        let request = request.ok_or(ControlError::Impossible("this is no request"))?;
        let answered = timeout(self.shared.callback_timeout, self.shared.client.request(request)).await;
        let answer = answered.map_err(|_| ControlError::NoAnswer)?;
        Ok(answer.map_err(|_| ControlError::NoAnswer)?.status().as_u16())
    }

    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.lock().desk.journal.counters
    }

    /// The messages that the client sent, oldest first, as far as they are remembered.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.shared.lock().desk.journal.sent.iter().cloned().collect()
    }

    /// The calls that the client made, oldest first, as far as they are remembered.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.lock().desk.journal.calls.iter().cloned().collect()
    }

    /// The callbacks that were made, oldest first, as far as they are remembered.
    #[must_use]
    pub fn callbacks(&self) -> Vec<SentCallback> {
        self.shared.lock().desk.journal.callbacks.iter().cloned().collect()
    }

    /// Callbacks that wait for their time.
    #[must_use]
    pub fn pending_callbacks(&self) -> usize {
        self.shared.lock().desk.waiting.len()
    }

    /// Forgets what was recorded, counts too.
    pub fn clear_journal(&self) {
        self.shared.lock().desk.journal.clear();
        self.shared.changed();
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn wait_for(&self, condition: impl Fn(&Self) -> bool, deadline: Duration) -> Result<(), DeadlinePassed> {
        let mut changes = self.shared.changes();
        let waited = timeout(deadline, async {
            while !condition(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        if waited.await.is_ok() || condition(self) {
            return Ok(());
        }
        Err(DeadlinePassed {
            after: deadline,
            counters: Box::new(self.counters()),
        })
    }

    /// Stops serving, at once.
    pub async fn stop(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}
