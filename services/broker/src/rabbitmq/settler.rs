//! Settles the deliveries of one subscription.
//!
//! One task owns that. It takes the settlements that gathered, acknowledges neighbours with one frame, and then asks the
//! broker something harmless on the same channel: once that is answered, the broker has the acknowledgements. Only then
//! they count as done; without an answer they are stale.

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
/// A round that the broker does not answer by then is stale.
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
    mut commands: mpsc::UnboundedReceiver<Command>,
    stop: CancellationToken,
) {
    let mut round = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = commands.recv_many(&mut round, ROUND) => if count == 0 { break },
            () = stop.cancelled() => {
                // What was settled before the end still counts; what comes later is stale.
                commands.close();
                continue;
            }
        }
        settle(&channel, prefetch, unsettled, round.drain(..)).await;
    }
    // On failure the connection is gone, which gives everything back too.
    drop(timeout(CLOSE_LIMIT, channel.close(200, "done".into())).await);
}

async fn settle(channel: &Channel, prefetch: u16, unsettled: &Unsettled, commands: impl Iterator<Item = Command>) {
    let (mut acks, mut returns) = (Vec::new(), Vec::new());
    for command in commands {
        match command {
            Command::Ack(tag, answer) => acks.push((tag, answer)),
            Command::Return(tag) => returns.push(tag),
        }
    }
    // Before the acknowledgements, which may cover their neighbours.
    for tag in &returns {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        if channel.basic_nack(*tag, options).await.is_err() {
            tracing::debug!("delivery not given back: its channel is gone, and it with that");
        }
    }
    let frames = {
        let mut tags = unsettled.tags();
        for tag in returns.iter().chain(acks.iter().map(|(tag, _)| tag)) {
            tags.remove(tag);
        }
        frames(acks.iter().map(|(tag, _)| *tag).collect(), tags.first().copied())
    };
    if acks.is_empty() {
        return;
    }
    let settled = if acknowledge(channel, prefetch, frames).await { Settled::Done } else { Settled::Stale };
    for (_, answer) in acks {
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

/// True when the broker has them.
async fn acknowledge(channel: &Channel, prefetch: u16, frames: Vec<(u64, bool)>) -> bool {
    for (tag, multiple) in frames {
        if let Err(error) = channel.basic_ack(tag, BasicAckOptions { multiple }).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "not acknowledged; it comes again");
            return false;
        }
    }
    // It concerns only consumers that begin later, of which there are none on this channel.
    let asked = channel.basic_qos(prefetch, BasicQosOptions::default());
    matches!(timeout(ANSWER_LIMIT, asked).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::frames;

    #[test]
    fn one_frame_covers_neighbours_and_never_what_is_unsettled() {
        assert_eq!(frames(vec![3, 1, 2], None), [(3, true)]);
        assert_eq!(frames(vec![3, 1, 2], Some(4)), [(3, true)]);
        assert_eq!(frames(vec![5, 3, 1, 2, 6], Some(4)), [(3, true), (5, false), (6, false)]);
        assert_eq!(frames(vec![5], Some(4)), [(5, false)]);
        assert_eq!(frames(vec![5], Some(7)), [(5, false)]);
        assert_eq!(frames(vec![], Some(1)), []);
    }
}
