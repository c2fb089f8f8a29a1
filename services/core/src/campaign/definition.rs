//! What people say a campaign is: what makes sense, what may change when, and what is pinned before it starts.

use super::life::state;
use super::plan::{self, send_within};
use crate::delivery::receipt::{further, state_of_receipt};
use crate::details::normal_text;
use crate::id::{AudienceId, TemplateId};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{
    Campaign, CampaignState, CampaignStep, FallbackCause, Purpose, ReceiptState, RecipientScope, UnknownPolicy,
};
use std::time::Duration;

/// Longest name, in characters.
pub const MAX_NAME: usize = 256;
/// Most audiences that a campaign excludes.
pub const MAX_EXCLUDED: usize = 20;
/// Most messages a second that somebody may ask for.
const MAX_RATE: f64 = 100_000.0;
/// Fewest messages a second, where it is said: one in a quarter of an hour.
const MIN_RATE: f64 = 0.001;
/// Largest share of an account.
const MAX_WEIGHT: u32 = 100;
/// The most that a campaign may start late.
const MAX_LATE_BY: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a campaign may send: at least, and at most.
const SEND_WITHIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(30 * 24 * 3600)];
/// How far ahead a start may lie.
const MAX_AHEAD: Duration = Duration::from_secs(366 * 24 * 3600);
/// Commands that a record knows it was changed by: whoever repeats one does it sooner.
const MAX_APPLIED: usize = 32;

/// A field that says something that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Mistake {
    /// The field of the campaign.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Mistake {
    /// A mistake in a field.
    #[must_use]
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// A mistake in a field of a step.
    #[must_use]
    pub fn of_step(step: usize, field: &str, problem: impl Into<String>) -> Self {
        Self::new(format!("steps[{step}].{field}"), problem)
    }
}

/// Why a definition was not changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotChanged {
    /// It would make no sense.
    #[error(transparent)]
    Mistake(#[from] Mistake),
    /// It has begun: this field stays.
    #[error("{0} cannot be changed any more: the campaign has begun")]
    Fixed(&'static str),
    /// Nothing of it can be changed.
    #[error("a campaign that is {} cannot be changed", .0.as_str_name().trim_start_matches("CAMPAIGN_STATE_"))]
    Ended(CampaignState),
}

/// A change of a definition. What is `None` stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Change {
    /// New name.
    pub display_name: Option<String>,
    /// New audience.
    pub audience_id: Option<String>,
    /// New exclusions.
    pub excluded_audience_ids: Option<Vec<String>>,
    /// New purpose.
    pub purpose: Option<i32>,
    /// New steps.
    pub steps: Option<Vec<CampaignStep>>,
    /// New time to start.
    pub start_at: Option<Moment>,
    /// As `Campaign.late_by_ms`.
    pub late_by_ms: Option<u64>,
    /// As `Campaign.send_within_ms`.
    pub send_within_ms: Option<u64>,
    /// As `Campaign.on_unknown`.
    pub on_unknown: Option<i32>,
    /// As `Campaign.scope`.
    pub scope: Option<i32>,
    /// As `Campaign.messages_per_second`.
    pub messages_per_second: Option<f64>,
    /// As `Campaign.weight`.
    pub weight: Option<u32>,
}

impl Change {
    /// True when nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when it names audiences, accounts or templates, which have to exist.
    #[must_use]
    pub const fn refers(&self) -> bool {
        self.audience_id.is_some()
            || self.excluded_audience_ids.is_some()
            || self.purpose.is_some()
            || self.steps.is_some()
    }

