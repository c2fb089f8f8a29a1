//! Processes: a scheduler, dispatchers, whoever hears receipts, and an operator.

use crate::breakage::Breakage;
use crate::people::{TENANT, id};
use crate::sim::{Sim, SimStore, buckets};
use crate::time::pause;
use omnigate_core::campaign::ledger::{self, Attempt, Recovery};
use omnigate_core::campaign::life::Command;
use omnigate_core::campaign::place::{Bucket, Place};
use omnigate_core::delivery::{CALL_TIME, LEASE_TIME};
use omnigate_core::keyring::Keyring;
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::Entropy as _;
use omnigate_core::port::store::Query;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::campaign::{self, Answer, Comparison, Driven, NotDone, Order, Submission, Verdict};
use omnigate_core::protocol::context::{as_fields, as_range};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::protocol::{Context, Stop};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{Intent, IntentBatch, IntentItem, RecipientRow};
use omnigate_proto::v1::{CampaignState, DeliveryState, PauseReason, RecipientReason};
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static KEYRING: LazyLock<Keyring> = LazyLock::new(Keyring::none);

/// What is left of a lease at the end of the longest call.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
const HERE: &str = "here";

/// What a process keeps in memory and loses when it crashes.
pub(crate) struct Process {
    sim: Arc<Sim>,
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

    pub(crate) fn context(&self) -> Context<'_> {
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

    /// The scheduler: drives the campaign until it has ended.
    pub(crate) async fn drive(self: Arc<Self>) -> Result<(), Stop> {
        loop {
            match campaign::drive(&self.context(), id(), &self.sim.people, HERE).await? {
                Driven::Ended => return Ok(()),
                // Counting in every shard takes most of a schedule's time, and nothing depends on how often it is done.
                Driven::Again(after) => self.sim.until(self.sim.now() + after * 15).await,
                Driven::Waits => self.sim.until(self.sim.now() + Duration::from_secs(30)).await,
            }
            pause().await;
        }
    }

    /// The scheduler: looks at buckets whose timers have fired.
    pub(crate) async fn look(self: Arc<Self>) -> Result<(), Stop> {
        let context = self.context();
        for shard in self.sim.people.shards() {
            let due = Query::Range {
                key: keys::timers(),
                from: Bound::Unbounded,
                to: Bound::Excluded(Moment(self.sim.now().0 + 1).to_key().to_vec().into()),
                limit: 100,
                reverse: false,
            };
            let members = as_range(context.store.read(shard, vec![due]).await?.into_iter().next())?;
            for (member, _) in members {
                let Some((due, Timer::Bucket(campaign, number))) = keys::read_timer_member(&member) else {
                    continue;
                };
                let bucket = Bucket {
                    campaign,
                    shard,
                    number,
                };
                let drops = self.sim.provider.lock().unwrap().drops_repeated;
                let recovery = move |_: &str| if drops { Recovery::Repeated } else { Recovery::InTheDark };
                let looked = campaign::look(&context, bucket, due, recovery).await?;
                for account in looked.accounts {
                    self.sim.hint(bucket, &account);
                }
            }
        }
        Ok(())
    }

    /// A dispatcher: works on a bucket that was hinted.
    pub(crate) async fn dispatch(self: Arc<Self>, bucket: Bucket, account: String) -> Result<(), Stop> {
        let began = self.sim.now();
        let mut lease = [0; 8];
        lease.copy_from_slice(&self.sim.bytes()[..8]);
        let most = 1 + self.sim.rng().below(4);
        let claimed = campaign::claim(&self.context(), bucket, &account, most, lease).await?;
        let Some(batch) = claimed else { return Ok(()) };
        self.dawdle().await;
        let mut verdicts: BTreeMap<Place, Verdict> = BTreeMap::new();
        for recipient in &batch.recipients {
            verdicts.extend(self.verdict().map(|verdict| (recipient.place, verdict)));
        }
        let others = batch.others(&verdicts);
        verdicts.extend(others);
        let failovers = self.sim.failovers();
        let submissions = campaign::submit(&self.context(), &batch, &verdicts).await?;
        self.dawdle().await;
        if self.is_late(began) {
            return Ok(());
        }
        self.announce(&batch, &submissions);
        self.dawdle().await;
        let mut answers = Vec::new();
        for submission in submissions {
            answers.extend(self.call(submission, (began, failovers)).await);
        }
        self.dawdle().await;
        loop {
            let random = self.sim.bytes()[0];
            match campaign::record(&self.context(), bucket, &answers, random).await {
                Ok(_) => break,
                Err(_) => pause().await,
            }
        }
        if batch.more {
            self.sim.hint(bucket, &account);
        }
        Ok(())
    }

