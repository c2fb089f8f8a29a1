//! Publishes under a deadline and tells what became of each message.

use super::{
    lane::Job,
    link::{Link, Session},
};
use bytes::Bytes;
use lapin::{BasicProperties, types::ShortString};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// A message with its way.
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The broker has it.
    Stored,
    /// No queue took it.
    Returned,
    /// A queue refused it, mostly because it is full.
    Refused,
    /// It may be there or not.
    Unknown(String),
}

/// Publishes over the present session.
pub(super) struct Publisher {
    pub(super) link: Link,
    /// After this a publication counts as unconfirmed.
    pub(super) limit: Duration,
}

impl Publisher {
    /// Publishes messages, in order where they go to the same queue; one outcome each.
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Outcome> {
        let deadline = Instant::now() + self.limit;
        let count = messages.len();
        if count == 0 {
            return Vec::new();
        }
        let session = match self.link.session(deadline).await {
            Ok(session) => session,
            Err(error) => return vec![Outcome::Unknown(error.to_string()); count],
        };
        let outcomes = self.over(&session, messages, deadline).await;
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unknown(_))) {
            self.link.doubt();
        }
        outcomes
    }

    /// Publishes one message.
    pub(super) async fn publish_one(&self, message: Outgoing) -> Outcome {
        let lost = || Outcome::Unknown("no outcome".to_owned());
        self.publish(vec![message]).await.pop().unwrap_or_else(lost)
    }

    async fn over(&self, session: &Arc<Session>, messages: Vec<Outgoing>, deadline: Instant) -> Vec<Outcome> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let count = messages.len();
        for (index, message) in messages.into_iter().enumerate() {
            let lane = session.lane(message.key.as_str());
            let part = parts.iter_mut().find(|part| std::ptr::eq(part.lane, lane));
            match part {
                Some(part) => {
                    part.indices.push(index);
                    part.messages.push(message);
                }
                None => parts.push(Part {
                    lane,
                    indices: vec![index],
                    messages: vec![message],
                }),
            }
        }
        let mut waiting = Vec::with_capacity(parts.len());
        for part in parts {
            let (answer, answered) = oneshot::channel();
            let job = Job {
                messages: part.messages,
                answer,
            };
            let accepted = matches!(timeout_at(deadline, part.lane.send(job)).await, Ok(Ok(())));
            waiting.push((part.indices, accepted.then_some(answered)));
        }
        let mut outcomes = vec![Outcome::Unknown("connection lost".to_owned()); count];
        for (indices, answered) in waiting {
            let Some(answered) = answered else { continue };
            match timeout_at(deadline, answered).await {
                Ok(Ok(answers)) => {
                    for (index, answer) in indices.into_iter().zip(answers) {
                        outcomes[index] = answer;
                    }
                }
                Ok(Err(_lane_ended)) => {}
                Err(_elapsed) => {
                    for index in indices {
                        outcomes[index] = Outcome::Unknown("no confirm in time".to_owned());
                    }
                }
            }
        }
        outcomes
    }
}

/// Messages for one lane.
struct Part<'a> {
    lane: &'a tokio::sync::mpsc::Sender<Job>,
    indices: Vec<usize>,
    messages: Vec<Outgoing>,
}