    /// A field that nobody may change once a campaign has begun.
    fn fixed(&self) -> Option<&'static str> {
        let fields = [
            ("audience_id", self.audience_id.is_some()),
            ("excluded_audience_ids", self.excluded_audience_ids.is_some()),
            ("purpose", self.purpose.is_some()),
            ("steps", self.steps.is_some()),
            ("start_at", self.start_at.is_some()),
            ("late_by_ms", self.late_by_ms.is_some()),
            ("on_unknown", self.on_unknown.is_some()),
            ("scope", self.scope.is_some()),
        ];
        fields.into_iter().find(|(_, named)| *named).map(|(field, _)| field)
    }

    /// The definition as the change leaves it.
    #[must_use]
    pub fn on(&self, campaign: &Campaign) -> Campaign {
        fn set<T: Clone>(field: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        let mut next = campaign.clone();
        set(&mut next.display_name, self.display_name.as_ref());
        set(&mut next.audience_id, self.audience_id.as_ref());
        set(&mut next.excluded_audience_ids, self.excluded_audience_ids.as_ref());
        set(&mut next.purpose, self.purpose.as_ref());
        set(&mut next.steps, self.steps.as_ref());
        set(&mut next.late_by_ms, self.late_by_ms.as_ref());
        set(&mut next.send_within_ms, self.send_within_ms.as_ref());
        set(&mut next.on_unknown, self.on_unknown.as_ref());
        set(&mut next.scope, self.scope.as_ref());
        set(&mut next.messages_per_second, self.messages_per_second.as_ref());
        set(&mut next.weight, self.weight.as_ref());
        if let Some(at) = self.start_at {
            next.start_at = Some(at.to_timestamp());
        }
        tidied(next)
    }
}

/// What of a campaign people say; everything else is output only.
#[must_use]
pub fn defined(given: Campaign) -> Campaign {
    tidied(Campaign {
        campaign_id: String::new(),
        tenant_id: String::new(),
        state: 0,
        pause_reason: 0,
        problem: String::new(),
        epoch: 0,
        created_at: None,
        started_at: None,
        ended_at: None,
        etag: String::new(),
        ..given
    })
}

/// The name as it is kept, and each exclusion once.
fn tidied(mut campaign: Campaign) -> Campaign {
    campaign.display_name = normal_text(&campaign.display_name);
    let mut seen = std::collections::BTreeSet::new();
    campaign.excluded_audience_ids.retain(|id| seen.insert(id.clone()));
    campaign
}

/// Looks at what somebody wants. Whether audiences, accounts and templates exist is looked at by whoever knows them.
pub fn check(campaign: &Campaign) -> Result<(), Mistake> {
    let name = &campaign.display_name;
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let problem = format!("must have 1 to {MAX_NAME} characters, and no control characters");
        return Err(Mistake::new("display_name", problem));
    }
    check_audiences(campaign)?;
    if !matches!(
        Purpose::try_from(campaign.purpose),
        Ok(Purpose::Service | Purpose::Marketing)
    ) {
        return Err(Mistake::new("purpose", "must be SERVICE or MARKETING"));
    }
    plan::check(campaign).map_err(|wrong| Mistake::of_step(wrong.step, wrong.field, wrong.problem))?;
    for (number, step) in campaign.steps.iter().enumerate() {
        check_step(number, step)?;
    }
    check_limits(campaign)
}

fn check_audiences(campaign: &Campaign) -> Result<(), Mistake> {
    let id = |field: &str, text: &str| {
        let read = text.parse::<AudienceId>();
        read.map_err(|error| Mistake::new(field, error.to_string()))
    };
    let audience = id("audience_id", &campaign.audience_id)?;
    let field = "excluded_audience_ids";
    if campaign.excluded_audience_ids.len() > MAX_EXCLUDED {
        return Err(Mistake::new(field, format!("at most {MAX_EXCLUDED}")));
    }
    for text in &campaign.excluded_audience_ids {
        if id(field, text)? == audience {
            return Err(Mistake::new(field, "the campaign's own audience would leave nobody"));
        }
    }
    Ok(())
}

fn check_step(number: usize, step: &CampaignStep) -> Result<(), Mistake> {
    let template = step.template_id.parse::<TemplateId>();
    template.map_err(|error| Mistake::of_step(number, "template_id", error.to_string()))?;
    if ReceiptState::try_from(step.success).is_err() {
        return Err(Mistake::of_step(
            number,
            "success",
            "is ACCEPTED, SENT, DELIVERED or READ",
        ));
    }
    let is_cause = |cause: &i32| FallbackCause::try_from(*cause).is_ok_and(|cause| cause != FallbackCause::Unspecified);
    if !step.fall_back_on.iter().all(is_cause) {
        let problem = "are of UNREACHABLE, TIMEOUT, UNKNOWN and REFUSED";
        return Err(Mistake::of_step(number, "fall_back_on", problem));
    }
    Ok(())
}

