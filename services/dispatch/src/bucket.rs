//! The way of a bucket of a campaign: claim as many recipients as may go, look at each, announce, call, record.

use crate::{
    account::Line,
    call::{self, adapter_is_away},
    pacing::Token,
    shared::Pauses,
    submission::LEASE_MARGIN,
};
use futures_util::{StreamExt as _, future::join, stream};
use omnigate_core::{
    campaign::{
        ledger::Verdict,
        place::{Bucket, Place},
    },
    delivery::{CALL_TIME, LEASE_TIME},
    id::CampaignId,
    protocol::{
        Stop,
        campaign::{self, Answer, Batch, Letter, Prepared, Script, Settled, Submission, Terms},
        pace, publish,
    },
};
use omnigate_proto::{
    state::v1::IntentItem,
    v1::{PauseReason, SendError, SendRequest},
};
use std::collections::{BTreeMap, BTreeSet};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

/// Most recipients that are worked on together: one entry of the log of intents, a commit of modest size.
const TOGETHER: usize = 128;
/// Rounds that one hint pays for; what is left then is found by the bucket's timer.
const ROUNDS: usize = 64;
/// Answers are written down together that come within this long of the first: each commit costs the same, however few it writes.
const GATHERED_FOR: Duration = Duration::from_millis(30);
/// A turn that comes within this long is waited for; else the bucket's timer brings it back.
const SHORT_WAIT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A bucket in hand.
struct Work<'a> {
    line: &'a Line,
    bucket: Bucket,
    stop: &'a CancellationToken,
}

/// What came of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Round {
    /// Somebody else of the bucket may go at once.
    More,
    /// Nobody.
    Done,
    /// The role stops.
    Interrupted,
}

/// Works on a bucket for as long as somebody in it may be written to through the account. False when the hint must come again.
pub(crate) async fn work(line: &Line, bucket: Bucket, token: Token, stop: &CancellationToken) -> bool {
    let work = Work { line, bucket, stop };
    let mut token = Some(token);
    for _ in 0..ROUNDS {
        let mut tokens: Vec<Token> = token.take().into_iter().filter(Token::lives).collect();
        if tokens.is_empty() {
            tokens.extend(line.token_within(SHORT_WAIT).await);
        }
        if tokens.is_empty() {
            break;
        }
        tokens.extend(line.pacing.at_hand(TOGETHER - 1).await);
        match work.round(tokens).await {
            Round::More if stop.is_cancelled() => return false,
            Round::More => {}
            Round::Done => break,
            Round::Interrupted => return false,
        }
    }
    line.shared.metrics.hint("bucket");
    true
}

