//! A campaign over two ways while every role is killed at random: each recipient ends, and no way is taken twice.

use crate::fault::{Fault, PROCESSES, Random};
use crate::world::World;
use anyhow::{Context as _, ensure};
use futures_util::stream;
use omnigate_proto::v1::create_audience_request::Kind;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::template_variant::Content;
use omnigate_proto::v1::{
    AudienceList, Campaign, CampaignProgress, CampaignState, CampaignStep, CreateAudienceRequest,
    CreateCampaignRequest, CreateTemplateRequest, DeliveryState, Identifier, ImportAudienceRequest, ImportRow,
    ImportRows, ImportStart, Purpose, SmsTemplate, StartCampaignRequest, TemplateDefinition, TemplateVariant,
};
use omnigate_sandbox::smsc::{AccountOptions, Fault as Trouble, FaultRule, Operation, Options, Smsc, SmscHandle};
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::{campaign_progress, campaign_recipients};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How many recipients; unset for few.
const RECIPIENTS: &str = "OMNIGATE_CAMPAIGN_RECIPIENTS";
/// Seed of the faults; unset for 1.
const SEED: &str = "OMNIGATE_CAMPAIGN_SEED";
const FEW: u64 = 300;
/// Rows of one call.
const ROWS: u64 = 16_000;
/// How often processes are killed.
const EVERY: Duration = Duration::from_secs(4);
/// How long nobody may end before it is given up: longer than any lease, its recovery and a step's wait.
const STUCK: Duration = Duration::from_secs(300);
/// How long few recipients may be written to, in milliseconds.
const SEND_WITHIN_MS: u64 = 120_000;
/// The two ways.
const WAYS: [&str; 2] = ["first", "second"];

/// The providers of both ways.
pub(crate) struct Providers([SmscHandle; 2]);

/// Two SMSCs that fail in every way; what they have taken is remembered whatever becomes of the gateway.
pub(crate) async fn providers() -> anyhow::Result<Providers> {
    let start = async |seed| {
        let options = Options {
            speed: 20,
            seed,
            journal: 1 << 20,
            ..Options::default()
        };
        let smsc = Smsc::start(TcpListener::bind("127.0.0.1:0").await?, None, options)?;
        // No such number, throttled, queue full, system error, cannot be delivered; then what leaves doubt.
        let refused = [(0x0b, 12), (0x58, 1), (0x14, 4), (0x08, 4), (0x45, 3)];
        let refused = refused.map(|(status, percent)| (Trouble::refused(status), percent));
        let doubtful = [
            (Trouble::SilenceAfter, 2),
            (Trouble::SilenceBefore, 2),
            (Trouble::CutAfter, 1),
            (Trouble::CutBefore, 1),
        ];
        for (fault, percent) in refused.into_iter().chain(doubtful) {
            smsc.fault(FaultRule {
                percent,
                ..FaultRule::always(Operation::Submit, fault)
            });
        }
        anyhow::Ok(smsc)
    };
    Ok(Providers([start(1).await?, start(2).await?]))
}

pub(crate) fn configure(providers: &Providers) -> Keys {
    let mut keys = Keys::new();
    let account = AccountOptions::default();
    for (name, smsc) in WAYS.iter().zip(&providers.0) {
        let address = smsc.address();
        for (key, value) in [
            ("channel", "sms"),
            ("provider", "smpp"),
            ("settings.host", &address.ip().to_string()),
            ("settings.port", &address.port().to_string()),
            ("settings.system_id", &account.system_id),
            ("settings.password", &account.password),
            ("settings.sender", "SHOP"),
            ("settings.throttle_pause_ms", "100"),
        ] {
            keys.insert(format!("accounts.{name}.{key}"), value.to_owned());
        }
    }
    keys
}

pub(crate) async fn every_role_dies(world: &mut World, providers: &Providers) -> anyhow::Result<()> {
    let recipients = number(RECIPIENTS)?.unwrap_or(FEW);
    let seed = number(SEED)?.unwrap_or(1);
    println!("{SEED}={seed} {RECIPIENTS}={recipients}");
    let audience_id = list(world, recipients).await?;
    let id = start(world, &audience_id, recipients).await?;
    let mut random = Random::new(seed);
    let (begun, mut killed) = (Instant::now(), 0);
    let (mut settled, mut moved) = (0, Instant::now());
    let ended = loop {
        let names: Vec<&str> = PROCESSES.into_iter().filter(|_| random.below(4) == 0).collect();
        killed += names.len();
        // Towards the end everybody is left alone: what is waited for then are leases.
        if settled < recipients * 9 / 10 {
            Fault::Killed(names).play(world).await?;
        }
        tokio::time::sleep(EVERY).await;
        let Ok(progress) = campaign_progress(&world.connection, &id).await else {
            continue;
        };
        if progress.settled > settled {
            (settled, moved) = (progress.settled, Instant::now());
        }
        if state(&progress) == CampaignState::Succeeded {
            break progress;
        }
        ensure!(moved.elapsed() < STUCK, "nobody ends any more: {progress:?}");
    };
    println!(
        "ended after {:.0} s, {killed} processes killed: {:?}",
        begun.elapsed().as_secs_f32(),
        ended.by_state
    );
    judge(world, providers, &id, (recipients, &ended)).await
}

fn number(name: &str) -> anyhow::Result<Option<u64>> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse())
        .transpose()
        .context("no number")
}

fn phone(number: u64) -> String {
    format!("+8491{number:07}")
}

