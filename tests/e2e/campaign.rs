//! A campaign from its template to its end: templates of Zalo first, SMS to whom Zalo does not reach.

use crate::World;
use crate::sms::SMS;
use crate::zalo::{OA, ORDER};
use anyhow::{Context as _, ensure};
use futures_util::stream;
use omnigate_proto::v1::create_audience_request::Kind;
use omnigate_proto::v1::import_audience_request::Part;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content as Words;
use omnigate_proto::v1::{
    AudienceList, Campaign, CampaignProgress, CampaignState, CampaignStep, CreateAudienceRequest,
    CreateCampaignRequest, CreateTemplateRequest, DeliveryState, Identifier, ImportAudienceRequest, ImportRow,
    ImportRows, ImportStart, PauseCampaignRequest, ProviderTemplateUse, Purpose, RecipientReason,
    ResumeCampaignRequest, RichTemplate, SmsTemplate, StartCampaignRequest, TemplateDefinition, TemplateVariable,
    TemplateVariableType, TemplateVariant,
};
use omnigate_sandbox::zalo::NewPerson;
use omnigate_tests::reading::{campaign_progress, campaign_recipients, timeline};
use omnigate_tests::wait;
use std::collections::{BTreeMap, BTreeSet};

/// People whom a template of Zalo reaches.
const ON_ZALO: u32 = 6;
/// People whom only an SMS reaches.
const OTHERS: u32 = 30;

pub(crate) async fn scenes(world: &World) -> anyhow::Result<()> {
    everybody_is_reached_by_one_way_and_once(world).await
}

fn phone(number: u32) -> String {
    format!("+849120{number:05}")
}

async fn everybody_is_reached_by_one_way_and_once(world: &World) -> anyhow::Result<()> {
    for number in 0..ON_ZALO {
        let phone = phone(number).trim_start_matches('+').to_owned();
        drop(world.zalo.new_person(NewPerson {
            phone: Some(phone),
            ..NewPerson::default()
        }));
    }
    let audience = list(world).await?;
    let template = template(world).await?;
    let campaign = create(world, &audience, &template).await?;
    let id = campaign.campaign_id.clone();
    let asked = StartCampaignRequest {
        campaign_id: id.clone(),
        request_id: "start".to_owned(),
        ..StartCampaignRequest::default()
    };
    let started = world.connection.campaigns().start_campaign(asked).await?.into_inner();
    let started = started.campaign.context("no campaign")?;
    ensure!(
        started.steps.iter().all(|step| step.template_version == 1),
        "not pinned: {started:?}"
    );
    a_pause_stops_and_a_resume_goes_on(world, &id).await?;
    let ended = wait::until("the end of the campaign", async || {
        let progress = campaign_progress(&world.connection, &id).await?;
        let state = progress.campaign.as_ref().map(Campaign::state);
        Ok(match state {
            Some(CampaignState::Succeeded) => Ok(progress),
            _ => Err(progress),
        })
    });
    the_sums_agree(&ended.await?)?;
    the_recipients_say_the_same(world, &id).await?;
    nobody_got_it_twice(world).await
}

/// A list of all of them, and of one of whom too little is known.
async fn list(world: &World) -> anyhow::Result<String> {
    let asked = CreateAudienceRequest {
        display_name: "customers of the campaign".to_owned(),
        kind: Some(Kind::List(AudienceList {})),
        request_id: "campaign-list".to_owned(),
        ..CreateAudienceRequest::default()
    };
    let made = world.connection.audiences().create_audience(asked).await?.into_inner();
    let audience_id = made.audience.context("no audience")?.audience_id;
    let row = |number: u32| ImportRow {
        row: u64::from(number) + 1,
        identifiers: vec![Identifier {
            r#type: "phone".to_owned(),
            value: phone(number),
            ..Identifier::default()
        }],
        variables: match number {
            0 => BTreeMap::new(),
            _ => BTreeMap::from([("code".to_owned(), format!("DH-{number}"))]),
        },
        display_name: "Lan".to_owned(),
        ..ImportRow::default()
    };
    let start = Part::Start(ImportStart {
        audience_id: audience_id.clone(),
        import_id: "first".to_owned(),
        ..ImportStart::default()
    });
    let rows = Part::Rows(ImportRows {
        rows: (0..ON_ZALO + OTHERS).map(row).collect(),
    });
    let parts = [start, rows].map(|part| ImportAudienceRequest { part: Some(part) });
    let imported = world
        .connection
        .audiences()
        .import_audience(stream::iter(parts))
        .await?;
    let import = imported.into_inner().import.context("no import")?;
    ensure!(import.failed == 0, "{import:?}");
    Ok(audience_id)
}

