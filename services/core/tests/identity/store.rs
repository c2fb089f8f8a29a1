//! The store of a schedule: one memory store behind every worker's connection, with what goes wrong in between, and with the
//! rule that a breakage drops.

use crate::breakage::Breakage;
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::time::{SimClock, pause};
use crate::told::TENANT;
use omnigate_core::id::CustomerId;
use omnigate_core::identity::stored::{decode_claim, decode_customer, encode_claim, encode_customer};
use omnigate_core::identity::veil::veiled;
use omnigate_core::port::store::{Answer, Commit, Expect, Outcome, Query, Store, StoreError, Write};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::shard::Shard;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Freeze, HomeRecord, Verdict};
use omnigate_proto::v1::Identifier;
use omnigate_store::memory::MemoryStore;
use prost::Message as _;
use std::sync::{Arc, Mutex, MutexGuard};

/// What all workers of a schedule share.
pub(crate) struct Sim {
    pub clock: Arc<SimClock>,
    memory: Mutex<Arc<MemoryStore>>,
    /// Everything that was written, in order.
    pub written: Mutex<Vec<(Shard, Commit)>>,
    pub rng: Mutex<Rng>,
    pub oracle: Mutex<Oracle>,
    pub breakage: Breakage,
    /// Answers that get lost, in a thousand.
    pub unknown: Mutex<usize>,
    pub verbose: bool,
}

impl Sim {
    pub(crate) fn new(rng: Rng, breakage: Breakage, unknown: usize, verbose: bool) -> Arc<Self> {
        let clock = Arc::new(SimClock::default());
        Arc::new(Self {
            memory: Mutex::new(Arc::new(MemoryStore::new(clock.clone()))),
            written: Mutex::default(),
            clock,
            rng: Mutex::new(rng),
            oracle: Mutex::default(),
            breakage,
            unknown: Mutex::new(unknown),
            verbose,
        })
    }

    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap()
    }

    fn memory(&self) -> Arc<MemoryStore> {
        self.memory.lock().unwrap().clone()
    }

    /// A failover: what was written from `since` on to shards that are lost is gone, as if it had never been.
    pub(crate) fn roll_back(&self, since: usize, is_lost: impl Fn(Shard) -> bool) {
        let memory = Arc::new(MemoryStore::new(self.clock.clone()));
        let mut written = self.written.lock().unwrap();
        let all = std::mem::take(&mut *written).into_iter().enumerate();
        *written = all
            .filter(|(number, (shard, _))| *number < since || !is_lost(*shard))
            .map(|(_, commit)| commit)
            .collect();
        for (shard, commit) in written.iter() {
            assert_eq!(memory.commit_now(*shard, commit), Outcome::Committed);
        }
        *self.memory.lock().unwrap() = memory;
        let commits = written.iter().map(|(_, commit)| commit);
        self.oracle().see_anew(commits, self.clock.now());
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}: {}", self.clock.now().0 - crate::time::BEGINNING.0, what());
        }
    }
}

impl Entropy for Sim {
    fn bytes(&self) -> [u8; 16] {
        self.rng().bytes()
    }
}

/// A worker's connection.
pub(crate) struct SimStore {
    pub sim: Arc<Sim>,
    pub worker: String,
    /// What it froze last, and what of: a breakage may be about the step that comes next.
    froze: Mutex<Option<(CustomerId, Freeze)>>,
    /// True while a reader asks.
    pub reads: Mutex<bool>,
}

impl SimStore {
    pub(crate) fn new(sim: Arc<Sim>, worker: &str) -> Self {
        Self {
            sim,
            worker: worker.to_owned(),
            froze: Mutex::default(),
            reads: Mutex::default(),
        }
    }
}

