//! `omnigate bench campaign`: a campaign by SMS from its start to its end, with its whole ledger, to an SMSC that takes
//! everything and says nothing more, beside a loop that only calls the same adapter.
//!
//! Recipients are rows of a list who were nobody's customers before. What is measured is how fast they are written down, and
//! then how fast they are written to, from the first message that the SMSC took to the last. What a recipient takes in the
//! ledger is the growth of the store's memory while they were written down.

use super::audience::{imported, list};
use super::bare::Bare;
use super::gateway::{ACCOUNT, Gateway, roles};
use super::progress::Progress;
use super::provider::{Binding, LOOK, Provider};
use super::resident;
use super::servers::Servers;
use super::table::{self, BARE, Line, median};
use crate::cli::BenchCampaign;
use anyhow::Context as _;
use omnigate_core::port::Clock as _;
use omnigate_proto::v1::template_variant::Content;
use omnigate_proto::v1::{
    Campaign, CampaignProgress, CampaignState, CampaignStep, CreateCampaignRequest, CreateTemplateRequest,
    GetCampaignProgressRequest, Purpose, ReceiptState, SmsTemplate, StartCampaignRequest, TemplateDefinition,
    TemplateVariant,
};
use omnigate_rpc::client::Connection;
use omnigate_runtime::clock::SystemClock;
use omnigate_store::redis::{RedisConfig, memory};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Pause between two questions how far it is.
const ASK: Duration = Duration::from_millis(250);
/// How long nothing may happen before it is given up.
const STUCK: Duration = Duration::from_secs(60);
/// How long the bare loop is measured.
const BARE_TIME: Duration = Duration::from_secs(5);

/// One round.
#[derive(Clone, Default, Debug, Serialize)]
struct Round {
    /// Messages per second of the loop that only calls the adapter.
    bare: f64,
    /// Recipients per second that were written down.
    planned: f64,
    /// Messages per second that the SMSC took.
    sent: f64,
    /// Bytes of the store's memory for each recipient who was written down; nought where the store does not tell.
    ledger_bytes: f64,
    /// The same at the end, pointers and entries of timelines included.
    whole_bytes: f64,
    /// Resident memory at the end, in MiB.
    resident_mib: f64,
}

/// What was measured.
#[derive(Serialize)]
struct Figures {
    servers: &'static str,
    recipients: u64,
    rounds: Vec<Round>,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchCampaign) -> anyhow::Result<()> {
    let servers = Servers::new(&arguments.broker, &arguments.store)?;
    let mut figures = Figures {
        servers: servers.told(),
        recipients: arguments.recipients,
        rounds: Vec::new(),
    };
    let mut progress = Progress::new(usize::try_from(arguments.rounds * 4)?, Duration::from_secs(20));
    let run = SystemClock.now().0.unsigned_abs() / 1000;
    for number in 0..arguments.rounds {
        figures
            .rounds
            .push(round(arguments, servers, (run, number), &mut progress).await?);
    }
    drop(progress);
    let of = |figure: fn(&Round) -> f64| median(figures.rounds.iter().map(figure));
    let times = median(figures.rounds.iter().map(|round| round.sent / round.bare));
    let mut lines = vec![
        Line::new("bare loop over the adapter", of(|round| round.bare), "messages/s"),
        Line::new("recipients written down", of(|round| round.planned), "recipients/s"),
        Line::new("campaign", of(|round| round.sent), "messages/s")
            .beside(BARE, times)
            .at_least(BARE, 0.5),
    ];
    if !servers.are_embedded() {
        let bytes = of(|round| round.ledger_bytes);
        lines.push(Line::new("ledger", bytes, "bytes/recipient").below(60.0));
        lines.push(Line::new(
            "ledger, pointers and timelines",
            of(|round| round.whole_bytes),
            "bytes/recipient",
        ));
    }
    lines.push(Line::new("resident memory", of(|round| round.resident_mib), "MiB"));
    let title = format!(
        "a campaign by SMS, {}, {} recipients, one step",
        figures.servers, figures.recipients
    );
    table::print(arguments.output, &title, &figures, &lines)
}

