//! How far a campaign is, for people.

use super::life::state;
use super::plan::Plan;
use super::tally::Sums;
use crate::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{
    Campaign, CampaignChannelCount, CampaignProgress, CampaignState, CampaignStateCount, CampaignStepCount,
    DeliveryState,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long what was seen counts most.
const MEMORY: Duration = Duration::from_secs(15);
/// Beyond this nobody believes a forecast.
const FARTHEST: f64 = 30.0 * 24.0 * 3600.0;

/// How many messages a second providers take, seen over a stream of reports.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    seen: Option<(Moment, u64)>,
    per_second: f64,
}

impl Rate {
    /// Looks at how many were taken by now; `since` is when the campaign started. Gives the rate, 0 where there is none yet.
    pub fn look(&mut self, taken: u64, now: Moment, since: Option<Moment>) -> f64 {
        let (before, newly, weight) = match self.seen {
            Some((before, counted)) => (before, taken.saturating_sub(counted), None),
            None => match since {
                Some(since) => (since, taken, Some(1.0)),
                None => return 0.0,
            },
        };
        let seconds = now.since(before).as_secs_f64();
        if seconds > 0.0 {
            let weight = weight.unwrap_or_else(|| 1.0 - (-seconds / MEMORY.as_secs_f64()).exp());
            self.per_second += weight * (number(newly) / seconds - self.per_second);
            self.seen = Some((now, taken));
        }
        self.per_second
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// True when all recipients are written down.
#[must_use]
pub fn is_planned(record: &CampaignRecord) -> bool {
    match state(record) {
        CampaignState::Running | CampaignState::Succeeded | CampaignState::Cancelling | CampaignState::Cancelled => {
            true
        }
        CampaignState::Paused => record.resumes_to() == CampaignState::Running,
        _ => false,
    }
}

/// The report. `shown` is the campaign as readers see it, `channel` the channel of an account.
#[must_use]
pub fn progress(
    record: &CampaignRecord,
    shown: Campaign,
    sums: &Sums,
    (rate, now): (f64, Moment),
    channel: impl Fn(&str) -> String,
) -> CampaignProgress {
    let is_planned = is_planned(record);
    let mut channels: BTreeMap<String, BTreeMap<DeliveryState, u64>> = BTreeMap::new();
    let mut all: BTreeMap<DeliveryState, u64> = BTreeMap::new();
    let mut by_step = Vec::with_capacity(shown.steps.len());
    for (number, step) in (0..).zip(&shown.steps) {
        let mut here: BTreeMap<DeliveryState, u64> = BTreeMap::new();
        let channel = channel(&step.account_id);
        for (state, count) in sums.at_step(number) {
            *here.entry(state).or_default() += count;
            *all.entry(state).or_default() += count;
            *channels.entry(channel.clone()).or_default().entry(state).or_default() += count;
        }
        by_step.push(CampaignStepCount {
            step: u32::from(number),
            account_id: step.account_id.clone(),
            channel,
            by_state: counts(&here),
            went_on: sums.went_on(number),
        });
    }
    let forecast = forecast(record, sums, rate, now);
    CampaignProgress {
        recipients: sums.recipients(),
        planned: is_planned,
        by_state: counts(&all),
        by_step,
        by_channel: channels
            .iter()
            .map(|(channel, by_state)| CampaignChannelCount {
                channel: channel.clone(),
                by_state: counts(by_state),
            })
            .collect(),
        settled: sums.settled(),
        unknown: sums.unknown(),
        open: sums.recipients() - sums.settled(),
        deferred: sums.in_state(DeliveryState::Deferred),
        done_ten_thousandths: if is_planned { sums.done() } else { 0 },
        accepted_per_second: rate,
        ends_earliest: forecast.map(|(earliest, _)| earliest.to_timestamp()),
        ends_latest: forecast.map(|(_, latest)| latest.to_timestamp()),
        campaign: Some(shown),
    }
}

fn counts(by_state: &BTreeMap<DeliveryState, u64>) -> Vec<CampaignStateCount> {
    let counts = by_state.iter().map(|(state, count)| CampaignStateCount {
        state: (*state).into(),
        count: *count,
    });
    counts.collect()
}

/// When everybody may have ended at the earliest, and will have at the latest. `None` where nobody can tell: the campaign does
/// not run, or nothing of what waits goes.
fn forecast(record: &CampaignRecord, sums: &Sums, rate: f64, now: Moment) -> Option<(Moment, Moment)> {
    let campaign = record.campaign.as_ref()?;
    let first_open = sums.first_open()?;
    if state(record) != CampaignState::Running {
        return None;
    }
    let send_until = Moment(record.send_until_ms);
    let plan = Plan::new(campaign, send_until);
    let waiting = [
        DeliveryState::Planned,
        DeliveryState::Claimed,
        DeliveryState::Submitting,
    ];
    let waiting: u64 = waiting.into_iter().map(|state| sums.in_state(state)).sum();
    let rate = match campaign.messages_per_second {
        wanted if wanted > 0.0 => rate.min(wanted),
        _ => rate,
    };
    let gone = match waiting {
        0 => now,
        _ if rate <= 0.0 => return None,
        waiting => now + Duration::from_secs_f64((number(waiting) / rate).min(FARTHEST)),
    };
    let last = plan.steps.last().map_or(Duration::ZERO, |step| step.wait);
    let sent = match sums.in_state(DeliveryState::Deferred) {
        0 => gone.min(send_until),
        _ => send_until,
    };
    let waits: Duration = plan
        .steps
        .iter()
        .skip(usize::from(first_open))
        .map(|step| step.wait)
        .sum();
    let earliest = gone.min(send_until).max(now);
    Some((earliest, (sent + waits).min(send_until + last).max(earliest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tally::Cell;
    use omnigate_proto::v1::CampaignStep;

    const HOUR: i64 = 3_600_000;

    fn record(state: CampaignState) -> CampaignRecord {
        let step = |account: &str| CampaignStep {
            account_id: account.to_owned(),
            wait_ms: 600_000,
            ..CampaignStep::default()
        };
        CampaignRecord {
            campaign: Some(Campaign {
                state: state.into(),
                steps: vec![step("oa"), step("brand"), step("brand")],
                ..Campaign::default()
            }),
            send_until_ms: 24 * HOUR,
            ..CampaignRecord::default()
        }
    }

    fn sums(cells: &[(u8, DeliveryState, bool, i64)]) -> Sums {
        let mut sums = Sums::default();
        for (step, state, settled, count) in cells {
            let cell = Cell {
                step: *step,
                state: *state,
                settled: *settled,
            };
            sums.add(cell, *count);
        }
        sums
    }

    fn report(state: CampaignState, sums: &Sums, rate: f64) -> CampaignProgress {
        let record = record(state);
        let shown = record.campaign.clone().unwrap();
        progress(&record, shown, sums, (rate, Moment(HOUR)), |account| {
            if account == "oa" { "zalo" } else { "sms" }.to_owned()
        })
    }

    fn told(counts: &[CampaignStateCount]) -> Vec<(DeliveryState, u64)> {
        counts.iter().map(|count| (count.state(), count.count)).collect()
    }

    #[test]
    fn counts_are_told_by_state_step_and_channel() {
        let sums = sums(&[
            (0, DeliveryState::Delivered, true, 10),
            (0, DeliveryState::Accepted, false, 4),
            (1, DeliveryState::Delivered, true, 3),
            (2, DeliveryState::Delivered, true, 2),
            (2, DeliveryState::Unknown, true, 1),
        ]);
        let told_of = report(CampaignState::Running, &sums, 0.0);
        assert_eq!(
            told(&told_of.by_state),
            [
                (DeliveryState::Accepted, 4),
                (DeliveryState::Delivered, 15),
                (DeliveryState::Unknown, 1)
            ]
        );
        let went_on: Vec<u64> = told_of.by_step.iter().map(|step| step.went_on).collect();
        assert_eq!(went_on, [6, 3, 0]);
        assert_eq!(told(&told_of.by_step[1].by_state), [(DeliveryState::Delivered, 3)]);
        let channels: Vec<_> = told_of.by_channel.iter().map(|one| one.channel.as_str()).collect();
        assert_eq!(channels, ["sms", "zalo"]);
        assert_eq!(
            told(&told_of.by_channel[0].by_state),
            [(DeliveryState::Delivered, 5), (DeliveryState::Unknown, 1)]
        );
        assert_eq!(
            (told_of.recipients, told_of.settled, told_of.open, told_of.unknown),
            (20, 16, 4, 1)
        );
        assert_eq!(told_of.done_ten_thousandths, 7_500);
    }

    #[test]
    fn nothing_is_done_before_everybody_is_written_down() {
        let none = report(CampaignState::Planning, &Sums::default(), 0.0);
        assert_eq!((none.planned, none.done_ten_thousandths), (false, 0));
        let skipped = sums(&[(0, DeliveryState::Skipped, true, 5)]);
        assert_eq!(report(CampaignState::Paused, &skipped, 0.0).done_ten_thousandths, 0);
        let ended = report(CampaignState::Succeeded, &skipped, 0.0);
        assert_eq!((ended.planned, ended.done_ten_thousandths), (true, 10_000));
        let dark = sums(&[
            (0, DeliveryState::Unknown, true, 1),
            (0, DeliveryState::Read, true, 99_999),
        ]);
        assert_eq!(report(CampaignState::Succeeded, &dark, 0.0).done_ten_thousandths, 9_999);
    }

    #[test]
    fn a_forecast_shows_what_is_deferred() {
        let ends = |cells: &[(u8, DeliveryState, bool, i64)], rate: f64| {
            let told_of = report(CampaignState::Running, &sums(cells), rate);
            let at = |time: Option<pbjson_types::Timestamp>| time.map(|at| Moment::from_timestamp(&at).0 - HOUR);
            at(told_of.ends_earliest).zip(at(told_of.ends_latest))
        };
        let waits = (0, DeliveryState::Planned, false, 600);
        // Ten seconds to send, and ten minutes of waiting for success on each of three steps.
        assert_eq!(ends(&[waits], 60.0), Some((10_000, 10_000 + 3 * 600_000)));
        assert_eq!(ends(&[waits], 0.0), None, "nothing goes");
        let deferred = (0, DeliveryState::Deferred, false, 1);
        assert_eq!(
            ends(&[waits, deferred], 60.0),
            Some((10_000, 23 * HOUR + 600_000)),
            "as long as may be sent"
        );
        let slow = ends(&[waits], 0.001).unwrap();
        assert_eq!(slow, (23 * HOUR, 23 * HOUR + 600_000), "nothing is sent later");
        let last = (2, DeliveryState::Accepted, false, 1);
        assert_eq!(ends(&[last], 0.0), Some((0, 600_000)));
        assert_eq!(ends(&[(0, DeliveryState::Read, true, 1)], 1.0), None, "all have ended");
        assert_eq!(report(CampaignState::Paused, &sums(&[waits]), 60.0).ends_earliest, None);
    }

    #[test]
    fn an_own_rate_slows_the_forecast() {
        let mut slow = record(CampaignState::Running);
        slow.campaign.as_mut().unwrap().messages_per_second = 6.0;
        let waits = sums(&[(0, DeliveryState::Planned, false, 600)]);
        let (earliest, _) = forecast(&slow, &waits, 60.0, Moment(HOUR)).unwrap();
        assert_eq!(earliest, Moment(HOUR + 100_000));
    }

    #[test]
    fn a_rate_begins_as_the_average_and_follows_what_is_seen() {
        let mut rate = Rate::default();
        assert!(rate.look(5, Moment(9), None).abs() < 1e-9, "not started");
        let close = |one: f64, other: f64| (one - other).abs() < 1e-6;
        assert!(close(rate.look(100, Moment(10_000), Some(Moment(0))), 10.0));
        assert!(
            close(rate.look(100, Moment(10_000), Some(Moment(0))), 10.0),
            "no time has passed"
        );
        // 15 seconds at 40 a second: all but a 1/e of the way there.
        let then = rate.look(700, Moment(25_000), Some(Moment(0)));
        assert!(close(then, 40.0 - 30.0 / std::f64::consts::E), "{then}");
        let down = rate.look(650, Moment(40_000), Some(Moment(0)));
        assert!(down > 0.0 && down < then, "what went back is no negative rate: {down}");
    }
}
