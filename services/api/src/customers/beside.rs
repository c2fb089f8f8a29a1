//! What hangs on a customer and their identifiers: consents, refusals, suppressions and conversations.

use crate::consents::shown;
use crate::{Api, problems};
use omnigate_core::identifier;
use omnigate_core::identity::built_in;
use omnigate_core::protocol::read::Whole;
use omnigate_core::protocol::{consent, conversation};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Consent, Conversation, ConversationStatus, Identifier, MarketingRefusal, SuppressedIdentifier,
};
use omnigate_rpc::error::Problem;
use std::collections::BTreeSet;

/// What is read in one step.
const AT_ONCE: u32 = 100;
/// Those that somebody may still have to do something about.
const NOT_CLOSED: [ConversationStatus; 4] = [
    ConversationStatus::Pending,
    ConversationStatus::Open,
    ConversationStatus::Snoozed,
    ConversationStatus::Resolved,
];

impl Api {
    /// The newest facts of a customer's identifiers that stand, one for each channel and purpose.
    pub(super) async fn standing_consents(&self, tenant_id: &str, whole: &Whole) -> Result<Vec<Consent>, Problem> {
        let mut found = Vec::new();
        for identifier in whole
            .to_customer()
            .identifiers
            .into_iter()
            .filter_map(|of| of.identifier)
        {
            let newest = self.facts(tenant_id, &identifier, None).await?;
            let mut seen = BTreeSet::new();
            let stand = newest.into_iter().filter(|fact| fact.stood);
            found.extend(stand.filter(|fact| seen.insert((fact.channel.clone(), fact.purpose))));
        }
        Ok(found)
    }

    /// Every fact of a customer's identifiers.
    pub(super) async fn all_consents(&self, tenant_id: &str, whole: &Whole) -> Result<Vec<Consent>, Problem> {
        let mut found = Vec::new();
        for identifier in whole
            .to_customer()
            .identifiers
            .into_iter()
            .filter_map(|of| of.identifier)
        {
            let mut before = None;
            loop {
                let page = self.facts(tenant_id, &identifier, before).await?;
                before = page.last().map(|fact| fact.number);
                let is_last = page.len() < AT_ONCE as usize;
                found.extend(page);
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// By whom it was said that the customer wants no advertising at all.
    pub(super) async fn marketing_refusals(
        &self,
        tenant_id: &str,
        whole: &Whole,
    ) -> Result<Vec<MarketingRefusal>, Problem> {
        let said = consent::refusals(&self.context(), tenant_id, &built_in(whole.id), whole.id).await;
        let said = said.map_err(|error| problems::store(&error))?.into_iter();
        let refusals = said
            .filter(|(_, said)| said.refuses)
            .map(|(id, said)| MarketingRefusal {
                customer_id: id.to_string(),
                at: Some(Moment(said.at_ms).to_timestamp()),
                source: said.source,
                proof: said.proof,
            });
        Ok(refusals.collect())
    }

    /// What the suppression list says of a customer's identifiers.
    pub(super) async fn suppressed(
        &self,
        tenant_id: &str,
        whole: &Whole,
    ) -> Result<Vec<SuppressedIdentifier>, Problem> {
        let mut found = Vec::new();
        let owned = whole.to_customer().identifiers.into_iter();
        for identifier in owned.filter_map(|of| of.identifier) {
            let suppressions = self.suppressions_of(tenant_id, &identifier).await?;
            if !suppressions.is_empty() {
                found.push(SuppressedIdentifier {
                    identifier: Some(identifier),
                    suppressions,
                });
            }
        }
        Ok(found)
    }

    async fn facts(&self, tenant_id: &str, of: &Identifier, before: Option<u64>) -> Result<Vec<Consent>, Problem> {
        let key = identifier::key(tenant_id, of);
        let facts = consent::history(&self.context(), key, before, AT_ONCE).await;
        let facts = facts.map_err(|error| problems::store(&error))?;
        Ok(facts.iter().map(|fact| shown(of, fact)).collect())
    }

    /// Conversations of a customer: so many that are not closed, or all.
    pub(super) async fn conversations_of(
        &self,
        whole: &Whole,
        not_closed: Option<usize>,
    ) -> Result<Vec<Conversation>, Problem> {
        let filter = conversation::Filter {
            statuses: not_closed.map(|_| NOT_CLOSED.to_vec()).unwrap_or_default(),
            ..conversation::Filter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let limit = not_closed.unwrap_or(AT_ONCE as usize);
            let page = conversation::of_customer(&self.context(), whole, &filter, after, limit).await;
            let page = page.map_err(|error| problems::store(&error))?;
            found.extend(page.conversations);
            after = page.next;
            if after.is_none() || not_closed.is_some_and(|most| found.len() >= most) {
                return Ok(found);
            }
        }
    }
}
