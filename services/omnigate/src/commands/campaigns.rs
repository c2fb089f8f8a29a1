//! `omnigate campaigns …`

mod file;
mod recipients;
mod watch;

use super::consent::short;
use super::{print, remote};
use crate::cli::{Campaigns, CreateCampaign, OneCampaign, Output, Remote, UpdateCampaign, Word};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::{
    Campaign, CampaignState, CancelCampaignRequest, CreateCampaignRequest, GetCampaignRequest, ListCampaignsRequest,
    PauseCampaignRequest, ResumeCampaignRequest, ScheduleCampaignRequest, StartCampaignRequest,
    UnscheduleCampaignRequest, UpdateCampaignRequest,
};
use omnigate_rpc::client::Connection;
use omnigate_rpc::error::violations;
use tonic::Status;

/// Tells a campaign something, and shows how it stands then.
macro_rules! tell {
    ($word:expr, $method:ident, $request:ident) => {{
        let word: &Word = $word;
        let told = async |connection: &Connection, campaign_id| {
            let asked = $request {
                campaign_id,
                request_id: remote::request_id(word.request_id.as_deref())?,
                etag: word.etag.clone().unwrap_or_default(),
            };
            let answer = connection.campaigns().$method(asked).await;
            Ok::<_, anyhow::Error>(answer.map_err(refused)?.into_inner().campaign)
        };
        let remote = &word.campaign.remote;
        let (connection, id) = opened(&word.campaign).await?;
        show(remote, told(&connection, id).await?)?;
    }};
}

/// Runs it.
pub async fn run(arguments: &Campaigns) -> anyhow::Result<u8> {
    match arguments {
        Campaigns::Create(arguments) => create(arguments).await?,
        Campaigns::Get(arguments) => {
            let (connection, id) = opened(arguments).await?;
            shown(&arguments.remote, &get(&connection, id).await?)?;
        }
        Campaigns::List { remote, states, limit } => {
            let connection = remote::open(remote).await?;
            let states = named(states, "CAMPAIGN_STATE_", CampaignState::from_str_name)?;
            let found = list(&connection, &states, limit.unwrap_or(usize::MAX)).await?;
            listed(remote, &found)?;
        }
        Campaigns::Update(arguments) => update(arguments).await?,
        Campaigns::Schedule { word, at } => schedule(word, at.as_deref()).await?,
        Campaigns::Unschedule(word) => tell!(word, unschedule_campaign, UnscheduleCampaignRequest),
        Campaigns::Start(word) => tell!(word, start_campaign, StartCampaignRequest),
        Campaigns::Pause(word) => tell!(word, pause_campaign, PauseCampaignRequest),
        Campaigns::Resume(word) => tell!(word, resume_campaign, ResumeCampaignRequest),
        Campaigns::Cancel(word) => tell!(word, cancel_campaign, CancelCampaignRequest),
        Campaigns::Watch(arguments) => watch::run(arguments).await?,
        Campaigns::Recipients(arguments) => recipients::list(arguments).await?,
        Campaigns::Retry {
            campaign,
            include_unknown,
        } => recipients::retry(campaign, *include_unknown).await?,
    }
    Ok(0)
}

/// What words of people mean, written without the prefix of the contract's names.
fn named<T>(words: &[String], prefix: &str, read: impl Fn(&str) -> Option<T>) -> anyhow::Result<Vec<T>> {
    let mut values = Vec::with_capacity(words.len());
    for word in words {
        let name = format!("{prefix}{}", word.to_uppercase().replace('-', "_"));
        let what = prefix.trim_end_matches('_').to_lowercase().replace('_', " ");
        values.push(read(&name).with_context(|| format!("{word:?} is no {what}"))?);
    }
    Ok(values)
}

/// A refusal as one line; the mistakes before it, one line each, where there are several.
fn refused(status: Status) -> anyhow::Error {
    let mistakes = violations(&status);
    if mistakes.len() > 1 {
        for (field, what) in mistakes {
            print::aside(&print::printable(&format!("{field}: {what}")));
        }
    }
    remote::refused(status)
}

/// The connection, and the id of the campaign that is meant.
async fn opened(of: &OneCampaign) -> anyhow::Result<(Connection, String)> {
    let connection = remote::open(&of.remote).await?;
    let id = campaign_id(&connection, &of.campaign).await?;
    Ok((connection, id))
}

/// The id of the campaign that a text names: an id, or the name that only one has.
async fn campaign_id(connection: &Connection, text: &str) -> anyhow::Result<String> {
    if text.starts_with("cmp_") {
        return Ok(text.to_owned());
    }
    let all = list(connection, &[], usize::MAX).await?;
    let named: Vec<&Campaign> = all.iter().filter(|campaign| campaign.display_name == text).collect();
    match named.as_slice() {
        [one] => Ok(one.campaign_id.clone()),
        [] => bail!("no campaign is called {text:?}; see: omnigate campaigns list"),
        several => {
            let ids: Vec<&str> = several.iter().map(|campaign| campaign.campaign_id.as_str()).collect();
            bail!(
                "{} campaigns are called {text:?}, name one by its id: {}",
                ids.len(),
                ids.join(", ")
            )
        }
    }
}

async fn create(arguments: &CreateCampaign) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let campaign = file::campaign(&connection, arguments.file.as_deref(), &arguments.definition).await?;
    let asked = CreateCampaignRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        campaign: Some(campaign),
    };
    let answer = connection.campaigns().create_campaign(asked).await;
    show(&arguments.remote, answer.map_err(refused)?.into_inner().campaign)
}

