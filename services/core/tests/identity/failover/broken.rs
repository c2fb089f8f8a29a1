//! The repair with one of its rules dropped: what the sweep's connection distorts, weakens or leaves out.

use crate::breakage::Breakage;
use crate::store::SimStore;
use omnigate_core::id::CustomerId;
use omnigate_core::identity::stored::{decode_claim, encode_claim};
use omnigate_core::identity::{CLOSED, member};
use omnigate_core::port::store::{Answer, Commit, Query, Write};
use omnigate_proto::state::v1::{Claim, CustomerState, HomeRecord};
use prost::Message as _;

impl SimStore {
    fn broken(&self) -> Breakage {
        if self.worker == "sweep" {
            self.sim.breakage
        } else {
            Breakage::None
        }
    }

    /// What the sweep reads.
    pub(crate) fn distort_sweep(&self, queries: &[Query], answers: &mut [Answer]) {
        let broken = self.broken();
        for (query, answer) in queries.iter().zip(answers) {
            match (query, answer) {
                (Query::Range { key, .. }, Answer::Range(members)) => match (broken, key[0]) {
                    (Breakage::LastPageLeftOut, b'l') => {
                        members.pop();
                    }
                    (Breakage::ClaimsLeftOut, b'I') => members.clear(),
                    _ => {}
                },
                (Query::Record(key), Answer::Record(Some(found))) => match (broken, key[0]) {
                    (Breakage::ErasedRestored, b'i') => {
                        let mut claim = decode_claim(found.value.clone()).unwrap();
                        claim.erased_at_ms = 0;
                        found.value = encode_claim(&claim);
                    }
                    (Breakage::ErasedRestored, b'h') => {
                        let mut home = HomeRecord::decode(found.value.clone()).unwrap();
                        home.wiped.clear();
                        found.value = home.encode_to_vec().into();
                    }
                    (Breakage::RepairedAgainAndAgain, b'i') => {
                        let mut claim = decode_claim(found.value.clone()).unwrap();
                        claim.home.clear();
                        found.value = encode_claim(&claim);
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// Commits of the sweep that are said to have happened, and have not.
    pub(crate) fn is_left_out_of_sweep(&self, commit: &Commit) -> bool {
        let broken = self.broken();
        let Some(change) = self.change(commit) else {
            return match broken {
                Breakage::BirthLeftOpen => closes(commit),
                _ => false,
            };
        };
        let (before, after) = (&change.before, &change.after);
        let fewer = after.members.len() < before.members.len();
        let ended = after.members.iter().filter(|member| member.to_ms == CLOSED).count()
            > before.members.iter().filter(|member| member.to_ms == CLOSED).count();
        match broken {
            Breakage::SecondRecordKept => fewer && after.verdicts.len() == before.verdicts.len() || ended,
            Breakage::LostMergeNotEnded => {
                before.state() == CustomerState::Active
                    && after.verdicts.len() > before.verdicts.len()
                    && after
                        .verdicts
                        .last()
                        .is_some_and(|verdict| !verdict.commit && verdict.forbidden_by.is_empty())
            }
            Breakage::FormerLeftOut => {
                before.state() != CustomerState::Frozen && after.state() == CustomerState::Merged
                    || before.state() == CustomerState::Merged && after.state() == CustomerState::Active
            }
            _ => false,
        }
    }

    /// What the sweep writes.
    pub(crate) fn weaken_sweep(&self, commit: &mut Commit) {
        let broken = self.broken();
        for write in &mut commit.write {
            let Write::Put { key, value } = write else { continue };
            if broken == Breakage::RepairedToTheYounger && key[0] == b'i' {
                let mut claim = decode_claim(value.clone()).unwrap();
                if let Some((id, birth, home)) = self.youngest(&claim) {
                    claim.customer = id.to_bytes();
                    (claim.birth, claim.home) = (birth, home);
                }
                *value = encode_claim(&claim);
            }
        }
    }

    /// The youngest customer that holds what is claimed, if several do.
    fn youngest(&self, claim: &Claim) -> Option<(CustomerId, bytes::Bytes, bytes::Bytes)> {
        let identifier = claim.identifier.clone()?;
        let oracle = self.sim.oracle();
        let active = oracle
            .customers
            .iter()
            .filter(|(_, record)| record.state() == CustomerState::Active);
        let holders: Vec<_> = active
            .filter_map(|(id, record)| Some((*id, member(&record.members, &identifier)?)))
            .collect();
        let (id, member) = holders.last().filter(|_| holders.len() > 1)?;
        Some((*id, member.birth.clone(), member.home.clone()))
    }
}

/// True for a commit that closes a birth in its home.
fn closes(commit: &Commit) -> bool {
    commit.write.iter().any(|write| match write {
        Write::Put { key, value } if key[0] == b'h' => {
            !HomeRecord::decode(value.clone()).unwrap().closed_births.is_empty()
        }
        _ => false,
    }) && commit.write.len() == 1
}
