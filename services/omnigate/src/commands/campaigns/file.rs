//! What a campaign is, from a file and from flags.

use crate::cli::Definition;
use crate::commands::audience::audience_id;
use crate::commands::remote;
use crate::commands::templates::file::{from_text, text};
use anyhow::{Context as _, bail};
use omnigate_proto::v1::{Campaign, CampaignStep, CampaignSteps, ExcludedAudiences, Purpose, UpdateCampaignRequest};
use omnigate_rpc::client::Connection;
use serde_json::{Map, Value};
use std::path::Path;

/// Fields whose values may be written without the prefix of the contract's names, and that prefix.
const WORDS: &[(&str, &str)] = &[
    ("purpose", "PURPOSE_"),
    ("success", "RECEIPT_STATE_"),
    ("fallBackOn", "FALLBACK_CAUSE_"),
    ("onUnknown", "UNKNOWN_POLICY_"),
    ("scope", "RECIPIENT_SCOPE_"),
    ("state", "CAMPAIGN_STATE_"),
    ("pauseReason", "PAUSE_REASON_"),
];

/// A file's fields, by their names in JSON.
fn fields(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let file = file.to_string_lossy();
    let (name, text) = text(&file)?;
    read(&text).with_context(|| format!("{name} is no campaign"))
}

fn read(text: &str) -> anyhow::Result<Map<String, Value>> {
    match named("", from_text(text)?) {
        Value::Object(fields) => Ok(fields),
        _ => bail!("it must have fields"),
    }
}

/// The same with the contract's names of fields and values.
fn named(field: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let name = camel(&name);
                let value = named(&name, value);
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(values) => values.into_iter().map(|value| named(field, value)).collect(),
        Value::String(text) => Value::String(word(field, text)),
        other => other,
    }
}

