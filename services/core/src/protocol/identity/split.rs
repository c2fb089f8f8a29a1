//! Splits: undoing a merge, giving identifiers a customer of their own, cutting an address that got a new holder.

use super::find::find;
use super::merge::{recover, verdict_of};
use super::record::{News, Next, Shows, change};
use crate::customer_event::Happened;
use crate::id::{Birth, CustomerId, TransactionId};
use crate::identifier;
use crate::identity::log::Note;
use crate::identity::merge::Freezing;
use crate::identity::split::{self as decide, Split, What};
use crate::identity::stored::put_claim;
use crate::identity::{self, built_in, built_in_of, is_held};
use crate::keys;
use crate::port::store::Write;
use crate::protocol::consent;
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::conversation;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::expect_record;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, Membership, Verdict};
use omnigate_proto::v1::{Identifier, IdentityChangeKind, IdentityEventKind};

/// A command to take a customer apart.
#[derive(Clone, Debug)]
pub struct Command {
    /// Names it; the same command is carried out once.
    pub name: String,
    /// Tenant.
    pub tenant_id: String,
    /// The record that gets identifiers: one that was merged, or a new one, chosen with the command.
    pub gets: CustomerId,
    /// What it gets.
    pub what: What,
    /// Reservation token of the first identifier: one that was erased and born anew since belongs to somebody else. For a
    /// merge that of the old id, which never changes.
    pub birth: Birth,
    /// Trace id of the call.
    pub trace_id: String,
}

/// How a split ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is done, now or since before.
    Done,
    /// There is nothing to take apart: the merge has been undone, or nobody has the identifiers.
    Nothing,
}

