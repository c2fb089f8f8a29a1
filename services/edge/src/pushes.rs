//! Joins what the process pushes into few calls.
//!
//! Every app and every session has its lane; a lane has one call in flight, and what comes meanwhile gathers into the
//! next one. So the order of an app is kept, and batching needs no timer. A failed call is not repeated here: the
//! provider was told that nothing is kept, and comes again.

use crate::{metrics::Metrics, refused};
use omnigate_core::{id::hash, trace::TraceContext};
use omnigate_proto::v1::{Event, PushRequest, PushResult, PushStatus, RawRequest};
use omnigate_rpc::{push::Push, v1::ingest_service_server::IngestService};
use prost::Message as _;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

/// Calls in flight at once.
const LANES: u8 = 8;
/// Limits of one call, as `ingest.proto` states them, with room for what travels beside the events.
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 3_500_000;

/// The events are not known to be durable: nothing may be acknowledged to the provider.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotDurable(String);

/// Events of one request or of one step of a session.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) events: Vec<Event>,
    pub(crate) raw: Vec<RawRequest>,
}

type Answer = Result<Vec<PushResult>, NotDurable>;

#[derive(Debug)]
struct Job {
    parcel: Parcel,
    bytes: usize,
    trace: TraceContext,
    done: oneshot::Sender<Answer>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: Mutex<VecDeque<Job>>,
    arrived: Notify,
}

/// The way to ingest.
pub(crate) struct Pushes {
    ingest: Arc<dyn IngestService>,
    within: Duration,
    metrics: Metrics,
    lanes: Vec<Lane>,
}

impl Pushes {
    pub(crate) fn new(ingest: Arc<dyn IngestService>, within: Duration, metrics: Metrics) -> Self {
        Self {
            ingest,
            within,
            metrics,
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
        }
    }

    /// Pushes, in the order of `owner`, and returns when everything is durable. An event that ingest refuses is kept as
    /// an unsupported one: the provider would send it again and again, and it would be refused again and again.
    pub(crate) async fn push(&self, owner: &str, parcel: Parcel, trace: TraceContext) -> Result<(), NotDurable> {
        let kept_aside = parcel.events.clone();
        let results = self.pushed(owner, parcel, trace).await?;
        let mut substitutes = Vec::new();
        for (event, result) in kept_aside.iter().zip(&results) {
            if result.status() == PushStatus::Refused {
                tracing::error!(
                    owner,
                    account = event.account_id,
                    problem = result.problem,
                    "ingest refused an event"
                );
                self.metrics.refused();
                substitutes.push(refused::substitute(event, &result.problem));
            }
        }
        if substitutes.is_empty() {
            return Ok(());
        }
        let parcel = Parcel {
            events: substitutes,
            raw: vec![],
        };
        for result in self.pushed(owner, parcel, trace).await? {
            if result.status() == PushStatus::Refused {
                tracing::error!(
                    owner,
                    problem = result.problem,
                    "ingest refused even the substitute; only the raw request is left"
                );
            }
        }
        Ok(())
    }

    /// Pushes, cut into calls that are small enough.
    async fn pushed(&self, owner: &str, parcel: Parcel, trace: TraceContext) -> Answer {
        let mut outcomes = Vec::new();
        for (parcel, bytes) in cut(parcel) {
            let (done, outcome) = oneshot::channel();
            self.lane(owner).add(Job {
                parcel,
                bytes,
                trace,
                done,
            });
            outcomes.push(outcome);
        }
        let mut results = Vec::new();
        for outcome in outcomes {
            let answer = outcome
                .await
                .map_err(|_| NotDurable("this process is stopping".to_owned()))?;
            results.extend(answer?);
        }
        Ok(results)
    }

    fn lane(&self, owner: &str) -> &Lane {
        let number = hash("lane", &[owner.as_bytes()])[0] % LANES;
        &self.lanes[usize::from(number)]
    }

