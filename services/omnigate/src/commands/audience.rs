//! `omnigate audience …`

mod columns;
mod import;
mod reader;

use super::{print, remote};
use crate::cli::{Audience, CreateAudience, OneAudience, Output, Remote};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::audience::Kind;
use omnigate_proto::v1::create_audience_request;
use omnigate_proto::v1::{
    self, AudienceList, AudienceMember, AudienceSegment, CreateAudienceRequest, DeleteAudienceRequest,
    GetAudienceRequest, ListAudiencesRequest, ListMembersRequest, PreviewAudienceRequest, PreviewAudienceResponse,
};
use omnigate_rpc::client::Connection;

/// Runs it.
pub async fn run(arguments: &Audience) -> anyhow::Result<u8> {
    match arguments {
        Audience::Create(arguments) => create(arguments).await?,
        Audience::List { remote, limit } => {
            let connection = remote::open(remote).await?;
            let found = list(&connection, limit.unwrap_or(usize::MAX)).await?;
            show(remote, &found)?;
        }
        Audience::Get(OneAudience { remote, audience }) => {
            let connection = remote::open(remote).await?;
            let id = audience_id(&connection, audience).await?;
            show(remote, &[get(&connection, id).await?])?;
        }
        Audience::Import(arguments) => import::run(arguments).await?,
        Audience::Members { audience, limit } => members(audience, limit.unwrap_or(usize::MAX)).await?,
        Audience::Preview { audience, samples } => preview(audience, *samples).await?,
        Audience::Delete {
            audience,
            yes,
            request_id,
        } => delete(audience, *yes, request_id.as_deref()).await?,
    }
    Ok(0)
}

async fn create(arguments: &CreateAudience) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let mut excluded = Vec::with_capacity(arguments.excluded.len());
    for audience in &arguments.excluded {
        excluded.push(audience_id(&connection, audience).await?);
    }
    let kind = match &arguments.filter {
        Some(filter) => create_audience_request::Kind::Segment(AudienceSegment { filter: filter.clone() }),
        None => create_audience_request::Kind::List(AudienceList {}),
    };
    let asked = CreateAudienceRequest {
        display_name: arguments.name.clone(),
        kind: Some(kind),
        excluded_audience_ids: excluded,
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.audiences().create_audience(asked).await;
    let made = answer.map_err(remote::refused)?.into_inner().audience;
    show(&arguments.remote, &made.into_iter().collect::<Vec<_>>())
}

/// Audiences, up to a limit.
async fn list(connection: &Connection, limit: usize) -> anyhow::Result<Vec<v1::Audience>> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListAudiencesRequest {
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
        };
        let answer = connection.audiences().list_audiences(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.audiences);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn get(connection: &Connection, audience_id: String) -> anyhow::Result<v1::Audience> {
    let asked = GetAudienceRequest { audience_id };
    let answer = connection.audiences().get_audience(asked).await;
    let found = answer.map_err(remote::refused)?.into_inner().audience;
    found.context("the gateway answered without an audience")
}

/// The id of the audience that a text names: an id, or the name that only one has.
pub(super) async fn audience_id(connection: &Connection, text: &str) -> anyhow::Result<String> {
    if text.starts_with("aud_") {
        return Ok(text.to_owned());
    }
    let all = list(connection, usize::MAX).await?;
    let named: Vec<&v1::Audience> = all.iter().filter(|audience| audience.display_name == text).collect();
    match named.as_slice() {
        [one] => Ok(one.audience_id.clone()),
        [] => bail!("no audience is called {text:?}; see: omnigate audience list"),
        several => {
            let ids: Vec<&str> = several.iter().map(|audience| audience.audience_id.as_str()).collect();
            bail!(
                "{} audiences are called {text:?}, name one by its id: {}",
                ids.len(),
                ids.join(", ")
            )
        }
    }
}

