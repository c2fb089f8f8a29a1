//! Tells members of this process of what was acknowledged in it: they need not look into the store for that.

use omnigate_core::consumer_group::Position;
use omnigate_core::protocol::consumer_group::Sent;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Logs that members of this process hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<Sent, Acknowledged>>>);

#[derive(Debug)]
struct Acknowledged {
    position: Option<Position>,
    member: Arc<Notify>,
}

/// A log that is listened for until this is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    places: Places,
    sent: Sent,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<Sent, Acknowledged>> {
        // Every change is one insertion, one removal or one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for a log; the member is woken up when something of it was acknowledged.
    pub(super) fn listen(&self, sent: Sent, member: &Arc<Notify>) -> Listening {
        let acknowledged = Acknowledged {
            position: None,
            member: Arc::clone(member),
        };
        self.lock().insert(sent, acknowledged);
        Listening {
            places: self.clone(),
            sent,
        }
    }

    /// Notes a place that is durable.
    pub(super) fn acknowledged(&self, sent: Sent, position: Position) {
        if let Some(known) = self.lock().get_mut(&sent) {
            known.position = known.position.max(Some(position));
            known.member.notify_one();
        }
    }
}

impl Listening {
    /// Under what the log's events are sent.
    pub(super) const fn sent(&self) -> Sent {
        self.sent
    }

    /// The last place that was acknowledged in this process.
    pub(super) fn position(&self) -> Option<Position> {
        self.places.lock().get(&self.sent).and_then(|known| known.position)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.places.lock().remove(&self.sent);
    }
}
