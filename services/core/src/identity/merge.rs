//! A merge: the younger customer is frozen, the older one decides once, the younger one is settled by that verdict.
//!
//! It moves identifiers only; threads and entries stay in the homes where they were born.

use super::membership::{CLOSED, MAX_MEMBERS, MAX_MERGED, REMEMBERED, is_held, member, over_cap};
use super::whereabouts::{forget_ways, frozen, frozen_for, verdict};
use crate::id::{CustomerId, TransactionId};
use crate::identifier::{AUTHORITATIVE, BUILT_IN};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, DoNotLink, Freeze, Membership, MergeStep, Verdict};
use omnigate_proto::v1::Identifier;
use std::collections::BTreeSet;
use std::time::Duration;

/// Most customers that are merged into one without a person within [`BURST_WITHIN`]; more look like a value that strangers
/// share.
const BURST: usize = 3;
/// See [`BURST`].
const BURST_WITHIN: Duration = Duration::from_secs(600);

/// Two customers that are to become one.
#[derive(Clone, PartialEq, Debug)]
pub struct Merge {
    /// Names it.
    pub transaction: TransactionId,
    /// The older one; it decides.
    pub survivor: CustomerId,
    /// The younger one.
    pub loser: CustomerId,
    /// Identifiers, one of each, that were seen to belong to one person.
    pub evidence: [Identifier; 2],
    /// On whose word.
    pub word: Word,
}

/// On whose word two customers are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// A person's, who may overrule what only makes a merge unlikely.
    Person,
    /// Channels vouch for both identifiers, or they were verified.
    Strong,
    /// At least one of the two is only stated.
    Weak,
}

/// A rule that forbids a merge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// Customers of different tenants are never merged.
    Tenant,
    /// Two stated identifiers prove nothing.
    Evidence,
    /// They have different ids in one system of record.
    Authoritative,
    /// Together they would have more identifiers of a type than one person has.
    Cap,
    /// A person took them apart.
    DoNotLink,
    /// Together they would be too many customers, or have too many identifiers.
    Budget,
    /// Too many customers were merged into the older one lately.
    Burst,
}

impl Rule {
    /// All rules, in the order in which they are looked at.
    pub const ALL: [Self; 7] = [
        Self::Tenant,
        Self::Evidence,
        Self::Authoritative,
        Self::Cap,
        Self::DoNotLink,
        Self::Budget,
        Self::Burst,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "TENANT",
            Self::Evidence => "EVIDENCE",
            Self::Authoritative => "AUTHORITATIVE_ID",
            Self::Cap => "CAP",
            Self::DoNotLink => "DO_NOT_LINK",
            Self::Budget => "BUDGET",
            Self::Burst => "BURST",
        }
    }
}

/// Older customers survive, so that no order of merges makes a circle.
#[must_use]
pub fn survivor_and_loser(one: CustomerId, other: CustomerId) -> (CustomerId, CustomerId) {
    (one.min(other), one.max(other))
}

/// How a record answered to being frozen.
#[derive(Clone, PartialEq, Debug)]
pub enum Freezing {
    /// It is frozen for this transaction; the record to write when that is new.
    Frozen(Option<Box<CustomerRecord>>),
    /// Another transaction has it.
    Busy,
    /// It is not what it was: look again.
    Changed,
}

impl Freezing {
    /// Freezes a record that may be frozen, unless it is.
    pub(super) fn of(record: &CustomerRecord, freeze: Freeze, may_be: bool) -> Self {
        if frozen_for(record, &freeze.transaction, freeze.split).is_some() {
            return Self::Frozen(None);
        }
        if frozen(record).is_some() {
            return Self::Busy;
        }
        if !may_be {
            return Self::Changed;
        }
        let mut next = record.clone();
        next.set_state(CustomerState::Frozen);
        next.freeze = Some(freeze);
        Self::Frozen(Some(Box::new(next)))
    }
}

