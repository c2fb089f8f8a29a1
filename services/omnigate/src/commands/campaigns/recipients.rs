//! `omnigate campaigns recipients` and `retry`.

use super::{named, opened, refused};
use crate::cli::{OneCampaign, Output, Recipients};
use crate::commands::consent::short;
use crate::commands::{print, remote};
use omnigate_proto::v1::{
    CampaignRecipient, DeliveryState, ListRecipientsRequest, RecipientReason, RetryRecipientsRequest,
    RetryRecipientsResponse,
};

pub(super) async fn list(arguments: &Recipients) -> anyhow::Result<()> {
    let states = named(&arguments.states, "DELIVERY_STATE_", DeliveryState::from_str_name)?;
    let reasons = named(&arguments.reasons, "RECIPIENT_REASON_", RecipientReason::from_str_name)?;
    let (connection, campaign_id) = opened(&arguments.campaign).await?;
    let mut room = arguments.limit.unwrap_or(usize::MAX);
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListRecipientsRequest {
            campaign_id: campaign_id.clone(),
            page_size: i32::try_from(room.clamp(1, 1000)).unwrap_or(1000),
            page_token,
            states: states.iter().map(|state| (*state).into()).collect(),
            reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
            step: arguments.step,
        };
        let answer = connection.campaigns().list_recipients(asked).await;
        let mut page = answer.map_err(refused)?.into_inner();
        page_token = page.next_page_token;
        page.recipients.truncate(room);
        room -= page.recipients.len();
        match arguments.campaign.remote.output {
            // A million lines need not be held.
            Output::Json => page.recipients.iter().try_for_each(print::json)?,
            Output::Table => found.extend(page.recipients),
        }
        if page_token.is_empty() || room == 0 {
            break;
        }
    }
    match arguments.campaign.remote.output {
        Output::Json => Ok(()),
        Output::Table => shown(&found),
    }
}

fn shown(found: &[CampaignRecipient]) -> anyhow::Result<()> {
    let header = [
        "CUSTOMER", "STEP", "STATE", "REASON", "ATTEMPTS", "ENDED", "BEFORE", "MESSAGE",
    ];
    print::all(Output::Table, found, &header, |recipient| {
        let before = recipient.past_steps.iter().map(|past| {
            let late = match past.late_state() {
                DeliveryState::Unspecified => String::new(),
                late => format!(", later {}", state(late)),
            };
            format!("{} ({}){late}", state(past.state()), reason(past.reason()))
        });
        let twice = if recipient.possible_duplicate {
            ", may be twice"
        } else {
            ""
        };
        vec![
            recipient.customer_id.clone(),
            recipient.step.to_string(),
            format!("{}{twice}", state(recipient.state())),
            reason(recipient.reason()),
            recipient.attempts.to_string(),
            if recipient.settled { "yes" } else { "no" }.to_owned(),
            before.collect::<Vec<_>>().join("\n"),
            recipient.message_id.clone(),
        ]
    })
}

fn state(state: DeliveryState) -> String {
    short(state.as_str_name(), "DELIVERY_STATE_")
}

fn reason(reason: RecipientReason) -> String {
    match reason {
        RecipientReason::Unspecified => "-".to_owned(),
        reason => short(reason.as_str_name(), "RECIPIENT_REASON_"),
    }
}

pub(super) async fn retry(of: &OneCampaign, include_unknown: bool) -> anyhow::Result<()> {
    let (connection, campaign_id) = opened(of).await?;
    let mut sum = RetryRecipientsResponse::default();
    let bar = indicatif::ProgressBar::new_spinner();
    loop {
        let asked = RetryRecipientsRequest {
            campaign_id: campaign_id.clone(),
            request_id: remote::request_id(None)?,
            page_token: std::mem::take(&mut sum.next_page_token),
            include_unknown,
        };
        let answer = connection.campaigns().retry_recipients(asked).await;
        let part = answer.map_err(refused)?.into_inner();
        sum.retried += part.retried;
        sum.possible_duplicates += part.possible_duplicates;
        sum.next_page_token = part.next_page_token;
        bar.set_message(format!("{} have another turn", sum.retried));
        bar.tick();
        if sum.next_page_token.is_empty() {
            break;
        }
    }
    bar.finish_and_clear();
    if of.remote.output == Output::Json {
        return print::json(&sum);
    }
    print::line(&format!(
        "{} recipients have another turn, {} of them may get it twice",
        sum.retried, sum.possible_duplicates
    ));
    Ok(())
}
