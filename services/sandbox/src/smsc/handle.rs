//! The side of the sandbox that whoever runs it holds.

use super::{
    control::ControlError,
    fault::FaultRule,
    flood::Flood,
    journal::{Counters, JournalEntry, Settled, Submission, WholeText},
    people::{Malformed, Writes, Written},
    receipt::ReceiptRule,
    server::Shared,
    session::Ending,
    view::{DeadlinePassed, View},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

/// The SMSC as whoever runs the sandbox sees it. Clones speak of the same one.
#[derive(Clone)]
pub struct SmscHandle {
    pub(super) shared: Arc<Shared>,
    /// Absent in handles that the sandbox makes for itself, which must not keep it alive.
    _guard: Option<Arc<DropGuard>>,
}

impl SmscHandle {
    pub(super) fn outer(shared: Arc<Shared>, guard: Arc<DropGuard>) -> Self {
        Self {
            shared,
            _guard: Some(guard),
        }
    }

    pub(super) fn inner(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            _guard: None,
        }
    }

    /// Where SMPP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:PORT`, before `/control`; None where none is served.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.shared.control.map(|address| format!("http://{address}"))
    }

    /// Somebody writes; the message is kept until the ESME acknowledges it, over as many binds as that takes.
    ///
    /// # Errors
    /// When there is no such account, the coding lacks a character, or the message is of more than 255 pieces.
    pub fn write(&self, writes: &Writes) -> Result<Written, ControlError> {
        let written = self.shared.lock().write(writes, self.shared.now());
        self.shared.changed();
        written
    }

    /// Somebody with the number `from` writes `text` to `to`, as phones do.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn writes(&self, from: &str, to: &str, text: &str) -> Result<Written, ControlError> {
        self.write(&Writes {
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            ..Writes::default()
        })
    }

    /// Starts a flood in place of one that is under way. Only counts tell of it: deliveries, acknowledged, retried, rejected.
    ///
    /// # Errors
    /// When there is no such account, or the text is too long or not ASCII.
    pub fn flood(&self, flood: Flood) -> Result<(), ControlError> {
        self.shared.lock().start_flood(flood)
    }

    /// Tells an account, the first one when absent, by `alert_notification` that `from` can be reached again. It is settled
    /// once sent, as it has no answer.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn alert(&self, account: Option<&str>, from: &str, to: &str) -> Result<u64, ControlError> {
        self.shared.lock().alert(account, from, to, self.shared.now())
    }

    /// Says something malformed on one bind of an account, the first one when absent.
    ///
    /// # Errors
    /// When there is no such account or it has no bind that receives.
    pub fn malformed(&self, account: Option<&str>, malformed: &Malformed) -> Result<(), ControlError> {
        self.shared.lock().speak_badly(account, malformed)
    }

    /// Adds a fault.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.lock().faults.add(rule);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Adds a rule of what comes back; the first one that fits counts.
    pub fn receipts(&self, rule: ReceiptRule) {
        self.shared.lock().receipt_rules.push_back(rule);
    }

    /// Takes all rules of what comes back away.
    pub fn clear_receipts(&self) {
        self.shared.lock().receipt_rules.clear();
    }

    /// Sets an account's window and throughput; 0 is no limit.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn limits(&self, account: Option<&str>, window: usize, throughput: u32) -> Result<(), ControlError> {
        let mut center = self.shared.lock();
        let index = center.account(account).ok_or(ControlError::UnknownAccount)?;
        let now = self.shared.now().at;
        center.accounts[index].limit(window, throughput, now);
        Ok(())
    }

    /// Unbinds every bind of an account, the first one when absent; answers how many.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn unbind(&self, account: Option<&str>) -> Result<usize, ControlError> {
        let mut center = self.shared.lock();
        let index = center.account(account).ok_or(ControlError::UnknownAccount)?;
        let deadline = self.shared.now().at + self.shared.options.response_timeout;
        let told = center.bound(index).map(|session| {
            session.unbind(deadline);
            session.wake.notify_one();
        });
        Ok(told.count())
    }

    /// Resets every connection, bound or not; answers how many.
    pub fn disconnect(&self) -> usize {
        let mut center = self.shared.lock();
        for session in center.sessions.values_mut() {
            session.ending = Some(Ending::Reset);
            session.wake.notify_one();
        }
        center.sessions.len()
    }

    /// Whether new connections are reset at once.
    pub fn away(&self, away: bool) {
        self.shared.lock().away = away;
    }

    /// Forgets what was recorded, counts too, except those of a null SMSC.
    pub fn clear_journal(&self) {
        self.shared.lock().journal.clear();
        self.shared.changed();
    }

    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let center = self.shared.lock();
        self.shared.counters(&center)
    }

    /// The submissions taken, oldest first, as far as they are remembered.
    #[must_use]
    pub fn submissions(&self) -> Vec<Submission> {
        self.shared.lock().journal.submissions.iter().cloned().collect()
    }

    /// The whole texts received, oldest first, as far as they are remembered.
    #[must_use]
    pub fn texts(&self) -> Vec<WholeText> {
        self.shared.lock().journal.texts.iter().cloned().collect()
    }

    /// The whole texts that `number`, `+` or not, got.
    #[must_use]
    pub fn texts_to(&self, number: &str) -> Vec<WholeText> {
        self.look(|view| view.texts_to(number).cloned().collect())
    }

    /// The whole texts that somebody got more than once; the copies are counted up.
    #[must_use]
    pub fn repeated_texts(&self) -> Vec<WholeText> {
        self.look(|view| view.texts().filter(|text| text.copies > 1).cloned().collect())
    }

    /// The deliveries that came to their end, oldest first, as far as they are remembered.
    #[must_use]
    pub fn settled(&self) -> Vec<Settled> {
        self.shared.lock().journal.settled.iter().cloned().collect()
    }

    /// The requests, oldest first, as far as they are remembered. `enquire_link` is only counted.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.lock().journal.requests.iter().cloned().collect()
    }

    /// Looks at everything at one moment.
    pub fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let center = self.shared.lock();
        look(&View {
            counters: self.shared.counters(&center),
            center: &center,
        })
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&View<'_>) -> bool,
        deadline: Duration,
    ) -> Result<(), DeadlinePassed> {
        let mut changes = self.shared.changes();
        let waited = timeout(deadline, async {
            while !self.look(&condition) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        match waited.await {
            Ok(()) => Ok(()),
            Err(_) if self.look(&condition) => Ok(()),
            Err(_) => Err(DeadlinePassed {
                after: deadline,
                counters: Box::new(self.counters()),
            }),
        }
    }

    /// Stops serving, at once.
    pub async fn stop(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
