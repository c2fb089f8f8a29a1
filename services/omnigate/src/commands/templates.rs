//! `omnigate templates …`

pub(super) mod file;
mod preview;

use super::consent::short;
use super::{print, remote};
use crate::cli::{ArchiveTemplate, CreateTemplate, Filling, Output, Remote, Templates, TestTemplate, UpdateTemplate};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::{
    ArchiveTemplateRequest, CreateTemplateRequest, GetTemplateRequest, ListTemplatesRequest, Template, TemplateNotice,
    TestSendRequest, UpdateTemplateRequest,
};
use omnigate_rpc::client::Connection;
use omnigate_rpc::error::violations;
use std::collections::BTreeMap;
use tonic::Status;

const HEADER: &[&str] = &[
    "TEMPLATE",
    "VERSION",
    "NAME",
    "PURPOSE",
    "VARIANTS",
    "MADE (UTC)",
    "ARCHIVED (UTC)",
];

/// Runs it.
pub async fn run(arguments: &Templates) -> anyhow::Result<u8> {
    match arguments {
        Templates::Create(arguments) => create(arguments).await?,
        Templates::Update(arguments) => update(arguments).await?,
        Templates::Get {
            remote,
            template,
            version,
        } => {
            let connection = remote::open(remote).await?;
            shown(remote, &get(&connection, template, version.unwrap_or(0)).await?)?;
        }
        Templates::List {
            remote,
            archived,
            limit,
        } => list(remote, *archived, limit.unwrap_or(usize::MAX)).await?,
        Templates::Archive(arguments) => archive(arguments).await?,
        Templates::Preview(arguments) => return preview::run(arguments).await,
        Templates::Test(arguments) => test(arguments).await?,
    }
    Ok(0)
}

/// Values as they were given, by name.
fn values(filling: &Filling) -> anyhow::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for text in &filling.values {
        let Some((name, value)) = text.split_once('=') else {
            bail!("--value {text:?} must be name=value");
        };
        values.insert(name.trim().to_owned(), value.to_owned());
    }
    Ok(values)
}

/// A refusal as one line; the mistakes of a template before it, one line each.
fn refused(status: Status) -> anyhow::Error {
    let mistakes = violations(&status);
    if mistakes.len() > 1 {
        for (field, what) in mistakes {
            print::aside(&print::printable(&format!("{field}: {what}")));
        }
    }
    remote::refused(status)
}

fn warn(warnings: &[TemplateNotice]) {
    for warning in warnings {
        print::aside(&print::printable(&format!("warning: {}", told(warning))));
    }
}

/// A notice as one line.
fn told(notice: &TemplateNotice) -> String {
    let variant = match notice.variant.as_str() {
        "" => String::new(),
        variant => format!(" ({variant})"),
    };
    let place = match notice.line {
        0 => String::new(),
        line => format!(", line {line}, column {}", notice.column),
    };
    format!("{}{variant}{place}: {}", notice.field, notice.text)
}

async fn get(connection: &Connection, template: &str, version: u32) -> anyhow::Result<Template> {
    let asked = GetTemplateRequest {
        template_id: template.to_owned(),
        version,
    };
    let answer = connection.templates().get_template(asked).await;
    let found = answer.map_err(remote::refused)?.into_inner().template;
    found.context("the gateway answered without a template")
}

async fn create(arguments: &CreateTemplate) -> anyhow::Result<()> {
    let definition = file::definition(&arguments.file)?;
    let connection = remote::open(&arguments.remote).await?;
    let asked = CreateTemplateRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        definition: Some(definition),
    };
    let answer = connection.templates().create_template(asked).await;
    let answer = answer.map_err(refused)?.into_inner();
    warn(&answer.warnings);
    listed(&arguments.remote, &answer.template.into_iter().collect::<Vec<_>>())
}

async fn update(arguments: &UpdateTemplate) -> anyhow::Result<()> {
    let definition = file::definition(&arguments.file)?;
    let connection = remote::open(&arguments.remote).await?;
    let etag = match &arguments.etag {
        Some(etag) => etag.clone(),
        None => get(&connection, &arguments.template, 0).await?.etag,
    };
    let asked = UpdateTemplateRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        template_id: arguments.template.clone(),
        etag,
        definition: Some(definition),
    };
    let answer = connection.templates().update_template(asked).await;
    let answer = answer.map_err(refused)?.into_inner();
    warn(&answer.warnings);
    listed(&arguments.remote, &answer.template.into_iter().collect::<Vec<_>>())
}

async fn archive(arguments: &ArchiveTemplate) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let asked = ArchiveTemplateRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        template_id: arguments.template.clone(),
        etag: arguments.etag.clone().unwrap_or_default(),
    };
    let answer = connection.templates().archive_template(asked).await;
    let template = answer.map_err(remote::refused)?.into_inner().template;
    listed(&arguments.remote, &template.into_iter().collect::<Vec<_>>())
}

async fn list(remote: &Remote, archived: bool, limit: usize) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let mut found: Vec<Template> = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListTemplatesRequest {
            page_size: i32::try_from(limit.min(100)).unwrap_or(100),
            page_token,
            include_archived: archived,
        };
        let answer = connection.templates().list_templates(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.templates);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    listed(remote, &found)
}

fn listed(remote: &Remote, templates: &[Template]) -> anyhow::Result<()> {
    print::all(remote.output, templates, HEADER, |template| {
        let definition = template.definition.clone().unwrap_or_default();
        let variants = definition.variants.iter();
        let variants: Vec<String> = variants
            .map(|variant| format!("{}/{}", variant.locale, variant.channel))
            .collect();
        vec![
            template.template_id.clone(),
            template.version.to_string(),
            definition.display_name.clone(),
            short(definition.purpose().as_str_name(), "PURPOSE_"),
            variants.join(", "),
            print::time(template.created_at.as_ref()),
            print::time(template.archived_at.as_ref()),
        ]
    })
}

fn shown(remote: &Remote, template: &Template) -> anyhow::Result<()> {
    if remote.output == Output::Json {
        return print::json(template);
    }
    listed(remote, std::slice::from_ref(template))?;
    let definition = template.definition.clone().unwrap_or_default();
    let header = ["VARIABLE", "TYPE", "WHEN MISSING", "SAMPLE", "DESCRIPTION"];
    print::all(Output::Table, &definition.variables, &header, preview::variable)?;
    for variant in &definition.variants {
        preview::words_of(variant);
    }
    print::line(&format!("etag: {}", template.etag));
    Ok(())
}

async fn test(arguments: &TestTemplate) -> anyhow::Result<()> {
    let asked = TestSendRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        template_id: arguments.template.clone(),
        version: arguments.version.unwrap_or(0),
        recipient: Some(remote::identifier(&arguments.to)?),
        account_id: arguments.account.clone(),
        locale: arguments.filling.locale.clone().unwrap_or_default(),
        time_zone: arguments.filling.time_zone.clone().unwrap_or_default(),
        values: values(&arguments.filling)?,
        use_samples: arguments.filling.samples,
    };
    let connection = remote::open(&arguments.remote).await?;
    let answer = connection.templates().test_send(asked).await;
    let delivery = answer.map_err(remote::refused)?.into_inner().delivery;
    let delivery = delivery.context("the gateway answered without a delivery")?;
    match arguments.remote.output {
        Output::Json => print::json(&delivery),
        Output::Table => {
            print::line(&super::send::told(&delivery));
            Ok(())
        }
    }
}
