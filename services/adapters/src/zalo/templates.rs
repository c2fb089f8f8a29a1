//! Copies the templates of an Official Account.

use super::api::{self, Answer, Server};
use super::outbound::{Token, failure};
use super::settings::OaSettings;
use super::wire::{Text, said};
use omnigate_core::port::adapter::{AccessToken, ChannelHost, HttpBody};
use omnigate_proto::v1::{ErrorClass, ProviderTemplate, ProviderTemplateParameter, ProviderTemplateState, SendError};
use serde::Deserialize;
use std::time::Duration;
use url::form_urlencoded::Serializer;

/// ZBS, `/template/all`: most templates of a page.
const PAGE: usize = 100;
/// Pages that are read; an OA with more templates has the rest unknown here.
const MAX_PAGES: usize = 10;
/// Longest time of one call.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Parameters of a template that are read.
const MAX_PARAMETERS: usize = 64;

/// A template in a list and by itself; sources write the keys in two ways.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Template<'a> {
    #[serde(borrow, alias = "templateId")]
    template_id: Option<Text<'a>>,
    #[serde(borrow, alias = "templateName")]
    template_name: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow, alias = "templateQuality", alias = "quality")]
    template_quality: Option<Text<'a>>,
    #[serde(borrow, alias = "templateTag", alias = "tag")]
    template_tag: Option<Text<'a>>,
    #[serde(borrow, alias = "listParams", alias = "params")]
    list_params: Option<Vec<Parameter<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameter<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow, alias = "maxLength")]
    max_length: Option<Text<'a>>,
    #[serde(borrow, alias = "minLength")]
    min_length: Option<Text<'a>>,
    require: Option<Flag>,
    #[serde(alias = "acceptNull")]
    accept_null: Option<Flag>,
}

/// A truth value, however it is written.
#[derive(Deserialize, Clone, Copy)]
#[serde(from = "serde_json::Value")]
struct Flag(bool);

impl From<serde_json::Value> for Flag {
    fn from(value: serde_json::Value) -> Self {
        Self(match value {
            serde_json::Value::Bool(flag) => flag,
            serde_json::Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
            serde_json::Value::String(text) => matches!(text.trim(), "true" | "True" | "TRUE" | "1"),
            _ => false,
        })
    }
}

/// All templates; those that can be used with their parameters.
pub(super) async fn copy(settings: &OaSettings, host: &dyn ChannelHost) -> Result<Vec<ProviderTemplate>, SendError> {
    let mut token = Token::first(host).await?;
    let mut templates: Vec<ProviderTemplate> = Vec::new();
    for page in 0..MAX_PAGES {
        let query = [("offset", (page * PAGE).to_string()), ("limit", PAGE.to_string())];
        let url = address(settings, "/template/all", &query);
        let listed = get(settings, host, &mut token, url, |answer| {
            let listed = answer.data::<Option<Vec<Template<'_>>>>()?;
            Some(listed.unwrap_or_default().iter().map(described).collect::<Vec<_>>())
        })
        .await?;
        let count = listed.len();
        for template in listed {
            // A template that moved from one page to the next while they were read.
            let known = templates.iter().any(|known| known.template_id == template.template_id);
            if !known && !template.template_id.is_empty() {
                templates.push(template);
            }
        }
        if count < PAGE {
            break;
        }
        if page + 1 == MAX_PAGES {
            tracing::warn!(most = MAX_PAGES * PAGE, "more templates than are copied");
        }
    }
    for template in &mut templates {
        if template.state() == ProviderTemplateState::Approved {
            complete(settings, host, &mut token, template).await?;
        }
    }
    Ok(templates)
}