async fn round(
    arguments: &BenchCampaign,
    servers: Servers<'_>,
    (run, number): (u64, u64),
    progress: &mut Progress,
) -> anyhow::Result<Round> {
    let mut round = Round::default();
    let provider = Provider::start(Binding {
        binds: arguments.binds,
        window: arguments.window,
    })?;
    progress.step("bare loop over the adapter");
    let bare = Bare::open(&provider).await?;
    round.bare = bare.submits(BARE_TIME / 4, BARE_TIME).await?.rate;
    progress.step("rows of the list");
    let gateway = Gateway::start_bound(servers, &roles(false, true), &provider).await?;
    let connection = gateway.connection(0)?;
    let recipients = arguments.recipients;
    let audience_id = list(connection, run, number).await?;
    let rows = (run + number * recipients, recipients);
    let (_, import) = imported(connection, &audience_id, "first", rows).await?;
    anyhow::ensure!(import.failed == 0, "not all rows are recipients: {import:?}");
    let campaign = Measured {
        connection,
        provider: &provider,
        recipients,
        id: create(connection, &audience_id, (run, number)).await?,
    };
    let used = async || match servers.are_embedded() {
        true => anyhow::Ok(0),
        false => Ok(memory::used(&RedisConfig::new(servers.store))
            .await?
            .unwrap_or_default()),
    };
    let before = used().await?;
    progress.step("recipients are written down, and written to");
    let taken = provider.taken();
    let start = StartCampaignRequest {
        campaign_id: campaign.id.clone(),
        request_id: format!("start-{run}-{number}"),
        ..StartCampaignRequest::default()
    };
    let begun = Instant::now();
    connection.campaigns().start_campaign(start).await?;
    campaign.runs().await?;
    let took = begun.elapsed();
    round.planned = per_second(recipients, took);
    round.ledger_bytes = each(used().await?, before, recipients);
    let (first, last) = campaign.takes_all(taken).await?;
    round.sent = per_second(recipients, last - first);
    progress.step("the end");
    campaign.ends().await?;
    round.whole_bytes = each(used().await?, before, recipients);
    round.resident_mib = resident()?;
    anyhow::ensure!(
        provider.taken() - taken == recipients,
        "the SMSC got {} messages for {recipients} recipients",
        provider.taken() - taken
    );
    gateway.stop().await?;
    provider.stop().await;
    Ok(round)
}

/// A campaign that is watched.
struct Measured<'a> {
    connection: &'a Connection,
    provider: &'a Provider,
    recipients: u64,
    id: String,
}

impl Measured<'_> {
    async fn progress(&self) -> anyhow::Result<CampaignProgress> {
        let asked = GetCampaignProgressRequest {
            campaign_id: self.id.clone(),
        };
        let answer = self.connection.campaigns().get_campaign_progress(asked).await?;
        answer.into_inner().progress.context("no progress")
    }

    async fn state(&self) -> anyhow::Result<CampaignState> {
        let progress = self.progress().await?;
        let campaign = progress.campaign.context("no campaign")?;
        let state = campaign.state();
        anyhow::ensure!(
            !matches!(state, CampaignState::Failed | CampaignState::Paused),
            "the campaign is {state:?}: {}",
            campaign.problem
        );
        Ok(state)
    }

    /// Waits until all recipients are written down.
    async fn runs(&self) -> anyhow::Result<()> {
        while self.state().await? == CampaignState::Planning {
            tokio::time::sleep(ASK).await;
        }
        Ok(())
    }

    /// Waits until the SMSC took everything; when it took the first and the last one.
    async fn takes_all(&self, before: u64) -> anyhow::Result<(Instant, Instant)> {
        let (mut first, mut last, mut seen) = (None, Instant::now(), 0);
        loop {
            let taken = self.provider.taken() - before;
            if taken > seen {
                (seen, last) = (taken, Instant::now());
                first.get_or_insert(last);
            }
            if taken >= self.recipients {
                return Ok((first.unwrap_or(last), last));
            }
            if last.elapsed() > STUCK {
                let counts = self.progress().await?.by_state;
                anyhow::bail!("no more than {taken} messages were sent; recipients: {counts:?}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn ends(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.state().await? != CampaignState::Succeeded {
            anyhow::ensure!(begun.elapsed() < STUCK, "the campaign does not end");
            tokio::time::sleep(ASK).await;
        }
        Ok(())
    }
}

async fn create(connection: &Connection, audience_id: &str, (run, number): (u64, u64)) -> anyhow::Result<String> {
    let words = TemplateVariant {
        locale: "vi".to_owned(),
        channel: "sms".to_owned(),
        content: Some(Content::Sms(SmsTemplate {
            text: "Don hang cua ban da duoc giao cho nguoi van chuyen. Cam on ban da mua hang.".to_owned(),
            ..SmsTemplate::default()
        })),
    };
    let asked = CreateTemplateRequest {
        request_id: format!("bench-template-{run}-{number}"),
        definition: Some(TemplateDefinition {
            display_name: "bench".to_owned(),
            purpose: Purpose::Service.into(),
            variants: vec![words],
            ..TemplateDefinition::default()
        }),
    };
    let template = connection.templates().create_template(asked).await?.into_inner();
    let step = CampaignStep {
        account_id: ACCOUNT.to_owned(),
        template_id: template.template.context("no template")?.template_id,
        success: ReceiptState::Accepted.into(),
        ..CampaignStep::default()
    };
    let asked = CreateCampaignRequest {
        request_id: format!("bench-campaign-{run}-{number}"),
        campaign: Some(Campaign {
            display_name: "bench".to_owned(),
            audience_id: audience_id.to_owned(),
            purpose: Purpose::Service.into(),
            steps: vec![step],
            ..Campaign::default()
        }),
    };
    let made = connection.campaigns().create_campaign(asked).await?.into_inner();
    Ok(made.campaign.context("no campaign")?.campaign_id)
}

#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(f64::EPSILON)
}

#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn each(now: u64, before: u64, count: u64) -> f64 {
    now.saturating_sub(before) as f64 / count as f64
}