impl Work<'_> {
    async fn round(&self, tokens: Vec<Token>) -> Round {
        let most = match self.own_pace(tokens.len()).await {
            Ok(most) => most,
            Err(round) => return round,
        };
        let began = Instant::now();
        let Some(claimed) = self.claim(most).await else {
            return Round::Interrupted;
        };
        let Some(batch) = claimed.filter(|batch| !batch.recipients.is_empty()) else {
            return Round::Done;
        };
        self.line.scripts.learn(self.bucket.campaign, &batch.campaign);
        let Some(script) = self.script(&batch).await else {
            return self.give_back(&batch).await;
        };
        let Some(prepared) = self.prepared(&batch, &script).await else {
            return Round::Interrupted;
        };
        let mut verdicts: BTreeMap<Place, Verdict> = prepared.iter().map(|one| (one.place, one.verdict)).collect();
        // Turns that lapsed meanwhile belong to others; who may not go needs none.
        let mut turns = tokens.into_iter().filter(Token::lives);
        for verdict in verdicts.values_mut().filter(|verdict| **verdict == Verdict::Send) {
            match turns.next() {
                Some(turn) => turn.spend(),
                None => *verdict = Verdict::Release,
            }
        }
        drop(turns);
        let letters: BTreeMap<Place, Letter> = prepared
            .into_iter()
            .filter(|one| one.verdict == Verdict::Send)
            .filter_map(|one| Some((one.place, one.letter?)))
            .collect();
        let Some(submissions) = self.submitted(&batch, &verdicts).await else {
            return Round::Interrupted;
        };
        let leaves: BTreeSet<Place> = submissions.iter().map(|submission| submission.sent.place).collect();
        let stays = letters.iter().filter(|(place, _)| !leaves.contains(place));
        self.places_back(&stays.map(|(_, letter)| letter).collect::<Vec<_>>())
            .await;
        let goes_on = self.carry_out(&batch, &letters, submissions, began).await;
        if batch.more || goes_on {
            Round::More
        } else {
            Round::Done
        }
    }

    /// How many of so many turns the campaign's own pace allows now. One whose pace is not known yet begins with one recipient.
    async fn own_pace(&self, turns: usize) -> Result<usize, Round> {
        let campaign = self.bucket.campaign;
        let rate = match self.line.scripts.rate(campaign) {
            None => return Ok(1),
            Some(rate) if rate <= 0.0 => return Ok(turns),
            Some(rate) => rate,
        };
        let shared = &self.line.shared;
        let wanted = u32::try_from(turns).unwrap_or(u32::MAX);
        let limit = format!("campaign {}", campaign.0.map(|byte| format!("{byte:02x}")).concat());
        match pace::take(&shared.context(), &limit, rate, wanted).await {
            Ok(Ok(granted)) => Ok(usize::try_from(granted).unwrap_or(turns).min(turns)),
            Ok(Err(at)) => {
                let wait = at.since(shared.ports.clock.now());
                if wait > SHORT_WAIT {
                    return Err(Round::Done);
                }
                match self.stop.run_until_cancelled(tokio::time::sleep(wait)).await {
                    Some(()) => Err(Round::More),
                    None => Err(Round::Interrupted),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no pace of a campaign, its timer brings it back");
                Err(Round::Done)
            }
        }
    }

    /// Claims recipients, at most so many; asks again while the store is
    /// away. `None` when the role stops.
    async fn claim(&self, most: usize) -> Option<Option<Batch>> {
        let shared = &self.line.shared;
        let mut lease = [0; 8];
        lease.copy_from_slice(&shared.ports.entropy.bytes()[..8]);
        let (context, account_id) = (shared.context(), self.line.account_id());
        let claim = || campaign::claim(&context, self.bucket, account_id, most, lease);
        self.again("recipients not claimed", claim).await
    }

    /// Does something until the store lets it happen; `None` when the role stops.
    async fn again<T, F: Future<Output = Result<T, Stop>>>(&self, what: &str, act: impl Fn() -> F) -> Option<T> {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match act().await {
                Ok(done) => return Some(done),
                Err(error) => tracing::warn!(account = self.line.account_id(), %error, "{what}, trying again"),
            }
            self.stop.run_until_cancelled(pauses.wait()).await?;
        }
    }

    /// What the campaign says. One whose words cannot be had is paused.
    async fn script(&self, batch: &Batch) -> Option<Arc<Script>> {
        let context = self.line.shared.context();
        let script = match self.line.scripts.of(&context, &batch.campaign).await {
            Ok(script) => script,
            Err(error) => {
                tracing::warn!(%error, "what a campaign says cannot be read, its timer brings it back");
                return None;
            }
        };
        if script.problem.is_empty() {
            return Some(script);
        }
        if let Ok(id) = batch.campaign.campaign_id.parse::<CampaignId>()
            && let Err(error) = campaign::hold(&context, id, PauseReason::Content, &script.problem).await
        {
            tracing::warn!(%error, campaign = %id, problem = script.problem, "campaign not paused");
        }
        None
    }

    async fn prepared(&self, batch: &Batch, script: &Script) -> Option<Vec<Prepared>> {
        let shared = &self.line.shared;
        let rules = self.line.rules();
        let terms = Terms {
            account: self.line.account(),
            templates: &script.templates,
            list: script.list,
            marketing: rules.marketing,
            window: rules.window.as_ref(),
            only_looks: false,
        };
        let context = shared.context();
        let prepare = || campaign::prepare(&context, batch, terms);
        self.again("recipients not looked at", prepare).await
    }

    async fn submitted(&self, batch: &Batch, verdicts: &BTreeMap<Place, Verdict>) -> Option<Vec<Submission>> {
        let context = self.line.shared.context();
        let submit = || campaign::submit(&context, batch, verdicts);
        self.again("recipients not decided about", submit).await
    }

    /// Gives a whole batch back.
    async fn give_back(&self, batch: &Batch) -> Round {
        let all = batch.others(&BTreeMap::new());
        match self.submitted(batch, &all).await {
            Some(_) => Round::Done,
            None => Round::Interrupted,
        }
    }

    /// Places that were taken in vain. What is not given back lapses with its time.
    async fn places_back(&self, letters: &[&Letter]) {
        if let Err(error) = campaign::give_back(&self.line.shared.context(), letters).await {
            tracing::warn!(%error, "what a customer may get was not given back, it comes back with time");
        }
    }

    /// Announces submissions, calls the adapter for each and writes the answers down. True when a next piece may go at once.
    async fn carry_out(
        &self,
        batch: &Batch,
        letters: &BTreeMap<Place, Letter>,
        submissions: Vec<Submission>,
        began: Instant,
    ) -> bool {
        let is_announced = self.announced(batch, &submissions).await;
        let calls: Vec<_> = submissions
            .iter()
            .map(|submission| {
                let letter = letters.get(&submission.sent.place).filter(|_| is_announced);
                self.answer(submission, letter, began)
            })
            .collect();
        // Calls go on while answers are written down, however long the store is away.
        let (said, mut hears) = mpsc::channel(TOGETHER);
        let calling = async move {
            let mut answers = std::pin::pin!(stream::iter(calls).buffer_unordered(TOGETHER));
            while let Some(answer) = answers.next().await {
                // There is room for all of them, and somebody listens until the last.
                said.send(answer).await.ok();
            }
        };
        let recording = async {
            let mut goes_on = false;
            while let Some(first) = hears.recv().await {
                let mut gathered = vec![first];
                let until = Instant::now() + GATHERED_FOR;
                while let Ok(Some(next)) = tokio::time::timeout_at(until, hears.recv()).await {
                    gathered.push(next);
                }
                goes_on |= self.record(batch, letters, &gathered).await;
            }
            goes_on
        };
        join(calling, recording).await.1
    }

    async fn answer(&self, submission: &Submission, letter: Option<&Letter>, began: Instant) -> Answer {
        let said = match letter {
            Some(letter) => self.call(submission, letter, began).await,
            None => call::not_sent("the intent could not be made durable"),
        };
        Answer {
            sent: submission.sent,
            attempt: submission.attempt,
            piece_count: said.piece_count,
            outcome: said.outcome,
        }
    }

    async fn announced(&self, batch: &Batch, submissions: &[Submission]) -> bool {
        let customers: BTreeMap<Place, _> = batch
            .recipients
            .iter()
            .map(|recipient| (recipient.place, recipient.row.customer.clone()))
            .collect();
        let mut by_number: BTreeMap<u64, Vec<IntentItem>> = BTreeMap::new();
        for submission in submissions {
            by_number.entry(submission.intent).or_default().push(IntentItem {
                message_id: submission.sent.message_id().to_string(),
                piece: submission.attempt.piece,
                send_key: send_key(submission),
                attempt: submission.attempt.number,
                customer: customers.get(&submission.sent.place).cloned().unwrap_or_default(),
            });
        }
        let intents = &self.line.shared.intents;
        for (number, items) in by_number {
            if intents.announce_all(self.bucket.shard, number, items).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Calls the adapter, if there is time for it.
    async fn call(
        &self,
        submission: &Submission,
        letter: &Letter,
        began: Instant,
    ) -> omnigate_core::protocol::submit::Answer {
        let shared = &self.line.shared;
        let place = self.line.calls.place().await;
        let Some(place) = place.filter(|_| !self.stop.is_cancelled()) else {
            return call::not_sent("the role stops");
        };
        // Counted from before the claim, so never more than the store grants.
        if began.elapsed() + CALL_TIME + LEASE_MARGIN > LEASE_TIME {
            return call::not_sent("too little was left of the lease");
        }
        let called = Instant::now();
        let request = SendRequest {
            account_id: self.line.account_id().to_owned(),
            peer: Some(letter.thread.peer.clone()),
            peer_provider_form: letter.thread.provider_form.clone(),
            message: Some(letter.message.clone()),
            piece: submission.attempt.piece,
            send_key: send_key(submission),
            attempt: submission.attempt.number,
            deadline: Some(call::deadline(shared.ports.clock.now()).to_timestamp()),
            message_id: letter.id.to_string(),
            handed_on: false,
        };
        let mut span = [0; 8];
        span.copy_from_slice(&shared.ports.entropy.bytes()[..8]);
        let trace = letter.trace(span);
        let answer = call::submit(self.line.adapter.as_ref(), request, Some(trace)).await;
        let took = called.elapsed();
        place.answered(took);
        let error: Option<&SendError> = answer.outcome.as_ref().err();
        shared.metrics.submitted(self.line.account_id(), error, took);
        if adapter_is_away(&answer) {
            self.line.doubt();
        }
        self.line.heed(error).await;
        answer
    }

    /// Writes answers down, however long the store is away: nobody else knows them.
    async fn record(&self, batch: &Batch, letters: &BTreeMap<Place, Letter>, answers: &[Answer]) -> bool {
        let shared = &self.line.shared;
        let random = shared.ports.entropy.bytes()[0];
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let settled: Settled = loop {
            let of = (batch.campaign.tenant_id.as_str(), self.bucket);
            match campaign::settle(&shared.context(), of, letters, answers, random).await {
                Ok(settled) => break settled,
                Err(error) => tracing::warn!(%error, "answers not recorded, trying again"),
            }
            pauses.wait().await;
        };
        let goes_on = settled.goes_on();
        let fallen_back = settled.fallen_back(&batch.plan);
        let hints = fallen_back.iter().map(|account| (account.as_str(), self.bucket));
        if let Err(error) = publish::hint_buckets(shared.broker.as_ref(), hints).await {
            tracing::warn!(%error, "a bucket was not hinted, its timer will look at it");
        }
        let (outbox, partitions) = (&shared.ports.outbox, shared.settings.partitions);
        publish::publish(shared.broker.as_ref(), outbox, partitions, settled.outgoing).await;
        goes_on
    }
}

fn send_key(submission: &Submission) -> String {
    let piece = u8::try_from(submission.attempt.piece).unwrap_or(u8::MAX);
    submission.sent.message_id().send_key(piece)
}
