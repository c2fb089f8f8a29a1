//! The ledger: which fact stands, and what each new one does to it.

use super::is_over;
use crate::id::{EventId, hash};
use crate::time::Moment;
use omnigate_proto::state::v1::{ConsentFact, ConsentRecord};
use omnigate_proto::v1::{ConsentStatus, LegalBasis, Purpose};

/// Most facts that stand for one identifier: channels times purposes.
pub const MAX_FACTS: usize = 256;
/// Source of what a person says through the channel itself.
const PEER: &str = "peer";
/// Source of what lapses because somebody else has the identifier.
const NEW_HOLDER: &str = "new holder";

/// A fact to record.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// Names the fact: recording it again changes nothing.
    pub id: [u8; 16],
    /// Kind of channel.
    pub channel: String,
    /// Purpose.
    pub purpose: Purpose,
    /// When it was said.
    pub at: Moment,
    /// What was said.
    pub what: What,
}

/// What was said.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Somebody else wrote down what the person agreed to or refused.
    Recorded(Box<Recorded>),
    /// The person refused it through the channel.
    Refused(EventId),
    /// The person took their refusal back.
    TookBack(EventId),
}

/// What somebody wrote down.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// GRANTED, DENIED or UNKNOWN.
    pub status: ConsentStatus,
    /// Legal basis.
    pub basis: LegalBasis,
    /// Where it was said.
    pub source: String,
    /// Version of the text.
    pub text_version: String,
    /// Reference to a proof.
    pub proof: String,
    /// When a grant ends.
    pub expires_at: Option<Moment>,
}

/// Facts for as many channels as there can be stand already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the identifier has facts for {MAX_FACTS} channels and purposes")]
pub struct TooManyChannels;

/// The fact that stands for a channel and a purpose.
#[must_use]
pub fn standing<'a>(record: &'a ConsentRecord, channel: &str, purpose: Purpose) -> Option<&'a ConsentFact> {
    let mut facts = record.facts.iter();
    facts.find(|fact| fact.channel == channel && fact.purpose() == purpose)
}

/// What a fact says now: a grant may be over.
#[must_use]
pub fn presently(fact: &ConsentFact, now: Moment) -> ConsentStatus {
    match fact.status() {
        ConsentStatus::Granted if is_over(fact.expires_at_ms, now) => ConsentStatus::Expired,
        status => status,
    }
}

/// True for what a person refused through the channel.
#[must_use]
pub fn refused_by_event(fact: &ConsentFact) -> bool {
    fact.status() == ConsentStatus::Denied && !fact.event.is_empty()
}

/// What an identifier's new holder, who has it since then, makes of what was granted before: nothing is known of them.
#[must_use]
pub fn lapsed(record: &ConsentRecord, command: &str, since: Moment) -> Vec<Said> {
    let granted = record
        .facts
        .iter()
        .filter(|fact| fact.status() == ConsentStatus::Granted);
    let before = granted.filter(|fact| fact.at_ms < since.0);
    let lapsed = before.map(|fact| {
        let of = [
            command.as_bytes(),
            fact.channel.as_bytes(),
            fact.purpose().as_str_name().as_bytes(),
        ];
        let mut id = [0; 16];
        id.copy_from_slice(&hash("lapsed", &of)[..16]);
        Said {
            id,
            channel: fact.channel.clone(),
            purpose: fact.purpose(),
            at: since,
            what: What::Recorded(Box::new(Recorded {
                status: ConsentStatus::Unknown,
                basis: LegalBasis::Unspecified,
                source: NEW_HOLDER.to_owned(),
                text_version: String::new(),
                proof: String::new(),
                expires_at: None,
            })),
        }
    });
    lapsed.collect()
}

/// Of two facts from the same moment the stricter stands.
const fn strictness(status: ConsentStatus) -> u8 {
    match status {
        ConsentStatus::Denied => 2,
        ConsentStatus::Granted => 0,
        _ => 1,
    }
}

/// Records a fact: the record afterwards, and the fact as the history keeps it. `None` when there is nothing to record,
/// because nothing was refused that could be taken back.
pub fn record(
    before: &ConsentRecord,
    said: &Said,
    now: Moment,
) -> Result<Option<(ConsentRecord, ConsentFact)>, TooManyChannels> {
    let stands = standing(before, &said.channel, said.purpose);
    let Some(mut fact) = fact(stands, said) else {
        return Ok(None);
    };
    if stands.is_none() && before.facts.len() >= MAX_FACTS {
        return Err(TooManyChannels);
    }
    let mut record = before.clone();
    record.number += 1;
    fact.number = record.number;
    fact.recorded_at_ms = now.0;
    fact.stood = stands.is_none_or(|stands| {
        let stricter = strictness(fact.status()) >= strictness(stands.status());
        fact.at_ms > stands.at_ms || (fact.at_ms == stands.at_ms && stricter)
    });
    let kept = ConsentFact {
        taken: None,
        ..fact.clone()
    };
    if fact.stood {
        record
            .facts
            .retain(|stands| stands.channel != said.channel || stands.purpose() != said.purpose);
        record.facts.push(fact);
    }
    Ok(Some((record, kept)))
}

fn fact(stands: Option<&ConsentFact>, said: &Said) -> Option<ConsentFact> {
    let bare = ConsentFact {
        channel: said.channel.clone(),
        purpose: said.purpose.into(),
        at_ms: said.at.0,
        ..ConsentFact::default()
    };
    Some(match &said.what {
        What::Recorded(recorded) => ConsentFact {
            status: recorded.status.into(),
            basis: recorded.basis.into(),
            source: recorded.source.clone(),
            text_version: recorded.text_version.clone(),
            proof: recorded.proof.clone(),
            expires_at_ms: recorded.expires_at.map_or(0, |at| at.0),
            ..bare
        },
        What::Refused(event) => ConsentFact {
            status: ConsentStatus::Denied.into(),
            source: PEER.to_owned(),
            event: event.to_bytes(),
            taken: taken(stands),
            ..bare
        },
        What::TookBack(event) => {
            let refused = stands.filter(|stands| refused_by_event(stands))?;
            let given_back = refused.taken.as_deref().cloned().unwrap_or_else(|| ConsentFact {
                status: ConsentStatus::Unknown.into(),
                ..ConsentFact::default()
            });
            // What was agreed to is the same as before; that it holds again was said now.
            ConsentFact {
                source: PEER.to_owned(),
                event: event.to_bytes(),
                channel: bare.channel,
                purpose: bare.purpose,
                at_ms: bare.at_ms,
                taken: None,
                ..given_back
            }
        }
    })
}

/// What a refusal takes: what stands, or what a refusal before it has taken.
fn taken(stands: Option<&ConsentFact>) -> Option<Box<ConsentFact>> {
    let stands = stands?;
    if refused_by_event(stands) {
        return stands.taken.clone();
    }
    Some(Box::new(ConsentFact {
        taken: None,
        ..stands.clone()
    }))
}
