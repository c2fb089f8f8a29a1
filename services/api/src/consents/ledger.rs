//! Facts: recorded, and shown.

use super::{MAX_PROOF, MAX_SOURCE, channel, said_by, short};
use crate::customers::{Asked, canonical_of};
use crate::{Api, problems};
use omnigate_core::consent::{Recorded, Said, What, needs_consent};
use omnigate_core::id::{EventId, hash};
use omnigate_core::identifier;
use omnigate_core::protocol::consent::{self, NotRecorded};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::ConsentFact;
use omnigate_proto::v1::{Consent, ConsentStatus, Identifier, LegalBasis, SetConsentRequest};
use omnigate_rpc::error::Problem;
use std::time::Duration;

/// When to come back after a refusal for want of room.
const LATER: Duration = Duration::from_secs(60);

impl Api {
    pub(super) async fn record_consent(
        &self,
        tenant_id: &str,
        mut request: SetConsentRequest,
    ) -> Result<Consent, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "set consent", &request)?;
        let identifier = canonical_of(&request.identifier.clone().unwrap_or_default(), "identifier")?;
        check(&request, self.ports.clock.now())?;
        let command = self.remember(&asked, asked.record(self)).await?;
        let mut id = [0; 16];
        let digest = hash("set consent", &[tenant_id.as_bytes(), asked.request_id.as_bytes()]);
        id.copy_from_slice(&digest[..16]);
        let said = said(request, id, Moment(command.at_ms));
        let key = identifier::key(tenant_id, &identifier);
        let recorded = consent::record(&self.context(), key, &[said]).await;
        recorded.map_err(|refused| not_recorded(&refused))?;
        let fact = consent::recorded(&self.context(), key, &id).await;
        let fact = fact.map_err(|error| problems::store(&error))?;
        fact.map(|fact| shown(&identifier, &fact)).ok_or_else(Problem::internal)
    }
}

fn check(request: &SetConsentRequest, now: Moment) -> Result<(), Problem> {
    channel(&request.channel)?;
    if !needs_consent(request.purpose()) {
        return Err(Problem::invalid("purpose", "must be one that needs consent: MARKETING"));
    }
    let status = request.status();
    if !matches!(
        status,
        ConsentStatus::Granted | ConsentStatus::Denied | ConsentStatus::Unknown
    ) {
        return Err(Problem::invalid("status", "must be GRANTED, DENIED or UNKNOWN"));
    }
    let is_grant = status == ConsentStatus::Granted;
    if is_grant && request.basis() == LegalBasis::Unspecified {
        return Err(Problem::invalid("basis", "must be set for a grant"));
    }
    said_by(&request.source)?;
    short("text_version", &request.text_version, MAX_SOURCE)?;
    short("proof", &request.proof, MAX_PROOF)?;
    let at = request.at.as_ref().map_or(now, Moment::from_timestamp);
    if at > now {
        return Err(Problem::invalid("at", "must not lie ahead"));
    }
    let expires_at = request.expires_at.as_ref().map(Moment::from_timestamp);
    if expires_at.is_some_and(|ends| !is_grant || ends <= at) {
        return Err(Problem::invalid(
            "expires_at",
            "must be after `at`, and is for grants only",
        ));
    }
    Ok(())
}

fn said(request: SetConsentRequest, id: [u8; 16], asked_at: Moment) -> Said {
    let at = request.at.as_ref().map_or(asked_at, Moment::from_timestamp);
    let recorded = Recorded {
        status: request.status(),
        basis: request.basis(),
        expires_at: request.expires_at.as_ref().map(Moment::from_timestamp),
        source: request.source.clone(),
        text_version: request.text_version.clone(),
        proof: request.proof.clone(),
    };
    Said {
        id,
        purpose: request.purpose(),
        at,
        what: What::Recorded(Box::new(recorded)),
        channel: request.channel,
    }
}

fn not_recorded(refused: &NotRecorded) -> Problem {
    match refused {
        NotRecorded::TooManyChannels(_) => Problem::exhausted("TOO_MANY_CHANNELS", refused.to_string(), LATER),
        NotRecorded::Stop(reason) => problems::stop(reason),
    }
}

/// A fact as readers see it.
pub(crate) fn shown(identifier: &Identifier, fact: &ConsentFact) -> Consent {
    Consent {
        identifier: Some(identifier.clone()),
        channel: fact.channel.clone(),
        purpose: fact.purpose,
        status: fact.status,
        basis: fact.basis,
        source: fact.source.clone(),
        text_version: fact.text_version.clone(),
        proof: fact.proof.clone(),
        at: Some(Moment(fact.at_ms).to_timestamp()),
        expires_at: (fact.expires_at_ms != 0).then(|| Moment(fact.expires_at_ms).to_timestamp()),
        recorded_at: Some(Moment(fact.recorded_at_ms).to_timestamp()),
        number: fact.number,
        stood: fact.stood,
        event_id: EventId::from_bytes(&fact.event)
            .map(|event| event.to_string())
            .unwrap_or_default(),
    }
}
