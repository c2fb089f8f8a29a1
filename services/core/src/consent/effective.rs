//! Whether a message may leave: all layers, in one order, and what each says.

use super::suppression::holds;
use super::{MARKETING, MarketingDefault, needs_consent, presently, purposes_of, standing};
use crate::id::CustomerId;
use crate::time::Moment;
use omnigate_proto::state::v1::{
    ConsentFact, ConsentRecord, RefusalRecord, RefusedTopic, SuppressionCause, SuppressionRecord,
};
use omnigate_proto::v1::{ConsentLayerKind, ConsentStatus, ErrorClass, Purpose, SendError, SuppressionReason};

/// Everything that is known about one identifier.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Layers {
    /// The list.
    pub suppression: SuppressionRecord,
    /// The ledger.
    pub consent: ConsentRecord,
    /// What the customer said, and everybody who was merged into them.
    pub refusals: Vec<(CustomerId, RefusalRecord)>,
    /// What was refused in threads of the channel.
    pub threads: Vec<ThreadWord>,
}

/// What a peer opted out of in a thread.
#[derive(Clone, PartialEq, Debug)]
pub struct ThreadWord {
    /// Account of the thread.
    pub account_id: String,
    /// The topics.
    pub refused: Vec<RefusedTopic>,
}

/// What is asked of the layers.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Kind of channel.
    pub channel: &'a str,
    /// Purpose.
    pub purpose: Purpose,
    /// What holds where nothing is known.
    pub default: MarketingDefault,
    /// When.
    pub now: Moment,
}

/// What a layer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// Nothing.
    Silent,
    /// That it may leave.
    Allows,
    /// That it must not.
    Refuses,
}

/// A layer that was looked at.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// Which.
    pub kind: ConsentLayerKind,
    /// What it says.
    pub says: Word,
    /// Why; names no identifier.
    pub detail: String,
    /// Since when.
    pub since: Option<Moment>,
}

/// The answer: all layers, and which one decides.
#[derive(Clone, PartialEq, Debug)]
pub struct Effective {
    /// In the order in which they are looked at.
    pub layers: Vec<Seen>,
    /// Position of the one that decides.
    pub decides: usize,
}

impl Effective {
    /// The layer that refuses; `None` when the message may leave.
    #[must_use]
    pub fn refusing(&self) -> Option<&Seen> {
        self.layers.get(self.decides).filter(|seen| seen.says == Word::Refuses)
    }

    /// Name of the refusal, as a delivery's provider code.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.refusing().map(|seen| code(seen.kind))
    }

    /// The refusal as a delivery keeps it; `None` when the message may leave.
    #[must_use]
    pub fn error(&self) -> Option<SendError> {
        self.refusing().map(|seen| SendError {
            class: ErrorClass::Refused.into(),
            provider_code: code(seen.kind).to_owned(),
            text: seen.detail.clone(),
            ..SendError::default()
        })
    }
}

const fn code(kind: ConsentLayerKind) -> &'static str {
    match kind {
        ConsentLayerKind::Suppression => "suppressed",
        ConsentLayerKind::Denial | ConsentLayerKind::Thread => "opted_out",
        ConsentLayerKind::Customer => "customer_opted_out",
        _ => "no_consent",
    }
}

/// Asks every layer. The first that refuses decides; where none does, the first that allows.
#[must_use]
pub fn effective(layers: &Layers, asked: &Asked<'_>) -> Effective {
    let fact = standing(&layers.consent, asked.channel, asked.purpose);
    let consents = needs_consent(asked.purpose);
    let lapses = is_reassigned(&layers.suppression, asked.now);
    let grant = grant(fact.filter(|_| consents), asked, lapses);
    let is_granted = grant.says == Word::Allows;
    let seen = vec![
        suppression(&layers.suppression, asked),
        denial(fact.filter(|_| consents), asked.now),
        customer(&layers.refusals, consents),
        thread(&layers.threads, asked.purpose),
        grant,
        default(asked.default, consents, is_granted),
    ];
    let of = |word| seen.iter().position(|seen| seen.says == word);
    let decides = of(Word::Refuses).or_else(|| of(Word::Allows)).unwrap_or(seen.len() - 1);
    Effective { layers: seen, decides }
}

const fn said(kind: ConsentLayerKind, says: Word, detail: String, since: Option<Moment>) -> Seen {
    Seen {
        kind,
        says,
        detail,
        since,
    }
}