    fn verdict(&self) -> Option<Verdict> {
        let later = self.sim.now() + Duration::from_secs(120);
        Some(match self.sim.rng().below(20) {
            0 => return None,
            1 => Verdict::PutOff(later, RecipientReason::QuietHours),
            2 => Verdict::Refuse(RecipientReason::NoAddress),
            3 => Verdict::Refuse(RecipientReason::OptedOut),
            4 => Verdict::Release,
            _ => Verdict::Send,
        })
    }

    /// Calls the provider, if there is time for it.
    async fn call(&self, submission: Submission, (began, failovers): (Moment, u64)) -> Option<Answer> {
        let sim = &self.sim;
        pause().await;
        let outcome = if self.is_late(began) && sim.breakage != Breakage::LeaseIgnored {
            Err(omnigate_proto::v1::SendError {
                class: omnigate_proto::v1::ErrorClass::NotSent.into(),
                ..omnigate_proto::v1::SendError::default()
            })
        } else {
            // What the store forgot is written down in the log alone.
            if sim.failovers() == failovers {
                self.is_written_down(&submission);
            }
            let troubles = sim.faults().provider;
            let of = (submission.sent, submission.attempt.piece);
            let outcome = sim.provider.lock().unwrap().call(&mut sim.rng(), of, troubles);
            sim.say(|| format!("row {} step {} called: {outcome:?}", of.0.place.row, of.0.step));
            outcome
        };
        Some(Answer {
            sent: submission.sent,
            attempt: submission.attempt,
            piece_count: 1,
            outcome,
        })
    }

    fn is_late(&self, began: Moment) -> bool {
        self.sim.now().since(began) + CALL_TIME + LEASE_MARGIN > LEASE_TIME
    }

    /// Writes submissions on the log.
    fn announce(&self, batch: &campaign::Batch, submissions: &[Submission]) {
        let Some(first) = submissions.first() else { return };
        let of_row: BTreeMap<Place, _> = batch.recipients.iter().map(|one| (one.place, &one.row)).collect();
        let item = |submission: &Submission| IntentItem {
            message_id: submission.sent.message_id().to_string(),
            piece: submission.attempt.piece,
            attempt: submission.attempt.number,
            customer: of_row[&submission.sent.place].customer.clone(),
            ..IntentItem::default()
        };
        let intent = Intent {
            shard: u32::from(batch.bucket.shard.number()),
            number: first.intent,
            items: submissions.iter().map(item).collect(),
            at_ms: self.sim.now().0,
        };
        self.sim.log.lock().unwrap().push(IntentBatch {
            intents: vec![intent],
            ..IntentBatch::default()
        });
    }

    /// The lease holder: compares the store with the log once nobody can have a forgotten submission in hand.
    pub(crate) async fn compare(self: Arc<Self>) -> Result<(), Stop> {
        let context = self.context();
        let shards: Vec<Shard> = Shard::all().collect();
        let mut seen = 0;
        while self.sim.breakage != Breakage::ReadTooSoon && seen != self.sim.failovers() {
            seen = self.sim.failovers();
            self.sim.until(self.sim.now() + LEASE_TIME).await;
        }
        let compared = self.sim.now();
        let Some(mut comparison) = Comparison::of(&context, &shards).await? else {
            return Ok(());
        };
        let read = match self.sim.breakage {
            Breakage::LogNotRead => 0,
            _ => self.sim.log.lock().unwrap().len(),
        };
        for number in 0..read {
            let entry = self.sim.log.lock().unwrap()[number].clone();
            comparison.take(&context, &entry).await?;
        }
        campaign::recheck(&context, (TENANT, id().shard()), compared, HERE).await?;
        comparison.finish(&context).await?;
        self.sim.say(|| format!("compared: {:?}", comparison.found));
        Ok(())
    }

    /// Nobody calls a provider for what was given up meanwhile: it may be decided otherwise by now.
    fn is_written_down(&self, submission: &Submission) {
        let place = submission.sent.place;
        let field = Query::Fields {
            key: keys::campaign::ledger(place.bucket),
            fields: vec![keys::campaign::row(place.row)],
        };
        let answers = self.sim.memory.read_now(place.bucket.shard, &[field]);
        let stored = as_fields(answers.into_iter().next()).unwrap().pop().flatten();
        let row = RecipientRow::decode(stored.unwrap_or_default()).unwrap();
        if ledger::state(&row) != DeliveryState::Submitting || Attempt::of(&row) != submission.attempt {
            self.sim
                .complain(|| "the provider is called for what was given up".to_owned());
        }
    }

    /// Stops for a while, now and then for longer than its lease.
    async fn dawdle(&self) {
        let slow = self.sim.faults().slow;
        if self.sim.chance(slow) {
            let wait = Duration::from_secs(self.sim.rng().next() % 200);
            self.sim.until(self.sim.now() + wait).await;
        }
    }