fn show(remote: &Remote, audiences: &[v1::Audience]) -> anyhow::Result<()> {
    let header = ["AUDIENCE", "NAME", "KIND", "MEMBERS", "WITHOUT", "CHANGED (UTC)"];
    print::all(remote.output, audiences, &header, |audience| {
        let (kind, members) = match &audience.kind {
            Some(Kind::Segment(segment)) => (segment.filter.clone(), "-".to_owned()),
            _ if audience.member_count == 0 => ("list".to_owned(), "-".to_owned()),
            _ => ("list".to_owned(), audience.member_count.to_string()),
        };
        vec![
            audience.audience_id.clone(),
            audience.display_name.clone(),
            kind,
            members,
            audience.excluded_audience_ids.join("\n"),
            print::time(audience.updated_at.as_ref()),
        ]
    })
}

fn member(member: &AudienceMember) -> Vec<String> {
    let variables = member.variables.iter().map(|(name, value)| format!("{name}={value}"));
    vec![
        member.customer_id.clone(),
        member.display_name.clone(),
        member.locale.clone(),
        member.time_zone.clone(),
        variables.collect::<Vec<_>>().join("\n"),
    ]
}

const MEMBER: [&str; 5] = ["CUSTOMER", "NAME", "LOCALE", "TIME ZONE", "VARIABLES"];

async fn members(OneAudience { remote, audience }: &OneAudience, limit: usize) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let audience_id = audience_id(&connection, audience).await?;
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListMembersRequest {
            audience_id: audience_id.clone(),
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
        };
        let answer = connection.audiences().list_members(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.members);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    print::all(remote.output, &found, &MEMBER, member)
}

async fn preview(OneAudience { remote, audience }: &OneAudience, samples: i32) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let audience_id = audience_id(&connection, audience).await?;
    let wanted = usize::try_from(samples).unwrap_or(0);
    let mut sum = PreviewAudienceResponse::default();
    let bar = indicatif::ProgressBar::new_spinner();
    loop {
        let asked = PreviewAudienceRequest {
            audience_id: audience_id.clone(),
            sample_size: i32::try_from(wanted - sum.samples.len()).unwrap_or(0),
            page_token: std::mem::take(&mut sum.next_page_token),
        };
        let answer = connection.audiences().preview_audience(asked).await;
        let part = answer.map_err(remote::refused)?.into_inner();
        sum.count += part.count;
        sum.excluded += part.excluded;
        sum.looked_at += part.looked_at;
        sum.samples.extend(part.samples);
        sum.samples.truncate(wanted);
        sum.next_page_token = part.next_page_token;
        bar.set_message(format!("{} of {} looked at", sum.count, sum.looked_at));
        bar.tick();
        if sum.next_page_token.is_empty() {
            break;
        }
    }
    bar.finish_and_clear();
    if remote.output == Output::Json {
        return print::json(&sum);
    }
    print::line(&format!(
        "{} customers, {} more are left out by exclusions",
        sum.count, sum.excluded
    ));
    if wanted > 0 {
        print::all(Output::Table, &sum.samples, &MEMBER, member)?;
    }
    Ok(())
}

async fn delete(
    OneAudience { remote, audience }: &OneAudience,
    yes: bool,
    request_id: Option<&str>,
) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let id = audience_id(&connection, audience).await?;
    if !yes {
        let stands = get(&connection, id).await?;
        let (name, rows) = (&stands.display_name, stands.member_count);
        print::line(&print::printable(&format!(
            "{name:?} with {rows} rows would be deleted; say --yes to do it"
        )));
        return Ok(());
    }
    let asked = DeleteAudienceRequest {
        audience_id: id.clone(),
        request_id: remote::request_id(request_id)?,
        ..DeleteAudienceRequest::default()
    };
    let answer = connection.audiences().delete_audience(asked).await;
    answer.map_err(remote::refused)?;
    if remote.output == Output::Table {
        print::line(&format!("{id} is deleted"));
    }
    Ok(())
}