fn suppression(record: &SuppressionRecord, asked: &Asked<'_>) -> Seen {
    let kind = ConsentLayerKind::Suppression;
    let concerns = |cause: &&SuppressionCause| {
        let here = cause.channel.is_empty() || cause.channel == asked.channel;
        let for_this = !cause.marketing_only || needs_consent(asked.purpose);
        here && for_this && holds(cause, asked.now)
    };
    let Some(cause) = record.causes.iter().find(concerns) else {
        return said(kind, Word::Silent, "not on the suppression list".to_owned(), None);
    };
    let of_what = if cause.marketing_only {
        "advertising"
    } else {
        "everything"
    };
    let detail = format!("on the suppression list for {of_what}: {}", reason(cause.reason()));
    said(kind, Word::Refuses, detail, Some(Moment(cause.at_ms)))
}

const fn reason(reason: SuppressionReason) -> &'static str {
    match reason {
        SuppressionReason::HardBounce => "it cannot be reached",
        SuppressionReason::Complaint => "a complaint",
        SuppressionReason::LegalRegister => "a legal register",
        SuppressionReason::Erased => "its owner was erased",
        SuppressionReason::Manual => "somebody decided so",
        SuppressionReason::Reassigned => "the number may have been given to somebody else",
        SuppressionReason::Unspecified => "a reason that this version does not know",
    }
}

fn denial(fact: Option<&ConsentFact>, now: Moment) -> Seen {
    let kind = ConsentLayerKind::Denial;
    match fact {
        Some(fact) if presently(fact, now) == ConsentStatus::Denied => {
            let detail = format!("the recipient opted out of {MARKETING} ({})", fact.source);
            said(kind, Word::Refuses, detail, Some(Moment(fact.at_ms)))
        }
        _ => said(kind, Word::Silent, "nothing was refused in the ledger".to_owned(), None),
    }
}

fn customer(refusals: &[(CustomerId, RefusalRecord)], consents: bool) -> Seen {
    let kind = ConsentLayerKind::Customer;
    let refused = refusals.iter().find(|(_, refusal)| refusal.refuses && consents);
    let Some((id, refusal)) = refused else {
        return said(
            kind,
            Word::Silent,
            "the customer did not refuse advertising".to_owned(),
            None,
        );
    };
    let detail = format!("the customer wants no advertising at all (said as {id})");
    said(kind, Word::Refuses, detail, Some(Moment(refusal.at_ms)))
}

fn thread(threads: &[ThreadWord], purpose: Purpose) -> Seen {
    let kind = ConsentLayerKind::Thread;
    let refused = threads.iter().find_map(|thread| {
        let topic = thread
            .refused
            .iter()
            .find(|refused| purposes_of(&refused.topic).contains(&purpose))?;
        Some((thread, topic))
    });
    let Some((thread, topic)) = refused else {
        return said(kind, Word::Silent, "nothing was refused in a thread".to_owned(), None);
    };
    let detail = format!(
        "the recipient opted out of {MARKETING} in the thread of account {}",
        thread.account_id
    );
    said(kind, Word::Refuses, detail, Some(Moment(topic.since_ms)))
}

/// True while a person has to say whose the number is: what was granted is the grantor's, and may not be the holder's.
fn is_reassigned(record: &SuppressionRecord, now: Moment) -> bool {
    let mut causes = record.causes.iter();
    causes.any(|cause| cause.reason() == SuppressionReason::Reassigned && holds(cause, now))
}

fn grant(fact: Option<&ConsentFact>, asked: &Asked<'_>, lapses: bool) -> Seen {
    let kind = ConsentLayerKind::Grant;
    let Some(fact) = fact else {
        return said(kind, Word::Silent, "nothing was granted in the ledger".to_owned(), None);
    };
    match presently(fact, asked.now) {
        ConsentStatus::Granted if lapses => {
            let detail = "what was granted lapsed: the number may have been given to somebody else";
            said(kind, Word::Silent, detail.to_owned(), Some(Moment(fact.at_ms)))
        }
        ConsentStatus::Granted => {
            let detail = format!("granted ({})", fact.source);
            said(kind, Word::Allows, detail, Some(Moment(fact.at_ms)))
        }
        ConsentStatus::Expired => {
            let since = Some(Moment(fact.expires_at_ms));
            said(kind, Word::Silent, "what was granted is over".to_owned(), since)
        }
        _ => said(kind, Word::Silent, "nothing is granted in the ledger".to_owned(), None),
    }
}

fn default(default: MarketingDefault, consents: bool, is_granted: bool) -> Seen {
    let (says, detail) = match default {
        _ if !consents => (Word::Allows, "this purpose needs no consent"),
        MarketingDefault::Allowed => (Word::Allows, "advertising is allowed until it is refused"),
        MarketingDefault::Required if is_granted => (Word::Silent, "advertising needs consent"),
        MarketingDefault::Required => (Word::Refuses, "advertising needs consent, and none is known"),
    };
    said(ConsentLayerKind::Default, says, detail.to_owned(), None)
}