#[async_trait::async_trait]
impl Store for SimStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        pause().await;
        let mut answers = self.sim.memory().read_now(shard, &queries);
        self.distort(&queries, &mut answers);
        self.distort_sweep(&queries, &mut answers);
        Ok(answers)
    }

    async fn commit(&self, shard: Shard, mut commit: Commit) -> Result<Outcome, StoreError> {
        assert!(commit.falsifies_itself(), "sent twice it would write twice: {commit:?}");
        commit.write.iter().for_each(comes_back);
        pause().await;
        if self.is_left_out(&commit) || self.is_left_out_of_sweep(&commit) {
            return Ok(Outcome::Committed);
        }
        self.weaken(&mut commit);
        self.weaken_sweep(&mut commit);
        let unknown = *self.sim.unknown.lock().unwrap();
        let (lost, written) = {
            let mut rng = self.sim.rng();
            (rng.per_mille(unknown), rng.per_mille(500))
        };
        if lost && !written {
            return Ok(Outcome::Unknown);
        }
        let outcome = self.sim.memory().commit_now(shard, &commit);
        self.sim
            .say(|| format!("{} {} {outcome:?}", self.worker, outline(&commit)));
        if outcome == Outcome::Committed {
            self.remember_frozen(&commit);
            self.sim.written.lock().unwrap().push((shard, commit.clone()));
            self.sim.oracle().observe(&commit, self.sim.clock.now());
        }
        Ok(if lost { Outcome::Unknown } else { outcome })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is stored smaller than it is comes back, and is stored so wherever it is written.
fn comes_back(write: &Write) {
    let Write::Put { key, value } = write else { return };
    let again = match key[0] {
        b'c' => {
            let id = CustomerId::from_bytes(&key[1..]).unwrap();
            encode_customer(id, &decode_customer(id, value.clone()).unwrap())
        }
        b'i' => encode_claim(&decode_claim(value.clone()).unwrap()),
        _ => return,
    };
    assert_eq!(again, value, "a record is stored larger than it must be");
}

/// What a commit writes, for people.
fn outline(commit: &Commit) -> String {
    let mut parts = Vec::new();
    for write in &commit.write {
        match write {
            Write::Put { key, value } if key[0] == b'c' => {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                let record = decode_customer(id, value.clone()).unwrap();
                let members: Vec<_> = record
                    .members
                    .iter()
                    .map(|member| {
                        member
                            .identifier
                            .as_ref()
                            .map(|of| format!("{}:{}", of.r#type, of.value))
                    })
                    .map(Option::unwrap_or_default)
                    .collect();
                parts.push(format!("{id} {:?} {members:?}", record.state()));
            }
            Write::Put { key, .. } => parts.push(format!("put {}", char::from(key[0]))),
            Write::Insert { key, .. } => parts.push(format!("insert {}", char::from(key[0]))),
            Write::Remove { key, .. } => parts.push(format!("remove {}", char::from(key[0]))),
            _ => {}
        }
    }
    parts.join(", ")
}

/// A customer's record that a commit writes, with what stood there before.
pub(crate) struct Change {
    pub id: CustomerId,
    pub before: CustomerRecord,
    pub after: CustomerRecord,
}

impl Change {
    fn is_split(record: &CustomerRecord) -> bool {
        record.freeze.as_ref().is_some_and(|freeze| freeze.split)
    }

    /// A verdict that is given now.
    fn verdict(&self) -> Option<&Verdict> {
        let known = &self.before.verdicts;
        self.after.verdicts.iter().find(|verdict| !known.contains(verdict))
    }

    fn gives_away(&self) -> bool {
        self.verdict().is_some_and(|verdict| !verdict.members.is_empty())
    }

    /// A record comes back, or begins, by a split.
    fn comes_back(&self) -> bool {
        Self::is_split(&self.before) && self.after.state() == CustomerState::Active
    }
}

impl SimStore {
    pub(crate) fn change(&self, commit: &Commit) -> Option<Change> {
        commit.write.iter().find_map(|write| match write {
            Write::Put { key, value } if key[0] == b'c' => {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                Some(Change {
                    id,
                    before: self.sim.oracle().customers.get(&id).cloned().unwrap_or_default(),
                    after: decode_customer(id, value.clone()).unwrap(),
                })
            }
            _ => None,
        })
    }

    fn remember_frozen(&self, commit: &Commit) {
        for write in &commit.write {
            if let Write::Put { key, value } = write
                && key[0] == b'c'
            {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                if let Some(freeze) = decode_customer(id, value.clone()).unwrap().freeze {
                    *self.froze.lock().unwrap() = Some((id, freeze));
                }
            }
        }
    }

    fn froze(&self) -> Option<(CustomerId, Freeze)> {
        self.froze.lock().unwrap().clone()
    }

    /// A recovery that says to have ended a transaction, and has not written so.
    fn is_left_out(&self, commit: &Commit) -> bool {
        let split = match self.sim.breakage {
            Breakage::MergeAbortUnwritten => false,
            Breakage::SplitAbortUnwritten => true,
            _ => return false,
        };
        let Some(change) = self.change(commit) else {
            return false;
        };
        let Some(verdict) = change.verdict() else { return false };
        let own = self
            .froze()
            .is_some_and(|(_, freeze)| freeze.transaction == verdict.transaction);
        let oracle = self.sim.oracle();
        let mut frozen = oracle.customers.values().filter_map(|record| record.freeze.as_ref());
        let kind = frozen.find(|freeze| freeze.transaction == verdict.transaction);
        !own && !verdict.commit && kind.is_some_and(|freeze| freeze.split == split)
    }

    /// Breakages of what is written.
    fn weaken(&self, commit: &mut Commit) {
        let breakage = self.sim.breakage;
        if breakage == Breakage::ClaimUnguarded {
            let takes = commit.write.iter().any(|write| {
                matches!(write, Write::Put { key, value } if key[0] == b'i'
                    && !decode_claim(value.clone()).unwrap().customer.is_empty())
            });
            if takes {
                commit
                    .expect
                    .retain(|expect| !matches!(expect, Expect::Record { key, .. } if key[0] == b'i'));
            }
        }
        let change = self.change(commit);
        for write in &mut commit.write {
            let Write::Put { key, value } = write else { continue };
            match key[0] {
                b'c' => {
                    let change = change.as_ref().unwrap();
                    let mut record = change.after.clone();
                    self.weaken_customer(change, &mut record);
                    *value = encode_customer(change.id, &record);
                }
                b'i' if breakage == Breakage::HomeFollowsTheClaim => {
                    let mut claim = decode_claim(value.clone()).unwrap();
                    if !claim.home.is_empty() {
                        claim.home = claim.customer.clone();
                    }
                    *value = encode_claim(&claim);
                }
                b'h' if breakage == Breakage::NothingMarkedErased => {
                    let mut home = HomeRecord::decode(value.clone()).unwrap();
                    home.wiped.clear();
                    *value = home.encode_to_vec().into();
                }
                _ => {}
            }
        }
    }

    fn weaken_customer(&self, change: &Change, record: &mut CustomerRecord) {
        let before = &change.before;
        match self.sim.breakage {
            Breakage::RejectionForgotten => record.rejected.clear(),
            Breakage::FrozenTakesIdentifiers
                if before.state() == CustomerState::Frozen
                    && record.state() == CustomerState::Active
                    && record.members.len() == before.members.len() + 1 =>
            {
                record.state = before.state;
                record.freeze.clone_from(&before.freeze);
            }
            Breakage::FrozenIsSplit if before.state() == CustomerState::Frozen && change.verdict().is_some() => {
                record.state = before.state;
                record.freeze.clone_from(&before.freeze);
            }
            Breakage::CapsNotLookedAtAgain if change.verdict().is_some() => {
                for member in &mut record.members {
                    let known = before.members.iter().find(|known| known.birth == member.birth);
                    member.retired = known.is_some_and(|known| known.retired);
                }
            }
            Breakage::BackBeforeTheVerdict if before.state() == CustomerState::Merged && Change::is_split(record) => {
                record.set_state(CustomerState::Active);
                record.freeze = None;
                record.into.clear();
                record.merged_by.clear();
            }
            Breakage::BackWithTheOldList if change.comes_back() && !before.members.is_empty() => {
                record.members.clone_from(&before.members);
            }
            Breakage::NoForwardAtASplit if change.gives_away() => record.out.clone_from(&before.out),
            Breakage::LeftBehindForgotten if change.comes_back() => {
                let identifiers = record.members.iter().filter_map(|member| member.identifier.as_ref());
                let ways = |identifier: &Identifier| [Some(identifier.clone()), Some(veiled(TENANT, identifier))];
                let back: Vec<_> = identifiers.flat_map(ways).collect();
                record.out.clone_from(&before.out);
                record.out.retain(|forward| !back.contains(&forward.identifier));
            }
            Breakage::MarksNotWritten => {
                let given = record.verdicts.iter_mut().flat_map(|verdict| &mut verdict.members);
                given.for_each(|member| member.tags.clear());
                record.members.iter_mut().for_each(|member| member.tags.clear());
            }
            _ => {}
        }
    }

    /// Breakages of what is read.
    fn distort(&self, queries: &[Query], answers: &mut [Answer]) {
        let kinds: Vec<u8> = queries
            .iter()
            .map(|query| match query {
                Query::Record(key) => key[0],
                _ => b' ',
            })
            .collect();
        for (query, answer) in queries.iter().zip(answers) {
            let (Query::Record(key), Answer::Record(Some(found))) = (query, answer) else {
                continue;
            };
            match key[0] {
                b'c' => {
                    let id = CustomerId::from_bytes(&key[1..]).unwrap();
                    let mut record = decode_customer(id, found.value.clone()).unwrap();
                    self.distort_customer(&kinds, id, &mut record);
                    found.value = encode_customer(id, &record);
                }
                b'i' => {
                    let mut claim = decode_claim(found.value.clone()).unwrap();
                    match self.sim.breakage {
                        Breakage::AppendedAtTheOwner if !claim.home.is_empty() => claim.home = claim.customer.clone(),
                        Breakage::ErasureTimeIgnored => claim.erased_at_ms = 0,
                        _ => continue,
                    }
                    found.value = encode_claim(&claim);
                }
                _ => {}
            }
        }
    }

    fn distort_customer(&self, kinds: &[u8], id: CustomerId, record: &mut CustomerRecord) {
        let froze = self.froze();
        let decides = |split| {
            let of = froze.as_ref().filter(|(_, freeze)| freeze.split == split);
            kinds == b"hc" && of.is_some_and(|(_, freeze)| freeze.decider == id.to_bytes())
        };
        let frozen = record.state() == CustomerState::Frozen;
        match self.sim.breakage {
            Breakage::FrozenTakesIdentifiers if frozen && kinds == b"ch" => record.set_state(CustomerState::Active),
            Breakage::FrozenIsSplit if frozen && decides(true) => record.set_state(CustomerState::Active),
            Breakage::CapsNotLookedAtAgain if decides(false) => {
                record.members.iter_mut().for_each(|member| member.retired = true);
            }
            Breakage::SettledByAnother if frozen => {
                if let Some((of, freeze)) = froze.filter(|(of, freeze)| *of == id && !freeze.split) {
                    self.sim.say(|| format!("{} takes {of} for its own", self.worker));
                    record.freeze = Some(freeze);
                }
            }
            Breakage::VerdictIgnored if *self.reads.lock().unwrap() => record.verdicts.clear(),
            _ => {}
        }
    }
}
