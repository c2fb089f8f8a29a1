//! What a template would say to somebody.

use super::ready;
use crate::{Api, problems};
use omnigate_core::account::Account;
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::read;
use omnigate_core::sms::ADVERTISING_LABEL;
use omnigate_core::sms::price::Price;
use omnigate_core::sms::segment::{Encoding, Options, Plan};
use omnigate_core::template::{self, Ready, Recipient, Refusal, Rendered, values_of};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::preview_template_request::Of;
use omnigate_proto::v1::{
    PreviewTemplateRequest, PreviewTemplateResponse, Purpose, SmsPreview, TemplateRefusal, TemplateVariant,
    VariantPreview,
};
use omnigate_rpc::error::Problem;
use std::collections::BTreeMap;

/// Most values that one request gives.
const MAX_VALUES: usize = 200;

/// What an account does to a text on its way out, as far as its settings say.
#[derive(Default)]
struct Outlet {
    options: Options,
    /// Label and line of advertising.
    advertising: (Option<String>, Option<String>),
}

impl Outlet {
    fn of(account: &Account) -> Self {
        let text = |name: &str| account.settings.0.get(name).and_then(|value| value.as_str());
        let unaccented = account.settings.0.get("unaccented").and_then(|value| value.as_bool());
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let price = text("cost_per_segment").and_then(|cost| cost.trim().split_once(' '));
        Self {
            options: Options {
                unaccented: unaccented.unwrap_or(false),
                price: price.and_then(|(amount, currency)| Price::parse(amount, currency).ok()),
                ..Options::default()
            },
            advertising: (
                said(text("label").unwrap_or(ADVERTISING_LABEL)),
                text("opt_out_line").and_then(said),
            ),
        }
    }

    fn plan(&self, text: &str, purpose: Purpose) -> Plan {
        let mut options = self.options.clone();
        if purpose == Purpose::Marketing {
            (options.label, options.opt_out_line) = self.advertising.clone();
        }
        Plan::of(text, &options)
    }
}

impl Api {
    pub(super) async fn preview(
        &self,
        tenant_id: &str,
        request: PreviewTemplateRequest,
    ) -> Result<PreviewTemplateResponse, Problem> {
        if request.values.len() > MAX_VALUES {
            return Err(Problem::invalid("values", format!("must be at most {MAX_VALUES}")));
        }
        let zone = self.zone(tenant_id, &request.time_zone)?;
        let outlet = self.outlet(tenant_id, &request.account_id)?;
        let mut answer = PreviewTemplateResponse::default();
        let ready = match request.of {
            Some(Of::Stored(stored)) => {
                let version = self
                    .template_version(tenant_id, &stored.template_id, stored.version)
                    .await?;
                ready(version.version.definition.unwrap_or_default())?
            }
            Some(Of::Definition(definition)) => {
                let checked = template::check(&definition);
                answer.mistakes = checked.mistakes;
                answer.warnings = checked.warnings;
                if !answer.mistakes.is_empty() {
                    return Ok(answer);
                }
                answer.warnings.extend(self.unfit(tenant_id, &definition).await?);
                ready(definition)?
            }
            None => return Err(Problem::invalid("of", "stored or definition must be set")),
        };
        let (mut values, known_locale) = self.known_of(tenant_id, &request.customer_id).await?;
        values.extend(request.values);
        if request.use_samples {
            values = ready.with_samples(&values);
        }
        let locale = match request.locale.as_str() {
            "" => known_locale,
            locale => locale.to_owned(),
        };
        let recipient = Recipient {
            locale: &locale,
            zone: &zone,
            values: &values,
        };
        let default = &self.context().tenants.of(tenant_id).locale;
        let variants = ready.definition().variants.iter().enumerate();
        let variants = variants.filter(|(_, variant)| request.channel.is_empty() || variant.channel == request.channel);
        answer.variants = variants
            .map(|(index, variant)| VariantPreview {
                is_chosen: ready.choose(&variant.channel, &locale, default) == Some(index),
                ..previewed(&ready, (index, variant), recipient, &outlet)
            })
            .collect();
        Ok(answer)
    }

