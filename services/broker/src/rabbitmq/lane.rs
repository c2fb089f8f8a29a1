//! One channel for publications and the task that owns it.
//!
//! Two traps of the client library make an owner necessary. It numbers a publication and puts it on the wire in two steps,
//! so two tasks could get each other's confirms. And it hands a returned message to whichever publication is confirmed
//! next, not to the one that was returned; so each carries its number, and none counts as stored before all that was
//! confirmed together with it has been looked at.

use super::publisher::{Outcome, Outgoing};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use lapin::{Channel, Confirmation, options::BasicPublishOptions};
use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Unconfirmed publications beyond which no more are sent.
const MAX_UNCONFIRMED: usize = 16 << 10;
/// … and bytes.
const MAX_UNCONFIRMED_BYTES: usize = 32 << 20;
/// A full lane on which nothing was confirmed for this long is given up, and the session with it.
const STUCK: Duration = Duration::from_secs(30);
/// Jobs taken over at once.
const JOBS: usize = 64;

/// Messages to publish in order.
pub(super) struct Job {
    pub(super) messages: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Vec<Outcome>>,
}

/// A job of which not all messages are confirmed.
struct Open {
    outcomes: Vec<Outcome>,
    left: usize,
    answer: oneshot::Sender<Vec<Outcome>>,
}

struct Confirmed {
    number: u64,
    result: lapin::Result<Confirmation>,
}

/// Where a publication belongs.
struct Place {
    job: u64,
    index: usize,
    bytes: usize,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Confirmed> + Send + 'a>>;

struct Lane<'a> {
    channel: &'a Channel,
    sending: FuturesUnordered<Sending<'a>>,
    places: HashMap<u64, Place>,
    open: HashMap<u64, Open>,
    /// Publications known to have been returned and not answered yet.
    returned: HashSet<u64>,
    bytes: usize,
    last_number: u64,
    last_job: u64,
}

/// Publishes jobs until nobody can send any more.
pub(super) async fn run(channel: Channel, mut jobs: mpsc::Receiver<Job>) {
    let mut lane = Lane {
        channel: &channel,
        sending: FuturesUnordered::new(),
        places: HashMap::new(),
        open: HashMap::new(),
        returned: HashSet::new(),
        bytes: 0,
        last_number: 0,
        last_job: 0,
    };
    let mut taken = Vec::with_capacity(JOBS);
    loop {
        let room = lane.has_room();
        tokio::select! {
            biased;
            Some(confirmed) = lane.sending.next() => lane.settle(confirmed),
            count = jobs.recv_many(&mut taken, JOBS), if room => {
                if count == 0 {
                    break;
                }
                for job in taken.drain(..) {
                    lane.send(job);
                }
            }
            () = tokio::time::sleep(STUCK), if !room => {
                tracing::warn!("rabbitmq confirms nothing");
                break;
            }
        }
    }
    jobs.close();
    while let Ok(Some(confirmed)) = tokio::time::timeout(STUCK, lane.sending.next()).await {
        lane.settle(confirmed);
    }
}

impl<'a> Lane<'a> {
    fn has_room(&self) -> bool {
        self.places.len() < MAX_UNCONFIRMED && self.bytes < MAX_UNCONFIRMED_BYTES
    }

    fn send(&mut self, job: Job) {
        let count = job.messages.len();
        if count == 0 {
            // Nobody waits any more: nothing was to be done.
            let _gone = job.answer.send(Vec::new());
            return;
        }
        self.last_job += 1;
        for (index, message) in job.messages.into_iter().enumerate() {
            self.last_number += 1;
            let bytes = message.body.len();
            self.bytes += bytes;
            self.places.insert(
                self.last_number,
                Place {
                    job: self.last_job,
                    index,
                    bytes,
                },
            );
            let mut sending: Sending<'a> = Box::pin(publish(self.channel, self.last_number, message));
            // The first poll puts it on the wire, so that order is that of this loop.
            match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Ready(confirmed) => self.sending.push(Box::pin(std::future::ready(confirmed))),
                std::task::Poll::Pending => self.sending.push(sending),
            }
        }
        let outcomes = (0..count).map(|_| Outcome::Unknown(String::new())).collect();
        self.open.insert(
            self.last_job,
            Open {
                outcomes,
                left: count,
                answer: job.answer,
            },
        );
    }

    /// Answers what is confirmed, once it is known which of it was returned.
    fn settle(&mut self, first: Confirmed) {
        let mut confirmed = vec![first];
        self.gather(&mut confirmed);
        while !confirmed.is_empty() {
            // Whatever was confirmed in one frame with these is there after this.
            self.await_frame();
            let mut later = Vec::new();
            self.gather(&mut later);
            for other in confirmed.iter().chain(&later) {
                self.note_returned(other);
            }
            for confirmed in confirmed {
                self.answer(confirmed);
            }
            confirmed = later;
        }
    }

    fn gather(&mut self, confirmed: &mut Vec<Confirmed>) {
        while let Some(Some(other)) = self.sending.next().now_or_never() {
            confirmed.push(other);
        }
    }

    /// Waits until the library has finished with the frame of confirms it is at: it holds a lock meanwhile that this call
    /// takes too.
    fn await_frame(&self) {
        // Not to be awaited: that would wait for all confirms.
        drop(self.channel.wait_for_confirms().now_or_never());
    }

    fn note_returned(&mut self, confirmed: &Confirmed) {
        let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = &confirmed.result else {
            return;
        };
        let number = message
            .delivery
            .properties
            .message_id()
            .as_ref()
            .and_then(|number| number.as_str().parse().ok());
        if let Some(number) = number {
            self.returned.insert(number);
        }
    }

    fn answer(&mut self, confirmed: Confirmed) {
        let returned = self.returned.remove(&confirmed.number);
        let outcome = match confirmed.result {
            _ if returned => Outcome::Returned,
            Ok(Confirmation::Ack(_)) => Outcome::Stored,
            Ok(Confirmation::Nack(_)) => Outcome::Refused,
            Ok(Confirmation::NotRequested) => Outcome::Unknown("no confirms".to_owned()),
            Err(error) => Outcome::Unknown(error.to_string()),
        };
        let Some(place) = self.places.remove(&confirmed.number) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(place.bytes);
        let Some(open) = self.open.get_mut(&place.job) else {
            return;
        };
        open.outcomes[place.index] = outcome;
        open.left -= 1;
        if open.left == 0
            && let Some(done) = self.open.remove(&place.job)
        {
            // Nobody waits any more: it was published all the same.
            let _gone = done.answer.send(done.outcomes);
        }
    }
}

async fn publish(channel: &Channel, number: u64, message: Outgoing) -> Confirmed {
    let Outgoing {
        exchange,
        key,
        body,
        properties,
    } = message;
    let properties = properties.with_message_id(number.to_string().into());
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let sent = channel.basic_publish(exchange, key, options, &body, properties).await;
    // The library has its own copy now.
    drop(body);
    let result = match sent {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    Confirmed { number, result }
}
