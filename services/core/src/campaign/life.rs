//! The life of a campaign: what it may do next. Every change of state has a new epoch, by which shards tell old word from new.

use super::plan::send_within;
use crate::time::Moment;
use omnigate_proto::state::v1::{CampaignRecord, campaign_record::Transition};
use omnigate_proto::v1::{Campaign, CampaignState, PauseReason};
use std::time::Duration;

/// The most that a campaign may start late where it does not say.
const LATE_BY: Duration = Duration::from_secs(1800);
/// Changes of state that are kept.
const MAX_TRANSITIONS: usize = 64;

/// What is to happen to a campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// It starts by itself when its time has come.
    Schedule,
    /// It does not, after all.
    Unschedule,
    /// Somebody starts it.
    Start,
    /// Its time has come.
    Due,
    /// Its audience is written down.
    Planned,
    /// Nothing new is begun.
    Pause(PauseReason, &'a str),
    /// It goes on.
    Resume,
    /// Nothing more is sent.
    Cancel,
    /// Nothing of a cancelled campaign is under way any more.
    Drained,
    /// All its recipients have ended.
    Settled,
    /// It cannot be started.
    Fail(&'a str),
    /// The store may have forgotten some of it: its state goes to every shard anew, and so does the look for recipients who are
    /// not written down.
    Recheck,
}

/// Why not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Not from this state.
    #[error("a campaign that is {} cannot be {what}", .state.as_str_name().trim_start_matches("CAMPAIGN_STATE_"))]
    Impossible {
        /// Where it stands.
        state: CampaignState,
        /// What was wanted.
        what: &'static str,
    },
    /// Its start has no time.
    #[error("start_at is not set: say when the campaign is to start, or start it now")]
    NoTime,
}

/// Where a campaign stands.
#[must_use]
pub fn state(record: &CampaignRecord) -> CampaignState {
    record
        .campaign
        .as_ref()
        .map_or(CampaignState::Unspecified, Campaign::state)
}

/// True when nothing changes any more.
#[must_use]
pub const fn has_ended(state: CampaignState) -> bool {
    matches!(
        state,
        CampaignState::Cancelled | CampaignState::Succeeded | CampaignState::Failed
    )
}

/// Decides about a command. `Ok(None)` when the campaign stands there already.
pub fn decide(
    record: &CampaignRecord,
    command: Command<'_>,
    environment: &str,
    (now, cause): (Moment, &str),
) -> Result<Option<CampaignRecord>, Refused> {
    let state = state(record);
    let Some(to) = target(record, command, environment, now)? else {
        return Ok(None);
    };
    let mut next = record.clone();
    let campaign = next.campaign.get_or_insert_default();
    campaign.state = to.state.into();
    campaign.pause_reason = to.reason.into();
    to.problem.clone_into(&mut campaign.problem);
    campaign.epoch += 1;
    if to.state == CampaignState::Planning && campaign.started_at.is_none() {
        campaign.started_at = Some(now.to_timestamp());
        next.send_until_ms = (now + send_within(campaign)).0;
    }
    if has_ended(to.state) {
        campaign.ended_at = Some(now.to_timestamp());
    }
    next.resumes_to = match to.state {
        CampaignState::Paused if state == CampaignState::Paused => to.resumes_to.map_or(record.resumes_to, i32::from),
        CampaignState::Paused => to.resumes_to.unwrap_or(state).into(),
        _ => 0,
    };
    environment.clone_into(&mut next.environment);
    if to.reason == PauseReason::Environment {
        record.environment.clone_into(&mut next.environment);
    }
    if next.transitions.len() >= MAX_TRANSITIONS {
        next.transitions.remove(0);
    }
    next.transitions.push(Transition {
        state: to.state.into(),
        at_ms: now.0,
        reason: to.reason.into(),
        cause: cause.to_owned(),
    });
    Ok(Some(next))
}

/// Where a command leads.
struct Target<'a> {
    state: CampaignState,
    reason: PauseReason,
    problem: &'a str,
    resumes_to: Option<CampaignState>,
}

impl Target<'_> {
    const fn state(state: CampaignState) -> Self {
        Self {
            state,
            reason: PauseReason::Unspecified,
            problem: "",
            resumes_to: None,
        }
    }
}