async fn list(world: &World, recipients: u64) -> anyhow::Result<String> {
    let asked = CreateAudienceRequest {
        display_name: "all".to_owned(),
        kind: Some(Kind::List(AudienceList {})),
        request_id: "list".to_owned(),
        ..CreateAudienceRequest::default()
    };
    let made = world.connection.audiences().create_audience(asked).await?.into_inner();
    let audience_id = made.audience.context("no audience")?.audience_id;
    let row = |number: u64| ImportRow {
        row: number + 1,
        identifiers: vec![Identifier {
            r#type: "phone".to_owned(),
            value: phone(number),
            ..Identifier::default()
        }],
        ..ImportRow::default()
    };
    let mut from = 0;
    while from < recipients {
        let until = (from + ROWS).min(recipients);
        let start = Part::Start(ImportStart {
            audience_id: audience_id.clone(),
            import_id: "all".to_owned(),
            ..ImportStart::default()
        });
        let numbers: Vec<u64> = (from..until).collect();
        let rows = numbers.chunks(1_000).map(|numbers| {
            Part::Rows(ImportRows {
                rows: numbers.iter().map(|number| row(*number)).collect(),
            })
        });
        let parts = std::iter::once(start).chain(rows);
        let parts: Vec<ImportAudienceRequest> = parts.map(|part| ImportAudienceRequest { part: Some(part) }).collect();
        world
            .connection
            .audiences()
            .import_audience(stream::iter(parts))
            .await?;
        from = until;
    }
    Ok(audience_id)
}

async fn start(world: &World, audience_id: &str, recipients: u64) -> anyhow::Result<String> {
    let words = TemplateVariant {
        locale: "vi".to_owned(),
        channel: "sms".to_owned(),
        content: Some(Content::Sms(SmsTemplate {
            text: "Don hang da giao".to_owned(),
            ..SmsTemplate::default()
        })),
    };
    let asked = CreateTemplateRequest {
        request_id: "words".to_owned(),
        definition: Some(TemplateDefinition {
            display_name: "words".to_owned(),
            purpose: Purpose::Service.into(),
            variants: vec![words],
            ..TemplateDefinition::default()
        }),
    };
    let template = world.connection.templates().create_template(asked).await?.into_inner();
    let template_id = template.template.context("no template")?.template_id;
    let step = |account: &str| CampaignStep {
        account_id: account.to_owned(),
        template_id: template_id.clone(),
        wait_ms: 30_000,
        ..CampaignStep::default()
    };
    let asked = CreateCampaignRequest {
        request_id: "campaign".to_owned(),
        campaign: Some(Campaign {
            display_name: "all".to_owned(),
            audience_id: audience_id.to_owned(),
            purpose: Purpose::Service.into(),
            steps: WAYS.map(step).to_vec(),
            // Who fails again and again waits longer each time: the end comes for them with the campaign's.
            send_within_ms: SEND_WITHIN_MS.max(recipients * 30),
            ..Campaign::default()
        }),
    };
    let made = world.connection.campaigns().create_campaign(asked).await?.into_inner();
    let id = made.campaign.context("no campaign")?.campaign_id;
    let asked = StartCampaignRequest {
        campaign_id: id.clone(),
        request_id: "start".to_owned(),
        ..StartCampaignRequest::default()
    };
    world.connection.campaigns().start_campaign(asked).await?;
    Ok(id)
}

fn state(progress: &CampaignProgress) -> CampaignState {
    progress.campaign.as_ref().map(Campaign::state).unwrap_or_default()
}

async fn judge(
    world: &World,
    providers: &Providers,
    id: &str,
    (recipients, ended): (u64, &CampaignProgress),
) -> anyhow::Result<()> {
    let all = campaign_recipients(&world.connection, id, 1_000).await?;
    ensure!(
        all.len() as u64 == recipients && ended.recipients == recipients,
        "{} recipients",
        all.len()
    );
    ensure!(all.iter().all(|one| one.settled), "not everybody has ended");
    let mut counted: BTreeMap<i32, u64> = BTreeMap::new();
    for one in &all {
        *counted.entry(one.state).or_default() += 1;
    }
    let told: BTreeMap<i32, u64> = ended.by_state.iter().map(|count| (count.state, count.count)).collect();
    ensure!(told == counted, "the sums say {told:?}, the recipients {counted:?}");
    let sent = providers.0.each_ref().map(|smsc| {
        let mut sent: BTreeMap<String, u64> = BTreeMap::new();
        for text in smsc.texts() {
            *sent.entry(text.destination).or_default() += 1;
        }
        sent
    });
    for (way, sent) in WAYS.iter().zip(&sent) {
        let twice: Vec<_> = sent.iter().filter(|(_, count)| **count > 1).collect();
        ensure!(twice.is_empty(), "sent twice through {way}: {twice:?}");
    }
    // Whoever is said to have it was sent it, and nobody was whose message is said not to have left.
    let arrived = counted_in(
        &counted,
        &[
            DeliveryState::Accepted,
            DeliveryState::Sent,
            DeliveryState::Delivered,
            DeliveryState::Read,
        ],
    );
    let unknown = counted_in(&counted, &[DeliveryState::Unknown]);
    let sent: u64 = sent.iter().map(|sent| sent.len() as u64).sum();
    ensure!(arrived <= sent, "{arrived} are said to have it, {sent} were sent");
    println!("{arrived} arrived, {unknown} unknown, {sent} submissions");
    Ok(())
}

fn counted_in(counted: &BTreeMap<i32, u64>, states: &[DeliveryState]) -> u64 {
    let of = |state: &DeliveryState| counted.get(&i32::from(*state)).copied().unwrap_or_default();
    states.iter().map(of).sum()
}
