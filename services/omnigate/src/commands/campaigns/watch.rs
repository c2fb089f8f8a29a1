//! `omnigate campaigns watch`: a bar while it goes on, and a table of what came of it.

use super::{opened, refused, standing};
use crate::cli::{OneCampaign, Output};
use crate::commands::print;
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Campaign, CampaignProgress, CampaignState, CampaignStateCount, DeliveryState, WatchCampaignRequest,
};

/// Ten-thousandths of all.
const ALL: u64 = 10_000;

/// Runs it.
pub(super) async fn run(arguments: &OneCampaign) -> anyhow::Result<()> {
    let (connection, campaign_id) = opened(arguments).await?;
    let asked = WatchCampaignRequest { campaign_id };
    let answer = connection.campaigns().watch_campaign(asked).await;
    let mut reports = answer.map_err(refused)?.into_inner();
    let bar = bar();
    let mut last = None;
    while let Some(report) = reports.message().await.map_err(refused)? {
        let progress = report.progress.context("the gateway answered without progress")?;
        bar.set_position(u64::from(progress.done_ten_thousandths));
        bar.set_message(told(&progress));
        if arguments.remote.output == Output::Json {
            print::json(&progress)?;
        }
        last = Some(progress);
    }
    bar.finish_and_clear();
    let last = last.context("the gateway told nothing")?;
    let campaign = last.campaign.clone().unwrap_or_default();
    if arguments.remote.output == Output::Table {
        print::line(&print::printable(&format!(
            "{} is {}: {} recipients, {} ended, {} unknown",
            campaign.display_name,
            standing(&campaign),
            last.recipients,
            last.settled,
            last.unknown
        )));
        print::all(Output::Table, &outcomes(&last), &HEADER, Clone::clone)?;
    }
    as_it_ended(&campaign)
}

/// An error where the campaign could not be carried out.
fn as_it_ended(campaign: &Campaign) -> anyhow::Result<()> {
    match campaign.state() {
        CampaignState::Failed => bail!(
            "the campaign failed: {}",
            print::printable(&campaign.problem).replace('\n', " ")
        ),
        _ => Ok(()),
    }
}

