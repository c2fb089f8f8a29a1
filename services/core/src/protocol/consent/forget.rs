//! Erasure of what was said about an identifier, and of the claim to it.

use super::suppression;
use crate::consent::suppression::{cause, holds, suppress};
use crate::id::{CustomerId, IdentifierKey, SuppressionId};
use crate::identifier;
use crate::identity;
use crate::identity::stored::put_claim;
use crate::keys;
use crate::port::store::{Expect, Query, Shape, Stamp, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::resolve::expect_record;
use crate::time::Moment;
use omnigate_proto::state::v1::{ConsentRecord, NumberRecord, SuppressionCause, SuppressionRecord};
use omnigate_proto::v1::{Identifier, SuppressionReason};

/// Source of what erasure puts on the list.
const SOURCE: &str = "erasure";

/// Forgets what was said about an identifier while it had this birth, and frees it, unless it has been born anew since: in one
/// commit, so that nothing is said about it in between. What was received before `erased_at` is dropped. What its owner
/// refused must not be forgotten: the suppression list, which names nobody, keeps advertising away from them until somebody
/// lifts that.
pub(in crate::protocol) async fn forget(
    context: &Context<'_>,
    tenant_id: &str,
    (identifier, birth): (&Identifier, &[u8]),
    erased_at: Moment,
) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, identifier);
    let id = suppression::id(context, tenant_id, identifier).await?;
    for _ in 0..MAX_TRIES {
        let queries = vec![
            Query::Record(keys::claim(key)),
            Query::Record(keys::consent(key)),
            Query::Record(keys::suppression(id)),
            Query::Record(keys::number(key)),
        ];
        let mut answers = context.store.read(key.shard(), queries).await?.into_iter();
        let claim = Loaded::claim(as_record(answers.next())?)?;
        let consent: Loaded<ConsentRecord> = Loaded::decode(as_record(answers.next())?, "consent")?;
        let listed: Loaded<SuppressionRecord> = Loaded::decode(as_record(answers.next())?, "suppression")?;
        let Some(owned) = claim.value.filter(|claim| claim.birth == birth) else {
            return Ok(());
        };
        let about: Loaded<NumberRecord> = Loaded::decode(as_record(answers.next())?, "number")?;
        let now = context.now();
        let freed = identity::free(erased_at.max(Moment(owned.erased_at_ms)));
        let mut write = vec![put_claim(key, &freed)];
        write.extend(forgotten(key, consent.stamp));
        write.extend(about.stamp.map(|_| Write::Delete {
            shape: Shape::Record,
            key: keys::number(key),
        }));
        if let Some(next) = erased(listed.value, tenant_id, now) {
            write.extend(suppression::written(tenant_id, id, &next));
        }
        let mut expect = expected((key, id), claim.stamp, consent.stamp, listed.stamp);
        expect.push(expect_record(keys::number(key), about.stamp));
        if let Ended::Committed(_) = context.commit(key.shard(), expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Forgets what a customer said about advertising.
pub(in crate::protocol) async fn forget_refusal(context: &Context<'_>, id: CustomerId) -> Result<(), Stop> {
    context.delete(id.shard(), keys::refusal(id)).await
}

fn expected(
    (key, id): (IdentifierKey, SuppressionId),
    claim: Option<Stamp>,
    consent: Option<Stamp>,
    listed: Option<Stamp>,
) -> Vec<Expect> {
    vec![
        expect_record(keys::claim(key), claim),
        expect_record(keys::consent(key), consent),
        expect_record(keys::suppression(id), listed),
    ]
}

/// Takes the ledger away, if there is one.
fn forgotten(key: IdentifierKey, consent: Option<Stamp>) -> Vec<Write> {
    if consent.is_none() {
        return Vec::new();
    }
    let delete = |shape, key| Write::Delete { shape, key };
    vec![
        delete(Shape::Record, keys::consent(key)),
        delete(Shape::Index, keys::consent_history(key)),
        delete(Shape::Map, keys::consent_history(key)),
    ]
}

/// The list with the erasure; `None` when it has it.
fn erased(listed: Option<SuppressionRecord>, tenant_id: &str, now: Moment) -> Option<SuppressionRecord> {
    let mut before = listed.unwrap_or_default();
    let known = cause(&before, "", SuppressionReason::Erased);
    if known.is_some_and(|known| holds(known, now)) {
        return None;
    }
    tenant_id.clone_into(&mut before.tenant_id);
    let added = SuppressionCause {
        reason: SuppressionReason::Erased.into(),
        marketing_only: true,
        at_ms: now.0,
        source: SOURCE.to_owned(),
        ..SuppressionCause::default()
    };
    // A list that is full suppresses already.
    suppress(&before, &added).ok().flatten()
}
