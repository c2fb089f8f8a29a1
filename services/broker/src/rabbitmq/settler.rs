//! Settles the deliveries of one subscription.
//!
//! One task owns that. It puts what there is on the wire, neighbours with one frame, and then asks the broker something
//! harmless on the same channel: once that is answered, the broker has what was sent before. Only then they count as done;
//! without an answer they are stale. What is settled meanwhile gathers for the next round.

use futures_util::FutureExt as _;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicQosOptions},
};
use omnigate_core::port::broker::Settled;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Settlements in one round at most.
const ROUND: usize = 1024;
/// A question that the broker does not answer by then leaves its settlements stale.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A settlement.
pub(super) enum Command {
    /// It is done with.
    Ack(u64, oneshot::Sender<Settled>),
    /// It is to come again.
    Return(u64),
}

/// Delivery tags received and not settled.
#[derive(Default)]
pub(super) struct Unsettled(Mutex<BTreeSet<u64>>);

impl Unsettled {
    fn tags(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A delivery came. Tags grow.
    pub(super) fn add(&self, tag: u64) {
        self.tags().insert(tag);
    }
}

/// Settles until the subscription ends, then gives everything unsettled back by closing the channel.
pub(super) async fn run(
    channel: Channel,
    prefetch: u16,
    unsettled: &Unsettled,
    mut commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
) {
    let mut round = Vec::new();
    loop {
        let count = tokio::select! {
            biased;
            count = commands.recv_many(&mut round, ROUND) => count,
            // What was settled before the end still counts; what comes later is stale.
            () = stop.cancelled(), if !commands.is_closed() => {
                commands.close();
                continue;
            }
        };
        if count == 0 {
            break;
        }
        let sent = send(&channel, unsettled, round.drain(..));
        if !sent.is_empty() {
            ask(&channel, prefetch, sent).await;
        }
    }
    // On failure the connection is gone, which gives everything back too.
    drop(timeout(CLOSE_LIMIT, channel.close(200, "done".into())).await);
}

/// Puts settlements on the wire. Nothing is awaited: a failure ends the channel, and then the question fails too.
fn send(
    channel: &Channel,
    unsettled: &Unsettled,
    commands: impl Iterator<Item = Command>,
) -> Vec<oneshot::Sender<Settled>> {
    let (mut acknowledged, mut sent) = (Vec::new(), Vec::new());
    let mut tags = unsettled.tags();
    for command in commands {
        match command {
            Command::Ack(tag, answer) => {
                tags.remove(&tag);
                acknowledged.push(tag);
                sent.push(answer);
            }
            // At once: an acknowledgement that follows may cover its neighbours.
            Command::Return(tag) => {
                tags.remove(&tag);
                let options = BasicNackOptions {
                    requeue: true,
                    ..BasicNackOptions::default()
                };
                drop(channel.basic_nack(tag, options).now_or_never());
            }
        }
    }
    for (tag, multiple) in frames(acknowledged, tags.first().copied()) {
        drop(channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never());
    }
    sent
}

/// Answers settlements once the broker has them.
async fn ask(channel: &Channel, prefetch: u16, sent: Vec<oneshot::Sender<Settled>>) {
    // It concerns only consumers that begin later, of which there are none on this channel.
    let asked = timeout(ANSWER_LIMIT, channel.basic_qos(prefetch, BasicQosOptions::default())).await;
    let settled = if matches!(asked, Ok(Ok(()))) {
        Settled::Done
    } else {
        Settled::Stale
    };
    for answer in sent {
        // Nobody waits any more: it is settled all the same.
        let _gone = answer.send(settled);
    }
}

/// Tags to acknowledge, each with whether that covers all before it.
fn frames(mut tags: Vec<u64>, oldest_unsettled: Option<u64>) -> Vec<(u64, bool)> {
    tags.sort_unstable();
    let covered = tags.partition_point(|tag| oldest_unsettled.is_none_or(|oldest| *tag < oldest));
    let mut frames = Vec::new();
    if let Some(last) = covered.checked_sub(1) {
        frames.push((tags[last], covered > 1));
    }
    frames.extend(tags[covered..].iter().map(|tag| (*tag, false)));
    frames
}

#[cfg(test)]
mod tests {
    use super::frames;

    #[test]
    fn one_frame_covers_neighbours_and_never_what_is_unsettled() {
        assert_eq!(frames(vec![3, 1, 2], None), [(3, true)]);
        assert_eq!(frames(vec![3, 1, 2], Some(4)), [(3, true)]);
        assert_eq!(
            frames(vec![5, 3, 1, 2, 6], Some(4)),
            [(3, true), (5, false), (6, false)]
        );
        assert_eq!(frames(vec![5], Some(4)), [(5, false)]);
        assert_eq!(frames(vec![5], Some(7)), [(5, false)]);
        assert_eq!(frames(vec![], Some(1)), []);
    }
}
