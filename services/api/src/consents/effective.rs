//! Whether a message would leave, and why.

use super::{channel, ledger};
use crate::customers::canonical_of;
use crate::{Api, problems};
use futures_util::future::try_join_all;
use omnigate_core::consent::{Asked, Effective, Seen, Word, effective, presently, standing};
use omnigate_core::protocol::consent::{Whom, layers};
use omnigate_core::protocol::read::{self, Whole};
use omnigate_core::time::Moment;
use omnigate_proto::v1::get_consent_request::Of;
use omnigate_proto::v1::{
    ConsentDecision, ConsentLayer, ConsentWord, EffectiveConsent, GetConsentRequest, Identifier, Purpose,
};
use omnigate_rpc::error::Problem;

/// Identifiers of a customer that are looked at side by side.
const AT_ONCE: usize = 32;

impl Api {
    pub(super) async fn effective_consents(
        &self,
        tenant_id: &str,
        request: GetConsentRequest,
    ) -> Result<Vec<EffectiveConsent>, Problem> {
        channel(&request.channel)?;
        match &request.of {
            Some(Of::Identifier(given)) => {
                let identifier = canonical_of(given, "identifier")?;
                let found = read::resolve(&self.context(), tenant_id, &identifier).await;
                let whole = found.map_err(|error| problems::store(&error))?;
                let one = self.effective_consent(tenant_id, &identifier, whole.as_ref(), &request);
                Ok(vec![one.await?])
            }
            Some(Of::CustomerId(id)) => {
                let whole = self.whole_customer(tenant_id, id).await?;
                let identifiers: Vec<&Identifier> = whole.owned().collect();
                let mut consents = Vec::with_capacity(identifiers.len());
                for some in identifiers.chunks(AT_ONCE) {
                    let each = some
                        .iter()
                        .map(|identifier| self.effective_consent(tenant_id, identifier, Some(&whole), &request));
                    consents.extend(try_join_all(each).await?);
                }
                Ok(consents)
            }
            None => Err(Problem::invalid("of", "must be an identifier or a customer")),
        }
    }

    async fn effective_consent(
        &self,
        tenant_id: &str,
        identifier: &Identifier,
        whole: Option<&Whole>,
        request: &GetConsentRequest,
    ) -> Result<EffectiveConsent, Problem> {
        let whom = Whom {
            tenant_id,
            identifier,
            from: whole.map(|whole| whole.id),
        };
        let known = layers(&self.context(), whom).await;
        let mut known = known.map_err(|stop| problems::stop(&stop))?;
        if let Some(whole) = whole {
            known.threads = whole.thread_words(identifier, &request.channel, &request.account_id);
        }
        let purpose = match request.purpose() {
            Purpose::Unspecified => Purpose::Service,
            purpose => purpose,
        };
        let now = self.ports.clock.now();
        let answer = effective(
            &known,
            &Asked {
                channel: &request.channel,
                purpose,
                default: self.marketing.of(&request.channel),
                now,
            },
        );
        let consent = standing(&known.consent, &request.channel, purpose).map(|fact| {
            let mut shown = ledger::shown(identifier, fact);
            shown.status = presently(fact, now).into();
            shown
        });
        Ok(EffectiveConsent {
            identifier: Some(identifier.clone()),
            channel: request.channel.clone(),
            purpose: purpose.into(),
            decision: decision(&answer).into(),
            code: answer.code().unwrap_or_default().to_owned(),
            layers: shown(answer),
            consent,
        })
    }
}

fn decision(answer: &Effective) -> ConsentDecision {
    match answer.refusing() {
        Some(_) => ConsentDecision::Refused,
        None => ConsentDecision::Allowed,
    }
}

fn shown(answer: Effective) -> Vec<ConsentLayer> {
    let decides = answer.decides;
    let layers = answer.layers.into_iter().enumerate();
    layers.map(|(place, seen)| layer(seen, place == decides)).collect()
}

fn layer(seen: Seen, decides: bool) -> ConsentLayer {
    let says = match seen.says {
        Word::Silent => ConsentWord::Silent,
        Word::Allows => ConsentWord::Allows,
        Word::Refuses => ConsentWord::Refuses,
    };
    ConsentLayer {
        kind: seen.kind.into(),
        says: says.into(),
        decides,
        detail: seen.detail,
        since: seen.since.map(Moment::to_timestamp),
    }
}
