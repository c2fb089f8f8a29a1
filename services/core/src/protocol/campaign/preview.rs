//! A campaign played through without sending: who would get what, and why others would not.

use super::Script;
use super::bucket::Recipient;
use super::prepare::{Letter, Prepared, Terms, prepare};
use super::work::Batch;
use crate::account::Directory;
use crate::campaign::ledger::{Verdict, cause_of, planned};
use crate::campaign::place::{Bucket, Place};
use crate::campaign::plan::Plan;
use crate::consent::MarketingDefaults;
use crate::id::{CampaignId, CustomerId};
use crate::protocol::context::{Context, Stop};
use crate::shard::Shard;
use omnigate_proto::v1::{Campaign, RecipientReason};
use std::collections::BTreeMap;

/// What recipients are played through with.
#[derive(Clone, Copy, Debug)]
pub struct Foresight<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its id.
    pub id: CampaignId,
    /// Its way to recipients.
    pub plan: &'a Plan,
    /// What it says.
    pub script: &'a Script,
    /// Accounts.
    pub directory: &'a Directory,
    /// What holds for advertising to somebody of whom nothing is known.
    pub marketing: &'a MarketingDefaults,
}

/// What would become of a recipient now.
#[derive(Clone, PartialEq, Debug)]
pub struct Foreseen {
    /// The customer, by the record that is planned for.
    pub customer: CustomerId,
    /// Position of the step at which it would happen.
    pub step: u32,
    /// It.
    pub verdict: Verdict,
    /// Why, for people.
    pub problem: String,
    /// What would be sent; set where it was come to.
    pub letter: Option<Letter>,
}

/// Plays recipients of one shard through: at most as many as a bucket has. Takes nothing, writes nothing.
pub async fn foresee(
    context: &Context<'_>,
    sight: Foresight<'_>,
    shard: Shard,
    customers: &[CustomerId],
) -> Result<Vec<Foreseen>, Stop> {
    let bucket = Bucket {
        campaign: sight.id.handle(),
        shard,
        number: 0,
    };
    let mut waiting: Vec<Recipient> = (0..)
        .zip(customers)
        .map(|(row, id)| recipient(bucket, row, *id))
        .collect();
    let mut foreseen = Vec::with_capacity(customers.len());
    for step in (0..).take(sight.plan.steps.len()) {
        let prepared = at_step(context, sight, (bucket, step), &waiting).await?;
        let mut of: BTreeMap<Place, Recipient> = waiting
            .drain(..)
            .map(|recipient| (recipient.place, recipient))
            .collect();
        for one in prepared {
            let Some(mut recipient) = of.remove(&one.place) else {
                continue;
            };
            let falls_back = match one.verdict {
                Verdict::Refuse(why) => cause_of(why),
                _ => None,
            };
            if falls_back.is_some_and(|cause| sight.plan.falls_back(step, cause, context.now())) {
                recipient.row.step = step + 1;
                waiting.push(recipient);
                continue;
            }
            foreseen.extend(
                CustomerId::from_bytes(&recipient.row.customer).map(|customer| Foreseen {
                    customer,
                    step,
                    verdict: one.verdict,
                    problem: one.problem,
                    letter: one.letter,
                }),
            );
        }
    }
    Ok(foreseen)
}

fn recipient(bucket: Bucket, row: u16, id: CustomerId) -> Recipient {
    Recipient {
        place: Place { bucket, row },
        row: planned(id.to_bytes()),
        stored: bytes::Bytes::new(),
    }
}

async fn at_step(
    context: &Context<'_>,
    sight: Foresight<'_>,
    (bucket, step): (Bucket, u32),
    recipients: &[Recipient],
) -> Result<Vec<Prepared>, Stop> {
    let account = sight.plan.step(step).map(|step| step.account_id.as_str());
    let account = account.and_then(|id| sight.directory.accounts.get(id));
    let Some(account) = account else {
        let gone = |recipient: &Recipient| Prepared {
            place: recipient.place,
            verdict: Verdict::Refuse(RecipientReason::Account),
            problem: "the account is not in the configuration".to_owned(),
            letter: None,
        };
        return Ok(recipients.iter().map(gone).collect());
    };
    let batch = Batch::imagined(sight.campaign, sight.plan, bucket, recipients);
    let terms = Terms {
        account,
        templates: &sight.script.templates,
        list: sight.script.list,
        marketing: sight.marketing.of(&account.channel),
        window: None,
        only_looks: true,
    };
    prepare(context, &batch, terms).await
}