fn word(field: &str, text: String) -> String {
    match WORDS.iter().find(|(name, _)| *name == field) {
        Some((_, prefix)) if !text.starts_with(prefix) => format!("{prefix}{}", text.to_uppercase().replace('-', "_")),
        _ => text,
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// The file's fields with those that flags say in their place.
async fn said(connection: &Connection, file: Option<&Path>, flags: &Definition) -> anyhow::Result<Map<String, Value>> {
    let mut fields = file.map(fields).transpose()?.unwrap_or_default();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    say("displayName", flags.name.clone().map(Value::String));
    if let Some(audience) = &flags.audience {
        say("audienceId", Some(audience_id(connection, audience).await?.into()));
    }
    if !flags.excluded.is_empty() {
        let mut excluded = Vec::with_capacity(flags.excluded.len());
        for audience in &flags.excluded {
            excluded.push(Value::String(audience_id(connection, audience).await?));
        }
        say("excludedAudienceIds", Some(Value::Array(excluded)));
    }
    let purpose = flags.purpose.map(|purpose| Purpose::from(purpose).as_str_name());
    say("purpose", purpose.map(Value::from));
    if let (Some(account_id), Some(template_id)) = (&flags.account, &flags.template) {
        let step = CampaignStep {
            account_id: account_id.clone(),
            template_id: template_id.clone(),
            ..CampaignStep::default()
        };
        say("steps", Some(Value::Array(vec![serde_json::to_value(step)?])));
    }
    if let Some(at) = &flags.start_at {
        remote::moment("--start-at", at)?;
        say("startAt", Some(at.clone().into()));
    }
    let milliseconds = |flag: &str, given: Option<jiff::SignedDuration>| {
        let given = given.map(|given| u64::try_from(given.as_millis()));
        let given = given
            .transpose()
            .with_context(|| format!("{flag} must not be negative"));
        given.map(|given| given.map(Value::from))
    };
    say("lateByMs", milliseconds("--late-by", flags.late_by)?);
    say("sendWithinMs", milliseconds("--send-within", flags.send_within)?);
    say("messagesPerSecond", flags.rate.map(Value::from));
    say("weight", flags.weight.map(Value::from));
    Ok(fields)
}

/// A campaign as file and flags say it.
pub(super) async fn campaign(
    connection: &Connection,
    file: Option<&Path>,
    flags: &Definition,
) -> anyhow::Result<Campaign> {
    Ok(decoded(said(connection, file, flags).await?)?)
}

/// A change to what file and flags say.
pub(super) async fn change(
    connection: &Connection,
    file: Option<&Path>,
    flags: &Definition,
) -> anyhow::Result<UpdateCampaignRequest> {
    changing(said(connection, file, flags).await?)
}

fn decoded(fields: Map<String, Value>) -> Result<Campaign, serde_json::Error> {
    serde_json::from_value(Value::Object(fields))
}

fn changing(fields: Map<String, Value>) -> anyhow::Result<UpdateCampaignRequest> {
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let campaign = decoded(fields.clone())?;
    Ok(UpdateCampaignRequest {
        display_name: has("displayName").then_some(campaign.display_name),
        audience_id: has("audienceId").then_some(campaign.audience_id),
        excluded: has("excludedAudienceIds").then_some(ExcludedAudiences {
            audience_ids: campaign.excluded_audience_ids,
        }),
        purpose: has("purpose").then_some(campaign.purpose),
        steps: has("steps").then_some(CampaignSteps { steps: campaign.steps }),
        start_at: campaign.start_at,
        late_by_ms: has("lateByMs").then_some(campaign.late_by_ms),
        send_within_ms: has("sendWithinMs").then_some(campaign.send_within_ms),
        on_unknown: has("onUnknown").then_some(campaign.on_unknown),
        scope: has("scope").then_some(campaign.scope),
        messages_per_second: has("messagesPerSecond").then_some(campaign.messages_per_second),
        weight: has("weight").then_some(campaign.weight),
        ..UpdateCampaignRequest::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{FallbackCause, ReceiptState, UnknownPolicy};

    const FILE: &str = r#"
        display_name = "Tết"
        audience_id = "aud_1"
        purpose = "marketing"
        start_at = 2026-12-24T09:00:00+07:00
        on_unknown = "resend-once"
        send_within_ms = 86400000

        [[steps]]
        account_id = "oa"
        template_id = "tpl_1"
        success = "read"
        fall_back_on = ["unreachable", "FALLBACK_CAUSE_TIMEOUT"]
    "#;

    #[test]
    fn a_file_is_read_as_people_write_it() {
        let campaign = decoded(read(FILE).unwrap()).unwrap();
        assert_eq!(campaign.purpose(), Purpose::Marketing);
        assert_eq!(campaign.on_unknown(), UnknownPolicy::ResendOnce);
        assert_eq!(campaign.send_within_ms, 86_400_000);
        assert_eq!(campaign.start_at.unwrap().seconds, 1_798_077_600);
        let step = &campaign.steps[0];
        assert_eq!(step.success(), ReceiptState::Read);
        let causes: Vec<_> = step.fall_back_on().collect();
        assert_eq!(causes, [FallbackCause::Unreachable, FallbackCause::Timeout]);
    }

    #[test]
    fn what_was_printed_is_read_again() {
        let once = decoded(read(FILE).unwrap()).unwrap();
        let printed = serde_json::to_string(&once).unwrap();
        assert_eq!(decoded(read(&printed).unwrap()).unwrap(), once);
    }

    #[test]
    fn a_change_names_only_what_was_said() {
        let change = changing(read("weight = 0\nexcluded_audience_ids = []").unwrap()).unwrap();
        let named = UpdateCampaignRequest {
            weight: Some(0),
            excluded: Some(ExcludedAudiences::default()),
            ..UpdateCampaignRequest::default()
        };
        assert_eq!(change, named);
        let whole = changing(read(FILE).unwrap()).unwrap();
        assert!(whole.steps.is_some() && whole.start_at.is_some() && whole.weight.is_none());
    }

    #[test]
    fn what_is_misspelt_is_named() {
        for (text, named) in [
            ("title = \"x\"", "title"),
            ("purpose = \"advertising\"", "PURPOSE_ADVERTISING"),
            ("{ \"steps\": 5 }", "invalid type"),
            ("purpose = ", "line 1"),
        ] {
            let problem = match read(text) {
                Ok(fields) => decoded(fields).unwrap_err().to_string(),
                Err(error) => format!("{error:#}"),
            };
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }
}
