//! Phone numbers that may have been given to somebody else: the question, which suspends advertising and is a conflict for
//! a person, and the answers to it.

use super::apart::{conflict, keep_apart};
use super::command::NotDone;
use super::find::{Person, find};
use super::merge::{Merged, merge};
use super::record::{Next, change, load};
use super::split::{Command, Outcome, split};
use crate::consent::suppression::{lift, suppress};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::log::Note;
use crate::identity::merge::{Word, survivor_and_loser};
use crate::identity::reassign::{self, REASSIGNED, answered, challenger, questioned, suspension};
use crate::identity::{built_in, is_held, member};
use crate::keys;
use crate::port::store::{Query, Write};
use crate::protocol::consent;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, claimed, expect_record, put};
use crate::time::Moment;
use omnigate_proto::state::v1::{ConflictRecord, Membership, NumberRecord, SuppressionRecord};
use omnigate_proto::v1::{Identifier, IdentityEventKind, SuppressionReason};
use prost::Message as _;
use std::time::Duration;

/// Asks a person whether a number is still its holder's, or somebody else's who is known by it. Until they answered nobody
/// is sent advertising there. Asking again changes nothing.
pub async fn ask(
    context: &Context<'_>,
    asking: &Asking<'_>,
    number: &Identifier,
    [holder, somebody]: [CustomerId; 2],
) -> Result<(), Stop> {
    let (older, younger) = survivor_and_loser(holder, somebody);
    let known = conflict(context, asking.tenant_id, [older, younger]).await?;
    // A person has said before that they are two.
    if known.as_ref().is_some_and(|known| known.settled) {
        return Ok(());
    }
    suspend(context, asking, number, somebody).await?;
    if known.is_some_and(|known| known.rules.iter().any(|rule| rule == REASSIGNED)) {
        return Ok(());
    }
    let births = Vec::from_iter(token(context, holder, number).await?);
    change(context, older, |record, now| {
        let Some(record) = record.filter(|record| record.tenant_id == asking.tenant_id) else {
            return ((), None);
        };
        let conflict = ConflictRecord {
            rules: vec![REASSIGNED.to_owned()],
            at_ms: now.0,
            cause: asking.trace_id.to_owned(),
            evidence: births.clone(),
            settled: false,
        };
        let note = Note {
            other: Some(younger),
            births: births.clone(),
            rules: conflict.rules.clone(),
            ..Note::new(IdentityEventKind::KeptApart, asking.trace_id)
        };
        let mut next = Next::noted(record.clone(), note);
        next.also.push(Write::Insert {
            key: keys::conflicts(asking.tenant_id),
            member: keys::conflict_member(older, younger),
            value: conflict.encode_to_vec().into(),
        });
        ((), Some(next))
    })
    .await
}

/// Reservation token of a number.
async fn token(context: &Context<'_>, id: CustomerId, number: &Identifier) -> Result<Option<bytes::Bytes>, Stop> {
    let record = load(context, id).await?.value.unwrap_or_default();
    Ok(member(&record.members, number).map(|member| member.birth.clone()))
}

/// Notes the question beside the number, and keeps advertising away, in one commit.
async fn suspend(
    context: &Context<'_>,
    asking: &Asking<'_>,
    number: &Identifier,
    somebody: CustomerId,
) -> Result<(), Stop> {
    let at = context.now();
    change_both(context, asking.tenant_id, number, |about, list| {
        let next = questioned(about, somebody, at)?;
        // A list that is full suppresses already.
        let list = suppress(list, &suspension(at)).ok().flatten();
        Some((next, list))
    })
    .await
}