fn target<'a>(
    record: &'a CampaignRecord,
    command: Command<'a>,
    environment: &str,
    now: Moment,
) -> Result<Option<Target<'a>>, Refused> {
    use CampaignState::{Cancelled, Cancelling, Draft, Failed, Paused, Planning, Running, Scheduled, Succeeded};
    let state = state(record);
    let go = |state| Ok(Some(Target::state(state)));
    match (command, state) {
        (Command::Schedule, Draft) => match start_at(record) {
            Some(_) => go(Scheduled),
            None => Err(Refused::NoTime),
        },
        (Command::Schedule, Scheduled)
        | (Command::Unschedule, Draft)
        | (Command::Start | Command::Due, Planning | Running)
        | (Command::Planned, Running)
        | (Command::Resume, Planning | Running)
        | (Command::Cancel | Command::Drained, Cancelled)
        | (Command::Cancel, Cancelling)
        | (Command::Settled, Succeeded)
        | (Command::Fail(_), Failed) => Ok(None),
        (Command::Recheck, _) => recheck(record, environment),
        (Command::Unschedule, Scheduled) => go(Draft),
        (Command::Start, Draft | Scheduled) => go(Planning),
        (Command::Due, Scheduled) => due(record, environment, now),
        (Command::Planned, Planning) => go(Running),
        (Command::Pause(reason, problem), Planning | Running) => Ok(Some(Target {
            reason,
            problem,
            ..Target::state(Paused)
        })),
        // Whoever paused it first is who has to be asked, but a person's word stands above all.
        (Command::Pause(PauseReason::User, _), Paused) if !is_paused_by_person(record) => Ok(Some(Target {
            reason: PauseReason::User,
            ..Target::state(Paused)
        })),
        (Command::Pause(..), Paused) => Ok(None),
        (Command::Resume, Paused) => go(match record.resumes_to() {
            CampaignState::Running => Running,
            _ => Planning,
        }),
        (Command::Cancel, Draft | Scheduled) => go(Cancelled),
        (Command::Cancel, Planning | Running | Paused) => go(Cancelling),
        (Command::Drained, Cancelling) => go(Cancelled),
        // Somebody gives recipients another turn, who may have ended when they were counted.
        (Command::Settled, Running) if now < Moment(record.held_until_ms) => Ok(None),
        (Command::Settled, Running) => go(Succeeded),
        (Command::Fail(problem), Scheduled | Planning) => Ok(Some(Target {
            problem,
            ..Target::state(Failed)
        })),
        (command, _) => Err(Refused::Impossible {
            state,
            what: command.wants(),
        }),
    }
}

impl Command<'_> {
    /// What is to become of the campaign, in a word.
    const fn wants(self) -> &'static str {
        match self {
            Self::Schedule => "scheduled",
            Self::Unschedule => "unscheduled",
            Self::Start | Self::Due => "started",
            Self::Pause(..) => "paused",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
            Self::Planned => "run",
            Self::Drained | Self::Settled => "ended",
            Self::Fail(_) => "failed",
            Self::Recheck => "looked at again",
        }
    }
}

/// A campaign of which the store may have forgotten something. One that another environment runs stays the other's.
fn recheck<'a>(record: &'a CampaignRecord, environment: &str) -> Result<Option<Target<'a>>, Refused> {
    use CampaignState::{Cancelling, Paused, Planning, Running};
    if record.environment != environment {
        return Ok(None);
    }
    Ok(match state(record) {
        Planning | Running => Some(Target::state(Planning)),
        Cancelling => Some(Target::state(Cancelling)),
        Paused => {
            let campaign = record.campaign.as_ref();
            Some(Target {
                state: Paused,
                reason: campaign.map_or(PauseReason::Unspecified, Campaign::pause_reason),
                problem: campaign.map_or("", |campaign| campaign.problem.as_str()),
                resumes_to: Some(Planning),
            })
        }
        _ => None,
    })
}

fn is_paused_by_person(record: &CampaignRecord) -> bool {
    let reason = record.campaign.as_ref().map(Campaign::pause_reason);
    reason == Some(PauseReason::User)
}

fn start_at(record: &CampaignRecord) -> Option<Moment> {
    let at = record.campaign.as_ref()?.start_at.as_ref()?;
    Some(Moment::from_timestamp(at))
}

/// A campaign whose time has come. One that is hours late would reach people at a time that nobody chose, and a copy of the
/// store must not send what the original sends.
fn due<'a>(record: &CampaignRecord, environment: &str, now: Moment) -> Result<Option<Target<'a>>, Refused> {
    let held = |reason, problem| {
        Ok(Some(Target {
            reason,
            problem,
            resumes_to: Some(CampaignState::Planning),
            ..Target::state(CampaignState::Paused)
        }))
    };
    let late_by = match record.campaign.as_ref().map_or(0, |campaign| campaign.late_by_ms) {
        0 => LATE_BY,
        ms => Duration::from_millis(ms),
    };
    match start_at(record) {
        None => Err(Refused::NoTime),
        Some(at) if now < at => Ok(None),
        Some(_) if record.environment != environment => {
            held(PauseReason::Environment, "the store is a copy of another environment's")
        }
        Some(at) if now > at + late_by => held(PauseReason::Late, "its time to start has passed"),
        Some(_) => Ok(Some(Target::state(CampaignState::Planning))),
    }
}

