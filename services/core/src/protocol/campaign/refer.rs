//! What a campaign refers to: audiences, accounts, templates; and what of it is pinned before it starts.

use super::NotDone;
use crate::account::{Account, Directory};
use crate::campaign::definition::{Mistake, success};
use crate::id::{AudienceId, TemplateId};
use crate::protocol::audience;
use crate::protocol::context::Context;
use crate::protocol::template_library::{self as library, Version};
use omnigate_proto::v1::{Campaign, CampaignStep, ReceiptState};
use std::collections::BTreeMap;

/// What is known of accounts.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// All that are configured.
    pub directory: &'a Directory,
    /// Receipts that providers send, by account; whoever does not answer is left out. Looked at when steps are pinned.
    pub receipts: BTreeMap<String, Vec<ReceiptState>>,
}

impl Known<'_> {
    fn account(&self, tenant_id: &str, number: usize, step: &CampaignStep) -> Result<&Account, Mistake> {
        let found = self.directory.accounts.get(&step.account_id);
        let own = found.filter(|account| account.tenant_id == tenant_id);
        own.ok_or_else(|| Mistake::of_step(number, "account_id", "names no configured account"))
    }
}

/// Looks whether everything is there that a campaign refers to, and fits.
pub async fn fits(
    context: &Context<'_>,
    tenant_id: &str,
    campaign: &Campaign,
    known: &Known<'_>,
) -> Result<(), NotDone> {
    check(context, tenant_id, campaign, known).await.map(drop)
}

/// Looks whether everything is there that a campaign refers to, and fits; gives the version of each step's template.
pub(super) async fn check(
    context: &Context<'_>,
    tenant_id: &str,
    campaign: &Campaign,
    known: &Known<'_>,
) -> Result<Vec<Version>, NotDone> {
    exists(context, tenant_id, "audience_id", &campaign.audience_id).await?;
    for id in &campaign.excluded_audience_ids {
        exists(context, tenant_id, "excluded_audience_ids", id).await?;
    }
    let mut versions = Vec::with_capacity(campaign.steps.len());
    for (number, step) in campaign.steps.iter().enumerate() {
        let account = known.account(tenant_id, number, step)?;
        let version = template(context, tenant_id, (number, step)).await?;
        let definition = version.version.definition.as_ref();
        let purpose = definition.map_or(0, |definition| definition.purpose);
        if purpose != campaign.purpose {
            let problem = "is for another purpose than the campaign";
            return Err(Mistake::of_step(number, "template_id", problem).into());
        }
        let mut variants = definition.into_iter().flat_map(|definition| &definition.variants);
        if !variants.any(|variant| variant.channel == account.channel) {
            let problem = format!(
                "version {} has no words for {}, the channel of {:?}",
                version.number, account.channel, account.id
            );
            return Err(Mistake::of_step(number, "template_id", problem).into());
        }
        versions.push(version);
    }
    Ok(versions)
}

async fn exists(context: &Context<'_>, tenant_id: &str, field: &'static str, text: &str) -> Result<(), NotDone> {
    let read = text.parse::<AudienceId>();
    let id = read.map_err(|error| Mistake::new(field, error.to_string()))?;
    let found = audience::get(context, tenant_id, id).await?;
    found.map(drop).ok_or(NotDone::NoSuchAudience(field, id))
}

async fn template(
    context: &Context<'_>,
    tenant_id: &str,
    (number, step): (usize, &CampaignStep),
) -> Result<Version, NotDone> {
    let read = step.template_id.parse::<TemplateId>();
    let id = read.map_err(|error| Mistake::of_step(number, "template_id", error.to_string()))?;
    let found = library::version(context, tenant_id, id, step.template_version).await?;
    let version = found.ok_or(NotDone::NoSuchTemplate(number))?;
    match version.is_archived() {
        true => Err(NotDone::Archived(number)),
        false => Ok(version),
    }
}

/// The steps as they are carried out: with the versions that there are now, and what is success.
pub(super) async fn pinned(
    context: &Context<'_>,
    tenant_id: &str,
    campaign: &Campaign,
    known: &Known<'_>,
) -> Result<Vec<CampaignStep>, NotDone> {
    let versions = check(context, tenant_id, campaign, known).await?;
    let steps = campaign.steps.iter().zip(versions).enumerate();
    steps
        .map(|(number, (step, version))| {
            let account = &step.account_id;
            let success = match known.receipts.get(account) {
                Some(receipts) => {
                    success(step, receipts).ok_or_else(|| NotDone::NeverHeard(number, account.clone()))?
                }
                None if step.success() == ReceiptState::Unspecified => {
                    return Err(NotDone::Silent(number, account.clone()));
                }
                None => step.success(),
            };
            Ok(CampaignStep {
                template_version: version.number,
                success: success.into(),
                ..step.clone()
            })
        })
        .collect()
}