    /// Carries what is pushed until stopped; then what still waits, and returns.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        futures_util::future::join_all(self.lanes.iter().map(|lane| self.carry(lane, stop))).await;
    }

    async fn carry(&self, lane: &Lane, stop: &CancellationToken) {
        loop {
            let jobs = lane.gather();
            if !jobs.is_empty() {
                self.call(jobs).await;
                continue;
            }
            tokio::select! {
                () = lane.arrived.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn call(&self, jobs: Vec<Job>) {
        let mut request = PushRequest::default();
        let mut waiting = Vec::with_capacity(jobs.len());
        let mut traceparent = None;
        for job in jobs {
            traceparent.get_or_insert(job.trace);
            waiting.push((job.parcel.events.len(), job.done));
            request.events.extend(job.parcel.events);
            request.raw.extend(job.parcel.raw);
        }
        let events = request.events.len();
        let mut request = Request::new(Push::from(request));
        if let Some(text) = traceparent.and_then(|trace| trace.to_string().parse().ok()) {
            request.metadata_mut().insert("traceparent", text);
        }
        request.set_timeout(self.within);
        let answer = match tokio::time::timeout(self.within, self.ingest.push(request)).await {
            Err(_) => Err((Code::DeadlineExceeded, "ingest did not answer in time".to_owned())),
            Ok(Err(status)) => Err((status.code(), status.message().to_owned())),
            Ok(Ok(response)) => Ok(response.into_inner().results),
        };
        match answer {
            Ok(results) if results.len() == events => {
                self.metrics.pushed(events);
                let mut results = results.into_iter();
                for (count, done) in waiting {
                    // A provider who hung up will come again.
                    done.send(Ok(results.by_ref().take(count).collect())).ok();
                }
            }
            Ok(_) => self.failed(waiting, Code::Internal, "ingest answered for another number of events"),
            Err((code, problem)) => self.failed(waiting, code, &problem),
        }
    }

    fn failed(&self, waiting: Vec<(usize, oneshot::Sender<Answer>)>, code: Code, problem: &str) {
        tracing::warn!(?code, problem, requests = waiting.len(), "push failed");
        self.metrics.not_pushed();
        for (_, done) in waiting {
            done.send(Err(NotDurable(format!("{code:?}: {problem}")))).ok();
        }
    }
}

impl Lane {
    fn add(&self, job: Job) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(job);
        self.arrived.notify_one();
    }

    /// As many waiting jobs as fit into one call, at least one; those whose provider hung up are left out.
    fn gather(&self) -> Vec<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut events, mut bytes) = (0, 0);
        let mut gathered = Vec::new();
        while let Some(job) = waiting.front() {
            events += job.parcel.events.len();
            bytes += job.bytes;
            if !gathered.is_empty() && (events > MAX_EVENTS || bytes > MAX_BYTES) {
                break;
            }
            let Some(job) = waiting.pop_front() else { break };
            if job.done.is_closed() {
                events -= job.parcel.events.len();
                bytes -= job.bytes;
            } else {
                gathered.push(job);
            }
        }
        gathered
    }
}

/// Cuts a parcel so that every piece fits into one call; the raw requests go with the first.
fn cut(parcel: Parcel) -> Vec<(Parcel, usize)> {
    let raw: usize = parcel.raw.iter().map(prost::Message::encoded_len).sum();
    let mut pieces = vec![(
        Parcel {
            events: vec![],
            raw: parcel.raw,
        },
        raw,
    )];
    // Raw requests have a limit of their own in a call.
    let mut bytes = 0;
    for event in parcel.events {
        let more = event.encoded_len();
        match pieces.last_mut() {
            Some((piece, sum)) if piece.events.len() < MAX_EVENTS && (bytes == 0 || bytes + more <= MAX_BYTES) => {
                bytes += more;
                *sum += more;
                piece.events.push(event);
            }
            _ => {
                bytes = more;
                let piece = Parcel {
                    events: vec![event],
                    raw: vec![],
                };
                pieces.push((piece, more));
            }
        }
    }
    pieces
}
