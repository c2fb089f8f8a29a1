//! What all processes of a schedule share: clock, store, queues and provider, with faults in between.

use crate::breakage::Breakage;
use crate::people::{People, id};
use crate::provider::Provider;
use crate::rng::Rng;
use crate::time::{BEGINNING, SimClock, pause};
use bytes::Bytes;
use omnigate_core::campaign::ledger;
use omnigate_core::campaign::place::Bucket;
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Store, StoreError, Write};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{IntentBatch, RecipientRow};
use omnigate_proto::v1::DeliveryState;
use omnigate_store::memory::{MemoryStore, Replica};
use prost::Message as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub unavailable: usize,
    pub unknown: usize,
    pub lost_hint: usize,
    pub doubled_hint: usize,
    pub crash: usize,
    pub doze: usize,
    pub slow: usize,
    pub provider: usize,
    pub failover: usize,
}

pub(crate) struct Sim {
    pub clock: Arc<SimClock>,
    pub memory: MemoryStore,
    pub rng: Mutex<Rng>,
    pub faults: Mutex<Faults>,
    pub provider: Mutex<Provider>,
    pub people: People,
    pub hints: Mutex<Vec<(Bucket, String)>>,
    /// What was announced, in the order of the log.
    pub log: Mutex<Vec<IntentBatch>>,
    /// What a replica of the store has.
    pub replica: Mutex<Option<Replica>>,
    /// How often the store fell back to its replica.
    pub failovers: AtomicU64,
    /// Moments at which somebody wants to go on.
    pub alarms: Mutex<Vec<Moment>>,
    /// True from when the operator was told that the campaign has stopped, until it goes on.
    pub stopped: AtomicBool,
    pub complaint: Mutex<Option<String>>,
    /// Grows with everything that happens.
    pub progress: AtomicU64,
    pub breakage: Breakage,
    pub verbose: bool,
}

impl Sim {
    pub(crate) fn new(seed: u64, breakage: Breakage, verbose: bool) -> Arc<Self> {
        let mut rng = Rng::new(seed);
        let faults = Faults {
            unavailable: rng.pick(&[0, 0, 5]),
            unknown: rng.pick(&[0, 10, 40]),
            lost_hint: rng.pick(&[0, 200]),
            doubled_hint: rng.pick(&[0, 200]),
            crash: rng.pick(&[0, 3, 15]),
            doze: rng.pick(&[0, 20]),
            slow: rng.pick(&[0, 100, 500]),
            provider: rng.pick(&[0, 300, 700]),
            failover: rng.pick(&[0, 0, 3]),
        };
        let faults = match breakage {
            // Only who is slow can be late.
            Breakage::LeaseIgnored => Faults { slow: 700, ..faults },
            one if one.needs_failover() => Faults {
                failover: 10,
                slow: 500,
                ..faults
            },
            _ => faults,
        };
        let clock = Arc::new(SimClock::default());
        let people = People::new(&mut rng);
        let provider = Provider {
            drops_repeated: rng.per_mille(250),
            ..Provider::default()
        };
        Arc::new(Self {
            memory: MemoryStore::new(clock.clone()),
            clock,
            rng: Mutex::new(rng),
            faults: Mutex::new(faults),
            provider: Mutex::new(provider),
            people,
            hints: Mutex::default(),
            log: Mutex::default(),
            replica: Mutex::default(),
            failovers: AtomicU64::new(0),
            alarms: Mutex::default(),
            stopped: AtomicBool::new(false),
            complaint: Mutex::default(),
            progress: AtomicU64::new(0),
            breakage,
            verbose,
        })
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.lock().unwrap()
    }

    pub(crate) fn chance(&self, per_mille: usize) -> bool {
        self.rng().per_mille(per_mille)
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn failovers(&self) -> u64 {
        self.failovers.load(Ordering::Relaxed)
    }

    /// The replica catches up, or the store falls back to it; true when it did.
    pub(crate) fn replicate(&self) -> bool {
        let faults = self.faults();
        let mut replica = self.replica.lock().unwrap();
        if self.chance(20) {
            *replica = Some(self.memory.replica());
        }
        if !self.chance(faults.failover) {
            return false;
        }
        let Some(held) = replica.as_ref() else { return false };
        self.memory.fail_over(held);
        self.failovers.fetch_add(1, Ordering::Relaxed);
        // What the operator was told may be forgotten with the rest.
        self.stopped.store(false, Ordering::Relaxed);
        self.say(|| "the store falls back to its replica".to_owned());
        true
    }

    pub(crate) fn complain(&self, what: impl FnOnce() -> String) {
        let mut complaint = self.complaint.lock().unwrap();
        if complaint.is_none() {
            *complaint = Some(what());
        }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if self.verbose {
            println!("{}: {}", self.now().0 - BEGINNING.0, what());
        }
    }

    /// A hint on its way; may get lost or come twice.
    pub(crate) fn hint(&self, bucket: Bucket, account: &str) {
        let faults = self.faults();
        let copies = match (self.chance(faults.lost_hint), self.chance(faults.doubled_hint)) {
            (true, _) => 0,
            (false, doubled) => 1 + usize::from(doubled),
        };
        let hint = (bucket, account.to_owned());
        self.hints.lock().unwrap().extend(std::iter::repeat_n(hint, copies));
    }

    /// Waits for a moment.
    pub(crate) async fn until(&self, at: Moment) {
        self.alarms.lock().unwrap().push(at);
        while self.now() < at {
            pause().await;
        }
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}

impl Entropy for Sim {
    fn bytes(&self) -> [u8; 16] {
        self.rng().bytes()
    }
}

/// A process's connection to the store.
pub(crate) struct SimStore(pub Arc<Sim>);

#[async_trait::async_trait]
impl Store for SimStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.turn(shard).await;
        self.unless_away()?;
        Ok(self.0.memory.read_now(shard, &queries))
    }

