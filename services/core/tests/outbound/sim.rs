//! What all processes of a schedule share: clock, store, queues and provider, with faults in between.

use crate::breakage::Breakage;
use crate::oracle::Oracle;
use crate::outline::outline;
use crate::people::{Line, Thread};
use crate::provider::Provider;
use crate::rng::Rng;
use crate::time::{BEGINNING, SimClock, pause};
use omnigate_core::append::Arrival;
use omnigate_core::id::MessageId;
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Stamp, Store, StoreError, Write};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, HomeRecord, ProviderPointer};
use omnigate_proto::v1::DeliveryState;
use omnigate_store::memory::MemoryStore;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub unavailable: usize,
    pub unknown: usize,
    pub unconfirmed: usize,
    pub lost_hint: usize,
    pub doubled_hint: usize,
    pub crash: usize,
    pub doze: usize,
    pub leap: usize,
    /// Dispatchers stop for so long that their answer comes after it was given up.
    pub slow: usize,
    /// The provider misbehaves.
    pub provider: usize,
}

/// A receipt on its queue.
pub(crate) struct Waiting {
    pub at: Moment,
    pub arrival: Arrival,
    pub in_hand: bool,
}

pub(crate) struct Sim {
    pub clock: Arc<SimClock>,
    pub memory: MemoryStore,
    pub rng: Mutex<Rng>,
    pub faults: Mutex<Faults>,
    pub oracle: Mutex<Oracle>,
    pub provider: Mutex<Provider>,
    pub hints: Mutex<Vec<MessageId>>,
    pub receipts: Mutex<Vec<Waiting>>,
    /// What people do, by thread.
    pub acts: Mutex<BTreeMap<Thread, Line>>,
    /// Moments at which somebody wants to go on.
    pub alarms: Mutex<Vec<Moment>>,
    /// Grows with everything that happens.
    pub progress: AtomicU64,
    pub breakage: Breakage,
    pub verbose: bool,
}

impl Sim {
    pub(crate) fn new(seed: u64, faults: Faults, breakage: Breakage, verbose: bool) -> Arc<Self> {
        let clock = Arc::new(SimClock::default());
        Arc::new(Self {
            memory: MemoryStore::new(clock.clone()),
            clock,
            rng: Mutex::new(Rng::new(seed)),
            faults: Mutex::new(faults),
            oracle: Mutex::default(),
            provider: Mutex::default(),
            hints: Mutex::default(),
            receipts: Mutex::default(),
            acts: Mutex::default(),
            alarms: Mutex::default(),
            progress: AtomicU64::new(0),
            breakage,
            verbose,
        })
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap()
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

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        if self.verbose {
            println!("{}: {}", self.now().0 - BEGINNING.0, what());
        }
    }

    /// A hint on its way; may get lost or come twice.
    pub(crate) fn hint(&self, id: MessageId) {
        let faults = self.faults();
        let (lost, doubled) = (self.chance(faults.lost_hint), self.chance(faults.doubled_hint));
        let lost = lost || (self.breakage == Breakage::TimersIgnored && self.chance(200));
        let copies = if lost { 0 } else { 1 + usize::from(doubled) };
        self.hints.lock().unwrap().extend(std::iter::repeat_n(id, copies));
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
        pause().await;
        self.unless_away()?;
        let answers = self.0.memory.read_now(shard, &queries);
        self.0.progress.fetch_add(1, Ordering::Relaxed);
        pause().await;
        Ok(answers)
    }

