//! TemplateService: templates of ours, made, changed, shown and tried out.

mod preview;
mod test_send;

use crate::customers::Asked;
use crate::{Api, problems};
use omnigate_core::id::{TemplateId, TransactionId};
use omnigate_core::protocol::template_library::{self as library, Made, Version};
use omnigate_core::protocol::templates;
use omnigate_core::template::{self, Checked, Ready};
use omnigate_core::template_check;
use omnigate_core::time::Moment;
use omnigate_core::time::zone;
use omnigate_proto::state::v1::CommandRecord;
use omnigate_proto::v1::template_variant::Content;
use omnigate_proto::v1::{
    ArchiveTemplateRequest, ArchiveTemplateResponse, CreateTemplateRequest, CreateTemplateResponse, GetTemplateRequest,
    GetTemplateResponse, ListTemplatesRequest, ListTemplatesResponse, PreviewTemplateRequest, PreviewTemplateResponse,
    ProviderTemplateUse, TemplateDefinition, TemplateNotice, TemplateRef, TestSendRequest, TestSendResponse,
    UpdateTemplateRequest, UpdateTemplateResponse,
};
use omnigate_rpc::error::{ErrorCode, Problem};
use omnigate_rpc::page;
use omnigate_rpc::v1::template_service_server::TemplateService;
use tonic::{Request, Response, Status};

/// Most templates of a page: a definition may be long.
const MAX_PAGE: usize = 100;

#[tonic::async_trait]
impl TemplateService for Api {
    async fn create_template(
        &self,
        request: Request<CreateTemplateRequest>,
    ) -> Result<Response<CreateTemplateResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(&tenant_id, request_id, "create template", &request)?;
        let definition = request.definition.unwrap_or_default();
        let (record, warnings) = self.taken(&asked, &definition).await?;
        let name = TransactionId::from_bytes(&record.name).ok_or_else(Problem::internal)?;
        let id = TemplateId::new(&tenant_id, Moment(record.at_ms), name.0);
        let made = library::create(&self.context(), id, &made(&tenant_id, &record, definition)).await;
        let made = made.map_err(|refused| problems::not_made(&refused))?;
        Ok(Response::new(CreateTemplateResponse {
            template: Some(made.to_template()),
            warnings,
        }))
    }

    async fn update_template(
        &self,
        request: Request<UpdateTemplateRequest>,
    ) -> Result<Response<UpdateTemplateResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(&tenant_id, request_id, "update template", &request)?;
        let id: TemplateId = problems::id("template_id", &request.template_id)?;
        let before =
            etag(&request.etag)?.ok_or_else(|| Problem::invalid("etag", "must be set; GetTemplate gives it"))?;
        let definition = request.definition.unwrap_or_default();
        let (record, warnings) = self.taken(&asked, &definition).await?;
        let made = library::update(&self.context(), id, before, &made(&tenant_id, &record, definition)).await;
        let made = made.map_err(|refused| problems::not_made(&refused))?;
        Ok(Response::new(UpdateTemplateResponse {
            template: Some(made.to_template()),
            warnings,
        }))
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let version = self
            .template_version(&tenant_id, &request.template_id, request.version)
            .await?;
        Ok(Response::new(GetTemplateResponse {
            template: Some(version.to_template()),
        }))
    }

    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?.min(MAX_PAGE);
        let archived = [u8::from(request.include_archived)];
        let query: [&[u8]; 3] = [b"templates", tenant_id.as_bytes(), &archived];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| TemplateId::from_bytes(&cursor));
        let found = library::page(&self.context(), &tenant_id, after, size, request.include_archived).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let next = found.next.map(|id| self.tokens.token(&query, &id.0));
        Ok(Response::new(ListTemplatesResponse {
            templates: found.templates.iter().map(Version::to_template).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn archive_template(
        &self,
        request: Request<ArchiveTemplateRequest>,
    ) -> Result<Response<ArchiveTemplateResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(&tenant_id, request_id, "archive template", &request)?;
        let id: TemplateId = problems::id("template_id", &request.template_id)?;
        let etag = etag(&request.etag)?;
        self.remember(&asked, asked.record(self)).await?;
        let archived = library::archive(&self.context(), &tenant_id, id, etag).await;
        let archived = archived.map_err(|refused| problems::not_made(&refused))?;
        Ok(Response::new(ArchiveTemplateResponse {
            template: Some(archived.to_template()),
        }))
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Result<Response<PreviewTemplateResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.preview(&tenant_id, request.into_inner()).await?))
    }

    async fn test_send(&self, request: Request<TestSendRequest>) -> Result<Response<TestSendResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let delivery = self.send_test(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(TestSendResponse {
            delivery: Some(delivery),
        }))
    }
}

fn made(tenant_id: &str, record: &CommandRecord, definition: TemplateDefinition) -> Made {
    Made {
        tenant_id: tenant_id.to_owned(),
        command: record.name.clone(),
        at: Moment(record.at_ms),
        definition,
    }
}