    /// Whoever hears receipts.
    pub(crate) async fn hear(self: Arc<Self>) -> Result<(), Stop> {
        let receipt = {
            let mut provider = self.sim.provider.lock().unwrap();
            let count = provider.receipts.len();
            if count == 0 {
                return Ok(());
            }
            let chosen = self.sim.rng().below(count);
            provider.receipts.swap_remove(chosen)
        };
        let (of, said) = receipt;
        let accounts = crate::people::ACCOUNTS;
        let account = accounts[usize::from(of.0.step)];
        loop {
            match campaign::heard(&self.context(), (TENANT, account), of, &said).await {
                Ok(true) => return Ok(()),
                Ok(false) if self.sim.failovers() > 0 => return Ok(()),
                Ok(false) => {
                    self.sim.complain(|| format!("nobody knows the message of {of:?}"));
                    return Ok(());
                }
                Err(_) => pause().await,
            }
        }
    }

    /// The operator: pauses and resumes, or cancels.
    pub(crate) async fn operate(self: Arc<Self>) -> Result<(), Stop> {
        let acts = self.sim.rng().below(3);
        for _ in 0..acts {
            let wait = Duration::from_secs(self.sim.rng().next() % 400);
            self.sim.until(self.sim.now() + wait).await;
            let cancels = self.sim.chance(200);
            if cancels {
                self.tell(Command::Cancel).await;
                return Ok(());
            }
            self.tell(Command::Pause(PauseReason::User, "")).await;
            let wait = Duration::from_secs(self.sim.rng().next() % 400);
            self.sim.until(self.sim.now() + wait).await;
            self.sim.stopped.store(false, Ordering::Relaxed);
            self.tell(Command::Resume).await;
        }
        // One before may have died while it was paused.
        self.sim.stopped.store(false, Ordering::Relaxed);
        self.tell(Command::Resume).await;
        let turns = self.sim.rng().below(3);
        for _ in 0..turns {
            let wait = Duration::from_secs(self.sim.rng().next() % 200);
            self.sim.until(self.sim.now() + wait).await;
            self.retry().await;
        }
        Ok(())
    }

    /// Gives recipients another turn, as long as the campaign lets somebody.
    async fn retry(&self) {
        let order = Order {
            tenant_id: TENANT,
            name: self.sim.bytes().to_vec().into(),
            etag: "",
            environment: HERE,
            cause: "",
        };
        loop {
            match campaign::retry(&self.context(), id(), &order, None, false).await {
                Ok(retried) => {
                    self.sim.say(|| format!("retried: {retried:?}"));
                    return;
                }
                Err(NotDone::Stop(_)) => pause().await,
                Err(_) => return,
            }
        }
    }

    async fn tell(&self, what: Command<'_>) {
        loop {
            let told = self.command(what).await;
            match told {
                Ok(Some(Ok(state))) => {
                    let stops = matches!(state, CampaignState::Paused | CampaignState::Cancelling);
                    self.sim.say(|| format!("{what:?}: {state:?}"));
                    if stops && !matches!(what, Command::Resume) {
                        self.sim.stopped.store(true, Ordering::Relaxed);
                    }
                    return;
                }
                Ok(_) => return,
                Err(_) => pause().await,
            }
        }
    }

    async fn command(&self, what: Command<'_>) -> Result<Option<Result<CampaignState, ()>>, Stop> {
        let context = self.context();
        if self.sim.breakage == Breakage::PauseNotSpread && matches!(what, Command::Pause(..)) {
            let before = campaign::get(&context, id()).await?;
            let record = before.value.unwrap_or_default();
            let now = self.sim.now();
            let next = omnigate_core::campaign::life::decide(&record, what, HERE, (now, ""));
            let Ok(Some(mut next)) = next else { return Ok(None) };
            next.copied_epoch = next.campaign.as_ref().map_or(0, |campaign| campaign.epoch);
            let key = keys::campaign::campaign(id());
            let expect = vec![omnigate_core::port::store::Expect::Record {
                key: key.clone(),
                stamp: before.stamp,
            }];
            let value = next.encode_to_vec().into();
            let write = vec![omnigate_core::port::store::Write::Put { key, value }];
            context.commit(id().shard(), expect, write).await?;
            return Ok(Some(Ok(CampaignState::Paused)));
        }
        let told = campaign::command(&context, id(), what, HERE, "").await?;
        Ok(told.map(|told| match told {
            Ok(record) => Ok(omnigate_core::campaign::life::state(&record)),
            Err(_) => Err(()),
        }))
    }

    /// Where everybody stands.
    pub(crate) async fn standing(&self) -> Result<Vec<campaign::Recipient>, Stop> {
        let mut all = Vec::new();
        for bucket in buckets(&self.sim) {
            all.extend(campaign::recipients(&self.context(), bucket).await?);
        }
        Ok(all)
    }
}