async fn template(world: &World) -> anyhow::Result<String> {
    let variable = |name: &str| TemplateVariable {
        name: name.to_owned(),
        r#type: TemplateVariableType::Text.into(),
        when_missing: Some(WhenMissing::Required(true)),
        ..TemplateVariable::default()
    };
    let variant = |channel: &str, content: Words| TemplateVariant {
        locale: "vi".to_owned(),
        channel: channel.to_owned(),
        content: Some(content),
    };
    let order = ProviderTemplateUse {
        template_id: ORDER.to_owned(),
        parameters: [("customer_name", "{{ display_name }}"), ("order_code", "{{ code }}")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..ProviderTemplateUse::default()
    };
    let definition = TemplateDefinition {
        display_name: "order of the campaign".to_owned(),
        purpose: Purpose::Service.into(),
        variables: vec![variable("display_name"), variable("code")],
        variants: vec![
            variant(
                "zalo",
                Words::Rich(RichTemplate {
                    provider_template: Some(order),
                    ..RichTemplate::default()
                }),
            ),
            variant(
                "sms",
                Words::Sms(SmsTemplate {
                    text: "Đơn {{ code }} của {{ display_name }} đã sẵn sàng".to_owned(),
                    without_accents: true,
                    ..SmsTemplate::default()
                }),
            ),
        ],
    };
    let asked = CreateTemplateRequest {
        request_id: "campaign-template".to_owned(),
        definition: Some(definition),
    };
    let made = world.connection.templates().create_template(asked).await?.into_inner();
    Ok(made.template.context("no template")?.template_id)
}

async fn create(world: &World, audience_id: &str, template_id: &str) -> anyhow::Result<Campaign> {
    let step = |account: &str| CampaignStep {
        account_id: account.to_owned(),
        template_id: template_id.to_owned(),
        wait_ms: 30_000,
        ..CampaignStep::default()
    };
    let asked = CreateCampaignRequest {
        request_id: "campaign".to_owned(),
        campaign: Some(Campaign {
            display_name: "orders".to_owned(),
            audience_id: audience_id.to_owned(),
            purpose: Purpose::Service.into(),
            steps: vec![step(OA), step(SMS)],
            ..Campaign::default()
        }),
    };
    let made = world.connection.campaigns().create_campaign(asked).await?.into_inner();
    made.campaign.context("no campaign")
}

async fn a_pause_stops_and_a_resume_goes_on(world: &World, id: &str) -> anyhow::Result<()> {
    let asked = PauseCampaignRequest {
        campaign_id: id.to_owned(),
        request_id: "pause".to_owned(),
        ..PauseCampaignRequest::default()
    };
    let paused = world.connection.campaigns().pause_campaign(asked).await?.into_inner();
    let paused = paused.campaign.context("no campaign")?;
    ensure!(paused.state() == CampaignState::Paused, "{paused:?}");
    world
        .connection
        .campaigns()
        .resume_campaign(ResumeCampaignRequest {
            campaign_id: id.to_owned(),
            request_id: "resume".to_owned(),
            ..ResumeCampaignRequest::default()
        })
        .await?;
    Ok(())
}

fn the_sums_agree(progress: &CampaignProgress) -> anyhow::Result<()> {
    let all = u64::from(ON_ZALO + OTHERS);
    let of = |state: DeliveryState| {
        let counts = progress.by_state.iter().filter(|count| count.state() == state);
        counts.map(|count| count.count).sum::<u64>()
    };
    ensure!(
        progress.recipients == all && progress.settled == all && progress.open == 0,
        "{progress:?}"
    );
    ensure!(progress.done_ten_thousandths == 10_000, "{progress:?}");
    ensure!(of(DeliveryState::Skipped) == 1, "{progress:?}");
    ensure!(
        of(DeliveryState::Delivered) + of(DeliveryState::Read) == all - 1,
        "{progress:?}"
    );
    let went_on: u64 = progress.by_step.iter().map(|step| step.went_on).sum();
    ensure!(went_on == u64::from(OTHERS), "{progress:?}");
    Ok(())
}

async fn the_recipients_say_the_same(world: &World, id: &str) -> anyhow::Result<()> {
    let found = campaign_recipients(&world.connection, id, 10).await?;
    let customers: BTreeSet<&str> = found.iter().map(|one| one.customer_id.as_str()).collect();
    let all = usize::try_from(ON_ZALO + OTHERS)?;
    ensure!(
        found.len() == all && customers.len() == all,
        "{} recipients",
        found.len()
    );
    let fell_back = found.iter().filter(|one| one.step == 1).count();
    ensure!(fell_back == usize::try_from(OTHERS)?, "{fell_back} fell back");
    let skipped: Vec<_> = found
        .iter()
        .filter(|one| one.state() == DeliveryState::Skipped)
        .collect();
    ensure!(
        matches!(skipped[..], [one] if one.reason() == RecipientReason::MissingData),
        "{skipped:?}"
    );
    for one in &found {
        let entries = timeline(&world.connection, &one.customer_id).await?;
        let wanted = usize::from(one.state() != DeliveryState::Skipped);
        ensure!(entries.len() == wanted, "{one:?}: {entries:?}");
    }
    Ok(())
}

async fn nobody_got_it_twice(world: &World) -> anyhow::Result<()> {
    for number in 0..ON_ZALO + OTHERS {
        let to = phone(number).trim_start_matches('+').to_owned();
        let zns = world.zalo.sent().into_iter().filter(|sent| sent.to == to).count();
        let sms = world.smsc.texts_to(&to).len();
        let wanted = match number {
            0 => (0, 0),
            number if number < ON_ZALO => (1, 0),
            _ => (0, 1),
        };
        ensure!((zns, sms) == wanted, "{to}: {zns} by Zalo, {sms} by SMS");
    }
    Ok(())
}