    async fn commit(&self, shard: Shard, mut commit: Commit) -> Result<Outcome, StoreError> {
        assert!(commit.falsifies_itself(), "sent twice it would write twice: {commit:?}");
        self.turn(shard).await;
        self.unless_away()?;
        self.weaken(&mut commit);
        let (lost, written) = (self.0.chance(self.0.faults().unknown), self.0.chance(500));
        let outcome = match (lost, written) {
            (false, _) => self.apply(shard, &commit),
            (true, true) => {
                if self.0.breakage == Breakage::HalfCommits {
                    commit.write.truncate(commit.write.len() / 2);
                }
                self.apply(shard, &commit);
                Outcome::Unknown
            }
            (true, false) => Outcome::Unknown,
        };
        Ok(match outcome {
            Outcome::Unknown if self.0.breakage == Breakage::UnknownIsCommitted => Outcome::Committed,
            outcome => outcome,
        })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn incarnation(&self, _: Shard) -> Result<Bytes, StoreError> {
        Ok(match self.0.failovers() {
            0 => Bytes::new(),
            number => number.to_string().into(),
        })
    }
}

impl SimStore {
    /// Shards in which nobody is need no turns of their own, of which there are most.
    async fn turn(&self, shard: Shard) {
        if shard == id().shard() || self.0.people.0.iter().any(|customer| customer.shard() == shard) {
            pause().await;
        }
    }

    fn unless_away(&self) -> Result<(), StoreError> {
        if self.0.chance(self.0.faults().unavailable) {
            return Err(StoreError::Unavailable("simulated".into()));
        }
        Ok(())
    }

    fn apply(&self, shard: Shard, commit: &Commit) -> Outcome {
        let outcome = self.0.memory.commit_now(shard, commit);
        if outcome == Outcome::Committed {
            commit.write.iter().for_each(|write| self.observe(shard, write));
        }
        outcome
    }

    /// Nothing is begun after a pause or a cancellation was confirmed.
    fn observe(&self, shard: Shard, write: &Write) {
        let Some(row) = row(write) else { return };
        self.0.say(|| format!("{shard} {:?}", told(&row)));
        if ledger::state(&row) == DeliveryState::Submitting && self.0.stopped.load(Ordering::Relaxed) {
            let claimed_before = self.was_submitting(shard, write);
            if !claimed_before {
                self.0
                    .complain(|| "a submission began after the campaign was stopped".to_owned());
            }
        }
    }

    /// A receipt may touch a row that is being submitted, and what was announced is made up for: nobody has that.
    fn was_submitting(&self, _: Shard, write: &Write) -> bool {
        row(write).is_some_and(|row| row.proven != 0 || row.early_failure != 0 || row.lease.is_empty())
    }

    /// Breakages of what is written.
    fn weaken(&self, commit: &mut Commit) {
        let guarded = |expect: &Expect| match expect {
            Expect::Field { key, .. } if key[0] == b'F' => self.0.breakage != Breakage::RowUnguarded,
            Expect::Record { key, .. } if key[0] == b'H' => self.0.breakage != Breakage::ControlUnguarded,
            _ => true,
        };
        commit.expect.retain(guarded);
        match self.0.breakage {
            Breakage::CursorForgotten if commit.write.iter().any(|write| row(write).is_some()) => {
                commit
                    .write
                    .retain(|write| !matches!(write, Write::Put { key, .. } if key[0] == b'H'));
            }
            Breakage::TimerForgotten if commit.write.iter().any(|write| row(write).is_some()) => {
                commit
                    .write
                    .retain(|write| !matches!(write, Write::Insert { key, .. } if key[0] == b'w'));
            }
            Breakage::TallyForgotten if self.0.chance(100) => {
                commit.write.retain(|write| !matches!(write, Write::Add { .. }));
            }
            Breakage::RecoveryResends => commit.write.iter_mut().for_each(resend),
            _ => {}
        }
    }
}

/// Turns what nobody knows of into a new attempt.
fn resend(write: &mut Write) {
    if let Some(mut row) = row(write)
        && ledger::state(&row) == DeliveryState::Unknown
        && let Write::SetField { value, .. } = write
    {
        row.state = DeliveryState::Planned as u32;
        row.settled = false;
        row.until_ms = 0;
        *value = row.encode_to_vec().into();
    }
}

fn row(write: &Write) -> Option<RecipientRow> {
    match write {
        Write::SetField { key, value, .. } if key[0] == b'F' => RecipientRow::decode(value.clone()).ok(),
        _ => None,
    }
}

pub(crate) fn told(row: &RecipientRow) -> String {
    let ends = if row.settled { ", settled" } else { "" };
    format!(
        "{:?} step {} attempt {}{ends}",
        ledger::state(row),
        row.step,
        row.attempts
    )
}

/// Buckets of the campaign that anybody is in.
pub(crate) fn buckets(sim: &Sim) -> Vec<Bucket> {
    let bucket = |shard| Bucket {
        campaign: id().handle(),
        shard,
        number: 0,
    };
    sim.people.shards().into_iter().map(bucket).collect()
}
