//! The role: answers pushes and runs the lines.

use crate::{
    gate::{Gate, Load, Permit},
    intake::{Bodies, Intake, Pusher, Sorted, Way},
    line::{Group, Line, NotTaken, Outlet},
    metrics::Metrics,
    settings::Settings,
    turned_away::TurnedAway,
};
use futures_util::FutureExt as _;
use omnigate_core::{
    account::Directory,
    port::{Clock, broker::Broker},
    topology,
    trace::TraceContext,
};
use omnigate_proto::v1::PushResponse;
use omnigate_rpc::{auth::Caller, error::Problem, push::Push, trace, v1::ingest_service_server::IngestService};
use omnigate_runtime::beat::Beat;
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Limits of one push, as `ingest.proto` states them.
const MAX_EVENTS: usize = 1000;
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// Raw requests beside the events may be larger: providers pack several events into one.
const MAX_RAW_BYTES: usize = 8 * 1024 * 1024;
/// Lines begin their batches this far apart: what a message may wait for others, while messages come.
const BEAT: Duration = Duration::from_millis(2);
/// Pause after a line failed in a way nobody foresaw.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Takes pushes. Cheap to share; [`Ingest::run`] must run beside it.
pub struct Ingest {
    broker: Arc<dyn Broker>,
    directory: Arc<Directory>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    gate: Arc<Gate>,
    lines: BTreeMap<Way, Arc<Line>>,
    beat: Arc<Beat>,
    stopping: AtomicBool,
}

impl Ingest {
    /// Prepares the role; the topology must have been declared.
    #[must_use]
    pub fn new(
        broker: Arc<dyn Broker>,
        directory: Arc<Directory>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        metrics: omnigate_runtime::telemetry::metrics::Metrics,
    ) -> Self {
        let limit = Load {
            events: settings.batch_events,
            bytes: settings.batch_bytes,
        };
        let line = |outlet| Arc::new(Line::new(outlet, limit));
        let mut lines: BTreeMap<Way, Arc<Line>> = topology::partitions(settings.partitions)
            .map(|partition| {
                let queue = topology::inbound(partition);
                (Way::Inbound(partition), line(Outlet::Batches(queue)))
            })
            .collect();
        lines.insert(Way::Parked, line(Outlet::Singles(topology::parked())));
        lines.insert(Way::Raw, line(Outlet::Log(topology::raw())));
        let gate = Gate::new(Load {
            events: settings.in_flight_events,
            bytes: settings.in_flight_bytes,
        });
        Self {
            broker,
            directory,
            settings,
            clock,
            metrics: Metrics::new(metrics),
            gate,
            lines,
            beat: Arc::new(Beat::new(BEAT)),
            stopping: AtomicBool::new(false),
        }
    }

    /// Carries what is pushed to the broker until stopped. After that no push is taken, and what is in flight has
    /// [`Settings::drain_within`] to be confirmed; callers whose push is not are told so.
    pub async fn run(&self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for line in self.lines.values() {
            let (line, broker) = (Arc::clone(line), Arc::clone(&self.broker));
            let (beat, metrics, stop) = (Arc::clone(&self.beat), self.metrics.clone(), stop.clone());
            tasks.spawn(async move { carry(&line, broker.as_ref(), &beat, &metrics, &stop).await });
        }
        stop.cancelled().await;
        self.stopping.store(true, Ordering::Release);
        let drained = tokio::time::timeout(self.settings.drain_within, async {
            while tasks.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            let held = self.gate.held();
            tracing::warn!(
                events = held.events,
                "stopped with unconfirmed events; their callers were not told that they are kept"
            );
        }
    }

    async fn take(&self, request: Push, pusher: &Pusher, trace: TraceContext) -> Result<PushResponse, TurnedAway> {
        check_size(&request)?;
        if self.stopping.load(Ordering::Acquire) {
            return Err(TurnedAway::Stopping);
        }
        if self.gate.is_full() {
            return Err(TurnedAway::TooMuchInFlight);
        }
        let intake = Intake {
            directory: &self.directory,
            settings: &self.settings,
            metrics: &self.metrics,
            now: self.clock.now(),
            trace,
            pusher,
        };
        let Sorted {
            results,
            ways,
            load,
            tally,
        } = intake.sort(request)?;
        let permit = self.gate.enter(load).ok_or(TurnedAway::TooMuchInFlight)?;
        self.metrics.in_flight(self.gate.held());
        let outcome = self.confirmed(self.line_up(ways, permit, trace)).await;
        self.metrics.in_flight(self.gate.held());
        outcome?;
        for ((channel, status), count) in tally {
            self.metrics.events(&channel, status, count);
        }
        Ok(PushResponse { results })
    }

    /// Puts everything on its line; the order of one push is kept on every line.
    fn line_up(&self, ways: BTreeMap<Way, Bodies>, mut permit: Permit, trace: TraceContext) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (way, Bodies(bodies)) in ways {
            let Some(line) = self.lines.get(&way) else { continue };
            let groups: Vec<Group> = bodies
                .into_iter()
                .map(|(body, load)| {
                    let (done, outcome) = oneshot::channel();
                    outcomes.push(outcome);
                    Group {
                        body,
                        traceparent: trace.to_string(),
                        permit: permit.split(load),
                        done,
                    }
                })
                .collect();
            line.add(groups);
        }
        outcomes
    }