/// The newest version that an etag names; `None` where there is no etag.
fn etag(text: &str) -> Result<Option<u32>, Problem> {
    match text {
        "" => Ok(None),
        text => library::read_etag(text)
            .map(Some)
            .ok_or_else(|| Problem::invalid("etag", "is none of a template")),
    }
}

/// The first mistake in words, and each one at its field.
fn invalid(mistakes: &[TemplateNotice]) -> Problem {
    let words = |notice: &TemplateNotice| match notice.line {
        0 => notice.text.clone(),
        line => format!("line {line}, column {}: {}", notice.column, notice.text),
    };
    let told = mistakes.first().map(|first| {
        let variant = match first.variant.as_str() {
            "" => String::new(),
            variant => format!(" ({variant})"),
        };
        format!("definition.{}{variant}: {}", first.field, words(first))
    });
    let more = match mistakes.len() {
        0 | 1 => String::new(),
        many => format!("; and {} more", many - 1),
    };
    let problem = Problem::new(
        ErrorCode::InvalidArgument,
        "TEMPLATE_INVALID",
        told.unwrap_or_default() + &more,
    );
    mistakes.iter().fold(problem, |problem, notice| {
        problem.field(&format!("definition.{}", notice.field), words(notice))
    })
}

impl Api {
    /// The command that makes a version of this definition, and what its author should know. A definition with mistakes is
    /// refused, unless it was taken before: releases may differ in what they find.
    async fn taken(
        &self,
        asked: &Asked<'_>,
        definition: &TemplateDefinition,
    ) -> Result<(CommandRecord, Vec<TemplateNotice>), Problem> {
        let Checked { mistakes, mut warnings } = template::check(definition);
        let record = match self.decided(asked).await? {
            Some(record) => record,
            None if !mistakes.is_empty() => return Err(invalid(&mistakes)),
            None => self.remember(asked, asked.record(self)).await?,
        };
        warnings.extend(self.unfit(asked.tenant_id, definition).await?);
        Ok((record, warnings))
    }

    /// What of the providers' templates that a definition refers to does not fit their copies.
    pub(super) async fn unfit(
        &self,
        tenant_id: &str,
        definition: &TemplateDefinition,
    ) -> Result<Vec<TemplateNotice>, Problem> {
        let mut notices = Vec::new();
        for (index, variant) in definition.variants.iter().enumerate() {
            let Some(Content::Rich(rich)) = &variant.content else {
                continue;
            };
            let Some(used) = rich
                .provider_template
                .as_ref()
                .filter(|used| !used.account_id.is_empty())
            else {
                continue;
            };
            if let Some(text) = self.unfit_use(tenant_id, &variant.channel, used).await? {
                notices.push(TemplateNotice {
                    field: format!("variants[{index}].rich.provider_template"),
                    variant: format!("{}/{}", variant.locale, variant.channel),
                    text,
                    ..TemplateNotice::default()
                });
            }
        }
        Ok(notices)
    }

    async fn unfit_use(
        &self,
        tenant_id: &str,
        channel: &str,
        used: &ProviderTemplateUse,
    ) -> Result<Option<String>, Problem> {
        let account = match self.account(tenant_id, &used.account_id) {
            Ok(account) if account.channel == channel => account,
            Ok(account) => return Ok(Some(format!("account {:?} is of {}", account.id, account.channel))),
            Err(_) => return Ok(Some(format!("there is no account {:?}", used.account_id))),
        };
        let copied = templates::read(&self.context(), &account.id).await;
        let copied = copied.map_err(|stop| problems::stop(&stop))?;
        let wanted = TemplateRef {
            template_id: used.template_id.clone(),
            locale: used.locale.clone(),
            parameters: used.parameters.clone(),
        };
        Ok(match copied {
            Some(copied) => template_check::check_names(&copied, &wanted)
                .err()
                .map(|unfit| unfit.to_string()),
            None => Some(format!("the templates of account {:?} are not copied yet", account.id)),
        })
    }

    /// A version of a tenant's template, or the newest for 0.
    async fn template_version(&self, tenant_id: &str, id: &str, number: u32) -> Result<Version, Problem> {
        let id: TemplateId = problems::id("template_id", id)?;
        let found = library::version(&self.context(), tenant_id, id, number).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| Problem::not_found("TEMPLATE_NOT_FOUND", "there is no such template or version"))
    }

    /// The time zone of a name, or the tenant's where there is none.
    fn zone(&self, tenant_id: &str, name: &str) -> Result<jiff::tz::TimeZone, Problem> {
        let own = &self.context().tenants.of(tenant_id).time_zone;
        let name = if name.is_empty() { own } else { name };
        zone(name).ok_or_else(|| Problem::invalid("time_zone", "must be an IANA time zone such as Asia/Ho_Chi_Minh"))
    }
}

/// A stored definition made ready. It was checked when it was taken.
fn ready(definition: TemplateDefinition) -> Result<Ready, Problem> {
    Ready::new(definition).map_err(|error| {
        tracing::error!(%error, "a stored template cannot be made ready");
        Problem::internal()
    })
}
