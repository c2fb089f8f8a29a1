//! A simulated process: what it has in memory, and what its workers do. They follow the roles step by step, over the code
//! that ships.

use crate::breakage::Breakage;
use crate::oracle::{Receipted, TENANT};
use crate::people::{self, Act};
use crate::provider::{Arrived, Report, error};
use crate::script::Call;
use crate::sim::{Sim, SimStore, Waiting};
use crate::time::pause;
use bytes::Bytes;
use omnigate_core::append::Arrival;
use omnigate_core::delivery::receipt::state_of_receipt;
use omnigate_core::delivery::{self, CALL_TIME, LEASE_TIME, Next, Submission};
use omnigate_core::id::{EventId, MessageId};
use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::Entropy as _;
use omnigate_core::port::store::{Commit, Expect, Query, Stamp, Store as _, Write};
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::context::as_range;
use omnigate_core::protocol::delivery::Changed;
use omnigate_core::protocol::outbox::{Outbox, Outgoing, flush, left_over};
use omnigate_core::protocol::send::{self, NotAccepted};
use omnigate_core::protocol::submit::{self, Answer, Begun};
use omnigate_core::protocol::{self, Context, Stop, append, confirm, consent, receipt};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, HomeRecord, SuppressionCause};
use omnigate_proto::v1::{ErrorClass, Event, Receipt, SuppressionReason, event::Kind};
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub(crate) static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    Keyring::new(&[7; KEY_BYTES], &[]).map_or_else(Keyring::none, |keyring| keyring.with_content(true))
});

/// What is left of a lease at the end of the longest call.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// An adapter answers this long before the dispatcher stops waiting.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// What a process keeps in memory and loses when it crashes.
pub(crate) struct Process {
    pub sim: Arc<Sim>,
    store: SimStore,
    cache: Cache,
    outbox: Outbox,
}

