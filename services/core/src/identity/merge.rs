//! A merge: the younger customer is frozen, the older one decides once, the younger one is settled by that verdict.
//!
//! It moves identifiers only; threads and entries stay in the homes where they were born.

use super::membership::{MAX_MEMBERS, MAX_MERGED, REMEMBERED, member, over_cap};
use super::whereabouts::verdict;
use crate::id::{CustomerId, TransactionId};
use crate::identifier::{AUTHORITATIVE, BUILT_IN};
use crate::time::Moment;
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

    /// The rule of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

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
    Busy(Freeze),
    /// It is not what it was: look again.
    Changed,
}

/// Freezes the loser: from now on no identifier joins or leaves it until the verdict is known.
#[must_use]
pub fn freeze(record: &CustomerRecord, merge: &Merge, now: Moment) -> Freezing {
    match (record.state(), &record.freeze) {
        (CustomerState::Active, _) => {
            let mut next = record.clone();
            next.set_state(CustomerState::Frozen);
            next.freeze = Some(Freeze {
                transaction: merge.transaction.to_bytes(),
                decider: merge.survivor.to_bytes(),
                split: false,
                since_ms: now.0,
            });
            Freezing::Frozen(Some(Box::new(next)))
        }
        (CustomerState::Frozen, Some(freeze)) if is_of(freeze, merge.transaction, false) => Freezing::Frozen(None),
        (CustomerState::Frozen, Some(freeze)) => Freezing::Busy(freeze.clone()),
        _ => Freezing::Changed,
    }
}

pub(super) fn is_of(freeze: &Freeze, transaction: TransactionId, split: bool) -> bool {
    freeze.transaction == transaction.to_bytes() && freeze.split == split
}

/// How a record decides.
#[derive(Clone, PartialEq, Debug)]
pub enum Decided {
    /// The verdict, given now or before; the record to write when now.
    Verdict(Box<Verdict>, Option<Box<CustomerRecord>>),
    /// The record is itself frozen: it cannot decide before that is over.
    Busy(Freeze),
}

impl Decided {
    pub(super) fn new(mut record: CustomerRecord, verdict: Verdict, now: Moment) -> Self {
        record.verdicts.retain(|old| now.since(Moment(old.at_ms)) < REMEMBERED);
        record.verdicts.push(verdict.clone());
        Self::Verdict(Box::new(verdict), Some(Box::new(record)))
    }
}

/// Decides a merge in the survivor's record. `joining` are the loser's members as they were frozen.
#[must_use]
pub fn decide(record: &CustomerRecord, merge: &Merge, loser: &CustomerRecord, now: Moment) -> Decided {
    if let Some(given) = verdict(record, &merge.transaction.to_bytes()) {
        return Decided::Verdict(Box::new(given.clone()), None);
    }
    if let Some(freeze) = record
        .freeze
        .as_ref()
        .filter(|_| record.state() == CustomerState::Frozen)
    {
        return Decided::Busy(freeze.clone());
    }
    let given = Verdict {
        transaction: merge.transaction.to_bytes(),
        at_ms: now.0,
        ..Verdict::default()
    };
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
    next.out.retain(|forward| {
        let identifier = forward.identifier.as_ref();
        identifier.is_none_or(|identifier| member(&loser.members, identifier).is_none())
    });
    if merge.word != Word::Person {
        next.automatic_merges_ms.retain(|at| is_recent(*at, now));
        next.automatic_merges_ms.push(now.0);
    }
    Decided::new(next, Verdict { commit: true, ..given }, now)
}

/// Ends a transaction without effect, unless it has been decided.
#[must_use]
pub fn abort(record: &CustomerRecord, transaction: &[u8], now: Moment) -> Decided {
    if let Some(given) = verdict(record, transaction) {
        return Decided::Verdict(Box::new(given.clone()), None);
    }
    let given = Verdict {
        transaction: bytes::Bytes::copy_from_slice(transaction),
        at_ms: now.0,
        ..Verdict::default()
    };
    Decided::new(record.clone(), given, now)
}

/// The evidence is still where it was seen.
fn is_seen(ours: &[Membership], theirs: &[Membership], [one, other]: &[Identifier; 2]) -> bool {
    let has = |members, identifier| member(members, identifier).is_some();
    has(ours, one) && has(theirs, other) || has(ours, other) && has(theirs, one)
}

/// The rules that forbid it.
#[must_use]
pub fn forbidden(record: &CustomerRecord, loser: &CustomerRecord, word: Word, now: Moment) -> Vec<Rule> {
    let both: Vec<Membership> = record.members.iter().chain(&loser.members).cloned().collect();
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
    let mut all: Vec<Membership> = ours.iter().cloned().chain(joining).collect();
    let overruled = clash(&all);
    if !overruled.is_empty() {
        let stays = |tag: &DoNotLink| !overruled.contains(&tag.split);
        all.iter_mut().for_each(|member| member.tags.retain(stays));
    }
    all
}

/// Settles the loser by the verdict. `None` when it is settled already.
#[must_use]
pub fn settle(record: &CustomerRecord, transaction: &[u8], verdict: &Verdict) -> Option<CustomerRecord> {
    let freeze = record.freeze.as_ref()?;
    if record.state() != CustomerState::Frozen || freeze.transaction != transaction || freeze.split {
        return None;
    }
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