/// The pause of a campaign that the store brought along from another environment; `None` when it is this one's, or does
/// nothing by itself.
#[must_use]
pub fn fence(record: &CampaignRecord, environment: &str) -> Option<Command<'static>> {
    let acts = matches!(state(record), CampaignState::Planning | CampaignState::Running);
    let is_foreign = record.environment != environment;
    (acts && is_foreign).then_some(Command::Pause(
        PauseReason::Environment,
        "the store is a copy of another environment's",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "here";

    fn draft() -> CampaignRecord {
        CampaignRecord {
            campaign: Some(Campaign {
                state: CampaignState::Draft.into(),
                start_at: Some(Moment(1_000_000).to_timestamp()),
                ..Campaign::default()
            }),
            environment: HERE.to_owned(),
            ..CampaignRecord::default()
        }
    }

    fn then(record: &CampaignRecord, command: Command<'_>, now: i64) -> CampaignRecord {
        let next = decide(record, command, HERE, (Moment(now), "trace"));
        next.unwrap_or_else(|error| panic!("{command:?}: {error}"))
            .unwrap_or_else(|| record.clone())
    }

    fn campaign(record: &CampaignRecord) -> &Campaign {
        record.campaign.as_ref().unwrap()
    }

    #[test]
    fn a_life_from_draft_to_success() {
        let scheduled = then(&draft(), Command::Schedule, 1);
        assert_eq!(
            then(&scheduled, Command::Due, 999_999),
            scheduled,
            "its time has not come"
        );
        let planning = then(&scheduled, Command::Due, 1_000_001);
        assert_eq!(state(&planning), CampaignState::Planning);
        assert_eq!(planning.send_until_ms, 1_000_001 + 24 * 3_600_000);
        let running = then(&planning, Command::Planned, 1_000_002);
        let ended = then(&running, Command::Settled, 1_000_003);
        assert_eq!(state(&ended), CampaignState::Succeeded);
        assert_eq!(campaign(&ended).epoch, 4);
        assert_eq!(ended.transitions.len(), 4);
        let refused = decide(&ended, Command::Pause(PauseReason::User, ""), HERE, (Moment(9), ""));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "a campaign that is SUCCEEDED cannot be paused"
        );
    }

    #[test]
    fn what_is_late_waits_for_a_word_and_has_its_whole_time_then() {
        let scheduled = then(&draft(), Command::Schedule, 1);
        let held = then(&scheduled, Command::Due, 1_000_000 + 1_800_001);
        assert_eq!(campaign(&held).pause_reason(), PauseReason::Late);
        assert_eq!(held.send_until_ms, 0);
        let planning = then(&held, Command::Resume, 90_000_000);
        assert_eq!(state(&planning), CampaignState::Planning);
        assert_eq!(planning.send_until_ms, 90_000_000 + 24 * 3_600_000);
    }

    #[test]
    fn a_pause_goes_back_to_where_it_was_and_a_persons_word_stands_above_it() {
        for (from, to) in [
            (vec![Command::Start], CampaignState::Planning),
            (vec![Command::Start, Command::Planned], CampaignState::Running),
        ] {
            let active = from.iter().fold(draft(), |record, command| then(&record, *command, 5));
            let paused = then(&active, Command::Pause(PauseReason::Errors, "12 of 200 failed"), 6);
            assert_eq!(campaign(&paused).problem, "12 of 200 failed");
            let by_person = then(&paused, Command::Pause(PauseReason::User, ""), 7);
            assert_eq!(campaign(&by_person).pause_reason(), PauseReason::User);
            let still = then(&by_person, Command::Pause(PauseReason::Errors, "x"), 8);
            assert_eq!(still, by_person, "who paused it decides when it goes on");
            let resumed = then(&by_person, Command::Resume, 9);
            assert_eq!(state(&resumed), to);
            assert_eq!(campaign(&resumed).problem, "");
            assert_eq!(resumed.send_until_ms, active.send_until_ms, "a pause makes no time");
        }
    }

    #[test]
    fn a_copy_of_the_store_sends_nothing_until_somebody_says_so() {
        let running = then(&then(&draft(), Command::Start, 1), Command::Planned, 2);
        assert_eq!(fence(&running, HERE), None);
        let command = fence(&running, "copy").unwrap();
        let held = decide(&running, command, "copy", (Moment(3), "")).unwrap().unwrap();
        assert_eq!(campaign(&held).pause_reason(), PauseReason::Environment);
        assert_eq!(held.environment, HERE, "it is the other's still");
        let adopted = decide(&held, Command::Resume, "copy", (Moment(4), ""))
            .unwrap()
            .unwrap();
        assert_eq!(fence(&adopted, "copy"), None);
        let scheduled = then(&draft(), Command::Schedule, 1);
        let held = decide(&scheduled, Command::Due, "copy", (Moment(1_000_001), ""));
        assert_eq!(
            campaign(&held.unwrap().unwrap()).pause_reason(),
            PauseReason::Environment
        );
    }

    #[test]
    fn what_the_store_may_have_forgotten_is_looked_at_again_without_going_on_by_itself() {
        let running = then(&then(&draft(), Command::Start, 1), Command::Planned, 2);
        let again = then(&running, Command::Recheck, 3);
        assert_eq!(state(&again), CampaignState::Planning);
        assert_eq!(again.send_until_ms, running.send_until_ms);
        let foreign = decide(&running, Command::Recheck, "copy", (Moment(3), ""));
        assert_eq!(foreign, Ok(None), "it stays the other's");
        let paused = then(&running, Command::Pause(PauseReason::Errors, "12 of 200"), 4);
        let again = then(&paused, Command::Recheck, 5);
        assert_eq!(campaign(&again).epoch, campaign(&paused).epoch + 1);
        assert_eq!(campaign(&again).pause_reason(), PauseReason::Errors);
        assert_eq!(campaign(&again).problem, "12 of 200");
        assert_eq!(state(&then(&again, Command::Resume, 6)), CampaignState::Planning);
        let cancelling = then(&running, Command::Cancel, 7);
        assert_eq!(
            state(&then(&cancelling, Command::Recheck, 8)),
            CampaignState::Cancelling
        );
    }

    #[test]
    fn a_cancelled_one_drains_first_if_it_has_begun() {
        assert_eq!(state(&then(&draft(), Command::Cancel, 1)), CampaignState::Cancelled);
        let running = then(&then(&draft(), Command::Start, 1), Command::Planned, 2);
        let cancelling = then(&running, Command::Cancel, 3);
        assert_eq!(state(&cancelling), CampaignState::Cancelling);
        assert!(decide(&cancelling, Command::Resume, HERE, (Moment(4), "")).is_err());
        assert_eq!(state(&then(&cancelling, Command::Drained, 5)), CampaignState::Cancelled);
    }

    #[test]
    fn whoever_gives_recipients_another_turn_keeps_the_end_away() {
        let running = then(&then(&draft(), Command::Start, 1), Command::Planned, 2);
        let held = CampaignRecord {
            held_until_ms: 100,
            ..running
        };
        assert_eq!(state(&then(&held, Command::Settled, 99)), CampaignState::Running);
        assert_eq!(state(&then(&held, Command::Settled, 100)), CampaignState::Succeeded);
    }

    #[test]
    fn no_sequence_of_commands_leaves_an_end_or_goes_back_in_epochs() {
        let commands = [
            Command::Schedule,
            Command::Unschedule,
            Command::Start,
            Command::Due,
            Command::Planned,
            Command::Pause(PauseReason::Errors, "p"),
            Command::Pause(PauseReason::User, ""),
            Command::Resume,
            Command::Cancel,
            Command::Drained,
            Command::Settled,
            Command::Fail("f"),
            Command::Recheck,
        ];
        let mut seen = vec![draft()];
        for depth in 0..6 {
            let mut further = Vec::new();
            for record in &seen {
                for command in commands {
                    if let Ok(Some(next)) = decide(record, command, HERE, (Moment(1_000_000 + depth), "")) {
                        assert!(!has_ended(state(record)), "{command:?} moved what had ended");
                        assert_eq!(campaign(&next).epoch, campaign(record).epoch + 1);
                        let sends = matches!(state(&next), CampaignState::Planning | CampaignState::Running);
                        assert!(!sends || next.send_until_ms > 0, "{command:?}");
                        if !further.iter().any(|other| state(other) == state(&next)) {
                            further.push(next);
                        }
                    }
                }
            }
            seen = further;
        }
    }
}