impl Process {
    pub(crate) fn start(sim: &Arc<Sim>) -> Arc<Self> {
        Arc::new(Self {
            sim: sim.clone(),
            store: SimStore(sim.clone()),
            cache: Cache::new(4),
            outbox: Outbox::default(),
        })
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            clock: &*self.sim.clock,
            entropy: &*self.sim,
            outbox: &self.outbox,
            cache: &self.cache,
            keyring: &KEYRING,
            rules: &omnigate_core::conversation::DEFAULT_RULES,
            tenants: &omnigate_core::tenant::DEFAULT_RULES,
        }
    }

    /// The api: accepts until it has an answer.
    pub(crate) async fn call(self: Arc<Self>, call: Call) -> Result<(), Stop> {
        if call.suppresses {
            self.suppress((call.account, call.peer)).await;
        }
        let request = call.request(self.sim.now());
        loop {
            match send::accept(&self.context(), &request).await {
                Ok(accepted) => {
                    let id: MessageId = accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap();
                    self.sim
                        .say(|| format!("call {} body {} is {id}", call.number, call.body));
                    self.sim.oracle().told_ok(&call, &accepted.record);
                    self.publish(accepted.outgoing).await;
                    self.sim.hint(id);
                    return if call.regretted { self.regret(id).await } else { Ok(()) };
                }
                Err(NotAccepted::Stop(_)) => pause().await,
                Err(error) => {
                    self.sim
                        .say(|| format!("call {} body {}: {error}", call.number, call.body));
                    return Ok(());
                }
            }
        }
    }

    /// Puts somebody on the suppression list, until that is known to have happened.
    async fn suppress(&self, thread: (usize, usize)) {
        self.sim.oracle().suppressed.entry(thread).or_default();
        let peer = people::peer(thread.0, thread.1);
        let cause = SuppressionCause {
            reason: SuppressionReason::Manual.into(),
            at_ms: 1,
            ..SuppressionCause::default()
        };
        loop {
            let id = consent::id(&self.context(), TENANT, &peer).await;
            if let Ok(id) = id
                && consent::suppress(&self.context(), TENANT, id, &cause).await.is_ok()
            {
                let now = self.sim.now();
                self.sim.say(|| format!("{thread:?} is on the suppression list"));
                self.sim.oracle().suppressed.insert(thread, Some(now));
                return;
            }
            pause().await;
        }
    }

    async fn regret(&self, id: MessageId) -> Result<(), Stop> {
        let wait = Duration::from_millis(self.sim.rng().next() % 4000);
        self.sim.until(self.sim.now() + wait).await;
        if let Some(changed) = submit::cancel(&self.context(), id).await? {
            self.sim.say(|| format!("{id} is taken back"));
            self.sim.oracle().cancelled.insert(id);
            return self.tell(changed).await;
        }
        Ok(())
    }

    /// Dispatch: what a hint leads to.
    pub(crate) async fn dispatch(self: Arc<Self>, id: MessageId) -> Result<(), Stop> {
        loop {
            let began = self.sim.now();
            let mut lease = self.sim.bytes();
            let has_windows = self.sim.oracle().has_windows && self.sim.breakage != Breakage::WindowIgnored;
            let rules = submit::Rules {
                window: has_windows.then(people::rule),
                ..submit::Rules::default()
            };
            let begun = loop {
                match submit::begin(&self.context(), id, &rules, &lease).await {
                    Ok(begun) => break begun,
                    Err(_) => pause().await,
                }
                if self.sim.breakage == Breakage::LeaseForgotten {
                    lease = self.sim.bytes();
                }
            };
            self.doubt_if_late(id, began);
            let (record, submission) = match begun {
                Begun::Go(record, submission) => (record, submission),
                Begun::Lapsed(changed) => return self.tell(*changed).await,
                Begun::NotYet(_) | Begun::Nothing => return Ok(()),
            };
            if self.sim.breakage == Breakage::ChainLeftAtBegin {
                self.leave_chain(&record, id);
            }
            let answer = self.submit(&record, &submission, began).await;
            if self.sim.chance(self.sim.faults().slow) {
                let wait = Duration::from_millis(78_000 + self.sim.rng().next() % 15_000);
                self.sim.until(self.sim.now() + wait).await;
            }
            let Some(next) = self.record(&submission, &answer, began).await else {
                return Ok(());
            };
            if next != Next::Piece {
                return Ok(());
            }
        }
    }

    fn doubt_if_late(&self, id: MessageId, began: Moment) {
        if self.sim.now().since(began) > LEASE_TIME {
            self.sim.oracle().in_doubt.insert(id);
        }
    }

    async fn submit(&self, record: &DeliveryRecord, submission: &Submission, began: Moment) -> Answer {
        let not_sent = || failed(0, ErrorClass::NotSent);
        let (id, piece, attempt) = (submission.id, submission.piece, submission.attempt);
        self.check_list(record, submission, began);
        pause().await;
        if self.sim.chance(self.sim.faults().unconfirmed) {
            return not_sent();
        }
        if self.sim.breakage != Breakage::IntentSkipped || self.sim.chance(500) {
            self.sim.oracle().intents.insert((id, piece, attempt));
        }
        let ignored = self.sim.breakage == Breakage::LeaseIgnored;
        if !ignored && self.sim.now().since(began) + CALL_TIME + LEASE_MARGIN > LEASE_TIME {
            return not_sent();
        }
        let called = self.sim.now();
        let deadline = called + (CALL_TIME - ANSWER_MARGIN);
        // On the way to edge.
        pause().await;
        pause().await;
        let arrived = Arrived {
            id,
            piece,
            attempt,
            is_alternative: self.is_alternative(record),
            deadline: (self.sim.breakage != Breakage::DeadlineIgnored).then_some(deadline),
            now: self.sim.now(),
        };
        let ((count, outcome, after), reports) = self.edge(arrived);
        self.report(record, submission, reports);
        let gives_up = called + CALL_TIME;
        let arrives = after.map_or(gives_up, |after| self.sim.now() + after);
        let timed_out = after.is_none() || arrives >= gives_up;
        self.sim.until(arrives.min(gives_up)).await;
        if timed_out {
            self.sim.oracle().in_doubt.insert(id);
            return failed(0, ErrorClass::Ambiguous);
        }
        Answer {
            piece_count: count,
            outcome,
        }
    }

    /// Nothing is begun for somebody who was known to be on the suppression list before.
    fn check_list(&self, record: &DeliveryRecord, submission: &Submission, began: Moment) {
        let peer = record.delivery.as_ref().unwrap().peer.as_ref().unwrap();
        let mut oracle = self.sim.oracle();
        let mut listed = oracle
            .suppressed
            .iter()
            .filter(|(thread, at)| people::peer(thread.0, thread.1) == *peer && at.is_some_and(|at| at < began));
        if submission.piece == 0 && listed.next().is_some() {
            oracle.complain(format!("{} leaves for somebody who is suppressed", submission.id));
        }
    }

    /// What leaves, as edge is given it.
    fn is_alternative(&self, record: &DeliveryRecord) -> bool {
        let leaving = delivery::leaving(record).unwrap();
        let is_alternative = leaving.peer.r#type == "phone";
        is_alternative && self.sim.breakage != Breakage::OriginalLeaves
    }

    fn edge(&self, arrived: Arrived) -> (crate::provider::Said, Vec<Report>) {
        let late = arrived.deadline.is_some_and(|deadline| arrived.now > deadline);
        let mut provider = self.sim.provider.lock().unwrap();
        if !late {
            let mut oracle = self.sim.oracle();
            oracle.submitted(&provider, &arrived);
        }
        let faulty = self.sim.faults().provider;
        let answer = provider.submit(arrived, faulty, &mut self.sim.rng());
        drop(provider);
        self.sim.say(|| {
            let (id, piece, attempt) = (arrived.id, arrived.piece, arrived.attempt);
            format!("{id} piece {piece} attempt {attempt} at the provider: {:?}", answer.0)
        });
        answer
    }

    /// What the provider will say later goes to the queue of receipts.
    fn report(&self, record: &DeliveryRecord, submission: &Submission, reports: Vec<Report>) {
        let one = record.delivery.as_ref().unwrap();
        for report in reports {
            let by_reference = self.sim.chance(300);
            let at = self.sim.now() + report.after;
            let random = self.sim.bytes();
            let event = Event {
                event_id: EventId(random).to_string(),
                tenant_id: TENANT.into(),
                account_id: one.account_id.clone(),
                peer: one.peer.clone(),
                kind: Some(Kind::Receipt(Receipt {
                    provider_message_id: report.provider_id.clone(),
                    client_reference: if by_reference {
                        submission.send_key.clone()
                    } else {
                        String::new()
                    },
                    state: report.state.into(),
                    ..Receipt::default()
                })),
                ..Event::default()
            };
            let arrival = Arrival {
                bytes: event.encode_to_vec().into(),
                event,
                id: EventId(random),
                received_at: at,
            };
            self.sim.oracle().receipts.push(Receipted {
                id: submission.id,
                piece: submission.piece,
                provider_id: report.provider_id,
                by_reference,
                said: state_of_receipt(report.state).unwrap(),
            });
            self.sim.receipts.lock().unwrap().push(Waiting {
                at,
                arrival,
                in_hand: false,
            });
        }
    }

    async fn record(&self, submission: &Submission, answer: &Answer, began: Moment) -> Option<Next> {
        let mut answer = answer.clone();
        let mut submission = submission.clone();
        if let Err(error) = &mut answer.outcome
            && error.class() == ErrorClass::Ambiguous
            && self.sim.breakage == Breakage::AmbiguousIsNotSent
        {
            error.class = ErrorClass::NotSent.into();
        }
        let random = self.sim.bytes()[0];
        loop {
            if self.sim.breakage == Breakage::OlderAnswerTaken
                && let Ok(Some(record)) = protocol::delivery::get(&self.context(), submission.id).await
            {
                let piece = usize::try_from(submission.piece).unwrap();
                submission.attempt = record.delivery.unwrap().pieces[piece].attempts;
            }
            let recorded = submit::answer(&self.context(), &submission, &answer, random).await;
            self.doubt_if_late(submission.id, began);
            match recorded {
                Ok(answered) => {
                    if let Ok(accepted) = &answer.outcome {
                        let id = accepted.provider_message_id.clone();
                        self.sim.oracle().pointed.insert(id);
                    }
                    let answered = answered?;
                    let message = answered
                        .changed
                        .record
                        .delivery
                        .as_ref()
                        .and_then(|one| one.message.as_ref());
                    let has_alternative = message.is_some_and(|message| message.alternative.is_some());
                    if has_alternative && answer.outcome.as_ref().is_err_and(|error| error.outside_window) {
                        self.sim.oracle().told_closed.insert(submission.id);
                    }
                    self.tell(answered.changed).await.ok();
                    return Some(answered.next);
                }
                Err(_) => pause().await,
            }
        }
    }

    /// Unify: what somebody did takes effect, and who opted out is told so.
    pub(crate) async fn act(self: Arc<Self>, act: Act, received_at: Moment) -> Result<(), Stop> {
        let applied = append::apply(&self.context(), &[act.arrival(received_at)]).await?;
        self.publish(applied.outgoing).await;
        for mut due in applied.confirmations {
            if self.sim.breakage == Breakage::ConfirmedAnew {
                due.confirmation.event = EventId(self.sim.bytes());
            }
            match confirm::accept(&self.context(), &due).await {
                Ok(Some(accepted)) => {
                    let id = accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap();
                    self.publish(accepted.outgoing).await;
                    self.sim.hint(id);
                }
                Ok(None) => {}
                Err(NotAccepted::Stop(stop)) => return Err(stop),
                Err(error) => panic!("a confirmation goes to a thread that is there: {error}"),
            }
        }
        Ok(())
    }

    /// Unify: applies a receipt.
    pub(crate) async fn receive(self: Arc<Self>, arrival: Arrival) -> Result<(), Stop> {
        let applied = receipt::apply(&self.context(), &arrival).await?;
        self.publish(applied.outgoing).await;
        if self.sim.breakage == Breakage::ReceiptsOverwrite {
            self.overwrite(&arrival);
        }
        Ok(())
    }

    /// The scheduler: looks at the timers of a shard.
    pub(crate) async fn round(self: Arc<Self>, shard: Shard) -> Result<(), Stop> {
        if self.sim.breakage == Breakage::TimersIgnored {
            return Ok(());
        }
        let query = Query::Range {
            key: keys::timers(),
            from: Bound::Unbounded,
            to: Bound::Excluded(Bytes::copy_from_slice(&Moment(self.sim.now().0 + 1).to_key())),
            limit: 3,
            reverse: false,
        };
        let answers = self.store.read(shard, vec![query]).await?;
        for (member, _) in as_range(answers.into_iter().next())? {
            let Some((due, Timer::Delivery(id))) = keys::read_timer_member(&member) else {
                continue;
            };
            let woken = submit::wake(&self.context(), id, due).await?;
            self.publish(woken.outgoing).await;
            for record in &woken.ready {
                self.sim
                    .hint(record.delivery.as_ref().unwrap().message_id.parse().unwrap());
            }
            if let Some(next) = woken.next {
                self.sim.hint(next);
            }
        }
        Ok(())
    }

    async fn tell(&self, changed: Changed) -> Result<(), Stop> {
        self.publish(changed.outgoing).await;
        if let Some(next) = changed.next {
            self.sim.hint(next);
        }
        Ok(())
    }

    /// Publishes in order and takes out what was confirmed.
    async fn publish(&self, outgoing: Vec<Outgoing>) {
        if outgoing.is_empty() {
            return;
        }
        if self.sim.breakage == Breakage::RemovedBeforePublished {
            self.settle(&outgoing);
        }
        pause().await;
        let confirmed = !self.sim.chance(self.sim.faults().unconfirmed);
        if confirmed || self.sim.chance(500) {
            let mut oracle = self.sim.oracle();
            for one in &outgoing {
                oracle.publish(&one.member, &one.event);
            }
        }
        pause().await;
        if confirmed {
            self.settle(&outgoing);
        }
    }

    fn settle(&self, batch: &[Outgoing]) {
        let mut members: BTreeMap<Shard, Vec<Bytes>> = BTreeMap::new();
        for one in batch {
            members.entry(one.shard).or_default().push(one.member.clone());
        }
        for (shard, members) in members {
            self.outbox.published(shard, members);
        }
    }

    /// Takes out what no commit took along.
    pub(crate) async fn flush(self: Arc<Self>) -> Result<(), Stop> {
        for shard in self.outbox.shards() {
            flush(&self.context(), shard).await?;
        }
        Ok(())
    }

    /// Publishes what others left in the outbox of a shard.
    pub(crate) async fn sweep(self: Arc<Self>, shard: Shard, age: Duration) -> Result<(), Stop> {
        let left = left_over(&self.context(), shard, age, 20).await?;
        self.publish(left).await;
        flush(&self.context(), shard).await?;
        Ok(())
    }

    /// A breakage: the message leaves its chain as soon as it is begun.
    fn leave_chain(&self, record: &DeliveryRecord, id: MessageId) {
        self.write_directly(
            id.shard(),
            &Bytes::from([b"h".as_slice(), &record.home].concat()),
            |value| {
                let mut home = HomeRecord::decode(value).unwrap();
                for thread in &mut home.threads {
                    delivery::leave(thread, id);
                }
                home.encode_to_vec().into()
            },
        );
    }

    /// A breakage: the receipt's state replaces what was known.
    fn overwrite(&self, arrival: &Arrival) {
        let Some(Kind::Receipt(receipt)) = &arrival.event.kind else {
            return;
        };
        let Some((id, piece)) = MessageId::from_send_key(&receipt.client_reference) else {
            return;
        };
        self.write_directly(id.shard(), &keys::delivery(id), |value| {
            let mut record = DeliveryRecord::decode(value).unwrap();
            let one = record.delivery.as_mut().unwrap();
            one.pieces[usize::from(piece)].state = state_of_receipt(receipt.state()).unwrap().into();
            record.encode_to_vec().into()
        });
    }

    fn write_directly(&self, shard: Shard, key: &Bytes, change: impl FnOnce(Bytes) -> Bytes) {
        let answers = self.sim.memory.read_now(shard, &[Query::Record(key.clone())]);
        let found = protocol::context::as_record(answers.into_iter().next())
            .unwrap()
            .unwrap();
        let commit = Commit {
            stamp: Stamp::from(self.sim.bytes()),
            expect: vec![Expect::Record {
                key: key.clone(),
                stamp: Some(found.stamp),
            }],
            write: vec![Write::Put {
                key: key.clone(),
                value: change(found.value),
            }],
        };
        let _written = self.sim.memory.commit_now(shard, &commit);
        self.sim.oracle().observe(shard, &commit);
    }
}

fn failed(piece_count: u32, class: ErrorClass) -> Answer {
    Answer {
        piece_count,
        outcome: Err(error(class)),
    }
}