fn check_limits(campaign: &Campaign) -> Result<(), Mistake> {
    if Duration::from_millis(campaign.late_by_ms) > MAX_LATE_BY {
        return Err(Mistake::new("late_by_ms", "at most 7 days"));
    }
    let [least, most] = SEND_WITHIN;
    if !(least..=most).contains(&send_within(campaign)) {
        return Err(Mistake::new("send_within_ms", "a minute to 30 days, or 0 for 24 hours"));
    }
    if UnknownPolicy::try_from(campaign.on_unknown).is_err() {
        return Err(Mistake::new("on_unknown", "is REPORT or RESEND_ONCE"));
    }
    if RecipientScope::try_from(campaign.scope).is_err() {
        return Err(Mistake::new("scope", "is ENDPOINT or CUSTOMER"));
    }
    let rate = campaign.messages_per_second;
    if rate.to_bits() != 0 && !(MIN_RATE..=MAX_RATE).contains(&rate) {
        let problem = format!("{MIN_RATE} to {MAX_RATE}, or 0 for as many as the accounts allow");
        return Err(Mistake::new("messages_per_second", problem));
    }
    if campaign.weight > MAX_WEIGHT {
        return Err(Mistake::new("weight", format!("1 to {MAX_WEIGHT}, or 0 for 10")));
    }
    Ok(())
}

/// Looks at a time to start that somebody names.
pub fn check_start(at: Moment, now: Moment) -> Result<(), Mistake> {
    if at <= now {
        return Err(Mistake::new(
            "start_at",
            "lies in the past; start the campaign now instead",
        ));
    }
    if at > now + MAX_AHEAD {
        return Err(Mistake::new("start_at", "lies more than 366 days ahead"));
    }
    Ok(())
}

/// The record as a change leaves it. Where how long it may send changes while it sends, it has a new epoch, so that every shard
/// looks at its recipients anew.
pub fn changed(record: &CampaignRecord, change: &Change) -> Result<CampaignRecord, NotChanged> {
    let state = state(record);
    let has_begun = match state {
        CampaignState::Draft | CampaignState::Scheduled => false,
        CampaignState::Planning | CampaignState::Running | CampaignState::Paused => true,
        ended => return Err(NotChanged::Ended(ended)),
    };
    if let Some(field) = change.fixed().filter(|_| has_begun) {
        return Err(NotChanged::Fixed(field));
    }
    let before = record.campaign.clone().unwrap_or_default();
    let mut next = record.clone();
    let mut campaign = change.on(&before);
    check(&campaign)?;
    if let (Some(started), true) = (&campaign.started_at, send_within(&campaign) != send_within(&before)) {
        next.send_until_ms = (Moment::from_timestamp(started) + send_within(&campaign)).0;
        campaign.epoch += 1;
    }
    next.campaign = Some(campaign);
    Ok(next)
}

/// True when a command took effect before.
#[must_use]
pub fn is_applied(record: &CampaignRecord, name: &Bytes) -> bool {
    record.applied.contains(name)
}

/// The record, knowing that a command took effect.
#[must_use]
pub fn noted(mut record: CampaignRecord, name: &Bytes) -> CampaignRecord {
    let too_many = (record.applied.len() + 1).saturating_sub(MAX_APPLIED);
    record.applied.drain(..too_many);
    record.applied.push(name.clone());
    record
}

/// What is success on a step whose account has these receipts. `None` when the step wants what the account never tells.
#[must_use]
pub fn success(step: &CampaignStep, receipts: &[ReceiptState]) -> Option<ReceiptState> {
    let tells = |wanted| {
        let heard = receipts.iter().filter_map(|receipt| state_of_receipt(*receipt));
        let wanted = state_of_receipt(wanted);
        wanted.is_some_and(|wanted| {
            heard
                .into_iter()
                .any(|heard| further(wanted, heard) == heard && is_good(heard))
        })
    };
    match step.success() {
        ReceiptState::Unspecified if tells(ReceiptState::Delivered) => Some(ReceiptState::Delivered),
        ReceiptState::Unspecified | ReceiptState::Accepted => Some(ReceiptState::Accepted),
        wanted => tells(wanted).then_some(wanted),
    }
}

fn is_good(state: omnigate_proto::v1::DeliveryState) -> bool {
    state != omnigate_proto::v1::DeliveryState::Failed
}

#[cfg(test)]
mod tests;