    fn outlet(&self, tenant_id: &str, account_id: &str) -> Result<Outlet, Problem> {
        if account_id.is_empty() {
            return Ok(Outlet::default());
        }
        match self.account(tenant_id, account_id)? {
            account if account.channel == "sms" => Ok(Outlet::of(account)),
            _ => Err(Problem::invalid("account_id", "must be an account of channel sms")),
        }
    }

    /// What is known of a customer, and their language; nothing where none is named.
    async fn known_of(&self, tenant_id: &str, id: &str) -> Result<(BTreeMap<String, String>, String), Problem> {
        if id.is_empty() {
            return Ok((BTreeMap::new(), String::new()));
        }
        let id: CustomerId = problems::id("customer_id", id)?;
        let found = read::customer(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let whole = found.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "there is no such customer"))?;
        let customer = whole.to_customer();
        let locale = customer.profile.as_ref().map(|profile| profile.locale.clone());
        Ok((values_of(&customer), locale.unwrap_or_default()))
    }
}

fn previewed(
    ready: &Ready,
    (index, variant): (usize, &TemplateVariant),
    recipient: Recipient<'_>,
    outlet: &Outlet,
) -> VariantPreview {
    let preview = VariantPreview {
        locale: variant.locale.clone(),
        channel: variant.channel.clone(),
        ..VariantPreview::default()
    };
    match ready.render_variant(index, recipient) {
        Ok(rendered) => VariantPreview {
            sms: rendered.plan.as_ref().map(|_| segments(&rendered, outlet)),
            rendered_hash: rendered.hash.to_vec().into(),
            message: Some(rendered.message),
            ..preview
        },
        Err(refusal) => VariantPreview {
            refusal: Some(refused(&refusal)),
            ..preview
        },
    }
}

fn refused(refusal: &Refusal) -> TemplateRefusal {
    TemplateRefusal {
        reason: refusal.reason().to_owned(),
        variable: refusal.variable().to_owned(),
        text: refusal.to_string(),
    }
}

/// How a rendered text leaves through an outlet.
fn segments(rendered: &Rendered, outlet: &Outlet) -> SmsPreview {
    let part = rendered.message.parts.first().and_then(|part| part.content.as_ref());
    let text = match part {
        Some(Content::Text(text)) => text.text.as_str(),
        _ => "",
    };
    let plan = outlet.plan(text, rendered.message.purpose());
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    SmsPreview {
        encoding: match plan.encoding {
            Encoding::Gsm7 => "gsm7",
            Encoding::Ucs2 => "ucs2",
        }
        .to_owned(),
        segments: count(plan.segments.len()),
        characters: count(plan.characters),
        units: count(plan.units),
        capacity: count(plan.capacity),
        room: count(plan.room),
        foreign_characters: plan
            .foreign
            .iter()
            .map(|foreign| foreign.character.to_string())
            .collect(),
        cost: plan.cost.as_ref().map(ToString::to_string).unwrap_or_default(),
        text: plan.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::account::{AdapterRef, Limits, Settings};

    fn outlet(settings: &[(&str, &str)]) -> Outlet {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()));
        Outlet::of(&Account {
            id: "brand".to_owned(),
            tenant_id: "t".to_owned(),
            channel: "sms".to_owned(),
            provider: "smpp".to_owned(),
            display_name: String::new(),
            adapter: AdapterRef::Builtin,
            app_id: "brand".to_owned(),
            settings: Settings(settings.collect()),
            limits: Limits::default(),
        })
    }

    #[test]
    fn a_text_is_counted_as_its_account_sends_it() {
        let said = outlet(&[
            ("cost_per_segment", "850 VND"),
            ("opt_out_line", "Từ chối soạn TC gửi 199"),
        ]);
        let plan = said.plan("Giảm 50%", Purpose::Marketing);
        assert_eq!(plan.text, "[QC] Giảm 50%\nTừ chối soạn TC gửi 199");
        assert_eq!(plan.cost.map(|cost| cost.to_string()).as_deref(), Some("850 VND"));
        assert_eq!(said.plan("Đã gửi", Purpose::Service).text, "Đã gửi");
        let unlabelled = outlet(&[("label", ""), ("cost_per_segment", "cheap")]);
        let plan = unlabelled.plan("Giảm 50%", Purpose::Marketing);
        assert_eq!((plan.text.as_str(), plan.cost), ("Giảm 50%", None));
    }
}
