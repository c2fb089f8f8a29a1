//! Refuses messages whose templates the provider would refuse, before they are accepted: by the copy that the scheduler
//! keeps, and where that does not know better, by asking the provider.

use crate::lookups::Lookup;
use crate::{Api, problems};
use omnigate_core::protocol::{send, templates};
use omnigate_core::template_check::{self, Unfit};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{Message, ProviderTemplate, ProviderTemplates, TemplateRef};
use omnigate_rpc::error::Problem;

/// The templates that a message names, with the fields that name them.
fn named(message: &Message) -> Vec<(&'static str, TemplateRef)> {
    let alternative = message.alternative.as_ref();
    let alternative = alternative.and_then(|instead| instead.template.clone());
    let parts = message.parts.iter().filter_map(|part| match &part.content {
        Some(Content::Template(template)) => Some(("message.parts.template", template.clone())),
        _ => None,
    });
    parts
        .chain(alternative.map(|template| ("message.alternative.template", template)))
        .collect()
}

impl Api {
    /// Refuses templates that the provider would refuse. Where only a customer is named, the thread that the message goes to
    /// is chosen first and stays chosen: it says whose templates they are.
    pub(crate) async fn check_templates(&self, request: &mut send::Request) -> Result<(), Problem> {
        let named = named(&request.message);
        if named.is_empty() {
            return Ok(());
        }
        if let send::Target::Customer { id, account_id } = &request.target {
            let thread =
                send::thread_of_customer(&self.context(), &request.tenant_id, *id, account_id.as_deref()).await;
            request.target = thread.map_err(|refused| problems::not_accepted(&refused))?;
        }
        let (send::Target::Thread { account_id, .. } | send::Target::Identifier { account_id, .. }) = &request.target
        else {
            return Ok(());
        };
        let capabilities = self.abilities.of(account_id).await.unwrap_or_default();
        if !capabilities.provider_templates {
            return Ok(());
        }
        let copied = templates::read(&self.context(), account_id).await;
        let copied = copied.map_err(|stop| problems::stop(&stop))?;
        for (field, template) in &named {
            self.check_template(account_id, copied.as_ref(), field, template)
                .await?;
        }
        Ok(())
    }

    async fn check_template(
        &self,
        account_id: &str,
        copied: Option<&ProviderTemplates>,
        field: &str,
        wanted: &TemplateRef,
    ) -> Result<(), Problem> {
        let unfit = match copied {
            Some(copied) => template_check::check(copied, wanted).err(),
            None => Some(Unfit::Unknown(wanted.template_id.clone())),
        };
        let Some(unfit) = unfit else {
            return Ok(());
        };
        let refused = |unfit: Unfit| Problem::invalid(field, unfit.to_string());
        if !unfit.may_have_changed() {
            return Err(refused(unfit));
        }
        match self.lookups.of(account_id, &wanted.template_id).await {
            Lookup::Found(templates) => {
                self.keep(account_id, &wanted.template_id, &templates).await;
                let found = ProviderTemplates {
                    templates,
                    ..ProviderTemplates::default()
                };
                template_check::check(&found, wanted).map_err(refused)
            }
            Lookup::Unsupported if copied.is_some() => Err(refused(unfit)),
            Lookup::Unsupported => Err(Problem::unavailable(
                "TEMPLATES_NOT_COPIED",
                "the provider's templates are not known yet; `omnigate accounts list` says what is missing",
            )),
            Lookup::Unknown(why) => Err(Problem::unavailable(
                "TEMPLATE_NOT_LOOKED_UP",
                format!("{unfit}, and its provider cannot be asked now: {why}; try again"),
            )),
        }
    }

    /// Lets everybody know what was looked up. Without it the next one asks again.
    async fn keep(&self, account_id: &str, template_id: &str, found: &[ProviderTemplate]) {
        if let Err(error) = templates::add(&self.context(), account_id, template_id, found).await {
            tracing::debug!(account_id, %error, "what was looked up of a template is not written down");
        }
    }
}