/// One template as it is now; none where Zalo shows none of this id.
pub(super) async fn look_up(
    settings: &OaSettings,
    host: &dyn ChannelHost,
    template_id: &str,
) -> Result<Vec<ProviderTemplate>, SendError> {
    let mut token = Token::first(host).await?;
    match info(settings, host, &mut token, template_id).await {
        Ok(found) => Ok(vec![ProviderTemplate {
            template_id: template_id.to_owned(),
            ..found
        }]),
        Err(error) if error.class() == ErrorClass::Content => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn info(
    settings: &OaSettings,
    host: &dyn ChannelHost,
    token: &mut Token,
    template_id: &str,
) -> Result<ProviderTemplate, SendError> {
    let query = [("template_id", template_id.to_owned())];
    let url = address(settings, "/template/info/v2", &query);
    let read = |answer: &Answer<'_>| answer.data::<Template<'_>>().map(|found| described(&found));
    get(settings, host, token, url, read).await
}

/// Reads the parameters of a template.
async fn complete(
    settings: &OaSettings,
    host: &dyn ChannelHost,
    token: &mut Token,
    template: &mut ProviderTemplate,
) -> Result<(), SendError> {
    match info(settings, host, token, &template.template_id).await {
        Ok(found) => {
            template.parameters = found.parameters;
            for (old, new) in [
                (&mut template.name, found.name),
                (&mut template.purpose, found.purpose),
                (&mut template.quality, found.quality),
            ] {
                if !new.is_empty() {
                    *old = new;
                }
            }
            Ok(())
        }
        // Zalo does not show this one: what it must be given is not known, and so nothing is said about it.
        Err(error) if error.class() == ErrorClass::Content => {
            template.set_state(ProviderTemplateState::Unspecified);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn address(settings: &OaSettings, path: &str, query: &[(&str, String)]) -> String {
    let query = Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{}{path}?{query}", settings.zns_url)
}

async fn get<T>(
    settings: &OaSettings,
    host: &dyn ChannelHost,
    token: &mut Token,
    url: String,
    read: impl FnOnce(&Answer<'_>) -> Option<T> + Send,
) -> Result<T, SendError> {
    let request = |token: &AccessToken| api::call("GET", url.clone(), token, HttpBody::Empty, CALL_WITHIN);
    let response = token.call(host, request).await?;
    let answer = Answer::read(&response);
    let Some(answer) = answer.as_ref().filter(|answer| answer.code() == Some(0)) else {
        let error = failure::classify(answer.as_ref(), &response, Server::Zns, settings, host.now());
        return Err(token.redacted(error));
    };
    read(answer).ok_or_else(|| failure::error(ErrorClass::NotSent, "zalo's list of templates cannot be read"))
}

fn described(template: &Template<'_>) -> ProviderTemplate {
    let text = |text: &Option<Text<'_>>| said(text.as_ref()).to_owned();
    let parameters = template
        .list_params
        .iter()
        .flatten()
        .take(MAX_PARAMETERS)
        .map(|parameter| ProviderTemplateParameter {
            name: text(&parameter.name),
            required: parameter.require.is_some_and(|flag| flag.0),
            r#type: text(&parameter.r#type),
            max_length: said(parameter.max_length.as_ref()).parse().unwrap_or(0),
            min_length: said(parameter.min_length.as_ref()).parse().unwrap_or(0),
            may_be_empty: parameter.accept_null.is_some_and(|flag| flag.0),
        });
    ProviderTemplate {
        template_id: text(&template.template_id),
        name: text(&template.template_name),
        state: state(said(template.status.as_ref())).into(),
        locale: String::new(),
        parameters: parameters.collect(),
        purpose: text(&template.template_tag),
        quality: text(&template.template_quality),
    }
}

/// ZBS: words, or the numbers of the query.
fn state(status: &str) -> ProviderTemplateState {
    match status {
        "ENABLE" | "1" => ProviderTemplateState::Approved,
        "PENDING_REVIEW" | "2" => ProviderTemplateState::Pending,
        "REJECT" | "3" => ProviderTemplateState::Rejected,
        "DISABLE" | "DELETE" | "4" => ProviderTemplateState::Disabled,
        _ => ProviderTemplateState::Unspecified,
    }
}
