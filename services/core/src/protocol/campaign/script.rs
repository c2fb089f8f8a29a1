//! What a campaign says: its templates, made ready.

use crate::id::{AudienceId, TemplateId};
use crate::port::store::StoreError;
use crate::protocol::context::Context;
use crate::protocol::{audience, template_library};
use crate::template::Ready;
use omnigate_proto::v1::Campaign;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a campaign says.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Templates by position of their step; without those that cannot be had.
    pub templates: BTreeMap<u32, Arc<Ready>>,
    /// Its list; `None` where it is for a segment.
    pub list: Option<AudienceId>,
    /// What is wrong with it; empty when nothing is.
    pub problem: String,
}

/// Reads what a campaign says; versions of templates say the same for ever.
pub async fn script(context: &Context<'_>, campaign: &Campaign) -> Result<Script, StoreError> {
    let mut script = Script::default();
    if let Ok(id) = campaign.audience_id.parse::<AudienceId>() {
        let audience = audience::get(context, &campaign.tenant_id, id).await?;
        let is_list = |audience: &audience::Audience| !crate::audience::is_segment(&audience.record);
        script.list = audience.filter(is_list).map(|audience| audience.id);
    }
    for (position, step) in (0..).zip(&campaign.steps) {
        let found = match step.template_id.parse::<TemplateId>() {
            Ok(id) => template_library::version(context, &campaign.tenant_id, id, step.template_version).await?,
            Err(_) => None,
        };
        let named = format!("template {} version {}", step.template_id, step.template_version);
        let Some(definition) = found.and_then(|found| found.version.definition) else {
            script.problem = format!("{named} of steps[{position}] is not there");
            continue;
        };
        match Ready::new(definition) {
            Ok(ready) => {
                script.templates.insert(position, Arc::new(ready));
            }
            Err(error) => script.problem = format!("{named} of steps[{position}]: {error}"),
        }
    }
    Ok(script)
}
