//! What goes to the ESME: kept until it says that it has it, on whichever bind.

use super::{center::Center, journal::Settled, pdu::command, session::Unanswered, status};
use crate::telegram::Now;
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A `deliver_sm` or `data_sm`.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) command: u32,
    pub(super) body: Bytes,
    pub(super) attempts: u32,
    /// The session and its answer that wait until this is sent.
    pub(super) releases: Option<(u64, u64)>,
}

/// What waits for an ESME, by the time it is due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Instant, u64), Delivery>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, due: Instant, delivery: Delivery) {
        self.waiting.insert((due, delivery.id), delivery);
    }

    fn pop_due(&mut self, now: Instant) -> Option<Delivery> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn drop_oldest(&mut self) {
        self.waiting.pop_first();
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }
}

impl Center {
    /// Puts a delivery to `account` into its queue; answers its number.
    pub(super) fn enqueue(
        &mut self,
        account: usize,
        due: Instant,
        command: u32,
        body: impl Into<Bytes>,
        releases: Option<(u64, u64)>,
    ) -> u64 {
        self.next_delivery += 1;
        let delivery = Delivery {
            id: self.next_delivery,
            command,
            body: body.into(),
            attempts: 0,
            releases,
        };
        let limit = self.options.queue;
        if let Some(account) = self.accounts.get_mut(account) {
            account.queue.push(due, delivery);
            if account.queue.len() > limit {
                account.queue.drop_oldest();
                self.journal.counters.dropped += 1;
            }
        }
        self.wake_receivers(account);
        self.next_delivery
    }

    /// Sends what is due to the session, as far as its window goes.
    pub(super) fn send_deliveries(&mut self, id: u64, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(account) = session.account.and_then(|index| self.accounts.get_mut(index)) else {
            return;
        };
        let mut released = Vec::new();
        while session.takes_deliveries() && session.unanswered.len() < account.options.deliver_window {
            let Some(mut delivery) = account.queue.pop_due(now.at) else {
                break;
            };
            let sequence = session.ask(delivery.command, &delivery.body);
            delivery.attempts += 1;
            let counters = &mut self.journal.counters;
            counters.deliveries += 1;
            counters.redeliveries += u64::from(delivery.attempts > 1);
            released.extend(delivery.releases.take());
            // An alert has no answer.
            if delivery.command == command::ALERT_NOTIFICATION {
                self.journal.settle(Settled {
                    delivery: delivery.id,
                    attempts: delivery.attempts,
                    status: None,
                });
                continue;
            }
            let deadline = now.at + self.options.response_timeout;
            session.unanswered.insert(sequence, Unanswered { delivery, deadline });
        }
        for (session, answer) in released {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.release(answer, now.at);
            }
        }
    }

    /// Takes back what the ESME did not answer in time.
    pub(super) fn take_back_overdue(&mut self, id: u64, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(index) = session.account else { return };
        let overdue: Vec<Unanswered> = session
            .unanswered
            .extract_if(.., |_, one| one.deadline <= now.at)
            .map(|(_, one)| one)
            .collect();
        for one in overdue {
            self.send_again(index, one.delivery, now.at, None);
        }
    }

    /// What the ESME answered to a delivery; false where it answers none.
    pub(super) fn settle(&mut self, id: u64, sequence: u32, answered: u32, now: Now) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        let Some(index) = session.account else { return false };
        if let Some(number) = session.flooding.remove(&sequence) {
            let again = status::asks_for_retry(answered);
            self.settle_flood(index, number, answered, again);
            return true;
        }
        let Some(Unanswered { delivery, .. }) = session.unanswered.remove(&sequence) else {
            return false;
        };
        let counters = &mut self.journal.counters;
        if status::asks_for_retry(answered) {
            counters.retried += 1;
            let due = now.at + self.options.scaled(self.options.retry_after);
            self.send_again(index, delivery, due, Some(answered));
            return true;
        }
        if answered == status::ROK {
            counters.acknowledged += 1;
        } else {
            counters.rejected += 1;
        }
        self.journal.settle(Settled {
            delivery: delivery.id,
            attempts: delivery.attempts,
            status: Some(answered),
        });
        true
    }

    pub(super) fn send_again(&mut self, account: usize, delivery: Delivery, due: Instant, answered: Option<u32>) {
        if delivery.attempts >= self.options.attempts {
            self.journal.counters.dropped += 1;
            self.journal.settle(Settled {
                delivery: delivery.id,
                attempts: delivery.attempts,
                status: answered,
            });
        } else if let Some(account) = self.accounts.get_mut(account) {
            account.queue.push(due, delivery);
        }
    }
}
