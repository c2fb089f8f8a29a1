//! The way of one message: begin, announce, call, record; piece after piece.

use crate::{
    account::Line,
    bucket,
    call::{self, adapter_is_away},
    calls::Call,
    inbox::Task,
    pacing::Token,
    shared::Pauses,
};
use omnigate_core::{
    campaign::place::Bucket,
    delivery::{CALL_TIME, LEASE_TIME, Next, Submission},
    id::MessageId,
    port::store::StoreError,
    protocol::{
        Stop,
        submit::{self, Answer, Begun},
    },
    trace::TraceContext,
};
use omnigate_proto::state::v1::{DeliveryRecord, IntentItem};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// What is left of a lease at the end of the longest call.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// A message that may go within this long is waited for; else its timer brings it back.
const SHORT_WAIT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One hint and whom it concerns.
pub(crate) struct Way {
    line: Arc<Line>,
    id: MessageId,
    trace: Option<TraceContext>,
    stop: CancellationToken,
}

/// Where a message stands when nothing more is to be done with its hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The hint did its work.
    Done,
    /// It must come again.
    Interrupted,
}

/// Carries out what a hint asks for, and settles it.
pub(crate) async fn carry_out(line: Arc<Line>, task: Task, token: Token, stop: CancellationToken) {
    let metrics = &line.shared.metrics;
    if let Some(hint) = &task.hint.bucket {
        let Some(bucket) = Bucket::from_hint(hint) else {
            metrics.hint("undecodable");
            task.park("undecodable: not a hint").await;
            return;
        };
        if bucket::work(&line, bucket, token, &stop).await {
            task.done().await;
        }
        return;
    }
    let Ok(id) = task.hint.message_id.parse::<MessageId>() else {
        metrics.hint("undecodable");
        task.park("undecodable: not a hint").await;
        return;
    };
    let trace = child(&line, &task.hint.traceparent);
    let way = Way {
        line: Arc::clone(&line),
        id,
        trace,
        stop,
    };
    let trace_id = trace.map(|trace| trace.trace_id());
    let span = tracing::info_span!("send", message = %id, account = line.account_id(), trace_id);
    if way.go(token).instrument(span).await == End::Done {
        task.done().await;
    }
}

fn child(line: &Line, traceparent: &str) -> Option<TraceContext> {
    let random = line.shared.ports.entropy.bytes();
    let mut span = [0; 8];
    span.copy_from_slice(&random[..8]);
    TraceContext::parse(traceparent).map(|parent| parent.child(span))
}

impl Way {
    async fn go(&self, token: Token) -> End {
        let mut token = Some(token);
        loop {
            let Some(call) = self.line.calls.place().await else {
                return End::Interrupted;
            };
            let Some(permission) = self.renewed(token.take()).await else {
                return End::Done;
            };
            let began = Instant::now();
            let Some(begun) = self.begin().await else {
                return End::Interrupted;
            };
            let next = match begun {
                Begun::Nothing => return self.done("nothing"),
                Begun::Lapsed(changed) => {
                    self.line.shared.news.tell(*changed);
                    return self.done("lapsed");
                }
                Begun::NotYet(at) => {
                    drop(call);
                    Next::At(at)
                }
                Begun::Go(record, submission) => {
                    permission.spend();
                    let answer = self.submit(&record, &submission, began, call).await;
                    self.line.heed(answer.outcome.as_ref().err()).await;
                    match self.record(&submission, &answer).await {
                        Some(next) => next,
                        None => return self.done("overtaken"),
                    }
                }
            };
            let wait = match next {
                Next::Ended => return self.done("ended"),
                Next::Piece => self.line.limits().rules.interval,
                Next::At(at) => at.since(self.line.shared.ports.clock.now()),
            };
            if !self.waited(wait).await {
                return if self.stop.is_cancelled() {
                    End::Interrupted
                } else {
                    self.done("later")
                };
            }
        }
    }

    fn done(&self, result: &str) -> End {
        self.line.shared.metrics.hint(result);
        End::Done
    }

    /// The token, or another one where it is spent or has lapsed; `None` when none is to be had soon.
    async fn renewed(&self, token: Option<Token>) -> Option<Token> {
        match token {
            Some(token) if token.lives() => Some(token),
            _ => self.line.token_within(SHORT_WAIT).await,
        }
    }

    /// Waits in place for what comes soon; false when it is not worth it, or when the role stops.
    async fn waited(&self, wait: Duration) -> bool {
        let Ok(_waits) = self.line.waiting.try_acquire() else {
            return false;
        };
        let slept = self.stop.run_until_cancelled(tokio::time::sleep(wait));
        wait <= SHORT_WAIT && slept.await.is_some()
    }

    /// Claims the next piece; asks again while the store is away. `None` when the role stops.
    async fn begin(&self) -> Option<Begun> {
        let shared = &self.line.shared;
        let lease = shared.ports.entropy.bytes();
        let rules = self.line.rules();
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match submit::begin(&shared.context(), self.id, &rules, &lease).await {
                Ok(begun) => return Some(begun),
                Err(Stop::Store(StoreError::Corrupt(problem))) => {
                    tracing::error!(problem, "message cannot be read, it is left alone");
                    return Some(Begun::Nothing);
                }
                Err(error) => tracing::warn!(%error, "not begun, trying again"),
            }
            self.stop.run_until_cancelled(pauses.wait()).await?;
        }
    }

    /// Announces the attempt and calls the adapter, if there is time for it.
    async fn submit(
        &self,
        record: &DeliveryRecord,
        submission: &Submission,
        began: Instant,
        place: Call<'_>,
    ) -> Answer {
        let shared = &self.line.shared;
        let account = record.delivery.as_ref().map(|delivery| delivery.account_id.as_str());
        if account != Some(self.line.account_id()) {
            return call::not_sent("hinted in the queue of another account");
        }
        let item = IntentItem {
            message_id: submission.id.to_string(),
            piece: submission.piece,
            send_key: submission.send_key.clone(),
            attempt: submission.attempt,
            ..IntentItem::default()
        };
        if shared.intents.announce(submission.id.shard(), item).await.is_err() {
            return call::not_sent("the intent could not be made durable");
        }
        // Counted from before the claim, so never more than the store grants.
        if began.elapsed() + CALL_TIME + LEASE_MARGIN > LEASE_TIME {
            return call::not_sent("too little was left of the lease");
        }
        let called = Instant::now();
        let now = shared.ports.clock.now();
        let answer = call::send(self.line.adapter.as_ref(), record, submission, now, self.trace).await;
        let took = called.elapsed();
        place.answered(took);
        let metrics = &shared.metrics;
        metrics.submitted(self.line.account_id(), answer.outcome.as_ref().err(), took);
        if adapter_is_away(&answer) {
            self.line.doubt();
        }
        answer
    }

    /// Records the answer, however long the store is away: nobody else knows it. `None` when it was not news.
    async fn record(&self, submission: &Submission, answer: &Answer) -> Option<Next> {
        let shared = &self.line.shared;
        let random = shared.ports.entropy.bytes()[0];
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match submit::answer(&shared.context(), submission, answer, random).await {
                Ok(answered) => {
                    let answered = answered?;
                    shared.news.tell(answered.changed);
                    return Some(answered.next);
                }
                Err(Stop::Store(StoreError::Corrupt(problem))) => {
                    tracing::error!(problem, "message cannot be read, its answer is lost");
                    return None;
                }
                Err(error) => tracing::warn!(%error, "answer not recorded, trying again"),
            }
            pauses.wait().await;
        }
    }
}