/// Nothing is drawn where standard error is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(ALL);
    match ProgressStyle::with_template("{bar:30} {percent_precise:>6} % {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A report as one line.
fn told(progress: &CampaignProgress) -> String {
    let campaign = progress.campaign.clone().unwrap_or_default();
    let mut line = format!(
        "{}, {} of {} ended, {:.1}/s",
        standing(&campaign),
        progress.settled,
        progress.recipients,
        progress.accepted_per_second
    );
    for (count, what) in [(progress.deferred, "deferred"), (progress.unknown, "unknown")] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    let ends = progress.ends_earliest.as_ref().zip(progress.ends_latest.as_ref());
    if let Some((earliest, latest)) = ends {
        let [earliest, latest] = [earliest, latest].map(|at| clock(Moment::from_timestamp(at)));
        line += &format!(", ends {earliest} to {latest} UTC");
    }
    print::printable(&line).replace('\n', " ")
}

fn clock(at: Moment) -> String {
    let time = jiff::Timestamp::from_millisecond(at.0);
    time.map_or_else(|_| "-".to_owned(), |time| time.strftime("%d %H:%M").to_string())
}

const HEADER: [&str; 12] = [
    "STEP",
    "CHANNEL",
    "ACCOUNT",
    "READ",
    "DELIVERED",
    "ACCEPTED",
    "FAILED",
    "SKIPPED",
    "UNKNOWN",
    "EXPIRED",
    "CANCELLED",
    "WENT ON",
];

/// Columns of states.
const STATES: [&[DeliveryState]; 8] = [
    &[DeliveryState::Read],
    &[DeliveryState::Delivered],
    &[DeliveryState::Accepted, DeliveryState::Sent],
    &[DeliveryState::Failed],
    &[DeliveryState::Skipped],
    &[DeliveryState::Unknown],
    &[DeliveryState::Expired],
    &[DeliveryState::Cancelled],
];

/// What came of a campaign: a row for each step, then one for each channel.
fn outcomes(progress: &CampaignProgress) -> Vec<Vec<String>> {
    let steps = progress.by_step.iter().map(|step| {
        let place = [step.step.to_string(), step.channel.clone(), step.account_id.clone()];
        row(place, &step.by_state, &step.went_on.to_string())
    });
    let channels = progress.by_channel.iter().map(|channel| {
        let place = ["all".to_owned(), channel.channel.clone(), String::new()];
        row(place, &channel.by_state, "")
    });
    steps.chain(channels).collect()
}

fn row(place: [String; 3], by_state: &[CampaignStateCount], went_on: &str) -> Vec<String> {
    let counts = STATES.iter().map(|states| {
        let counted = by_state.iter().filter(|count| states.contains(&count.state()));
        counted.map(|count| count.count).sum::<u64>().to_string()
    });
    place.into_iter().chain(counts).chain([went_on.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{CampaignChannelCount, CampaignStepCount, PauseReason};

    fn counts(counts: &[(DeliveryState, u64)]) -> Vec<CampaignStateCount> {
        let counts = counts.iter().map(|(state, count)| CampaignStateCount {
            state: (*state).into(),
            count: *count,
        });
        counts.collect()
    }

    #[test]
    fn outcomes_are_told_by_step_and_channel() {
        let progress = CampaignProgress {
            by_step: vec![CampaignStepCount {
                step: 0,
                account_id: "oa".to_owned(),
                channel: "zalo".to_owned(),
                by_state: counts(&[
                    (DeliveryState::Accepted, 1),
                    (DeliveryState::Sent, 2),
                    (DeliveryState::Read, 4),
                ]),
                went_on: 9,
            }],
            by_channel: vec![CampaignChannelCount {
                channel: "sms".to_owned(),
                by_state: counts(&[(DeliveryState::Unknown, 7)]),
            }],
            ..CampaignProgress::default()
        };
        let rows = outcomes(&progress);
        assert_eq!(
            rows[0],
            ["0", "zalo", "oa", "4", "0", "3", "0", "0", "0", "0", "0", "9"]
        );
        assert_eq!(rows[1], ["all", "sms", "", "0", "0", "0", "0", "0", "7", "0", "0", ""]);
        assert!(rows.iter().all(|row| row.len() == HEADER.len()));
    }

    #[test]
    fn only_a_campaign_that_failed_is_an_error_and_one_line() {
        let of = |state: CampaignState| {
            let campaign = Campaign {
                state: state.into(),
                problem: "there is no\naudience".to_owned(),
                ..Campaign::default()
            };
            as_it_ended(&campaign).map_err(|error| error.to_string())
        };
        assert_eq!(
            of(CampaignState::Failed),
            Err("the campaign failed: there is no audience".to_owned())
        );
        assert_eq!(of(CampaignState::Succeeded), Ok(()));
        assert_eq!(of(CampaignState::Cancelled), Ok(()));
    }

    #[test]
    fn a_report_is_one_line() {
        let progress = CampaignProgress {
            campaign: Some(Campaign {
                state: CampaignState::Paused.into(),
                pause_reason: PauseReason::Errors.into(),
                problem: "12 of 200\nfailed".to_owned(),
                ..Campaign::default()
            }),
            recipients: 200,
            settled: 12,
            deferred: 3,
            ends_earliest: Some(Moment(0).to_timestamp()),
            ends_latest: Some(Moment(90_000_000).to_timestamp()),
            ..CampaignProgress::default()
        };
        assert_eq!(
            told(&progress),
            "paused: errors, 12 of 200 failed, 12 of 200 ended, 0.0/s, 3 deferred, ends 01 00:00 to 02 01:00 UTC"
        );
    }
}