/// Changes what is known of a number and what the suppression list says of it, which lie in one shard.
async fn change_both(
    context: &Context<'_>,
    tenant_id: &str,
    number: &Identifier,
    decide: impl Fn(&NumberRecord, &SuppressionRecord) -> Option<(NumberRecord, Option<SuppressionRecord>)>,
) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, number);
    let id = consent::id(context, tenant_id, number).await?;
    for _ in 0..MAX_TRIES {
        let queries = vec![Query::Record(keys::number(key)), Query::Record(keys::suppression(id))];
        let mut answers = context.store.read(key.shard(), queries).await?.into_iter();
        let about: Loaded<NumberRecord> = Loaded::decode(as_record(answers.next())?, "number")?;
        let list: Loaded<SuppressionRecord> = Loaded::decode(as_record(answers.next())?, "suppression")?;
        let mut before = list.value.unwrap_or_default();
        tenant_id.clone_into(&mut before.tenant_id);
        let Some((next, list_next)) = decide(&about.value.unwrap_or_default(), &before) else {
            return Ok(());
        };
        let expect = vec![
            expect_record(keys::number(key), about.stamp),
            expect_record(keys::suppression(id), list.stamp),
        ];
        let mut write = vec![put(keys::number(key), &next)];
        write.extend(list_next.iter().flat_map(|list| consent::written(tenant_id, id, list)));
        if let Ended::Committed(_) = context.commit(key.shard(), expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Who is asked to have a number now.
async fn asked_about(context: &Context<'_>, tenant_id: &str, number: &Identifier) -> Result<Option<CustomerId>, Stop> {
    let key = identifier::key(tenant_id, number);
    let about: Loaded<NumberRecord> = context.record(key.shard(), keys::number(key), "number").await?;
    Ok(about.value.as_ref().and_then(challenger))
}

/// Ends the question of a number, and lets advertising go there again as far as nothing else forbids it.
async fn answer(context: &Context<'_>, tenant_id: &str, number: &Identifier) -> Result<(), Stop> {
    let now = context.now();
    change_both(context, tenant_id, number, |about, list| {
        challenger(about)?;
        let at = Moment(about.questioned_ms).max(now) + Duration::from_millis(1);
        let lifted = lift(list, "", SuppressionReason::Reassigned, at);
        Some((answered(about, now), lifted))
    })
    .await
}

/// Ends the question of a number when the one who has it is the one who was asked about.
pub async fn answer_if_one(context: &Context<'_>, tenant_id: &str, number: &Identifier) -> Result<(), Stop> {
    let Some(somebody) = asked_about(context, tenant_id, number).await? else {
        return Ok(());
    };
    let claim = claimed(context, identifier::key(tenant_id, number)).await?;
    let Some(from) = claim.and_then(|claim| CustomerId::from_bytes(&claim.customer)) else {
        return Ok(());
    };
    let holder = find(context, tenant_id, number, from).await?;
    let somebody = find(context, tenant_id, &built_in(somebody), somebody).await?;
    // Nobody is left to be asked about where one of them was erased.
    if holder == somebody || somebody.is_none() {
        answer(context, tenant_id, number).await?;
    }
    Ok(())
}

/// Ends the questions that are answered by a customer being one.
pub async fn answer_as_one(context: &Context<'_>, tenant_id: &str, customer: CustomerId) -> Result<(), Stop> {
    let record = load(context, customer).await?.value.unwrap_or_default();
    for (number, _) in numbers(&record.members) {
        answer_if_one(context, tenant_id, number).await?;
    }
    Ok(())
}

/// Ends the questions between two customers who are two: each keeps the numbers they have.
pub async fn answer_as_two(context: &Context<'_>, tenant_id: &str, both: [CustomerId; 2]) -> Result<(), Stop> {
    for (number, _, _) in between(context, tenant_id, both).await? {
        answer(context, tenant_id, &number).await?;
    }
    Ok(())
}

fn numbers(members: &[Membership]) -> impl Iterator<Item = (&Identifier, &Membership)> {
    let held = members.iter().filter(|member| is_held(member));
    let named = held.filter_map(|member| Some((member.identifier.as_ref()?, member)));
    named.filter(|(identifier, _)| reassign::is_number(identifier))
}

/// The numbers of one of two customers of which it is asked whether the other has them now, each with its reservation token
/// and who has it.
pub async fn between(
    context: &Context<'_>,
    tenant_id: &str,
    [one, other]: [CustomerId; 2],
) -> Result<Vec<(Identifier, bytes::Bytes, CustomerId)>, Stop> {
    let mut found = Vec::new();
    for (holder, opposite) in [(one, other), (other, one)] {
        let record = load(context, holder).await?.value.unwrap_or_default();
        for (number, member) in numbers(&record.members) {
            let Some(somebody) = asked_about(context, tenant_id, number).await? else {
                continue;
            };
            if find(context, tenant_id, &built_in(somebody), somebody).await? == Some(opposite) {
                found.push((number.clone(), member.birth.clone(), holder));
            }
        }
    }
    Ok(found)
}

/// A number that is given to its new holder on a person's word.
#[derive(Clone, Debug)]
pub struct Given {
    /// Cuts the number's interval; what comes from now on is for a new record.
    pub cut: Command,
    /// Who has the number.
    pub from: CustomerId,
    /// Who gets it.
    pub to: CustomerId,
    /// The number.
    pub number: Identifier,
}

/// Gives a number to its new holder: the old one keeps what came before, consents to advertising lapse, and the two are
/// never brought together by it. Repeating it goes on where it stopped.
pub async fn give(
    context: &Context<'_>,
    asking: &Asking<'_>,
    given: &Given,
    outgoing: &mut Vec<Outgoing>,
) -> Result<CustomerId, NotDone> {
    let cut = split(context, &given.cut, given.from, outgoing).await?;
    let mut owner = given.to;
    if cut == Outcome::Done {
        let people = [Person::Customer(given.to), Person::Customer(given.cut.gets)];
        owner = match merge(context, asking, [&people[0], &people[1]], Word::Person, outgoing).await? {
            Merged::One(owner) => owner,
            Merged::Apart { forbidden_by, .. } => return Err(NotDone::Apart(forbidden_by)),
            Merged::Gone => return Err(NotDone::NoSuchCustomer),
        };
    }
    let (older, younger) = survivor_and_loser(given.from, owner);
    if older != younger {
        let mark = format!("{}/two", given.cut.name);
        keep_apart(context, asking.tenant_id, &mark, [older, younger], asking.trace_id).await?;
    }
    answer(context, asking.tenant_id, &given.number).await?;
    Ok(owner)
}