async fn update(arguments: &UpdateCampaign) -> anyhow::Result<()> {
    let word = &arguments.word;
    let (connection, campaign_id) = opened(&word.campaign).await?;
    let asked = UpdateCampaignRequest {
        campaign_id,
        request_id: remote::request_id(word.request_id.as_deref())?,
        etag: word.etag.clone().unwrap_or_default(),
        ..file::change(&connection, arguments.file.as_deref(), &arguments.definition).await?
    };
    let answer = connection.campaigns().update_campaign(asked).await;
    show(&word.campaign.remote, answer.map_err(refused)?.into_inner().campaign)
}

async fn schedule(word: &Word, at: Option<&str>) -> anyhow::Result<()> {
    let at = at.map(|at| remote::moment("--at", at)).transpose()?;
    let (connection, campaign_id) = opened(&word.campaign).await?;
    let asked = ScheduleCampaignRequest {
        campaign_id,
        request_id: remote::request_id(word.request_id.as_deref())?,
        etag: word.etag.clone().unwrap_or_default(),
        start_at: at.map(omnigate_core::time::Moment::to_timestamp),
    };
    let answer = connection.campaigns().schedule_campaign(asked).await;
    show(&word.campaign.remote, answer.map_err(refused)?.into_inner().campaign)
}

async fn get(connection: &Connection, campaign_id: String) -> anyhow::Result<Campaign> {
    let asked = GetCampaignRequest { campaign_id };
    let answer = connection.campaigns().get_campaign(asked).await;
    let found = answer.map_err(remote::refused)?.into_inner().campaign;
    found.context("the gateway answered without a campaign")
}

/// Campaigns, up to a limit.
async fn list(connection: &Connection, states: &[CampaignState], limit: usize) -> anyhow::Result<Vec<Campaign>> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListCampaignsRequest {
            page_size: i32::try_from(limit.clamp(1, 1000)).unwrap_or(1000),
            page_token,
            states: states.iter().map(|state| (*state).into()).collect(),
        };
        let answer = connection.campaigns().list_campaigns(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.campaigns);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

fn show(remote: &Remote, campaign: Option<Campaign>) -> anyhow::Result<()> {
    listed(remote, &campaign.into_iter().collect::<Vec<_>>())
}

fn listed(remote: &Remote, campaigns: &[Campaign]) -> anyhow::Result<()> {
    let header = [
        "CAMPAIGN",
        "NAME",
        "STATE",
        "PURPOSE",
        "STEPS",
        "STARTS (UTC)",
        "CREATED (UTC)",
    ];
    print::all(remote.output, campaigns, &header, |campaign| {
        let accounts: Vec<&str> = campaign.steps.iter().map(|step| step.account_id.as_str()).collect();
        let starts = campaign.started_at.as_ref().or(campaign.start_at.as_ref());
        vec![
            campaign.campaign_id.clone(),
            campaign.display_name.clone(),
            standing(campaign),
            short(campaign.purpose().as_str_name(), "PURPOSE_"),
            accounts.join(" → "),
            print::time(starts),
            print::time(campaign.created_at.as_ref()),
        ]
    })
}

/// Its state, and why.
fn standing(campaign: &Campaign) -> String {
    let state = short(campaign.state().as_str_name(), "CAMPAIGN_STATE_");
    let why = match campaign.state() {
        CampaignState::Paused => short(campaign.pause_reason().as_str_name(), "PAUSE_REASON_"),
        _ => String::new(),
    };
    match (why.as_str(), campaign.problem.as_str()) {
        ("", "") => state,
        ("", what) | (what, "") => format!("{state}: {what}"),
        (why, problem) => format!("{state}: {why}, {problem}"),
    }
}

fn shown(remote: &Remote, campaign: &Campaign) -> anyhow::Result<()> {
    if remote.output == Output::Json {
        return print::json(campaign);
    }
    listed(remote, std::slice::from_ref(campaign))?;
    let header = [
        "STEP",
        "ACCOUNT",
        "TEMPLATE",
        "VERSION",
        "SUCCESS",
        "WAIT (S)",
        "NEXT STEP ON",
    ];
    let steps: Vec<_> = campaign.steps.iter().enumerate().collect();
    print::all(Output::Table, &steps, &header, |(number, step)| {
        let causes = step.fall_back_on();
        let causes: Vec<String> = causes
            .map(|cause| short(cause.as_str_name(), "FALLBACK_CAUSE_"))
            .collect();
        let or = |is_said: bool, said: String, else_: &str| if is_said { said } else { else_.to_owned() };
        vec![
            number.to_string(),
            step.account_id.clone(),
            step.template_id.clone(),
            or(step.template_version != 0, step.template_version.to_string(), "newest"),
            or(
                step.success != 0,
                short(step.success().as_str_name(), "RECEIPT_STATE_"),
                "-",
            ),
            or(step.wait_ms != 0, (step.wait_ms / 1000).to_string(), "-"),
            or(!causes.is_empty(), causes.join(", "), "unreachable, timeout"),
        ]
    })?;
    print::line(&format!("audience: {}", campaign.audience_id));
    if !campaign.excluded_audience_ids.is_empty() {
        print::line(&format!("without: {}", campaign.excluded_audience_ids.join(", ")));
    }
    print::line(&format!("etag: {}", campaign.etag));
    Ok(())
}
