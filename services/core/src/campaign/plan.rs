//! The way of a campaign to its recipients, as the ledger decides by it.

use super::ledger::MAX_STEPS;
use crate::delivery::receipt::state_of_receipt;
use crate::time::Moment;
use omnigate_proto::v1::{Campaign, CampaignStep, DeliveryState, FallbackCause, Purpose, ReceiptState, UnknownPolicy};
use std::time::Duration;

/// How long success is waited for where the step does not say.
const WAIT: Duration = Duration::from_secs(600);
/// How long after its start a campaign may send where it does not say.
const SEND_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// All steps, and what holds for all of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The ways, in order.
    pub steps: Vec<Step>,
    /// Nothing is sent from this moment on.
    pub send_until: Moment,
    /// True where a message of which nobody knows whether it left is sent once more.
    pub may_repeat: bool,
}

/// One way.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Account to send through.
    pub account_id: String,
    /// What counts as success: at least this far.
    pub success: DeliveryState,
    /// How long that is waited for after acceptance.
    pub wait: Duration,
    /// When the next step is taken.
    pub fall_back_on: Vec<FallbackCause>,
}

/// What is wrong with a campaign's steps.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("steps[{step}].{field}: {problem}")]
pub struct NotAPlan {
    /// Position of the step.
    pub step: usize,
    /// Field of it.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// How long after its start a campaign may send.
#[must_use]
pub const fn send_within(campaign: &Campaign) -> Duration {
    if campaign.send_within_ms == 0 {
        SEND_WITHIN
    } else {
        Duration::from_millis(campaign.send_within_ms)
    }
}

impl Plan {
    /// The plan of a campaign that may send until a moment.
    #[must_use]
    pub fn new(campaign: &Campaign, send_until: Moment) -> Self {
        let last = campaign.steps.len().saturating_sub(1);
        let steps = campaign.steps.iter().enumerate();
        Self {
            steps: steps
                .map(|(number, step)| Step::new(step, (number == last).then(|| send_within(campaign))))
                .collect(),
            send_until,
            may_repeat: campaign.on_unknown() == UnknownPolicy::ResendOnce,
        }
    }

    /// The step at a position.
    #[must_use]
    pub fn step(&self, position: u32) -> Option<&Step> {
        self.steps.get(usize::try_from(position).ok()?)
    }

    /// True when a recipient moves from a step to the next one for this cause.
    #[must_use]
    pub fn falls_back(&self, position: u32, cause: FallbackCause, now: Moment) -> bool {
        let has_next = self.step(position.saturating_add(1)).is_some();
        let wants = self
            .step(position)
            .is_some_and(|step| step.fall_back_on.contains(&cause));
        has_next && wants && now < self.send_until
    }
}

impl Step {
    /// `longest` is how long the last step of a campaign waits where it does not say.
    fn new(step: &CampaignStep, longest: Option<Duration>) -> Self {
        let wait = match step.wait_ms {
            0 => longest.unwrap_or(WAIT),
            ms => Duration::from_millis(ms),
        };
        let named = step.fall_back_on().collect::<Vec<_>>();
        Self {
            account_id: step.account_id.clone(),
            success: state_of_receipt(step.success()).unwrap_or(DeliveryState::Delivered),
            wait,
            fall_back_on: match named.is_empty() {
                true => vec![FallbackCause::Unreachable, FallbackCause::Timeout],
                false => named,
            },
        }
    }
}

/// Looks at the steps that somebody wants. What names accounts and templates is looked at by whoever knows them.
pub fn check(campaign: &Campaign) -> Result<(), NotAPlan> {
    let wrong = |step, field, problem: &str| NotAPlan {
        step,
        field,
        problem: problem.to_owned(),
    };
    if campaign.steps.is_empty() {
        return Err(wrong(0, "account_id", "a campaign has at least one step"));
    }
    if campaign.steps.len() > MAX_STEPS {
        let problem = format!("a campaign has at most {MAX_STEPS} steps");
        return Err(wrong(MAX_STEPS, "account_id", &problem));
    }
    for (number, step) in campaign.steps.iter().enumerate() {
        if step.account_id.is_empty() {
            return Err(wrong(number, "account_id", "names the account to send through"));
        }
        if step.template_id.is_empty() {
            return Err(wrong(number, "template_id", "names the template to send"));
        }
        if matches!(step.success(), ReceiptState::Failed) {
            return Err(wrong(number, "success", "is ACCEPTED, SENT, DELIVERED or READ"));
        }
        if Duration::from_millis(step.wait_ms) > send_within(campaign) {
            return Err(wrong(number, "wait_ms", "is no longer than the campaign may send"));
        }
        let refused = step.fall_back_on().any(|cause| cause == FallbackCause::Refused);
        if refused && campaign.purpose() == Purpose::Marketing {
            let problem = "REFUSED would evade the recipient's wish: advertising has no way around a refusal";
            return Err(wrong(number, "fall_back_on", problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(steps: usize) -> Campaign {
        let step = CampaignStep {
            account_id: "sms".to_owned(),
            template_id: "tpl".to_owned(),
            ..CampaignStep::default()
        };
        Campaign {
            steps: vec![step; steps],
            ..Campaign::default()
        }
    }

    #[test]
    fn steps_have_defaults_and_the_last_one_waits_as_long_as_is_sent() {
        let plan = Plan::new(&campaign(2), Moment(9));
        assert_eq!(plan.steps[0].wait, WAIT);
        assert_eq!(plan.steps[1].wait, SEND_WITHIN);
        assert_eq!(plan.steps[0].success, DeliveryState::Delivered);
        assert!(plan.falls_back(0, FallbackCause::Timeout, Moment(8)));
        assert!(
            !plan.falls_back(0, FallbackCause::Unknown, Moment(8)),
            "the recipient might get both"
        );
        assert!(
            !plan.falls_back(0, FallbackCause::Timeout, Moment(9)),
            "its time is over"
        );
        assert!(
            !plan.falls_back(1, FallbackCause::Timeout, Moment(8)),
            "there is no third way"
        );
    }

    #[test]
    fn what_is_wrong_names_its_step_and_field() {
        let said = |campaign: &Campaign| check(campaign).map_err(|error| error.to_string());
        assert_eq!(
            said(&campaign(0)),
            Err("steps[0].account_id: a campaign has at least one step".to_owned())
        );
        assert_eq!(
            said(&campaign(6)),
            Err("steps[5].account_id: a campaign has at most 5 steps".to_owned())
        );
        let mut evades = campaign(2);
        evades.purpose = Purpose::Marketing.into();
        evades.steps[0].fall_back_on = vec![FallbackCause::Refused.into()];
        assert!(said(&evades).is_err_and(|error| error.starts_with("steps[0].fall_back_on: REFUSED")));
        evades.purpose = Purpose::Service.into();
        assert_eq!(said(&evades), Ok(()));
        let mut waits = campaign(1);
        waits.steps[0].wait_ms = 25 * 3_600_000;
        assert!(said(&waits).is_err_and(|error| error.starts_with("steps[0].wait_ms")));
    }
}
