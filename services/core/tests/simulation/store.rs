//! The store of a schedule: one memory store behind every process's connection, with faults of the network in between.

use crate::breakage::Breakage;
use crate::oracle::Oracle;
use crate::outline::outline;
use crate::rng::Rng;
use crate::time::{SimClock, pause};
use omnigate_core::id::CustomerId;
use omnigate_core::identity::stored::{decode_claim, decode_customer, encode_claim, encode_customer};
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Stamp, Store, StoreError, Write};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::shard::Shard;
use omnigate_core::timeline::Place;
use omnigate_proto::state::v1::HomeRecord;
use omnigate_store::memory::MemoryStore;
use prost::Message as _;
use std::sync::{Arc, Mutex, MutexGuard};

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub unavailable: usize,
    pub unknown: usize,
    pub unconfirmed: usize,
    pub crash: usize,
    pub doze: usize,
    pub overlap: usize,
    pub leap: usize,
}

/// What all processes of a schedule share.
pub(crate) struct Sim {
    pub clock: Arc<SimClock>,
    pub memory: MemoryStore,
    pub rng: Mutex<Rng>,
    pub faults: Mutex<Faults>,
    pub oracle: Mutex<Oracle>,
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

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}: {}", self.clock.now(), what());
        }
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
        let mut answers = self.0.memory.read_now(shard, &queries);
        self.distort(&queries, &mut answers);
        pause().await;
        Ok(answers)
    }

    async fn commit(&self, shard: Shard, mut commit: Commit) -> Result<Outcome, StoreError> {
        assert!(commit.falsifies_itself(), "sent twice it would write twice: {commit:?}");
        pause().await;
        self.unless_away()?;
        self.note_refusals(&commit);
        self.weaken(&mut commit);
        let faults = self.0.faults();
        let (lost, written) = {
            let mut rng = self.0.rng();
            (rng.per_mille(faults.unknown), rng.per_mille(500))
        };
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
        self.0.say(|| {
            format!(
                "commit {shard} {} {}",
                if lost { "unknown" } else { "" },
                outline(&commit, &outcome)
            )
        });
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
        let away = self.0.faults().unavailable;
        if self.0.rng().per_mille(away) {
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

    /// Where an identifier was refused, what belongs together may stay apart.
    fn note_refusals(&self, commit: &Commit) {
        for write in &commit.write {
            if let Write::Put { key, value } = write
                && key[0] == b'c'
            {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                self.0.oracle().refused |= !decode_customer(id, value.clone()).unwrap().rejected.is_empty();
            }
        }
    }

    /// Breakages of what is written.
    fn weaken(&self, commit: &mut Commit) {
        let breakage = self.0.breakage;
        let claim = commit.write.iter().find_map(|write| match write {
            Write::Put { key, value } if key[0] == b'i' => decode_claim(value.clone()).ok(),
            _ => None,
        });
        let claim = claim.as_ref();
        let unguarded: &[u8] = match breakage {
            Breakage::FirstContactUnguarded if has(commit, b'c') && claim.is_some() => b"i",
            Breakage::ReservationUnguarded if claim.is_some_and(|c| !c.customer.is_empty() && c.home.is_empty()) => {
                b"i"
            }
            Breakage::RefusalUnguarded if claim.is_some_and(|c| c.customer.is_empty()) => b"i",
            Breakage::CustomerUnguarded if claim.is_none() => b"c",
            Breakage::HomeUnguarded if !has(commit, b'c') => b"h",
            Breakage::NumberUnguarded if has(commit, b'c') => b"h",
            Breakage::PlaceUnguarded => b"p",
            _ => b"",
        };
        commit.expect.retain(|expect| match expect {
            Expect::Record { key, .. } | Expect::Field { key, .. } => !unguarded.contains(&key[0]),
            Expect::Member { .. } => true,
        });
        match breakage {
            Breakage::StampsRepeat => commit.stamp = Stamp([7; 8]),
            Breakage::OutboxNotInCommit => {
                commit
                    .write
                    .retain(|write| !matches!(write, Write::Insert { key, .. } if key[0] == b'o'));
            }
            Breakage::RejectionForgotten | Breakage::ReplacedNotRetired => rewrite_customers(commit, breakage),
            Breakage::PiecesNotKept | Breakage::WholeForgotten => rewrite_threads(commit, breakage),
            Breakage::PieceTimerForgotten => commit
                .write
                .retain(|write| !matches!(write, Write::Insert { key, .. } if key[0] == b'w')),
            Breakage::PiecePlacesForgotten => commit.write.retain(|write| !leads_elsewhere(write)),
            _ => {}
        }
    }

    /// Breakages of what is read.
    fn distort(&self, queries: &[Query], answers: &mut [Answer]) {
        for (query, answer) in queries.iter().zip(answers) {
            match (self.0.breakage, query, answer) {
                (Breakage::OwnerBeforeAccepted, Query::Record(key), Answer::Record(Some(record))) if key[0] == b'i' => {
                    let mut claim = decode_claim(record.value.clone()).unwrap();
                    claim.home = claim.customer.clone();
                    record.value = encode_claim(&claim);
                }
                (Breakage::StaleEntries, Query::Range { key, .. }, Answer::Range(members)) if key[0] == b't' => {
                    let home = CustomerId::from_bytes(&key[1..]).unwrap();
                    for (member, value) in members {
                        if self.0.rng().per_mille(200)
                            && let Some(first) = self.0.oracle().first_version(home, member)
                        {
                            *value = first;
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn has(commit: &Commit, kind: u8) -> bool {
    commit
        .write
        .iter()
        .any(|write| matches!(write, Write::Put { key, .. } if key[0] == kind))
}

fn rewrite_threads(commit: &mut Commit, breakage: Breakage) {
    for write in &mut commit.write {
        if let Write::Put { key, value } = write
            && key[0] == b'h'
        {
            let mut home = HomeRecord::decode(value.clone()).unwrap();
            for thread in &mut home.threads {
                match breakage {
                    Breakage::WholeForgotten => thread.whole_pieces.clear(),
                    _ => thread.pending_pieces.clear(),
                }
            }
            *value = home.encode_to_vec().into();
        }
    }
}

/// True for the place of an event that is shown in another entry than its own.
fn leads_elsewhere(write: &Write) -> bool {
    let Write::SetField { key, field, value } = write else {
        return false;
    };
    let place = omnigate_core::id::EventId::from_bytes(field).filter(|_| key[0] == b'p');
    let place = place.and_then(|event| Place::decode(event, value));
    matches!(place, Some(Place::At { entry, .. }) if entry.to_bytes() != *field)
}

fn rewrite_customers(commit: &mut Commit, breakage: Breakage) {
    for write in &mut commit.write {
        if let Write::Put { key, value } = write
            && key[0] == b'c'
        {
            let id = CustomerId::from_bytes(&key[1..]).unwrap();
            let mut record = decode_customer(id, value.clone()).unwrap();
            if breakage == Breakage::RejectionForgotten {
                record.rejected.clear();
            } else {
                for member in &mut record.members {
                    member.retired = false;
                }
            }
            *value = encode_customer(id, &record);
        }
    }
}