    async fn commit(&self, shard: Shard, mut commit: Commit) -> Result<Outcome, StoreError> {
        assert!(commit.falsifies_itself(), "sent twice it would write twice: {commit:?}");
        pause().await;
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
        self.0.say(|| format!("commit {shard} {}", told(&commit, &outcome)));
        pause().await;
        Ok(match outcome {
            Outcome::Unknown if self.0.breakage == Breakage::UnknownIsCommitted => Outcome::Committed,
            outcome => outcome,
        })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl SimStore {
    fn unless_away(&self) -> Result<(), StoreError> {
        if self.0.chance(self.0.faults().unavailable) {
            return Err(StoreError::Unavailable("simulated".into()));
        }
        Ok(())
    }

    fn apply(&self, shard: Shard, commit: &Commit) -> Outcome {
        let outcome = self.0.memory.commit_now(shard, commit);
        if outcome == Outcome::Committed {
            self.0.oracle().observe(shard, commit);
        }
        outcome
    }

    /// Breakages of what is written.
    fn weaken(&self, commit: &mut Commit) {
        let state = delivery(commit)
            .and_then(|record| record.delivery)
            .map(|one| one.state());
        let unguarded: &[u8] = match (self.0.breakage, state) {
            (Breakage::BeginUnguarded, Some(DeliveryState::Submitting)) => b"d",
            (Breakage::CancelUnguarded, Some(DeliveryState::Cancelled)) => b"dh",
            (Breakage::AnswerUnguarded, Some(state)) if state != DeliveryState::Submitting => b"d",
            (Breakage::HomeUnguarded, _) => b"h",
            (Breakage::WishesUnguarded, Some(DeliveryState::Submitting)) => b"h",
            (Breakage::RequestUnguarded, _) => b"q",
            _ => b"",
        };
        commit.expect.retain(|expect| match expect {
            Expect::Record { key, .. } | Expect::Field { key, .. } => !unguarded.contains(&key[0]),
            Expect::Member { .. } => true,
        });
        match self.0.breakage {
            Breakage::StampsRepeat => commit.stamp = Stamp([7; 8]),
            Breakage::OutboxNotInCommit => commit.write.retain(|write| !inserts(write, b'o')),
            Breakage::TimerNotMoved if state == Some(DeliveryState::Submitting) => {
                commit.write.retain(|write| !inserts(write, b'w'));
            }
            Breakage::EarlyReceiptsForgotten => commit.write.iter_mut().for_each(forget_early),
            Breakage::LedgerForgotten => commit.write.retain(|write| !is_about(write, b"CL")),
            Breakage::SuppressionForgotten => commit.write.retain(|write| !is_about(write, b"S")),
            Breakage::WishForgotten => commit.write.iter_mut().for_each(forget_wishes),
            Breakage::AlternativeForgotten if state == Some(DeliveryState::Deferred) => {
                commit.write.iter_mut().for_each(forget_alternative);
            }
            Breakage::RecoveryResends if state == Some(DeliveryState::Unknown) => self.resend(commit),
            _ => {}
        }
    }

    /// Turns a recovery into a new attempt.
    fn resend(&self, commit: &mut Commit) {
        let Some(mut record) = delivery(commit) else { return };
        let was_lost = |step: &omnigate_proto::state::v1::DeliveryStep| step.detail.contains("did not report back");
        if !record.history.iter().rev().take(2).any(was_lost) {
            return;
        }
        let due = self.0.now();
        record.timer_ms = due.0;
        let one = record.delivery.as_mut().unwrap();
        one.state = DeliveryState::Planned.into();
        for piece in one
            .pieces
            .iter_mut()
            .filter(|piece| piece.state() == DeliveryState::Unknown)
        {
            piece.state = DeliveryState::Deferred.into();
        }
        let id: MessageId = one.message_id.parse().unwrap();
        for write in &mut commit.write {
            if let Write::Put { key, value } = write
                && key[0] == b'd'
            {
                *value = record.encode_to_vec().into();
            }
        }
        commit.write.push(Write::Insert {
            key: keys::timers(),
            member: keys::timer_member(due, Timer::Delivery(id)),
            value: bytes::Bytes::new(),
        });
    }
}

fn inserts(write: &Write, kind: u8) -> bool {
    matches!(write, Write::Insert { key, .. } if key[0] == kind)
}

/// True for what is written under keys of these kinds, but for keys without an id.
fn is_about(write: &Write, kinds: &[u8]) -> bool {
    match write {
        Write::Put { key, .. } | Write::Insert { key, .. } | Write::SetField { key, .. } => {
            key.len() > 1 && kinds.contains(&key[0])
        }
        _ => false,
    }
}

fn forget_wishes(write: &mut Write) {
    if let Write::Put { key, value } = write
        && key[0] == b'h'
    {
        let mut home = HomeRecord::decode(value.clone()).unwrap();
        home.threads.iter_mut().for_each(|thread| thread.refused.clear());
        *value = home.encode_to_vec().into();
    }
}

fn forget_alternative(write: &mut Write) {
    if let Write::Put { key, value } = write
        && key[0] == b'd'
    {
        let mut record = DeliveryRecord::decode(value.clone()).unwrap();
        record.delivery.as_mut().unwrap().alternative_used = false;
        *value = record.encode_to_vec().into();
    }
}

fn forget_early(write: &mut Write) {
    if let Write::Put { key, value } = write
        && key[0] == b'm'
    {
        let mut pointer = ProviderPointer::decode(value.clone()).unwrap();
        pointer.early.clear();
        *value = pointer.encode_to_vec().into();
    }
}

/// The delivery that a commit writes.
pub(crate) fn delivery(commit: &Commit) -> Option<DeliveryRecord> {
    commit.write.iter().find_map(|write| match write {
        Write::Put { key, value } if key[0] == b'd' => DeliveryRecord::decode(value.clone()).ok(),
        _ => None,
    })
}

/// A commit in short, with what becomes of the delivery it writes.
fn told(commit: &Commit, outcome: &Outcome) -> String {
    let what = delivery(commit).and_then(|record| record.delivery).map(|one| {
        let state = one
            .state()
            .as_str_name()
            .trim_start_matches("DELIVERY_STATE_")
            .to_owned();
        let attempts: Vec<String> = one
            .pieces
            .iter()
            .map(|piece| {
                format!(
                    "{}:{}",
                    piece.attempts,
                    piece.state().as_str_name().trim_start_matches("DELIVERY_STATE_")
                )
            })
            .collect();
        format!("{} {state} {attempts:?}", one.message_id)
    });
    format!("{} {}", outline(commit, outcome), what.unwrap_or_default())
}