/// Freezes the loser: from now on no identifier joins or leaves it until the verdict is known.
#[must_use]
pub fn freeze(record: &CustomerRecord, merge: &Merge, now: Moment) -> Freezing {
    let freeze = Freeze {
        transaction: merge.transaction.to_bytes(),
        decider: merge.survivor.to_bytes(),
        split: false,
        since_ms: now.0,
    };
    Freezing::of(record, freeze, record.state() == CustomerState::Active)
}

/// How a record decides.
#[derive(Clone, PartialEq, Debug)]
pub enum Decided {
    /// The verdict, given now or before; the record to write when now.
    Verdict(Box<Verdict>, Option<Box<CustomerRecord>>),
    /// The record is itself frozen: it cannot decide before that is over.
    Busy,
}

impl Decided {
    /// The verdict that was given before.
    fn before(record: &CustomerRecord, transaction: &[u8]) -> Option<Self> {
        let given = verdict(record, transaction)?;
        Some(Self::Verdict(Box::new(given.clone()), None))
    }

    /// Why there is nothing to decide now: it was decided before, or the record is frozen.
    pub(super) fn already(record: &CustomerRecord, transaction: &[u8]) -> Option<Self> {
        Self::before(record, transaction).or_else(|| frozen(record).map(|_| Self::Busy))
    }

    pub(super) fn new(mut record: CustomerRecord, verdict: Verdict, now: Moment) -> Self {
        record.verdicts.retain(|old| now.since(Moment(old.at_ms)) < REMEMBERED);
        record.verdicts.push(verdict.clone());
        Self::Verdict(Box::new(verdict), Some(Box::new(record)))
    }
}

/// A verdict without effect.
pub(super) fn without_effect(transaction: &[u8], now: Moment) -> Verdict {
    Verdict {
        transaction: Bytes::copy_from_slice(transaction),
        at_ms: now.0,
        ..Verdict::default()
    }
}

/// Decides a merge in the survivor's record. `loser` is the other one as it was frozen.
#[must_use]
pub fn decide(record: &CustomerRecord, merge: &Merge, loser: &CustomerRecord, now: Moment) -> Decided {
    if let Some(already) = Decided::already(record, &merge.transaction.0) {
        return already;
    }
    let given = without_effect(&merge.transaction.0, now);
    if record.state() != CustomerState::Active || !is_seen(&record.members, &loser.members, &merge.evidence) {
        return Decided::new(record.clone(), given, now);
    }
    let forbidden = forbidden(record, loser, merge.word, now);
    if !forbidden.is_empty() {
        let forbidden_by = forbidden.iter().map(|rule| rule.name().to_owned()).collect();
        return Decided::new(record.clone(), Verdict { forbidden_by, ..given }, now);
    }
    let mut next = record.clone();
    next.members = union(&record.members, &loser.members, merge);
    forget_ways(&mut next, &loser.members);
    if merge.word != Word::Person {
        next.automatic_merges_ms.retain(|at| is_recent(*at, now));
        next.automatic_merges_ms.push(now.0);
    }
    Decided::new(next, Verdict { commit: true, ..given }, now)
}

/// Ends a transaction without effect, unless it has been decided.
#[must_use]
pub fn abort(record: &CustomerRecord, transaction: &[u8], now: Moment) -> Decided {
    Decided::before(record, transaction)
        .unwrap_or_else(|| Decided::new(record.clone(), without_effect(transaction, now), now))
}

/// The evidence is still where it was seen.
fn is_seen(ours: &[Membership], theirs: &[Membership], [one, other]: &[Identifier; 2]) -> bool {
    let has = |members, identifier| member(members, identifier).is_some();
    has(ours, one) && has(theirs, other) || has(ours, other) && has(theirs, one)
}