    /// Waits until all of a push is confirmed. A caller who gives up before does not stop what is in flight.
    async fn confirmed(&self, outcomes: Vec<Outcome>) -> Result<(), TurnedAway> {
        let deadline = Instant::now() + self.settings.confirm_within;
        for outcome in outcomes {
            match tokio::time::timeout_at(deadline, outcome).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(NotTaken::Full))) => return Err(TurnedAway::QueueFull),
                // Its line died or the time is over.
                Ok(Err(_)) | Err(_) => return Err(TurnedAway::Unconfirmed),
            }
        }
        Ok(())
    }
}

type Outcome = oneshot::Receiver<Result<(), NotTaken>>;

/// Runs a line; a panic of the broker's code costs the batch in flight, whose callers are told, and not the line.
async fn carry(line: &Line, broker: &dyn Broker, beat: &Beat, metrics: &Metrics, stop: &CancellationToken) {
    while AssertUnwindSafe(line.run(broker, beat, metrics, stop))
        .catch_unwind()
        .await
        .is_err()
    {
        tracing::error!("a line to the broker failed and starts again");
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

fn check_size(request: &Push) -> Result<(), TurnedAway> {
    if request.events() > MAX_EVENTS || request.raw().len() > MAX_EVENTS {
        return Err(TurnedAway::TooLarge(format!(
            "a push takes at most {MAX_EVENTS} events"
        )));
    }
    let events = request.event_bytes();
    let raw: usize = request.raw().iter().map(prost::Message::encoded_len).sum();
    if events > MAX_EVENT_BYTES || raw > MAX_RAW_BYTES {
        return Err(TurnedAway::TooLarge(format!(
            "a push takes at most {MAX_EVENT_BYTES} bytes of events and {MAX_RAW_BYTES} bytes of raw requests"
        )));
    }
    Ok(())
}

#[async_trait::async_trait]
impl IngestService for Ingest {
    async fn push(&self, request: Request<Push>) -> Result<Response<PushResponse>, Status> {
        let begun = Instant::now();
        let pusher = Caller::of(&request)?.into();
        let trace = trace_of(&request).unwrap_or_else(|| trace::next(None));
        let answer = self.take(request.into_inner(), &pusher, trace).await;
        let error = answer.as_ref().err().map(TurnedAway::reason);
        self.metrics.push(begun.elapsed(), error);
        Ok(Response::new(answer.map_err(Problem::from)?))
    }
}

/// The trace that the caller goes on: as metadata, or as an extension where no wire lies between.
fn trace_of(request: &Request<Push>) -> Option<TraceContext> {
    let written = request.metadata().get(trace::TRACEPARENT);
    let written = written.and_then(|text| TraceContext::parse(text.to_str().ok()?));
    written
        .or_else(|| request.extensions().get().copied())
        .or_else(trace::current)
}

impl From<&Caller> for Pusher {
    fn from(caller: &Caller) -> Self {
        Self {
            tenant: caller.tenant.as_deref().map(str::to_owned),
            account: caller.account.as_deref().map(str::to_owned),
        }
    }
}
