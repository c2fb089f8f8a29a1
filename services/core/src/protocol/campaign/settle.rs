//! What providers answered, written down: whom nobody writes to any more, where receipts will lead, the timelines of those who
//! got it, the rows, and the places that were taken in vain.

use super::prepare::{Left, Letter, give_back, tell};
use super::work::{Answer, record};
use crate::campaign::ledger::state;
use crate::campaign::place::{Bucket, Place};
use crate::campaign::plan::Plan;
use crate::event::event_id_of_message;
use crate::protocol::consent::note_fault;
use crate::protocol::context::{Context, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::receipt::{Pointer, point_all};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, ErrorClass};
use std::collections::{BTreeMap, BTreeSet};

/// Letters that are dealt with side by side.
const SIDE_BY_SIDE: usize = 64;

/// What came of answers.
#[derive(Debug, Default)]
pub struct Settled {
    /// Recipients that changed, as they stand now.
    pub rows: Vec<(Place, RecipientRow)>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
}

impl Settled {
    /// True when somebody of them may be written to again at once: the next piece of a message.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let goes_on = |row: &RecipientRow| state(row) == DeliveryState::Planned && row.proven != 0 && row.until_ms == 0;
        self.rows.iter().any(|(_, row)| goes_on(row))
    }

    /// Accounts through which recipients go on at once who came to their next step.
    #[must_use]
    pub fn fallen_back(&self, plan: &Plan) -> BTreeSet<String> {
        let next = self.rows.iter().map(|(_, row)| row);
        let next = next.filter(|row| state(row) == DeliveryState::Planned && row.proven == 0 && row.until_ms == 0);
        next.filter(|row| !row.past.is_empty())
            .filter_map(|row| plan.step(row.step).map(|step| step.account_id.clone()))
            .collect()
    }
}

/// Writes answers down. Everything but the rows comes first: who dies in between leaves them to recovery, and nothing that
/// was seen is forgotten.
pub async fn settle(
    context: &Context<'_>,
    (tenant_id, bucket): (&str, Bucket),
    letters: &BTreeMap<Place, Letter>,
    answers: &[Answer],
    random: u8,
) -> Result<Settled, Stop> {
    let seen: Vec<(&Letter, &Answer)> = answers
        .iter()
        .filter_map(|answer| Some((letters.get(&answer.sent.place)?, answer)))
        .collect();
    let mut outgoing = point(context, tenant_id, &seen).await?;
    let faults: Vec<_> = seen.iter().map(|seen| fault(context, tenant_id, *seen)).collect();
    stream::iter(faults)
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await?;
    let left: Vec<Left<'_>> = seen.iter().filter_map(|seen| left(tenant_id, *seen)).collect();
    outgoing.extend(tell(context, tenant_id, &left).await?);
    let rows = record(context, bucket, answers, random).await?;
    let in_vain = seen.into_iter();
    let in_vain = in_vain.filter(|(_, answer)| answer.attempt.piece == 0 && provably_stayed(answer));
    let in_vain: Vec<&Letter> = in_vain.map(|(letter, _)| letter).collect();
    give_back(context, &in_vain).await?;
    Ok(Settled { rows, outgoing })
}

/// Lets the ids that a provider gave lead to their messages. What receipts that were faster bring along is published.
async fn point(context: &Context<'_>, tenant_id: &str, seen: &[(&Letter, &Answer)]) -> Result<Vec<Outgoing>, Stop> {
    let mut by_account: BTreeMap<&str, Vec<Pointer>> = BTreeMap::new();
    for (letter, answer) in seen {
        let accepted = answer.outcome.as_ref().ok();
        if let Some(accepted) = accepted.filter(|accepted| !accepted.provider_message_id.is_empty()) {
            by_account.entry(&letter.thread.account_id).or_default().push(Pointer {
                provider_id: accepted.provider_message_id.clone(),
                message_id: letter.id,
                piece: answer.attempt.piece,
            });
        }
    }
    let mut outgoing = Vec::new();
    for (account_id, pointers) in by_account {
        outgoing.extend(point_all(context, (tenant_id, account_id), &pointers).await?);
    }
    Ok(outgoing)
}

/// True when the provider does not have it.
fn provably_stayed(answer: &Answer) -> bool {
    matches!(&answer.outcome, Err(error) if error.class() != ErrorClass::Ambiguous)
}

/// Puts whom an answer says to be no good to write to onto the suppression list.
async fn fault(context: &Context<'_>, tenant_id: &str, (letter, answer): (&Letter, &Answer)) -> Result<(), Stop> {
    let thread = &letter.thread;
    match &answer.outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = (context.now(), None);
            note_fault(context, (tenant_id, &thread.peer, &thread.channel), error, said).await
        }
    }
}

/// What an answer puts onto a timeline: a message stands there from its first piece on.
fn left<'a>(tenant_id: &str, (letter, answer): (&'a Letter, &Answer)) -> Option<Left<'a>> {
    let accepted = answer.outcome.as_ref().ok().filter(|_| answer.attempt.piece == 0)?;
    let (thread, provider_id) = (&letter.thread, &accepted.provider_message_id);
    let known_as = (!provider_id.is_empty())
        .then(|| event_id_of_message(tenant_id, &thread.account_id, Some(&thread.peer), provider_id));
    Some(Left { letter, known_as })
}
