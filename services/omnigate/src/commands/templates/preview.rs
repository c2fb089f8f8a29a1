//! `omnigate templates preview`, and templates for people.

use super::{file, told, values, warn};
use crate::cli::{Output, PreviewTemplate};
use crate::commands::consent::short;
use crate::commands::{print, remote};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::preview_template_request::Of;
use omnigate_proto::v1::template_part::Content as Written;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content as Words;
use omnigate_proto::v1::{
    Message, PreviewTemplateRequest, SmsPreview, StoredTemplate, TemplateRef, TemplateVariable, TemplateVariant,
    VariantPreview,
};

/// Runs it. The exit code is 1 when the template has mistakes.
pub(super) async fn run(arguments: &PreviewTemplate) -> anyhow::Result<u8> {
    let of = match arguments.template.starts_with("tpl_") {
        true => Of::Stored(StoredTemplate {
            template_id: arguments.template.clone(),
            version: arguments.version.unwrap_or(0),
        }),
        false => Of::Definition(file::definition(&arguments.template)?),
    };
    let values = values(&arguments.filling)?;
    let connection = remote::open(&arguments.remote).await?;
    let customer_id = match &arguments.customer {
        Some(customer) => remote::customer_id(&connection, customer).await?,
        None => String::new(),
    };
    let asked = PreviewTemplateRequest {
        of: Some(of),
        values,
        customer_id,
        locale: arguments.filling.locale.clone().unwrap_or_default(),
        time_zone: arguments.filling.time_zone.clone().unwrap_or_default(),
        use_samples: arguments.filling.samples,
        account_id: arguments.account.clone().unwrap_or_default(),
        channel: arguments.channel.clone().unwrap_or_default(),
    };
    let answer = connection.templates().preview_template(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    let code = u8::from(!answer.mistakes.is_empty());
    if arguments.remote.output == Output::Json {
        print::json(&answer)?;
        return Ok(code);
    }
    warn(&answer.warnings);
    for mistake in &answer.mistakes {
        print::aside(&print::printable(&told(mistake)));
    }
    for (place, variant) in answer.variants.iter().enumerate() {
        if place > 0 {
            print::line("");
        }
        previewed(variant);
    }
    Ok(code)
}

fn previewed(preview: &VariantPreview) {
    let chosen = if preview.is_chosen { ", for this recipient" } else { "" };
    print::line(&format!("── {}/{}{chosen}", preview.locale, preview.channel));
    if let Some(refusal) = &preview.refusal {
        print::line(&print::printable(&format!(
            "nothing: {} ({})",
            refusal.text, refusal.reason
        )));
        return;
    }
    match &preview.sms {
        Some(sms) => {
            print::line(&counted(sms));
            print::line(&print::printable(&sms.text));
        }
        None => preview.message.iter().for_each(said),
    }
}

/// SMS segments, encoding and cost as one line.
fn counted(sms: &SmsPreview) -> String {
    let plural = if sms.segments == 1 { "" } else { "s" };
    let (name, unit) = match sms.encoding.as_str() {
        "gsm7" => ("GSM-7", "septets"),
        _ => ("UCS-2", "units"),
    };
    let mut line = format!(
        "{} SMS segment{plural} of {} {unit}, {name}, {} characters",
        sms.segments, sms.capacity, sms.characters
    );
    if !sms.foreign_characters.is_empty() {
        line += &format!("; UCS-2 because of {}", sms.foreign_characters.join(" "));
    }
    match sms.cost.as_str() {
        "" => line + "; cost not known: --account names one whose settings have cost_per_segment",
        cost => format!("{line}; {cost}"),
    }
}

fn said(message: &Message) {
    let line = |text: &str| print::line(&print::printable(text));
    if !message.subject.is_empty() {
        line(&format!("Subject: {}", message.subject));
    }
    for part in &message.parts {
        match &part.content {
            Some(Content::Text(text)) => line(&text.text),
            Some(Content::Template(template)) => line(&provider(template)),
            _ => {}
        }
    }
    for choice in &message.choices {
        let leads = [&choice.url, &choice.phone, &choice.payload].map(String::as_str);
        let leads: Vec<&str> = leads.into_iter().filter(|text| !text.is_empty()).collect();
        line(&format!("[{}] {}", choice.label, leads.join(" ")));
    }
    if let Some(template) = message
        .alternative
        .as_ref()
        .and_then(|instead| instead.template.as_ref())
    {
        line(&format!("outside the reply window: {}", provider(template)));
    }
}

fn provider(template: &TemplateRef) -> String {
    let given = template
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    format!(
        "the provider's template {} {} {}",
        template.template_id,
        template.locale,
        given.collect::<Vec<_>>().join(", ")
    )
}

/// A variable as a row.
pub(super) fn variable(variable: &TemplateVariable) -> Vec<String> {
    let kind = short(variable.r#type().as_str_name(), "TEMPLATE_VARIABLE_TYPE_");
    let missing = match &variable.when_missing {
        Some(WhenMissing::DefaultValue(default)) => format!("{default:?}"),
        _ => "nothing is sent".to_owned(),
    };
    vec![
        variable.name.clone(),
        match variable.currency.as_str() {
            "" => kind,
            currency => format!("{kind} {currency}"),
        },
        missing,
        variable.sample.clone(),
        variable.description.clone(),
    ]
}

/// Prints the words of a variant as they were written.
pub(super) fn words_of(variant: &TemplateVariant) {
    print::line(&format!("── {}/{}", variant.locale, variant.channel));
    let line = |text: &str| print::line(&print::printable(text));
    match &variant.content {
        Some(Words::Sms(sms)) => line(&sms.text),
        Some(Words::Email(email)) => {
            line(&format!("Subject: {}", email.subject));
            [&email.text, &email.html]
                .into_iter()
                .filter(|text| !text.is_empty())
                .for_each(|text| line(text));
        }
        Some(Words::Rich(rich)) => {
            for part in &rich.parts {
                if let Some(Written::Text(text)) = &part.content {
                    line(&text.text);
                }
            }
            rich.choices
                .iter()
                .for_each(|choice| line(&format!("[{}]", choice.label)));
            if let Some(used) = &rich.provider_template {
                line(&format!("the provider's template {} {}", used.template_id, used.locale));
            }
        }
        None => {}
    }
}