/// The rules that forbid it.
#[must_use]
pub fn forbidden(record: &CustomerRecord, loser: &CustomerRecord, word: Word, now: Moment) -> Vec<Rule> {
    let both = together(record.members.clone(), loser.members.clone());
    let over = over_cap(&both);
    let person = word == Word::Person;
    let recent = record
        .automatic_merges_ms
        .iter()
        .filter(|at| is_recent(**at, now))
        .count();
    let holds = |rule| match rule {
        Rule::Tenant => record.tenant_id == loser.tenant_id,
        Rule::Evidence => word != Word::Weak,
        Rule::Authoritative => over.is_none_or(|(kind, _)| kind != AUTHORITATIVE),
        Rule::Cap => over.is_none_or(|(kind, _)| kind == AUTHORITATIVE || kind == BUILT_IN),
        Rule::DoNotLink => person || clash(&both).is_empty(),
        Rule::Budget => both.len() <= MAX_MEMBERS + MAX_MERGED && over.is_none_or(|(kind, _)| kind != BUILT_IN),
        Rule::Burst => person || recent < BURST,
    };
    Rule::ALL.into_iter().filter(|rule| !holds(*rule)).collect()
}

fn is_recent(at_ms: i64, now: Moment) -> bool {
    now.since(Moment(at_ms)) < BURST_WITHIN
}

/// The splits of which these members hold both sides.
fn clash(members: &[Membership]) -> BTreeSet<String> {
    let tags = || members.iter().flat_map(|member| &member.tags);
    let sides: BTreeSet<(&str, u32)> = tags().map(|tag| (tag.split.as_str(), tag.side)).collect();
    let both = tags().filter(|tag| sides.contains(&(tag.split.as_str(), 1 - tag.side.min(1))));
    both.map(|tag| tag.split.clone()).collect()
}

/// Both members; those that join remember how, and marks that a person has overruled are gone.
fn union(ours: &[Membership], theirs: &[Membership], merge: &Merge) -> Vec<Membership> {
    let step = MergeStep {
        transaction: merge.transaction.to_bytes(),
        loser: merge.loser.to_bytes(),
    };
    let joining = theirs.iter().cloned().map(|mut member| {
        member.path.push(step.clone());
        member
    });
    let mut all = together(ours.to_vec(), joining.collect());
    let overruled = clash(&all);
    if !overruled.is_empty() {
        let stays = |tag: &DoNotLink| !overruled.contains(&tag.split);
        all.iter_mut().for_each(|member| member.tags.retain(stays));
    }
    all
}

/// Both members. Without a failover they have nothing in common; after one, what both hold is held once: a part of a thread
/// by ours, which remembers that it came this way again, an identifier that was born anew by ours too, and theirs keeps what
/// came under it.
fn together(mut ours: Vec<Membership>, theirs: Vec<Membership>) -> Vec<Membership> {
    let mut joining = Vec::new();
    for mut member in theirs {
        let same = |known: &&mut Membership| known.birth == member.birth && known.from_ms == member.from_ms;
        if let Some(known) = ours.iter_mut().find(same) {
            if let Some(step) = member.path.last()
                && let Some(before) = known.path.iter_mut().find(|before| before.loser == step.loser)
            {
                before.clone_from(step);
            }
            continue;
        }
        let identifier = member.identifier.as_ref();
        if is_held(&member) && identifier.is_some_and(|identifier| self::member(&ours, identifier).is_some()) {
            member.to_ms = CLOSED;
        }
        joining.push(member);
    }
    ours.extend(joining);
    ours
}

/// Settles the loser by the verdict. `None` when it is settled already.
#[must_use]
pub fn settle(record: &CustomerRecord, transaction: &[u8], verdict: &Verdict) -> Option<CustomerRecord> {
    let freeze = frozen_for(record, transaction, false)?;
    let mut next = record.clone();
    next.freeze = None;
    if verdict.commit {
        next.set_state(CustomerState::Merged);
        next.into = freeze.decider.clone();
        next.merged_by = freeze.transaction.clone();
    } else {
        next.set_state(CustomerState::Active);
    }
    Some(next)
}