/// Takes a customer apart. `from` is a record that once owned what the way begins with: the old id for a merge, else the
/// first of the identifiers.
pub async fn split(
    context: &Context<'_>,
    command: &Command,
    from: CustomerId,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Outcome, Stop> {
    let lead = match &command.what {
        What::Merge { .. } => built_in(command.gets),
        What::Unlink(identifiers) => identifiers.first().cloned().unwrap_or_default(),
        What::NewHolder(identifier) => identifier.clone(),
    };
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        let Some(owner) = find(context, &command.tenant_id, &lead, from).await? else {
            return Ok(Outcome::Nothing);
        };
        let record = super::load(context, owner).await?.value.unwrap_or_default();
        if let Some(outcome) = ended(command, owner, &record, &lead) {
            if outcome == Outcome::Done {
                lapse(context, command, &record.members).await?;
                let gets = super::load(context, command.gets).await?.value.unwrap_or_default();
                conversation::part(context, &gets.members).await?;
            }
            return Ok(outcome);
        }
        if owner == command.gets {
            // Its merge is not settled yet.
            recover(context, owner).await?;
            continue;
        }
        let split = Split {
            transaction: TransactionId(context.entropy.bytes()),
            command: command.name.clone(),
            gets: command.gets,
            owner,
            what: command.what.clone(),
        };
        match prepare(context, command, &split).await? {
            Prepared::Yes => {}
            Prepared::Busy => {
                recover(context, command.gets).await?;
                continue;
            }
            Prepared::No => return Ok(Outcome::Nothing),
        }
        let transaction = split.transaction.to_bytes();
        let decider = (owner, command.trace_id.as_str());
        let decide = |record: &CustomerRecord, now| decide::decide(record, &split, now);
        let given = |verdict, next, _| given(&split, verdict, next, &command.trace_id);
        let verdict = verdict_of(context, decider, &mut waited, outgoing, decide, given).await?;
        settle(context, &command.tenant_id, command.gets, &transaction, &verdict).await?;
        if verdict.commit {
            lapse(context, command, &verdict.members).await?;
            return Ok(Outcome::Done);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// What the former holder of an address agreed to is not what the new one agrees to.
async fn lapse(context: &Context<'_>, command: &Command, members: &[Membership]) -> Result<(), Stop> {
    let What::NewHolder(identifier) = &command.what else {
        return Ok(());
    };
    let Some(since) = identity::member(members, identifier).map(|member| Moment(member.from_ms)) else {
        return Ok(());
    };
    let of = (command.tenant_id.as_str(), identifier);
    consent::lapse(context, of, &command.name, since).await
}

/// Whether the command has been carried out, or there is nothing to carry out.
fn ended(command: &Command, owner: CustomerId, record: &CustomerRecord, lead: &Identifier) -> Option<Outcome> {
    let of_lead = identity::member(&record.members, lead)?;
    if of_lead.tags.iter().any(|tag| tag.split == command.name) {
        return Some(Outcome::Done);
    }
    let born_anew = of_lead.birth != command.birth.to_bytes();
    let is_back = owner == command.gets && record.freeze.is_none();
    (born_anew || is_back).then_some(Outcome::Nothing)
}

/// Whether the record that gets identifiers is frozen for it.
enum Prepared {
    Yes,
    Busy,
    No,
}

async fn prepare(context: &Context<'_>, command: &Command, split: &Split) -> Result<Prepared, Stop> {
    change(context, command.gets, |record, now| {
        match decide::prepare(record, &command.tenant_id, split, now) {
            Freezing::Frozen(next) => (Prepared::Yes, next.map(|next| (*next).into())),
            Freezing::Busy => (Prepared::Busy, None),
            Freezing::Changed => (Prepared::No, None),
        }
    })
    .await
}

/// A verdict with what is noted and told of it.
fn given(split: &Split, verdict: Verdict, next: CustomerRecord, trace_id: &str) -> News<Option<Verdict>> {
    let (gets, went) = (split.gets, visible(&verdict));
    let note = verdict.commit.then(|| Note {
        transaction: Some(split.transaction),
        other: Some(gets),
        births: verdict.members.iter().map(|member| member.birth.clone()).collect(),
        ..Note::new(IdentityEventKind::Split, trace_id)
    });
    News {
        tells: verdict
            .commit
            .then(|| Box::new(move |happened: &Happened<'_>| happened.customer_split(gets, went.clone())) as _),
        shows: Some(Shows {
            kind: IdentityChangeKind::Split,
            transaction: split.transaction,
            other: gets,
            by_person: true,
        }),
        answer: Some(verdict),
        next: Some(Next {
            note,
            ..Next::from(next)
        }),
    }
}

/// Identifiers that went, without the built-in ones.
fn visible(verdict: &Verdict) -> Vec<Identifier> {
    let held = verdict.members.iter().filter(|member| is_held(member));
    let identifiers = held.filter_map(|member| member.identifier.clone());
    identifiers
        .filter(|identifier| built_in_of(identifier).is_none())
        .collect()
}

/// Settles the record that gets identifiers, and shortens the way to it.
pub(super) async fn settle(
    context: &Context<'_>,
    tenant_id: &str,
    id: CustomerId,
    transaction: &[u8],
    verdict: &Verdict,
) -> Result<(), Stop> {
    if verdict.commit {
        // Before the freeze is lifted: whoever meets it until then comes by here again.
        conversation::part(context, &verdict.members).await?;
    }
    change(context, id, |record, _| {
        let settled = record.and_then(|record| decide::settle(record, id, transaction, verdict));
        (
            (),
            settled.map(|next| settled_by(record, next, (tenant_id, id), transaction, verdict)),
        )
    })
    .await?;
    for member in verdict.members.iter().filter(|member| is_held(member)) {
        let identifier = member.identifier.clone().unwrap_or_default();
        if built_in_of(&identifier).is_none() {
            point(context, tenant_id, &identifier, &member.birth, id).await?;
        }
    }
    Ok(())
}

/// A settled record with what is written beside it: one that got identifiers is listed as a customer.
fn settled_by(
    before: Option<&CustomerRecord>,
    next: CustomerRecord,
    (tenant_id, id): (&str, CustomerId),
    transaction: &[u8],
    verdict: &Verdict,
) -> Next {
    if !verdict.commit {
        return Next::from(next);
    }
    let freeze = before.and_then(identity::frozen);
    let note = Note {
        transaction: TransactionId::from_bytes(transaction),
        other: freeze.and_then(|freeze| CustomerId::from_bytes(&freeze.decider)),
        births: verdict.members.iter().map(|member| member.birth.clone()).collect(),
        ..Note::new(IdentityEventKind::SplitOff, "")
    };
    let mut settled = Next::noted(next, note);
    settled.also.push(Write::Insert {
        key: keys::customers(tenant_id),
        member: id.to_bytes(),
        value: Bytes::new(),
    });
    settled
}

/// Lets a claim lead to a customer directly, unless the identifier has been born anew since.
async fn point(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    birth: &[u8],
    to: CustomerId,
) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, identifier);
    context.cache.forget_owner(key);
    let loaded = context.claim(key).await?;
    if let Some(claim) = loaded.value
        && claim.birth == birth
        && claim.customer != to.to_bytes()
    {
        let expect = vec![expect_record(keys::claim(key), loaded.stamp)];
        let write = vec![put_claim(key, &identity::pointed(&claim, to))];
        // The way is only shortened: without it the old one leads there too.
        context.commit(key.shard(), expect, write).await?;
    }
    Ok(())
}
